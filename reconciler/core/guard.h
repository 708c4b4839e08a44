// SPDX-License-Identifier: Apache-2.0
// What may not be done without somebody saying yes to exactly that. Expiry, sign-out, revocation
// and deny are never held back: a guard that counted them would keep doors open. Neither is healing:
// what was let pass before and was undone by somebody else.
//
//   guard          holds
//   -------------  ------------------------------------------------------------------------------
//   becomes-empty  removals by policy that leave no entry
//   any            additions wider than /24 or /48, whatever their cause; not what a record knows
//                  to stand, nor what remains of a wider one that policy takes away
//   protect        closing a port by default without a `keep` prefix; not a port that we protected
//                  before (reason drift)
//   unprotect      opening a protected port to everybody
#pragma once

#include <span>
#include <vector>

#include "reconciler/interfaces/fact_store.h"
#include "reconciler/interfaces/provider.h"
#include "schemas/plan/plan.h"

namespace knock {

struct GuardInput {
  const TargetName& target;
  const Capabilities& capabilities;
  const Observed& observed;
  bool grants_nothing = false;  // no rule of the planned policy reaches any service of this target
  /// What our records know to stand was let pass before: to put it back is nothing new.
  std::span<const AppliedEntry> applied = {};
  Instant now = {};
};

/// "becomes-empty" holds back only from this many entries on, unless the policy grants nothing on
/// the target any more.
inline constexpr std::size_t kBecomesEmptyFrom = 5;

/// A change that is held back holds back with it what needs it (needs.h): what waits must not open
/// or cut anything by waiting.
struct Guarded {
  std::vector<Change> pass;
  std::vector<Change> held;
  std::vector<GuardTrip> trips;
};

Guarded guard(std::vector<Change> changes, const GuardInput& input);

/// The structure after `changes`, starting from `have`: what was held back does not happen.
Structure structure_after(const Structure& have, const std::vector<Change>& changes);

}  // namespace knock
