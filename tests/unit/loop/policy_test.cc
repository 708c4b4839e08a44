// SPDX-License-Identifier: Apache-2.0
// Policies come and go: adoption, guards, acknowledgement.
#include <algorithm>
#include <future>

#include "schemas/plan/codec.h"
#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

class Policies : public World {
 protected:
  static std::string with_static(const std::string& cidr, const std::string& any = {}) {
    return policy_text(one_target("edge"),
                       "static:\n  m: {cidr: [" +
                           (any.empty() ? cidr : "{cidr: " + cidr + ", any: true}") +
                           "], to: [ssh], owner: ana, reason: probe, until: "
                           "2027-06-01}\n");
  }
  static std::string without_rules() {
    return "knock: 1\ntargets:\n" + one_target("edge") +
           "services:\n  ssh: {ports: [tcp/22], targets: [edge]}\n";
  }
  std::string plan_id() {
    auto plan = loop_->plan(*loop_->policy());
    EXPECT_TRUE(plan) << plan.error().text();
    return plan ? to_hex(plan->id) : "";
  }
};

TEST_F(Policies, AdoptionAddsAndRemoves) {
  begin();
  sign_in(kAna);
  adopt(with_static("198.51.100.9/32"), "r2");
  EXPECT_TRUE(place("edge").open("ssh", "198.51.100.9/32"));
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  adopt(policy_text(one_target("edge")), "r3");
  EXPECT_FALSE(place("edge").open("ssh", "198.51.100.9/32"));
  EXPECT_EQ(place("edge").changes().back().reason, Reason::policy);
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
}

TEST_F(Policies, SignInAfterAdoptionFollowsTheNewOne) {
  begin();
  adopt(without_rules(), "r2");
  auto session = sign_in_result(kAna);
  ASSERT_TRUE(session);
  ASSERT_TRUE(settled());
  EXPECT_TRUE(loop_->where(*session).empty());
  EXPECT_EQ(place("edge").entries(), 0u);
}

TEST_F(Policies, AdoptedWhileARunIsBusy) {
  begin();
  place("edge").observing.close();
  loop_->refresh({});
  ASSERT_TRUE(place("edge").observing.wait_for_caller());
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(adopt_only(with_static("198.51.100." + std::to_string(i) + "/32"),
                           "b" + std::to_string(i)));
  place("edge").observing.open();
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 1u);
  EXPECT_TRUE(place("edge").open("ssh", "198.51.100.19/32"));
}

TEST_F(Policies, WhatEmptiesATargetWaitsForThatPlanAlone) {
  begin();
  sign_in(kAna);
  adopt(without_rules(), "r2");
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32")) << "held";
  EXPECT_EQ(status("edge").held, 1u);
  ASSERT_EQ(status("edge").guards.size(), 1u);
  EXPECT_EQ(status("edge").guards.front().guard, "becomes-empty");
  loop_->refresh({});
  ASSERT_TRUE(settled());
  EXPECT_EQ(status("edge").held, 1u) << "and goes on being held";
  auto wrong = loop_->acknowledge("test", std::string(64, 'a'));
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::conflict);
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  ASSERT_TRUE(loop_->acknowledge("test", plan_id()));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", "203.0.113.7/32"));
  EXPECT_EQ(status("edge").held, 0u);
  EXPECT_EQ(facts_of<GuardAcknowledged>().size(), 1u);
}

TEST_F(Policies, SignOutIsNotHeldWithTheRest) {
  begin();
  auto session = sign_in(kAna);
  sign_in(kBen, Duration::hours(1), "ben");
  adopt(without_rules(), "r2");
  end(session);
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", "203.0.113.7/32"));
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.8/32"));
}

// A yes to one thing is no yes to what comes into the plan after it.
TEST_F(Policies, AYesDoesNotCoverWhatCameLater) {
  begin();
  sign_in(kAna);
  adopt(without_rules(), "r2");
  auto id = plan_id();
  place("edge").observing.close();
  auto said = std::async(std::launch::async, [&] { return loop_->acknowledge("test", id); });
  ASSERT_TRUE(place("edge").observing.wait_for_caller());
  place("edge").observing.open();
  place("edge").applying.close();
  ASSERT_TRUE(said.get());
  place("edge").applying.open();
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 0u);
  // The same revision stays in force; its next held change needs a yes of its own.
  adopt(policy_text(one_target("edge")), "r1");
  sign_in(kBen, Duration::hours(1), "ben");
  adopt(without_rules(), "r2");
  EXPECT_GT(status("edge").held, 0u);
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.8/32"));
}

