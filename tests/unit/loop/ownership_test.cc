// SPDX-License-Identifier: Apache-2.0
// Whose a target is: what policy says, what people say, and another installation.
#include <algorithm>

#include "base/log.h"
#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

constexpr const char* kOfAna = "203.0.113.7/32";
constexpr const char* kHand = "198.51.100.9/32";
const TargetName kEdge("edge");

std::string edge(const std::string& more) {
  return "  edge: {type: nftables, table: edge, " + more + "}\n";
}
const std::string kProbes =
    "static:\n  probes: {cidr: [192.0.2.77/32], to: [ssh], owner: sre, reason: probes, until: "
    "2029-01-31}\n";
constexpr const char* kProbe = "192.0.2.77/32";

class Owned : public World {
 protected:
  void begin_with(const std::string& more, const std::string& rules = {}) {
    start();
    adopt(policy_text(edge(more), rules), "r1");
  }
  void by_hand(const char* prefix, ObservedItem::Mark mark = ObservedItem::Mark::none) {
    place("edge").put_foreign("ssh", prefix, mark);
    place("edge").tell_moved();
    ASSERT_TRUE(settled());
  }
  void look() {
    loop_->refresh({});
    ASSERT_TRUE(settled());
  }
  bool told(const std::string& id) {
    auto findings = status("edge").findings;
    return std::any_of(findings.begin(), findings.end(),
                       [&](const Finding& finding) { return finding.id == id; });
  }
  Status say(OwnershipAct act) {
    auto plan = loop_->ownership_plan(kEdge, act);
    if (!plan) return fail(std::move(plan.error()));
    auto done = loop_->change_ownership("test", kEdge, act, to_hex(plan->id));
    if (done) EXPECT_EQ(loop_->wait_for_ownership(kEdge, Deadline::in(kPatience)), "");
    return done;
  }
  std::string said() const {
    std::string out;
    for (const auto& fact : facts_of<OwnershipChanged>()) out += fact.what + " ";
    return out;
  }
};

// ---- exclusive

TEST_F(Owned, AnExclusiveTargetWithNothingForeignIsOursAsAWhole) {
  place("edge").owned_as_a_whole();
  begin_with("ownership: exclusive");
  EXPECT_EQ(said(), "exclusive ");
  sign_in(kAna);
  by_hand(kHand);
  look();
  EXPECT_FALSE(place("edge").has_foreign("ssh", kHand)) << "added out of band";
  EXPECT_TRUE(place("edge").open("ssh", kOfAna));
  auto drift = facts_of<DriftFound>();
  ASSERT_FALSE(drift.empty());
  EXPECT_EQ(drift.back().what, "added out of band");
}

TEST_F(Owned, ForeignEntriesStayUntilSomebodyAdoptsTheWholeContainer) {
  begin();
  by_hand(kHand);
  adopt(policy_text(edge("ownership: exclusive")), "r2");
  EXPECT_TRUE(place("edge").has_foreign("ssh", kHand));
  EXPECT_TRUE(told("target.not-adopted"));
  EXPECT_EQ(said(), "");

  auto plan = loop_->ownership_plan(kEdge, OwnershipAct::exclusive);
  ASSERT_TRUE(plan) << plan.error().text();
  ASSERT_EQ(plan->entries.size(), 1u);
  EXPECT_EQ(plan->entries[0].fate, OwnershipEntry::Fate::goes);
  by_hand("198.51.100.10/32");
  auto other = loop_->change_ownership("test", kEdge, OwnershipAct::exclusive, to_hex(plan->id));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::conflict) << "a yes is a yes to what was shown";
  EXPECT_TRUE(place("edge").has_foreign("ssh", kHand));

  place("edge").owned_as_a_whole();
  ASSERT_TRUE(say(OwnershipAct::exclusive));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").has_foreign("ssh", kHand));
  EXPECT_FALSE(told("target.not-adopted"));
  EXPECT_EQ(said(), "exclusive ");
}

