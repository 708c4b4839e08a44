// SPDX-License-Identifier: Apache-2.0
// A plan becomes calls: intended in the log first, recorded after, and what was not answered is
// remembered until a reading tells.
#include <algorithm>
#include <deque>
#include <numeric>

#include "base/failpoint.h"
#include "reconciler/core/cost.h"
#include "reconciler/core/guard.h"
#include "reconciler/core/needs.h"
#include "reconciler/core/order.h"
#include "reconciler/loop/due.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {
namespace {

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
  // No record, no opening; closing goes on. Structure is neither: `protect` without the entries that
  // could not be added would shut people out.
  if (!recorded)
    unrecorded = std::erase_if(plan.changes, [](const Change& c) { return !takes_away(c); });
  if (!plan.changes.empty()) {
    KNOCK_ASSIGN(auto came, apply(state, run, plan, batch, recorded.has_value()));
    if (came == Done::in_part) done = Done::in_part;
  }
  if (unrecorded > 0) return tl::unexpected(recorded.error());
  return done;
}

namespace {

/// The target says that the request itself is bad: asking again for the same is no use.
bool is_refusal(ErrorKind kind) {
  return kind == ErrorKind::invalid || kind == ErrorKind::unsupported;
}

/// Whoever refuses more than this in one run has another trouble than single entries.
constexpr std::size_t kMostRefusals = 16;

/// While a target refuses single changes, this long at most before it is looked at anew.
constexpr auto kLongestSearch = std::chrono::seconds(10);

/// What is left to do of a plan, as parts that go to the target one after the other. A part that is
/// refused as a whole is tried in halves, until the one change is found that the target does not
/// take. What needs that change is left out with it; everything else goes on.
class Parts {
 public:
  using Indices = std::vector<std::uint32_t>;

  Parts(const std::vector<Change>& all, const Structure& have)
      : all_(all), have_(have), over_(all.size()) {
    Indices indices(all.size());
    std::iota(indices.begin(), indices.end(), 0u);
    parts_.push_back(std::move(indices));
  }

  /// Empty: nothing is left.
  Indices next() {
    while (!parts_.empty()) {
      auto part = std::move(parts_.front());
      parts_.pop_front();
      std::erase_if(part, [&](auto i) { return over_[i]; });
      if (!part.empty()) return part;
    }
    return {};
  }
  void done(const Indices& part) {
    for (auto i : part) over_[i] = true;
  }
  void in_halves(const Indices& part) {
    auto middle = part.begin() + std::ptrdiff_t(part.size() / 2);
    parts_.push_front({middle, part.end()});
    parts_.push_front({part.begin(), middle});
  }
  /// Nothing became of these.
  void try_again(Indices part) {
    if (!part.empty()) parts_.push_front(std::move(part));
  }
  /// This one was refused. Returns what is left out because it needs it.
  std::vector<Change> refused(std::uint32_t index) {
    if (!needs_) needs_ = needs_of(all_, have_, nullptr);
    std::vector<bool> with_it(all_.size());
    add_with_what_needs(*needs_, with_it, std::span(&index, 1));
    std::vector<Change> out;
    for (std::uint32_t i = 0; i < all_.size(); ++i) {
      if (!with_it[i]) continue;
      if (!over_[i] && i != index) out.push_back(all_[i]);
      over_[i] = true;
    }
    return out;
  }
  std::vector<Change> rest() {
    std::vector<Change> out;
    for (auto part = next(); !part.empty(); part = next())
      for (auto i : part) out.push_back(all_[i]);
    return out;
  }

