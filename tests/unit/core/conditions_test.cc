// SPDX-License-Identifier: Apache-2.0
// Each condition of a rule by itself: who passes, until when, and in what words the others hear why
// not and what would help.
#include "reconciler/core/conditions.h"

#include <functional>

#include "reconciler/core/explain.h"
#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

const std::string kPolicy = R"(
groups: {staff: {idp: staff}, leads: {idp: leads}, ops: {idp: ops}}
networks: {lab: ["2001:db8:1::1:0/112"], host: ["2001:db8:1::9"], two: ["2001:db8:1::9", "2001:db8:1::a"], around: ["2001:db8:1::8/125"]}
services: {ssh: {ports: [tcp/22], targets: [edge]}}
targets: {edge: {type: nftables}}
allow: {r: {who: [staff], to: [ssh], ttl: 8h}}
)";
constexpr const char* kPlace = "policy.yaml:7:9@rev";

using Edit = std::function<void(Policy&, AllowRule&)>;

/// Ana at 192.0.2.10, ten minutes ago; the rule as `edit` leaves it.
struct Asked {
  Policy policy = policy_of(kPolicy);
  Session ana = SessionOf{};
  std::vector<Session> others;
  std::vector<Approval> approvals;
  Instant now = kNow;

  explicit Asked(const Edit& edit) { edit(policy, policy.allow.front()); }
  Explanation answer() const { return answer(ana); }
  Explanation answer(const Session& session) const {
    auto sessions = others;
    sessions.push_back(ana);
    return explain(policy, session, ServiceName("ssh"), {now, sessions, approvals});
  }
  std::string until() const {
    auto said = answer();
    return said.allowed ? to_string(said.until) : "no: " + said.missing;
  }
};

void says(const Asked& asked, Condition lacks, const std::string& missing,
          const std::string& change) {
  auto said = asked.answer();
  ASSERT_FALSE(said.allowed);
  ASSERT_TRUE(said.lacks.has_value()) << said.missing;
  EXPECT_EQ(int(*said.lacks), int(lacks));
  EXPECT_EQ(said.nearest.value, "r");
  EXPECT_EQ(said.missing, missing);
  EXPECT_EQ(said.smallest_change, change);
}

std::string at_place(const std::string& text) { return text + " (" + kPlace + ")"; }

TEST(Conditions, UsersAreASubjectAndASource) {
  auto only = [](std::string subject, std::string source) {
    return Edit([=](Policy&, AllowRule& r) { r.users = {{subject, SignInName(source)}}; });
  };
  EXPECT_TRUE(Asked(only("ana", "corp")).answer().allowed);
  says(Asked(only("ana", "partner")), Condition::users,
       at_place("rule r names people, and ana@corp is none of them"),
       "rule r names ana@corp in `users`");
  EXPECT_FALSE(Asked(only("bob", "corp")).answer().allowed);
  // Both keys: both must hold. Users alone need no group.
  Asked both(only("ana", "corp"));
  both.ana.groups = {};
  EXPECT_EQ(both.answer().lacks, Condition::who);
  both.policy.allow.front().who.clear();
  auto said = both.answer();
  ASSERT_TRUE(said.allowed) << said.missing;
  EXPECT_EQ(said.chain[1].sentence, at_place("rule r lets ana@corp into ssh for 8h"));
  both.policy.allow.front().users.clear();
  EXPECT_FALSE(both.answer().allowed) << "a rule that names nobody";
}

TEST(Conditions, EveryClaimAnyOfItsValues) {
  Asked asked([](Policy&, AllowRule& r) {
    r.claims = {{"department", {"eng", "ops"}}, {"site", {"berlin"}}};
  });
  says(asked, Condition::claims,
       at_place("rule r asks for department: eng or ops, and corp said nothing of it"),
       "the sign-in source says department: eng of ana, who then signs in again");
  asked.ana.claims = {{"department", {"hr", "ops"}}, {"site", {"bonn"}}};
  says(asked, Condition::claims, at_place("rule r asks for site: berlin, and corp said bonn"),
       "the sign-in source says site: berlin of ana, who then signs in again");
  asked.ana.claims["site"] = {"berlin", "bonn"};
  auto said = asked.answer();
  ASSERT_TRUE(said.allowed) << said.missing;
  EXPECT_EQ(said.chain[2].sentence, "corp says department: ops");
  EXPECT_EQ(said.chain[3].sentence, "corp says site: berlin");
  asked.ana.claims["department"] = {"Ops"};
  EXPECT_FALSE(asked.answer().allowed) << "byte by byte";
}

