// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/explain.h"

#include "base/text.h"
#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

const std::string kPolicy = R"(
groups: {staff: {idp: "cn=staff"}, admins: {idp: admins}}
networks: {office: [198.51.100.0/24], blocked: [192.0.2.0/25]}
services:
  db: {ports: [tcp/5432], targets: [edge]}
  ssh: {ports: [tcp/22], targets: [edge]}
  web: {ports: [tcp/443], targets: [edge]}
targets: {edge: {type: nftables}}
allow:
  admins: {who: [admins], to: [ssh], ttl: 8h}
  staff: {who: [staff], from: {in: [office]}, to: [ssh], ttl: 1h}
  everybody: {who: [admins, staff], to: [web], ttl: 2h}
deny:
  listed: {from: {in: [blocked]}, to: [web]}
)";

Explanation asked(const SessionOf& session, const char* service) {
  return explain(policy_of(kPolicy), session, ServiceName(service), kNow);
}

TEST(Explain, SaysWhyNot) {
  struct Row {
    const char* name;
    SessionOf session;
    const char* service;
    const char* missing;
    const char* change;
  };
  for (const Row& row : std::vector<Row>{
           {"signed out",
            {.ended = EndCause::signed_out},
            "ssh",
            "the session ended at 2026-11-21T10:00:00Z (signed-out)",
            "ana signs in again"},
           {"run out",
            {.left = Duration{}},
            "ssh",
            "the session ran out at 2026-11-21T10:00:00Z",
            "ana signs in again"},
           {"no rule", {}, "db", "no allow rule reaches db", "an allow rule with `to: [db]`"},
           {"no group",
            {.groups = {"x", "y"}},
            "ssh",
            "ana is in none of the groups that may reach ssh (admins; rule admins, "
            "policy.yaml:11:3@rev): corp brings 2 groups (x, y)",
            "ana becomes a member of \"admins\" at the sign-in source"},
           {"no groups at all",
            {.groups = {}},
            "ssh",
            "ana is in none of the groups that may reach ssh (admins; rule admins, "
            "policy.yaml:11:3@rev): corp brings no groups",
            "ana becomes a member of \"admins\" at the sign-in source"},
           {"another network",
            {.groups = {"cn=staff"}},
            "ssh",
            "rule staff asks for another network than 192.0.2.10 (policy.yaml:12:3@rev)",
            "ana signs in from a network the rule names"},
           {"denied",
            {.groups = {"cn=staff"}},
            "web",
            "deny rule listed covers ana from 192.0.2.10 (policy.yaml:15:3@rev)",
            "none: a deny rule is meant"},
           {"too long ago",
            {.from = "198.51.100.7", .groups = {"cn=staff"}, .age = Duration::hours(1)},
            "ssh",
            "the time rule staff gives (1h) has passed since the sign-in at 2026-11-21T09:00:00Z",
            "ana signs in again"}}) {
    auto explained = asked(row.session, row.service);
    EXPECT_FALSE(explained.allowed) << row.name;
    EXPECT_EQ(explained.missing, row.missing) << row.name;
    EXPECT_EQ(explained.smallest_change, row.change) << row.name;
    EXPECT_TRUE(explained.chain.empty()) << row.name;
  }
}

TEST(Explain, SaysWhy) {
  auto explained = asked({.from = "198.51.100.7", .groups = {"cn=staff"}}, "ssh");
  ASSERT_TRUE(explained.allowed) << explained.missing;
  EXPECT_EQ(explained.rule.value, "staff");
  EXPECT_EQ(explained.until, kNow + Duration::minutes(50));
  EXPECT_TRUE(explained.missing.empty() && explained.smallest_change.empty());
  ASSERT_EQ(explained.chain.size(), 4u);
  EXPECT_NE(explained.chain[0].sentence.find("198.51.100.7"), std::string::npos);
  EXPECT_EQ(explained.chain[1].sentence,
            "\"cn=staff\", as corp says, is group staff (policy.yaml:3:10@rev)");
  EXPECT_EQ(explained.chain[2].sentence,
            "rule staff lets staff into ssh for 1h (policy.yaml:12:3@rev)");
  EXPECT_EQ(explained.chain[3].sentence, "until 2026-11-21T10:50:00Z");
}

TEST(Explain, TheNearestRuleIsTheOneThatLacksLeast) {
  // Two rules reach the service and count ana in: the nearer one is the one whose network fits.
  Policy policy = policy_of(R"(
groups: {staff: {idp: staff}}
networks: {office: [198.51.100.0/24]}
services: {ssh: {ports: [tcp/22], targets: [edge]}}
targets: {edge: {type: nftables}}
allow:
  a: {who: [staff], from: {in: [office]}, to: [ssh], ttl: 8h}
  b: {who: [staff], to: [ssh], ttl: 5m}
)");
  auto explained = explain(policy, SessionOf{}, ServiceName("ssh"), kNow);
  EXPECT_FALSE(explained.allowed);
  EXPECT_EQ(explained.missing,
            "the time rule b gives (5m) has passed since the sign-in at 2026-11-21T09:50:00Z");
  EXPECT_EQ(explained.smallest_change, "ana signs in again");
}

TEST(Explain, OfTwoDenyRulesTheFirstIsNamed) {
  Policy policy = policy_of(R"(
groups: {staff: {idp: staff}}
networks: {blocked: [192.0.2.0/25], wide: [192.0.2.0/24]}
services: {ssh: {ports: [tcp/22], targets: [edge]}}
targets: {edge: {type: nftables}}
allow: {a: {who: [staff], to: [ssh], ttl: 8h}}
deny:
  d1: {from: {in: [blocked]}, to: [ssh]}
  d2: {from: {in: [wide]}, to: [ssh]}
)");
  auto explained = explain(policy, SessionOf{}, ServiceName("ssh"), kNow);
  EXPECT_EQ(explained.missing, "deny rule d1 covers ana from 192.0.2.10 (policy.yaml:9:3@rev)");
  EXPECT_EQ(explained.smallest_change, "none: a deny rule is meant");
}

TEST(Explain, AGrantIsChangedByAnotherGrant) {
  auto explained = asked({.groups = {"staff"}, .source = "grant", .proof = Proof::grant}, "db");
  EXPECT_EQ(explained.smallest_change, "an allow rule with `to: [db]`");
  explained = asked({.groups = {"x"}, .source = "grant", .proof = Proof::grant}, "ssh");
  EXPECT_EQ(explained.smallest_change, "a grant with --group admins");
}

TEST(Explain, NamesFromOutsideAreEscaped) {
  auto explained = asked({.who = "a\nb\x1b[31m", .groups = {"g\u202e"}}, "ssh");
  for (const std::string& text : {explained.missing, explained.smallest_change})
    EXPECT_EQ(text, printable(text));
}

}  // namespace
}  // namespace knock::test
