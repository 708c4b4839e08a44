// SPDX-License-Identifier: Apache-2.0
#include "reconciler/loop/call_account.h"

#include <algorithm>
#include <cmath>

#include "reconciler/loop/backoff.h"

namespace knock {
namespace {

double seconds(MonotonicTime::duration d) { return std::chrono::duration<double>(d).count(); }

MonotonicTime after(MonotonicTime from, double s) {
  return from + std::chrono::ceil<MonotonicTime::duration>(std::chrono::duration<double>(s));
}

}  // namespace

CallBudget::CallBudget(int calls_per_second, int burst, MonotonicTime now)
    : rate_(calls_per_second),
      most_(burst > 0 ? burst : calls_per_second),
      tokens_(most_),
      at_(now) {}

double CallBudget::tokens(MonotonicTime now) const {
  return std::min(most_, tokens_ + std::max(0.0, seconds(now - at_)) * rate_);
}

/// Of a bucket of one token nothing can be kept.
double CallBudget::kept_for_closing(bool closing) const {
  return closing || most_ < 2 ? 0 : std::max(1.0, std::floor(most_ / 5));
}

std::size_t CallBudget::affordable(bool closing, MonotonicTime now) const {
  if (!limited()) return SIZE_MAX;
  // The last digits of a division must not cost a call.
  double left = tokens(now) - kept_for_closing(closing) + 1e-9;
  return left < 1 ? 0 : std::size_t(left);
}

void CallBudget::spend(std::size_t calls, MonotonicTime now) {
  if (!limited()) return;
  tokens_ = tokens(now) - double(calls);
  at_ = std::max(at_, now);
}

MonotonicTime CallBudget::next_at(bool closing, MonotonicTime now) const {
  if (affordable(closing, now) > 0) return now;
  double missing = 1 + kept_for_closing(closing) - tokens(now);
  return after(now, std::max(0.001, missing / rate_));
}

void Breaker::succeeded() { *this = Breaker(); }

void Breaker::failed(std::size_t target, bool closing, MonotonicTime now, Random& random) {
  several_ = several_ || (failures_ > 0 && target != last_target_);
  last_target_ = target;
  ++failures_;
  if (!tripped_ && (failures_ < kOpensAfter || !several_)) return;
  tripped_ = true;
  auto until = now + backoff(++openings_ + 1, closing, random).chrono();
  if (!asked_ || !wait_until_ || *wait_until_ <= now) {
    wait_until_ = until;
    asked_ = false;
  }
}

void Breaker::not_before(MonotonicTime at) {
  if (wait_until_ && asked_ && *wait_until_ >= at) return;
  wait_until_ = at;
  asked_ = true;
}

void Breaker::no_later_than(MonotonicTime at) {
  if (!asked_ && wait_until_ && *wait_until_ > at) wait_until_ = at;
}

void RetryBudget::retried(MonotonicTime now) {
  if (left_ >= 1) left_ -= 1;
  next_free_ = now + std::chrono::seconds(10);
}

}  // namespace knock
