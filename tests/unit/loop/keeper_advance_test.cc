// SPDX-License-Identifier: Apache-2.0
// When something newer comes into force, and going back.
#include <algorithm>

#include "base/log.h"
#include "reconciler/loop/policy_keeper.h"
#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

/// One line of history; the newest is last.
class History final : public PolicySource {
 public:
  Result<PolicyRevision> poll(Deadline) override {
    if (away) return fail(ErrorKind::unavailable, "nobody answers");
    if (rewritten) return fail(ErrorKind::conflict, "git.rewritten: force-push?");
    return PolicyRevision(revisions.back().first);
  }
  Result<PolicySnapshot> read(const PolicyRevision& wanted) override {
    ++reads;
    if (wanted.value == unsigned_one)
      return fail(Error{ErrorKind::unauthorized, "commit.unsigned: it", {"by Ana"}, std::nullopt});
    auto found = at(wanted.value);
    if (found == revisions.end()) return fail(ErrorKind::not_found, "no such commit");
    return PolicySnapshot{wanted, "ana", "subject", {}, {{"main.yaml", found->second, ""}}};
  }
  void in_force(const PolicyRevision& revision) override { told = revision.value; }
  Result<PolicyRevision> find(const std::string& name) override {
    if (at(name) == revisions.end()) return fail(ErrorKind::not_found, "no such commit");
    return PolicyRevision(name);
  }
  Result<bool> precedes(const PolicyRevision& older, const PolicyRevision& newer) override {
    return at(older.value) <= at(newer.value);
  }
  Result<PolicyRevision> start_anew() override {
    rewritten = false;
    return PolicyRevision(revisions.back().first);
  }
  std::string describe() const override { return "test source"; }

  std::vector<std::pair<std::string, std::string>>::iterator at(const std::string& name) {
    return std::find_if(revisions.begin(), revisions.end(),
                        [&](const auto& one) { return one.first == name; });
  }

  std::vector<std::pair<std::string, std::string>> revisions;
  std::string told, unsigned_one;
  bool away = false, rewritten = false;
  int reads = 0;
};

class Utc final : public ZoneSource {
 public:
  Result<std::shared_ptr<const Zone>> zone(const std::string& name) const override {
    if (name != "UTC") return fail(ErrorKind::not_found, "no such zone");
    return std::make_shared<const Zone>(Zone{"UTC", {{Instant{}, 0}}});
  }
  std::vector<std::string> names() const override { return {"UTC"}; }
};

class KeeperAdvance : public World {
 protected:
  ~KeeperAdvance() override { keeper_.reset(); }
  void open(Advance advance = {}) {
    advance_ = advance;
    if (source_.revisions.empty()) source_.revisions = {{"r1", policy_text(one_target("edge"))}};
    start();
    PolicyContext context;
    context.sign_ins_known = true;
    context.sign_ins = {SignInName("local")};
    context.zones = std::make_shared<Utc>();
    keeper_ = std::make_unique<PolicyKeeper>(source_, context, *store_, *loop_, clock_, Duration{5},
                                             advance);
  }
  void restart() {
    keeper_.reset();
    stop();
    open_store();
    open(advance_);
    ASSERT_TRUE(keeper_->restore());
  }
  void push(const std::string& revision, const std::string& more = "") {
    source_.revisions.emplace_back(revision, policy_text(one_target("edge"), more));
  }
  Result<Advanced> advance(AdvanceRequest request = {}) {
    Diagnostics problems;
    return keeper_->advance("cli uid=0", request, problems);
  }
  std::string in_force() const {
    auto policy = loop_->policy();
    return policy == nullptr ? "" : policy->revision.value;
  }
  std::string waiting() const {
    auto waiting = keeper_->status().waiting;
    return waiting ? waiting->revision.value : "";
  }

  Advance advance_;
  History source_;
  std::unique_ptr<PolicyKeeper> keeper_;
};

const Advance kManual{Advance::Mode::manual, {}};

TEST_F(KeeperAdvance, ManualWaitsForSomebodysWord) {
  open(kManual);
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(in_force(), "") << "the first one too";
  EXPECT_EQ(waiting(), "r1");
  ASSERT_TRUE(advance());
  EXPECT_EQ(in_force(), "r1");
  EXPECT_EQ(waiting(), "");
  push("r2");
  ASSERT_TRUE(keeper_->look("core"));
  auto since = keeper_->status().waiting->since;
  pass_time(Duration::minutes(5));
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(in_force(), "r1");
  EXPECT_EQ(keeper_->status().waiting->since, since);
  EXPECT_NE(keeper_->status().waiting->needs.find("knock advance"), std::string::npos);
  EXPECT_EQ(keeper_->status().problem, "");
  auto done = advance({"", false, false, "reviewed on Friday"});
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(done->previous.value, "r1");
  EXPECT_EQ(done->how, "newest");
  EXPECT_EQ(in_force(), "r2");
  auto facts = facts_of<PolicyAdvanced>();
  ASSERT_EQ(facts.size(), 2u);
  EXPECT_EQ(facts[1].revision.value, "r2");
  EXPECT_EQ(facts[1].reason, "reviewed on Friday");
  EXPECT_EQ(facts_of<PolicyAdopted>().size(), 2u);
}

