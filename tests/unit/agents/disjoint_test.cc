// SPDX-License-Identifier: Apache-2.0
#include "agents/nftables/disjoint.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

namespace knock {
namespace {

Attribution cause(const std::string& who, Instant until) {
  Attribution out;
  out.kind = Attribution::Kind::fixed;
  out.who = who;
  out.until = until;
  return out;
}

Entry entry(const char* prefix, std::int64_t until) {
  auto end = Instant::from_seconds(until);
  return {Prefix::parse_exact(prefix).value(), end, {cause(prefix, end)}};
}

std::string text(const std::vector<Item>& items) {
  std::string out;
  for (const auto& item : items) {
    out += item.prefix.to_string() + " " + std::to_string(item.until.seconds()) + " ";
    for (const auto& c : item.causes) out += "[" + c.who + "]";
    out += "\n";
  }
  return out;
}

TEST(Disjoint, what_does_not_overlap_stays_as_it_is) {
  EXPECT_EQ(text(disjoint_items({entry("10.0.0.0/24", 5), entry("10.0.1.0/24", 6),
                                 entry("192.0.2.7/32", 7), entry("2001:db8::/64", 8)})),
            "10.0.0.0/24 5 [10.0.0.0/24]\n"
            "10.0.1.0/24 6 [10.0.1.0/24]\n"
            "192.0.2.7/32 7 [192.0.2.7/32]\n"
            "2001:db8::/64 8 [2001:db8::/64]\n");
}

TEST(Disjoint, a_longer_life_within_a_wider_range_is_cut_out) {
  EXPECT_EQ(text(disjoint_items({entry("10.0.0.0/24", 5), entry("10.0.0.0/25", 9)})),
            "10.0.0.0/25 9 [10.0.0.0/24][10.0.0.0/25]\n"
            "10.0.0.128/25 5 [10.0.0.0/24]\n");
}

TEST(Disjoint, a_shorter_life_within_a_wider_range_adds_nothing) {
  EXPECT_EQ(text(disjoint_items({entry("10.0.0.0/24", 9), entry("10.0.0.0/25", 5)})),
            "10.0.0.0/24 9 [10.0.0.0/24]\n");
  EXPECT_EQ(text(disjoint_items({entry("10.0.0.0/24", 9), entry("10.0.0.0/25", 9)})),
            "10.0.0.0/24 9 [10.0.0.0/24]\n");
}

TEST(Disjoint, a_host_may_stand_beside_the_range_it_is_in) {
  EXPECT_EQ(text(disjoint_items({entry("10.0.0.0/24", 5), entry("10.0.0.7/32", 9)})),
            "10.0.0.0/24 5 [10.0.0.0/24]\n10.0.0.7/32 9 [10.0.0.7/32]\n");
}

TEST(Disjoint, a_piece_that_comes_down_to_a_named_host_is_one_item) {
  // 10.0.0.2/31 lasts longer than 10.0.0.0/30, whose rest is 10.0.0.0/31; and /31 against /32.
  EXPECT_EQ(text(disjoint_items({entry("10.0.0.0/31", 5), entry("10.0.0.0/32", 9)})),
            "10.0.0.0/31 5 [10.0.0.0/31]\n10.0.0.0/32 9 [10.0.0.0/32]\n");
}

// ---------------------------------------------------------------- for all

/// Entries within 10.0.0.0/24, so that every address can be asked.
rc::Gen<std::vector<Entry>> entries() {
  auto one = rc::gen::map(
      rc::gen::tuple(rc::gen::inRange(0, 256), rc::gen::inRange(24, 33), rc::gen::inRange(1, 6)),
      [](const std::tuple<int, int, int>& v) {
        auto address = IpAddress::v4(0x0a000000u + std::uint32_t(std::get<0>(v)));
        auto until = Instant::from_seconds(std::get<2>(v));
        auto prefix = Prefix::of(address, std::get<1>(v));
        return Entry{prefix, until, {cause(prefix.to_string(), until)}};
      });
  return rc::gen::map(rc::gen::container<std::vector<Entry>>(one), [](std::vector<Entry> all) {
    std::map<Prefix, Entry> unique;
    for (auto& e : all) unique.insert_or_assign(e.prefix, e);
    std::vector<Entry> out;
    for (auto& [prefix, e] : unique) out.push_back(e);
    return out;
  });
}

template <class List>
Instant life_of(const List& list, const IpAddress& address) {
  Instant out;
  for (const auto& e : list)
    if (e.prefix.contains(address) && e.until > out) out = e.until;
  return out;
}

RC_GTEST_PROP(Disjoint, every_address_keeps_exactly_its_life, ()) {
  auto all = *entries();
  auto items = disjoint_items(all);
  for (std::uint32_t i = 0; i < 256; ++i) {
    auto address = IpAddress::v4(0x0a000000u + i);
    RC_ASSERT(life_of(items, address) == life_of(all, address));
  }
}

RC_GTEST_PROP(Disjoint, ranges_never_overlap_and_are_sorted, ()) {
  auto items = disjoint_items(*entries());
  for (std::size_t i = 0; i < items.size(); ++i)
    for (std::size_t j = i + 1; j < items.size(); ++j) {
      RC_ASSERT(items[i].prefix < items[j].prefix);
      if (!items[i].prefix.is_host() && !items[j].prefix.is_host())
        RC_ASSERT(!items[i].prefix.overlaps(items[j].prefix));
    }
}

RC_GTEST_PROP(Disjoint, causes_are_those_that_cover_the_piece, ()) {
  auto all = *entries();
  for (const auto& item : disjoint_items(all)) {
    RC_ASSERT(!item.causes.empty());
    for (const auto& c : item.causes) RC_ASSERT(Prefix::parse(c.who).value().contains(item.prefix));
    RC_ASSERT(std::any_of(item.causes.begin(), item.causes.end(),
                          [&](const Attribution& c) { return c.until == item.until; }));
  }
}

}  // namespace
}  // namespace knock
