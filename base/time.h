// SPDX-License-Identifier: Apache-2.0
// Time as plain values: milliseconds since the Unix epoch (Instant) and between two instants
// (Duration). Only the edges hold a Clock; pure code gets `now` as an argument.
//
// Two clocks, because a wall clock can be set: a deadline closes at whichever of wall and monotonic
// time comes first. SteadyWall below makes one clock of both, that never runs backwards.
#pragma once

#include <atomic>
#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace knock {

struct Duration {
  std::int64_t ms = 0;
  friend constexpr auto operator<=>(Duration, Duration) = default;
  static constexpr Duration seconds(std::int64_t n) { return {n * 1000}; }
  static constexpr Duration minutes(std::int64_t n) { return {n * 60'000}; }
  static constexpr Duration hours(std::int64_t n) { return {n * 3'600'000}; }
  std::chrono::milliseconds chrono() const { return std::chrono::milliseconds(ms); }
};
constexpr Duration operator+(Duration a, Duration b) { return {a.ms + b.ms}; }
constexpr Duration operator-(Duration a, Duration b) { return {a.ms - b.ms}; }

struct Instant {
  std::int64_t ms = 0;
  friend constexpr auto operator<=>(Instant, Instant) = default;
  static constexpr Instant from_seconds(std::int64_t s) { return {s * 1000}; }
  static constexpr Instant max() { return {INT64_MAX}; }
  constexpr std::int64_t seconds() const { return ms >= 0 ? ms / 1000 : -((-ms + 999) / 1000); }
  /// Deadlines are kept in whole seconds, rounded towards closing earlier.
  constexpr Instant floor_to_second() const { return from_seconds(seconds()); }
};
constexpr Instant operator+(Instant t, Duration d) { return {t.ms + d.ms}; }
constexpr Instant operator-(Instant t, Duration d) { return {t.ms - d.ms}; }
constexpr Duration operator-(Instant a, Instant b) { return {a.ms - b.ms}; }

/// "90s", "15m", "8h", "30d": digits and one unit, nothing else; at most 10 years. Nothing on
/// anything else.
std::optional<Duration> parse_duration(std::string_view text);
/// The shortest text that parse_duration reads back ("8h", "90m", "45s"); milliseconds are dropped.
std::string to_string(Duration duration);
/// For people: "2 h 10 min", "45 s", "3 d 4 h".
std::string for_people(Duration duration);

/// RFC 3339 with "Z" or a numeric offset, or a date alone = its first instant in UTC.
std::optional<Instant> parse_instant(std::string_view text);
/// RFC 3339 in UTC with seconds: "2026-11-21T10:04:11Z".
std::string to_string(Instant instant);
/// With milliseconds, for logs: "2026-11-21T10:04:11.042Z".
std::string to_string_ms(Instant instant);

using MonotonicTime = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
  virtual MonotonicTime monotonic() const = 0;
};

/// The machine's clocks. Any thread.
class SystemClock final : public Clock {
 public:
  Instant now() const override;
  MonotonicTime monotonic() const override { return std::chrono::steady_clock::now(); }
};

/// A wall clock that never runs backwards, so that setting the machine's clock back lengthens
/// nothing. It advances at least as fast as monotonic time from the latest instant it has shown,
/// and follows the wall clock forwards. `floor` is the time of the newest durable record: across a
/// restart too, time is never earlier than what is written. Any thread.
class SteadyWall final : public Clock {
 public:
  SteadyWall(const Clock& machine, Instant floor);
  Instant now() const override;
  MonotonicTime monotonic() const override { return machine_.monotonic(); }
  /// How far the machine's wall clock is behind this one; more than a second deserves an alarm.
  Duration behind() const;

 private:
  const Clock& machine_;
  Instant start_;
  MonotonicTime start_monotonic_;
  mutable std::atomic<std::int64_t> lead_ms_{
      0};  // how much the wall clock ran ahead of start + elapsed
};

/// A point in monotonic time by which a call must have returned.
struct Deadline {
  MonotonicTime at;
  static Deadline in(Duration d) { return {std::chrono::steady_clock::now() + d.chrono()}; }
  /// Never negative.
  Duration left() const;
  bool passed() const { return left().ms == 0; }
};

}  // namespace knock
