// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "base/text.h"
#include "schemas/policy/schedule_edges.h"

namespace knock {
namespace {

constexpr std::int64_t kMinute = 60;
constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kDaysAhead = 366;
// No offset there ever was is larger; it bounds how far a local time is from the same number read
// as UTC.
constexpr std::int64_t kLargestOffset = 26 * 3600;

constexpr std::array<std::string_view, 7> kDays{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/// The offset that holds at a second of UTC.
std::size_t offset_at(const Zone& zone, std::int64_t seconds) {
  auto after = std::ranges::upper_bound(zone.offsets, Instant::from_seconds(seconds), {},
                                        &Zone::Offset::from);
  return after == zone.offsets.begin() ? 0 : std::size_t(after - zone.offsets.begin()) - 1;
}

/// Days since 1970-01-01 on the zone's calendar.
std::int64_t local_day(const Zone& zone, std::int64_t seconds) {
  return floor_divide(seconds + zone.offsets[offset_at(zone, seconds)].seconds, kDay);
}

/// The first second at which the zone's clocks show `local` or later: the jump over a time that is
/// skipped, the first of two times that are the same. So it never decreases with `local`.
std::int64_t first_showing(const Zone& zone, std::int64_t local) {
  for (auto i = offset_at(zone, local - kLargestOffset);; ++i) {
    std::int64_t offset = zone.offsets[i].seconds;
    bool last = i + 1 == zone.offsets.size();
    if (!last && zone.offsets[i + 1].from.seconds() + offset <= local) continue;
    return i == 0 ? local - offset : std::max(zone.offsets[i].from.seconds(), local - offset);
  }
}

struct Stretch {
  std::int64_t begin = 0, end = 0;  // seconds; begin is in it, end is not
};

bool begins_on(const Window& window, std::int64_t day) {
  auto weekday = (day + 3) - floor_divide(day + 3, 7) * 7;  // 1970-01-01 was a Thursday
  return (window.days >> weekday & 1) != 0;
}

Stretch stretch_of(const Window& window, const Zone& zone, std::int64_t day) {
  auto last = window.to > window.from ? day : day + 1;
  return {first_showing(zone, day * kDay + window.from * kMinute),
          first_showing(zone, last * kDay + window.to * kMinute)};
}

/// A zone that nobody read keeps its windows shut.
const Zone* zone_of(const Window& window, const Zones& zones) {
  auto found = zones.find(window.tz);
  if (found == zones.end() || found->second == nullptr || found->second->offsets.empty())
    return nullptr;
  return found->second.get();
}

/// The latest end of the stretches that begin at `at` or earlier and go on after it.
std::optional<std::int64_t> reach(const std::vector<Window>& schedule, const Zones& zones,
                                  std::int64_t at) {
  std::optional<std::int64_t> furthest;
  for (const auto& window : schedule) {
    const auto* zone = zone_of(window, zones);
    if (zone == nullptr) continue;
    auto today = local_day(*zone, at);
    // Two days back: one for a window that passes midnight, one for a date that was skipped.
    for (auto day = today - 2; day <= today; ++day) {
      if (!begins_on(window, day)) continue;
      auto stretch = stretch_of(window, *zone, day);
      if (stretch.begin <= at && at < stretch.end)
        furthest = std::max(furthest.value_or(stretch.end), stretch.end);
    }
  }
  return furthest;
}

std::optional<std::int64_t> next_begin(const Window& window, const Zone& zone, std::int64_t after) {
  auto today = local_day(zone, after);
  for (auto day = today - 1; day <= today + kDaysAhead; ++day) {
    if (!begins_on(window, day)) continue;
    auto stretch = stretch_of(window, zone, day);
    if (stretch.begin > after && stretch.end > stretch.begin) return stretch.begin;
  }
  return std::nullopt;
}

std::optional<unsigned> day_from(std::string_view text) {
  auto found = std::ranges::find(kDays, text);
  if (found == kDays.end()) return std::nullopt;
  return unsigned(found - kDays.begin());
}

/// "mon" or "mon-fri"; a range may pass the end of the week.
std::optional<std::uint8_t> range_from(std::string_view text) {
  auto dash = text.find('-');
  auto first = day_from(text.substr(0, dash));
  auto last = dash == std::string_view::npos ? first : day_from(text.substr(dash + 1));
  if (!first || !last) return std::nullopt;
  unsigned days = 0;
  for (auto day = *first;; day = (day + 1) % 7) {
    days |= 1u << day;
    if (day == *last) return std::uint8_t(days);
  }
}

std::string clock(unsigned minutes) {
  return fmt::format("{:02}:{:02}", minutes / 60, minutes % 60);
}

}  // namespace

std::optional<Instant> open_until(const std::vector<Window>& schedule, const Zones& zones,
                                  Instant now) {
  auto end = reach(schedule, zones, now.seconds());
  if (!end) return std::nullopt;
  auto latest = now.seconds() + kDaysAhead * kDay;
  while (*end < latest) {
    auto further = reach(schedule, zones, *end);
    // Whole stretches only: a schedule without a gap must not end at another second each second.
    if (!further || *further > latest) break;
    end = further;
  }
  return Instant::from_seconds(*end);
}

bool is_open(const std::vector<Window>& schedule, const Zones& zones, Instant at) {
  return reach(schedule, zones, at.seconds()).has_value();
}

void add_schedule_edges(const std::vector<Window>& schedule, const Zones& zones, Instant from,
                        Instant to, std::set<Instant>& out) {
  std::vector<Stretch> stretches;
  for (const auto& window : schedule) {
    const auto* zone = zone_of(window, zones);
    if (zone == nullptr) continue;
    auto last = local_day(*zone, to.seconds()) + 1;
    for (auto day = local_day(*zone, from.seconds()) - 2; day <= last; ++day) {
      if (!begins_on(window, day)) continue;
      auto stretch = stretch_of(window, *zone, day);
      if (stretch.end > stretch.begin) stretches.push_back(stretch);
    }
  }
  std::ranges::sort(stretches, {}, &Stretch::begin);
  auto add = [&](std::int64_t second) {
    auto at = Instant::from_seconds(second);
    if (at > from && at < to) out.insert(at);
  };
  for (std::size_t i = 0; i < stretches.size();) {
    Stretch all = stretches[i];
    while (++i < stretches.size() && stretches[i].begin <= all.end)
      all.end = std::max(all.end, stretches[i].end);
    add(all.begin);
    add(all.end);
  }
}

std::optional<Instant> next_opening(const std::vector<Window>& schedule, const Zones& zones,
                                    Instant now) {
  std::optional<Instant> first;
  for (const auto& window : schedule) {
    const auto* zone = zone_of(window, zones);
    if (zone == nullptr) continue;
    auto begin = next_begin(window, *zone, now.seconds());
    if (!begin) continue;
    auto at = Instant::from_seconds(*begin);
    first = std::min(first.value_or(at), at);
  }
  return first;
}

bool is_zone_name(std::string_view text) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-";
  constexpr std::array<std::string_view, 5> kNone{"posix", "right", "localtime", "posixrules",
                                                  "Factory"};
  if (text.size() > 64) return false;
  auto parts = split(text, '/');
  if (parts.size() > 3 || std::ranges::find(kNone, parts[0]) != kNone.end()) return false;
  return std::ranges::all_of(parts, [&](std::string_view part) {
    bool letter = !part.empty() && ((part[0] | 0x20) >= 'a' && (part[0] | 0x20) <= 'z');
    return letter && part.find_first_not_of(kAllowed) == std::string_view::npos;
  });
}

std::string to_string(const Window& window) {
  return fmt::format("{} {}-{} {}", days_to_string(window.days), clock(window.from),
                     clock(window.to), window.tz);
}

std::optional<std::uint8_t> days_from(std::string_view text) {
  unsigned days = 0;
  for (auto part : split(text, ',')) {
    auto range = range_from(part);
    if (!range || (days & *range) != 0) return std::nullopt;  // a day twice: one was mistyped
    days |= *range;
  }
  return std::uint8_t(days);
}

std::string days_to_string(std::uint8_t days) {
  std::vector<std::string> parts;
  for (unsigned day = 0; day < 7;) {
    unsigned length = unsigned(std::countr_one(unsigned(days) >> day));
    if (length >= 3) {
      parts.push_back(fmt::format("{}-{}", kDays[day], kDays[day + length - 1]));
      day += length;
      continue;
    }
    if (length > 0) parts.emplace_back(kDays[day]);
    ++day;
  }
  return join(parts, ",");
}

}  // namespace knock
