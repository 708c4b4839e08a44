// SPDX-License-Identifier: Apache-2.0
// What a run leaves out, and why: a pause, entries that the target itself refuses, calls that are
// not paid for, a full target. What must close is left out by none of them.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "reconciler/core/cost.h"
#include "reconciler/core/needs.h"
#include "reconciler/core/order.h"
#include "reconciler/loop/backoff.h"
#include "reconciler/loop/due.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {
namespace {

constexpr std::size_t kMostRejected = 10'000;
constexpr Duration kLongestPause = Duration::hours(24 * 30);
constexpr std::size_t kFlapsFrom = 5;  // runs with drift
constexpr auto kFlapsWithin = std::chrono::minutes(10);

}  // namespace

// ---- pause ----

Status Reconciler::pause(const Actor& actor, const TargetName& name, Instant until,
                         const std::string& reason) {
  Instant now = clock_.now();
  if (until <= now) return fail(ErrorKind::invalid, "a pause must end in the future");
  if (until > now + kLongestPause)
    return fail(ErrorKind::invalid,
                "a pause lasts " + for_people(kLongestPause) +
                    " at most; for longer, write `ownership: observe` into the policy");
  {
    Lock lock(mutex_);
    if (!targets_.contains(name)) return fail(ErrorKind::not_found, "no target " + name.value);
  }
  KNOCK_CHECK(record(actor, {TargetPaused{name, until, reason}}));
  Lock lock(mutex_);
  pauses_[name] = {until, actor, reason};
  due_at({until, {}, name, "", {}});
  settled_.notify_all();
  return {};
}

Status Reconciler::resume_target(const Actor& actor, const TargetName& name,
                                 const std::string& reason) {
  {
    Lock lock(mutex_);
    if (!targets_.contains(name)) return fail(ErrorKind::not_found, "no target " + name.value);
    if (pause_of(name) == nullptr)
      return fail(ErrorKind::not_found, "target " + name.value + " is not paused");
  }
  KNOCK_CHECK(record(actor, {TargetResumed{name, reason}}));
  Lock lock(mutex_);
  end_pause(name);
  return {};
}

/// Nothing: it is not paused, or no longer. With the mutex.
const TargetPause* Reconciler::pause_of(const TargetName& name) const {
  auto at = pauses_.find(name);
  return at == pauses_.end() || at->second.until <= clock_.now() ? nullptr : &at->second;
}

/// With the mutex.
void Reconciler::end_pause(const TargetName& name) {
  if (pauses_.erase(name) == 0) return;
  if (auto at = targets_.find(name); at != targets_.end())
    mark_at_once(*at->second, Urgency::policy);
}

/// What a record says of pauses, at a start.
Status Reconciler::note_pause(std::map<TargetName, TargetPause>& pauses, const Record& record) {
  static const std::string paused(kind_of(TargetPaused{})), resumed(kind_of(TargetResumed{}));
  if (record.fact.kind != paused && record.fact.kind != resumed) return {};
  KNOCK_ASSIGN(auto fact, decode(record.fact));
  if (const auto* one = std::get_if<TargetPaused>(&fact))
    pauses[one->target] = {one->until, record.actor, one->reason};
  if (const auto* one = std::get_if<TargetResumed>(&fact)) pauses.erase(one->target);
  return {};
}

// ---- entries that the target refuses ----

/// False: it is not one that may be left out.
bool Reconciler::reject(TargetState& state, const Change& change, const std::string& why) {
  if (!is_entry(change) || takes_away(change)) return false;
  Lock lock(mutex_);
  if (state.rejected.size() >= kMostRejected) return false;
  auto& refusal = state.rejected[{change.slot, change.prefix}];
  bool news = refusal.times++ == 0;
  if (news) refusal.since = clock_.now();
  refusal.why = why;
  auto wait = std::chrono::seconds(1 << std::min(refusal.times - 1, 12));  // an hour at last
  refusal.again = clock_.monotonic() + wait;
  if (!state.next_full_read || *state.next_full_read > refusal.again)
    state.next_full_read = refusal.again;
  wake_timer();
  if (news)
    log(LogLevel::warning, "target.entry-rejected",
        "A target refuses one entry; it is left out, the others go on.",
        {{"target", state.name.value}, {"slot", change.slot.get()}, {"why", why}});
  return true;
}

