// SPDX-License-Identifier: Apache-2.0
// What a reviewer agrees to, as one hash: the policy that was in force, and the one that shall be,
// by their contents. Commits may differ (a forge makes new ones when it merges), people may sign in
// and out meanwhile, and a restart forgets nothing; but when either policy differs by a byte, what
// was reviewed is not what would be done.
//
// A saved plan (saved_plans.h) binds more, the targets' state and the guards; it is the better choice
// where a file can travel from the review to the apply.
#pragma once

#include <span>
#include <string>

#include "server/core/controller.h"

namespace knock {

/// "sha256:…" over paths and contents; the order of files means nothing.
PolicyRevision content_revision(std::span<const PolicyFile> files);

/// 64 hex digits. The files in force are those of the store; none: "" stands for them.
std::string review_hash(std::span<const PolicyFile> in_force, std::span<const PolicyFile> planned);
Result<std::string> review_hash(const FactStore& store, std::span<const PolicyFile> planned);

/// What stands below a plan in markdown, for people and for the jobs that look for it.
std::string review_footer(const std::string& review);

struct ReviewedApply {
  bool was_in_force = false;  // before anybody asked: nothing was done
  PolicyRevision revision;
};
/// Puts the newest policy of the source in force when it is the reviewed one; a review counts once,
/// which is durable before anything is done. Errors: `conflict`: it is another one, or another is
/// in force than at the review, or the review was applied before; `invalid`: the policy is unsound.
Result<ReviewedApply> apply_reviewed(Controller& controller, const Actor& actor,
                                     const std::string& hash, Diagnostics& problems);

}  // namespace knock
