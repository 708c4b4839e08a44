// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/policy_check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "reconciler/core/evaluate.h"
#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

constexpr const char* kPolicy = R"(
groups:
  dba: {idp: dba, from: [sso]}
  ops: {idp: ops, from: [sso, local]}
  visitors: {idp: visitors, from: [local]}
  leavers: {idp: leavers, from: [sso]}
networks:
  office: [198.51.100.0/24]
  blocked: [192.0.2.0/24, "2001:db8:bad::/48"]
services:
  db: {ports: [tcp/5432], targets: [edge]}
  photos: {ports: [tcp/443], targets: [edge]}
  ssh: {ports: [tcp/22], targets: [edge]}
targets: {edge: {type: nftables}}
allow:
  db: {who: [dba], to: [db], ttl: 1h}
  photos: {who: [dba, ops, visitors], to: [photos], ttl: 8h}
  ssh: {who: [ops], to: [ssh], ttl: 1h, from: {in: [office]}}
static:
  probe: {cidr: [203.0.113.9/32, 192.0.2.9/32], to: [photos], owner: sre, reason: probes, until: 2027-01-31}
deny:
  listed: {from: {in: [blocked]}, to: ["*"]}
  gone: {who: [leavers], to: [db]}
)";

struct Person {
  const char* user = nullptr;
  std::vector<const char*> groups = {};
  const char* ip = nullptr;
  operator TestPerson() const {
    TestPerson out;
    if (user != nullptr) out.user = user;
    if (!groups.empty()) {
      out.groups.emplace();
      for (auto name : groups) out.groups->emplace_back(name);
      std::sort(out.groups->begin(), out.groups->end());
    }
    if (ip != nullptr) out.ip = Prefix::parse(ip);
    return out;
  }
};

std::vector<ServiceName> services(std::initializer_list<const char*> names) {
  std::vector<ServiceName> out;
  for (auto name : names) out.emplace_back(name);
  std::sort(out.begin(), out.end());
  return out;
}

PolicyTest test(PolicyTest::Kind kind, TestPerson as, std::initializer_list<const char*> can,
                std::initializer_list<const char*> cannot = {}) {
  PolicyTest out;
  out.kind = kind;
  out.as = std::move(as);
  out.can = services(can);
  out.cannot = services(cannot);
  out.origin = {"tests.yaml", 3, 5, 1};
  return out;
}
PolicyTest example(TestPerson as, std::initializer_list<const char*> can,
                   std::initializer_list<const char*> cannot = {}) {
  return test(PolicyTest::Kind::example, std::move(as), can, cannot);
}
PolicyTest never(TestPerson as, std::initializer_list<const char*> can) {
  return test(PolicyTest::Kind::never, std::move(as), can);
}
PolicyTest always(TestPerson as, std::initializer_list<const char*> can) {
  return test(PolicyTest::Kind::always, std::move(as), can);
}

class PolicyCheckTest : public testing::Test {
 protected:
  TestResult check(PolicyTest one) {
    policy_.tests = {std::move(one)};
    auto out = check_policy(policy_, kNow, most_);
    EXPECT_EQ(out.results.size(), 1u);
    EXPECT_EQ(out.results[0].reason.empty(), out.ok()) << out.results[0].reason;
    return out.results[0];
  }
  bool holds(PolicyTest one) { return check(std::move(one)).verdict == TestVerdict::pass; }
  std::string why(PolicyTest one) { return check(std::move(one)).reason; }
  AllowRule& rule(const char* name) {
    for (AllowRule& rule : policy_.allow)
      if (rule.name.value == name) return rule;
    ADD_FAILURE() << "no rule " << name;
    return policy_.allow.front();
  }
  /// Berlin without summer time is enough for most.
  void office_hours(const char* name) {
    policy_.zones["UTC"] = std::make_shared<const Zone>(Zone{"UTC", {{Instant{}, 0}}});
    rule(name).schedule = {{*days_from("mon-fri"), 7 * 60, 20 * 60, "UTC"}};
  }

  Policy policy_ = policy_of(kPolicy);
  std::size_t most_ = kMostCells;
};

// ---- examples ----

