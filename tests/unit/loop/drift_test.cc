// SPDX-License-Identifier: Apache-2.0
// Somebody else changes the target.
#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

class Drift : public World {
 protected:
  void by_hand(const std::string& prefix) {
    place("edge").take_away("ssh", prefix);
    place("edge").tell_moved();
    ASSERT_TRUE(settled());
  }
};

TEST_F(Drift, IsHealedOnceAndASecondRemovalMeansNo) {
  begin();
  auto session = sign_in(kAna);
  by_hand("203.0.113.7/32");
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  EXPECT_TRUE(status("edge").drifted);
  by_hand("203.0.113.7/32");
  EXPECT_FALSE(place("edge").open("ssh", "203.0.113.7/32"));
  loop_->refresh({});
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", "203.0.113.7/32"));
  auto rows = loop_->where(session);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_FALSE(rows.front().open) << "it is closed, whatever the records say";
  EXPECT_FALSE(rows.front().problem.empty());
  sign_in(kAna, Duration::hours(2), "ben");
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
}

TEST_F(Drift, TheSecondRemovalIsStillRememberedAfterARestart) {
  begin();
  sign_in(kAna);
  by_hand("203.0.113.7/32");
  restart();
  loop_->resume(load(policy_text(one_target("edge")), "r1"));
  ASSERT_TRUE(settled());
  by_hand("203.0.113.7/32");
  EXPECT_FALSE(place("edge").open("ssh", "203.0.113.7/32"));
}

TEST_F(Drift, ARefusalIsRecordedOnce) {
  begin();
  sign_in(kAna);
  by_hand("203.0.113.7/32");
  by_hand("203.0.113.7/32");
  auto once = facts_of<DriftFound>().size();
  for (int i = 0; i < 5; ++i) {
    loop_->refresh({});
    ASSERT_TRUE(settled());
  }
  EXPECT_EQ(facts_of<DriftFound>().size(), once);
}

TEST_F(Drift, ForeignEntriesAreLeftAloneAndCounted) {
  begin();
  auto session = sign_in(kAna);
  place("edge").put_foreign("ssh", "198.51.100.0/24");
  place("edge").put_foreign("ssh", "203.0.113.9/32");
  place("edge").tell_moved();
  ASSERT_TRUE(settled());
  EXPECT_EQ(status("edge").foreign, 2u);
  EXPECT_EQ(status("edge").owned, 1u);
  end(session);
  ASSERT_TRUE(settled());
  EXPECT_TRUE(place("edge").has_foreign("ssh", "198.51.100.0/24"));
  EXPECT_TRUE(place("edge").has_foreign("ssh", "203.0.113.9/32"));
  EXPECT_EQ(status("edge").owned, 0u);
}

TEST_F(Drift, ASignInWhereTheFenceMovedReadsFirst) {
  begin();
  {
    auto lock = place("edge").lock();
    place("edge").edits_before_apply = 1;
  }
  int reads = place("edge").observes();
  sign_in(kAna);
  EXPECT_EQ(place("edge").observes(), reads + 1);
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
}

TEST_F(Drift, ConflictTwiceIsReadAgainAtOnceAndThriceLater) {
  begin();
  {
    auto lock = place("edge").lock();
    place("edge").edits_before_apply = 3;
  }
  sign_in(kAna);
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(status("edge").ready);
}

// Its own changes are news to a provider that cannot tell whose they are.
TEST_F(Drift, NewsOfOurOwnChangeEndsInAQuietTarget) {
  begin();
  place("edge").applying.close();
  auto session = sign_in_result(kAna);
  ASSERT_TRUE(place("edge").applying.wait_for_caller());
  place("edge").tell_moved();
  place("edge").applying.open();
  ASSERT_TRUE(settled());
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  EXPECT_TRUE(status("edge").synced);
  EXPECT_FALSE(status("edge").drifted);
}

TEST_F(Drift, IsFoundByThePeriodicReading) {
  settings_.full_read_every = Duration{40};
  begin();
  sign_in(kAna);
  place("edge").take_away("ssh", "203.0.113.7/32");
  EXPECT_TRUE(soon([&] { return place("edge").open("ssh", "203.0.113.7/32"); }));
}

// A target that cannot say what its fence is after a change must be read again before the next one,
// and now and then in any case.
TEST_F(Drift, IsFoundByThePeriodicReadingOfATargetWithoutAFence) {
  settings_.full_read_every = Duration{40};
  place("edge").knows_fence = false;
  begin();
  sign_in(kAna);
  ASSERT_TRUE(settled());
  place("edge").take_away("ssh", "203.0.113.7/32");
  EXPECT_TRUE(soon([&] { return place("edge").open("ssh", "203.0.113.7/32"); }));
}

