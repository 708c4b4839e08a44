// SPDX-License-Identifier: Apache-2.0
// The rule at the end of a compiled time zone, in the notation of POSIX's TZ variable with the
// extensions of RFC 8536: "CET-1CEST,M3.5.0,M10.5.0/3", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
// "UTC0". Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "schemas/policy/schedule.h"

namespace knock {

struct PosixRule {
  /// A day of the year and a second of that day by the clocks as they are until then.
  struct Change {
    enum class Kind { month_week_day, day_without_leap, day_with_leap };
    Kind kind = Kind::month_week_day;
    int month = 1, week = 1;  // month_week_day: week 5 is the last
    int day = 0;              // 0 Sunday … 6; or the day of the year, from 1 or from 0
    std::int32_t seconds = 7200;
  };
  std::int32_t standard = 0;  // seconds east of UTC
  struct Summer {
    std::int32_t offset = 0;
    Change begin, end;
  };
  std::optional<Summer> summer;
};

/// Nothing when the text is not such a rule.
std::optional<PosixRule> parse_posix_rule(std::string_view text);
/// The offsets that begin in one year, in order.
std::vector<Zone::Offset> offsets_in(const PosixRule& rule, int year);

}  // namespace knock
