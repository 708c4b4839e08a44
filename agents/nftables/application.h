// SPDX-License-Identifier: Apache-2.0
// One plan carried out on one table.
//
// A whole plan is one transaction, structure and entries together: nobody is cut and nobody let in
// on the way. Only when the kernel refuses it because of a single change (an entry that overlaps
// with somebody else's), or when it is too long for one message, is it taken apart: then neighbours
// of a kind go together, in the plan's order, and a refused group is halved until the change to
// blame is found.
#pragma once

#include <optional>
#include <string>

#include "agents/nftables/channel.h"
#include "base/ids.h"
#include "reconciler/interfaces/provider.h"

namespace knock {

/// Changes in one transaction: a tenth of a second in which no other program's tables can change.
inline constexpr std::size_t kApplyBatch = 20'000;

/// What is known of the table between two calls.
struct TableState {
  std::optional<Structure> structure;  // as last read or built; nothing: not known
  bool exists = false;
  bool intact = false;  // nothing but what a structure tells has to be built anew
};

struct TableAccess {
  const TargetName& target;
  const std::string& table;
  OwnerId owner;
  bool input, forward;  // hooks
  ApplyChannel& channel;
  TableState& state;  // structure is known
};

/// A generation as the core keeps it: "" when it is not known.
std::string nftables_fence(std::uint32_t generation);

/// As Provider::apply.
Result<Outcome> apply_to_table(const TableAccess& access, const TargetPlan& plan, Instant now,
                               Deadline deadline, std::uint32_t fence);

}  // namespace knock