TEST(Conditions, TheStrengthOfTheSignIn) {
  Asked asked([](Policy&, AllowRule& r) { r.acr = {"phr", "gold"}; });
  says(asked, Condition::acr,
       at_place("rule r asks for acr phr or gold, and corp did not say how strong the sign-in was"),
       "ana signs in with acr phr");
  asked.ana.acr = "bronze";
  EXPECT_EQ(asked.answer().missing,
            at_place("rule r asks for acr phr or gold, and the sign-in was bronze"));
  asked.ana.acr = "gold";
  EXPECT_TRUE(asked.answer().allowed);
}

TEST(Conditions, ASecondFactorIsFreshAtTheSignIn) {
  Asked asked([](Policy&, AllowRule& r) { r.mfa_max_age = Duration::minutes(15); });
  says(asked, Condition::mfa_max_age,
       at_place("rule r asks for a second factor shown at most 15m before the sign-in, and corp "
                "told of none"),
       "ana signs in again with a second factor");
  asked.ana.mfa_at = asked.ana.created - Duration::minutes(15);
  EXPECT_TRUE(asked.answer().allowed);
  // It was fresh when the door opened: time alone takes nothing away.
  asked.now = kNow + Duration::hours(5);
  EXPECT_TRUE(asked.answer().allowed);
  asked.now = kNow;
  asked.ana.mfa_at = asked.ana.created - Duration::minutes(16);
  EXPECT_EQ(
      asked.answer().missing,
      at_place("rule r asks for a second factor shown at most 15m before the sign-in, and the "
               "last one was shown at 2026-11-21T09:34:00Z, 16 min before"));
}

TEST(Conditions, NetworksBothWays) {
  Asked in([](Policy&, AllowRule& r) { r.from.in = {NetworkName("lab")}; });
  says(in, Condition::from, at_place("rule r asks for another network than 192.0.2.10"),
       "ana signs in from a network the rule names");
  Asked out([](Policy&, AllowRule& r) { r.from.not_in = {NetworkName("lab")}; });
  EXPECT_TRUE(out.answer().allowed);
  out.ana.address = address("2001:db8:1::1:7");
  says(out, Condition::from, at_place("rule r keeps out the network that 2001:db8:1::1:7 is in"),
       "ana signs in from another network");
}

/// 2026-11-21 is a Saturday, 10:00 UTC.
Edit open_on(std::uint8_t days, std::uint16_t from, std::uint16_t to) {
  return [=](Policy& policy, AllowRule& rule) {
    auto utc = std::make_shared<Zone>();
    utc->name = "UTC";
    utc->offsets = {{Instant::from_seconds(0), 0}};
    policy.zones["UTC"] = utc;
    rule.schedule.push_back({days, from, to, "UTC"});
  };
}

TEST(Conditions, AScheduleOpensAndBoundsTheDeadline) {
  Asked open(open_on(0b0100000, 9 * 60, 12 * 60));
  EXPECT_EQ(open.until(), "2026-11-21T12:00:00Z");
  EXPECT_EQ(open.answer().chain.back().sentence,
            "until 2026-11-21T12:00:00Z, when the schedule closes");
  Asked closed(open_on(0b0011111, 7 * 60, 20 * 60));
  says(closed, Condition::schedule,
       at_place("rule r opens mon-fri 07:00-20:00 UTC only, and now it is 2026-11-21T10:00:00Z"),
       "ana waits until 2026-11-23T07:00:00Z");
  closed.policy.zones.clear();
  EXPECT_EQ(closed.answer().smallest_change, "none: it does not open within a year");
}

Edit approved_by_leads(unsigned count, bool reason = false) {
  return [=](Policy&, AllowRule& r) {
    r.approval = ApprovalCondition{
        {GroupName("leads"), GroupName("ops")}, count, Duration::hours(4), reason};
  };
}

Approval::Yes yes(std::string who, std::string group, Duration ago) {
  return {{"https://idp.example", who, who}, {std::move(group)}, SignInName("corp"), kNow - ago};
}

