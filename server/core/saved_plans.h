// SPDX-License-Identifier: Apache-2.0
// What a controller answers about plans: it makes them, signs those that are saved, and applies
// those that come back. Requests and answers are values; how they travel is the admin API's matter,
// and who may ask what is settled before. Any thread: two applies do not overlap.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/core/apply_saved.h"
#include "server/core/controller.h"

namespace knock {

/// A candidate that somebody sends, instead of what the policy source holds.
struct PlanAsk {
  std::optional<std::vector<PolicyFile>> files;
  PolicyRevision revision{"candidate"};  // of `files`
  std::vector<TargetName> only;          // empty: every target
  Duration good_for = kPlanLife;
  Reconciler::NewTargets new_targets = Reconciler::NewTargets::read;
};

/// Plans what the policy source holds now, or the candidate, and signs it with the controller's key:
/// the text of a plan file. `problems` are the policy's. Errors: `invalid` = the policy is not sound,
/// or the request is not; `unavailable` = the source or the key cannot be read.
Result<std::string> save_plan(Controller& controller, const PlanAsk& ask, Diagnostics& problems);

struct AppliedPlan {
  enum class How {
    done,
    stopped,  // a guard holds something back: nothing was done, and the plan may still be applied
    held,     // carried out but for what a guard holds
    partly,   // carried out but for `problems`
  };
  How how = How::done;
  CheckedPlan plan;
  CarriedOut result;
};
std::string_view to_string(AppliedPlan::How how);

/// Kind `conflict`: the plan is refused (check_saved). `invalid`: what the source holds is no sound
/// policy; `problems` says why.
Result<AppliedPlan> apply_plan(Controller& controller, const Actor& actor, const ApplyAsk& ask,
                               Diagnostics& problems);

}  // namespace knock
