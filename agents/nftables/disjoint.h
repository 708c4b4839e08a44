// SPDX-License-Identifier: Apache-2.0
// Overlapping entries as disjoint ones. An interval set refuses overlaps, and the kernel's own
// merging would lengthen lives; so the ranges are cut exactly: afterwards every address is in at
// most one prefix, with the latest deadline that covered it before, and no address is new.
#pragma once

#include <vector>

#include "reconciler/interfaces/provider.h"

namespace knock {

/// `entries` sorted by prefix, unique. Hosts are left as they are (they live in hash sets). The
/// causes of a piece are those of every entry that covers it. Sorted by prefix, unique.
std::vector<Item> disjoint_items(const std::vector<Entry>& entries);

}  // namespace knock
