// SPDX-License-Identifier: Apache-2.0
// Plans for people: what a policy would do, and a yes to what is held back. Reads targets; a yes
// marks them.
#include <algorithm>

#include "base/failpoint.h"
#include "reconciler/loop/borrowed.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {

void Reconciler::give_back(TargetState& state) {
  Lock lock(mutex_);
  queue_.release(state.key);
  keep_up();
  settled_.notify_all();
}

Result<Observed> Reconciler::observe_for_plan(const Target& target, Borrowed& borrowed) {
  Lock lock(mutex_);
  if (stopping_) return fail(ErrorKind::unavailable, "the controller is stopping");
  auto at = targets_.find(target.name);
  bool ours = at != targets_.end() && at->second->provider != nullptr &&
              same_settings(at->second->made_for, target);
  if (!ours) {
    lock.unlock();
    auto made = factory_(target, [](const TargetName&) {});
    if (!made) return fail_within("target " + target.name.value, made);
    Provider& provider = *(borrowed.own[target.name] = std::move(*made));
    if (borrowed.new_targets == NewTargets::not_read) {
      borrowed.not_read.push_back(target.name);
      Observed nothing;
      nothing.at = clock_.now();
      return nothing;
    }
    return provider.observe(Deadline::in(settings_.verb_deadline));
  }
  // A run is four verbs at most.
  bool free =
      (alone() && !busy(*at->second)) ||
      settled_.wait_until(lock, Deadline::in(Duration{4 * settings_.verb_deadline.ms}).at, [&] {
        at = targets_.find(target.name);
        return stopping_ || at == targets_.end() || !busy(*at->second);
      });
  if (!free) return fail(ErrorKind::unavailable, "the target is busy; try again");
  if (stopping_ || at == targets_.end() || at->second->provider == nullptr)
    return fail(ErrorKind::unavailable, "the target is going away");
  TargetState& state = *at->second;
  (void)queue_.claim(state.key);  // it was free just now
  borrowed.taken[target.name] = &state;
  lock.unlock();
  return state.provider->observe(Deadline::in(settings_.verb_deadline));
}