TEST_F(Policies, WidePrefixStaysHeldUntilAcknowledged) {
  begin();
  sign_in(kAna);
  adopt(with_static("198.51.0.0/16", "any"), "r2");
  EXPECT_FALSE(place("edge").open("ssh", "198.51.0.0/16"));
  EXPECT_EQ(status("edge").held, 1u);
  for (int i = 0; i < 2; ++i) {
    loop_->refresh({});
    ASSERT_TRUE(settled());
    EXPECT_FALSE(place("edge").open("ssh", "198.51.0.0/16")) << "look " << i;
  }
  sign_in(kBen, Duration::hours(1), "ben");
  EXPECT_FALSE(place("edge").open("ssh", "198.51.0.0/16"));
  restart();
  loop_->resume(load(with_static("198.51.0.0/16", "any"), "r2"));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", "198.51.0.0/16")) << "a restart is no yes";
  EXPECT_EQ(status("edge").held, 1u);
  auto plan = loop_->plan(*loop_->policy());
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->targets.size(), 1u);
  EXPECT_EQ(plan->targets.front().held.size(), 1u) << "the plan shows what the status counts";
  ASSERT_TRUE(loop_->acknowledge("test", to_hex(plan->id)));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(place("edge").open("ssh", "198.51.0.0/16"));
  restart();
  loop_->resume(load(with_static("198.51.0.0/16", "any"), "r2"));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(place("edge").open("ssh", "198.51.0.0/16"));
  EXPECT_EQ(status("edge").held, 0u);
}

// ---- the limits that a policy sets itself ----

std::string nobody(const std::string& guards = {}) {
  return "knock: 1\ntargets:\n" + one_target("edge") +
         "services:\n  ssh: {ports: [tcp/22], targets: [edge]}\n" + guards +
         "allow:\n  b: {users: [nobody@local], to: [ssh], ttl: 1h}\n";
}

TEST_F(Policies, WhatACommitRemovesBeyondItsLimitWaitsAndWhatEndsDoesNot) {
  begin();
  sign_in(kAna);
  auto ben = sign_in(kBen, Duration::hours(1), "ben");
  ASSERT_EQ(place("edge").entries(), 2u);
  adopt(nobody("guards: {removals: {entries: 1}}\n"), "r2");
  ASSERT_EQ(status("edge").guards.size(), 1u);
  EXPECT_EQ(status("edge").guards[0].guard, "removals");
  EXPECT_EQ(status("edge").guards[0].figure, "2 entries go by policy");
  EXPECT_EQ(status("edge").guards[0].limit, "at most 1 (guards.removals.entries)");
  EXPECT_EQ(place("edge").entries(), 2u);
  ASSERT_TRUE(loop_->end_session("test", ben.id, EndCause::revoked, ""));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", "203.0.113.8/32")) << "a revocation never waits";
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
}

TEST_F(Policies, WhatACommitAddsBeyondItsLimitWaitsOverARestartToo) {
  start();
  adopt(nobody(), "r1");
  sign_in(kAna);
  sign_in(kBen, Duration::hours(1), "ben");
  clock_.advance(Duration::seconds(1));
  auto text = policy_text(one_target("edge"), "guards: {additions: {entries: 1}}\n");
  adopt(text, "r2");
  ASSERT_EQ(status("edge").guards.size(), 1u);
  EXPECT_EQ(status("edge").guards[0].guard, "additions");
  EXPECT_EQ(status("edge").guards[0].figure, "2 entries come by policy");
  EXPECT_EQ(place("edge").entries(), 0u);
  for (int again = 0; again < 2; ++again) {
    restart();
    loop_->resume(load(text, "r2"));
    ASSERT_TRUE(settled());
    EXPECT_EQ(place("edge").entries(), 0u) << "a restart is no yes";
    EXPECT_EQ(status("edge").held, 2u);
  }
  ASSERT_TRUE(loop_->acknowledge("test", plan_id()));
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 2u);
  restart();
  loop_->resume(load(text, "r2"));
  ASSERT_TRUE(settled());
  EXPECT_EQ(status("edge").held, 0u);
  EXPECT_EQ(place("edge").entries(), 2u);
}

