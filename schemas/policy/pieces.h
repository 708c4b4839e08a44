// SPDX-License-Identifier: Apache-2.0
// What deny rules leave of static entries is enforced exactly, as the fewest prefixes, and one hole
// in a wide prefix already leaves as many pieces as it is longer. Pure.
#pragma once

#include <vector>

#include "schemas/policy/policy.h"

namespace knock {

inline constexpr std::size_t kMostPieces = 64;  // of one prefix

struct Pieces {
  std::size_t index = 0;  // in Policy::statics
  ServiceName service;
  Prefix prefix;
  std::size_t pieces = 0;
};
/// At most one for each static entry.
std::vector<Pieces> too_many_pieces(const Policy& policy);

}  // namespace knock
