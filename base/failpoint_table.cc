// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "base/failpoint.h"

namespace knock::failpoint {
namespace {

constexpr std::array kPlaces{
    Place{"apply.after-commit", "the kernel took a transaction, and core knows nothing of it"},
    Place{"apply.after-ground", "table, chains and sets stand, without a rule"},
    Place{"apply.before-commit", "a transaction is ready, and the kernel has not seen it"},
    Place{"apply.before-mark", "the structure stands, and is not marked as ours and whole"},
    Place{"apply.before-reply", "done, and core has no answer"},
    Place{"ended-ids.after-forget", "the log holds an end, and the file beside it no longer does"},
    Place{"ended-ids.after-keep", "an end is on the disk beside the log, and nobody was told"},
    Place{"ended-ids.after-place", "the file stands, and the store does not know its mark"},
    Place{"ended-ids.before-forget", "the log holds an end that the file beside it holds too"},
    Place{"ended-ids.before-keep", "the log refused an end, and nothing holds it"},
    Place{"ended-ids.before-place", "the file is whole under another name"},
    Place{"ended-ids.before-sync", "the file is written and not on the disk"},
    Place{"git.after-fetch", "the mirror has new objects, and nobody looked at them"},
    Place{"git.after-point", "the mirror remembers the accepted commit"},
    Place{"git.before-fetch", "the mirror is as it was"},
    Place{"git.before-point", "a commit was accepted, and the mirror does not remember it"},
    Place{"guard.after-acknowledge", "somebody's yes is in the log, and nothing was done yet"},
    Place{"guard.before-acknowledge", "somebody said yes, and the log does not hold it"},
    Place{"loop.after-answered", "the log knows what became of calls without an answer"},
    Place{"loop.after-call", "the target was changed, and the answer is not looked at"},
    Place{"loop.after-drift", "the log knows what somebody else did"},
    Place{"loop.after-intent", "an intent is in the log, and the target was not called"},
    Place{"loop.after-moved", "the log knows that a name stands for another place"},
    Place{"loop.after-observe", "the target was read"},
    Place{"loop.after-record", "what was done is in the log"},
    Place{"loop.after-rejected", "what failed is in the log"},
    Place{"loop.after-settle", "what a reading taught is in the log"},
    Place{"loop.before-answered", "a reading told what became of calls, and the log does not know"},
    Place{"loop.before-call", "an intent is in the log, and the provider was not asked"},
    Place{"loop.before-drift", "somebody else changed the target, and the log does not know"},
    Place{"loop.before-intent", "a plan is made, and nothing of it is in the log"},
    Place{"loop.before-moved", "a name stands for another place, and the log does not know"},
    Place{"loop.before-observe", "a target is about to be read"},
    Place{"loop.before-record", "the target said what was done, and the log does not know"},
    Place{"loop.before-rejected", "a call failed, and the log does not know"},
    Place{"loop.before-settle", "a reading taught something, and the log does not know"},
    Place{"plan-key.after-place", "the key stands under both of its names"},
    Place{"plan-key.before-place", "the key stands under another name"},
    Place{"plan.after-use", "a saved plan is used up, and nothing was done"},
    Place{"plan.before-use", "a saved plan was judged, and is not used up"},
    Place{"policy.after-adopt", "a policy is in force by the log, and not in memory"},
    Place{"policy.after-advance", "somebody's word about the policy is in the log"},
    Place{"policy.after-refuse", "a refusal is in the log"},
    Place{"policy.after-save", "a policy's files are stored, and it is not in force"},
    Place{"policy.before-advance", "somebody said which policy, and the log does not know"},
    Place{"policy.before-refuse", "a policy is refused, and the log does not know"},
    Place{"policy.before-save", "a policy is sound, and nothing of it is stored"},
    Place{"session.after-end", "an end is in the log"},
    Place{"session.after-open", "a session is in the log, and the loop does not know it"},
    Place{"session.before-end", "a session is over in memory, and the log does not know"},
    Place{"session.before-open", "a proof is good, and nothing is in the log"},
    Place{"store.after-checkpoint", "the write-ahead log was copied back"},
    Place{"store.after-commit", "facts are on the disk, and whoever wrote them was not told"},
    Place{"store.after-create", "the store is an empty file"},
    Place{"store.after-migrate", "the store's tables are of this version"},
    Place{"store.before-begin", "no transaction is open"},
    Place{"store.before-checkpoint", "the write-ahead log is about to be copied back"},
    Place{"store.before-commit", "facts are in a transaction, and not on the disk"},
    Place{"store.before-migrate", "the store's tables are of an older version, or not there"},
    Place{"sweep.after-remove", "what ran out is gone, and nobody was told"},
    Place{"sweep.before-remove", "what ran out is found, and stands"},
    Place{"sweep.before-stamp", "everything was swept, and the stamp is the former one"},
    Place{"timer.after-expiry", "what time ended is in the log"},
    Place{"timer.after-late-end", "an end that the log refused before is tried again"},
    Place{"timer.before-expiry", "something ran out, and the log does not know"},
    Place{"timer.before-late-end", "an end that the log refused before is about to be tried"},
};
static_assert(std::is_sorted(kPlaces.begin(), kPlaces.end(),
                             [](const Place& a, const Place& b) { return a.name < b.name; }));

}  // namespace

std::span<const Place> all() { return kPlaces; }

}  // namespace knock::failpoint
