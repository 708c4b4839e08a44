// SPDX-License-Identifier: Apache-2.0
// A compiled time zone (RFC 8536, "TZif") to a table of offsets. Pure; any thread. The bytes are
// the system's, and are still read as if they were a stranger's.
//
//   "TZif" version reserved[15] | isut isstd leap time type char: six counts, 32 bits, big-endian
//   transition times | type of each | types (offset:32, dst:8, name:8) | names | leap, isstd, isut
//   (from version 2 the same once more with 64-bit times)  "\n" TZ rule "\n"
//
// The rule at the end is what holds after the last transition. Data compiled the modern way ("slim")
// has no transitions after 2007 for most zones, so without the rule summer time would be missing.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "schemas/policy/schedule.h"

namespace knock {

/// Transitions by the final rule are written out up to this year.
inline constexpr int kLastZoneYear = 2199;

Result<Zone> zone_from_tzif(std::string name, std::string_view bytes);

}  // namespace knock
