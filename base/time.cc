// SPDX-License-Identifier: Apache-2.0
#include "base/time.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace knock {
namespace {

constexpr std::int64_t kLongest = 10LL * 366 * 24 * 3'600'000;

struct Unit {
  char letter;
  std::int64_t ms;
};
constexpr std::array kUnits{Unit{'d', 86'400'000}, Unit{'h', 3'600'000}, Unit{'m', 60'000},
                            Unit{'s', 1000}};

/// Exactly `width` digits at `at`, as a number; nothing when a character is not a digit.
std::optional<int> digits(std::string_view text, std::size_t at, std::size_t width) {
  if (at + width > text.size()) return std::nullopt;
  int value = 0;
  for (std::size_t i = at; i < at + width; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

std::optional<std::chrono::sys_days> parse_date(std::string_view text) {
  if (text.size() < 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  if (!year || !month || !day) return std::nullopt;
  std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(unsigned(*month)),
                                   std::chrono::day(unsigned(*day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date);
}

/// The zone suffix of RFC 3339 as milliseconds east of UTC.
std::optional<std::int64_t> parse_offset(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  auto hour = digits(text, 1, 2), minute = digits(text, 4, 2);
  if (!hour || !minute || *hour > 23 || *minute > 59) return std::nullopt;
  std::int64_t ms = (*hour * 60LL + *minute) * 60'000;
  return text[0] == '-' ? -ms : ms;
}

struct Civil {
  int year;
  unsigned month, day;
  std::int64_t hour, minute, second, ms;
};

/// RFC 3339 ends with the year 9999, and chrono's year with 32767: Instant::max() is shown as the
/// end of the former.
constexpr Instant kFirstShown{-62'167'219'200'000}, kLastShown{253'402'300'799'999};

Civil civil(Instant instant) {
  using namespace std::chrono;
  instant = std::clamp(instant, kFirstShown, kLastShown);
  sys_time<milliseconds> time{milliseconds(instant.ms)};
  auto day = floor<days>(time);
  year_month_day date{day};
  auto rest = (time - day).count();
  return {int(date.year()),   unsigned(date.month()), unsigned(date.day()), rest / 3'600'000,
          rest / 60'000 % 60, rest / 1000 % 60,       rest % 1000};
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  if (text.size() < 2 || text.size() > 12) return std::nullopt;
  std::int64_t count = 0;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size() - 1, count);
  if (problem != std::errc() || end != text.data() + text.size() - 1 || text[0] == '-')
    return std::nullopt;
  for (const auto& unit : kUnits)
    if (unit.letter == text.back()) {
      if (count > kLongest / unit.ms) return std::nullopt;
      return Duration{count * unit.ms};
    }
  return std::nullopt;
}

std::string to_string(Duration duration) {
  auto seconds = duration.ms / 1000;
  if (seconds == 0) return "0s";
  for (const auto& unit : kUnits) {
    auto size = unit.ms / 1000;
    if (seconds % size == 0) return fmt::format("{}{}", seconds / size, unit.letter);
  }
  return fmt::format("{}s", seconds);
}

std::string for_people(Duration duration) {
  auto seconds = std::max<std::int64_t>(duration.ms, 0) / 1000;
  if (seconds < 60) return fmt::format("{} s", seconds);
  auto minutes = seconds / 60;
  if (minutes < 60) return fmt::format("{} min", minutes);
  auto hours = minutes / 60;
  if (hours < 24)
    return minutes % 60 ? fmt::format("{} h {} min", hours, minutes % 60)
                        : fmt::format("{} h", hours);
  return hours % 24 ? fmt::format("{} d {} h", hours / 24, hours % 24)
                    : fmt::format("{} d", hours / 24);
}

std::optional<Instant> parse_instant(std::string_view text) {
  auto date = parse_date(text);
  if (!date) return std::nullopt;
  std::int64_t ms = std::chrono::milliseconds(date->time_since_epoch()).count();
  if (text.size() == 10) return Instant{ms};
  if (text.size() < 20 || (text[10] != 'T' && text[10] != 't') || text[13] != ':' ||
      text[16] != ':')
    return std::nullopt;
  auto hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60)
    return std::nullopt;
  ms += ((*hour * 60LL + *minute) * 60 + *second) * 1000;
  std::size_t at = 19;
  if (text[at] == '.') {
    std::int64_t scale = 100;
    std::size_t first = ++at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10)
      ms += (text[at] - '0') * scale;
    if (at == first) return std::nullopt;
  }
  auto offset = parse_offset(text.substr(at));
  if (!offset) return std::nullopt;
  return Instant{ms - *offset};
}

std::string to_string(Instant instant) {
  auto c = civil(instant);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", c.year, c.month, c.day, c.hour,
                     c.minute, c.second);
}

std::string to_string_ms(Instant instant) {
  auto c = civil(instant);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", c.year, c.month, c.day, c.hour,
                     c.minute, c.second, c.ms);
}

Instant SystemClock::now() const {
  return {std::chrono::duration_cast<std::chrono::milliseconds>(
              std::chrono::system_clock::now().time_since_epoch())
              .count()};
}

SteadyWall::SteadyWall(const Clock& machine, Instant floor)
    : machine_(machine),
      start_(std::max(machine.now(), floor)),
      start_monotonic_(machine.monotonic()) {}

Instant SteadyWall::now() const {
  // The wall first: a pause between the two readings (a busy machine, a stopped one) then makes the
  // wall look behind, which is forgotten, and not ahead, which would stay.
  Instant wall = machine_.now();
  auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(machine_.monotonic() -
                                                                       start_monotonic_);
  Instant paced = start_ + Duration{elapsed.count()};
  std::int64_t ahead = (wall - paced).ms;
  std::int64_t lead = lead_ms_.load();
  while (ahead > lead && !lead_ms_.compare_exchange_weak(lead, ahead)) {
  }
  return paced + Duration{std::max(ahead, lead)};
}

Duration SteadyWall::behind() const {
  return {std::max<std::int64_t>(0, (now() - machine_.now()).ms)};
}

Duration Deadline::left() const {
  auto rest =
      std::chrono::duration_cast<std::chrono::milliseconds>(at - std::chrono::steady_clock::now());
  return {std::max<std::int64_t>(0, rest.count())};
}

}  // namespace knock
