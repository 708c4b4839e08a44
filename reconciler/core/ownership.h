// SPDX-License-Identifier: Apache-2.0
// What may be written to a target at all, out of what differs there. Pure.
//
//   shared     our entries alone, by their marks; the default
//   exclusive  the whole container, once somebody adopted it as a whole or nothing foreign was in
//              it (Stewardship::exclusive). Until then as shared, and a finding says so
//   observe    nothing: every change is a report. So is a target that was released
//
// A container of another installation is never written to, whatever policy says.
//
// Not writing must never let access outlive its time. So where the target does not close an entry by
// itself at its deadline (it counts none, or somebody took its timer away), what must close is closed
// in every mode: observed, and left behind (`on_remove: orphan`).
#pragma once

#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/prefix.h"
#include "reconciler/interfaces/fact_store.h"
#include "reconciler/interfaces/provider.h"
#include "schemas/capabilities.h"
#include "schemas/plan/plan.h"
#include "schemas/policy/policy.h"

namespace knock {

/// What is known of a target besides what its policy says.
struct Stewardship {
  bool exclusive = false;  // its container is ours as a whole, where policy says exclusive
  bool released = false;   // nothing is written to it, whatever policy says
  bool orphaned = false;   // it leaves the policy, and its entries stay
  /// DiffInput::adopted.
  const std::set<std::pair<std::string, Prefix>>* adopted = nullptr;
};

/// As what the target is treated now.
Ownership ownership_now(const Target& target, const Stewardship& stewardship);

/// Turns into reports what is not done: all of it but what must close where nothing else closes it.
void only_observe(std::vector<Change>& changes, const Capabilities& capabilities,
                  const Observed& observed);

/// Of a target that leaves the policy: turns into reports what stays. Of what does not end there by
/// itself, only what static entries alone cause stays.
void leave_standing(std::vector<Change>& changes, const Capabilities& capabilities,
                    const Observed& observed);

/// What a person should know of all this, in a plan and in `knock status`.
std::vector<Finding> ownership_findings(const Target& target, const Stewardship& stewardship,
                                        const Capabilities& capabilities, const Observed& observed);

/// Of a target that was released: our entries that only sessions cause go; what static entries
/// cause stays without our mark, until their own deadline at the longest. `applied` in any order.
std::vector<Change> release_changes(const TargetName& target, const Observed& observed,
                                    std::span<const AppliedEntry> applied, Instant now);

}  // namespace knock
