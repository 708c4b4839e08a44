// SPDX-License-Identifier: Apache-2.0
// A plan becomes calls: intended in the log first, recorded after, and what was not answered is
// remembered until a reading tells.
#include <algorithm>

#include "base/failpoint.h"
#include "reconciler/core/guard.h"
#include "reconciler/loop/due.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {
namespace {

/// What still happens when the log cannot be written. Structure is neither: `protect` without the
/// entries that could not be added would shut people out.
bool only_closes(const Change& change) {
  return change.action == Action::remove || change.action == Action::shorten;
}

/// True when a call that failed this way may have had its effect.
bool effect_is_unknown(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::timeout:
    case ErrorKind::unavailable:
    case ErrorKind::internal:
      return true;
    case ErrorKind::invalid:
    case ErrorKind::not_found:
    case ErrorKind::unauthorized:
    case ErrorKind::conflict:
    case ErrorKind::rate_limited:
    case ErrorKind::unsupported:
      return false;
  }
  return true;
}

}  // namespace

/// What somebody else did, as facts; that an entry was refused is one only when it is news.
std::vector<Fact> Reconciler::drift_facts(TargetState& state, const TargetPlan& plan) {
  std::vector<Fact> facts;
  Lock lock(mutex_);
  for (const Change& change : plan.changes) {
    if (change.reason != Reason::drift && change.reason != Reason::orphan) continue;
    if (change.action == Action::report &&
        !state.refused.insert({change.slot, change.prefix}).second)
      continue;
    facts.push_back(DriftFound{
        plan.target, change.slot, change.prefix,
        change.detail.empty() ? std::string(to_string(change.reason)) : change.detail.get()});
  }
  return facts;
}

Status Reconciler::execute(TargetState& state, const Run& run, const TargetPlan& planned) {
  TargetPlan plan = planned;
  std::vector<Fact> facts = drift_facts(state, plan);
  std::erase_if(plan.changes, [](const Change& c) { return c.action == Action::report; });
  leave_out_what_waits(state, run, plan.changes);
  if (plan.changes.empty()) {
    if (facts.empty()) return {};
    KNOCK_FAILPOINT("loop.before-drift");
    (void)record("core", facts);
    KNOCK_FAILPOINT("loop.after-drift");
    return {};
  }
  std::uint64_t batch;
  {
    Lock lock(mutex_);
    batch = next_batch_++;
  }
  for (const Change& change : plan.changes)
    facts.push_back(ChangeIntended{batch, plan.target, run.policy->revision, change});
  KNOCK_FAILPOINT("loop.before-intent");
  auto recorded = record("core", facts);
  KNOCK_FAILPOINT("loop.after-intent");
  std::size_t left_out = 0;
  if (!recorded)  // no record, no opening; closing goes on
    left_out = std::erase_if(plan.changes, [](const Change& c) { return !only_closes(c); });
  if (!plan.changes.empty()) KNOCK_CHECK(apply(state, run, plan, batch, recorded.has_value()));
  if (left_out > 0) return recorded;
  return {};
}

Status Reconciler::apply(TargetState& state, const Run& run, const TargetPlan& plan,
                         std::uint64_t batch, bool intended) {
  let_outer_close_first(state, run, plan.changes);
  Structure structure =
      structure_after(state.view ? state.view->structure : Structure(), plan.changes);
  auto outcome = [&]() -> Result<Outcome> {
    KNOCK_FAILPOINT("loop.before-call");
    auto answer =
        state.provider->apply(plan, structure, clock_.now(), Deadline::in(settings_.verb_deadline));
    KNOCK_FAILPOINT("loop.after-call");
    return answer;
  }();
  if (!outcome) {
    bool unknown = effect_is_unknown(outcome.error().kind);
    std::vector<Fact> rejected;
    for (const Change& change : plan.changes)
      rejected.push_back(
          ChangeRejected{batch, plan.target, change, outcome.error().text(), unknown});
    if (unknown && intended) remember_unanswered(state, run, plan.changes, batch);
    KNOCK_FAILPOINT("loop.before-rejected");
    (void)record("core", rejected);
    KNOCK_FAILPOINT("loop.after-rejected");
    return fail_within("apply", outcome);
  }
  outcome->steps.resize(plan.changes.size(), {StepOutcome::Kind::not_tried, "no answer for it"});
  note_outcome(state, run, plan, batch, *outcome);
  for (const StepOutcome& step : outcome->steps)
    if (step.kind != StepOutcome::Kind::done)
      return fail(ErrorKind::unavailable, "apply: " + step.why);
  return {};
}

