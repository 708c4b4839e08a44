// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/order.h"

#include <algorithm>
#include <queue>
#include <set>
#include <tuple>

#include "reconciler/core/needs.h"

namespace knock {
namespace {

Step step_of(const Change& change, const Structure& have) {
  switch (change.action) {
    case Action::keep:
      return drops_keep(change, have) ? Step::close_by_policy : Step::structure;
    case Action::reshape:
      return narrows(change, have) ? Step::close_by_policy : Step::structure;
    case Action::add:
    case Action::unprotect:
      return Step::open;
    case Action::extend:
      return Step::prolong;
    case Action::shorten:
    case Action::remove:
      return must_not_wait(change.reason) ? Step::close_now : Step::close_by_policy;
    case Action::protect:
    case Action::report:
      return Step::close_by_policy;
  }
  return Step::close_by_policy;
}

/// Within a step: entries before the structure that closes behind them, `protect` after that,
/// reports last.
int rank_of(const Change& change) {
  switch (change.action) {
    case Action::add:
    case Action::extend:
      return 1;
    case Action::shorten:
    case Action::remove:
      return 2;
    case Action::reshape:
    case Action::unprotect:
      return 3;
    case Action::keep:
      return change.step == Step::structure ? 0 : 4;
    case Action::protect:
      return 5;
    case Action::report:
      return 6;
  }
  return 6;
}

/// Static entries first within a step: when something fails half-way, monitoring and operators are
/// in.
bool only_sessions(const Change& change) {
  return std::none_of(change.causes.begin(), change.causes.end(), [](const Attribution& cause) {
    return cause.kind == Attribution::Kind::fixed;
  });
}

/// The changes in another order; `order` lists every index once.
void permute(std::vector<Change>& changes, const std::vector<std::uint32_t>& order) {
  std::vector<Change> out;
  out.reserve(changes.size());
  for (auto index : order) out.push_back(std::move(changes[index]));
  changes = std::move(out);
}

void sort_by_step(std::vector<Change>& changes) {
  // A change is large and its key small: the keys are sorted, and each change moves once.
  struct Key {
    Step step;
    int rank;
    bool only_sessions;
    std::uint32_t index;
  };
  std::vector<Key> keys;
  keys.reserve(changes.size());
  for (std::uint32_t i = 0; i < changes.size(); ++i)
    keys.push_back({changes[i].step, rank_of(changes[i]), only_sessions(changes[i]), i});
  std::sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b) {
    auto kind = [](const Key& key) { return std::tie(key.step, key.rank, key.only_sessions); };
    if (kind(a) != kind(b)) return kind(a) < kind(b);
    const Change &x = changes[a.index], &y = changes[b.index];
    if (auto slots = x.slot.compare(y.slot); slots != 0) return slots < 0;
    return std::tie(x.prefix, x.action, a.index) < std::tie(y.prefix, y.action, b.index);
  });
  std::vector<std::uint32_t> order;
  order.reserve(keys.size());
  for (const Key& key : keys) order.push_back(key.index);
  permute(changes, order);
}

/// Where no slot that stands gets other ports, the order of the steps meets every need.
bool steps_suffice(const std::vector<Change>& changes, const Structure& have) {
  return std::none_of(changes.begin(), changes.end(), [&](const Change& change) {
    return change.action == Action::reshape && !change.ports.empty() &&
           have.slots.contains(change.slot);
  });
}

/// Of the removals that a slot waits for, those that wait for nothing themselves go first of all.
void hurry(std::vector<Change>& changes, const std::vector<Need>& needs) {
  std::vector<bool> waits(changes.size());
  for (const Need& need : needs) waits[need.then] = true;
  for (const Need& need : needs)
    if (need.firm && changes[need.first].action == Action::remove && !waits[need.first])
      changes[need.first].step = Step::close_now;
}

/// Takes, again and again, the first change whose needs are met. Where none is left, the first one
/// that nobody is let in by goes ahead.
class NeedsFirst {
 public:
  NeedsFirst(std::size_t changes, std::vector<Need> needs)
      : needs_(std::move(needs)), firm_(changes), soft_(changes) {
    for (const Need& need : needs_) ++(need.firm ? firm_ : soft_)[need.then];
    for (std::uint32_t i = 0; i < changes; ++i)
      (firm_[i] + soft_[i] == 0 ? ready_ : waiting_).insert(i);
  }

  std::vector<std::uint32_t> run() {
    while (!ready_.empty() || !waiting_.empty()) {
      if (ready_.empty()) go_ahead();
      auto index = *ready_.begin();
      ready_.erase(ready_.begin());
      order_.push_back(index);
      release(index);
    }
    return std::move(order_);
  }
  std::size_t broken() const { return broken_; }

 private:
  void go_ahead() {
    auto at = std::find_if(waiting_.begin(), waiting_.end(),
                           [&](std::uint32_t index) { return firm_[index] == 0; });
    ++broken_;
    ready_.insert(*at);
    waiting_.erase(at);
  }

  void release(std::uint32_t index) {
    auto at = std::lower_bound(needs_.begin(), needs_.end(), Need{index, 0, false});
    for (; at != needs_.end() && at->first == index; ++at) {
      --(at->firm ? firm_ : soft_)[at->then];
      if (firm_[at->then] + soft_[at->then] == 0 && waiting_.erase(at->then) > 0)
        ready_.insert(at->then);
    }
  }

  std::vector<Need> needs_;  // sorted
  std::vector<std::uint32_t> firm_, soft_;
  std::set<std::uint32_t> ready_, waiting_;
  std::vector<std::uint32_t> order_;
  std::size_t broken_ = 0;
};

}  // namespace

bool must_not_wait(Reason reason) {
  switch (reason) {
    case Reason::expiry:
    case Reason::sign_out:
    case Reason::revoked:
    case Reason::denied:
    case Reason::orphan:
      return true;
    case Reason::sign_in:
    case Reason::fixed:
    case Reason::policy:
    case Reason::drift:
    case Reason::configuration:
    case Reason::foreign:
      return false;
  }
  return false;
}

std::size_t order(std::vector<Change>& changes, const Structure& have,
                  const std::vector<ObservedSlot>* standing) {
  for (Change& change : changes) change.step = step_of(change, have);
  if (steps_suffice(changes, have)) {
    sort_by_step(changes);
    return 0;
  }
  hurry(changes, needs_of(changes, have, standing));
  sort_by_step(changes);
  NeedsFirst by_needs(changes.size(), needs_of(changes, have, standing));
  permute(changes, by_needs.run());
  return by_needs.broken();
}

}  // namespace knock