TEST_F(KeeperAdvance, DriftIsHealedWhileSomethingNewerWaits) {
  open(kManual);
  ASSERT_TRUE(advance());
  ASSERT_TRUE(settled());
  sign_in(kAna);
  ASSERT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  source_.revisions.emplace_back("r2", "knock: 1\n");
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(waiting(), "r2");
  sign_in("203.0.113.9");
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.9/32")) << "at the last approved commit";
}

TEST_F(KeeperAdvance, AWindowOpensByItself) {
  auto minute = std::uint16_t((clock_.now().seconds() / 60 + 120) % 1440);
  auto end = std::uint16_t((minute + 59) % 1440 + 1);
  open({Advance::Mode::window, {Window{0x7f, minute, end, "UTC"}}});
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(in_force(), "");
  EXPECT_NE(keeper_->status().waiting->needs.find("open again at"), std::string::npos)
      << keeper_->status().waiting->needs;
  pass_time(Duration::minutes(119));
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(in_force(), "");
  pass_time(Duration::minutes(2));
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(in_force(), "r1");
  EXPECT_EQ(waiting(), "");
  pass_time(Duration::minutes(61));
  push("r2");
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(in_force(), "r1");
  ASSERT_TRUE(advance());
  EXPECT_EQ(in_force(), "r2") << "who says so need not wait";
}

TEST_F(KeeperAdvance, AWindowInAnUnknownZoneIsNeverOpen) {
  open({Advance::Mode::window, {{0x7f, 0, 1440, "Europe/Atlantis"}}});
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(in_force(), "");
}

TEST_F(KeeperAdvance, GoingBackHoldsUntilSomebodySaysOtherwise) {
  open();
  ASSERT_TRUE(keeper_->look("core"));
  push("r2");
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(in_force(), "r2");
  auto back = advance({"r1", false, false, "locked out"});
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(back->how, "back");
  EXPECT_TRUE(back->held);
  EXPECT_EQ(in_force(), "r1");
  EXPECT_EQ(waiting(), "r2");
  EXPECT_EQ(keeper_->status().hold->by, "cli uid=0");
  push("r3");
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(in_force(), "r1") << "r3 most likely holds what r2 broke";
  EXPECT_EQ(waiting(), "r3");
  restart();
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(in_force(), "r1") << "over a restart too";
  EXPECT_EQ(keeper_->status().hold->reason, "locked out");
  EXPECT_EQ(source_.told, "r1");
  ASSERT_TRUE(advance({"", true, false, ""}));
  EXPECT_EQ(in_force(), "r3");
  EXPECT_FALSE(keeper_->status().hold);
  restart();
  EXPECT_FALSE(keeper_->status().hold);
  push("r4");
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(in_force(), "r4");
}

TEST_F(KeeperAdvance, TheNewestEndsAHold) {
  open();
  ASSERT_TRUE(keeper_->look("core"));
  push("r2");
  ASSERT_TRUE(keeper_->look("core"));
  ASSERT_TRUE(advance({"r1", false, false, ""}));
  auto newest = advance({"r2", false, false, ""});
  ASSERT_TRUE(newest);
  EXPECT_FALSE(newest->held);
  EXPECT_EQ(in_force(), "r2");
  push("r3");
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(in_force(), "r3");
}

TEST_F(KeeperAdvance, ResumeUnderManualWaits) {
  open(kManual);
  ASSERT_TRUE(advance());
  push("r2");
  ASSERT_TRUE(advance());
  ASSERT_TRUE(advance({"r1", false, false, ""}));
  ASSERT_TRUE(advance({"", true, false, ""}));
  EXPECT_EQ(in_force(), "r1");
  EXPECT_EQ(waiting(), "r2");
  EXPECT_FALSE(keeper_->status().hold);
}

TEST_F(KeeperAdvance, NothingElsePutsSomethingInForceWhileItIsHeld) {
  open();
  ASSERT_TRUE(keeper_->look("core"));
  push("r2");
  ASSERT_TRUE(keeper_->look("core"));
  ASSERT_TRUE(advance({"r1", false, false, ""}));
  Diagnostics problems;
  auto applied = keeper_->with_newest(
      problems, [&](const SoundSnapshot& newest) { return keeper_->put_in_force("ci", newest); });
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().kind, ErrorKind::conflict);
  EXPECT_NE(applied.error().text().find("held at r1"), std::string::npos);
  EXPECT_EQ(in_force(), "r1");
}

