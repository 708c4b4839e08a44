// SPDX-License-Identifier: Apache-2.0
// A plan becomes calls: intended in the log first, recorded after, and what was not answered is
// remembered until a reading tells.
#include <algorithm>
#include <deque>
#include <iterator>

#include "base/failpoint.h"
#include "reconciler/core/cost.h"
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
  bool healed = false;
  for (const Change& change : plan.changes) {
    if (change.reason != Reason::drift && change.reason != Reason::orphan) continue;
    healed = healed || change.action != Action::report;
    if (change.action == Action::report &&
        !state.refused.insert({change.slot, change.prefix}).second)
      continue;
    facts.push_back(DriftFound{
        plan.target, change.slot, change.prefix,
        change.detail.empty() ? std::string(to_string(change.reason)) : change.detail.get()});
  }
  note_drift(state, healed);
  return facts;
}

Result<Reconciler::Done> Reconciler::execute(TargetState& state, const Run& run,
                                             const TargetPlan& planned) {
  TargetPlan plan = planned;
  std::vector<Fact> facts = drift_facts(state, plan);
  std::erase_if(plan.changes, [](const Change& c) { return c.action == Action::report; });
  leave_out_what_waits(state, run, plan.changes);
  auto left_out = leave_out_rejected(state, plan.changes);
  left_out += leave_out_unpaid(state, plan.changes);
  auto done = left_out > 0 ? Done::in_part : Done::all;
  if (plan.changes.empty()) {
    if (facts.empty()) return done;
    KNOCK_FAILPOINT("loop.before-drift");
    (void)record("core", facts);
    KNOCK_FAILPOINT("loop.after-drift");
    return done;
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
  std::size_t unrecorded = 0;
  if (!recorded)  // no record, no opening; closing goes on
    unrecorded = std::erase_if(plan.changes, [](const Change& c) { return !only_closes(c); });
  if (!plan.changes.empty()) KNOCK_CHECK(apply(state, run, plan, batch, recorded.has_value()));
  if (unrecorded > 0) return tl::unexpected(recorded.error());
  return done;
}

namespace {

/// The target says that the request itself is bad: asking again for the same is no use.
bool is_refusal(ErrorKind kind) {
  return kind == ErrorKind::invalid || kind == ErrorKind::unsupported;
}

/// Those of `all` that are not among `kept`, which is `all` with some taken out.
std::vector<Change> left_out_of(const std::vector<Change>& all, const std::vector<Change>& kept) {
  std::vector<Change> out;
  auto next = kept.begin();
  for (const Change& change : all) {
    bool same = next != kept.end() && next->action == change.action && next->slot == change.slot &&
                next->prefix == change.prefix && next->ports == change.ports;
    if (same)
      ++next;
    else
      out.push_back(change);
  }
  return out;
}

/// Whoever refuses more than this in one run has another trouble than single entries.
constexpr std::size_t kMostRefusals = 16;

/// What is left to do of a plan, as parts that go to the target one after the other. A part that is
/// refused as a whole is tried in halves, until the one change is found that the target does not
/// take; everything before, between and after goes on.
class Parts {
 public:
  explicit Parts(std::vector<Change> all) { parts_.push_back(std::move(all)); }
  bool empty() const { return parts_.empty(); }
  std::vector<Change> next() {
    auto part = std::move(parts_.front());
    parts_.pop_front();
    return part;
  }
  void in_halves(std::vector<Change> part) {
    auto middle = part.begin() + std::ptrdiff_t(part.size() / 2);
    std::vector<Change> second(std::make_move_iterator(middle),
                               std::make_move_iterator(part.end()));
    part.erase(middle, part.end());
    parts_.push_front(std::move(second));
    parts_.push_front(std::move(part));
  }
  void again(std::vector<Change> part) {
    if (!part.empty()) parts_.push_front(std::move(part));
  }
  std::vector<Change> rest() {
    std::vector<Change> out;
    for (auto& part : parts_)
      out.insert(out.end(), std::make_move_iterator(part.begin()),
                 std::make_move_iterator(part.end()));
    parts_.clear();
    return out;
  }

 private:
  std::deque<std::vector<Change>> parts_;
};

}  // namespace

void Reconciler::spend(const TargetState& state, std::size_t calls) {
  Lock lock(mutex_);
  queue_.spend(state.key, calls, clock_.monotonic());
}

Result<Outcome> Reconciler::call(TargetState& state, TargetPlan& part) {
  Structure structure =
      structure_after(state.view ? state.view->structure : Structure(), part.changes);
  spend(state, calls_for(state.capabilities, part.changes).value_or(part.changes.size()));
  KNOCK_FAILPOINT("loop.before-call");
  auto answer =
      state.provider->apply(part, structure, clock_.now(), Deadline::in(settings_.verb_deadline));
  KNOCK_FAILPOINT("loop.after-call");
  return answer;
}

/// Changes whose end is known to be none, or not known.
void Reconciler::give_up(TargetState& state, const Run& run, const std::vector<Change>& changes,
                         std::uint64_t batch, const std::string& why, bool unknown, bool intended) {
  std::vector<Fact> facts;
  for (const Change& change : changes)
    facts.push_back(ChangeRejected{batch, state.name, change, why, unknown});
  if (unknown && intended) remember_unanswered(state, run, changes, batch);
  KNOCK_FAILPOINT_SILENT("loop.before-rejected");
  (void)record("core", facts);
  KNOCK_FAILPOINT_SILENT("loop.after-rejected");
}

/// In one call, or in as many as it takes to find what the target refuses.
Status Reconciler::apply(TargetState& state, const Run& run, TargetPlan plan, std::uint64_t batch,
                         bool intended) {
  let_outer_close_first(state, run, plan.changes);
  Parts parts(std::move(plan.changes));
  Status result;
  std::size_t refusals = 0;
  auto refuse = [&](const Change& change, const std::string& why) {
    if ((!reject(state, change, why) || ++refusals > kMostRefusals) && result)
      result = fail(ErrorKind::unavailable, "apply: " + why);
  };
  while (!parts.empty()) {
    TargetPlan part = plan;
    part.changes = parts.next();
    auto before = part.changes;
    if (refusals > 0) leave_out_rejected(state, part.changes);
    if (before.size() > part.changes.size())
      give_up(state, run, left_out_of(before, part.changes), batch,
              "left out: what should stand before was refused", false, intended);
    if (part.changes.empty()) continue;
    if (state.view) part.fence = state.view->fence;
    auto outcome = call(state, part);
    if (!outcome && is_refusal(outcome.error().kind) && refusals <= kMostRefusals) {
      if (part.changes.size() > 1) {
        parts.in_halves(std::move(part.changes));
        continue;
      }
      give_up(state, run, part.changes, batch, outcome.error().text(), false, intended);
      refuse(part.changes[0], outcome.error().text());
      continue;
    }
    if (!outcome) {
      give_up(state, run, part.changes, batch, outcome.error().text(),
              effect_is_unknown(outcome.error().kind), intended);
      give_up(state, run, parts.rest(), batch, "not tried: " + outcome.error().text(), false,
              intended);
      return fail_within("apply", outcome);
    }
    outcome->steps.resize(part.changes.size(), {StepOutcome::Kind::not_tried, "no answer for it"});
    bool refused = std::any_of(outcome->steps.begin(), outcome->steps.end(), [](const auto& step) {
      return step.kind == StepOutcome::Kind::rejected;
    });
    auto untried = note_outcome(state, run, part, batch, *outcome, refused);
    for (std::size_t i = 0; i < part.changes.size(); ++i)
      if (outcome->steps[i].kind == StepOutcome::Kind::rejected)
        refuse(part.changes[i], outcome->steps[i].why);
      else if (outcome->steps[i].kind == StepOutcome::Kind::unknown && result)
        result = fail(ErrorKind::unavailable, "apply: " + outcome->steps[i].why);
      else if (outcome->steps[i].kind == StepOutcome::Kind::not_tried && !refused && result)
        result = fail(ErrorKind::unavailable, "apply: " + outcome->steps[i].why);
    parts.again(std::move(untried));
    if (parts.empty()) break;
    if (!result || !state.view) {  // what stands there now has to be read first
      give_up(state, run, parts.rest(), batch, "not tried: the target is read again first", false,
              intended);
      if (result) result = fail(ErrorKind::conflict, "apply: the target is read again first");
    }
  }
  return result;
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
      state.rejected.erase(key);
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
      state.rejected.erase(key);
      if (!state.no_room.empty()) mark(state, std::nullopt, Urgency::sign_in);
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

/// Returns what was not tried because something before it was refused (`refused`): it is still to
/// be done.
std::vector<Change> Reconciler::note_outcome(TargetState& state, const Run& run,
                                             const TargetPlan& plan, std::uint64_t batch,
                                             const Outcome& outcome, bool refused) {
  std::vector<Fact> facts;
  std::vector<Change> done, unknown, untried;
  {
    Lock lock(mutex_);
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
      if (step.kind == StepOutcome::Kind::not_tried && refused) {
        untried.push_back(change);
        continue;
      }
      bool unclear = step.kind == StepOutcome::Kind::unknown;
      facts.push_back(ChangeRejected{batch, plan.target, change, step.why, unclear});
      if (unclear) unknown.push_back(change);
    }
    if (state.view) state.view->structure = structure_after(state.view->structure, done);
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
  return untried;
}

}  // namespace knock