TEST_F(Owned, WhatWasAdoptedIsStillSoAfterARestartAndNotWhenPolicySaidSharedBetween) {
  place("edge").owned_as_a_whole();
  begin_with("ownership: exclusive");
  restart();
  loop_->resume(load(policy_text(edge("ownership: exclusive")), "r1"));
  ASSERT_TRUE(settled());
  by_hand(kHand);
  look();
  EXPECT_FALSE(place("edge").has_foreign("ssh", kHand));
  adopt(policy_text(edge("ownership: shared")), "r2");
  by_hand(kHand);
  adopt(policy_text(edge("ownership: exclusive")), "r3");
  EXPECT_TRUE(place("edge").has_foreign("ssh", kHand)) << "it came while others were welcome";
  EXPECT_EQ(said(), "exclusive shared ");
}

TEST_F(Owned, ATargetThatStandsElsewhereIsAnotherThing) {
  place("edge").owned_as_a_whole();
  begin_with("ownership: exclusive");
  adopt(policy_text(one_target("edge", "other")), "r2");
  place("other").put_foreign("ssh", kHand);
  adopt(policy_text("  edge: {type: nftables, table: other, ownership: exclusive}\n"), "r3");
  EXPECT_TRUE(place("other").has_foreign("ssh", kHand));
  EXPECT_TRUE(told("target.not-adopted"));
}

TEST_F(Owned, MarksOfTomorrowAreLeftAloneAndAlarmed) {
  place("edge").owned_as_a_whole();
  begin_with("ownership: exclusive");
  by_hand(kHand, ObservedItem::Mark::unknown);
  look();
  EXPECT_TRUE(place("edge").has_foreign("ssh", kHand));
  EXPECT_TRUE(told("target.unknown-mark"));
}

// ---- observe

TEST_F(Owned, AnObservedTargetIsNeverWritten) {
  begin_with("ownership: observe", kProbes);
  auto session = sign_in_result(kAna);
  ASSERT_TRUE(session);
  auto rows = loop_->wait_open(*session, Deadline::in(kPatience));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_FALSE(rows[0].open);
  EXPECT_TRUE(rows[0].observed_only) << "nobody waits for what will not open";
  EXPECT_NE(rows[0].problem.find("observed only"), std::string::npos) << rows[0].problem;
  look();
  end(*session);
  pass_time(Duration::hours(2));
  look();
  EXPECT_EQ(place("edge").applies(), 0);
  EXPECT_FALSE(place("edge").exists());
  EXPECT_TRUE(told("target.observed"));
  EXPECT_TRUE(facts_of<ChangeIntended>().empty());
}

TEST_F(Owned, WhatStoodBeforeATargetWasObservedEndsAtItsTime) {
  for (bool native : {true, false}) {
    SCOPED_TRACE(native);
    auto table = native ? "edge" : "slow";
    start();
    place(table).capabilities.native_expiry = native;
    adopt(policy_text(one_target("edge", table)), native ? "r1" : "r3");
    sign_in(kAna);
    auto applies = place(table).applies();
    adopt(policy_text(std::string("  edge: {type: nftables, table: ") + table +
                      ", ownership: observe}\n"),
          native ? "r2" : "r4");
    look();
    EXPECT_TRUE(place(table).open("ssh", kOfAna));
    EXPECT_TRUE(told("target.observed-own"));
    EXPECT_EQ(place(table).applies(), applies);
    pass_time(Duration::hours(2));
    EXPECT_TRUE(soon([&] { return place(table).entries() == 0; }));
    EXPECT_EQ(place(table).applies(), native ? applies : applies + 1);
  }
}

// ---- another installation

TEST_F(Owned, ATargetOfAnotherInstallationIsAlarmedAndLeftAlone) {
  begin();
  sign_in(kAna);
  auto applies = place("edge").applies();
  {
    auto lock = place("edge").lock();
    place("edge").other_owner = OwnerId{42};
  }
  place("edge").tell_moved();
  EXPECT_TRUE(soon([&] { return told("target.other-owner"); }));
  auto now = status("edge");
  EXPECT_FALSE(now.ready);
  EXPECT_NE(now.problem.find("000000000000002a"), std::string::npos) << now.problem;
  EXPECT_NE(now.problem.find("--take-over edge"), std::string::npos) << now.problem;
  ASSERT_TRUE(sign_in_result(kBen));
  pass_time(Duration::hours(2));
  loop_->refresh({});
  EXPECT_TRUE(soon([&] { return !status("edge").ready; }));
  EXPECT_EQ(place("edge").applies(), applies);
  EXPECT_FALSE(loop_->ownership_plan(kEdge, OwnershipAct::adopt));
  EXPECT_FALSE(loop_->ownership_plan(kEdge, OwnershipAct::release));
}