TEST_F(KeeperAdvance, TheOneInForceCanBeHeld) {
  open();
  ASSERT_TRUE(keeper_->look("core"));
  push("r2");
  auto held = advance({"r1", false, false, ""});
  ASSERT_TRUE(held);
  EXPECT_EQ(held->how, "hold");
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(in_force(), "r1");
  EXPECT_EQ(facts_of<PolicyAdopted>().size(), 1u);
}

/// At three in the morning the Git server may be what is broken.
TEST_F(KeeperAdvance, GoingBackWorksWithoutTheSource) {
  open();
  ASSERT_TRUE(keeper_->look("core"));
  push("r2");
  ASSERT_TRUE(keeper_->look("core"));
  source_.away = true;
  EXPECT_FALSE(advance()) << "the newest is not known";
  auto back = advance({"r1", false, false, ""});
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(in_force(), "r1");
  EXPECT_FALSE(advance({"r9", false, false, ""}));
}

TEST_F(KeeperAdvance, WhatHasExpiredStaysExpired) {
  open();
  ASSERT_TRUE(keeper_->look("core"));
  ASSERT_TRUE(settled());
  sign_in(kAna);
  ASSERT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  source_.revisions.emplace_back("r2", "knock: 1\n");
  pass_time(Duration::hours(24));
  ASSERT_TRUE(keeper_->look("core"));
  ASSERT_TRUE(advance({"r1", false, false, ""}));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", "203.0.113.7/32"));
}

TEST_F(KeeperAdvance, WhatWasInForceIsPutBackAlthoughItsTestsFailByNow) {
  source_.revisions = {
      {"r1", policy_text(one_target("edge"),
                         "static:\n  probe: {cidr: [203.0.113.9/32], to: [ssh], owner: ops, "
                         "reason: probe, until: 2027-01-31}\n"
                         "tests:\n  - {as: {ip: 203.0.113.9}, can: [ssh]}\n")}};
  open();
  ASSERT_TRUE(keeper_->look("core"));
  push("r2");
  ASSERT_TRUE(keeper_->look("core"));
  pass_time(Duration::hours(24 * 365));
  auto back = advance({"r1", false, false, ""});
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(in_force(), "r1");
  ASSERT_EQ(back->remarks.size(), 1u);
  EXPECT_EQ(back->remarks[0].id, "policy.test-failed");
}

TEST_F(KeeperAdvance, WhatWasNeverInForceMustBeSound) {
  open(kManual);
  source_.revisions = {{"r0", policy_text(one_target("edge"),
                                          "tests:\n  - {as: {groups: [admins]}, cannot: [ssh]}\n")},
                       {"r1", policy_text(one_target("edge"))}};
  ASSERT_TRUE(advance());
  Diagnostics problems;
  auto back = keeper_->advance("cli uid=0", {"r0", false, false, ""}, problems);
  ASSERT_FALSE(back);
  EXPECT_EQ(problems.size(), 1u);
  EXPECT_EQ(in_force(), "r1");
  EXPECT_EQ(facts_of<PolicyAdvanced>().size(), 1u) << "nothing was done, nothing is recorded";
}

TEST_F(KeeperAdvance, WhatCannotBeReadIsRecordedOnceAndWithoutNames) {
  open();
  ASSERT_TRUE(keeper_->look("core"));
  push("r2");
  source_.unsigned_one = "r2";
  int reads = source_.reads;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(keeper_->look("core"));
  EXPECT_EQ(source_.reads, reads + 3) << "what was wrong may lie beside the commit";
  EXPECT_EQ(keeper_->status().problem, "by Ana: commit.unsigned: it");
  EXPECT_TRUE(keeper_->status().problem_since);
  auto refused = facts_of<PolicyRefused>();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].why, "commit.unsigned: it");
  EXPECT_FALSE(advance()) << "nor by somebody's word";
  EXPECT_EQ(in_force(), "r1");
  source_.unsigned_one.clear();
  ASSERT_TRUE(keeper_->look("core"));
  EXPECT_EQ(in_force(), "r2");
  EXPECT_FALSE(keeper_->status().problem_since);
}

TEST_F(KeeperAdvance, AReplacedHistoryNeedsSomebodysWord) {
  open();
  ASSERT_TRUE(keeper_->look("core"));
  auto needless = advance({"", false, true, ""});
  ASSERT_FALSE(needless);
  EXPECT_NE(needless.error().text().find("nothing was replaced"), std::string::npos);
  push("r2");
  source_.rewritten = true;
  EXPECT_FALSE(keeper_->look("core"));
  EXPECT_FALSE(advance());
  EXPECT_EQ(in_force(), "r1");
  auto done = advance({"", false, true, "moved to another server"});
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(done->how, "history-replaced");
  EXPECT_EQ(in_force(), "r2");
}

}  // namespace
}  // namespace knock::test