Approval for_ana(std::vector<Approval::Yes> list, std::string reason = "") {
  return {RuleName("r"), {"https://idp.example", "ana", "ana"}, std::move(list), std::move(reason)};
}

TEST(Conditions, OthersMustSayYes) {
  Asked asked(approved_by_leads(2));
  says(asked, Condition::approval,
       at_place("rule r asks for the approval of 2 members of leads or ops, and nobody's counts"),
       "2 more members of leads or ops say yes to ana");
  asked.approvals = {for_ana({yes("eve", "leads", Duration::hours(1))})};
  says(asked, Condition::approval,
       at_place("rule r asks for the approval of 2 members of leads or ops, and one counts"),
       "1 more member of leads or ops says yes to ana");
  // Until the second latest yes runs out.
  asked.approvals = {
      for_ana({yes("eve", "leads", Duration::hours(1)), yes("fay", "ops", Duration::hours(2)),
               yes("gus", "ops", Duration::hours(3))})};
  EXPECT_EQ(asked.until(), "2026-11-21T12:00:00Z");
  auto chain = asked.answer().chain;
  EXPECT_EQ(chain[2].sentence, "2 members of leads or ops said yes");
  EXPECT_EQ(chain.back().sentence, "until 2026-11-21T12:00:00Z, when the approval runs out");
}

TEST(Conditions, YesThatDoesNotCount) {
  Approval::Yes by_ana = yes("ana", "leads", {}), later = yes("eve", "leads", Duration::hours(-1));
  struct Row {
    const char* name;
    std::vector<Approval> approvals;
  };
  auto other_rule = for_ana({yes("eve", "leads", {})});
  other_rule.rule = RuleName("x");
  auto for_bob = for_ana({yes("eve", "leads", {})});
  for_bob.who.subject = "bob";
  for (const Row& row :
       std::vector<Row>{{"one's own", {for_ana({by_ana})}},
                        {"of somebody in no such group", {for_ana({yes("eve", "staff", {})})}},
                        {"run out", {for_ana({yes("eve", "leads", Duration::hours(4))})}},
                        {"not said yet", {for_ana({later})}},
                        {"to another rule", {other_rule}},
                        {"to somebody else", {for_bob}},
                        {"none", {for_ana({})}}}) {
    Asked asked(approved_by_leads(1));
    asked.approvals = row.approvals;
    EXPECT_EQ(asked.answer().lacks, Condition::approval) << row.name;
  }
  Asked twice(approved_by_leads(2));
  twice.approvals = {for_ana({yes("eve", "leads", {}), yes("eve", "ops", Duration::hours(1))})};
  EXPECT_FALSE(twice.answer().allowed) << "one person twice";
  twice.approvals = {for_ana({yes("eve", "leads", {})}), for_ana({yes("fay", "leads", {})})};
  EXPECT_FALSE(twice.answer().allowed) << "two reasons, one yes each";
  Asked reason(approved_by_leads(1, true));
  reason.approvals = {for_ana({yes("eve", "leads", {})})};
  EXPECT_FALSE(reason.answer().allowed) << "no reason given";
  EXPECT_EQ(reason.answer().smallest_change,
            "1 more member of leads or ops says yes to ana, who gives a reason");
  reason.approvals[0].reason = "the disk is full";
  EXPECT_TRUE(reason.answer().allowed);
}

Edit people(unsigned most, SharedAddresses shared) {
  return [=](Policy& p, AllowRule& r) {
    r.max_users_per_ip = most;
    p.behaviour.shared_addresses = shared;
  };
}

TEST(Conditions, PeopleAtOneAddress) {
  for (auto shared : {SharedAddresses::deny, SharedAddresses::require_token}) {
    Asked asked(people(1, shared));
    EXPECT_TRUE(asked.answer().allowed);
    Session bob = SessionOf{.who = "bob", .groups = {}};  // entitled or not
    asked.others = {bob};
    says(asked, Condition::max_users_per_ip,
         at_place("2 people are signed in at 192.0.2.10, and rule r gives nothing to more than 1 "
                  "at one address"),
         "ana signs in from an address that fewer share");
    asked.others[0].expires = kNow;
    EXPECT_TRUE(asked.answer().allowed) << "who is gone is not there";
    asked.others = {SessionOf{}};
    EXPECT_TRUE(asked.answer().allowed) << "one person twice is one";
  }
  Asked allowed(people(1, SharedAddresses::allow));
  allowed.others = {SessionOf{.who = "bob"}};
  EXPECT_TRUE(allowed.answer().allowed) << "named in the plan, not closed";
}

