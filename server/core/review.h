// SPDX-License-Identifier: Apache-2.0
// What a reviewer agrees to, as one hash: the adoption that was in force, by its record in the log,
// and the policy that shall be, by its content. Commits may differ (a forge makes new ones when it
// merges), people may sign in and out meanwhile, and a restart forgets nothing; but when anything
// else came into force, or the new policy differs by a byte, what was reviewed is not what would be
// done. A change of no policy file has one hash for as long as that content is in force: it does
// nothing, however often.
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

/// What is in force, as a review knows it; both are "" when nothing is.
struct Standing {
  std::string adoption;  // its record: another for each time that something comes into force
  PolicyRevision content;
  bool operator==(const Standing&) const = default;
};
Result<Standing> standing(const FactStore& store);
/// Standing::adoption alone, for whoever asks often.
Result<std::string> adoption_in_force(const FactStore& store);

/// 64 hex digits.
std::string review_hash(const Standing& in_force, std::span<const PolicyFile> planned);

/// What stands below a plan in markdown, for people and for the jobs that look for it.
std::string review_footer(const std::string& review);

struct ReviewedApply {
  bool was_in_force = false;  // before anybody asked: nothing was done
  PolicyRevision revision;
};
/// Puts the newest policy of the source in force when it is the reviewed one. A review counts once:
/// its use is written with the adoption, both or neither, and what is in force is another from then
/// on. Errors: `conflict`: it is another one, or something else came into force since the review, or
/// the review was applied before; `invalid`: the policy is unsound.
Result<ReviewedApply> apply_reviewed(Controller& controller, const Actor& actor,
                                     const std::string& hash, Diagnostics& problems);

}  // namespace knock
