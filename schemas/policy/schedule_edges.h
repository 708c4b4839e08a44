// SPDX-License-Identifier: Apache-2.0
// A schedule over a few days, at a cost that grows with its windows and not with their square. Pure.
#pragma once

#include <set>

#include "schemas/policy/schedule.h"

namespace knock {

/// The same answer as open_until(), which also finds out until when.
bool is_open(const std::vector<Window>& schedule, const Zones& zones, Instant at);
/// Adds every moment between `from` and `to` at which the schedule opens or closes.
void add_schedule_edges(const std::vector<Window>& schedule, const Zones& zones, Instant from,
                        Instant to, std::set<Instant>& out);

}  // namespace knock