TEST(Conditions, PeopleInAWidenedPrefix) {
  Asked asked(people(1, SharedAddresses::deny));
  asked.ana.address = address("2001:db8:1::7");
  asked.others = {SessionOf{.who = "bob", .from = "2001:db8:1::8"}};
  EXPECT_TRUE(asked.answer().allowed);
  asked.policy.allow.front().v6_prefix = 64;
  EXPECT_EQ(asked.answer().missing,
            at_place("2 people are signed in at 2001:db8:1::/64, and rule r gives nothing to more "
                     "than 1 at one address"));
}

Edit places(unsigned most, OverLimit over) {
  return [=](Policy& p, AllowRule& r) {
    r.max_ips_per_user = most;
    p.behaviour.over_limit = over;
  };
}

Session elsewhere(std::string from, Duration age) {
  return SessionOf{.from = std::move(from), .age = age};
}

TEST(Conditions, AddressesOfOnePerson) {
  Asked replace(places(1, OverLimit::replace));
  replace.others = {elsewhere("198.51.100.7", Duration::minutes(5))};
  says(replace, Condition::max_ips_per_user,
       at_place("rule r gives ana 1 address at a time, and 198.51.100.7 came later"),
       "ana signs in again from 192.0.2.10");
  EXPECT_TRUE(replace.answer(replace.others[0]).allowed);
  Asked refuse(places(1, OverLimit::refuse));
  refuse.others = {elsewhere("198.51.100.7", Duration::minutes(20))};
  says(refuse, Condition::max_ips_per_user,
       at_place("rule r gives ana 1 address at a time, and 198.51.100.7 came earlier"),
       "ana signs out at 198.51.100.7");
  refuse.others[0].end = SessionEnd{kNow, EndCause::signed_out};
  EXPECT_TRUE(refuse.answer().allowed);
  // Of three, two.
  Asked two(places(2, OverLimit::replace));
  two.others = {elsewhere("198.51.100.7", Duration::minutes(5)),
                elsewhere("198.51.100.8", Duration::minutes(15))};
  EXPECT_TRUE(two.answer().allowed);
  EXPECT_FALSE(two.answer(two.others[1]).allowed);
}

TEST(Conditions, OnlyWhatMeetsTheRestIsCounted) {
  Asked asked(places(1, OverLimit::replace));
  asked.others = {elsewhere("198.51.100.7", Duration::minutes(5))};
  asked.others[0].groups = {};
  EXPECT_TRUE(asked.answer().allowed) << "a sign-in the rule gives nothing takes no place";
  asked.others = {SessionOf{.who = "bob", .from = "198.51.100.7", .age = {}}};
  EXPECT_TRUE(asked.answer().allowed) << "somebody else's";
  asked.others = {elsewhere("192.0.2.10", Duration::minutes(5))};
  EXPECT_TRUE(asked.answer().allowed) << "the same address again";
}

TEST(Conditions, OfTwoAtOnceTheIdDecides) {
  for (auto over : {OverLimit::replace, OverLimit::refuse}) {
    Asked asked(places(1, over));
    asked.others = {elsewhere("198.51.100.7", Duration::minutes(10))};
    asked.ana.id = SessionId("a");
    asked.others[0].id = SessionId("b");
    EXPECT_EQ(asked.answer().allowed, over == OverLimit::refuse);
    EXPECT_EQ(asked.answer(asked.others[0]).allowed, over == OverLimit::replace);
  }
}

TEST(Conditions, AnAddressWithoutASessionMayBeAskedAbout) {
  Asked asked(places(1, OverLimit::refuse));
  Session imagined = elsewhere("198.51.100.7", Duration{});
  auto said = asked.answer(imagined);
  EXPECT_FALSE(said.allowed);
  EXPECT_EQ(said.smallest_change, "ana signs out at 192.0.2.10");
  EXPECT_TRUE(asked.answer().allowed) << "and is not there afterwards";
}

