// SPDX-License-Identifier: Apache-2.0
// What changes cost at a target, in calls: the figure that a plan shows, the least that any order of
// them could take, and how much of a plan so many calls pay for. Pure; the figures come from
// Capabilities.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "schemas/capabilities.h"
#include "schemas/plan/plan.h"

namespace knock {

/// How many calls these changes take, in their order; nothing where capabilities do not say.
std::optional<std::size_t> calls_for(const Capabilities& capabilities,
                                     std::span<const Change> changes);

/// No order and no provider takes fewer: each entry that comes, changes or goes is in some call, a
/// call holds one batch of one kind, and where a call replaces everything one is enough.
std::optional<std::size_t> least_calls_for(const Capabilities& capabilities,
                                           std::span<const Change> changes);

/// To read a target that holds so many entries.
std::size_t calls_to_read(const Capabilities& capabilities, std::size_t entries);

/// How many changes, from the first on, these calls pay for. What must not wait may take
/// `for_closing` calls; everything after it ends where `for_all` of them are spent. Applying any
/// first part of an ordered plan is safe; what one call does as a whole is not cut.
std::size_t affordable(const Capabilities& capabilities, std::span<const Change> changes,
                       std::size_t for_closing, std::size_t for_all);

}  // namespace knock