TEST_F(PolicyCheckTest, ExamplesHoldOrSayWhy) {
  EXPECT_TRUE(holds(example(Person{"bob", {"dba"}}, {"db", "photos"}, {"ssh"})));
  EXPECT_TRUE(holds(example(Person{"bob", {"ops"}, "198.51.100.9"}, {"ssh"}, {"db"})));
  auto wrong = why(example(Person{"bob", {"dba"}}, {"ssh"}));
  EXPECT_EQ(wrong,
            "bob in dba, signed in at sso, from 203.0.113.1 at 2026-11-21T10:00:00Z cannot reach "
            "ssh: bob is in none of the groups that may reach ssh (ops; rule ssh, "
            "policy.yaml:19:3@rev): sso brings 1 group (dba)");
  EXPECT_NE(why(example(Person{"bob", {"dba"}}, {}, {"db"}))
                .find("can reach db: rule db (policy.yaml:17:3) lets them in"),
            std::string::npos);
}

TEST_F(PolicyCheckTest, WhatIsAbsentInAnExampleIsNotThere) {
  EXPECT_TRUE(holds(example(Person{}, {}, {"db", "photos", "ssh"})));
  // No network of the policy names the address: the static entry does not open it, `from` fails.
  EXPECT_TRUE(holds(example(Person{"bob", {"ops"}}, {"photos"}, {"ssh"})));
}

TEST_F(PolicyCheckTest, AnExampleKeepsOutOfNetworksWhereItCan) {
  policy_.networks.push_back({NetworkName("z"), {{*Prefix::parse("0.0.0.0/0"), true}}, {}});
  rule("ssh").from.in = {NetworkName("z")};
  EXPECT_TRUE(holds(example(Person{"bob", {"ops"}}, {"ssh"})));
}

TEST_F(PolicyCheckTest, StaticEntriesCountAtTheirAddress) {
  EXPECT_TRUE(holds(example(Person{nullptr, {}, "203.0.113.9"}, {"photos"}, {"db"})));
  EXPECT_NE(why(example(Person{nullptr, {}, "203.0.113.9"}, {}, {"photos"}))
                .find("static entry probe (policy.yaml:21:3) is open to 203.0.113.9"),
            std::string::npos);
  // Deny wins over the other half of it.
  EXPECT_TRUE(holds(example(Person{nullptr, {}, "192.0.2.9"}, {}, {"photos"})));
  policy_.statics[0].until = kNow;
  EXPECT_TRUE(holds(example(Person{nullptr, {}, "203.0.113.9"}, {}, {"photos"})));
}

TEST_F(PolicyCheckTest, ExamplesHoldAtEveryMomentOrAtTheirOwn) {
  office_hours("db");
  auto monday = example(Person{"bob", {"dba"}}, {"db"});
  auto reason = why(monday);
  EXPECT_NE(reason.find("2026-11-21T10:00:00Z"), std::string::npos) << reason;
  monday.at = parse_instant("2026-11-23T12:00:00Z");
  EXPECT_TRUE(holds(monday));
  monday.at = parse_instant("2026-11-23T20:00:00Z");
  EXPECT_FALSE(holds(monday));
  EXPECT_FALSE(holds(example(Person{"bob", {"dba"}}, {}, {"db"})));  // on Monday they can
}

TEST_F(PolicyCheckTest, NobodyCanBeInGroupsOfDifferentSources) {
  auto reason = why(example(Person{"bob", {"dba", "visitors"}}, {"db"}));
  EXPECT_NE(reason.find("nobody can be like this"), std::string::npos) << reason;
  EXPECT_FALSE(holds(never(Person{"bob@local", {"dba"}}, {"ssh"})));
}

TEST_F(PolicyCheckTest, AnExampleIsTheSubjectThatRulesName) {
  rule("db").who.clear();
  rule("db").users = {{"bob@example.org", SignInName("sso")}};
  EXPECT_TRUE(holds(example(Person{"bob@example.org"}, {"db"})));
  EXPECT_TRUE(holds(example(Person{"bob@example.org@sso"}, {"db"})));
  EXPECT_TRUE(holds(example(Person{"bob@example.org@local"}, {}, {"db"})));
  EXPECT_TRUE(holds(example(Person{"bob"}, {}, {"db"})));
}

