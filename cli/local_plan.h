// SPDX-License-Identifier: Apache-2.0
// A plan made in this process, without a running controller.
#pragma once

#include <map>

#include "cli/local.h"
#include "reconciler/loop/planner.h"

namespace knock::cli {

/// Reads store and targets; writes nothing. `sessions` replaces those of the store when given
/// (what-if).
Result<Plan> local_plan(const Config& config, const FactStore& store, const Policy& policy,
                        const std::optional<std::vector<Session>>& sessions, Instant now,
                        const std::vector<TargetName>& only);

}  // namespace knock::cli