void Reconciler::remember_unanswered(TargetState& state, const Run& run,
                                     const std::vector<Change>& changes, std::uint64_t batch) {
  Lock lock(mutex_);
  for (const Change& change : changes)
    state.unanswered.push_back({batch, state.name, run.policy->revision, change});
}

void Reconciler::measure(const TargetState& state, const Change& change) const {
  if (settings_.meter == nullptr) return;
  double seconds = std::chrono::duration<double>(clock_.monotonic() - state.run_since).count();
  if (change.action == Action::add && change.reason == Reason::sign_in)
    settings_.meter->granted(state.name, seconds);
  if (change.action == Action::remove &&
      (change.reason == Reason::sign_out || change.reason == Reason::revoked))
    settings_.meter->revoked(state.name, seconds);
}

/// With the mutex.
void Reconciler::note_tickets(TargetState& state, const Change& change) {
  for (const Attribution& cause : change.causes)
    if (cause.lasts == Lasts::first_connection)
      state.tickets.given[{change.slot, change.prefix}].insert(cause.session);
}

/// One change that was done, in what we know of the target. With the mutex.
void Reconciler::note_done(TargetState& state, const Run& run, const Change& change) {
  TargetState::Key key{change.slot, change.prefix};
  switch (change.action) {
    case Action::add:
    case Action::extend:
    case Action::shorten: {
      auto [at, fresh] = state.applied.try_emplace(key);
      AppliedEntry& entry = at->second;
      // As the store projects it.
      if (fresh || entry.until <= run.now) entry.since = run.now;
      int readded = fresh ? 0 : entry.readded;
      if (change.action == Action::add) readded = change.reason == Reason::drift ? readded + 1 : 0;
      entry = {state.name,  change.slot,          change.prefix, *change.until,
               entry.since, run.policy->revision, change.causes, readded};
      note_tickets(state, change);
      state.refused.erase(key);
      wake_outer(state, change);
      due_at({*change.until, {}, state.name, change.slot, change.prefix});
      if (!state.view) break;
      ObservedItem item;
      item.prefix = change.prefix;
      item.ours = true;
      item.until = change.until;
      item.lasts = change.lasts;
      item.come_by = change.come_by;
      item.handle = change.handle;
      state.view->slots[change.slot][change.prefix] = std::move(item);
      break;
    }
    case Action::remove:
      state.applied.erase(key);
      if (state.view) state.view->slots[change.slot].erase(change.prefix);
      break;
    case Action::protect:
    case Action::unprotect:
      note_protection(state.protected_before, change);
      [[fallthrough]];
    case Action::keep:
    case Action::reshape:
      if (state.view) state.view->exists = true;
      break;
    case Action::report:
      break;
  }
}

void Reconciler::note_outcome(TargetState& state, const Run& run, const TargetPlan& plan,
                              std::uint64_t batch, const Outcome& outcome) {
  std::vector<Fact> facts;
  std::vector<Change> done, unknown;
  {
    Lock lock(mutex_);
    if (state.view) state.view->structure = structure_after(state.view->structure, plan.changes);
    for (std::size_t i = 0; i < plan.changes.size(); ++i) {
      const Change& change = plan.changes[i];
      const StepOutcome& step = outcome.steps[i];
      if (step.kind == StepOutcome::Kind::done) {
        facts.push_back(ChangeApplied{batch, plan.target, run.policy->revision, change});
        done.push_back(change);
        measure(state, change);
        note_done(state, run, change);
        continue;
      }
      bool unclear = step.kind == StepOutcome::Kind::unknown;
      facts.push_back(ChangeRejected{batch, plan.target, change, step.why, unclear});
      if (unclear) unknown.push_back(change);
    }
    if (outcome.fence.empty())
      state.view.reset();
    else if (state.view)
      state.view->fence = outcome.fence;
    settled_.notify_all();
  }
  remember_unanswered(state, run, unknown, batch);
  KNOCK_FAILPOINT_SILENT("loop.before-record");
  // An answer that could not be written is found again by the next reading.
  if (!record("core", facts)) remember_unanswered(state, run, done, batch);
  KNOCK_FAILPOINT_SILENT("loop.after-record");
}

}  // namespace knock
