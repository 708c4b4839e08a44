// SPDX-License-Identifier: Apache-2.0
// Closes what has run out, from the markers in the entries alone: no store, no policy, no controller
// (docs/sweeping.md). Takes away, and never adds, prolongs or shortens; never touches what carries no
// mark of ours, the mark of another owner than the one named, or one of a version we do not know.
//
// An nftables entry ends by itself, so there is something to do where somebody took an element's
// timeout away, or prolonged it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agents/nftables/channel.h"
#include "base/ids.h"
#include "base/prefix.h"

namespace knock {

struct SweepOrder {
  std::string table;
  std::optional<OwnerId> owner;  // nothing: every owner's
  Instant now;
  /// An entry stays for so long after its marker's deadline: clocks of two machines differ.
  Duration grace = Duration::seconds(60);
  bool dry_run = false;
  /// Do not compare our clock with the kernel's count of remaining life.
  bool trust_clock = false;
};

struct SweptEntry {
  std::string slot;
  Prefix prefix;
  Instant until;  // by its marker
  OwnerId owner;
};

struct Swept {
  bool exists = false;              // the table is there
  std::vector<SweptEntry> closed;   // or would be, in a dry run; sorted by slot and prefix
  std::size_t standing = 0;         // of the owner(s) asked for, with time left
  std::size_t foreign = 0;          // without a mark of ours
  std::size_t others = 0;           // another owner's
  std::size_t unknown_version = 0;  // a marker that this version does not read
};

/// The kernel counts an entry's life by a clock that nobody sets: where most entries say that ours is
/// more than this wrong, nothing is done.
inline constexpr Duration kClockDoubt = Duration::minutes(10);

/// Errors: invalid = our clock is obviously wrong (the message says how that is known); others as of
/// the channel. When an error comes back, some entries may have been closed already.
Result<Swept> sweep(ApplyChannel& channel, const SweepOrder& order, Deadline deadline);

}  // namespace knock
