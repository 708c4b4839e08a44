// SPDX-License-Identifier: Apache-2.0
// What a policy cannot tell apart: addresses that lie in the same networks, and moments between
// which no schedule opens or closes. One of each stands for all of them. Pure.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/ip.h"
#include "base/prefix.h"
#include "base/time.h"
#include "schemas/policy/schedule.h"

namespace knock {

/// One address for each way to be in some of these sets and not in the others; IPv4 and IPv6
/// apart; those in no set come first. Only addresses of `within`, when it is given.
/// O(n log n) in prefixes.
std::vector<IpAddress> address_cells(std::span<const std::vector<Prefix>> sets,
                                     const std::optional<Prefix>& within);
/// The same, and counts what it costs down from `left`; nothing when that is not enough.
std::optional<std::vector<IpAddress>> address_cells_within(
    std::span<const std::vector<Prefix>> sets, const std::optional<Prefix>& within,
    std::size_t& left);

/// How far ahead schedules are looked at.
inline constexpr Duration kScheduleHorizon = Duration::hours(366 * 24);

/// Instants, `from` first and sorted, such that every combination of open and closed schedules that
/// occurs between `from` and the horizon is seen at one of them.
///
/// Between two changes of any zone's offset the weeks are all the same, so one week of each such
/// stretch is looked at, and the days after each change, in which windows that began before it end.
std::vector<Instant> schedule_moments(std::span<const std::vector<Window>* const> schedules,
                                      const Zones& zones, Instant from);

}  // namespace knock
