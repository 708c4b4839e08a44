// SPDX-License-Identifier: Apache-2.0
// Compiled time zones: the same answers as the C library's own reader, and nothing from bytes that
// are no zone.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <random>

#include "store/tzdata/posix_rule.h"
#include "store/tzdata/system_zones.h"
#include "store/tzdata/tzif.h"
#include "tests/support/requirement.h"

namespace knock {
namespace {

namespace fs = std::filesystem;

std::int32_t offset_of(const Zone& zone, std::int64_t seconds) {
  auto out = zone.offsets.front().seconds;
  for (const auto& offset : zone.offsets)
    if (offset.from.seconds() <= seconds) out = offset.seconds;
  return out;
}

/// What localtime_r says, with TZ set for as long as this lives.
class Reference {
 public:
  explicit Reference(const std::string& name) {
    setenv("TZ", (":" + name).c_str(), 1);
    tzset();
  }
  ~Reference() {
    unsetenv("TZ");
    tzset();
  }
  std::int64_t offset(std::int64_t seconds) const {
    std::time_t time = seconds;
    std::tm local{};
    localtime_r(&time, &local);
    return local.tm_gmtoff;
  }
};

TEST(SystemZones, SayWhatTheCLibrarySays) {
  SystemZones zones;
  auto names = zones.names();
  ASSERT_GT(names.size(), 300u);
  std::mt19937_64 random(3);
  int read = 0;
  for (const auto& name : names) {
    if (!is_zone_name(name)) continue;
    auto zone = zones.zone(name);
    ASSERT_TRUE(zone) << name << ": " << zone.error().text();
    Reference reference(name);
    for (int i = 0; i < 60; ++i) {
      // 1950 to 2150
      auto at = std::int64_t(random() % 6'311'000'000) - 631'152'000;
      ASSERT_EQ(offset_of(**zone, at), reference.offset(at)) << name << " at " << at;
    }
    for (const auto& offset : (*zone)->offsets) {
      auto at = offset.from.seconds();
      if (at < -1'000'000'000 || at > 5'500'000'000) continue;
      ASSERT_EQ(offset_of(**zone, at), reference.offset(at)) << name << " at " << at;
      ASSERT_EQ(offset_of(**zone, at - 1), reference.offset(at - 1)) << name << " before " << at;
    }
    ++read;
  }
  EXPECT_GT(read, 300);
}

TEST(SystemZones, TellAbsentFromUnreadable) {
  SystemZones zones;
  for (std::string name : {"Europe/Berln", "../../etc/passwd", "Europe", "localtime", ""}) {
    auto zone = zones.zone(name);
    ASSERT_FALSE(zone) << name;
    EXPECT_EQ(zone.error().kind, ErrorKind::not_found) << zone.error().text();
  }
  auto folder = fs::temp_directory_path() / fmt::format("knock-zones-{}", getpid());
  fs::create_directories(folder);
  std::ofstream(folder / "Broken") << "TZif2 and nothing more";
  auto zone = SystemZones(folder.string()).zone("Broken");
  ASSERT_FALSE(zone);
  EXPECT_EQ(zone.error().kind, ErrorKind::invalid);
  EXPECT_NE(zone.error().text().find("Broken"), std::string::npos);
  EXPECT_TRUE(SystemZones(folder.string()).names().empty());
  fs::remove_all(folder);
}

std::string number(std::int64_t value, int size) {
  std::string out;
  for (int i = size - 1; i >= 0; --i) out += char(value >> (8 * i) & 0xff);
  return out;
}

struct Parts {
  std::vector<std::int64_t> times;
  std::vector<int> types;
  std::vector<std::int64_t> offsets{3600};
  std::int64_t leap = 0;
  std::string footer = "\nUTC0\n";
};

std::string header(char version, const Parts& parts) {
  std::string out = "TZif";
  out += version;
  out += std::string(15, '\0');
  for (std::int64_t count :
       {std::int64_t(0), std::int64_t(0), parts.leap, std::int64_t(parts.times.size()),
        std::int64_t(parts.offsets.size()), std::int64_t(0)})
    out += number(count, 4);
  return out;
}

std::string block(const Parts& parts, int size) {
  std::string out;
  for (auto time : parts.times) out += number(time, size);
  for (auto type : parts.types) out += char(type);
  for (auto offset : parts.offsets) out += number(offset, 4) + std::string(2, '\0');
  return out + std::string(std::size_t(parts.leap) * std::size_t(size + 4), '\0');
}

std::string tzif(const Parts& parts) {
  Parts none;
  return header('2', none) + block(none, 4) + header('2', parts) + block(parts, 8) + parts.footer;
}

TEST(CompiledZone, SlimDataHasItsSummersFromTheRule) {
  auto zone = zone_from_tzif(
      "X", tzif({{1'000'000'000}, {0}, {3600}, 0, "\nCET-1CEST,M3.5.0,M10.5.0/3\n"}));
  ASSERT_TRUE(zone) << zone.error().text();
  EXPECT_EQ(offset_of(*zone, 1'784'100'000), 7200);  // July 2026
  EXPECT_EQ(offset_of(*zone, 1'768'300'000), 3600);  // January 2026
  EXPECT_EQ(offset_of(*zone, 999'999'999), 3600);
  auto empty = zone_from_tzif("X", tzif({{}, {}, {0}, 0, "\n<+0545>-5:45\n"}));
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->offsets.size(), 1u);
  EXPECT_EQ(offset_of(*empty, 0), 20'700);
}

TEST(CompiledZone, BytesThatAreNoneAreRefused) {
  ASSERT_TRUE(zone_from_tzif("X", tzif({})));
  auto sound = tzif({{1, 2}, {0, 0}, {0}});
  for (std::size_t length = 0; length < sound.size(); ++length)
    EXPECT_FALSE(zone_from_tzif("X", sound.substr(0, length))) << length;
  auto many = sound;
  many[32] = '\x7f';  // 2,130,706,432 transitions
  EXPECT_FALSE(zone_from_tzif("X", many));
  EXPECT_FALSE(zone_from_tzif("X", tzif({{2, 1}, {0, 0}}))) << "backwards";
  EXPECT_FALSE(zone_from_tzif("X", tzif({{1, 1}, {0, 0}}))) << "twice";
  EXPECT_FALSE(zone_from_tzif("X", tzif({{1}, {1}}))) << "a type that is not there";
  EXPECT_FALSE(zone_from_tzif("X", tzif({{}, {}, {}}))) << "no type";
  EXPECT_FALSE(zone_from_tzif("X", tzif({{}, {}, {100'000}}))) << "an offset beyond a day";
  EXPECT_FALSE(zone_from_tzif("X", tzif({{}, {}, {0}, 1}))) << "leap seconds";
  EXPECT_FALSE(zone_from_tzif("X", tzif({{}, {}, {0}, 0, "\nnone of it\n"})));
  EXPECT_FALSE(zone_from_tzif("X", tzif({{}, {}, {0}, 0, "UTC0\n"})));
}

TEST(PosixRule, IsReadStrictly) {
  for (std::string_view text :
       {"UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        "IST-1GMT0,M10.5.0,M3.5.0/1", "EST5EDT,0/0,J365/25", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
        "AAA1:02:03BBB,J60,59/167:59:59"})
    EXPECT_TRUE(parse_posix_rule(text)) << text;
  for (std::string_view text : {"",
                                "UT",
                                "UTC",
                                "UTC0X",
                                "CET-1CEST",
                                "CET-1CEST,M3.5.0",
                                "CET-1CEST,M13.5.0,M10.5.0",
                                "CET-1CEST,M3.6.0,M10.5.0",
                                "CET-1CEST,M3.0.0,M10.5.0",
                                "CET-1CEST,M3.5.7,M10.5.0",
                                "CET-1CEST,J0,J1",
                                "CET-1CEST,J366,J1",
                                "CET-1CEST,366,1",
                                "<+1-1",
                                "UTC168",
                                "UTC0:60",
                                "UTC0:00:60",
                                "CET-1CEST,M3.5.0,M10.5.0/168",
                                "UTC99999999999",
                                "CET-1CEST,M3.5.0,M10.5.0,"})
    EXPECT_FALSE(parse_posix_rule(text)) << text;
}

TEST(PosixRule, SummerAllYearHasNoWinter) {
  auto zone = zone_from_tzif("X", tzif({{}, {}, {0}, 0, "\nEST5EDT,0/0,J365/25\n"}));
  ASSERT_TRUE(zone);
  for (std::int64_t at = 100'000'000; at < 4'000'000'000; at += 86'400 * 13 + 3600)
    ASSERT_EQ(offset_of(*zone, at), -4 * 3600) << at;
  EXPECT_LE(zone->offsets.size(), 3u);
}

}  // namespace
}  // namespace knock
