// SPDX-License-Identifier: Apache-2.0
// What waits for a confirmation on one target, or was returned from (reconciler/core/confirm.h). Part
// of a target's state; guarded by the loop's mutex.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "reconciler/core/confirm.h"

namespace knock {

struct TargetConfirm {
  std::optional<Confirmation> now;
  std::shared_ptr<const Policy> previous;   // set with `now`
  std::optional<GuardLimits::Probe> probe;  // nothing: a person confirms
  bool applied = false;  // a run has ended since; what is read from here on shows the change
  std::optional<MonotonicTime> probe_at;  // not before
  std::string problem;                    // why it is not confirmed yet

  bool waits() const { return now && now->state == Confirmation::State::due; }
  /// What holds on this target instead of the policy in force; null: that one.
  const std::shared_ptr<const Policy>& instead() const {
    static const std::shared_ptr<const Policy> none;
    return now && now->state == Confirmation::State::returned ? previous : none;
  }
};

}  // namespace knock
