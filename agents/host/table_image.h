// SPDX-License-Identifier: Apache-2.0
// Our table as the kernel has it: structure for comparing and digesting, and elements of its sets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agents/host/layout.h"
#include "agents/host/netlink.h"
#include "schemas/role/apply.h"

namespace knock::host {

struct ChainImage {
  std::string name;
  bool base = false;
  std::string type;
  std::uint32_t hook = 0, policy = 0, flags = 0;
  std::int32_t priority = 0;
};

struct SetImage {
  std::string name;
  std::uint32_t flags = 0, key_type = 0, key_length = 0;
  std::uint64_t timeout = 0;
};

struct RuleImage {
  std::string chain;
  std::string expressions;  // as the kernel writes them
  std::string comment;
};

struct TableImage {
  bool exists = false;
  std::string comment;
  std::vector<ChainImage> chains;  // sorted by name
  std::vector<SetImage> sets;      // sorted by name; anonymous ones too
  std::vector<RuleImage> rules;    // each chain's in order; chains sorted by name
  std::vector<Prefix> keep;        // elements of keep4 and keep6, sorted
  const ChainImage* chain(std::string_view name) const;
  const SetImage* set(std::string_view name) const;
  /// From the table's comment, or the mark's where the kernel keeps no comments of tables.
  std::optional<OwnerId> owner() const;
  /// The comment of the one rule in knock_mark; nothing when there is none, or more than one.
  std::optional<std::string> mark() const;
};

/// Everything but the slots' elements. `conflict` when it changed while it was read.
Result<TableImage> read_table(Netlink& netlink, const std::string& table);

/// What the mark must say: owner and digest of everything but knock_mark's rules. Kernels differ in
/// how they write a rule back, so it is computed from what was read, never from what was sent.
std::string mark_of(const TableImage& image, OwnerId owner);

/// An element of an interval set as somebody wrote it.
struct RangeFound {
  IpAddress first, last;
  std::string comment;
};
/// Sorted. `not_found`: there is no such set.
Result<std::vector<RangeFound>> read_ranges(Netlink& netlink, const std::string& table,
                                            std::string_view set, SetKind kind);
/// The fewest prefixes that are exactly first…last.
std::vector<Prefix> prefixes_of(const IpAddress& first, const IpAddress& last);

/// Elements of one set, sorted; a range that is no prefix comes as the prefixes it is made of.
Result<std::vector<role::ElementFound>> read_elements(Netlink& netlink, const std::string& table,
                                                      std::string_view set, SetKind kind);

}  // namespace knock::host