TEST_F(PolicyCheckTest, ExamplesBringClaimsAndFactors) {
  rule("db").claims = {{"department", {"data"}}};
  rule("db").acr = {"high"};
  rule("db").mfa_max_age = Duration::minutes(15);
  auto bob = example(Person{"bob", {"dba"}}, {}, {"db"});
  EXPECT_TRUE(holds(bob));
  bob.as.claims = {{"department", {"data"}}};
  bob.as.acr = "high";
  EXPECT_TRUE(holds(bob));
  bob.as.mfa_age = Duration::minutes(15);
  EXPECT_FALSE(holds(bob));
  bob.as.mfa_age = Duration::minutes(16);
  EXPECT_TRUE(holds(bob));
}

TEST_F(PolicyCheckTest, ExamplesAreApprovedWhenTheySay) {
  rule("db").approval = ApprovalCondition{{GroupName("ops")}, 2, Duration::hours(4), true};
  auto bob = example(Person{"bob", {"dba"}}, {}, {"db"});
  EXPECT_TRUE(holds(bob));
  bob.as.approved = true;
  EXPECT_FALSE(holds(bob));
}

// ---- never ----

TEST_F(PolicyCheckTest, NeverFindsTheSmallestPerson) {
  auto result = check(never(Person{nullptr, {"visitors"}}, {"db", "photos", "ssh"}));
  ASSERT_EQ(result.verdict, TestVerdict::fail);
  ASSERT_TRUE(result.counterexample);
  EXPECT_EQ(result.counterexample->service.value, "photos");
  EXPECT_EQ(result.counterexample->groups, (std::vector<GroupName>{GroupName("visitors")}));
  EXPECT_EQ(result.counterexample->rule.value, "photos");
  EXPECT_EQ(result.counterexample->origin.to_string(), "policy.yaml:18:3");
  EXPECT_EQ(result.counterexample->source, "local");
}

TEST_F(PolicyCheckTest, NeverIsKeptByDenyRules) {
  EXPECT_TRUE(holds(never(Person{nullptr, {"leavers"}}, {"db"})));
  EXPECT_TRUE(holds(never(Person{nullptr, {}, "192.0.2.0/24"}, {"db", "photos", "ssh"})));
  EXPECT_TRUE(holds(never(Person{nullptr, {}, "2001:db8:bad::/48"}, {"db", "photos", "ssh"})));
  // One half of it only.
  EXPECT_FALSE(holds(never(Person{nullptr, {}, "192.0.2.0/23"}, {"db"})));
  policy_.deny.clear();
  EXPECT_FALSE(holds(never(Person{nullptr, {"leavers"}}, {"db"})));
  EXPECT_FALSE(holds(never(Person{nullptr, {}, "192.0.2.77"}, {"db"})));
}

TEST_F(PolicyCheckTest, NeverSeesStaticEntries) {
  auto result = check(never(Person{nullptr, {}, "203.0.113.0/24"}, {"photos"}));
  ASSERT_EQ(result.verdict, TestVerdict::fail);
  rule("photos").who = {GroupName("dba")};
  policy_.deny.push_back(policy_.deny[0]);
  policy_.deny.back().from = {};
  policy_.deny.back().who = {GroupName("dba")};
  policy_.deny.back().to = services({"photos"});
  result = check(never(Person{nullptr, {}, "203.0.113.0/24"}, {"photos"}));
  ASSERT_EQ(result.verdict, TestVerdict::fail);
  EXPECT_EQ(result.counterexample->rule.value, "probe");
  EXPECT_EQ(result.counterexample->address.to_string(), "203.0.113.9");
  policy_.statics[0].until = kNow;
  EXPECT_TRUE(holds(never(Person{nullptr, {}, "203.0.113.0/24"}, {"photos"})));
}

TEST_F(PolicyCheckTest, NeverAboutAPersonSaysWhatItLeavesOut) {
  rule("photos").who = {GroupName("dba")};
  auto result = check(never(Person{nullptr, {"visitors"}}, {"ssh"}));
  EXPECT_EQ(result.verdict, TestVerdict::fail);  // who is in ops too
  EXPECT_EQ(result.remark, "");
  result = check(never(Person{"bob@local"}, {"photos"}));
  EXPECT_EQ(result.verdict, TestVerdict::pass) << result.reason;
  EXPECT_NE(result.remark.find("probe (policy.yaml:21:3) at photos"), std::string::npos)
      << result.remark;
  result = check(never(Person{"bob@local", {}, "0.0.0.0/0"}, {"photos"}));
  EXPECT_EQ(result.verdict, TestVerdict::fail);
  EXPECT_EQ(result.remark, "");
}

