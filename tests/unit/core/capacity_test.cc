// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/capacity.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace knock {
namespace {

const Instant kEnd = Instant::from_seconds(1'800'000'000);

Prefix prefix(const std::string& text) { return *Prefix::parse(text); }

Attribution session(const std::string& id) {
  Attribution out;
  out.session = SessionId(id);
  out.who = id;
  return out;
}
Attribution fixed() {
  Attribution out;
  out.kind = Attribution::Kind::fixed;
  return out;
}

Item item(const std::string& text, Instant until = kEnd) {
  auto cause = fixed();
  cause.rule = RuleName(text);
  return {prefix(text), until, SharedList<Attribution>{cause}};
}

Canonical canonical(std::vector<Item> items) {
  Canonical out;
  out.slots.push_back({"ssh", {}, std::move(items)});
  return out;
}

std::string text(const Canonical& canonical) {
  std::string out;
  for (const Item& one : canonical.slots[0].items) out += one.prefix.to_string() + " ";
  return out;
}

TEST(Capacity, JoinsNeighboursThatEndTogether) {
  struct Row {
    std::vector<Item> items;
    std::string want;
  };
  Item ticket = item("192.0.2.1/32");
  ticket.lasts = Lasts::first_connection;
  Item of_session = item("192.0.2.1/32");
  of_session.causes = {session("ana")};
  for (const Row& row : {
           Row{{item("192.0.2.0/32"), item("192.0.2.1/32")}, "192.0.2.0/31 "},
           Row{{item("192.0.2.1/32"), item("192.0.2.2/32")}, "192.0.2.1/32 192.0.2.2/32 "},
           Row{{item("192.0.2.0/32"), item("192.0.2.1/32"), item("192.0.2.2/31")}, "192.0.2.0/30 "},
           Row{{item("192.0.2.0/32"), item("192.0.2.1/32", kEnd + Duration::seconds(1))},
               "192.0.2.0/32 192.0.2.1/32 "},
           Row{{item("192.0.2.0/32"), of_session}, "192.0.2.0/32 192.0.2.1/32 "},
           Row{{item("192.0.2.0/32"), ticket}, "192.0.2.0/32 192.0.2.1/32 "},
           Row{{item("192.0.2.0/31", kEnd + Duration::hours(1)), item("192.0.2.0/32"),
                item("192.0.2.1/32")},
               "192.0.2.0/31 192.0.2.0/32 192.0.2.1/32 "},
           Row{{item("2001:db8::/128"), item("2001:db8::1/128")}, "2001:db8::/127 "},
           Row{{item("0.0.0.0/1"), item("128.0.0.0/1")}, "0.0.0.0/0 "},
       })
    EXPECT_EQ(text(with_neighbours_joined(canonical(row.items))), row.want);
  auto both = with_neighbours_joined(canonical({item("192.0.2.0/32"), item("192.0.2.1/32")}));
  EXPECT_EQ(both.slots[0].items[0].causes.size(), 2u) << "both are why it stands";
}

/// Address by address: as long as before, and nobody else.
TEST(Capacity, JoiningLetsInExactlyTheSame) {
  std::size_t fewer = 0;
  for (unsigned seed = 0; seed < 2'000; ++seed) {
    std::mt19937 dice(seed);
    std::map<Prefix, Item> items;
    for (int i = 0; i < 24; ++i) {
      auto address = IpAddress::v4(0xC0000200u + dice() % 32);
      auto one = Prefix::of(address, 27 + int(dice() % 6));
      items.emplace(one, Item{one, kEnd + Duration::seconds(std::int64_t(dice() % 2)),
                              SharedList<Attribution>{fixed()}});
    }
    std::vector<Item> before;
    for (auto& [where, one] : items) before.push_back(one);
    auto after = with_neighbours_joined(canonical(before)).slots[0].items;
    fewer += after.size() < before.size();
    EXPECT_TRUE(std::is_sorted(after.begin(), after.end(),
                               [](const Item& a, const Item& b) { return a.prefix < b.prefix; }));
    for (std::uint32_t host = 0xC00001F8u; host < 0xC0000228u; ++host) {
      auto last = [&](const std::vector<Item>& list) {
        Instant until{0};
        for (const Item& one : list)
          if (one.prefix.contains(Prefix::host(IpAddress::v4(host))))
            until = std::max(until, one.until);
        return until;
      };
      ASSERT_EQ(last(before), last(after)) << seed;
    }
  }
  EXPECT_GT(fewer, 200u);
}

struct Full : testing::Test {
  std::vector<Change> changes;
  Observed observed;
  Capabilities able;
  Room room{4, 3};

  void stands(std::initializer_list<const char*> prefixes) {
    observed.slots = {{"ssh", {}}};
    for (const char* one : prefixes) {
      ObservedItem there;
      there.prefix = prefix(one);
      there.ours = true;
      observed.slots[0].items.push_back(there);
    }
  }
  void add(const char* where, Attribution cause) {
    Change one;
    one.action = Action::add;
    one.reason = Reason::sign_in;
    one.prefix = prefix(where);
    one.causes = {cause};
    changes.push_back(one);
  }
  void remove(const char* where, Reason reason) {
    Change one;
    one.action = Action::remove;
    one.reason = reason;
    one.prefix = prefix(where);
    changes.push_back(one);
  }
  /// The later a session's name in the alphabet, the later it was opened.
  Waiting let() {
    return let_wait(changes, observed, able, room, [](const SessionId& id) {
      return Instant::from_seconds(id.value.empty() ? 0 : id.value[0]);
    });
  }
  std::string added() const {
    std::string out;
    for (const Change& one : changes)
      if (one.action == Action::add) out += one.prefix.to_string() + " ";
    return out;
  }
};

TEST_F(Full, WhoAskedFirstComesFirstAndStaticRulesBeforeAll) {
  stands({"198.51.100.1/32"});
  add("192.0.2.1/32", session("c"));
  add("192.0.2.2/32", session("a"));
  add("192.0.2.3/32", session("b"));
  add("192.0.2.4/32", fixed());
  auto waiting = let();
  EXPECT_EQ(added(), "192.0.2.2/32 192.0.2.4/32 ");
  EXPECT_EQ(waiting.entries, 2u);
  EXPECT_EQ(changes[2].detail,
            "no room: the target holds 3 of 3; it waits for a place, 0 before it");
  EXPECT_EQ(changes[0].detail,
            "no room: the target holds 3 of 3; it waits for a place, 1 before it");
}

TEST_F(Full, WhatIsKeptForStaticRulesIsOnlyForThem) {
  stands({"198.51.100.1/32", "198.51.100.2/32", "198.51.100.3/32"});
  add("192.0.2.1/32", session("a"));
  add("192.0.2.2/32", fixed());
  EXPECT_EQ(let().entries, 1u);
  EXPECT_EQ(added(), "192.0.2.2/32 ");
}

TEST_F(Full, PlacesThatAreLeftBeforeAreTaken) {
  stands({"198.51.100.1/32", "198.51.100.2/32", "198.51.100.3/32"});
  remove("198.51.100.1/32", Reason::expiry);
  remove("198.51.100.2/32", Reason::policy);
  add("192.0.2.1/32", session("a"));
  add("192.0.2.2/32", session("b"));
  auto before = changes;
  EXPECT_EQ(let().entries, 1u) << "what policy removes goes after what opens";
  EXPECT_EQ(added(), "192.0.2.1/32 ");
  changes = before;
  able.atomic = true;
  EXPECT_EQ(let().entries, 0u) << "all at one stroke";
}

TEST_F(Full, WithoutALimitNobodyWaits) {
  room = {};
  stands({"198.51.100.1/32"});
  for (int i = 0; i < 100; ++i) add("192.0.2.1/32", session("a"));
  EXPECT_EQ(let().entries, 0u);
}

TEST(Capacity, TheSmallerLimitHolds) {
  Target target;
  Capabilities able;
  EXPECT_FALSE(room_of(target, able).limited());
  able.max_entries = 60;
  EXPECT_EQ(room_of(target, able).all, 60u);
  target.capacity = 100;
  target.capacity_reserve = 4;
  EXPECT_EQ(room_of(target, able).all, 60u);
  EXPECT_EQ(room_of(target, able).sessions, 56u);
  target.capacity = 20;
  EXPECT_EQ(room_of(target, able).all, 20u);
  EXPECT_EQ(room_of(target, able).sessions, 16u);
}

}  // namespace
}  // namespace knock
