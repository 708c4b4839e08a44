// SPDX-License-Identifier: Apache-2.0
// A plan made in this process, without a running controller.
#pragma once

#include <map>

#include "cli/local.h"
#include "reconciler/loop/planner.h"
#include "schemas/session/codec.h"

namespace knock::cli {

struct PlanRequest {
  WhatIf what_if;                // its time is `now`
  std::vector<TargetName> only;  // empty: every target
  bool refresh_only = false;     // drift_of()
};

/// Reads store and targets; writes nothing. Drift is looked for under the policy in force, when
/// there is one. A target that no policy knows is `not_found`.
Result<Plan> local_plan(const Config& config, const FactStore& store, const Policy& policy,
                        Instant now, const PlanRequest& request = {});

}  // namespace knock::cli
