// SPDX-License-Identifier: Apache-2.0
// A policy's changes on a target that asks for a confirmation: applied, then confirmed in time or
// taken back. Pure; the loop writes each step to the log before it acts on it.
//
//   state      what happens            then
//   --------   ---------------------   -----------------------------------------------------------
//   none       policy changes it       due: `previous` is the policy that stood there
//   due        policy changes it       due anew, `previous` stays: that one was confirmed last
//   due        probe good, or a yes    none
//   due        its time is over        returned: `previous` holds there again
//   returned   a revision is adopted   none: it is tried again
//              (the same one too)
//
// Taking back is no undoing of changes: it is the policy before, evaluated with the sessions and the
// time of now. So nothing comes back that ran out or was revoked, or that either policy denies.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "reconciler/interfaces/fact_store.h"
#include "schemas/plan/plan.h"
#include "schemas/policy/policy.h"

namespace knock {

/// What the target asks for when `planned` takes the place of `before`: what either of them says,
/// `planned` first, so that no commit spares itself the question. Null: nothing.
const GuardLimits::Confirm* confirm_on(const TargetName& target, const Policy& planned,
                                       const Policy* before);

/// Whether a plan changes something by policy, so that there is something to take back.
bool changes_by_policy(const TargetPlan& plan);

/// What is about to be due; nothing: nobody is asked, because nothing changes by policy, the target
/// asks for nothing, or there is no policy before to return to.
std::optional<Confirmation> due_confirmation(const TargetPlan& plan, const Policy& planned,
                                             const Policy* before,
                                             const std::optional<Confirmation>& now_due,
                                             Instant now);

/// What holds on a target that returned: the policy before, and the deny rules of the one that is
/// taken back as well, because what is denied is never let in again by going back. Its revision is
/// that of `previous`.
Policy returned_policy(const Policy& previous, const Policy& taken_back);

/// Its time is over.
bool is_over(const Confirmation& confirmation, Instant now);

/// `written` is the id of a confirmation, or at least 12 of its first digits; or at least 7 of the
/// policy's revision, which then names all that wait for it.
bool names_confirmation(std::string_view written, const Confirmation& confirmation);

}  // namespace knock
