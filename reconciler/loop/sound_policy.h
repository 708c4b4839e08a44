// SPDX-License-Identifier: Apache-2.0
// What a policy must be before anything is done with it: it loads, and its own tests hold.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "reconciler/core/policy_check.h"
#include "schemas/plan/plan.h"
#include "schemas/policy/load.h"

namespace knock {

/// Judged at `now`, as a policy that is to be adopted: static entries that have ended are errors.
/// `problems` gets everything there is to say, warnings of a sound policy too. Kind `invalid`: "the
/// policy has errors", or "the policy's tests fail". The tests are held at `tested_at` when that is
/// another time.
Result<Policy> sound_policy(const std::vector<PolicyFile>& files, const PolicyRevision& revision,
                            const PolicyContext& context, Instant now, Diagnostics& problems,
                            PolicyCache* cache = nullptr,
                            std::optional<Instant> tested_at = std::nullopt);

/// The second half of it.
Status tests_hold(const Policy& policy, Instant now, Diagnostics& problems);

/// Why a controller would refuse a policy that is planned all the same, because nothing is adopted
/// by a what-if: what it lacks, a finding each.
std::vector<Finding> lacking(const std::vector<PolicyFile>& files, const PolicyRevision& revision,
                             const PolicyContext& context);

/// "2 problems; first: a.yaml:3:5: …", of errors.
std::string first_of(const Diagnostics& problems);
/// The same without its sentence, which can name people: "2 problems; first: a.yaml:3:5
/// [policy.test-failed]". "" without errors.
std::string place_of_first(const Diagnostics& problems);

}  // namespace knock
