// SPDX-License-Identifier: Apache-2.0
// The one place that knows in which order changes are safe. After every prefix of the ordered list:
//   - an address that is allowed before and after the whole plan is still allowed (nobody is cut in
//   passing);
//   - an address that is allowed neither before nor after is not let in.
//
//   1 close_now        removals and shortenings caused by expiry, sign-out, revocation, deny;
//   orphans 2 structure        keep, reshape: room for what follows 3 open             additions,
//   unprotect 4 prolong          extensions 5 close_by_policy  removals and shortenings caused by
//   policy or drift, then slots that go or let fewer ports
//                      through, and `protect` last of all: a port is closed to strangers only when
//                      everybody who may pass has an entry (docs/adr/0009)
//
// One exception: where a slot will let more ports through, what policy takes out of that slot goes
// first (into step 1), or it would pass the new ports for a moment.
#pragma once

#include <vector>

#include "reconciler/interfaces/provider.h"
#include "schemas/plan/plan.h"

namespace knock {

/// Fills Change::step and sorts. `have` is the structure before the plan.
void order(std::vector<Change>& changes, const Structure& have);

/// True for reasons that no guard may hold back.
bool must_not_wait(Reason reason);

}  // namespace knock