/// And what needs what is left out: a stand-in must come before what it stands in for goes.
std::size_t Reconciler::leave_out_rejected(const TargetState& state,
                                           std::vector<Change>& changes) const {
  Lock lock(mutex_);
  if (state.rejected.empty()) return 0;
  auto now = clock_.monotonic();
  std::vector<std::uint32_t> seeds;
  for (std::uint32_t i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    if (!is_entry(change) || takes_away(change)) continue;
    auto at = state.rejected.find({change.slot, change.prefix});
    if (at != state.rejected.end() && at->second.again > now) seeds.push_back(i);
  }
  if (seeds.empty()) return 0;
  auto needs = needs_of(changes, state.view ? state.view->structure : Structure(), nullptr);
  std::vector<bool> out(changes.size());
  add_with_what_needs(needs, out, seeds);
  std::uint32_t next = 0;
  return std::erase_if(changes, [&](const Change&) { return out[next++]; });
}

// ---- calls that are not paid for ----

std::size_t Reconciler::leave_out_unpaid(TargetState& state, std::vector<Change>& changes) {
  Lock lock(mutex_);
  auto now = clock_.monotonic();
  auto closing = queue_.affordable(state.key, true, now);
  auto all = queue_.affordable(state.key, false, now);
  // One call is always made, on credit if need be, or a reading would be all that a run ever does.
  auto paid = affordable(state.capabilities, changes, std::max<std::size_t>(1, closing),
                         std::max<std::size_t>(1, all));
  if (paid >= changes.size()) return 0;
  auto out = changes.size() - paid;
  bool closing_left = changes[paid].step == Step::close_now;
  changes.resize(paid);
  state.half_done = state.view.has_value();
  state.dirty = true;
  queue_.mark(state.key, closing_left ? Urgency::close : Urgency::sign_in, state.run_since);
  queue_.not_before(state.key, queue_.affordable_at(state.key, closing_left, now));
  return out;
}

// ---- what is told ----

/// Of a whole reading. What is wanted no longer is refused no longer.
void Reconciler::note_reports(TargetState& state, const TargetPlan& plan) {
  Lock lock(mutex_);
  if (!state.rejected.empty()) {
    std::set<TargetState::Key> wanted;
    for (const Change& change : plan.changes)
      if (is_entry(change)) wanted.emplace(change.slot, change.prefix);
    std::erase_if(state.rejected, [&](const auto& one) { return !wanted.contains(one.first); });
  }
  state.no_room.clear();
  for (const Change& change : plan.changes)
    if (change.reason == Reason::no_room) state.no_room.insert({change.slot, change.prefix});
}

/// Somebody, or something, changes the target again and again: healing it each time at once would
/// be a war, and wars of two tools go on all night. With the mutex.
void Reconciler::note_drift(TargetState& state, bool found) {
  auto now = clock_.monotonic();
  if (found) state.drifts.push_back(now);
  while (!state.drifts.empty() && now - state.drifts.front() > kFlapsWithin)
    state.drifts.pop_front();
  if (state.drifts.size() > 10 * kFlapsFrom) state.drifts.pop_front();
  bool flaps = state.drifts.size() >= (state.flapping ? 1 : kFlapsFrom);
  if (flaps && !state.flapping)
    log(LogLevel::warning, "target.flapping",
        "A target is changed by somebody else again and again; it is healed once a minute from "
        "now on. What must close is not delayed.",
        {{"target", state.name.value}, {"times", std::to_string(state.drifts.size())}});
  state.flapping = flaps;
}

/// For the person who waits; "": it is something else. With the mutex.
std::string Reconciler::why_left_out(const TargetState& state, const std::string& slot,
                                     const Prefix& prefix) const {
  if (auto at = state.rejected.find({slot, prefix}); at != state.rejected.end())
    return "the target refuses this entry (" + at->second.why + "); it is tried again";
  if (state.no_room.contains({slot, prefix}))
    return "the target has no room; it opens as soon as a place is free";
  if (const TargetPause* pause = pause_of(state.name))
    return "paused by " + pause->by + " until " + to_string(pause->until) +
           (pause->reason.empty() ? "" : ": " + pause->reason);
  return "";
}

}  // namespace knock
