// SPDX-License-Identifier: Apache-2.0
#include "base/time.h"

#include <gtest/gtest.h>

namespace knock {
namespace {

TEST(Duration, ParsesAndPrints) {
  struct {
    const char* text;
    std::int64_t ms;
    const char* printed;
  } rows[] = {
      {"0s", 0, "0s"},          {"1s", 1000, "1s"},        {"90s", 90'000, "90s"},
      {"60s", 60'000, "1m"},    {"15m", 900'000, "15m"},   {"90m", 5'400'000, "90m"},
      {"8h", 28'800'000, "8h"}, {"24h", 86'400'000, "1d"}, {"30d", 2'592'000'000, "30d"},
      {"007m", 420'000, "7m"},  {"0d", 0, "0s"},           {"3660d", 3660LL * 86'400'000, "3660d"},
  };
  for (const auto& row : rows) {
    auto got = parse_duration(row.text);
    ASSERT_TRUE(got) << row.text;
    EXPECT_EQ(got->ms, row.ms) << row.text;
    EXPECT_EQ(to_string(*got), row.printed);
    EXPECT_EQ(parse_duration(to_string(*got)), got);
  }
  EXPECT_EQ(to_string(Duration{1999}), "1s");
  EXPECT_EQ(to_string(Duration{999}), "0s");
}

TEST(Duration, Refuses) {
  for (std::string_view text : {"",
                                "s",
                                "1",
                                "1 s",
                                " 1s",
                                "1s ",
                                "-1s",
                                "+1s",
                                "1.5h",
                                "1h30m",
                                "1w",
                                "1y",
                                "1ms",
                                "1S",
                                "1H",
                                "0x1s",
                                "1e3s",
                                "3661d",
                                "87841h",
                                "99999999999999999999s",
                                "9223372036854775807s",
                                "99999999999s"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(Duration, ForPeople) {
  struct {
    std::int64_t seconds;
    const char* want;
  } rows[] = {{-5, "0 s"},     {0, "0 s"},           {45, "45 s"},
              {59, "59 s"},    {60, "1 min"},        {3599, "59 min"},
              {3600, "1 h"},   {7800, "2 h 10 min"}, {86'399, "23 h 59 min"},
              {86'400, "1 d"}, {273'600, "3 d 4 h"}, {259'200, "3 d"}};
  for (const auto& row : rows) EXPECT_EQ(for_people(Duration::seconds(row.seconds)), row.want);
}

TEST(Instant, Parses) {
  struct {
    const char* text;
    std::int64_t ms;
  } rows[] = {
      {"1970-01-01", 0},
      {"1970-01-01T00:00:00Z", 0},
      {"1970-01-01t00:00:00z", 0},
      {"2026-11-21T10:04:11Z", 1'795'255'451'000},
      {"2026-11-21T10:04:11.042Z", 1'795'255'451'042},
      {"2026-11-21T10:04:11.5Z", 1'795'255'451'500},
      {"2026-11-21T10:04:11.123456789Z", 1'795'255'451'123},
      {"2026-11-21T12:04:11+02:00", 1'795'255'451'000},
      {"2026-11-21T04:34:11-05:30", 1'795'255'451'000},
      {"2026-11-21T10:04:11-00:00", 1'795'255'451'000},
      {"2026-11-21", 1'795'219'200'000},
      {"2024-02-29", 1'709'164'800'000},
      {"2000-02-29", 951'782'400'000},
      {"1969-12-31T23:59:59Z", -1000},
      {"2016-12-31T23:59:60Z", 1'483'228'800'000},  // a leap second is the next minute's first
      {"0001-01-01", -62'135'596'800'000},
      {"9999-12-31T23:59:59.999Z", 253'402'300'799'999},
  };
  for (const auto& row : rows) {
    auto got = parse_instant(row.text);
    ASSERT_TRUE(got) << row.text;
    EXPECT_EQ(got->ms, row.ms) << row.text;
  }
}

TEST(Instant, Refuses) {
  for (std::string_view text : {"",
                                "2026",
                                "2026-11",
                                "2026-1-1",
                                "2026-11-31",
                                "2026-13-01",
                                "2026-00-01",
                                "2026-01-00",
                                "2026-02-29",
                                "1900-02-29",
                                "2026/11/21",
                                "2026-11-21 ",
                                " 2026-11-21",
                                "2026-11-21T",
                                "2026-11-21T10:04",
                                "2026-11-21T10:04:11",
                                "2026-11-21 10:04:11Z",
                                "2026-11-21T10:04Z",
                                "2026-11-21T24:00:00Z",
                                "2026-11-21T10:60:00Z",
                                "2026-11-21T10:04:61Z",
                                "2026-11-21T10:04:11.Z",
                                "2026-11-21T10:04:11.Z0",
                                "2026-11-21T10:04:11,5Z",
                                "2026-11-21T10:04:11+0200",
                                "2026-11-21T10:04:11+2:00",
                                "2026-11-21T10:04:11+24:00",
                                "2026-11-21T10:04:11+02:60",
                                "2026-11-21T10:04:11ZZ",
                                "2026-11-21T10:04:11Z ",
                                "2026-11-21T1a:04:11Z",
                                "+026-11-21",
                                "-026-11-21",
                                "20261121",
                                "2026-11-21T-1:04:11Z",
                                "tomorrow"})
    EXPECT_FALSE(parse_instant(text)) << text;
}

TEST(Instant, Prints) {
  EXPECT_EQ(to_string(Instant{1'795'255'451'042}), "2026-11-21T10:04:11Z");
  EXPECT_EQ(to_string_ms(Instant{1'795'255'451'042}), "2026-11-21T10:04:11.042Z");
  EXPECT_EQ(to_string(Instant{-1}), "1969-12-31T23:59:59Z");
  EXPECT_EQ(to_string_ms(Instant{-1}), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(to_string(Instant{0}), "1970-01-01T00:00:00Z");
  EXPECT_EQ(to_string(Instant::max()), "9999-12-31T23:59:59Z");
  EXPECT_EQ(to_string(Instant{INT64_MIN}), "0000-01-01T00:00:00Z");
}

TEST(Instant, FloorsTowardsClosingEarlier) {
  struct {
    std::int64_t ms, seconds;
  } rows[] = {{0, 0},   {999, 0},   {1000, 1},   {1999, 1},
              {-1, -1}, {-999, -1}, {-1000, -1}, {-1001, -2}};
  for (const auto& row : rows) {
    EXPECT_EQ(Instant{row.ms}.seconds(), row.seconds) << row.ms;
    EXPECT_EQ(Instant{row.ms}.floor_to_second().ms, row.seconds * 1000) << row.ms;
    EXPECT_LE(Instant{row.ms}.floor_to_second(), Instant{row.ms});
  }
}

TEST(Instant, Arithmetic) {
  Instant t{1000};
  EXPECT_EQ(t + Duration::seconds(2), Instant{3000});
  EXPECT_EQ(t - Duration::minutes(1), Instant{-59'000});
  EXPECT_EQ(Instant{5000} - t, Duration{4000});
  EXPECT_EQ(Duration::hours(1) + Duration::minutes(1), Duration::seconds(3660));
  EXPECT_EQ(Duration::hours(1) - Duration::minutes(1), Duration::seconds(3540));
}

TEST(Deadline, IsNeverNegative) {
  EXPECT_TRUE(Deadline::in({-1000}).passed());
  EXPECT_EQ(Deadline::in({-1000}).left().ms, 0);
  EXPECT_TRUE(Deadline::in({0}).passed());
  auto far = Deadline::in(Duration::hours(1));
  EXPECT_FALSE(far.passed());
  EXPECT_GT(far.left(), Duration::minutes(59));
  EXPECT_LE(far.left(), Duration::hours(1));
}

TEST(SystemClock, IsTheMachines) {
  SystemClock clock;
  auto difference = clock.now().ms - std::chrono::duration_cast<std::chrono::milliseconds>(
                                         std::chrono::system_clock::now().time_since_epoch())
                                         .count();
  EXPECT_LT(std::abs(difference), 60'000);
  EXPECT_LE(clock.monotonic(), std::chrono::steady_clock::now());
}

}  // namespace
}  // namespace knock