// ---- what is opened around an IPv6 address ----

std::string opened(Asked asked, const std::string& deny = "") {
  if (!deny.empty()) asked.policy.deny = policy_of(kPolicy + "deny: {" + deny + "}\n").deny;
  asked.ana.address = address("2001:db8:1::7");
  std::string out;
  auto lists = evaluate({asked.policy, {&asked.ana, 1}, kNow, {}});
  for (const Entry& entry : lists.at(0).services.at(0).entries)
    out += (out.empty() ? "" : " ") + entry.prefix.to_string();
  return out;
}

Asked wide(int length, SourceCondition from = {}) {
  return Asked([=](Policy&, AllowRule& r) {
    r.v6_prefix = std::uint8_t(length);
    r.from = from;
  });
}

TEST(Conditions, APrefixAroundTheAddress) {
  EXPECT_EQ(opened(wide(128)), "2001:db8:1::7/128");
  EXPECT_EQ(opened(wide(64)), "2001:db8:1::/64");
  EXPECT_EQ(opened(wide(48)), "2001:db8:1::/48");
  Asked v4 = wide(48);
  EXPECT_EQ(evaluate({v4.policy, {&v4.ana, 1}, kNow, {}})[0].services[0].entries[0].prefix,
            prefix("192.0.2.10/32"));
}

TEST(Conditions, WhatIsKeptOutIsCutOutExactly) {
  EXPECT_EQ(opened(wide(111), "d: {from: {in: [lab]}, to: [ssh]}"), "2001:db8:1::/112")
      << "the other half of it";
  EXPECT_EQ(opened(wide(111, {{}, {NetworkName("lab")}})), "2001:db8:1::/112");
  EXPECT_EQ(opened(wide(126, {{}, {NetworkName("host")}})), "2001:db8:1::4/126");
  // One host out of a /64 costs 64 prefixes, and that is allowed; two cost more.
  auto pieces = opened(wide(64), "d: {from: {in: [host]}, to: [ssh]}");
  EXPECT_EQ(std::count(pieces.begin(), pieces.end(), ' '), 63);
  EXPECT_EQ(opened(wide(64), "d: {from: {in: [two]}, to: [ssh]}"), "2001:db8:1::7/128");
  auto less = opened(wide(64), "d: {from: {in: [around]}, to: [ssh]}");
  EXPECT_EQ(std::count(less.begin(), less.end(), ' '), 60);
  // A deny rule that swallows both does not make it cheaper, or one rule more would open something.
  EXPECT_EQ(
      opened(wide(64), "d: {from: {in: [two]}, to: [ssh]}, e: {from: {in: [around]}, to: [ssh]}"),
      "2001:db8:1::7/128");
}

TEST(Conditions, DenyRulesOfOthersCutNothingOut) {
  EXPECT_EQ(opened(wide(111), "d: {who: [ops], from: {in: [lab]}, to: [ssh]}"), "2001:db8:1::/111");
  EXPECT_EQ(opened(wide(111), "d: {who: [staff], from: {in: [lab]}, to: [ssh]}"),
            "2001:db8:1::/112")
      << "in that network this very person would be denied";
}

TEST(Conditions, NoWiderThanTheRulesOwnNetwork) {
  Asked asked = wide(48, {{NetworkName("a")}, {}});
  asked.policy.networks.insert(asked.policy.networks.begin(),
                               {NetworkName("a"), {{prefix("2001:db8:1::/120"), false}}, {}});
  EXPECT_EQ(opened(asked), "2001:db8:1::/120");
}

TEST(Conditions, WhoMayStillBeDenied) {
  Asked asked([](Policy& policy, AllowRule& r) {
    policy.deny = policy_of(kPolicy + "deny: {d: {who: [ops], to: [ssh]}}\n").deny;
    r.acr = {"gold"};
  });
  asked.ana.groups = {"ops", "staff"};
  EXPECT_EQ(asked.answer().lacks, Condition::acr);
  asked.ana.acr = "gold";
  auto said = asked.answer();
  EXPECT_EQ(said.denied_by.value, "d");
  EXPECT_FALSE(said.lacks.has_value());
  EXPECT_EQ(said.smallest_change, "none: a deny rule is meant");
}

}  // namespace
}  // namespace knock::test
