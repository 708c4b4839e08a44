// SPDX-License-Identifier: Apache-2.0
// What may not be done without somebody saying yes to exactly that. Expiry, sign-out, revocation
// and deny are never held back: a guard that counted them would keep doors open. Neither is healing:
// what was let pass before and was undone by somebody else.
//
//   guard            holds
//   ---------------  ----------------------------------------------------------------------------
//   becomes-empty    removals by policy that leave no entry
//   removals         removals by policy, when they are more than guards.removals.entries
//   removals-share   …, when they are more than guards.removals.percent of the target's own entries
//   additions        additions by policy, when they are more than guards.additions.entries
//   additions-share  …, when they are more than guards.additions.percent of what stands
//   any              additions wider than guards.max_prefix, whatever their cause; not what a record
//                    knows to stand, nor what remains of a wider one that policy takes away
//   protect          closing a port by default without a `keep` prefix; not a port that we protected
//                    before (reason drift)
//   unprotect        opening a protected port to everybody
//   new-port         ports that a service gains where entries of it stand, by policy
//   operator         what policy or configuration does to an address from which an operator is
//                    signed in, when it loses a port there
//
// Sign-ins are not held for being many: that more come at once than guards.additions allows a policy
// is an alarm (`surges`), not a trip.
//
// An entry that goes while another comes for the same addresses, with at least its ports, is no
// removal here, and the other no addition: nobody loses or gains anything. Percents are asked of
// targets with at least kShareFrom entries of ours: of three entries, one is a third.
//
// What is not known is never counted as little: of a target that was read only in part nothing is
// added at all (diff.h), and a limit of a policy that is being replaced counts as well as that of
// the new one (stricter()).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "reconciler/interfaces/fact_store.h"
#include "reconciler/interfaces/provider.h"
#include "schemas/plan/plan.h"
#include "schemas/policy/behaviour.h"

namespace knock {

/// Somebody who operates this installation (knock.yaml, not the policy) is signed in from there.
struct OperatorHere {
  IpAddress address;
  SessionId session;
  std::string who;
};

struct GuardInput {
  const TargetName& target;
  const Capabilities& capabilities;
  const Observed& observed;
  bool grants_nothing = false;  // no rule of the planned policy reaches any service of this target
  /// What our records know to stand was let pass before: to put it back is nothing new.
  std::span<const AppliedEntry> applied = {};
  Instant now = {};
  GuardLimits limits = {};  // stricter() of the policies in force and planned
  /// What held something back of the same policy when it was looked at before: what is left of it
  /// goes on waiting, however little that is by now.
  std::span<const GuardTrip> before = {};
  std::span<const OperatorHere> operators = {};  // who live now
  /// To the policy before, which stood here: what policy causes is not asked about.
  bool returning = false;
};

/// Of fewer sign-ins at once a share says nothing.
inline constexpr std::size_t kSurgeFrom = 50;
/// The finding of a surge.
inline constexpr const char* kSurge = "target.sign-in-surge";

/// "becomes-empty" holds back only from this many entries on, unless the policy grants nothing on
/// the target any more.
inline constexpr std::size_t kBecomesEmptyFrom = 5;

/// Shares of fewer entries than this say nothing.
inline constexpr std::size_t kShareFrom = 10;

/// In every figure the stricter of both: a commit that loosens a limit is judged by the old one.
GuardLimits stricter(const GuardLimits& a, const GuardLimits& b);
/// Wider than max_prefix allows without being asked about.
bool is_wider_than(const GuardLimits& limits, const Prefix& prefix);

/// A change that is held back holds back with it what needs it (needs.h): what waits must not open
/// or cut anything by waiting.
struct Guarded {
  std::vector<Change> pass;
  std::vector<Change> held;
  std::vector<GuardTrip> trips;
  std::optional<Finding> surge;
};

Guarded guard(std::vector<Change> changes, const GuardInput& input);

/// The structure after `changes`, starting from `have`: what was held back does not happen.
Structure structure_after(const Structure& have, const std::vector<Change>& changes);

}  // namespace knock
