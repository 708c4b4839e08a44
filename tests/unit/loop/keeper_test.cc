// SPDX-License-Identifier: Apache-2.0
// The policy's source: away, unsound, back again.
#include <algorithm>

#include "base/log.h"
#include "reconciler/loop/policy_keeper.h"
#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

class Source final : public PolicySource {
 public:
  Result<PolicyRevision> poll(Deadline) override {
    std::lock_guard lock(mutex);
    ++polls;
    if (away) return fail(ErrorKind::unavailable, "nobody answers");
    return PolicyRevision(revision);
  }
  Result<PolicySnapshot> read(const PolicyRevision& wanted) override {
    std::lock_guard lock(mutex);
    ++reads;
    if (unreadable) return fail(ErrorKind::unavailable, "the files cannot be read");
    return PolicySnapshot{wanted, "ana", "subject", {}, {{"main.yaml", text, ""}}};
  }
  std::string describe() const override { return "test source"; }

  std::mutex mutex;
  std::string revision = "r1", text = policy_text(one_target("edge"));
  bool away = false, unreadable = false;
  int polls = 0, reads = 0;
};

class Lines final : public LogSink {
 public:
  Lines() { set_log_sink(this); }
  ~Lines() override { set_log_sink(nullptr); }
  void write(LogLevel, std::string_view id, std::string_view,
             const std::vector<LogField>&) override {
    std::lock_guard lock(mutex_);
    ids_.emplace_back(id);
  }
  long count(std::string_view id) {
    std::lock_guard lock(mutex_);
    return std::count(ids_.begin(), ids_.end(), id);
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> ids_;
};

class Keeper : public World {
 protected:
  ~Keeper() override { keeper_.reset(); }
  void open() {
    keeper_.reset();
    start();
    PolicyContext context;
    context.sign_ins_known = true;
    context.sign_ins = {SignInName("local")};
    keeper_ =
        std::make_unique<PolicyKeeper>(source_, context, *store_, *loop_, clock_, Duration{5});
  }
  Lines lines_;
  Source source_;
  std::unique_ptr<PolicyKeeper> keeper_;
};

TEST_F(Keeper, AdoptsWhatIsSoundAndSaysWhence) {
  open();
  ASSERT_TRUE(keeper_->restore());
  ASSERT_TRUE(keeper_->look("test"));
  EXPECT_EQ(keeper_->status().revision.value, "r1");
  EXPECT_EQ(keeper_->status().author, "ana");
  EXPECT_TRUE(keeper_->status().adopted);
  EXPECT_EQ(loop_->policy()->revision.value, "r1");
}

TEST_F(Keeper, RestoredAndUnchangedIsNotAdoptedAgain) {
  open();
  ASSERT_TRUE(keeper_->look("test"));
  ASSERT_TRUE(settled());
  sign_in(kAna);
  int writes = place("edge").applies();
  keeper_.reset();
  stop();
  open_store();
  open();
  ASSERT_TRUE(keeper_->restore());
  EXPECT_EQ(keeper_->status().revision.value, "r1");
  EXPECT_FALSE(keeper_->status().last_contact);
  ASSERT_TRUE(keeper_->look("test"));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(keeper_->status().last_contact);
  EXPECT_EQ(facts_of<PolicyAdopted>().size(), 1u);
  EXPECT_EQ(place("edge").applies(), writes);
}

TEST_F(Keeper, RestoresWithoutItsSource) {
  open();
  ASSERT_TRUE(keeper_->look("test"));
  keeper_.reset();
  stop();
  open_store();
  source_.away = true;
  open();
  ASSERT_TRUE(keeper_->restore());
  EXPECT_FALSE(keeper_->look("test"));
  sign_in(kAna);
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
}

TEST_F(Keeper, UnsoundRevisionIsRefusedOnceAndTheLastGoodStays) {
  open();
  ASSERT_TRUE(keeper_->look("test"));
  {
    std::lock_guard lock(source_.mutex);
    source_.revision = "r2";
    source_.text = "knock: 1\nservices: {ssh: {ports: [tcp/22], targets: [nowhere]}}\n";
  }
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(keeper_->look("test"));
  EXPECT_EQ(keeper_->status().revision.value, "r1");
  EXPECT_NE(keeper_->status().problem.find("nowhere"), std::string::npos)
      << keeper_->status().problem;
  EXPECT_FALSE(keeper_->refused().empty());
  EXPECT_EQ(facts_of<PolicyRefused>().size(), 1u);
  EXPECT_EQ(lines_.count("policy.not-adopted"), 1);
  {
    std::lock_guard lock(source_.mutex);
    source_.revision = "r3";
    source_.text = policy_text(one_target("edge"));
  }
  ASSERT_TRUE(keeper_->look("test"));
  EXPECT_EQ(keeper_->status().problem, "");
  EXPECT_TRUE(keeper_->refused().empty());
}

TEST_F(Keeper, ARevisionWhoseOwnTestsFailIsRefused) {
  open();
  ASSERT_TRUE(keeper_->look("test"));
  sign_in(kAna);
  {
    std::lock_guard lock(source_.mutex);
    source_.revision = "r2";
    source_.text =
        policy_text(one_target("edge"), "tests:\n  - {as: {groups: [admins]}, cannot: [ssh]}\n");
  }
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(keeper_->look("test"));
  EXPECT_EQ(loop_->policy()->revision.value, "r1");
  EXPECT_EQ(keeper_->status().revision.value, "r1");
  auto problem = keeper_->status().problem;
  EXPECT_NE(problem.find("revision r2 is refused: 1 problem; first: main.yaml:"), problem.npos)
      << problem;
  EXPECT_NE(problem.find("can reach ssh: rule "), problem.npos) << problem;
  auto why = facts_of<PolicyRefused>().at(0).why;
  EXPECT_TRUE(why.starts_with("1 problem; first: main.yaml:")) << why;
  EXPECT_TRUE(why.ends_with(" [policy.test-failed]"))
      << why << ": a record's open part names nobody";
  auto refused = keeper_->refused();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].id, "policy.test-failed");
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  // Judged once, and again when time may have made it sound; it is no news that it still fails.
  int reads = source_.reads;
  EXPECT_EQ(reads, 2);
  pass_time(Duration::minutes(11));
  EXPECT_FALSE(keeper_->look("test"));
  EXPECT_EQ(source_.reads, reads + 1);
  EXPECT_EQ(keeper_->status().problem, problem);
  EXPECT_EQ(facts_of<PolicyRefused>().size(), 1u);
  EXPECT_EQ(lines_.count("policy.not-adopted"), 1);
  {
    std::lock_guard lock(source_.mutex);
    source_.revision = "r3";
    source_.text =
        policy_text(one_target("edge"), "tests:\n  - {as: {groups: [admins]}, can: [ssh]}\n");
  }
  ASSERT_TRUE(keeper_->look("test"));
  EXPECT_EQ(loop_->policy()->revision.value, "r3");
  EXPECT_EQ(keeper_->status().problem, "");
  EXPECT_TRUE(keeper_->refused().empty());
}