TEST_F(PolicyCheckTest, NeverLooksWhereARuleIsOpen) {
  office_hours("db");
  auto result = check(never(Person{}, {"db"}));
  ASSERT_EQ(result.verdict, TestVerdict::fail);
  EXPECT_EQ(to_string(result.counterexample->at), "2026-11-23T07:00:00Z");
  auto sunday = never(Person{}, {"db"});
  sunday.at = parse_instant("2026-11-22T12:00:00Z");
  EXPECT_TRUE(holds(sunday));
}

TEST_F(PolicyCheckTest, NeverWithoutAnApproval) {
  auto secret = never(Person{}, {"db"});
  secret.as.approved = false;
  EXPECT_FALSE(holds(secret));
  rule("db").approval = ApprovalCondition{{GroupName("ops")}, 1, Duration::hours(4), false};
  EXPECT_TRUE(holds(secret));
  EXPECT_FALSE(holds(never(Person{}, {"db"})));
  secret.as.approved = true;
  EXPECT_FALSE(holds(secret));
}

TEST_F(PolicyCheckTest, NeverWithAnOldFactorOrAnotherClaim) {
  rule("db").mfa_max_age = Duration::minutes(15);
  rule("db").claims = {{"employment", {"staff"}}};
  auto old = never(Person{}, {"db"});
  EXPECT_FALSE(holds(old));
  old.as.mfa_age = Duration::minutes(16);
  EXPECT_TRUE(holds(old));
  auto contractor = never(Person{}, {"db"});
  contractor.as.claims = {{"employment", {"contractor"}}};
  EXPECT_TRUE(holds(contractor));
  contractor.as.claims = {{"employment", {"staff"}}};
  EXPECT_FALSE(holds(contractor));
}

TEST_F(PolicyCheckTest, NeverKnowsGroupsThatShareAWord) {
  // Whoever is a dba is a leaver by the same word, unless an operator says otherwise.
  policy_.groups[1].idp = "dba";
  auto result = check(never(Person{}, {"db"}));
  ASSERT_EQ(result.verdict, TestVerdict::fail);
  EXPECT_EQ(result.counterexample->source, "grant");
}

TEST_F(PolicyCheckTest, NeverCountsGrantsThatJoinWhatNoSourceJoins) {
  policy_.allow.resize(1);  // db for dba
  auto result = check(never(Person{nullptr, {"visitors"}}, {"db"}));
  ASSERT_EQ(result.verdict, TestVerdict::fail);
  EXPECT_EQ(result.counterexample->source, "grant");
  auto with_claim = never(Person{nullptr, {"visitors"}}, {"db"});
  with_claim.as.acr = "any";
  EXPECT_TRUE(holds(with_claim));
}

// ---- always ----

TEST_F(PolicyCheckTest, AlwaysMeansWhateverElseIsTheCase) {
  auto result = check(always(Person{nullptr, {"dba"}, "198.51.100.0/24"}, {"db"}));
  ASSERT_EQ(result.verdict, TestVerdict::fail);
  EXPECT_EQ(result.counterexample->groups,
            (std::vector<GroupName>{GroupName("dba"), GroupName("leavers")}));
  policy_.deny.pop_back();  // listed stays
  policy_.deny.erase(policy_.deny.begin());
  EXPECT_TRUE(holds(always(Person{nullptr, {"dba"}}, {"db"})));
  EXPECT_TRUE(holds(always(Person{nullptr, {"ops"}, "198.51.100.0/24"}, {"photos", "ssh"})));
  EXPECT_FALSE(holds(always(Person{nullptr, {"ops"}, "198.51.100.0/23"}, {"ssh"})));
  EXPECT_FALSE(holds(always(Person{}, {"db"})));
}

