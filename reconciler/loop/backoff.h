// SPDX-License-Identifier: Apache-2.0
// How long to wait after the n-th failure in a row: full jitter, so that many targets do not come
// back together. The cap is short while something waits to be closed.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/random.h"
#include "base/time.h"

namespace knock {

inline Duration backoff(int failures, bool removals_wait, Random& random) {
  constexpr std::int64_t first = 500;
  const std::int64_t cap = removals_wait ? 30'000 : 300'000;
  std::int64_t longest = std::min(cap, first << std::clamp(failures - 1, 0, 16));
  return {std::int64_t(random.next_u64() % std::uint64_t(longest)) + 1};
}

}  // namespace knock
