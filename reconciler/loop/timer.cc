// SPDX-License-Identifier: Apache-2.0
// What time ends. Targets with an expiry of their own close without us; this thread ends sessions,
// records what ran out, wakes targets that cannot do it themselves, and sees to periodic reads.
#include <algorithm>

#include "base/failpoint.h"
#include "base/log.h"
#include "reconciler/loop/backoff.h"
#include "reconciler/loop/due.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {

void Reconciler::wake_timer() {
  sooner_ = true;
  time_changed_.notify_one();
}

void Reconciler::due_at(Due due) {
  if (due_.size() >= due_limit_) {
    std::erase_if(due_, [this](const Due& old) { return is_stale(old); });
    std::make_heap(due_.begin(), due_.end());
    due_limit_ = std::max<std::size_t>(1024, 2 * due_.size());
  }
  bool soonest = due_.empty() || due.at < due_.front().at;
  due_.push_back(std::move(due));
  std::push_heap(due_.begin(), due_.end());
  if (soonest) wake_timer();
}

/// What it names has ended, or ends at another time.
bool Reconciler::is_stale(const Due& due) const {
  if (!due.session.empty()) {
    auto at = live_.find(due.session);
    return at == live_.end() || at->second.expires != due.at;
  }
  if (due.slot.empty()) {
    auto pause = pauses_.find(due.target);
    return pause == pauses_.end() || pause->second.until != due.at;
  }
  auto target = targets_.find(due.target);
  if (target == targets_.end()) return true;
  auto entry = target->second->applied.find({due.slot, due.prefix});
  return entry == target->second->applied.end() || entry->second.until != due.at;
}

/// Ends of sessions that the log did not take when they happened: a restart must not bring those
/// sessions back.
void Reconciler::write_what_is_left(Lock& lock) {
  if (unwritten_.empty() || !store_.writable()) return;
  auto left = std::exchange(unwritten_, {});
  lock.unlock();
  KNOCK_FAILPOINT_SILENT("timer.before-late-end");
  std::vector<std::pair<Actor, Fact>> still;
  for (auto& [actor, fact] : left)
    if (!still.empty() || !record(actor, {fact})) still.emplace_back(actor, fact);
  KNOCK_FAILPOINT_SILENT("timer.after-late-end");
  lock.lock();
  unwritten_.insert(unwritten_.begin(), still.begin(), still.end());
}

void Reconciler::end_what_is_due(Lock& lock) {
  std::vector<Fact> facts;
  Instant now = clock_.now();
  while (!due_.empty() && due_.front().at <= now) {
    std::pop_heap(due_.begin(), due_.end());
    Due due = std::move(due_.back());
    due_.pop_back();
    double late = double((now - due.at).ms) / 1000;
    if (!due.session.empty()) {
      auto at = live_.find(due.session);
      if (at == live_.end() || at->second.expires > now) continue;
      if (settings_.meter != nullptr) settings_.meter->expired(late);
      facts.push_back(SessionEnded{due.session, {at->second.expires, EndCause::expired}, ""});
      note_ended(due.session, EndCause::expired);
      Session session = drop_live(at);
      // Its own entries end by themselves; others may be given more now.
      if (coupling_.by_person || coupling_.by_address) mark_touched(session, false);
      continue;
    }
    if (due.slot.empty()) {
      if (auto pause = pauses_.find(due.target);
          pause != pauses_.end() && pause->second.until <= now)
        end_pause(due.target);
      continue;
    }
    auto target = targets_.find(due.target);
    if (target == targets_.end()) continue;
    TargetState& state = *target->second;
    auto entry = state.applied.find({due.slot, due.prefix});
    if (entry == state.applied.end() || entry->second.until > now) continue;
    if (!state.capabilities.native_expiry) {
      mark(state, due.prefix.is_host() ? std::optional(due.prefix.first()) : std::nullopt,
           Urgency::close);
      continue;
    }
    facts.push_back(EntryExpired{due.target, due.slot, due.prefix, entry->second.until});
    state.applied.erase(entry);
    state.refused.erase({due.slot, due.prefix});
    if (!state.no_room.empty()) mark(state, std::nullopt, Urgency::sign_in);
    if (state.view &&
        !busy(state)) {  // a run reads the view without the lock, and skips what has run out
      auto slot = state.view->slots.find(due.slot);
      if (slot != state.view->slots.end()) slot->second.erase(due.prefix);
    }
  }
  if (facts.empty()) return;
  lock.unlock();
  KNOCK_FAILPOINT_SILENT("timer.before-expiry");
  // A record that cannot be written changes nothing here: what time has ended stays ended.
  (void)record("core", facts);
  KNOCK_FAILPOINT_SILENT("timer.after-expiry");
  lock.lock();
  settled_.notify_all();
}

/// Returns when to look again at the latest.
MonotonicTime Reconciler::look_at_clock(Lock& lock) {
  end_what_is_due(lock);
  open_what_is_due();
  write_what_is_left(lock);
  auto now = clock_.now();
  auto monotonic = clock_.monotonic();
  // In milliseconds: a deadline in the year 9999 is further away than nanoseconds can count.
  auto sleep = settings_.look_at_clock_every;
  if (!due_.empty()) sleep = std::clamp(due_.front().at - now, Duration{0}, sleep);
  if (opens_at_) sleep = std::clamp(*opens_at_ - now, Duration{0}, sleep);
  auto wake = monotonic + sleep.chrono();
  for (auto& [name, state] : targets_) {
    if (!state->next_full_read) continue;
    if (*state->next_full_read <= monotonic) {
      state->next_full_read.reset();  // until that reading is done
      mark(*state, std::nullopt, Urgency::resync);
    } else {
      wake = std::min(wake, *state->next_full_read);
    }
  }
  wake = std::min({wake, end_suspicion(lock), end_confirmations(lock)});
  timer_wakes_ = wake;
  keep_up();
  sooner_ = false;
  if (auto next = queue_.next_at(monotonic)) wake = std::min(wake, *next);
  return timer_wakes_ = wake;
}

void Reconciler::keep_time(std::stop_token stop) {
  Lock lock(mutex_);
  while (!stop.stop_requested()) {
    auto wake = look_at_clock(lock);
    time_changed_.wait_until(lock, stop, wake, [&] { return sooner_; });
  }
}

MonotonicTime Reconciler::tick() {
  Lock lock(mutex_);
  return look_at_clock(lock);
}

}  // namespace knock
