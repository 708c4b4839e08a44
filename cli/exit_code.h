// SPDX-License-Identifier: Apache-2.0
// What scripts rely on (docs/cli.md).
#pragma once

namespace knock::cli {

enum ExitCode : int {
  kDone = 0,
  kError = 1,
  kChanges = 2,
  kPolicyInvalid = 3,
  kGuarded = 4,
  kStalePlan = 5,
  kPartly = 6,
  kLocked = 7,
  kDenied = 9,
  kChainBroken = 10,
  kUsage = 64,
};

}  // namespace knock::cli
