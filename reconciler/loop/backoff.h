// SPDX-License-Identifier: Apache-2.0
// How long to wait after the n-th failure in a row: full jitter, so that many targets do not come
// back together. The cap is short while something waits to be closed.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/random.h"
#include "base/time.h"

namespace knock {

/// Something that must be closed waits no longer than this for the next try.
inline constexpr Duration kClosingWaits = Duration::seconds(30);
/// After news from a target that waits.
inline constexpr Duration kNewsWait = Duration{500};
/// After news from a target that somebody else changes all the time.
inline constexpr Duration kFlappingWaits = Duration::minutes(1);
/// A target on a path lets the one further out close first, and waits no longer than this for it.
inline constexpr Duration kOuterFirst = Duration{200};
/// Who asks for more patience than this gets no more.
inline constexpr Duration kLongestRetryAfter = Duration::minutes(5);

inline Duration backoff(int failures, bool removals_wait, Random& random) {
  constexpr std::int64_t first = 500;
  const std::int64_t cap = removals_wait ? kClosingWaits.ms : 300'000;
  std::int64_t longest = std::min(cap, first << std::clamp(failures - 1, 0, 16));
  return {std::int64_t(random.next_u64() % std::uint64_t(longest)) + 1};
}

}  // namespace knock