/// Without `keep`: `protect` waits for a yes, once.
class OpenPorts : public Drift {
 protected:
  void SetUp() override { settings_.keep.clear(); }
  void say_yes() {
    auto plan = loop_->plan(*loop_->policy());
    ASSERT_TRUE(plan) << plan.error().text();
    ASSERT_TRUE(loop_->acknowledge("test", to_hex(plan->id)));
    ASSERT_TRUE(settled());
  }
  void begin_protected() {
    begin();
    ASSERT_FALSE(closed()) << "nobody said yes";
    say_yes();
    ASSERT_TRUE(closed());
  }
  bool closed(const char* table = "edge") {
    return !place(table).structure().protect.empty() && place(table).exists();
  }
  void open_by_hand(bool everything = false) {
    place("edge").unprotect(everything);
    ASSERT_FALSE(closed());
    place("edge").tell_moved();
    ASSERT_TRUE(settled());
  }
  std::size_t asked() { return facts_of<GuardAcknowledged>().size(); }
};

TEST_F(OpenPorts, AreClosedAgainWithoutAsking) {
  begin_protected();
  auto before = place("edge").changes().size();
  open_by_hand();
  EXPECT_TRUE(closed());
  EXPECT_EQ(status("edge").held, 0u);
  EXPECT_EQ(place("edge").changes().at(before).reason, Reason::drift);
  EXPECT_FALSE(facts_of<DriftFound>().empty());
  EXPECT_EQ(asked(), 1u);
}

TEST_F(OpenPorts, WithEverythingElseGoneToo) {
  begin_protected();
  sign_in(kAna);
  open_by_hand(true);
  EXPECT_TRUE(closed());
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
}

TEST_F(OpenPorts, AfterARestart) {
  begin_protected();
  stop();
  place("edge").unprotect();
  restart();
  loop_->resume(load(policy_text(one_target("edge")), "r1"));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(closed());
  EXPECT_EQ(asked(), 1u);
}

TEST_F(OpenPorts, AfterARestartThatAdoptsTheSamePolicy) {
  begin_protected();
  stop();
  place("edge").unprotect();
  restart();
  adopt(policy_text(one_target("edge")), "r1");
  EXPECT_TRUE(closed());
}

TEST_F(OpenPorts, InThePlanToo) {
  begin_protected();
  place("edge").unprotect();
  auto plan = loop_->plan(*loop_->policy());
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->targets.size(), 1u);
  EXPECT_TRUE(plan->targets[0].held.empty());
  ASSERT_EQ(plan->targets[0].changes.size(), 1u);
  EXPECT_EQ(plan->targets[0].changes[0].reason, Reason::drift);
}

TEST_F(OpenPorts, ThatNobodySaidYesToStillWait) {
  begin();
  for (int i = 0; i < 2; ++i) {
    loop_->refresh({});
    ASSERT_TRUE(settled());
    EXPECT_FALSE(closed());
    EXPECT_EQ(status("edge").held, 1u);
  }
  restart();
  loop_->resume(load(policy_text(one_target("edge")), "r1"));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(closed());
  EXPECT_EQ(status("edge").held, 1u);
}

TEST_F(OpenPorts, WhoseProtectionPolicyTookAwayAreANewThing) {
  begin_protected();
  adopt(policy_text("  edge: {type: nftables, table: edge, protect: false}\n"), "r2");
  say_yes();
  ASSERT_FALSE(closed());
  adopt(policy_text(one_target("edge")), "r3");
  EXPECT_FALSE(closed());
  EXPECT_EQ(status("edge").held, 1u);
}

TEST_F(OpenPorts, AtAnotherPlaceAreANewThing) {
  begin_protected();
  adopt(policy_text(one_target("edge", "elsewhere")), "r2");
  EXPECT_FALSE(closed("elsewhere"));
  restart();
  loop_->resume(load(policy_text(one_target("edge", "elsewhere")), "r2"));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(closed("elsewhere")) << "the log tells of the former place";
  EXPECT_EQ(status("edge").held, 1u);
}

TEST_F(OpenPorts, OfANameThatComesBackAreANewThing) {
  begin_protected();
  adopt(policy_text(one_target("other")), "r2");
  ASSERT_TRUE(soon([&] { return status("edge").name.empty(); })) << "drained and forgotten";
  adopt(policy_text(one_target("edge", "elsewhere")), "r3");
  EXPECT_FALSE(closed("elsewhere"));
  restart();
  loop_->resume(load(policy_text(one_target("edge", "elsewhere")), "r3"));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(closed("elsewhere"));
}

TEST_F(OpenPorts, WhoseProtectionWasNeverAnsweredAreKnownAllTheSame) {
  begin();
  {
    auto lock = place("edge").lock();
    place("edge").apply_faults.push_back({ErrorKind::timeout, true, {}});
  }
  say_yes();
  ASSERT_TRUE(closed());
  ASSERT_TRUE(soon([&] { return status("edge").ready; })) << "a reading answered it";
  open_by_hand();
  EXPECT_TRUE(closed());
  EXPECT_EQ(asked(), 1u);
}

}  // namespace
}  // namespace knock::test
