// SPDX-License-Identifier: Apache-2.0
// Messages between core and `apply`, the one half that may touch a local firewall. Few verbs, all
// about one table of our own in one network namespace: ensure its structure, change elements, read
// it back. There is no message that names another table, accepts from everywhere (a prefix of
// length 0 is taken away and never added), or carries text to interpret.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/port_range.h"
#include "base/prefix.h"
#include "base/result.h"
#include "base/time.h"

namespace knock::role {

/// A year: the kernel is asked for no longer life; whoever still wants an entry then renews it.
inline constexpr std::uint64_t kLongestLifeMs = 365ull * 24 * 3600 * 1000;

/// Slots are service names; the codec refuses what is not [a-z0-9][a-z0-9._-]{0,62}, so nothing is
/// ever interpreted.
struct ApplySlot {
  std::string name;
  std::vector<PortRange> ports;
  bool tickets = false;  // it has sets and rules for what lasts by connection
};

/// What an element of a slot is. Who may come and go until a deadline is `open`. What lasts by
/// connection has a tag, and stands in two sets: `stay` says that connections with this tag may go
/// on; a ticket gives the tag to a connection that begins, `once` to one alone, `come` to each.
enum class Part : std::uint8_t { open, stay, once, come };

struct ElementChange {
  bool add = true;  // add: or replace, with exactly this life; else remove
  std::string slot;
  Prefix prefix;
  std::uint64_t left_ms = 0;  // add: life from now on; 0 is refused
  std::string marker;         // add: [0-9a-z:]{1,100}; stay: at most 90
  Part part = Part::open;     // others: the prefix is a host
  std::uint64_t tag = 0;      // parts other than open: not 0. To remove one, as it was found
  /// remove: the range around the prefix that somebody wrote without any mark of ours. It goes when
  /// every prefix that it is made of is named so, and else the message is refused.
  bool foreign = false;
};

/// Makes the table's chains, sets, accepts for `keep` and drops for `protect` so, and changes
/// elements, in one transaction (before it, new sets are filled that no rule asks yet); other
/// elements of slots that stay, stay. `fence` 0: do not compare.
struct Ensure {
  std::uint64_t request = 0;
  std::string table;  // [a-z][a-z0-9_-]{0,31}
  std::uint32_t fence = 0;
  OwnerId owner;                      // refused when the table carries another owner's mark
  bool input = true, forward = true;  // hooks
  std::vector<ApplySlot> slots;
  std::vector<PortRange> protect;
  std::vector<Prefix> keep;
  std::vector<ElementChange> changes;
};

/// All of it in one transaction or nothing; of several changes to one key the last counts. `fence`
/// 0: do not compare.
struct ChangeElements {
  std::uint64_t request = 0;
  std::string table;
  std::uint32_t fence = 0;
  std::vector<ElementChange> changes;
};

struct ReadBack {
  std::uint64_t request = 0;
  std::string table;
};

/// The table of another installation becomes ours: built anew in one transaction, with its elements,
/// their deadlines and their comments; marks of `former` name `owner` from then on. What was left of
/// tickets for one connection is not given again.
struct TakeOver {
  std::uint64_t request = 0;
  std::string table;
  std::uint32_t fence = 0;
  OwnerId owner, former;  // refused when the table is anybody else's than `former`
};

using ToApply = std::variant<Ensure, ChangeElements, ReadBack, TakeOver>;

/// `fence` is the table's state after the change; 0 when only a read can tell it.
struct Done {
  std::uint64_t request = 0;
  std::uint32_t fence = 0;
};

struct Failed {
  std::uint64_t request = 0;
  ErrorKind kind = ErrorKind::internal;
  std::string why;
};

struct ElementFound {
  Prefix prefix;
  bool timed = false;
  std::uint64_t left_ms = 0;  // timed only
  std::string comment;
  Part part = Part::open;
  std::uint64_t tag = 0;  // 0 in a part other than open: a tag that is none of ours
  bool used = false;      // once: a connection took it
};

struct SlotFound {
  std::string name;
  std::vector<PortRange> ports;
  std::vector<ElementFound> elements;  // sorted by prefix
  bool tickets = false;                // as in ApplySlot
};

struct TableFound {
  std::uint64_t request = 0;
  bool exists = false;
  std::uint32_t fence = 0;
  OwnerId owner;
  bool intact = false;                  // chains, sets and rules are as Ensure last made them
  bool input = false, forward = false;  // hooks that stand
  std::vector<SlotFound> slots;
  std::vector<PortRange> protect;
  std::vector<Prefix> keep;
};

/// Unasked: our table was changed by somebody else.
struct TableMoved {
  std::string table;
};

using FromApply = std::variant<Done, Failed, TableFound, TableMoved>;

inline constexpr std::uint32_t kMostChanges = 200'000, kMostSlots = 4'096, kMostPorts = 256;
inline constexpr std::uint32_t kMostKeep = 1'024;
inline constexpr std::uint32_t kMostElements =
    1'000'000;  // of one slot; wire::kMaxFrame is met first

bool valid_slot(std::string_view name);
bool valid_table(std::string_view name);
bool valid_marker(std::string_view text);

std::uint64_t request_of(const ToApply& message);
std::uint64_t request_of(const FromApply& message);  // TableMoved: 0

/// Whole frames with their length. A frame may come out longer than wire::kMaxFrame: the sender
/// checks.
std::string encode(const ToApply& message);
std::string encode(const FromApply& message);
/// `body` is a frame without its length. Anything out of shape or out of bounds is
/// ErrorKind::invalid.
Result<ToApply> decode_to_apply(std::string_view body);
Result<FromApply> decode_from_apply(std::string_view body);

}  // namespace knock::role