 private:
  const std::vector<Change>& all_;
  const Structure have_;
  std::vector<bool> over_;  // done, refused, or left out
  std::optional<std::vector<Need>> needs_;
  std::deque<Indices> parts_;
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

/// While single changes are looked for: something must close, the account has no calls left, or it
/// takes too long.
bool Reconciler::must_stop_searching(const TargetState& state, MonotonicTime began) const {
  Lock lock(mutex_);
  auto now = clock_.monotonic();
  return queue_.closing(state.key) || now - began > kLongestSearch ||
         queue_.affordable(state.key, true, now) == 0;
}

/// The rest at the next run, without a pause.
void Reconciler::put_off(TargetState& state) {
  Lock lock(mutex_);
  state.dirty = true;
  queue_.mark(state.key, Urgency::sign_in, state.run_since);
}

/// In one call, or in as many as it takes to find what the target refuses.
Result<Reconciler::Done> Reconciler::apply(TargetState& state, const Run& run, TargetPlan plan,
                                           std::uint64_t batch, bool intended) {
  let_outer_close_first(state, run, plan.changes);
  const auto all = std::move(plan.changes);
  Parts parts(all, state.view ? state.view->structure : Structure());
  Status result;
  std::size_t refusals = 0;
  bool searching = false, stopped = false;
  auto began = clock_.monotonic();
  auto give_up_rest = [&](const std::string& why) {
    give_up(state, run, parts.rest(), batch, "not tried: " + why, false, intended);
  };
  auto refuse = [&](std::uint32_t index, const std::string& why) {
    ++refusals;
    auto with_it = parts.refused(index);
    give_up(state, run, with_it, batch, "left out: what it needs was refused", false, intended);
    if (!reject(state, all[index], why) && result)
      result = fail(ErrorKind::unavailable, "apply: " + why);
  };
  for (auto indices = parts.next(); !indices.empty(); indices = parts.next()) {
    TargetPlan part = plan;
    part.changes.clear();
    for (auto i : indices) part.changes.push_back(all[i]);
    if (state.view) part.fence = state.view->fence;
    auto outcome = call(state, part);
    if (!outcome && is_refusal(outcome.error().kind)) {
      if (indices.size() > 1) {
        parts.in_halves(indices);
        searching = true;
      } else {
        give_up(state, run, part.changes, batch, outcome.error().text(), false, intended);
        refuse(indices[0], outcome.error().text());
      }
    } else if (!outcome) {
      parts.done(indices);
      give_up(state, run, part.changes, batch, outcome.error().text(),
              effect_is_unknown(outcome.error().kind), intended);
      give_up_rest(outcome.error().text());
      return fail_within("apply", outcome);
    } else {
      outcome->steps.resize(indices.size(), {StepOutcome::Kind::not_tried, "no answer for it"});
      auto is = [&](std::size_t i, StepOutcome::Kind kind) {
        return outcome->steps[i].kind == kind;
      };
      bool refused = false;
      for (std::size_t i = 0; i < indices.size(); ++i)
        refused = refused || is(i, StepOutcome::Kind::rejected);
      note_outcome(state, run, part, batch, *outcome, refused);
      Parts::Indices tried, untried;
      for (std::size_t i = 0; i < indices.size(); ++i)
        (is(i, StepOutcome::Kind::not_tried) && refused ? untried : tried).push_back(indices[i]);
      parts.done(tried);
      for (std::size_t i = 0; i < indices.size(); ++i) {
        if (is(i, StepOutcome::Kind::done)) continue;
        if (is(i, StepOutcome::Kind::rejected))
          refuse(indices[i], outcome->steps[i].why);
        else if (!(is(i, StepOutcome::Kind::not_tried) && refused) && result)
          result = fail(ErrorKind::unavailable, "apply: " + outcome->steps[i].why);
      }
      parts.try_again(std::move(untried));
      bool unclear = std::any_of(outcome->steps.begin(), outcome->steps.end(), [&](const auto& s) {
        return s.kind == StepOutcome::Kind::unknown ||
               (s.kind == StepOutcome::Kind::not_tried && !refused);
      });
      if (unclear || !state.view) {  // what stands there now has to be read before anything else
        auto rest = parts.rest();
        give_up(state, run, rest, batch, "not tried: the target is read again first", false,
                intended);
        if (!rest.empty() && result)
          result = fail(ErrorKind::conflict, "apply: the target is read again first");
        break;
      }
    }
    if (refusals > kMostRefusals) {
      give_up_rest("the target refuses too much");
      if (result) result = fail(ErrorKind::unavailable, "apply: the target refuses too much");
      break;
    }
    if ((searching || refusals > 0) && must_stop_searching(state, began)) {
      give_up_rest("something else goes first");
      put_off(state);
      stopped = true;
      break;
    }
  }
  if (!result) return tl::unexpected(result.error());
  return refusals > 0 || stopped ? Done::in_part : Done::all;
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

/// What was not tried because something before it was refused (`refused`) is still to be done.
void Reconciler::note_outcome(TargetState& state, const Run& run, const TargetPlan& plan,
                              std::uint64_t batch, const Outcome& outcome, bool refused) {
  std::vector<Fact> facts;
  std::vector<Change> done, unknown;
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
      if (step.kind == StepOutcome::Kind::not_tried && refused) continue;
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
}

}  // namespace knock
