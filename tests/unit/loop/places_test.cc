// SPDX-License-Identifier: Apache-2.0
// Targets leave the policy, or stand somewhere else from now on.
#include <algorithm>

#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

class Places : public World {
 protected:
  std::string plan_id() {
    auto plan = loop_->plan(*loop_->policy());
    EXPECT_TRUE(plan) << plan.error().text();
    return plan ? to_hex(plan->id) : "";
  }
  bool known(const std::string& name) { return !status(name).name.empty(); }
};

TEST_F(Places, ATargetThatLeavesIsDrainedWhenAcknowledgedAndForgotten) {
  start();
  adopt(policy_text(one_target("edge") + one_target("inner")), "r1");
  sign_in(kAna);
  adopt(policy_text(one_target("edge")), "r2");
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  ASSERT_TRUE(known("inner"));
  EXPECT_EQ(status("inner").held, 1u) << "emptying a target by policy asks first";
  ASSERT_TRUE(loop_->acknowledge("test", plan_id()));
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("inner").entries(), 0u);
  EXPECT_FALSE(place("inner").structure().protect.empty()) << "its ports stay protected";
  EXPECT_FALSE(known("inner"));
  EXPECT_TRUE(soon([&] { return place("inner").providers() == 0; }));
}

TEST_F(Places, SignOutClosesOnATargetThatIsLeaving) {
  start();
  adopt(policy_text(one_target("edge") + one_target("inner")), "r1");
  auto session = sign_in(kAna);
  adopt(policy_text(one_target("edge")), "r2");
  end(session);
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("inner").entries(), 0u);
  EXPECT_FALSE(known("inner"));
}

TEST_F(Places, ATargetThatLeavesAndComesBackGoesOn) {
  start();
  adopt(policy_text(one_target("edge") + one_target("inner")), "r1");
  sign_in(kAna);
  adopt(policy_text(one_target("edge")), "r2");
  adopt(policy_text(one_target("edge") + one_target("inner")), "r3");
  EXPECT_EQ(place("inner").entries(), 1u);
  EXPECT_EQ(status("inner").held, 0u);
  sign_in(kBen, Duration::hours(1), "ben");
  EXPECT_EQ(place("inner").entries(), 2u);
}

// Who may only propose must not have a role started in a place of their choice.
TEST_F(Places, AProposedTargetIsNotRead) {
  using New = Reconciler::NewTargets;
  start();
  adopt(policy_text(one_target("edge")), "r1");
  sign_in(kAna);
  auto candidate = load(policy_text(one_target("edge") + one_target("inner")), "r2");
  auto not_read = loop_->plan(*candidate, {}, New::not_read);
  ASSERT_TRUE(not_read) << not_read.error().text();
  EXPECT_EQ(place("inner").observes(), 0);
  auto told = [](const Plan& plan) {
    return std::ranges::any_of(plan.findings, [](const Finding& finding) {
      return finding.id == "target.not-read" && finding.target == TargetName("inner");
    });
  };
  EXPECT_TRUE(told(*not_read));
  auto inner = std::ranges::find(not_read->targets, TargetName("inner"), &TargetPlan::target);
  ASSERT_NE(inner, not_read->targets.end());
  EXPECT_FALSE(inner->changes.empty() && inner->held.empty()) << "planned as if it held nothing";
  // The same name in another place is another target.
  auto moved = load(policy_text(one_target("edge", "inner")), "r3");
  auto elsewhere = loop_->plan(*moved, {}, New::not_read);
  ASSERT_TRUE(elsewhere) << elsewhere.error().text();
  EXPECT_EQ(place("inner").observes(), 0);
  auto read = loop_->plan(*candidate);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(place("inner").observes(), 1);
  EXPECT_FALSE(told(*read));
}

// A target that never worked, and where the records know of nothing, is not tried for ever.
TEST_F(Places, ATargetThatNeverWorkedLeavesAtOnce) {
  {
    std::lock_guard lock(places_mutex_);
    unreachable_.insert("inner");
  }
  start();
  adopt(policy_text(one_target("edge") + one_target("inner")), "r1");
  adopt(policy_text(one_target("edge")), "r2");
  EXPECT_TRUE(soon([&] { return !known("inner"); }));
}

// A channel's thread may be telling news in the very moment in which its provider is destroyed.
TEST_F(Places, AProviderThatSpeaksWhileItDiesStopsNothing) {
  place("inner").moves_when_destroyed = true;
  place("edge").moves_when_destroyed = true;
  start();
  adopt(policy_text(one_target("edge") + one_target("inner")), "r1");
  adopt(policy_text(one_target("edge")), "r2");
  EXPECT_TRUE(soon([&] { return place("inner").providers() == 0; }));
  sign_in(kAna);
  stop();
}

TEST_F(Places, SettingsOfATargetChangeItsPlace) {
  begin();
  auto session = sign_in(kAna);
  adopt(policy_text(one_target("edge", "elsewhere")), "r2");
  EXPECT_TRUE(place("elsewhere").open("ssh", "203.0.113.7/32"));
  EXPECT_FALSE(place("elsewhere").structure().protect.empty());
  // What stands at the former place is shown, and goes after a yes.
  ASSERT_TRUE(known("edge (former place)"));
  EXPECT_EQ(status("edge (former place)").held, 1u);
  ASSERT_TRUE(loop_->acknowledge("test", plan_id()));
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 0u);
  EXPECT_FALSE(known("edge (former place)"));
  EXPECT_TRUE(soon([&] { return place("edge").providers() == 0; }));
  for (const auto& row : loop_->where(session)) EXPECT_TRUE(row.open);
  end(session);
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("elsewhere").entries(), 0u);
  for (const auto& drift : facts_of<DriftFound>())
    ADD_FAILURE() << drift.target.value << " " << drift.slot << " " << drift.what;
}

TEST_F(Places, SignOutClosesAtTheFormerPlaceToo) {
  begin();
  auto session = sign_in(kAna);
  adopt(policy_text(one_target("edge", "elsewhere")), "r2");
  end(session);
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 0u);
  EXPECT_EQ(place("elsewhere").entries(), 0u);
}

TEST_F(Places, OtherHooksAreTheSamePlaceWithAnotherProvider) {
  begin();
  sign_in(kAna);
  adopt(policy_text("  edge: {type: nftables, table: edge, hooks: [input]}\n"), "r2");
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  EXPECT_EQ(place("edge").providers(), 1);
  EXPECT_EQ(place("edge").made(), 2);
  EXPECT_FALSE(known("edge (former place)"));
}

TEST_F(Places, ChangedWhileARunIsBusy) {
  begin();
  sign_in(kAna);
  place("edge").observing.close();
  loop_->refresh({});
  ASSERT_TRUE(place("edge").observing.wait_for_caller());
  ASSERT_TRUE(adopt_only(policy_text(one_target("edge", "elsewhere")), "r2"));
  ASSERT_TRUE(adopt_only(policy_text(one_target("edge", "third")), "r3"));
  place("edge").observing.open();
  ASSERT_TRUE(settled());
  EXPECT_TRUE(place("third").open("ssh", "203.0.113.7/32"));
  EXPECT_FALSE(place("elsewhere").open("ssh", "203.0.113.7/32"));
}

}  // namespace
}  // namespace knock::test
