// SPDX-License-Identifier: Apache-2.0
// Rules that count addresses and people, that widen, and that keep hours: what one sign-in does to
// another's entries, and what opens by itself.
#include <algorithm>

#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

constexpr const char* kAnaRow = "203.0.113.7/32";
constexpr const char* kBenRow = "203.0.113.8/32";

class Counting : public World {
 protected:
  /// The policy of begin(), with its one rule as `edit` makes it.
  void begin_with(const std::function<void(Policy&, AllowRule&)>& edit) {
    start();
    Policy policy = *load(policy_text(one_target("edge")), "r1");
    edit(policy, policy.allow.front());
    auto done = loop_->adopt("test", {policy.revision, clock_.now(), "", "", {}},
                             std::make_shared<const Policy>(std::move(policy)));
    ASSERT_TRUE(done) << done.error().text();
    ASSERT_TRUE(settled());
  }
  Session signed_in(const char* address, const std::string& user = "ana",
                    Duration length = Duration::hours(1)) {
    clock_.advance(Duration{1});  // so that sessions have an order
    auto session = sign_in_result(address, length, user);
    EXPECT_TRUE(session) << session.error().text();
    EXPECT_TRUE(settled());
    return session.value_or(Session());
  }
  bool open(const char* row) { return place("edge").open("ssh", row); }
  Reason last_reason() { return place("edge").changes().back().reason; }
};

void one_address(Policy& policy, AllowRule& rule, OverLimit over) {
  rule.max_ips_per_user = 1;
  policy.behaviour.over_limit = over;
}

/// 08:00 UTC is the test clock's beginning.
void hours(Policy& policy, AllowRule& rule, std::uint16_t from, std::uint16_t to) {
  auto utc = std::make_shared<Zone>();
  utc->name = "UTC";
  utc->offsets = {{Instant::from_seconds(0), 0}};
  policy.zones["UTC"] = utc;
  rule.schedule = {{0b1111111, from, to, "UTC"}};
}

TEST_F(Counting, AnotherAddressReplacesTheFormer) {
  begin_with([](Policy& p, AllowRule& r) { one_address(p, r, OverLimit::replace); });
  auto first = signed_in(kAna);
  EXPECT_TRUE(open(kAnaRow));
  int reads = place("edge").observes();
  auto second = signed_in(kBen);
  EXPECT_TRUE(open(kBenRow));
  EXPECT_FALSE(open(kAnaRow));
  EXPECT_TRUE(loop_->live_session(first.id));
  auto done = place("edge").changes();
  auto removed = std::find_if(done.begin(), done.end(),
                              [](const Change& c) { return c.action == Action::remove; });
  ASSERT_NE(removed, done.end());
  EXPECT_EQ(removed->reason, Reason::limited) << "no commit did this, so no guard may hold it";
  EXPECT_TRUE(loop_->where(first).empty());
  end(second);
  ASSERT_TRUE(settled());
  EXPECT_TRUE(open(kAnaRow));
  EXPECT_FALSE(open(kBenRow));
  EXPECT_EQ(place("edge").observes(), reads) << "a few addresses need no whole reading";
}

TEST_F(Counting, ALaterAddressIsRefusedUntilTheFirstGoes) {
  begin_with([](Policy& p, AllowRule& r) { one_address(p, r, OverLimit::refuse); });
  auto first = signed_in(kAna);
  auto second = signed_in(kBen);
  EXPECT_TRUE(open(kAnaRow));
  EXPECT_FALSE(open(kBenRow));
  end(first);
  ASSERT_TRUE(settled());
  EXPECT_FALSE(open(kAnaRow));
  EXPECT_TRUE(open(kBenRow));
}

TEST_F(Counting, TheEndOfASessionByTimeMakesRoomToo) {
  begin_with([](Policy& p, AllowRule& r) { one_address(p, r, OverLimit::refuse); });
  signed_in(kAna, "ana", Duration::minutes(5));
  signed_in(kBen);
  EXPECT_FALSE(open(kBenRow));
  pass_time(Duration::minutes(6));
  EXPECT_TRUE(soon([&] { return open(kBenRow); }));
}

