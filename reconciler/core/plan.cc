// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "base/text.h"
#include "reconciler/core/guard.h"
#include "reconciler/core/marker.h"
#include "reconciler/core/order.h"

namespace knock {
namespace {

template <class Rules>
bool any_rule_reaches(const Rules& rules, const std::set<ServiceName>& services) {
  return std::any_of(rules.begin(), rules.end(), [&](const auto& rule) {
    return std::any_of(rule.to.begin(), rule.to.end(),
                       [&](const ServiceName& name) { return services.contains(name); });
  });
}

bool grants_nothing_on(const Policy& policy, const TargetName& target) {
  std::set<ServiceName> services;
  for (const Service& service : policy.services)
    if (std::binary_search(service.targets.begin(), service.targets.end(), target))
      services.insert(service.name);
  return !any_rule_reaches(policy.allow, services) && !any_rule_reaches(policy.statics, services);
}

/// Addresses that some deny rule of the policy closes at a service, whoever comes from there.
std::function<bool(const std::string&, const Prefix&)> denied_in(const Policy& policy) {
  return [&policy](const std::string& slot, const Prefix& prefix) {
    return std::any_of(policy.deny.begin(), policy.deny.end(), [&](const DenyRule& rule) {
      if (!rule.who.empty() ||
          !std::binary_search(rule.to.begin(), rule.to.end(), ServiceName(slot)))
        return false;
      auto covers = [&](const NetworkName& name) {
        const Network* network = policy.network(name);
        return network != nullptr &&
               std::any_of(network->prefixes.begin(), network->prefixes.end(),
                           [&](const NetworkPrefix& p) { return p.prefix.contains(prefix); });
      };
      return std::any_of(rule.from.in.begin(), rule.from.in.end(), covers) &&
             std::none_of(rule.from.not_in.begin(), rule.from.not_in.end(), covers);
    });
  };
}

void count(const Observed& observed, TargetPlan& plan) {
  for (const auto& slot : observed.slots)
    for (const auto& item : slot.items) ++(item.ours ? plan.owned : plan.foreign);
}

/// Without a reading, only our own records speak, and they may only close.
std::vector<Change> expired_by_record(const TargetPlanInput& in) {
  std::vector<Change> changes;
  for (const AppliedEntry& entry : in.applied) {
    if (entry.until > in.now) continue;
    Change change;
    change.action = Action::remove;
    change.reason = Reason::expiry;
    change.slot = entry.slot;
    change.prefix = entry.prefix;
    change.was_until = entry.until;
    change.entry = entry_id(entry.target, entry.prefix, entry.slot);
    change.causes = entry.causes;
    changes.push_back(std::move(change));
  }
  return changes;
}

bool counts_for_id(const Change& change) {
  return change.reason == Reason::policy || change.reason == Reason::configuration;
}

}  // namespace

PlannedTarget plan_target(const TargetPlanInput& in) {
  PlannedTarget out;
  out.plan.target = in.target.name;
  out.plan.type = in.target.type;
  out.plan.findings = in.desired.findings;
  if (!in.observed) {
    out.plan.readable = false;
    out.plan.unreadable_because = in.observed.error().text();
    out.plan.changes = expired_by_record(in);
    order(out.plan.changes, {});
    return out;
  }
  const Observed& observed = *in.observed;
  out.plan.fence = observed.fence;
  count(observed, out.plan);
  auto changes = diff({in.target.name, in.capabilities, in.desired, in.desired_in_force, observed,
                       in.applied, in.now, in.ended, denied_in(in.policy), in.only});
  Guarded guarded;
  if (in.acknowledged)
    guarded.pass = std::move(changes);
  else
    guarded = guard(std::move(changes), {in.target.name, in.capabilities, observed,
                                         grants_nothing_on(in.policy, in.target.name)});
  out.plan.changes = std::move(guarded.pass);
  out.plan.held = std::move(guarded.held);
  out.trips = std::move(guarded.trips);
  order(out.plan.changes, observed.structure);
  order(out.plan.held, observed.structure);
  return out;
}

Digest plan_id(const PolicyRevision& to, std::span<const TargetPlan> targets) {
  std::vector<std::string> lines;
  for (const TargetPlan& target : targets)
    for (const auto* list : {&target.changes, &target.held})
      for (const Change& change : *list) {
        if (!counts_for_id(change)) continue;
        std::string line =
            fmt::format("{} {} {} {} {}", target.target.value, to_string(change.action),
                        change.slot, change.prefix.to_string(), to_string(change.ports));
        for (const Prefix& keep : change.keep) line += " " + keep.to_string();
        lines.push_back(std::move(line));
      }
  std::sort(lines.begin(), lines.end());
  return sha256("knock plan 1\n" + to.value + "\n" + join(lines, "\n"));
}

Plan assemble(PolicyRevision from, PolicyRevision to, std::uint64_t sequence, Instant as_of,
              std::vector<PlannedTarget> targets, std::vector<PersonChange> people) {
  Plan plan;
  plan.from = std::move(from);
  plan.to = std::move(to);
  plan.sequence = sequence;
  plan.as_of = as_of;
  plan.people = std::move(people);
  std::sort(targets.begin(), targets.end(), [](const PlannedTarget& a, const PlannedTarget& b) {
    return a.plan.target < b.plan.target;
  });
  for (PlannedTarget& target : targets) {
    plan.guards.insert(plan.guards.end(), target.trips.begin(), target.trips.end());
    plan.targets.push_back(std::move(target.plan));
  }
  plan.id = plan_id(plan.to, plan.targets);
  return plan;
}

namespace {

struct Person {
  Session session;        // real, or made of an account
  bool anywhere = false;  // an account: no address to judge by
};

std::vector<Person> known_people(std::span<const Session> sessions,
                                 std::span<const Account> accounts, Instant now) {
  std::vector<Person> people;
  std::set<Principal> seen;
  for (const Session& session : sessions) {
    if (!session.live_at(now)) continue;
    seen.insert(session.principal);
    people.push_back({session, false});
  }
  for (const Account& account : accounts) {
    Principal principal{"local", account.user, account.name.empty() ? account.user : account.name};
    if (account.disabled || seen.contains(principal)) continue;
    Session session;
    session.principal = principal;
    session.source = SignInName("local");
    session.groups = account.groups;
    session.created = now;
    session.expires = Instant::max();
    people.push_back({std::move(session), true});
  }
  return people;
}

/// Services by groups alone: the first rule that names them.
std::vector<Reach> reach_anywhere(const Policy& policy, const Session& session, Instant now) {
  std::map<ServiceName, Reach> out;
  for (const AllowRule& rule : policy.allow) {
    bool member = std::any_of(rule.who.begin(), rule.who.end(), [&](const GroupName& name) {
      const Group* group = policy.group(name);
      return group != nullptr && is_member(*group, session);
    });
    if (!member) continue;
    for (const ServiceName& service : rule.to)
      out.emplace(service, Reach{service, rule.name, now + rule.ttl});
  }
  std::vector<Reach> list;
  for (auto& [name, reach] : out) list.push_back(reach);
  return list;
}

SourceRange origin_of(const Policy& policy, const RuleName& name) {
  for (const AllowRule& rule : policy.allow)
    if (rule.name == name) return rule.origin;
  return {};
}

void compare(const Person& person, const std::vector<Reach>& from, const Policy* from_policy,
             const std::vector<Reach>& to, bool gains, std::vector<PersonChange>& out) {
  for (const Reach& reach : to) {
    bool had = std::any_of(from.begin(), from.end(),
                           [&](const Reach& r) { return r.service == reach.service; });
    if (had) continue;
    PersonChange change{gains,      person.session.principal.name,       reach.service,
                        reach.rule, origin_of(*from_policy, reach.rule), std::nullopt};
    if (!gains && !person.anywhere) change.live_until = reach.until;
    out.push_back(std::move(change));
  }
}

}  // namespace

std::vector<PersonChange> people_changes(const Policy* in_force, const Policy& planned,
                                         std::span<const Session> sessions,
                                         std::span<const Account> accounts, Instant now) {
  std::vector<PersonChange> out;
  if (in_force == nullptr || same_meaning(*in_force, planned)) return out;
  for (const Person& person : known_people(sessions, accounts, now)) {
    auto reach = [&](const Policy& policy) {
      return person.anywhere ? reach_anywhere(policy, person.session, now)
                             : reach_of(policy, person.session, now);
    };
    auto before = reach(*in_force), after = reach(planned);
    compare(person, before, &planned, after, true, out);
    compare(person, after, in_force, before, false, out);
  }
  auto key = [](const PersonChange& c) { return std::tie(c.gains, c.service, c.who, c.rule); };
  std::sort(out.begin(), out.end(),
            [&](const PersonChange& a, const PersonChange& b) { return key(a) < key(b); });
  auto same = [&](const PersonChange& a, const PersonChange& b) { return key(a) == key(b); };
  out.erase(std::unique(out.begin(), out.end(), same), out.end());
  return out;
}

bool names_plan(std::string_view written, const Digest& id) {
  return written.size() >= 12 && written.size() <= 64 && to_hex(id).starts_with(written);
}

}  // namespace knock
