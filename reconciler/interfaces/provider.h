// SPDX-License-Identifier: Apache-2.0
// The boundary to everything that enforces: four verbs, no knowledge of users, groups, Git or
// time-to-live arithmetic.
//
// One design for six shapes of target (per entry, versioned set, asynchronous list, push with
// expiry, whole document, runtime socket): the core speaks of slots that hold items; a provider
// says in canonicalize() what it can hold and what is lost; fence and handle are opaque text of the
// provider's own; every step of apply has its own outcome.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/port_range.h"
#include "base/prefix.h"
#include "base/result.h"
#include "base/time.h"
#include "schemas/capabilities.h"
#include "schemas/plan/plan.h"

namespace knock {

/// One address range that may reach one service until a deadline, and why.
struct Entry {
  Prefix prefix;
  Instant until;                   // whole seconds; the latest of its causes
  SharedList<Attribution> causes;  // sorted, never empty
  /// By connection (not until_deadline): the prefix is one host, and no connection lives beyond
  /// `until` either.
  Lasts lasts = Lasts::until_deadline;
  Instant come_by;  // disconnect: new connections are taken so long; whole seconds, ≤ until
  friend bool operator==(const Entry&, const Entry&) = default;
};

struct ServiceEntries {
  ServiceName service;
  std::vector<PortRange> ports;  // canonical
  std::vector<Entry> entries;    // sorted by prefix, unique
  friend bool operator==(const ServiceEntries&, const ServiceEntries&) = default;
};

/// The desired state of one target: canonical, sorted, attributed, expiring.
struct Allowlist {
  TargetName target;
  std::vector<ServiceEntries> services;  // sorted by name; a service without entries is listed too
  std::vector<PortRange>
      protect;  // ports to drop by default; canonical; empty where policy says protect: false
  std::vector<Prefix> keep;  // operators' standing accepts on every protected port; sorted
  friend bool operator==(const Allowlist&, const Allowlist&) = default;
};

/// What a target is built of besides entries.
struct Structure {
  std::map<std::string, std::vector<PortRange>> slots;
  std::vector<PortRange> protect;
  std::vector<Prefix> keep;
  friend bool operator==(const Structure&, const Structure&) = default;
};

struct Item {
  Prefix prefix;
  Instant until;
  SharedList<Attribution> causes;
  Lasts lasts = Lasts::until_deadline;  // as in Entry
  Instant come_by;
};

struct Slot {
  SharedText name;
  SharedList<PortRange> ports;
  std::vector<Item> items;  // sorted by prefix, unique
};

/// An allowlist in the form this target can hold. What could not be held exactly is a finding,
/// never silent.
struct Canonical {
  std::vector<Slot> slots;  // sorted by name
  Structure structure;
  std::vector<Finding> findings;
};

/// An entry as the target has it.
struct ObservedItem {
  Prefix prefix;
  bool ours = false;             // carries our owner's marker of a version we know
  std::optional<Instant> until;  // from the marker (ours)
  std::optional<Duration>
      left;  // native expiry as the target counts it; nothing: it never ends there
  std::string handle;
  std::string comment;  // foreign: as found, for people
  /// What a foreign one carries: no mark; another installation's; one of a version we do not know,
  /// which is never touched.
  enum class Mark : std::uint8_t { none, other_owner, unknown };
  Mark mark = Mark::none;
  Lasts lasts = Lasts::until_deadline;  // ours: as it was made
  /// first_connection: what is left of its ticket. `lost`: somebody took it away, used or not.
  enum class Ticket : std::uint8_t { whole, used, lost };
  Ticket ticket = Ticket::whole;
  bool broken = false;  // by connection: parts of it are gone, so that nothing passes by it
  Instant come_by;      // disconnect
};

struct ObservedSlot {
  SharedText name;
  std::vector<ObservedItem> items;  // sorted by prefix, unique
};

struct Observed {
  std::vector<ObservedSlot> slots;  // sorted by name
  Structure structure;              // empty when the container is not there yet
  bool exists = false;              // our container is there
  /// The container is another installation's: nothing of it is ours, and apply() refuses to write
  /// until TargetPlan::take_over names this one. Its entries are told, as foreign ones.
  std::optional<OwnerId> other_owner;
  /// The container differs from what was built in a way that `structure` cannot tell: changed by
  /// hand, or made with other settings. Healed by a reshape without a slot.
  bool structure_differs = false;
  std::string fence;  // etag, revision, generation: apply() fails with `conflict` when it moved
  Instant at;
  bool complete = true;  // false: some of it could not be read; absence then means nothing
};

struct StepOutcome {
  enum class Kind { done, rejected, unknown, not_tried };
  Kind kind = Kind::not_tried;
  std::string why;
};

struct Outcome {
  std::vector<StepOutcome> steps;  // one for each change of the plan, in its order
  std::string fence;               // after our change; "" when a full read is needed to know it
};

/// Adapts one kind of target. One instance serves one target. Calls on it never overlap; different
/// instances run concurrently. Verbs block, and return by their deadline.
class Provider {
 public:
  virtual ~Provider() = default;
  virtual Capabilities capabilities() const = 0;                       // constant
  virtual Canonical canonicalize(const Allowlist& desired) const = 0;  // pure
  /// Reads, never writes. An error is never an empty list.
  virtual Result<Observed> observe(Deadline deadline) = 0;
  /// `structure` is what the container must look like (from Canonical); `plan.changes` are applied
  /// in order and are idempotent: adding what is there and removing what is absent are successes.
  /// `now` turns deadlines into remaining time. An error of kind `conflict` means that the fence
  /// had moved and nothing was changed.
  virtual Result<Outcome> apply(const TargetPlan& plan, const Structure& structure, Instant now,
                                Deadline deadline) = 0;
};

/// Called by a provider, from any thread, when it noticed that its target changed and it was not
/// us.
using TargetMoved = std::function<void(const TargetName&)>;

}  // namespace knock
