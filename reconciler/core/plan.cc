// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "base/text.h"
#include "reconciler/core/guard.h"
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

/// Answers whether deny rules close the whole of a prefix at a service to everybody.
class DeniedNetworks {
 public:
  explicit DeniedNetworks(const Policy& policy) : policy_(policy) {}
  bool cover(const std::string& slot, const Prefix& prefix) {
    auto [at, fresh] = by_service_.try_emplace(slot);
    if (fresh) at->second = without_nested(denied_networks(policy_, ServiceName(slot)));
    const auto& networks = at->second;
    // Disjoint and sorted: one that covers it stands just before it, those inside it follow.
    auto next = std::upper_bound(networks.begin(), networks.end(), prefix);
    if (next != networks.begin() && std::prev(next)->contains(prefix)) return true;
    auto end = next;
    while (end != networks.end() && prefix.contains(*end)) ++end;
    return next != end && subtract(prefix, {next, end}).empty();
  }

 private:
  const Policy& policy_;
  std::map<std::string, std::vector<Prefix>> by_service_;
};

/// Answers what else than its end closes a service to a session that lives.
class LiveSessions {
 public:
  LiveSessions(const Policy& policy, const Circumstances& circumstances)
      : policy_(policy), conditions_(policy, circumstances) {
    Coupling coupling = coupling_of(policy);
    counting_ = coupling.by_person || coupling.by_address;
    if (policy.deny.empty() && !counting_) return;
    for (const Session& session : circumstances.sessions)
      if (session.live_at(circumstances.now)) sessions_.emplace(session.id, &session);
  }
  bool denied(const std::string& slot, const SessionId& id) const {
    auto at = sessions_.find(id);
    return at != sessions_.end() && is_denied(policy_, *at->second, ServiceName(slot));
  }
  /// Some rule would give it, were it not for what it counts.
  bool limited(const std::string& slot, const SessionId& id) {
    auto at = sessions_.find(id);
    if (!counting_ || at == sessions_.end()) return false;
    ServiceName service(slot);
    return std::any_of(policy_.allow.begin(), policy_.allow.end(), [&](const AllowRule& rule) {
      if (!std::binary_search(rule.to.begin(), rule.to.end(), service)) return false;
      auto missing = conditions_.judge(rule, *at->second).missing;
      return missing == Condition::max_users_per_ip || missing == Condition::max_ips_per_user;
    });
  }

 private:
  const Policy& policy_;
  Conditions conditions_;
  bool counting_ = false;
  std::map<SessionId, const Session*> sessions_;
};

void count(const Observed& observed, TargetPlan& plan) {
  for (const auto& slot : observed.slots)
    for (const auto& item : slot.items) ++(item.ours ? plan.owned : plan.foreign);
}

/// Without a reading, only our own records speak, and they may only close.
Observed nothing_read() {
  Observed out;
  out.complete = false;
  return out;
}

std::vector<Change> changes_of(const TargetPlanInput& in, const Observed& observed) {
  DeniedNetworks networks(in.policy);
  LiveSessions sessions(in.policy, {in.now, in.sessions, in.approvals});
  DiffInput input{in.target.name, in.capabilities, in.desired, in.desired_in_force,
                  observed,       in.applied,      in.now,     in.ended};
  input.denied = [&](const std::string& slot, const Prefix& p) { return networks.cover(slot, p); };
  input.denied_session = [&](const std::string& slot, const SessionId& id) {
    return sessions.denied(slot, id);
  };
  input.limited_session = [&](const std::string& slot, const SessionId& id) {
    return sessions.limited(slot, id);
  };
  input.only = in.only;
  input.protected_before = in.protected_before;
  return diff(input);
}

Finding cut_for_a_moment(const TargetName& target, std::size_t changes) {
  return {
      Finding::Level::warning, "plan.cut", target,
      fmt::format("{} before what takes over can open: services exchange ports, and somebody may "
                  "be cut for a moment; two commits, the first with all the ports on both, "
                  "avoid it",
                  counted(changes, "change closes", "changes close"))};
}

