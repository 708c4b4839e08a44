// SPDX-License-Identifier: Apache-2.0
// Targets that cannot be read, say no, or do not answer; a log that cannot be written.
#include <algorithm>

#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

class Faults : public World {
 protected:
  void unreadable(std::optional<ErrorKind> kind) {
    auto lock = place("edge").lock();
    place("edge").observe_error = kind;
  }
  void fault(ApplyFault fault) {
    auto lock = place("edge").lock();
    place("edge").apply_faults.push_back(fault);
  }
};

TEST_F(Faults, UnreadableTargetClosesOnlyWhatExpiredAndRecovers) {
  place("edge").capabilities.native_expiry = false;
  begin();
  sign_in(kAna, Duration::minutes(5));
  sign_in(kBen, Duration::hours(1), "ben");
  unreadable(ErrorKind::unavailable);
  loop_->refresh({});
  ASSERT_TRUE(soon([&] { return !status("edge").ready; }));
  EXPECT_NE(status("edge").problem.find("cannot be read"), std::string::npos);
  auto cem = sign_in_result("203.0.113.99", Duration::hours(1), "cem");
  ASSERT_TRUE(cem);
  pass_time(Duration::minutes(6));
  ASSERT_TRUE(soon([&] { return !place("edge").open("ssh", "203.0.113.7/32"); }));
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.8/32"));
  EXPECT_FALSE(place("edge").open("ssh", "203.0.113.99/32"));
  unreadable(std::nullopt);
  ASSERT_TRUE(soon([&] { return place("edge").open("ssh", "203.0.113.99/32"); }));
  ASSERT_TRUE(soon([&] { return status("edge").ready; }));
  EXPECT_EQ(status("edge").problem, "");
}

TEST_F(Faults, BacksOffAndSaysWhenItTriesAgain) {
  begin();
  unreadable(ErrorKind::unavailable);
  loop_->refresh({});
  ASSERT_TRUE(soon([&] { return status("edge").next_try.has_value(); }));
  EXPECT_FALSE(status("edge").synced);
}

TEST_F(Faults, UnknownOutcomeIsReadBeforeTheNextWrite) {
  begin();
  fault({ErrorKind::timeout, true, {}});
  sign_in(kAna);
  ASSERT_TRUE(settled());
  EXPECT_NE(place("edge").order().back(), "apply") << "the reading follows the write";
  EXPECT_EQ(place("edge").entries(), 1u);
  EXPECT_TRUE(status("edge").ready);
  auto intents = store_->open_intents();
  ASSERT_TRUE(intents);
  EXPECT_TRUE(intents->empty()) << "the reading answered it";
  // Its own reason, although the answer was lost.
  auto applied = facts_of<ChangeApplied>();
  auto ana = std::find_if(applied.begin(), applied.end(), [](const ChangeApplied& a) {
    return a.change.prefix.to_string() == "203.0.113.7/32";
  });
  ASSERT_NE(ana, applied.end());
  EXPECT_NE(ana->batch, 0u);
}

TEST_F(Faults, ALostAnswerToARemovalAccusesNobody) {
  begin();
  auto session = sign_in(kAna);
  fault({ErrorKind::timeout, true, {}});
  end(session);
  ASSERT_TRUE(settled());
  ASSERT_TRUE(soon([&] { return status("edge").ready; }));
  EXPECT_EQ(place("edge").entries(), 0u);
  EXPECT_TRUE(facts_of<DriftFound>().empty());
  auto applied = store_->applied(TargetName("edge"));
  ASSERT_TRUE(applied);
  EXPECT_TRUE(applied->empty());
}

TEST_F(Faults, ACrashBetweenIntentAndAnswerIsSettledByTheNextStart) {
  begin();
  auto session = sign_in_result(kAna);  // on the disk before anything else
  ASSERT_TRUE(settled());
  // As if the process had died after the call and before its record.
  Change change = place("edge").changes().back();
  ASSERT_EQ(change.action, Action::add);
  auto ben = sign_in(kBen, Duration::hours(1), "ben");
  ASSERT_TRUE(settled());
  store_->finish_after = 2;  // SessionEnded and the intents are written, the answer is not
  end(ben);
  ASSERT_TRUE(settled());
  restart();
  loop_->resume(load(policy_text(one_target("edge")), "r1"));
  ASSERT_TRUE(settled());
  auto intents = store_->open_intents();
  ASSERT_TRUE(intents);
  EXPECT_TRUE(intents->empty());
  EXPECT_TRUE(facts_of<DriftFound>().empty());
  EXPECT_EQ(place("edge").entries(), 1u);
}

TEST_F(Faults, PartialOutcomeIsFinishedLater) {
  begin();
  {
    auto lock = place("edge").lock();
    auto left = std::make_shared<int>(2);
    place("edge").step_fault = [left](const Change& change) -> std::optional<StepOutcome::Kind> {
      if (change.action != Action::add || (*left)-- <= 0) return std::nullopt;
      return StepOutcome::Kind::rejected;
    };
  }
  sign_in(kAna);
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  EXPECT_GE(facts_of<ChangeRejected>().size(), 1u);
}

