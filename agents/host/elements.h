// SPDX-License-Identifier: Apache-2.0
// Element changes as one transaction.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "agents/host/layout.h"
#include "agents/host/table_image.h"
#include "schemas/role/apply.h"

namespace knock::host {

/// Lives shorter than this are removals: the kernel counts in ticks of up to 10 ms, and a life that
/// rounds to none would mean for ever.
inline constexpr std::uint64_t kShortestLifeMs = 100;

/// Keys that are known to be in an interval set. Removing what is not there costs nothing in a hash
/// set; in an interval set the attempt fails where another element covers the key.
using PresentKeys = std::map<std::string, std::set<Prefix>>;

/// Adds to `batch`: removals first, then additions, set by set; of several changes to one key the
/// last counts. Written as add;delete and add;delete;add, which needs no knowledge of what is
/// there, works on every kernel and survives an expiry in between; of a ticket only its tag must be
/// known, because the kernel refuses to add one with another tag. `present`: absent keys of the
/// interval sets named in it are left out.
void add_elements(Batch& batch, const std::string& table,
                  const std::vector<role::ElementChange>& changes, const PresentKeys* present);

/// Ranges that go whole, by set.
using ForeignRanges = std::map<std::string, std::vector<RangeFound>>;
/// What `foreign` changes are about. `invalid` when one of them names a part of a range only.
Result<ForeignRanges> foreign_ranges(Netlink& netlink, const std::string& table,
                                     const std::vector<role::ElementChange>& changes);
/// Before add_elements, which leaves `foreign` changes alone.
void remove_ranges(Batch& batch, const std::string& table, const ForeignRanges& ranges);

/// The interval sets that the changes touch.
std::map<std::string, SetKind> interval_sets(const std::vector<role::ElementChange>& changes);

}  // namespace knock::host