Result<Plan> Reconciler::plan(const Policy& candidate, std::span<const TargetName> only,
                              NewTargets new_targets, const WhatIf& what_if) {
  Instant now = what_if.at.value_or(clock_.now());
  auto sessions = what_if.people ? what_if.people->sessions : live_sessions();
  if (what_if.at)
    std::erase_if(sessions, [&](const Session& session) { return !session.live_at(now); });
  KNOCK_ASSIGN(auto accounts, store_.accounts());
  KNOCK_ASSIGN(auto seen, store_.sessions(kMostSeen));
  KNOCK_ASSIGN(auto head, store_.head());
  std::shared_ptr<const Policy> in_force;
  std::map<TargetName, std::shared_ptr<const Policy>> in_force_on;
  std::map<TargetName, std::optional<Instant>> adopted_on;
  std::map<TargetName, std::vector<GuardTrip>> tripped_on;
  std::map<TargetName, std::pair<Target, std::vector<PortRange>>> protection;
  std::vector<Target> leaving;
  {
    Lock lock(mutex_);
    in_force = policy_;
    for (const auto& [name, state] : targets_) {
      in_force_on[name] = state->in_force;
      adopted_on[name] = state->adopted;
      if (state->tripped_for != nullptr && state->tripped_for->revision == candidate.revision)
        tripped_on[name] = state->status.guards;
      protection.emplace(name, std::pair(state->made_for, state->protected_before));
      if (state->leaving) leaving.push_back(state->made_for);
    }
  }
  std::erase_if(leaving,
                [&](const Target& target) { return candidate.target(target.name) != nullptr; });
  Borrowed borrowed{*this, new_targets, {}, {}, {}};
  PlannerInput input{candidate,
                     nullptr,
                     sessions,
                     accounts,
                     settings_.keep,
                     now,
                     head,
                     {},
                     {},
                     {},
                     {},
                     {only.begin(), only.end()},
                     {},
                     std::move(leaving),
                     {}};
  input.seen = seen;
  auto operators = what_if.given() ? std::vector<OperatorHere>()
                                   : operators_among(settings_.operators, sessions, now);
  input.operators = operators;
  input.sources = settings_.sign_ins;
  if (in_force != nullptr && in_force->revision != candidate.revision)
    input.in_force = in_force.get();
  input.in_force_on = [&](const TargetName& name) -> const Policy* {
    auto at = in_force_on.find(name);
    const Policy* policy = at == in_force_on.end() ? input.in_force : at->second.get();
    // What is planned may be another copy of what is in force.
    return policy != nullptr && policy->revision == candidate.revision ? nullptr : policy;
  };
  input.tripped_on = [&](const TargetName& name) { return tripped_on[name]; };
  input.adopted_on = [&](const TargetName& name) { return adopted_on[name]; };
  input.protected_before = [&](const Target& target) {
    auto at = protection.find(target.name);
    bool here = at != protection.end() && same_place(at->second.first, target);
    return here ? at->second.second : std::vector<PortRange>();
  };
  input.ended = [this](const SessionId& id) { return ended(id); };
  input.applied = [this](const TargetName& name) {
    auto rows = store_.applied(name);
    return rows ? std::move(*rows) : std::vector<AppliedEntry>();
  };
  input.tickets = [&](const TargetName& name) {
    Lock lock(mutex_);
    auto at = targets_.find(name);
    return at == targets_.end() ? Tickets() : at->second->tickets;
  };
  input.observe = [&](const Target& target) { return observe_for_plan(target, borrowed); };
  input.provider = [&](const Target& target) { return borrowed.provider(target.name); };
  input.stewardship = [&](const Target& target) {
    Lock lock(mutex_);
    auto at = targets_.find(target.name);
    bool leaving = candidate.target(target.name) == nullptr;
    return at == targets_.end() ? Custody().stewardship(target, leaving)
                                : at->second->custody.stewardship(target, leaving);
  };
  input.release = [&](const Target& target) { borrowed.release(target.name); };
  if (what_if.people) input.approvals = what_if.people->approvals;
  auto plan = make_plan(input);
  plan.scope.what_if = what_if.given();
  for (const TargetName& name : borrowed.not_read)
    plan.findings.push_back({Finding::Level::note, "target.not-read", name,
                             "is not in force as it stands there, so it was not read: it is "
                             "planned as if it held nothing"});
  return plan;
}

Result<Plan> Reconciler::plan_shape(const Policy& candidate, std::span<const TargetName> only) {
  KNOCK_ASSIGN(auto head, store_.head());
  auto in_force = policy();
  bool another = in_force != nullptr && in_force->revision != candidate.revision;
  return plan_of_policies({candidate,
                           another ? in_force.get() : nullptr,
                           settings_.keep,
                           settings_.sign_ins,
                           clock_.now(),
                           head,
                           {only.begin(), only.end()}});
}

Status Reconciler::acknowledge(const Actor& actor, std::string_view plan_id) {
  auto in_force = policy();
  if (in_force == nullptr) return fail(ErrorKind::not_found, "no policy is in force");
  KNOCK_ASSIGN(auto plan, this->plan(*in_force));
  if (!names_plan(plan_id, plan.id))
    return fail(ErrorKind::conflict, "that names another plan than the one that waits now (" +
                                         to_hex(plan.id).substr(0, 16) + "); look at it again");
  std::vector<Fact> facts;
  for (const TargetPlan& target : plan.targets)
    if (!target.held.empty()) facts.push_back(GuardAcknowledged{to_hex(plan.id), target.target});
  KNOCK_FAILPOINT("guard.before-acknowledge");
  KNOCK_CHECK(record(actor, facts));
  KNOCK_FAILPOINT("guard.after-acknowledge");
  Lock lock(mutex_);
  if (policy_ != in_force)
    return fail(ErrorKind::conflict, "another policy was adopted meanwhile; look at its plan");
  for (const TargetPlan& target : plan.targets) {
    auto at = targets_.find(target.target);
    if (target.held.empty() || at == targets_.end()) continue;
    at->second->acknowledged_for = in_force;
    for (const Change& change : target.held) at->second->acknowledged.insert(held_line(change));
    mark_at_once(*at->second, Urgency::policy);
  }
  return {};
}

}  // namespace knock