TEST_F(Policies, WhatWaitedBeforeARestartWaitsUnderTheNextPolicyToo) {
  start();
  adopt(nobody(), "r1");
  sign_in(kAna);
  sign_in(kBen, Duration::hours(1), "ben");
  clock_.advance(Duration::seconds(1));
  auto text = policy_text(one_target("edge"), "guards: {additions: {entries: 1}}\n");
  adopt(text, "r2");
  restart();
  loop_->resume(load(text, "r2"), false);
  adopt(text + "networks: {office: [198.51.100.0/24]}\n", "r3");
  EXPECT_EQ(place("edge").entries(), 0u);
  EXPECT_EQ(status("edge").held, 2u);
}

TEST_F(Policies, ACommitCannotLoosenTheLimitsItIsJudgedBy) {
  start();
  adopt(nobody("guards: {additions: {entries: 1}}\n"), "r1");
  sign_in(kAna);
  sign_in(kBen, Duration::hours(1), "ben");
  adopt(policy_text(one_target("edge"), "guards: {additions: {entries: 500}}\n"), "r2");
  EXPECT_EQ(place("edge").entries(), 0u);
  ASSERT_FALSE(status("edge").guards.empty());
  EXPECT_EQ(status("edge").guards[0].limit, "at most 1 (guards.additions.entries)");
}

TEST_F(Policies, SignInsAfterAnAdoptionAreNoGrowth) {
  start();
  auto text = policy_text(one_target("edge"), "guards: {additions: {entries: 0}}\n");
  adopt(nobody(), "r0");
  adopt(text, "r1");
  sign_in(kAna);
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  restart();
  loop_->resume(load(text, "r1"));
  ASSERT_TRUE(settled());
  sign_in(kBen, Duration::hours(1), "ben");
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.8/32"));
  EXPECT_EQ(status("edge").held, 0u);
}

TEST_F(Policies, WidePrefixOfTheFirstAdoptionWaitsToo) {
  start();
  adopt(with_static("198.51.0.0/16", "any"), "r1");
  EXPECT_FALSE(place("edge").open("ssh", "198.51.0.0/16"));
  ASSERT_FALSE(status("edge").guards.empty());
  EXPECT_EQ(status("edge").guards.front().guard, "any");
  ASSERT_TRUE(loop_->acknowledge("test", plan_id()));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(place("edge").open("ssh", "198.51.0.0/16"));
  // What was let pass once is put back without asking, whoever took it away.
  place("edge").unprotect(true);
  place("edge").tell_moved();
  ASSERT_TRUE(settled());
  EXPECT_TRUE(place("edge").open("ssh", "198.51.0.0/16"));
  EXPECT_EQ(status("edge").held, 0u);
}

TEST_F(Policies, HeldChangesAreStillShownWhenTheTargetGoesAway) {
  begin();
  sign_in(kAna);
  adopt(without_rules(), "r2");
  {
    auto lock = place("edge").lock();
    place("edge").observe_error = ErrorKind::unavailable;
  }
  loop_->refresh({});
  ASSERT_TRUE(soon([&] { return !status("edge").ready; }));
  EXPECT_EQ(status("edge").held, 1u);
}

TEST_F(Policies, PlanChangesNothingAndSeesTheCandidate) {
  begin();
  sign_in(kAna);
  int writes = place("edge").applies();
  auto plan = loop_->plan(*load(with_static("198.51.100.9/32"), "r2"));
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->targets.size(), 1u);
  EXPECT_EQ(plan->targets.front().changes.size(), 1u);
  EXPECT_EQ(place("edge").applies(), writes);
  EXPECT_EQ(loop_->policy()->revision.value, "r1");
}

