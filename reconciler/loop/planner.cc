// SPDX-License-Identifier: Apache-2.0
#include "reconciler/loop/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "reconciler/core/guard.h"
#include "reconciler/core/live_sessions.h"
#include "reconciler/core/policy_delta.h"
#include "reconciler/core/shared_addresses.h"

namespace knock {

Allowlist list_for(const std::vector<Allowlist>& lists, const TargetName& target) {
  for (const Allowlist& list : lists)
    if (list.target == target) return list;
  Allowlist empty;
  empty.target = target;
  return empty;
}

Allowlist leaving_list(const TargetName& target, const Structure& have) {
  Allowlist list;
  list.target = target;
  list.protect = have.protect;
  list.keep = have.keep;
  for (const auto& [slot, ports] : have.slots)
    list.services.push_back({ServiceName(slot), ports, {}});
  return list;
}

std::string held_line(const Change& change) {
  std::string line = std::string(to_string(change.action)) + " " + change.slot.get() + " " +
                     change.prefix.to_string() + " " + to_string(change.ports);
  for (const Prefix& keep : change.keep) line += " " + keep.to_string();
  return line;
}

bool same_place(const Target& a, const Target& b) {
  if (a.type != b.type || a.settings.index() != b.settings.index()) return false;
  const auto& x = std::get<NftablesSettings>(a.settings);
  const auto& y = std::get<NftablesSettings>(b.settings);
  return x.table == y.table && x.netns == y.netns;
}

bool same_settings(const Target& a, const Target& b) {
  if (!same_place(a, b)) return false;
  // `protect` reaches the provider with every list.
  return std::get<NftablesSettings>(a.settings).hooks ==
         std::get<NftablesSettings>(b.settings).hooks;
}

namespace {

/// True when all of these causes were there before `adopted`. Static entries come with the policy.
bool was_due(const std::vector<Attribution>& causes, Instant adopted,
             const std::map<SessionId, Instant>& created) {
  return std::all_of(causes.begin(), causes.end(), [&](const Attribution& cause) {
    if (cause.kind == Attribution::Kind::fixed) return true;
    auto at = created.find(cause.session);
    return at != created.end() && at->second < adopted;
  });
}

/// `desired` without what was never opened; nothing when there is none of it.
std::optional<Canonical> without_never_opened(const Canonical& desired,
                                              std::span<const AppliedEntry> applied,
                                              const Observed& observed, const HeldBefore& held) {
  std::map<SessionId, Instant> created;
  if (held.adopted)
    for (const Session& session : held.sessions) created.emplace(session.id, session.created);
  std::set<std::pair<std::string_view, Prefix>> opened;
  auto look = [&] {
    for (const AppliedEntry& entry : applied) opened.emplace(entry.slot, entry.prefix);
    for (const ObservedSlot& slot : observed.slots)
      for (const ObservedItem& item : slot.items)
        if (item.ours) opened.emplace(slot.name, item.prefix);
    return true;
  };
  bool looked = false;
  auto held_back = [&](const Item& item) {
    return is_wider_than(held.limits, item.prefix) ||
           (held.adopted && was_due(item.causes, *held.adopted, created));
  };
  Canonical before = desired;
  std::size_t missing = 0;
  for (Slot& slot : before.slots)
    missing += std::erase_if(slot.items, [&](const Item& item) {
      if (!held_back(item)) return false;
      looked = looked || look();
      return !opened.contains({slot.name, item.prefix});
    });
  if (missing == 0) return std::nullopt;
  return before;
}

bool asked_for(const std::vector<TargetName>& only, const TargetName& name) {
  return only.empty() || std::find(only.begin(), only.end(), name) != only.end();
}

/// Policies evaluated, each once.
class Evaluated {
 public:
  explicit Evaluated(const PlannerInput& in)
      : live(in.policy, {in.now, in.sessions, in.approvals}), in_(in) {}
  const std::vector<Allowlist>& of(const Policy& policy) {
    auto [at, fresh] = lists_.try_emplace(&policy);
    if (fresh) at->second = evaluate({policy, in_.sessions, in_.now, in_.keep, in_.approvals});
    return at->second;
  }

  LiveSessions live;

