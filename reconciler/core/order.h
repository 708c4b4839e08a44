// SPDX-License-Identifier: Apache-2.0
// The one place that knows in which order changes are safe. After every prefix of the ordered list:
//   - an address that may pass before and after the whole plan may pass (nobody is cut in passing);
//   - an address that may pass neither before nor after is not let in.
// What must close at once is not counted as "before": its closing waits for nothing, not even for
// what lets the same person in again.
//
//   1 close_now        removals and shortenings caused by expiry, sign-out, revocation, deny;
//                      orphans
//   2 structure        keep, reshape: room for what follows
//   3 open             additions, unprotect
//   4 prolong          extensions
//   5 close_by_policy  removals and shortenings caused by policy or drift, then slots that go or
//                      let fewer ports through, `keep` prefixes that go, and `protect` last of all:
//                      a port is closed to strangers only when everybody who may pass has an entry
//                      (docs/adr/0009)
//
// Where a slot that stands gets other ports the five steps are not enough: what policy takes out of
// a slot goes before the slot lets more ports through, and what comes into a slot waits until the
// ports that go are gone (needs.h). So the list is the truth, and `step` says what kind of thing a
// change is. Who applies a plan may merge neighbours into one write, but not reorder.
#pragma once

#include <cstddef>
#include <vector>

#include "reconciler/interfaces/provider.h"
#include "schemas/plan/plan.h"

namespace knock {

/// Fills Change::step and sorts. `have` is the structure before the plan, `standing` the entries
/// (they matter only where a slot that stands gets other ports). The second statement always holds.
/// Returns how many changes may break the first one, because slots exchange ports and each waits for
/// the other.
std::size_t order(std::vector<Change>& changes, const Structure& have,
                  const std::vector<ObservedSlot>* standing = nullptr);

/// True for reasons that no guard may hold back.
bool must_not_wait(Reason reason);
/// Its entry, if it is about one, is open for less afterwards.
bool takes_away(const Change& change);
/// No guard's, pause's or account's wish keeps it back: whatever must not wait, and less time.
bool may_not_be_put_off(const Change& change);
/// About one entry, and something is done.
bool is_entry(const Change& change);

}  // namespace knock