TEST_F(Counting, ACrowdClosesAnAddressUntilItIsNoneAnyMore) {
  begin_with([](Policy& p, AllowRule& r) {
    r.max_users_per_ip = 1;
    p.behaviour.shared_addresses = SharedAddresses::deny;
  });
  auto ana = signed_in(kAna);
  EXPECT_TRUE(open(kAnaRow));
  auto ben = signed_in(kAna, "ben");
  EXPECT_FALSE(open(kAnaRow));
  EXPECT_EQ(last_reason(), Reason::limited);
  end(ben);
  ASSERT_TRUE(settled());
  EXPECT_TRUE(open(kAnaRow));
}

TEST_F(Counting, ACrowdDecidesWhichAddressCounts) {
  begin_with([](Policy& p, AllowRule& r) {
    one_address(p, r, OverLimit::replace);
    r.max_users_per_ip = 1;
    p.behaviour.shared_addresses = SharedAddresses::deny;
  });
  signed_in(kAna);
  signed_in(kBen);
  EXPECT_TRUE(open(kBenRow));
  auto ben = signed_in(kBen, "ben");
  EXPECT_TRUE(open(kAnaRow)) << "the later address is shared, so the former counts again";
  EXPECT_FALSE(open(kBenRow));
  end(ben);
  ASSERT_TRUE(settled());
  EXPECT_FALSE(open(kAnaRow));
  EXPECT_TRUE(open(kBenRow));
}

TEST_F(Counting, AWidenedEntryOpensAndCloses) {
  begin_with([](Policy&, AllowRule& r) { r.v6_prefix = 64; });
  auto session = signed_in("2001:db8:1::7");
  EXPECT_TRUE(open("2001:db8:1::/64"));
  auto rows = loop_->where(session);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_TRUE(rows.front().open);
  end(session);
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 0u);
}

TEST_F(Counting, AScheduleOpensByItself) {
  begin_with([](Policy& p, AllowRule& r) { hours(p, r, 9 * 60, 10 * 60); });
  signed_in(kAna, "ana", Duration::hours(12));
  EXPECT_FALSE(open(kAnaRow));
  pass_time(Duration::minutes(60) - Duration::seconds(1));
  EXPECT_TRUE(settled());
  EXPECT_FALSE(open(kAnaRow));
  pass_time(Duration::seconds(1));
  ASSERT_TRUE(soon([&] { return open(kAnaRow); }));
  EXPECT_EQ(to_string(*place("edge").until("ssh", kAnaRow)), "2027-01-15T10:00:00Z");
  pass_time(Duration::hours(1));
  EXPECT_TRUE(soon([&] { return place("edge").entries() == 0; }));
  // The next day too, with the rule's own time passed by then.
  EXPECT_TRUE(settled());
  EXPECT_FALSE(open(kAnaRow));
}

TEST_F(Counting, TheTimerSleepsNoLongerThanToTheOpening) {
  settings_.look_at_clock_every = Duration::minutes(10);
  clock_.advance(Duration::hours(1) - Duration{400});
  begin_with([](Policy& p, AllowRule& r) { hours(p, r, 9 * 60, 10 * 60); });
  auto session = sign_in_result(kAna);
  ASSERT_TRUE(session);
  EXPECT_TRUE(settled());
  EXPECT_FALSE(open(kAnaRow));
  auto began = std::chrono::steady_clock::now();
  clock_.advance(Duration{400});
  ASSERT_TRUE(soon([&] { return open(kAnaRow); }));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(1400));
}

TEST_F(Counting, AnOpeningThatConcernsNobodyReadsNothing) {
  begin_with([](Policy& p, AllowRule& r) { hours(p, r, 9 * 60, 10 * 60); });
  int reads = place("edge").observes();
  int looks = clock_.looks();
  pass_time(Duration::hours(1));
  ASSERT_TRUE(soon([&] { return clock_.looks() > looks + 20; }));
  EXPECT_TRUE(settled());
  EXPECT_EQ(place("edge").observes(), reads);
}

}  // namespace
}  // namespace knock::test
