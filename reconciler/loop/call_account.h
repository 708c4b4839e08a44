// SPDX-License-Identifier: Apache-2.0
// What one account at a provider lets us do: so many calls a second, a share of them kept for
// closing, no calls at all while it refuses every one, and few retries among many tries. Several
// targets may share an account; what one target of it does wrong must not stop the others.
//
// Plain state with time as an argument, so that every figure can be tested; guarded by whoever owns
// it.
#pragma once

#include <cstddef>
#include <optional>

#include "base/random.h"
#include "base/time.h"

namespace knock {

/// A bucket of tokens, one for each call. May be overdrawn by a run that turned out larger than was
/// known when it began: the next ones wait until that is paid.
class CallBudget {
 public:
  CallBudget() = default;  // no limit
  /// `burst`: calls at once after a pause; 0: one second's.
  CallBudget(int calls_per_second, int burst, MonotonicTime now);

  /// How many calls may begin now. Only what closes may use the last fifth.
  std::size_t affordable(bool closing, MonotonicTime now) const;
  void spend(std::size_t calls, MonotonicTime now);
  /// When at least one call may begin; `now` when it may already.
  MonotonicTime next_at(bool closing, MonotonicTime now) const;
  bool limited() const { return rate_ > 0; }

 private:
  double tokens(MonotonicTime now) const;
  double kept_for_closing(bool closing) const;

  double rate_ = 0;  // 0: no limit
  double most_ = 0;
  double tokens_ = 0;
  MonotonicTime at_{};
};

/// Stops trying an account of which several targets fail one after the other; then one of them tries
/// for all.
class Breaker {
 public:
  /// So many failures in a row, of at least two targets.
  static constexpr int kOpensAfter = 5;

  /// `target`: any number that tells targets apart.
  void succeeded();
  void failed(std::size_t target, bool closing, MonotonicTime now, Random& random);
  /// The provider said when to come back: nobody of this account goes before.
  void not_before(MonotonicTime at);
  /// Something must close: an account that is left alone is tried after this at the latest.
  void no_later_than(MonotonicTime at);
  bool open(MonotonicTime now) const { return wait_until_ && now < *wait_until_; }
  /// Since it opened nobody has succeeded: one at a time may try.
  bool probing() const { return tripped_; }
  std::optional<MonotonicTime> wait_until() const { return wait_until_; }

 private:
  int failures_ = 0;  // in a row
  std::size_t last_target_ = 0;
  bool several_ = false;  // of more than one target
  bool tripped_ = false;
  int openings_ = 0;    // in a row
  bool asked_ = false;  // wait_until_ is the provider's own wish
  std::optional<MonotonicTime> wait_until_;
};

/// A tenth of what is tried may be tried again, and one each ten seconds in any case. What must
/// close does not ask.
class RetryBudget {
 public:
  void first_try() { left_ = left_ + 0.1 < kMost ? left_ + 0.1 : kMost; }
  bool may_retry(MonotonicTime now) const { return left_ >= 1 || now >= next_free_; }
  void retried(MonotonicTime now);
  MonotonicTime next_at(MonotonicTime now) const { return may_retry(now) ? now : next_free_; }

 private:
  static constexpr double kMost = 10;
  double left_ = kMost;
  MonotonicTime next_free_{};
};

}  // namespace knock