/// Tests in force may fail with time; that closes nothing.
TEST_F(Keeper, RestoresWhatWasAdoptedWithoutTestingItAgain) {
  {
    std::lock_guard lock(source_.mutex);
    source_.text = policy_text(
        one_target("edge"),
        "static:\n  probe: {cidr: [203.0.113.9/32], to: [ssh], owner: ops, reason: probe, until: "
        "2027-01-31}\n"
        "tests:\n  - {as: {ip: 203.0.113.9}, can: [ssh]}\n");
  }
  open();
  ASSERT_TRUE(keeper_->look("test"));
  keeper_.reset();
  stop();
  pass_time(Duration::hours(24 * 365));
  open_store();
  open();
  ASSERT_TRUE(keeper_->restore());
  EXPECT_EQ(keeper_->status().revision.value, "r1");
  EXPECT_TRUE(keeper_->look("test"));
}

TEST_F(Keeper, BackToTheOneInForceClearsTheProblem) {
  open();
  ASSERT_TRUE(keeper_->look("test"));
  {
    std::lock_guard lock(source_.mutex);
    source_.revision = "r2";
    source_.text = "knock: 2\n";
  }
  EXPECT_FALSE(keeper_->look("test"));
  {
    std::lock_guard lock(source_.mutex);
    source_.revision = "r1";
    source_.text = policy_text(one_target("edge"));
  }
  ASSERT_TRUE(keeper_->look("test"));
  EXPECT_EQ(keeper_->status().problem, "");
  EXPECT_TRUE(keeper_->refused().empty());
  EXPECT_EQ(facts_of<PolicyAdopted>().size(), 1u);
}

