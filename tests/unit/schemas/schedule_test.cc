// SPDX-License-Identifier: Apache-2.0
// Weekly windows over the system's own zones, on the days on which clocks jump.
#include "schemas/policy/schedule.h"

#include <gtest/gtest.h>

#include <random>

#include "store/tzdata/system_zones.h"

namespace knock {
namespace {

Window window(std::string_view days, unsigned from, unsigned to, std::string tz) {
  return {days_from(days).value(), std::uint16_t(from), std::uint16_t(to), std::move(tz)};
}
constexpr unsigned at(unsigned hours, unsigned minutes = 0) { return hours * 60 + minutes; }

Zones zones_of(const std::vector<Window>& schedule) {
  Zones zones;
  for (const auto& one : schedule) {
    auto zone = SystemZones().zone(one.tz);
    EXPECT_TRUE(zone) << (zone ? "" : zone.error().text());
    if (zone) zones[one.tz] = *zone;
  }
  return zones;
}

std::string text(std::optional<Instant> instant) { return instant ? to_string(*instant) : "-"; }

struct Row {
  std::string name;
  std::vector<Window> schedule;
  std::string now, until, next;
};

TEST(Schedule, OpensAndClosesByTheClocksOnTheWall) {
  const std::string berlin = "Europe/Berlin", york = "America/New_York",
                    howe = "Australia/Lord_Howe", apia = "Pacific/Apia";
  const std::vector<Row> rows{
      {"inside",
       {window("mon-fri", at(7), at(20), "UTC")},
       "2026-11-04T12:00:00Z",
       "2026-11-04T20:00:00Z",
       "2026-11-05T07:00:00Z"},
      {"its first second",
       {window("mon-fri", at(7), at(20), "UTC")},
       "2026-11-04T07:00:00Z",
       "2026-11-04T20:00:00Z",
       "2026-11-05T07:00:00Z"},
      {"its last second",
       {window("mon-fri", at(7), at(20), "UTC")},
       "2026-11-04T19:59:59Z",
       "2026-11-04T20:00:00Z",
       "2026-11-05T07:00:00Z"},
      {"its end",
       {window("mon-fri", at(7), at(20), "UTC")},
       "2026-11-04T20:00:00Z",
       "-",
       "2026-11-05T07:00:00Z"},
      {"the weekend",
       {window("mon-fri", at(7), at(20), "UTC")},
       "2026-11-07T12:00:00Z",
       "-",
       "2026-11-09T07:00:00Z"},
      {"past midnight",
       {window("fri", at(22), at(2), "UTC")},
       "2026-11-07T01:00:00Z",
       "2026-11-07T02:00:00Z",
       "2026-11-13T22:00:00Z"},
      {"past midnight belongs to the day before",
       {window("sat", at(22), at(2), "UTC")},
       "2026-11-07T01:00:00Z",
       "-",
       "2026-11-07T22:00:00Z"},
      {"until midnight",
       {window("mon", at(20), at(24), "UTC")},
       "2026-11-02T23:59:59Z",
       "2026-11-03T00:00:00Z",
       "2026-11-09T20:00:00Z"},
      {"days that touch are one",
       {window("mon-wed", at(0), at(24), "UTC")},
       "2026-11-02T12:00:00Z",
       "2026-11-05T00:00:00Z",
       "2026-11-03T00:00:00Z"},
      {"windows that touch are one",
       {window("mon", at(8), at(12), "UTC"), window("mon", at(12), at(14), "UTC")},
       "2026-11-02T09:00:00Z",
       "2026-11-02T14:00:00Z",
       "2026-11-02T12:00:00Z"},
      {"windows that overlap in two zones",
       {window("mon", at(8), at(12), "UTC"), window("mon", at(8), at(12), york)},
       "2026-11-02T09:00:00Z",
       "2026-11-02T12:00:00Z",
       "2026-11-02T13:00:00Z"},
      {"a gap of an hour is a gap",
       {window("mon", at(8), at(12), "UTC"), window("mon", at(8), at(12), york)},
       "2026-11-02T12:30:00Z",
       "-",
       "2026-11-02T13:00:00Z"},

      {"Berlin in winter",
       {window("mon-fri", at(7), at(20), berlin)},
       "2026-01-14T06:00:00Z",
       "2026-01-14T19:00:00Z",
       "2026-01-15T06:00:00Z"},
      {"Berlin in summer",
       {window("mon-fri", at(7), at(20), berlin)},
       "2026-07-15T05:00:00Z",
       "2026-07-15T18:00:00Z",
       "2026-07-16T05:00:00Z"},
      {"Berlin, a begin that is skipped",
       {window("sun", at(2, 30), at(5), berlin)},
       "2026-03-29T00:30:00Z",
       "-",
       "2026-03-29T01:00:00Z"},
      {"Berlin, open from the jump",
       {window("sun", at(2, 30), at(5), berlin)},
       "2026-03-29T01:00:00Z",
       "2026-03-29T03:00:00Z",
       "2026-04-05T00:30:00Z"},
      {"Berlin, an end that is skipped",
       {window("sun", at(1), at(2, 30), berlin)},
       "2026-03-29T00:30:00Z",
       "2026-03-29T01:00:00Z",
       "2026-04-04T23:00:00Z"},
      {"Berlin, a window that is skipped whole",
       {window("sun", at(2), at(3), berlin)},
       "2026-03-29T00:59:59Z",
       "-",
       "2026-04-05T00:00:00Z"},
      {"Berlin, a begin that is shown twice",
       {window("sun", at(2, 30), at(5), berlin)},
       "2026-10-25T00:30:00Z",
       "2026-10-25T04:00:00Z",
       "2026-11-01T01:30:00Z"},
      {"Berlin, an end that is shown twice: the first",
       {window("sun", at(1), at(2, 30), berlin)},
       "2026-10-25T00:15:00Z",
       "2026-10-25T00:30:00Z",
       "2026-11-01T00:00:00Z"},
      {"Berlin, the second time round it is shut",
       {window("sun", at(1), at(2, 30), berlin)},
       "2026-10-25T01:15:00Z",
       "-",
       "2026-11-01T00:00:00Z"},
      {"Berlin, a night of 25 hours",
       {window("sat", at(12), at(12, 0) - 1, berlin)},
       "2026-10-24T10:00:00Z",
       "2026-10-25T10:59:00Z",
       "2026-10-31T11:00:00Z"},
      {"Berlin in 2060, by the rule at the end of its data",
       {window("mon-sun", at(7), at(20), berlin)},
       "2060-07-15T05:00:00Z",
       "2060-07-15T18:00:00Z",
       "2060-07-16T05:00:00Z"},

      {"New York jumps on another day",
       {window("mon-fri", at(9), at(17), york)},
       "2026-03-16T13:00:00Z",
       "2026-03-16T21:00:00Z",
       "2026-03-17T13:00:00Z"},
      {"New York, the night of the jump",
       {window("sun", at(0), at(6), york)},
       "2026-03-08T05:00:00Z",
       "2026-03-08T10:00:00Z",
       "2026-03-15T04:00:00Z"},
      {"New York, the night of the other",
       {window("sun", at(0), at(6), york)},
       "2026-11-01T04:00:00Z",
       "2026-11-01T11:00:00Z",
       "2026-11-08T05:00:00Z"},

      {"Lord Howe jumps half an hour",
       {window("sun", at(2, 15), at(4), howe)},
       "2026-10-03T15:29:59Z",
       "-",
       "2026-10-03T15:30:00Z"},
      {"Lord Howe, after the jump",
       {window("sun", at(2, 15), at(4), howe)},
       "2026-10-03T15:30:00Z",
       "2026-10-03T17:00:00Z",
       "2026-10-10T15:15:00Z"},
      {"Lord Howe, a quarter shown twice",
       {window("sun", at(1), at(1, 45), howe)},
       "2026-04-04T14:30:00Z",
       "2026-04-04T14:45:00Z",
       "2026-04-11T14:30:00Z"},

      {"Kathmandu is 5:45 ahead",
       {window("mon", at(9), at(10), "Asia/Kathmandu")},
       "2026-11-02T03:15:00Z",
       "2026-11-02T04:15:00Z",
       "2026-11-09T03:15:00Z"},

      {"Apia skipped a Friday",
       {window("fri", at(9), at(17), apia)},
       "2011-12-29T12:00:00Z",
       "-",
       "2012-01-05T19:00:00Z"},
      {"Apia, a Thursday that runs into it",
       {window("thu", at(22), at(2), apia)},
       "2011-12-30T08:30:00Z",
       "2011-12-30T10:00:00Z",
       "2012-01-05T08:00:00Z"},
      {"Apia, the Saturday after",
       {window("sat", at(0), at(1), apia)},
       "2011-12-30T10:00:00Z",
       "2011-12-30T11:00:00Z",
       "2012-01-06T10:00:00Z"},
      {"Apia, Thursday and Saturday touch",
       {window("thu,sat", at(0), at(24), apia)},
       "2011-12-29T12:00:00Z",
       "2011-12-31T10:00:00Z",
       "2011-12-30T10:00:00Z"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    auto zones = zones_of(row.schedule);
    auto now = parse_instant(row.now).value();
    EXPECT_EQ(text(open_until(row.schedule, zones, now)), row.until);
    EXPECT_EQ(text(next_opening(row.schedule, zones, now)), row.next);
  }
}

TEST(Schedule, WithoutGapsItEndsAYearAheadAtMidnight) {
  std::vector<Window> always{window("mon-sun", 0, 1440, "UTC")};
  auto zones = zones_of(always);
  auto now = parse_instant("2026-11-04T12:34:56Z").value();
  EXPECT_EQ(text(open_until(always, zones, now)), "2027-11-05T00:00:00Z");
  EXPECT_EQ(open_until(always, zones, now), open_until(always, zones, now + Duration::hours(5)));
}

TEST(Schedule, AZoneThatNobodyReadIsShut) {
  std::vector<Window> schedule{window("mon-sun", 0, 1440, "Europe/Berlin")};
  auto now = parse_instant("2026-11-04T12:00:00Z").value();
  EXPECT_FALSE(open_until(schedule, {}, now));
  EXPECT_FALSE(open_until(schedule, {{"Europe/Berlin", nullptr}}, now));
  EXPECT_FALSE(open_until(schedule, {{"Europe/Berlin", std::make_shared<Zone>()}}, now));
  EXPECT_FALSE(next_opening(schedule, {}, now));
  EXPECT_FALSE(open_until({}, {}, now));
  EXPECT_FALSE(next_opening({}, {}, now));
}

/// What the two functions say, by asking the clock on the wall at every minute.
TEST(Schedule, AgreesWithAskingEveryMinute) {
  std::mt19937 random(11);
  const std::vector<std::string> names{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe",
                                       "Asia/Kathmandu", "UTC"};
  for (int round = 0; round < 60; ++round) {
    std::vector<Window> schedule;
    for (unsigned i = 0; i < 1 + random() % 3; ++i)
      schedule.push_back({std::uint8_t(1 + random() % 127), std::uint16_t(random() % 1440),
                          std::uint16_t(1 + random() % 1440), names[random() % names.size()]});
    auto zones = zones_of(schedule);
    auto start =
        parse_instant(random() % 2 == 0 ? "2026-03-06T00:00:00Z" : "2026-10-23T00:00:00Z").value() +
        Duration::minutes(random() % (60 * 24 * 14));
    auto open = [&](Instant t) { return open_until(schedule, zones, t).has_value(); };
    auto until = open_until(schedule, zones, start);
    auto next = next_opening(schedule, zones, start);
    ASSERT_TRUE(next);
    bool was = open(start);
    EXPECT_EQ(was, until.has_value());
    if (until) {
      EXPECT_GT(*until, start);
      EXPECT_FALSE(open(*until)) << "it closes where it says";
    }
    auto end = until.value_or(*next);
    for (auto t = start; t < end && t < start + Duration::hours(72); t = t + Duration::minutes(1))
      ASSERT_EQ(open(t), was) << to_string(t);
    EXPECT_TRUE(open(*next));
  }
}

TEST(Schedule, DaysAreReadAndWritten) {
  struct Days {
    std::string written;
    unsigned days;
    std::string printed;
  };
  for (const auto& row : std::vector<Days>{{"mon", 1, "mon"},
                                           {"mon-fri", 0b11111, "mon-fri"},
                                           {"mon-tue", 0b11, "mon,tue"},
                                           {"mon,wed-fri", 0b11101, "mon,wed-fri"},
                                           {"sun,mon", 0b1000001, "mon,sun"},
                                           {"sat-mon", 0b1100001, "mon,sat,sun"},
                                           {"fri-fri", 0b10000, "fri"},
                                           {"mon-sun", 127, "mon-sun"}}) {
    SCOPED_TRACE(row.written);
    ASSERT_EQ(days_from(row.written), row.days);
    EXPECT_EQ(days_to_string(std::uint8_t(row.days)), row.printed);
    EXPECT_EQ(days_from(row.printed), row.days);
  }
  for (std::string_view none : {"", "mo", "Mon", "mon-", "-fri", "mon,,tue", "mon, tue", "mon-mon-",
                                "mon,mon", "mon-wed,tue", "1-5", "mon fri"})
    EXPECT_FALSE(days_from(none)) << none;
  for (unsigned days = 1; days < 128; ++days)
    EXPECT_EQ(days_from(days_to_string(std::uint8_t(days))), days);
  EXPECT_EQ(to_string(window("mon-fri", at(7), at(20), "Europe/Berlin")),
            "mon-fri 07:00-20:00 Europe/Berlin");
  EXPECT_EQ(to_string(window("sat", at(0), at(24), "UTC")), "sat 00:00-24:00 UTC");
}

TEST(Schedule, ZoneNamesAreNoPaths) {
  for (std::string_view name : {"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires",
                                "Etc/GMT+5", "America/Port-au-Prince", "EST5EDT"})
    EXPECT_TRUE(is_zone_name(name)) << name;
  for (std::string_view name :
       {"", ".", "..", "Europe/..", "../../etc/passwd", "/etc/localtime", "Europe//Berlin",
        "Europe/", "localtime", "posixrules", "posix/UTC", "right/UTC", "Factory", "Europe/Ber lin",
        "a/b/c/d", "+1", "Europe/\xc3\xa4"})
    EXPECT_FALSE(is_zone_name(name)) << name;
}

}  // namespace
}  // namespace knock