TEST_F(PolicyCheckTest, AlwaysFindsTheNetworkThatIsDenied) {
  auto result = check(always(Person{nullptr, {"visitors"}}, {"photos"}));
  ASSERT_EQ(result.verdict, TestVerdict::fail);
  EXPECT_NE(result.reason.find("deny rule listed"), std::string::npos) << result.reason;
}

TEST_F(PolicyCheckTest, AlwaysNeedsEveryMoment) {
  policy_.deny.clear();
  office_hours("db");
  EXPECT_FALSE(holds(always(Person{nullptr, {"dba"}}, {"db"})));
  AllowRule night = rule("db");
  night.name = RuleName("night");
  night.schedule = {{*days_from("mon-sun"), 19 * 60, 8 * 60, "UTC"},
                    {*days_from("sat,sun"), 0, 24 * 60, "UTC"}};
  policy_.allow.insert(policy_.allow.begin() + 1, night);
  EXPECT_TRUE(holds(always(Person{nullptr, {"dba"}}, {"db"})));
  night.schedule.pop_back();
  policy_.allow[1] = night;
  auto result = check(always(Person{nullptr, {"dba"}}, {"db"}));
  ASSERT_EQ(result.verdict, TestVerdict::fail);
  EXPECT_EQ(to_string(result.counterexample->at), "2026-11-21T10:00:00Z");
}

TEST_F(PolicyCheckTest, AlwaysCountsEntriesThatStand) {
  policy_.deny.clear();
  policy_.allow.clear();
  auto probe = always(Person{nullptr, {}, "203.0.113.9"}, {"photos"});
  EXPECT_TRUE(holds(probe));
  probe.as.groups = {GroupName("dba")};
  EXPECT_TRUE(holds(probe));
  probe.at = policy_.statics[0].until;
  EXPECT_FALSE(holds(probe));
  probe.at = std::nullopt;
  policy_.statics[0].until = kNow;
  EXPECT_FALSE(holds(probe));
}

// ---- bounds and texts ----

TEST_F(PolicyCheckTest, BeyondTheLimitNothingIsClaimed) {
  auto test = never(Person{nullptr, {"leavers"}}, {"db"});
  auto cells = check(test).cells;
  ASSERT_GT(cells, 1u);
  most_ = cells;
  EXPECT_TRUE(holds(test));
  most_ = cells - 1;
  auto result = check(test);
  EXPECT_EQ(result.verdict, TestVerdict::not_proven);
  EXPECT_NE(result.reason, "");
  auto found = never(Person{nullptr, {"dba"}}, {"db", "photos"});
  most_ = check(found).cells == 0 ? 1 : 2;
  EXPECT_NE(check(found).verdict, TestVerdict::pass);
}

TEST_F(PolicyCheckTest, AllTestsTogetherHaveALimit) {
  policy_.tests.assign(20, never(Person{nullptr, {"leavers"}}, {"db"}));
  policy_.tests.push_back(example(Person{"bob", {"dba"}}, {"db"}));
  auto whole = check_policy(policy_, kNow);
  ASSERT_TRUE(whole.ok());
  std::size_t most = 1, before = 0;
  for (; !check_policy(policy_, kNow, kMostCells, most).ok(); most *= 2) {
    ASSERT_LT(most, kMostWork);
    auto out = check_policy(policy_, kNow, kMostCells, most);
    auto passed = out.count(TestVerdict::pass);
    EXPECT_GE(passed, before) << most;
    EXPECT_EQ(passed + out.count(TestVerdict::not_proven), out.results.size()) << most;
    before = passed;
    for (const TestResult& one : out.results) {
      bool left = one.verdict == TestVerdict::not_proven;
      EXPECT_EQ(one.together, left);
      EXPECT_EQ(one.reason.find("the tests of this policy together") == 0, left) << one.reason;
    }
    auto diagnostics = diagnostics_of(policy_, out);
    ASSERT_EQ(diagnostics.size(), out.count(TestVerdict::not_proven));
    EXPECT_EQ(diagnostics.front().id, "policy.test-not-proven");
    EXPECT_NE(diagnostics.front().suggestion.find("write fewer tests"), std::string::npos);
  }
  EXPECT_GT(before, 0u) << "some work is enough for some tests";
  auto enough = check_policy(policy_, kNow, kMostCells, most);
  EXPECT_EQ(to_text(policy_, enough), to_text(policy_, whole)) << "unchanged below the limit";
}