TEST_F(Keeper, SourceAwayShowsItsAgeAndAlarmsOnce) {
  open();
  ASSERT_TRUE(keeper_->look("test"));
  auto contact = keeper_->status().last_contact;
  {
    std::lock_guard lock(source_.mutex);
    source_.away = true;
  }
  pass_time(Duration::minutes(10));
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(keeper_->look("test"));
  EXPECT_EQ(keeper_->status().last_contact, contact);
  EXPECT_NE(keeper_->status().problem.find("nobody answers"), std::string::npos);
  EXPECT_EQ(lines_.count("policy.not-adopted"), 1);
  EXPECT_EQ(loop_->policy()->revision.value, "r1");
  {
    std::lock_guard lock(source_.mutex);
    source_.away = false;
  }
  ASSERT_TRUE(keeper_->look("test"));
  EXPECT_EQ(keeper_->status().problem, "");
}

// Away, then back with something unsound, then away again: each is news, the unsound files stay
// shown.
TEST_F(Keeper, FilesThatCannotBeReadAreNoEmptyPolicy) {
  open();
  ASSERT_TRUE(keeper_->look("test"));
  sign_in(kAna);
  {
    std::lock_guard lock(source_.mutex);
    source_.revision = "r2";
    source_.unreadable = true;
  }
  EXPECT_FALSE(keeper_->look("test"));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  EXPECT_EQ(keeper_->status().revision.value, "r1");
}

TEST_F(Keeper, ASourceThatFailsTakesNothingAwayAndAddsNothing) {
  open();
  ASSERT_TRUE(keeper_->look("test"));
  ASSERT_TRUE(settled());
  auto ana = sign_in(kAna);
  {
    std::lock_guard lock(source_.mutex);
    source_.away = true;
    source_.revision = "r2";
    source_.text = "knock: 1\n";
  }
  int writes = place("edge").applies();
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(keeper_->look("test"));
    loop_->refresh({});
    ASSERT_TRUE(settled());
  }
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  EXPECT_EQ(place("edge").applies(), writes);
  end(ana, EndCause::revoked);
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", "203.0.113.7/32")) << "what must close does";
}

TEST_F(Keeper, WhatATargetReturnedToIsRestored) {
  source_.text =
      policy_text(one_target("edge"), "guards: {confirm: {targets: [edge], within: 5m}}\n");
  open();
  ASSERT_TRUE(keeper_->look("test"));
  ASSERT_TRUE(settled());
  {
    std::lock_guard lock(source_.mutex);
    source_.revision = "r2";
    source_.text +=
        "static:\n  m: {cidr: [198.51.100.9], to: [ssh], owner: ana, reason: probe, "
        "until: 2027-06-01}\n";
  }
  ASSERT_TRUE(keeper_->look("test"));
  ASSERT_TRUE(settled());
  ASSERT_TRUE(place("edge").open("ssh", "198.51.100.9/32"));
  keeper_.reset();
  stop();
  clock_.advance(Duration::minutes(6));
  open_store();
  open();
  ASSERT_TRUE(keeper_->restore());
  ASSERT_TRUE(soon([&] { return facts_of<PolicyReturned>().size() == 1; }));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", "198.51.100.9/32"));
  ASSERT_TRUE(keeper_->look("test"));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", "198.51.100.9/32")) << "the source says nothing new";
  EXPECT_EQ(lines_.count("policy.previous-gone"), 0);
}

TEST_F(Keeper, UnwritableLogAdoptsNothing) {
  open();
  ASSERT_TRUE(keeper_->look("test"));
  store_->mode = BrittleStore::Mode::finished;
  {
    std::lock_guard lock(source_.mutex);
    source_.revision = "r2";
  }
  EXPECT_FALSE(keeper_->look("test"));
  EXPECT_EQ(loop_->policy()->revision.value, "r1");
  EXPECT_EQ(keeper_->status().revision.value, "r1");
  EXPECT_NE(keeper_->status().problem, "");
}

TEST_F(Keeper, LooksByItself) {
  open();
  keeper_->start();
  ASSERT_TRUE(soon([&] { return keeper_->status().revision.value == "r1"; }));
  {
    std::lock_guard lock(source_.mutex);
    source_.revision = "r2";
  }
  ASSERT_TRUE(soon([&] { return keeper_->status().revision.value == "r2"; }));
}

}  // namespace
}  // namespace knock::test
