// SPDX-License-Identifier: Apache-2.0
// What time ends. Targets with an expiry of their own close without us; this thread ends sessions,
// records what ran out, wakes targets that cannot do it themselves, and sees to periodic reads.
#include <algorithm>

#include "base/log.h"
#include "reconciler/loop/due.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {

void Reconciler::wake_timer() {
  sooner_ = true;
  time_changed_.notify_one();
}

void Reconciler::due_at(Due due) {
  bool soonest = due_.empty() || due.at < due_.front().at;
  due_.push_back(std::move(due));
  std::push_heap(due_.begin(), due_.end());
  if (soonest) wake_timer();
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
      ended_[due.session] = EndCause::expired;
      auto [first, last] = by_address_.equal_range(at->second.address);
      for (auto it = first; it != last; ++it)
        if (it->second == due.session) {
          by_address_.erase(it);
          break;
        }
      live_.erase(at);
      continue;
    }
    auto target = targets_.find(due.target);
    if (target == targets_.end()) continue;
    TargetState& state = *target->second;
    auto entry = state.applied.find({due.slot, due.prefix});
    if (entry == state.applied.end() || entry->second.until > now) continue;
    if (!state.capabilities.native_expiry && due.prefix.is_host()) {
      mark(state, due.prefix.first());
      continue;
    }
    if (!state.capabilities.native_expiry) {
      mark(state, std::nullopt);
      continue;
    }
    facts.push_back(EntryExpired{due.target, due.slot, due.prefix, entry->second.until});
    state.applied.erase(entry);
    if (state.view &&
        !state.busy) {  // a run reads the view without the lock, and skips what has run out
      auto slot = state.view->slots.find(due.slot);
      if (slot != state.view->slots.end()) slot->second.erase(due.prefix);
    }
  }
  if (facts.empty()) return;
  lock.unlock();
  // A record that cannot be written changes nothing here: what time has ended stays ended.
  (void)record("core", facts);
  lock.lock();
  settled_.notify_all();
}

void Reconciler::keep_time(std::stop_token stop) {
  Lock lock(mutex_);
  while (!stop.stop_requested()) {
    end_what_is_due(lock);
    auto now = clock_.now();
    auto monotonic = clock_.monotonic();
    // A wall clock that jumps forward ends sessions without a wake-up of its own: look now and
    // then.
    auto wake = monotonic + std::chrono::seconds(30);
    if (!due_.empty())
      wake = std::min(wake, monotonic + std::chrono::milliseconds(
                                            std::max<std::int64_t>(0, (due_.front().at - now).ms)));
    for (auto& [name, state] : targets_) {
      if (state->not_before && *state->not_before <= monotonic) {
        state->not_before.reset();
        work_ready_.notify_one();
      }
      if (state->next_full_read <= monotonic && !state->dirty && state->view) {
        state->dirty = true;
        work_ready_.notify_one();
      }
      if (state->not_before) wake = std::min(wake, *state->not_before);
      if (!state->dirty && state->view) wake = std::min(wake, state->next_full_read);
    }
    time_changed_.wait_until(lock, stop, wake, [&] { return sooner_; });
    sooner_ = false;
  }
}

}  // namespace knock