TEST_F(Policies, PlanOfWhatIsMadeUpChangesNothingAndSaysSo) {
  begin();
  auto ana = sign_in(kAna);
  ASSERT_TRUE(settled());
  auto records = facts().size();
  Session ben = ana;
  ben.id = SessionId("made-up");
  ben.principal.subject = ben.principal.name = "ben";
  ben.address = *IpAddress::parse(kBen);
  WhatIf what_if{SessionsDocument{{ben}, {}}, std::nullopt};
  using New = Reconciler::NewTargets;
  auto changes = [&] {
    auto plan = loop_->plan(*loop_->policy(), {}, New::read, what_if);
    EXPECT_TRUE(plan) << plan.error().text();
    EXPECT_TRUE(plan->scope.what_if);
    EXPECT_FALSE(plan->scope.whole());
    std::vector<std::string> out;
    for (const Change& change : plan->targets[0].changes)
      out.push_back(std::string(to_string(change.action)) + " " + change.prefix.to_string());
    std::sort(out.begin(), out.end());
    return out;
  };
  EXPECT_EQ(changes(), (std::vector<std::string>{"add " + std::string(kBen) + "/32",
                                                 "remove " + std::string(kAna) + "/32"}));
  // Then he is gone too, and so is whoever is really there.
  what_if.at = ben.expires;
  EXPECT_EQ(changes(), std::vector<std::string>{"remove " + std::string(kAna) + "/32"});
  what_if.people.reset();
  EXPECT_EQ(changes(), std::vector<std::string>{"remove " + std::string(kAna) + "/32"});
  what_if.at = clock_.now();
  EXPECT_EQ(changes(), std::vector<std::string>()) << "it is so";
  EXPECT_EQ(facts().size(), records);
  EXPECT_EQ(loop_->live_sessions().size(), 1u);
  EXPECT_FALSE(loop_->plan(*loop_->policy())->scope.what_if);
}

TEST_F(Policies, PlanOfAnotherPlaceReadsThatPlace) {
  begin();
  sign_in(kAna);
  auto plan = loop_->plan(*load(policy_text(one_target("edge", "elsewhere")), "r2"));
  ASSERT_TRUE(plan);
  EXPECT_EQ(place("elsewhere").observes(), 1);
}

TEST_F(Policies, AShapeIsOfThePoliciesAlone) {
  begin();
  auto text = policy_text(one_target("edge"), "  b: {who: [staff], to: [dns], ttl: 1h}\n");
  text.replace(text.find("groups:\n"), 8,
               "  dns: {ports: [udp/53], targets: [edge]}\ngroups:\n  staff: {idp: staff}\n");
  auto candidate = load(text, "r2");
  auto shape = [&] {
    auto plan = loop_->plan_shape(*candidate);
    EXPECT_TRUE(plan) << plan.error().text();
    plan->as_of = Instant();
    plan->sequence = 0;
    std::string out;
    write_json(*plan, [&](std::string_view piece) { out += piece; });
    return out;
  };
  auto before = shape();
  EXPECT_NE(before.find("\"protect\""), std::string::npos) << before;
  EXPECT_NE(before.find("udp/53"), std::string::npos) << before;
  EXPECT_NE(before.find("staff"), std::string::npos) << before;

  sign_in(kAna);
  EXPECT_EQ(shape(), before) << "whoever is signed in";
  {
    auto lock = place("edge").lock();
    place("edge").observe_error = ErrorKind::unavailable;
  }
  loop_->refresh({});
  ASSERT_TRUE(soon([&] { return !status("edge").ready; }));
  int looks = place("edge").observes();
  EXPECT_EQ(shape(), before) << "whatever stands there";
  EXPECT_EQ(place("edge").observes(), looks);
}

TEST_F(Policies, AShapeSaysWhenThereAreTooManyRulesToCompare) {
  begin();
  auto many = [&](const char* ttl, const char* revision) {
    std::string rules;
    for (int i = 0; i < 2500; ++i)
      rules += "  r" + std::to_string(i) + ": {who: [admins], to: [ssh], ttl: " + ttl + "}\n";
    return load(policy_text(one_target("edge"), rules), revision);
  };
  ASSERT_TRUE(
      loop_->adopt("test", {PolicyRevision("r2"), clock_.now(), "", "", {}}, many("1h", "r2")));
  auto plan = loop_->plan_shape(*many("2h", "r3"));
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->edits.size(), 2500u);
  EXPECT_TRUE(plan->figures.empty());
  ASSERT_EQ(plan->findings.size(), 1u);
  EXPECT_EQ(plan->findings[0].id, "plan.too-many-rules");
}

}  // namespace
}  // namespace knock::test
