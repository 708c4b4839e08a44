// SPDX-License-Identifier: Apache-2.0
// One plan carried out on one table.
//
// A whole plan is one transaction, structure and entries together: nobody is cut and nobody let in
// on the way. Only when the kernel refuses it because of a single change (an entry that overlaps
// with somebody else's), or when it is too long for one message, is it taken apart: then neighbours
// of a kind go together, in the plan's order, and a refused group is halved until the change to
// blame is found.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agents/nftables/channel.h"
#include "base/ids.h"
#include "base/random.h"
#include "reconciler/interfaces/provider.h"

namespace knock {

/// Changes in one transaction: a tenth of a second in which no other program's tables can change.
inline constexpr std::size_t kApplyBatch = 20'000;

/// What is known of the table between two calls.
struct TableState {
  std::optional<Structure> structure;  // as last read or built; nothing: not known
  bool exists = false;
  std::optional<OwnerId> other_owner;  // whose it is, when it is not ours
  bool intact = false;                 // nothing but what a structure tells has to be built anew
  std::set<std::string> tickets;       // slots with sets for what lasts by connection
  /// What stands in those, by slot and address: only who knows its tag can take an element away.
  std::map<std::pair<std::string, Prefix>, std::set<std::pair<role::Part, std::uint64_t>>> parts;
};

struct TableAccess {
  const TargetName& target;
  const std::string& table;
  OwnerId owner;
  bool input, forward;  // hooks
  ApplyChannel& channel;
  TableState& state;  // structure is known
  Random& random;     // for tags
};

/// The comment of a `stay` element, which alone says all of an entry that lasts by connection:
/// the marker, and behind it ":once" or ":come" and the instant until which connections are taken.
std::string stay_comment(const std::string& marker, Lasts lasts, Instant come_by);
struct StayComment {
  std::string marker;
  Lasts lasts = Lasts::first_connection;
  Instant come_by;
};
std::optional<StayComment> parse_stay_comment(std::string_view comment);

/// ObservedItem::handle of an entry that carries no mark of ours.
inline constexpr std::string_view kForeignHandle = "foreign";
/// The comment of an entry that was released: whose it was, and until when it is to stand.
std::string released_comment(OwnerId owner, Instant until);

/// A generation as the core keeps it: "" when it is not known.
std::string nftables_fence(std::uint32_t generation);

/// As Provider::apply.
Result<Outcome> apply_to_table(const TableAccess& access, const TargetPlan& plan, Instant now,
                               Deadline deadline, std::uint32_t fence);

}  // namespace knock
