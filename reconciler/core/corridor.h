// SPDX-License-Identifier: Apache-2.0
// `path`: a service whose packets pass several targets, the outermost first. It opens from the
// innermost outwards and closes from the outermost inwards, so that at no moment the outside is
// open to a host that does not yet, or no longer, know who comes. Pure.
#pragma once

#include <optional>

#include "schemas/plan/plan.h"
#include "schemas/policy/policy.h"

namespace knock {

bool has_paths(const Policy& policy);

/// What a packet passes next behind `target` on the way to this service; nothing at the innermost,
/// and for a target beside the path.
std::optional<TargetName> next_inwards(const Service& service, const TargetName& target);
/// What it passed last before `target`.
std::optional<TargetName> next_outwards(const Service& service, const TargetName& target);

/// The neighbour that must hold the entry before this change may open it on `target`.
std::optional<TargetName> opens_after(const Policy& policy, const TargetName& target,
                                      const Change& change);
/// The neighbour that should be closed before this change closes the entry on `target`. What ran
/// out waits for nobody: it closed everywhere at once.
std::optional<TargetName> closes_after(const Policy& policy, const TargetName& target,
                                       const Change& change);

}  // namespace knock