TEST_F(Owned, ATargetIsTakenOverByTheNameOfItsFormerOwner) {
  begin();
  sign_in(kAna);
  EXPECT_FALSE(loop_->ownership_plan(kEdge, OwnershipAct::take_over)) << "it is ours";
  {
    auto lock = place("edge").lock();
    place("edge").other_owner = OwnerId{42};
  }
  loop_->refresh({});
  EXPECT_TRUE(soon([&] { return told("target.other-owner"); }));
  auto plan = loop_->ownership_plan(kEdge, OwnershipAct::take_over);
  ASSERT_TRUE(plan) << plan.error().text();
  EXPECT_EQ(plan->former, OwnerId{42});
  ASSERT_EQ(plan->entries.size(), 1u);
  EXPECT_EQ(plan->entries[0].fate, OwnershipEntry::Fate::marked);
  {
    auto lock = place("edge").lock();
    place("edge").other_owner = OwnerId{43};
  }
  EXPECT_FALSE(loop_->change_ownership("test", kEdge, OwnershipAct::take_over, to_hex(plan->id)))
      << "it is a third one's by now";
  ASSERT_TRUE(say(OwnershipAct::take_over));
  EXPECT_TRUE(status("edge").ready) << status("edge").problem;
  EXPECT_FALSE(told("target.other-owner"));
  EXPECT_TRUE(place("edge").open("ssh", kOfAna));
  auto facts = facts_of<OwnershipChanged>();
  ASSERT_EQ(facts.size(), 1u);
  EXPECT_EQ(facts[0].former, OwnerId{43});
  sign_in(kBen);
}

TEST_F(Owned, ALeavingTargetOfAnotherInstallationIsForgotten) {
  begin();
  {
    auto lock = place("edge").lock();
    place("edge").other_owner = OwnerId{42};
  }
  adopt(policy_text(one_target("lab")), "r2");
  loop_->refresh({});
  EXPECT_TRUE(soon([&] { return loop_->targets().size() == 1; }));
}

// ---- adopt, release

TEST_F(Owned, AForeignEntryThatPolicyWantsIsAdoptedByWord) {
  begin();
  place("edge").owned_as_a_whole();
  by_hand(kOfAna);
  by_hand(kHand);
  auto session = sign_in_result(kAna);
  ASSERT_TRUE(session);
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", kOfAna));
  auto rows = loop_->where(*session);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_NE(rows[0].problem.find("not knock's"), std::string::npos) << rows[0].problem;
  ASSERT_TRUE(say(OwnershipAct::adopt));
  EXPECT_TRUE(place("edge").open("ssh", kOfAna)) << "with our mark, and our deadline";
  EXPECT_TRUE(place("edge").has_foreign("ssh", kHand));
  EXPECT_EQ(said(), "adopted ");
  end(*session);
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", kOfAna));
}