TEST_F(PolicyCheckTest, WhatWasFoundBeforeTheLimitStaysFound) {
  policy_.tests.assign(50, never(Person{nullptr, {"dba"}}, {"db"}));
  std::size_t seen = 0;
  for (std::size_t most = 1; most < 100'000; most *= 2) {
    auto out = check_policy(policy_, kNow, kMostCells, most);
    EXPECT_EQ(out.count(TestVerdict::pass), 0u) << most;
    auto failed = out.count(TestVerdict::fail);
    seen += failed > 0 && failed < 50 ? 1 : 0;
  }
  EXPECT_GT(seen, 0u);
}

/// 3,000 tests over 1,500 networks and a schedule of 60 windows: the cost is that of their cells.
TEST_F(PolicyCheckTest, ManyTestsOverManyNetworksAreLinear) {
  office_hours("ssh");
  rule("ssh").schedule.assign(60, rule("ssh").schedule.front());
  rule("ssh").from.in.clear();
  policy_.networks.clear();
  for (std::uint32_t i = 0; i < 1500; ++i) {
    NetworkName name(fmt::format("n{:04}", i));
    policy_.networks.push_back(
        {name, {{Prefix::of(IpAddress::v4(0x0b000000 + 256 * i), 24), true}}, {}});
    rule("ssh").from.in.push_back(name);
  }
  policy_.deny.clear();
  auto steps = [&](std::size_t tests) {
    policy_.tests.assign(tests, never(Person{"ana@elsewhere", {}}, {"ssh"}));
    for (std::size_t most = 10'000;; most += most / 4)
      if (check_policy(policy_, kNow, kMostCells, most).ok()) return most;
  };
  EXPECT_LT(steps(3000), kMostWork);
  EXPECT_LT(steps(300), 20 * steps(30));
}

TEST_F(PolicyCheckTest, APolicyWithoutTestsIsFine) {
  auto out = check_policy(policy_, kNow);
  EXPECT_TRUE(out.ok());
  EXPECT_EQ(to_text(policy_, out), "0 tests: 0 passed, 0 failed, 0 not proven\n");
}

TEST_F(PolicyCheckTest, OneLineEach) {
  policy_.tests = {example(Person{"bob", {"dba"}}, {"db"}, {"ssh"}),
                   never(Person{nullptr, {}, "192.0.2.10"}, {"photos"}),
                   always(Person{nullptr, {"visitors"}}, {"photos"})};
  policy_.tests[2].can_all = true;
  auto out = check_policy(policy_, kNow);
  EXPECT_EQ(to_text(policy_, out),
            "PASS        tests.yaml:3:5: bob in dba can reach db, cannot reach ssh (2 "
            "combinations)\n"
            "PASS        tests.yaml:3:5: never: anybody from 192.0.2.10 can reach photos (5 "
            "combinations)\n"
            "FAIL        tests.yaml:3:5: always: everybody in visitors can reach any service (8 "
            "combinations)\n"
            "              somebody in visitors, signed in at local, from 192.0.2.1 at "
            "2026-11-21T10:00:00Z cannot reach photos: deny rule listed covers somebody from "
            "192.0.2.1 (policy.yaml:23:3@rev)\n"
            "              not counted: static entries are for whoever is there, like probe "
            "(policy.yaml:21:3) at photos; an `ip` in the test counts them\n"
            "3 tests: 2 passed, 1 failed, 0 not proven\n");
  auto diagnostics = diagnostics_of(policy_, out);
  ASSERT_EQ(diagnostics.size(), 1u);
  EXPECT_EQ(diagnostics[0].id, "policy.test-failed");
  EXPECT_EQ(diagnostics[0].where.to_string(), "tests.yaml:3:5");
}

TEST_F(PolicyCheckTest, NamesFromOutsideAreMadeSafe) {
  auto test = example(Person{"bo\x1b[31mb", {"dba"}}, {"ssh"});
  test.name = "a\nb";
  policy_.tests = {test};
  auto text = to_text(policy_, check_policy(policy_, kNow));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
}

}  // namespace
}  // namespace knock::test