TEST_F(Faults, OutcomeWithTooFewStepsIsNoSuccess) {
  begin();
  {
    auto lock = place("edge").lock();
    auto left = std::make_shared<int>(1);
    place("edge").step_fault = [left](const Change& change) -> std::optional<StepOutcome::Kind> {
      if (change.action != Action::add || (*left)-- <= 0) return std::nullopt;
      return StepOutcome::Kind::not_tried;
    };
    place("edge").drops_untried = true;
  }
  sign_in(kAna);
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
}

TEST_F(Faults, PartialReadingIsNoEmptyTargetAndIsSaid) {
  begin();
  auto session = sign_in(kAna);
  {
    auto lock = place("edge").lock();
    place("edge").hidden = *Prefix::parse("203.0.113.7/32");
  }
  loop_->refresh({});
  ASSERT_TRUE(soon([&] { return !status("edge").ready; }));
  EXPECT_NE(status("edge").problem, "");
  EXPECT_TRUE(facts_of<DriftFound>().empty());
  {
    auto lock = place("edge").lock();
    place("edge").hidden.reset();
  }
  end(session);
  ASSERT_TRUE(soon([&] { return !place("edge").open("ssh", "203.0.113.7/32"); }));
  ASSERT_TRUE(soon([&] { return status("edge").ready; }));
}

// Unreadable is not empty, but what must end is closed by our own records.
TEST_F(Faults, AnUnreadableTargetStillClosesWhoWasPutOut) {
  begin();
  auto ana = sign_in(kAna);
  auto ben = sign_in(kBen, Duration::hours(1), "ben");
  sign_in("203.0.113.9", Duration::hours(1), "cem");
  unreadable(ErrorKind::unavailable);
  loop_->refresh({});
  ASSERT_TRUE(soon([&] { return !status("edge").ready; }));
  end(ana, EndCause::revoked);
  ASSERT_TRUE(soon([&] { return !place("edge").open("ssh", "203.0.113.7/32"); }));
  EXPECT_EQ(place("edge").changes().back().reason, Reason::revoked);
  end(ben);
  ASSERT_TRUE(soon([&] { return !place("edge").open("ssh", "203.0.113.8/32"); }));
  EXPECT_EQ(place("edge").changes().back().reason, Reason::sign_out);
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.9/32"));
  EXPECT_FALSE(status("edge").ready) << "and it is said";
}

TEST_F(Faults, AnUnreadableTargetStillClosesWhoIsDenied) {
  begin();
  sign_in(kAna);
  sign_in("198.51.100.9", Duration::hours(1), "ben");
  unreadable(ErrorKind::unavailable);
  loop_->refresh({});
  ASSERT_TRUE(soon([&] { return !status("edge").ready; }));
  ASSERT_TRUE(adopt_only(policy_text(one_target("edge"),
                                     "networks: {bad: [203.0.113.0/24]}\n"
                                     "deny: {d: {from: {in: [bad]}, to: [ssh]}}\n"),
                         "r2"));
  ASSERT_TRUE(soon([&] { return !place("edge").open("ssh", "203.0.113.7/32"); }));
  EXPECT_TRUE(place("edge").open("ssh", "198.51.100.9/32"));
}

TEST_F(Faults, WhatAPartialReadingDidNotSeeIsClosedWhenItMustClose) {
  begin();
  auto ana = sign_in(kAna);
  {
    auto lock = place("edge").lock();
    place("edge").hidden = *Prefix::parse("203.0.113.7/32");
  }
  loop_->refresh({});
  ASSERT_TRUE(soon([&] { return !status("edge").ready; }));
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  end(ana, EndCause::revoked);
  EXPECT_TRUE(soon([&] { return !place("edge").open("ssh", "203.0.113.7/32"); }));
}

// Somebody is put out while the target does not answer and the next try is minutes away: closing
// does not wait that long.
TEST_F(Faults, SignOutShortensALongWait) {
  begin();
  auto session = sign_in(kAna);
  fault({ErrorKind::rate_limited, false, Duration::minutes(60)});
  auto ben = sign_in_result(kBen, Duration::hours(1), "ben");
  fault({ErrorKind::rate_limited, false, Duration::minutes(60)});
  ASSERT_TRUE(soon([&] { return status("edge").next_try.has_value(); }));
  end(session, EndCause::revoked);
  ASSERT_TRUE(soon([&] {
    auto next = status("edge").next_try;
    return !next || *next - clock_.now() <= Duration::seconds(30);
  }));
}

TEST_F(Faults, ARetryAfterOfZeroIsNoBusyLoop) {
  begin();
  for (int i = 0; i < 200; ++i) fault({ErrorKind::rate_limited, false, Duration{0}});
  int writes = place("edge").applies();
  ASSERT_TRUE(sign_in_result(kAna));
  ASSERT_TRUE(soon([&] { return status("edge").next_try.has_value(); }));
  auto until = Deadline::in(Duration{300});
  while (!until.passed()) std::this_thread::yield();
  EXPECT_LT(place("edge").applies() - writes, 30);
}

