// SPDX-License-Identifier: Apache-2.0
// Commit-confirm: what a policy changed is confirmed in time, or this target returns to the policy
// before. The steps are those of reconciler/core/confirm.h; here they are written down and acted on.
#include "reconciler/loop/confirm.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {
namespace {

constexpr Duration kProbeAgain = Duration::seconds(5);

Fact due_fact(const Confirmation& c) {
  return ConfirmationDue{c.target, c.policy, c.previous, c.due, c.plan};
}

std::string address_text(const GuardLimits::Probe& probe) {
  bool v6 = probe.address->family() == Family::v6;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", probe.address->to_string(), v6 ? "]" : "",
                     probe.port);
}

}  // namespace

// ---- after a restart ----

void Reconciler::know_previous(std::shared_ptr<const Policy> policy) {
  Lock lock(mutex_);
  previous_[policy->revision] = std::move(policy);
}

/// Of a target that is new to this process. With the mutex; `policy_` is set.
void Reconciler::restore_confirmation(TargetState& state) {
  auto known = confirmations_.extract(state.name);
  if (!known) return;
  auto previous = previous_.find(known.mapped().previous);
  if (previous == previous_.end()) {
    log(LogLevel::error, "policy.previous-gone",
        "A target should return to a policy whose files are gone: it stays with the one in force.",
        {{"target", state.name.value}, {"previous", known.mapped().previous.value}});
    return;
  }
  state.confirm.now = std::move(known.mapped());
  state.confirm.previous = previous->second;
  if (!state.confirm.waits()) return go_back(state);
  if (const auto* asked = confirm_on(state.name, *policy_, state.confirm.previous.get()))
    state.confirm.probe = asked->probe;
  unconfirmed_.insert(state.name);
}

/// From here on it is the policy before that holds there.
void Reconciler::go_back(TargetState& state) const {
  state.confirm.now->state = Confirmation::State::returned;
  state.confirm.previous =
      std::make_shared<const Policy>(returned_policy(*state.confirm.previous, *policy_));
}

/// A revision came into force, perhaps the same one again: what was taken back is tried again.
void Reconciler::try_again(TargetState& state) {
  if (state.confirm.instead() == nullptr) return;
  state.confirm = {};
}

std::shared_ptr<const Policy> Reconciler::policy_on(const TargetState& state) const {
  const auto& instead = state.confirm.instead();
  return instead != nullptr ? instead : policy_;
}

// ---- a run ----

/// Before the changes: written first, so that a crash in between forgets nothing. Without the
/// record nothing is changed by policy.
Status Reconciler::ask_confirmation(TargetState& state, const Run& run, TargetPlan& plan) {
  if (run.leaving || run.returning || run.custody.releasing) return {};
  std::optional<Confirmation> due;
  std::shared_ptr<const Policy> previous = run.in_force;
  {
    Lock lock(mutex_);
    due = due_confirmation(plan, *run.policy, run.in_force.get(), state.confirm.now, run.now);
    if (!due) return {};
    if (state.confirm.waits()) previous = state.confirm.previous;
  }
  auto written = record("core", {due_fact(*due)});
  if (!written) {
    std::erase_if(plan.changes, [](const Change& c) { return c.reason == Reason::policy; });
    return written;
  }
  Lock lock(mutex_);
  const auto* asked = confirm_on(state.name, *run.policy, run.in_force.get());
  state.confirm = {std::move(due), previous, asked->probe, false, std::nullopt, ""};
  unconfirmed_.insert(state.name);
  wake_timer();
  log(LogLevel::warning, "policy.confirmation-due",
      "A policy's changes on a target must be confirmed, or they are taken back.",
      {{"target", state.name.value},
       {"policy", run.policy->revision.value},
       {"until", to_string(state.confirm.now->due)},
       {"id", state.confirm.now->plan.substr(0, 16)}});
  return {};
}

/// After a good run that read the whole target. Without the mutex.
void Reconciler::look_for_confirmation(TargetState& state) {
  GuardLimits::Probe probe;
  Confirmation asked;
  {
    Lock lock(mutex_);
    TargetConfirm& confirm = state.confirm;
    if (!confirm.waits()) return;
    if (!std::exchange(confirm.applied, true)) {  // the next reading is the one that counts
      if (confirm.probe) mark(state, std::nullopt, Urgency::policy);
      return;
    }
    if (!confirm.probe || (confirm.probe_at && *confirm.probe_at > clock_.monotonic())) return;
    if (is_over(*confirm.now, clock_.now())) return;
    probe = *confirm.probe;
    asked = *confirm.now;
  }
  Status reached;
  if (probe.address)
    reached =
        settings_.connect
            ? settings_.connect(*probe.address, probe.port, Deadline::in(settings_.verb_deadline))
            : fail(ErrorKind::unsupported, "this controller makes no connections");
  if (reached) return (void)confirmed("core", asked, "probe");
  Lock lock(mutex_);
  if (state.confirm.now != asked) return;
  state.confirm.problem =
      fmt::format("nothing answers at {}: {}", address_text(probe), reached.error().text());
  state.confirm.probe_at = clock_.monotonic() + kProbeAgain.chrono();
  wake_timer();
}

