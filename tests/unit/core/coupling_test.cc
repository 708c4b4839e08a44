// SPDX-License-Identifier: Apache-2.0
// Which sessions depend on each other, and on which rows one sign-in may show.
#include <set>

#include "reconciler/core/evaluate.h"
#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

Policy policy() {
  return policy_of(R"(
groups: {staff: {idp: staff}}
services: {ssh: {ports: [tcp/22], targets: [edge]}}
targets: {edge: {type: nftables}}
allow: {a: {who: [staff], to: [ssh], ttl: 8h}}
)");
}

Policy counting(bool places, bool people) {
  Policy out = policy();
  AllowRule& rule = out.allow.front();
  if (places) rule.max_ips_per_user = 1;
  if (people) {
    rule.max_users_per_ip = 1;
    out.behaviour.shared_addresses = SharedAddresses::deny;
  }
  return out;
}

/// ana at A and B, bob at B and C, eve at C and D.
std::vector<Session> chain() {
  return {SessionOf{.from = "192.0.2.1"},
          SessionOf{.from = "192.0.2.2"},
          SessionOf{.who = "bob", .from = "192.0.2.2"},
          SessionOf{.who = "bob", .from = "192.0.2.3"},
          SessionOf{.who = "eve", .from = "192.0.2.3"},
          SessionOf{.who = "eve", .from = "192.0.2.4"}};
}

std::string touched(const Policy& policy, std::size_t session) {
  std::string out;
  auto sessions = chain();
  for (const Prefix& row : touched_by(policy, sessions, sessions[session]))
    out += row.network().to_string().substr(8);
  return out;
}

TEST(Coupling, IsWhatTheRulesCount) {
  EXPECT_EQ(coupling_of(policy()), Coupling());
  EXPECT_EQ(coupling_of(counting(true, false)), (Coupling{true, false, 128}));
  EXPECT_EQ(coupling_of(counting(false, true)), (Coupling{false, true, 128}));
  Policy named = counting(false, true);
  named.behaviour.shared_addresses = SharedAddresses::allow;
  EXPECT_EQ(coupling_of(named), Coupling()) << "nothing is decided by it";
  named.allow.front().v6_prefix = 56;
  EXPECT_EQ(coupling_of(named), (Coupling{false, false, 56}));
}

TEST(Coupling, TouchedAddresses) {
  EXPECT_EQ(touched(policy(), 0), "1");
  EXPECT_EQ(touched(counting(true, false), 0), "12") << "the person's own";
  EXPECT_EQ(touched(counting(false, true), 1), "2") << "those who are there are rows there";
  EXPECT_EQ(touched(counting(true, true), 1), "123") << "and what else these people have";
  EXPECT_EQ(touched(counting(true, true), 0), "12");
}

TEST(Coupling, Neighbours) {
  auto sessions = chain();
  auto near = [&](const Policy& p, const char* at) {
    return neighbours(coupling_of(p), sessions, address(at));
  };
  using List = std::vector<std::size_t>;
  EXPECT_EQ(near(policy(), "192.0.2.2"), (List{1, 2}));
  EXPECT_EQ(near(counting(false, true), "192.0.2.2"), (List{1, 2}));
  EXPECT_EQ(near(counting(true, false), "192.0.2.2"), (List{0, 1, 2, 3}));
  EXPECT_EQ(near(counting(true, true), "192.0.2.2"), (List{0, 1, 2, 3, 4}));
  EXPECT_EQ(near(counting(true, true), "192.0.2.9"), (List{}));
}

TEST(Coupling, RowsOfAWidenedAddress) {
  Policy wide = policy();
  wide.allow.front().v6_prefix = 64;
  Session session = SessionOf{.from = "2001:db8:1::7"};
  EXPECT_EQ(touched_by(wide, {}, session), prefixes({"2001:db8:1::/64", "2001:db8:1::7"}));
  Session stranger = SessionOf{.from = "2001:db8:1::7", .groups = {}};
  EXPECT_EQ(touched_by(wide, {}, stranger), prefixes({"2001:db8:1::7"}));
}

TEST(Coupling, TheNextOpening) {
  Policy scheduled = policy();
  std::vector<Session> sessions{SessionOf{}};
  EXPECT_EQ(next_change_by_time(scheduled, sessions, kNow), std::nullopt);
  auto utc = std::make_shared<Zone>();
  utc->name = "UTC";
  utc->offsets = {{Instant::from_seconds(0), 0}};
  scheduled.zones["UTC"] = utc;
  AllowRule later = scheduled.allow.front();
  later.name = RuleName("b");
  later.schedule = {{0b1111111, 20 * 60, 21 * 60, "UTC"}};
  scheduled.allow.front().schedule = {{0b1111111, 12 * 60, 13 * 60, "UTC"}};
  scheduled.allow.push_back(later);
  EXPECT_EQ(next_change_by_time(scheduled, sessions, kNow), kNow + Duration::hours(2));
  EXPECT_EQ(next_change_by_time(scheduled, sessions, kNow + Duration::hours(2)),
            kNow + Duration::hours(10));
  EXPECT_EQ(next_change_by_time(scheduled, {}, kNow), std::nullopt) << "nobody is there";
}

}  // namespace
}  // namespace knock::test
