// SPDX-License-Identifier: Apache-2.0
// What the controller says about itself: plain data for `knock status`, the portal, /ready and
// metrics.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "reconciler/interfaces/fact_store.h"
#include "schemas/plan/plan.h"

namespace knock {

/// What policy changed on a target waits for a confirmation, or was taken back.
struct ConfirmationStatus {
  Confirmation what;
  bool by_probe = false;  // else somebody says knock confirm
  std::string problem;    // why the probe did not confirm it yet
};

/// Somebody stopped the work at a target for a time.
struct TargetPause {
  Instant until;
  Actor by;
  std::string reason;
};

/// A target is fine when it is `ready` and `synced` and nothing else is said; in words:
/// target_conditions.h.
struct TargetStatus {
  TargetName name;
  std::string type;
  bool ready = false;    // the last call worked
  bool synced = false;   // what stands there is what should, by the last look
  bool drifted = false;  // somebody else changed it since the last full read; being healed
  std::size_t owned = 0, foreign = 0;
  Generation generation;           // of desired state
  Generation observed_generation;  // confirmed by the target
  std::optional<Instant> last_full_read;
  std::size_t held = 0;  // changes waiting for an acknowledgement
  std::vector<GuardTrip> guards;
  std::vector<Finding> findings;
  std::string problem;  // the last error, in one line; empty when all is well
  std::optional<Instant> next_try;
  std::optional<ConfirmationStatus> confirmation;
  bool stale = false;        // the last reading of everything is too long ago
  bool flapping = false;     // somebody else changes it again and again
  std::size_t rejected = 0;  // entries that the target itself refuses
  std::string rejected_why;  // of one of them
  std::size_t no_room = 0;   // entries that wait for a place
  std::optional<TargetPause> pause;
  /// The account is left alone: several of its targets failed, or the provider asked for it.
  std::optional<Instant> account_waits_until;
};

/// A sound revision that is not in force yet.
struct WaitingPolicy {
  PolicyRevision revision;
  std::string author, subject;
  Instant since;      // when it was seen first, by this process
  std::string needs;  // what puts it in force
};

struct PolicyStatus {
  PolicyRevision revision;  // in force; empty: none yet
  std::string author, subject;
  std::optional<Instant> adopted;
  std::string source;                   // "git file:///srv/policy main"
  std::optional<Instant> last_contact;  // when the source last answered
  std::string problem;                  // why something newer is not in force
  std::optional<Instant> problem_since;
  std::string advance = "auto";  // how something newer comes into force
  std::optional<WaitingPolicy> waiting;
  std::optional<PolicyHold> hold;
};

/// Pull requests that the controller looks for by itself.
struct ProposedChanges {
  std::size_t open = 0, planned = 0, refused = 0;  // of what is in force now; the rest waits
  bool more = false;                               // than are looked at
  std::optional<Instant> last_look;                // that was answered
  std::string problem;                             // the last one, in one line; "" since it is over
  std::optional<Instant> problem_since;
};

/// A sign-in source that says of many at once that they have no groups: not believed yet.
struct SuspectStatus {
  SignInName source;
  Instant until;             // then it is believed
  std::size_t sessions = 0;  // that keep their groups until then
};

struct ControllerStatus {
  std::string version;
  OwnerId owner;
  Instant now;
  bool ready = false;
  std::string not_ready_because;
  PolicyStatus policy;
  std::vector<TargetStatus> targets;
  std::vector<SuspectStatus> suspects;
  std::optional<ProposedChanges> changes;  // absent: it does not look for any
  std::size_t live_sessions = 0;
  std::uint64_t log_head = 0;
  Duration clock_behind;             // the machine's clock against the newest record
  std::vector<std::string> remarks;  // "roles share one user id", …
};

}  // namespace knock