Status Reconciler::confirmed(const Actor& actor, const Confirmation& asked, const char* how) {
  KNOCK_CHECK(record(actor, {PolicyConfirmed{asked.target, asked.policy, how}}));
  Lock lock(mutex_);
  auto at = targets_.find(asked.target);
  if (at == targets_.end() || at->second->confirm.now != asked) return {};
  at->second->confirm = {};
  unconfirmed_.erase(asked.target);
  return {};
}

Result<std::vector<Confirmation>> Reconciler::confirm(const Actor& actor, std::string_view id) {
  std::vector<Confirmation> named;
  std::string waiting;
  {
    Lock lock(mutex_);
    for (const TargetName& name : unconfirmed_) {
      auto at = targets_.find(name);
      if (at == targets_.end() || !at->second->confirm.waits()) continue;
      const Confirmation& one = *at->second->confirm.now;
      if (is_over(one, clock_.now())) continue;
      if (names_confirmation(id, one)) named.push_back(one);
      waiting +=
          fmt::format("{}{} ({})", waiting.empty() ? "" : ", ", one.plan.substr(0, 16), name.value);
    }
  }
  if (named.empty())
    return fail(ErrorKind::not_found,
                waiting.empty()
                    ? "nothing waits for a confirmation"
                    : "that names nothing that waits for a confirmation; there is " + waiting);
  for (const Confirmation& one : named) KNOCK_CHECK(confirmed(actor, one, "operator"));
  return named;
}

Status Reconciler::apply_again(const Actor& actor) {
  KNOCK_ASSIGN(auto known, store_.confirmations());
  bool returned = std::any_of(known.begin(), known.end(), [](const Confirmation& one) {
    return one.state == Confirmation::State::returned;
  });
  auto in_force = policy();
  if (!returned || in_force == nullptr) return {};
  KNOCK_ASSIGN(auto adopted, store_.adopted_policy());
  if (!adopted || adopted->revision != in_force->revision) return {};
  KNOCK_CHECK(record(actor, {PolicyAdopted{adopted->revision, adopted->revision, adopted->author,
                                           adopted->subject, ""}}));
  Lock lock(mutex_);
  for (auto& [name, state] : targets_) {
    if (state->confirm.instead() == nullptr) continue;
    try_again(*state);
    mark_at_once(*state, Urgency::policy);
  }
  return {};
}

// ---- time ----

/// Takes back what was not confirmed in time, and looks again where a probe failed. Returns when
/// there is more to do.
MonotonicTime Reconciler::end_confirmations(Lock& lock) {
  auto now = clock_.now();
  auto monotonic = clock_.monotonic();
  auto next = MonotonicTime::max();
  std::vector<Fact> facts;
  std::vector<TargetName> over;
  for (const TargetName& name : unconfirmed_) {
    auto at = targets_.find(name);
    if (at == targets_.end() || !at->second->confirm.waits()) {
      over.push_back(name);
      continue;
    }
    TargetState& state = *at->second;
    TargetConfirm& confirm = state.confirm;
    if (is_over(*confirm.now, now)) {
      over.push_back(name);
      go_back(state);
      confirm.now->policy = policy_->revision;
      facts.push_back(PolicyReturned{name, confirm.now->policy, confirm.now->previous});
      log(LogLevel::error, "policy.returned",
          "A policy's changes were not confirmed in time: the target returns to the policy before.",
          {{"target", name.value},
           {"policy", confirm.now->policy.value},
           {"previous", confirm.now->previous.value},
           {"problem", confirm.problem}});
      mark_at_once(state, Urgency::policy);
      continue;
    }
    auto left = std::min(confirm.now->due - now, settings_.look_at_clock_every);
    next = std::min(next, monotonic + left.chrono());
    if (!confirm.probe_at) continue;
    if (*confirm.probe_at <= monotonic) {
      confirm.probe_at.reset();
      mark(state, std::nullopt, Urgency::policy);
    } else {
      next = std::min(next, *confirm.probe_at);
    }
  }
  for (const TargetName& name : over) unconfirmed_.erase(name);
  if (facts.empty()) return next;
  lock.unlock();
  // Without the record the target returns all the same: a restart finds it overdue.
  (void)record("core", facts);
  lock.lock();
  return next;
}

}  // namespace knock
