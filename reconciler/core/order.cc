// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/order.h"

#include <algorithm>
#include <queue>
#include <set>
#include <tuple>
#include <utility>

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

/// The changes in another order; `order` lists every index once. In place: the list of a large plan
/// is tens of megabytes, and touching as many again costs more than everything else.
void permute(std::vector<Change>& changes, std::vector<std::uint32_t> order) {
  for (std::uint32_t start = 0; start < order.size(); ++start) {
    if (order[start] == start) continue;
    Change first = std::move(changes[start]);
    std::uint32_t here = start;
    while (order[here] != start) {
      changes[here] = std::move(changes[order[here]]);
      here = std::exchange(order[here], here);
    }
    changes[here] = std::move(first);
    order[here] = here;
  }
}

/// Step, rank and "only sessions" as one small number.
std::size_t kind_of(const Change& change) {
  return (std::size_t(change.step) * 8 + std::size_t(rank_of(change))) * 2 + only_sessions(change);
}
constexpr std::size_t kKinds = 6 * 8 * 2;

/// Sorts changes by step while they are looked at one after the other: a large plan does not fit
/// into the cache, so each look at it is paid for. diff() lists entries by slot and prefix already;
/// mostly nothing is left to sort.
class ByStep {
 public:
  explicit ByStep(std::vector<Change>& changes) : changes_(changes), of_kind_(kKinds) {}

  /// Each index once, from 0 on; the change has its step.
  void add(std::uint32_t index) {
    Kind& kind = of_kind_[kind_of(changes_[index])];
    kind.sorted = kind.sorted && (kind.indices.empty() || before(kind.indices.back(), index));
    kind.indices.push_back(index);
  }

  void sort() {
    std::vector<std::uint32_t> order;
    order.reserve(changes_.size());
    for (Kind& kind : of_kind_) {
      auto& indices = kind.indices;
      if (!kind.sorted)
        std::sort(indices.begin(), indices.end(),
                  [&](std::uint32_t a, std::uint32_t b) { return before(a, b); });
      order.insert(order.end(), indices.begin(), indices.end());
    }
    permute(changes_, std::move(order));
  }

 private:
  struct Kind {
    std::vector<std::uint32_t> indices;
    bool sorted = true;
  };

  bool before(std::uint32_t a, std::uint32_t b) const {
    const Change &x = changes_[a], &y = changes_[b];
    if (auto slots = x.slot.get().compare(y.slot); slots != 0) return slots < 0;
    return std::tie(x.prefix, x.action, a) < std::tie(y.prefix, y.action, b);
  }

  std::vector<Change>& changes_;
  std::vector<Kind> of_kind_;
};

void sort_by_step(std::vector<Change>& changes) {
  ByStep by_step(changes);
  for (std::uint32_t i = 0; i < changes.size(); ++i) by_step.add(i);
  by_step.sort();
}

/// Where no slot that stands gets other ports, the order of the steps meets every need.
bool gives_other_ports(const Change& change, const Structure& have) {
  return change.action == Action::reshape && !change.ports.empty() &&
         have.slots.contains(change.slot);
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
    case Reason::limited:
    case Reason::orphan:
      return true;
    case Reason::sign_in:
    case Reason::fixed:
    case Reason::no_room:
    case Reason::policy:
    case Reason::drift:
    case Reason::configuration:
    case Reason::foreign:
      return false;
  }
  return false;
}

bool takes_away(const Change& change) {
  return change.action == Action::remove || change.action == Action::shorten;
}

bool may_not_be_put_off(const Change& change) {
  return must_not_wait(change.reason) || change.action == Action::shorten;
}

bool is_entry(const Change& change) {
  return takes_away(change) || change.action == Action::add || change.action == Action::extend;
}

std::size_t order(std::vector<Change>& changes, const Structure& have,
                  const std::vector<ObservedSlot>* standing) {
  bool steps_suffice = true;
  ByStep by_step(changes);
  for (std::uint32_t i = 0; i < changes.size(); ++i) {
    changes[i].step = step_of(changes[i], have);
    steps_suffice = steps_suffice && !gives_other_ports(changes[i], have);
    by_step.add(i);
  }
  if (steps_suffice) {
    by_step.sort();
    return 0;
  }
  hurry(changes, needs_of(changes, have, standing));
  sort_by_step(changes);
  NeedsFirst by_needs(changes.size(), needs_of(changes, have, standing));
  permute(changes, by_needs.run());
  return by_needs.broken();
}

}  // namespace knock
