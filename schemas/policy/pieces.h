// SPDX-License-Identifier: Apache-2.0
// What deny rules leave of static entries is enforced exactly, as the fewest prefixes, and one hole
// in a wide prefix already leaves as many pieces as it is longer. Pure.
#pragma once

#include <vector>

#include "schemas/policy/policy.h"

namespace knock {

inline constexpr std::size_t kMostPieces = 64;              // of one prefix
inline constexpr std::size_t kMostStaticEntries = 250'000;  // of a policy

struct Pieces {
  std::size_t index = 0;  // in Policy::statics
  ServiceName service;
  Prefix prefix;
  std::size_t pieces = 0;
};
struct CutStatics {
  std::vector<Pieces> too_many;      // at most one for each static entry
  std::vector<std::size_t> entries;  // of each: pieces at every service and target
};
CutStatics cut_statics(const Policy& policy);

/// How many entries each static entry means where nothing is closed: prefixes × services × targets.
/// Before "*" is expanded.
std::vector<std::size_t> static_entries(const Policy& policy);

}  // namespace knock
