// SPDX-License-Identifier: Apache-2.0
// Checks of a policy as a whole that need more than names: what two targets share, how long things
// may last, and what this controller can enforce.
#pragma once

#include "schemas/policy/merge_parts.h"

namespace knock {

/// With several sign-in sources every group says whose word counts.
void check_group_sources(const std::vector<Listed<Group>>& groups, const PolicyContext& context,
                         MergeReport& report);
void check_tables(const std::vector<Listed<Target>>& targets, MergeReport& report);
void check_surfaces(const std::vector<SurfaceUse>& uses, std::size_t file,
                    const PolicyContext& context, MergeReport& report);
void check_ttl(const std::vector<Listed<AllowRule>>& rules, const Behaviour& behaviour,
               MergeReport& report);
/// Only where the policy is judged before it is adopted.
void check_ends(const std::vector<Listed<StaticRule>>& rules, const Behaviour& behaviour,
                const PolicyContext& context, MergeReport& report);
/// False beyond what is held. `entries`: of each static entry, in the order of the slots.
bool check_static_entries(const std::vector<Listed<StaticRule>>& rules,
                          const std::vector<std::size_t>& entries, MergeReport& report);
/// The policy is complete, and its static entries are in the order of the slots.
void check_pieces(const std::vector<Listed<StaticRule>>& rules, const Policy& policy,
                  MergeReport& report);

}  // namespace knock