Finding read_in_part(const TargetName& target) {
  return {
      Finding::Level::warning, "plan.partial", target,
      "was read only in part; what was not seen may be there, so nothing is changed but closing "
      "what must close"};
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
    out.plan.changes = changes_of(in, nothing_read());
    order(out.plan.changes, {});
    return out;
  }
  const Observed& observed = *in.observed;
  out.plan.fence = observed.fence;
  count(observed, out.plan);
  if (!observed.complete) out.plan.findings.push_back(read_in_part(in.target.name));
  auto changes = changes_of(in, observed);
  Guarded guarded;
  if (in.acknowledged)
    guarded.pass = std::move(changes);
  else
    guarded = guard(std::move(changes),
                    {in.target.name, in.capabilities, observed,
                     grants_nothing_on(in.policy, in.target.name), in.applied, in.now});
  out.plan.changes = std::move(guarded.pass);
  out.plan.held = std::move(guarded.held);
  out.trips = std::move(guarded.trips);
  auto broken = order(out.plan.changes, observed.structure, &observed.slots);
  order(out.plan.held, observed.structure, &observed.slots);
  if (broken > 0) out.plan.findings.push_back(cut_for_a_moment(in.target.name, broken));
  return out;
}

Digest plan_id(const PolicyRevision& to, std::span<const TargetPlan> targets) {
  std::vector<std::string> lines;
  for (const TargetPlan& target : targets)
    for (const auto* list :
         {&target.changes, &target.held})  // what is held is what is acknowledged
      for (const Change& change : *list) {
        if (list == &target.changes && !counts_for_id(change)) continue;
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

/// What is left of a policy for somebody who is not signed in: neither an address nor a time to
/// judge by, nor anybody's yes. Rules that ask for them count as given; a deny rule holds only when
/// it holds wherever somebody comes from.
Policy anywhere(Policy policy) {
  for (AllowRule& rule : policy.allow) {
    rule.from = {};
    rule.schedule.clear();
    rule.approval.reset();
    rule.max_ips_per_user.reset();
    rule.max_users_per_ip.reset();
  }
  std::erase_if(policy.deny, [](const DenyRule& rule) { return !rule.from.empty(); });
  return policy;
}

/// Who may reach what under one policy, asked for many people.
class Reaches {
 public:
  Reaches(const Policy& policy, const Circumstances& circumstances)
      : anywhere_(anywhere(policy)),
        signed_in_(policy, circumstances, true),
        not_signed_in_(anywhere_, {circumstances.now}, true) {}
  std::vector<Reach> of(const Person& person) {
    return reach_of(person.anywhere ? not_signed_in_ : signed_in_, person.session);
  }

 private:
  Policy anywhere_;
  Openings signed_in_, not_signed_in_;
};

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
                                         std::span<const Account> accounts, Instant now,
                                         std::span<const Approval> approvals) {
  std::vector<PersonChange> out;
  if (in_force == nullptr || same_meaning(*in_force, planned)) return out;
  Circumstances circumstances{now, sessions, approvals};
  Reaches reaches_before(*in_force, circumstances), reaches_after(planned, circumstances);
  for (const Person& person : known_people(sessions, accounts, now)) {
    auto before = reaches_before.of(person), after = reaches_after.of(person);
    compare(person, before, &planned, after, true, out);
    compare(person, after, in_force, before, false, out);
  }
  auto key = [](const PersonChange& c) { return std::tie(c.gains, c.service, c.who, c.rule); };
  std::sort(out.begin(), out.end(), [&](const PersonChange& a, const PersonChange& b) {
    if (key(a) != key(b)) return key(a) < key(b);
    return a.live_until > b.live_until;  // of several sessions, the one that would live longest
  });
  auto same = [&](const PersonChange& a, const PersonChange& b) { return key(a) == key(b); };
  out.erase(std::unique(out.begin(), out.end(), same), out.end());
  return out;
}

bool names_plan(std::string_view written, const Digest& id) {
  return written.size() >= 12 && written.size() <= 64 && to_hex(id).starts_with(written);
}

}  // namespace knock