// A provider that reports our own failed attempts as news must not make the loop spin.
TEST_F(Faults, NewsFromAFailingTargetIsNoBusyLoop) {
  begin();
  unreadable(ErrorKind::unavailable);
  loop_->refresh({});
  ASSERT_TRUE(soon([&] { return status("edge").next_try.has_value(); }));
  int reads = place("edge").observes();
  auto until = Deadline::in(Duration{300});
  while (!until.passed()) {
    place("edge").tell_moved();
    std::this_thread::yield();
  }
  EXPECT_LT(place("edge").observes() - reads, 10);
}

TEST_F(Faults, UnwritableLogOpensNothingAndGoesOnClosing) {
  place("edge").capabilities.native_expiry = false;
  begin();
  auto ana = sign_in(kAna);
  auto ben = sign_in(kBen, Duration::minutes(5), "ben");
  store_->mode = BrittleStore::Mode::finished;
  EXPECT_FALSE(sign_in_result("203.0.113.99"));
  auto ended = loop_->end_session("test", ana.id, EndCause::revoked, "");
  EXPECT_FALSE(ended) << "it could not be recorded, and that must be said";
  ASSERT_TRUE(soon([&] { return !place("edge").open("ssh", "203.0.113.7/32"); }));
  EXPECT_FALSE(loop_->live_session(ana.id));
  pass_time(Duration::minutes(6));
  ASSERT_TRUE(soon([&] { return !place("edge").open("ssh", "203.0.113.8/32"); }));
  EXPECT_FALSE(adopt_only(policy_text(one_target("edge")), "r2"));
  EXPECT_EQ(loop_->policy()->revision.value, "r1");
}

// The session is on the disk, its intent is not any more.
TEST_F(Faults, LogThatFailsBetweenSessionAndIntentOpensNothingAndSaysSo) {
  begin();
  store_->finish_after = 1;
  auto session = sign_in_result(kAna);
  ASSERT_TRUE(session);
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 0u);
  EXPECT_FALSE(status("edge").synced);
  EXPECT_NE(status("edge").problem.find("log"), std::string::npos) << status("edge").problem;
}

TEST_F(Faults, LogThatWasLockedForAMomentOpensLater) {
  begin();
  place("edge").observing.close();
  loop_->refresh({});
  ASSERT_TRUE(place("edge").observing.wait_for_caller());
  auto session = sign_in_result(kAna);
  ASSERT_TRUE(session);
  store_->mode = BrittleStore::Mode::locked;
  place("edge").observing.open();
  ASSERT_TRUE(soon([&] { return status("edge").next_try.has_value(); }));
  EXPECT_EQ(place("edge").entries(), 0u);
  store_->mode = BrittleStore::Mode::good;
  EXPECT_TRUE(soon([&] { return place("edge").open("ssh", "203.0.113.7/32"); }));
}

// With the log gone, a fresh target must not be closed to those who could not be let in.
TEST_F(Faults, UnwritableLogChangesNoStructure) {
  start();
  place("edge").observing.close();
  ASSERT_TRUE(adopt_only(policy_text(one_target("edge")), "r1"));
  ASSERT_TRUE(place("edge").observing.wait_for_caller());
  store_->mode = BrittleStore::Mode::finished;
  place("edge").observing.open();
  ASSERT_TRUE(settled());
  EXPECT_TRUE(place("edge").structure().protect.empty());
}

TEST_F(Faults, AnEndThatCouldNotBeWrittenIsWrittenLater) {
  begin();
  auto session = sign_in(kAna);
  store_->mode = BrittleStore::Mode::locked;
  EXPECT_FALSE(loop_->end_session("test", session.id, EndCause::revoked, "lost laptop"));
  store_->mode = BrittleStore::Mode::good;
  ASSERT_TRUE(soon([&] { return !facts_of<SessionEnded>().empty(); }));
  EXPECT_EQ(facts_of<SessionEnded>().front().end.cause, EndCause::revoked);
  restart();
  EXPECT_FALSE(loop_->live_session(session.id));
}

TEST_F(Faults, TargetThatCannotBeReachedAtFirstComesLater) {
  {
    std::lock_guard lock(places_mutex_);
    unreachable_.insert("edge");
  }
  begin();
  EXPECT_FALSE(status("edge").ready);
  EXPECT_NE(status("edge").problem.find("no way to edge"), std::string::npos);
  auto session = sign_in_result(kAna);
  ASSERT_TRUE(session);
  {
    std::lock_guard lock(places_mutex_);
    unreachable_.clear();
  }
  ASSERT_TRUE(soon([&] { return place("edge").open("ssh", "203.0.113.7/32"); }));
  ASSERT_TRUE(soon([&] { return status("edge").ready; }));
}

}  // namespace
}  // namespace knock::test
