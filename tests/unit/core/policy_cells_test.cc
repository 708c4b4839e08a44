// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/policy_cells.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

using Sets = std::vector<std::vector<Prefix>>;

std::vector<std::string> cells(const Sets& sets, const char* within = nullptr) {
  std::vector<std::string> out;
  for (const IpAddress& address :
       address_cells(sets, within != nullptr ? Prefix::parse(within) : std::nullopt))
    out.push_back(address.to_string());
  return out;
}

std::vector<bool> signature(const Sets& sets, const IpAddress& address) {
  std::vector<bool> out;
  for (const auto& set : sets)
    out.push_back(
        std::any_of(set.begin(), set.end(), [&](const Prefix& p) { return p.contains(address); }));
  return out;
}

using Texts = std::vector<std::string>;

TEST(AddressCells, NothingIsOneCellForEachFamily) {
  EXPECT_EQ(cells({}), (Texts{"203.0.113.1", "2001:db8::1"}));
}

TEST(AddressCells, ExamplesAreTakenOnlyWhereTheyAreOutside) {
  EXPECT_EQ(
      cells({prefixes({"203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24", "2001:db8::/32"})}),
      (Texts{"0.0.0.1", "::1", "192.0.2.1", "2001:db8::1"}));
}

TEST(AddressCells, NestedPrefixesAreCellsOfTheirOwn) {
  EXPECT_EQ(cells({prefixes({"10.0.0.0/8"}), prefixes({"10.0.0.0/16"})}, "10.0.0.0/8"),
            (Texts{"10.1.0.1", "10.0.0.1"}));
}

TEST(AddressCells, APrefixThatIsFullOfOthersHasNoCell) {
  EXPECT_EQ(
      cells({prefixes({"10.0.0.0/8"}), prefixes({"10.0.0.0/9", "10.128.0.0/9"})}, "10.0.0.0/8"),
      (Texts{"10.0.0.1"}));
}

TEST(AddressCells, TheLastAddressIsFound) {
  EXPECT_EQ(cells({prefixes({"255.255.255.0/25", "255.255.255.128/26", "255.255.255.192/27",
                             "255.255.255.224/28", "255.255.255.240/29", "255.255.255.248/30",
                             "255.255.255.252/31", "255.255.255.254/32"})},
                  "255.255.255.0/24"),
            (Texts{"255.255.255.255", "255.255.255.1"}));
  EXPECT_EQ(cells({prefixes({"255.255.255.254/32", "255.255.255.255/32"})}, "255.255.255.254/31"),
            (Texts{"255.255.255.254"}));
}

TEST(AddressCells, WithinAHostThereIsThatHost) {
  EXPECT_EQ(cells({prefixes({"10.0.0.0/8"})}, "10.0.0.7/32"), (Texts{"10.0.0.7"}));
}

TEST(AddressCells, WideSetsLeaveNoOutside) {
  EXPECT_EQ(cells({prefixes({"0.0.0.0/0"})}), (Texts{"2001:db8::1", "203.0.113.1"}));
}

TEST(AddressCells, FamiliesOfOneSetAreApart) {
  EXPECT_EQ(cells({prefixes({"10.0.0.0/8", "fd00::/8"})}),
            (Texts{"203.0.113.1", "2001:db8::1", "10.0.0.1", "fd00::1"}));
}

