// SPDX-License-Identifier: Apache-2.0
// What is the matter with a target, in the words that `knock status`, metrics and alarms use. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reconciler/loop/status.h"

namespace knock {

/// One thing that holds of a target now.
struct TargetCondition {
  std::string_view word;
  std::string why;  // "" where the word says it all
};

/// Every word there is, the good ones first; each holds or not.
inline constexpr std::string_view kConditions[] = {
    "Ready",   "Synced",   "Drifted", "Flapping", "Degraded", "CapacityExceeded",
    "Blocked", "Rejected", "Stale",   "Paused",
};

/// Those that hold, in the order of kConditions.
std::vector<TargetCondition> conditions_of(const TargetStatus& status);

}  // namespace knock