TEST_F(Owned, AReleaseKeepsStaticEntriesClosesSessionsAndStays) {
  begin_with("ownership: shared", kProbes);
  sign_in(kAna);
  auto plan = loop_->ownership_plan(kEdge, OwnershipAct::release);
  ASSERT_TRUE(plan) << plan.error().text();
  EXPECT_EQ(plan->count(OwnershipEntry::Fate::goes), 1u);
  EXPECT_EQ(plan->count(OwnershipEntry::Fate::stays), 1u);
  ASSERT_TRUE(say(OwnershipAct::release));
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 0u) << "nothing is ours any more";
  EXPECT_FALSE(place("edge").has_foreign("ssh", kOfAna)) << "no session became eternal";
  EXPECT_TRUE(place("edge").has_foreign("ssh", kProbe));
  auto applies = place("edge").applies();
  ASSERT_TRUE(sign_in_result(kBen));
  restart();
  loop_->resume(load(policy_text(edge("ownership: shared"), kProbes), "r1"));
  ASSERT_TRUE(settled());
  ASSERT_TRUE(sign_in_result("203.0.113.9"));
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").applies(), applies);
  EXPECT_TRUE(told("target.observed"));

  place("edge").owned_as_a_whole();
  ASSERT_TRUE(say(OwnershipAct::adopt));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(place("edge").open("ssh", kProbe));
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.9/32"));
  EXPECT_EQ(said(), "released adopted ");
}

TEST_F(Owned, NothingIsSaidOfATargetThatIsNotThere) {
  begin();
  auto plan = loop_->ownership_plan(TargetName("egde"), OwnershipAct::adopt);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().kind, ErrorKind::not_found);
  EXPECT_NE(plan.error().text().find("edge"), std::string::npos);
  plan = loop_->ownership_plan(kEdge, OwnershipAct::exclusive);
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().text().find("ownership: exclusive"), std::string::npos);
}

TEST_F(Owned, WithoutALogNothingIsAdopted) {
  begin();
  by_hand(kHand);
  adopt(policy_text(edge("ownership: exclusive")), "r2");
  place("edge").owned_as_a_whole();
  auto plan = loop_->ownership_plan(kEdge, OwnershipAct::exclusive);
  ASSERT_TRUE(plan);
  store_->mode = BrittleStore::Mode::locked;
  EXPECT_FALSE(loop_->change_ownership("test", kEdge, OwnershipAct::exclusive, to_hex(plan->id)));
  store_->mode = BrittleStore::Mode::good;
  look();
  EXPECT_TRUE(place("edge").has_foreign("ssh", kHand));
}

// ---- on_remove

TEST_F(Owned, AnOrphanedTargetIsForgottenAndItsEntriesEndByThemselves) {
  begin_with("on_remove: orphan", kProbes);
  sign_in(kAna);
  auto applies = place("edge").applies();
  adopt(policy_text(one_target("lab")), "r2");
  EXPECT_TRUE(soon([&] { return loop_->targets().size() == 1; }));
  EXPECT_EQ(place("edge").applies(), applies);
  EXPECT_TRUE(place("edge").open("ssh", kOfAna));
  EXPECT_TRUE(place("edge").open("ssh", kProbe));
  pass_time(Duration::hours(2));
  EXPECT_FALSE(place("edge").open("ssh", kOfAna)) << "the target closed it";
}

TEST_F(Owned, OfATargetThatClosesNothingByItselfOnlyStaticEntriesAreLeft) {
  place("edge").capabilities.native_expiry = false;
  begin_with("on_remove: orphan", kProbes);
  sign_in(kAna);
  adopt(policy_text(one_target("lab")), "r2");
  EXPECT_TRUE(soon([&] { return loop_->targets().size() == 1; }));
  EXPECT_FALSE(place("edge").open("ssh", kOfAna));
  EXPECT_TRUE(place("edge").open("ssh", kProbe));
}

TEST_F(Owned, ATargetThatMovesIsDrainedWhateverItsEndWouldBe) {
  begin_with("on_remove: orphan");
  sign_in(kAna);
  adopt(policy_text("  edge: {type: nftables, table: other, on_remove: orphan}\n"), "r2");
  EXPECT_TRUE(soon([&] { return status("edge (former place)").held == 1; })) << "it is asked for";
  auto plan = loop_->plan(*loop_->policy());
  ASSERT_TRUE(plan);
  ASSERT_TRUE(loop_->acknowledge("test", to_hex(plan->id)));
  EXPECT_TRUE(soon([&] { return loop_->targets().size() == 1; }));
  EXPECT_FALSE(place("edge").open("ssh", kOfAna));
  EXPECT_TRUE(place("other").open("ssh", kOfAna));
}

}  // namespace
}  // namespace knock::test