/// Against every address of a small network.
TEST(AddressCells, EverySignatureOccursOnce) {
  std::uint32_t state = 7;
  auto below = [&](std::uint32_t n) {
    state = state * 1664525 + 1013904223;
    return (state >> 8) % n;
  };
  for (int round = 0; round < 500; ++round) {
    Sets sets(1 + below(4));
    for (auto& set : sets)
      for (auto n = below(5); n > 0; --n)
        set.push_back(Prefix::of(IpAddress::v4(0x0a000000 + below(64)), 26 + int(below(7))));
    std::set<std::vector<bool>> expected, found;
    for (std::uint32_t i = 0; i < 64; ++i)
      expected.insert(signature(sets, IpAddress::v4(0x0a000000 + i)));
    auto reps = address_cells(sets, Prefix::parse("10.0.0.0/26"));
    for (const IpAddress& address : reps) {
      ASSERT_TRUE(Prefix::parse("10.0.0.0/26")->contains(address));
      found.insert(signature(sets, address));
    }
    ASSERT_EQ(found, expected);
    ASSERT_EQ(reps.size(), expected.size());
  }
}

// ---- time ----

std::shared_ptr<const Zone> zone(const char* name, std::vector<Zone::Offset> offsets) {
  return std::make_shared<const Zone>(Zone{name, std::move(offsets)});
}

Zones zones() {
  auto at = [](const char* text) { return *parse_instant(text); };
  return {
      {"UTC", zone("UTC", {{Instant{}, 0}})},
      {"Europe/Berlin", zone("Europe/Berlin", {{Instant{}, 3600},
                                               {at("2026-03-29T01:00:00Z"), 7200},
                                               {at("2026-10-25T01:00:00Z"), 3600},
                                               {at("2027-03-28T01:00:00Z"), 7200},
                                               {at("2027-10-31T01:00:00Z"), 3600}})},
      {"America/New_York", zone("America/New_York", {{Instant{}, -5 * 3600},
                                                     {at("2027-03-14T07:00:00Z"), -4 * 3600},
                                                     {at("2027-11-07T06:00:00Z"), -5 * 3600}})}};
}

Window window(const char* days, int from, int to, const char* tz) {
  return {*days_from(days), std::uint16_t(from * 60), std::uint16_t(to * 60), tz};
}

TEST(ScheduleMoments, WithoutSchedulesThereIsNow) {
  EXPECT_EQ(schedule_moments({}, zones(), kNow), (std::vector<Instant>{kNow}));
}

TEST(ScheduleMoments, EdgesOfOneWindow) {
  std::vector<Window> office{window("mon-fri", 7, 20, "UTC")};
  std::vector<const std::vector<Window>*> schedules{&office};
  auto moments = schedule_moments(schedules, zones(), kNow);  // a Saturday, 10:00
  ASSERT_EQ(moments.size(), 12u);                             // with the Monday after
  EXPECT_EQ(to_string(moments[1]), "2026-11-23T07:00:00Z");
  EXPECT_EQ(to_string(moments[2]), "2026-11-23T20:00:00Z");
  EXPECT_EQ(to_string(moments[11]), "2026-11-30T07:00:00Z");
}

/// Every combination that a whole year of minutes-long steps shows is among the moments.
TEST(ScheduleMoments, EveryCombinationOfTheYearIsSeen) {
  auto all = zones();
  std::vector<std::vector<Window>> schedules{
      {window("mon-fri", 7, 15, "Europe/Berlin")},
      {window("mon-fri", 9, 17, "America/New_York")},
      {window("sun", 1, 3, "Europe/Berlin"), window("sat", 22, 2, "UTC")},
      {window("sun", 2, 3, "America/New_York")},
  };
  std::vector<const std::vector<Window>*> pointers;
  for (const auto& schedule : schedules) pointers.push_back(&schedule);
  auto state = [&](Instant at) {
    std::vector<bool> out;
    for (const auto& schedule : schedules) out.push_back(open_until(schedule, all, at).has_value());
    return out;
  };
  std::set<std::vector<bool>> expected, found;
  for (Instant at = kNow; at < kNow + kScheduleHorizon; at = at + Duration::minutes(30))
    expected.insert(state(at));
  for (Instant at : schedule_moments(pointers, all, kNow)) found.insert(state(at));
  EXPECT_EQ(found, expected);
  EXPECT_GT(expected.size(), 5u);
}

}  // namespace
}  // namespace knock::test
