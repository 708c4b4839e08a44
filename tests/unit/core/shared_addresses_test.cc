// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/shared_addresses.h"

#include <fmt/format.h>

#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

const std::string kPolicy = R"(
groups: {staff: {idp: staff}, admins: {idp: admins}}
networks: {blocked: [192.0.2.0/25]}
services:
  ssh: {ports: [tcp/22], targets: [edge, lab]}
  web: {ports: [tcp/443], targets: [edge]}
targets: {edge: {type: nftables}, lab: {type: nftables, table: lab, max_ttl: 30m}}
allow:
  admins: {who: [admins], to: [ssh], ttl: 2h}
  staff: {who: [staff], to: [web], ttl: 8h}
)";

std::string said(const std::vector<Session>& sessions, const std::string& more = {},
                 std::vector<TargetName> only = {}) {
  std::string out;
  Policy policy = policy_of(kPolicy + more);
  auto lists = evaluate({policy, sessions, kNow, {}});
  for (const Finding& finding : shared_addresses(lists, sessions, kNow, only)) {
    EXPECT_EQ(finding.id, "address.shared");
    EXPECT_EQ(finding.level, Finding::Level::warning);
    EXPECT_TRUE(finding.target.empty());
    out += finding.sentence + "\n";
  }
  return out;
}

TEST(SharedAddresses, NamesWhoIsLetInByAnothersRight) {
  std::vector<Session> sessions{SessionOf{.groups = {"admins", "staff"}}, SessionOf{.who = "ben"},
                                SessionOf{.who = "cem", .groups = {"other"}},
                                SessionOf{.who = "dora", .from = "198.51.100.9"}};
  EXPECT_EQ(said(sessions),
            "192.0.2.10 is shared by 3 people: ssh opens there for ana, and lets in 2 people "
            "without a right to it: ben, cem\n"
            "192.0.2.10 is shared by 3 people: web opens there for ana, ben, and lets in 1 person "
            "without a right to it: cem\n");
}

TEST(SharedAddresses, NothingToSay) {
  EXPECT_EQ(said({}), "");
  EXPECT_EQ(said({SessionOf{}, SessionOf{.who = "ben"}}), "") << "both may";
  EXPECT_EQ(said({SessionOf{.groups = {"x"}}, SessionOf{.who = "ben", .groups = {"x"}}}), "")
      << "nothing opens";
  EXPECT_EQ(said({SessionOf{}, SessionOf{.who = "ben", .from = "192.0.2.11", .groups = {"x"}}}), "")
      << "two addresses";
  Session again = SessionOf{.groups = {"x"}};
  again.id = SessionId("s-again");
  EXPECT_EQ(said({SessionOf{}, again}), "") << "one person twice";
  EXPECT_EQ(said({SessionOf{}, SessionOf{.who = "ben", .groups = {"x"}, .left = Duration{}}}), "")
      << "one is gone";
  EXPECT_EQ(
      said({SessionOf{}, SessionOf{.who = "ben", .groups = {"x"}, .ended = EndCause::signed_out}}),
      "");
}

TEST(SharedAddresses, WhoIsDeniedIsLetInByAnothersRightToo) {
  EXPECT_EQ(said({SessionOf{}, SessionOf{.who = "ben", .groups = {"admins", "staff"}}},
                 "deny: {d: {who: [admins], to: [web]}}\n"),
            "192.0.2.10 is shared by 2 people: ssh opens there for ben, and lets in 1 person "
            "without a right to it: ana\n"
            "192.0.2.10 is shared by 2 people: web opens there for ana, and lets in 1 person "
            "without a right to it: ben\n");
  EXPECT_EQ(said({SessionOf{}, SessionOf{.who = "ben", .groups = {"x"}}},
                 "deny: {d: {from: {in: [blocked]}, to: [web]}}\n"),
            "")
      << "it is closed to the address";
}

TEST(SharedAddresses, OnlyWhatOpensOnAPlannedTarget) {
  std::vector<Session> sessions{SessionOf{.groups = {"admins"}, .age = Duration::minutes(40)},
                                SessionOf{.who = "ben", .groups = {"x"}}};
  auto line =
      "192.0.2.10 is shared by 2 people: ssh opens there for ana, and lets in 1 person without a "
      "right to it: ben\n";
  EXPECT_EQ(said(sessions), line);
  EXPECT_EQ(said(sessions, "", {TargetName("edge")}), line);
  EXPECT_EQ(said(sessions, "", {TargetName("lab")}), "") << "its entry there has ended";
}

TEST(SharedAddresses, ManyAreCounted) {
  std::vector<Session> sessions{SessionOf{}};
  for (int i = 0; i < 12; ++i)
    sessions.push_back(SessionOf{.who = fmt::format("p{:02}", i), .groups = {"x"}});
  EXPECT_EQ(said(sessions),
            "192.0.2.10 is shared by 13 people: web opens there for ana, and lets in 12 people "
            "without a right to it: p00, p01, p02, p03, p04, p05, p06 and 5 more\n");
  sessions.clear();
  for (int i = 0; i < 103; ++i) {
    auto from = fmt::format("198.51.100.{}", i);
    sessions.push_back(SessionOf{.who = "ana", .from = from});
    sessions.push_back(SessionOf{.who = "ben", .from = from, .groups = {"x"}});
  }
  Policy policy = policy_of(kPolicy);
  auto findings = shared_addresses(evaluate({policy, sessions, kNow, {}}), sessions, kNow);
  ASSERT_EQ(findings.size(), kSharedAddressesNamed + 1);
  EXPECT_EQ(findings.back().sentence,
            "3 cases more where people share an address and not all of them may reach what opens "
            "there");
}

}  // namespace
}  // namespace knock::test