 private:
  const PlannerInput& in_;
  std::map<const Policy*, std::vector<Allowlist>> lists_;
};

PlannedTarget plan_one(const PlannerInput& in, const Target& target, Evaluated& evaluated,
                       bool leaving) {
  auto observed = in.observe(target);
  auto applied = in.applied(target.name);
  Provider* provider = in.provider(target);
  Capabilities capabilities = provider != nullptr ? provider->capabilities() : Capabilities{};
  Canonical wanted;
  std::optional<Canonical> had;
  const GuardLimits* limits = nullptr;
  if (provider != nullptr) {
    auto have = observed ? observed->structure : Structure();
    wanted = provider->canonicalize(leaving ? leaving_list(target.name, have)
                                            : list_for(evaluated.of(in.policy), target.name));
    const Policy* other = in.in_force_on ? in.in_force_on(target.name) : in.in_force;
    bool another = other != nullptr && other != &in.policy;
    if (another) limits = &other->guards;
    HeldBefore held{in.policy.guards, std::nullopt, in.sessions};
    if (in.adopted_on) held.adopted = in.adopted_on(target.name);
    if (!leaving)
      had = desired_before(*provider, target.name, another ? &evaluated.of(*other) : nullptr,
                           wanted, applied, observed, held);
  }
  std::vector<GuardTrip> tripped;
  if (in.tripped_on) tripped = in.tripped_on(target.name);
  std::vector<PortRange> before;
  if (in.protected_before) before = in.protected_before(target);
  Tickets tickets;
  if (in.tickets) tickets = in.tickets(target.name);
  auto had_one = [&](const std::string& slot, const Prefix& prefix, const SessionId& session) {
    return tickets.had(slot, prefix, session);
  };
  // All that is asked of the target is known: its own runs wait no longer.
  if (in.release) in.release(target);
  Stewardship stewardship;
  if (in.stewardship)
    stewardship = in.stewardship(target);
  else
    stewardship.orphaned = leaving && target.on_remove == OnRemove::orphan;
  return plan_target(
      {target,       in.policy,   capabilities,    wanted,       had ? &*had : nullptr,
       observed,     applied,     in.now,          in.ended,     false,
       std::nullopt, in.sessions, before,          in.approvals, limits,
       tripped,      had_one,     &evaluated.live, stewardship,  in.operators});
}

/// Whom the plan drains: those that left already, and those that `policy` lets go.
std::vector<Target> leaving_targets(const PlannerInput& in) {
  std::vector<Target> out = in.leaving;
  auto add = [&](const Target& target) {
    bool known = std::any_of(out.begin(), out.end(),
                             [&](const Target& other) { return other.name == target.name; });
    if (!known && in.policy.target(target.name) == nullptr) out.push_back(target);
  };
  if (in.in_force != nullptr)
    std::for_each(in.in_force->targets.begin(), in.in_force->targets.end(), add);
  return out;
}

}  // namespace

std::optional<Canonical> desired_before(const Provider& provider, const TargetName& target,
                                        const std::vector<Allowlist>* other,
                                        const Canonical& desired,
                                        std::span<const AppliedEntry> applied,
                                        const Result<Observed>& observed, const HeldBefore& held) {
  if (other != nullptr) {
    auto had = provider.canonicalize(list_for(*other, target));
    // What that policy never opened is no older than the one that is planned.
    std::optional<Canonical> less;
    if (held.adopted && observed) less = without_never_opened(had, applied, *observed, held);
    return less ? std::move(*less) : std::move(had);
  }
  // The first adoption is no change of policy.
  if (!observed || !observed->exists) return std::nullopt;
  return without_never_opened(desired, applied, *observed, held);
}

bool Tickets::had(const std::string& slot, const Prefix& prefix, const SessionId& session) const {
  if (perhaps.contains(session)) return true;
  auto at = given.find({slot, prefix});
  return at != given.end() && at->second.contains(session);
}

Result<Tickets> tickets_given(const FactStore& store, const TargetName& target, Instant since) {
  KNOCK_ASSIGN(auto stretches, store.applied_with_tickets(target, since));
  Tickets out;
  for (const AppliedInterval& one : stretches)
    for (const Attribution& cause : one.entry.causes)
      if (cause.lasts == Lasts::first_connection)
        out.given[{one.entry.slot, one.entry.prefix}].insert(cause.session);
  return out;
}

std::optional<Instant> replaced_another(const FactStore& store, const PolicyRevision& revision) {
  auto adoption = store.adoption_of(revision);
  if (!adoption || !*adoption) return std::nullopt;
  Instant at = (*adoption)->at;
  // A restart may have recorded the same revision again.
  for (;;) {
    auto before = store.adoption_at({at.ms - 1});
    if (!before || !*before) return std::nullopt;
    if ((*before)->revision != revision) return at;
    at = (*before)->at;
  }
}

namespace {

Change ports_change(Action action, std::vector<PortRange> ports, std::span<const Prefix> keep) {
  Change change;
  change.action = action;
  change.reason = Reason::policy;
  change.step = action == Action::protect ? Step::close_by_policy : Step::open;
  change.ports = std::move(ports);
  change.keep = std::vector<Prefix>(keep.begin(), keep.end());
  return change;
}

/// What is protected by one policy and not by the other at the same place.
TargetPlan protection_of(const PolicyPlanInput& in, const Target& target,
                         const std::vector<PortRange>& wanted,
                         const std::vector<PortRange>& before) {
  TargetPlan out;
  out.target = target.name;
  out.type = target.type;
  if (auto ports = subtract(before, wanted); !ports.empty())
    out.changes.push_back(ports_change(Action::unprotect, std::move(ports), in.keep));
  if (auto ports = subtract(wanted, before); !ports.empty())
    out.changes.push_back(ports_change(Action::protect, std::move(ports), in.keep));
  return out;
}

std::vector<PlannedTarget> protections(const PolicyPlanInput& in) {
  auto wanted = protected_ports(in.policy);
  const Policy& other = in.in_force != nullptr ? *in.in_force : in.policy;
  auto before = protected_ports(other);
  std::vector<PlannedTarget> out;
  for (const Target& target : in.policy.targets) {
    if (!asked_for(in.only, target.name)) continue;
    const Target* was = other.target(target.name);
    bool here = was != nullptr && same_place(*was, target);
    auto index = std::size_t(&target - in.policy.targets.data());
    out.push_back({protection_of(in, target, wanted[index],
                                 here ? before[std::size_t(was - other.targets.data())]
                                      : std::vector<PortRange>()),
                   {}});
  }
  return out;
}

Finding gone(const Target& target) {
  return {Finding::Level::warning, "target.gone", target.name,
          target.on_remove == OnRemove::orphan
              ? "is no longer in the policy: its entries stay until they end there by themselves, "
                "its ports stay protected"
              : "is no longer in the policy: its entries are closed, its ports stay protected"};
}

}  // namespace

Plan plan_of_policies(const PolicyPlanInput& in) {
  Plan plan = assemble(in.in_force != nullptr ? in.in_force->revision : in.policy.revision,
                       in.policy.revision, in.sequence, in.now, protections(in), {});
  plan.edits = policy_delta(in.in_force, in.policy);
  plan.scope.targets = in.only;
  std::sort(plan.scope.targets.begin(), plan.scope.targets.end());
  if (in.in_force == nullptr) return plan;
  for (const Target& target : in.in_force->targets)
    if (in.policy.target(target.name) == nullptr && asked_for(in.only, target.name))
      plan.findings.push_back(gone(target));
  auto pairs = comparisons(*in.in_force, in.policy);
  if (pairs <= kMostComparisons)
    plan.figures = compare_unlisted(*in.in_force, in.policy, in.sources);
  else
    plan.findings.push_back(
        {Finding::Level::warning, "plan.too-many-rules", TargetName(),
         fmt::format("whom this concerns is not worked out: {} pairs of rules would have to be "
                     "compared, and at most {} are",
                     pairs, kMostComparisons)});
  return plan;
}

Plan make_plan(const PlannerInput& in) {
  Evaluated evaluated(in);
  // Before a target is taken for its reading.
  evaluated.of(in.policy);
  if (in.in_force != nullptr) evaluated.of(*in.in_force);
  std::vector<PlannedTarget> targets;
  for (const Target& target : in.policy.targets)
    if (asked_for(in.only, target.name)) targets.push_back(plan_one(in, target, evaluated, false));
  auto leaving = leaving_targets(in);
  for (const Target& target : leaving)
    if (asked_for(in.only, target.name)) targets.push_back(plan_one(in, target, evaluated, true));
  Plan plan = assemble(in.in_force != nullptr ? in.in_force->revision : in.policy.revision,
                       in.policy.revision, in.sequence, in.now, std::move(targets),
                       compare_people({in.in_force, in.policy, in.sessions, in.accounts, in.now,
                                       in.approvals, in.seen, in.sources}));
  plan.edits = policy_delta(in.in_force, in.policy);
  plan.scope.targets = in.only;
  std::sort(plan.scope.targets.begin(), plan.scope.targets.end());
  plan.findings = shared_addresses(evaluated.of(in.policy), in.sessions, in.now, in.only);
  for (const Target& target : leaving) plan.findings.push_back(gone(target));
  return plan;
}

}  // namespace knock
