// SPDX-License-Identifier: Apache-2.0
// Weekly windows in the local time of an IANA time zone. Pure: a Zone is a table that somebody read
// before (store/tzdata).
//
// A local time that a clock skips means the moment of the jump; one that it shows twice means its
// first occurrence. So each window of each day is one stretch of time, perhaps an empty one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace knock {

/// Offsets from UTC, by the instant from which each holds.
struct Zone {
  struct Offset {
    Instant from;
    std::int32_t seconds = 0;  // local = UTC + seconds
    friend auto operator<=>(const Offset&, const Offset&) = default;
  };
  std::string name;             // "Europe/Berlin"
  std::vector<Offset> offsets;  // sorted; not empty; the first holds since ever
};

struct Window {
  std::uint8_t days = 0;   // bit 0 Monday … bit 6 Sunday: the day on which the window begins
  std::uint16_t from = 0;  // minutes after midnight, 0 to 1439
  std::uint16_t to = 0;    // 1 to 1440; not later than `from`: on the next day
  std::string tz;
  friend auto operator<=>(const Window&, const Window&) = default;
};

using Zones = std::map<std::string, std::shared_ptr<const Zone>>;

/// Until when it is open without a break, counting windows that touch as one; nothing when it is
/// closed at `now`. At most a year ahead.
std::optional<Instant> open_until(const std::vector<Window>& schedule, const Zones& zones,
                                  Instant now);
/// The first instant after `now` at which a window begins; nothing when none does within a year.
std::optional<Instant> next_opening(const std::vector<Window>& schedule, const Zones& zones,
                                    Instant now);
/// A name as the IANA database has them ("Europe/Berlin"), and nothing that a path could be made of.
/// Names that mean something else on another machine ("localtime") are none.
bool is_zone_name(std::string_view text);
/// "mon-fri 07:00-20:00 Europe/Berlin"
std::string to_string(const Window& window);
/// "mon", "mon-fri", "mon,wed-fri": nothing when it is none of these.
std::optional<std::uint8_t> days_from(std::string_view text);
std::string days_to_string(std::uint8_t days);

}  // namespace knock
