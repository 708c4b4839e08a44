// SPDX-License-Identifier: Apache-2.0
// What sign-ins, sign-outs and time do to targets.
#include <algorithm>

#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

using Sessions = World;

TEST_F(Sessions, SignInOpensOnAllTargetsAndSignOutCloses) {
  start();
  adopt(policy_text(one_target("edge") + one_target("inner")), "r1");
  auto session = sign_in(kAna);
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32"));
  EXPECT_TRUE(place("inner").open("ssh", "203.0.113.7/32"));
  end(session);
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 0u);
  EXPECT_EQ(place("inner").entries(), 0u);
  auto last = place("edge").changes().back();
  EXPECT_EQ(last.action, Action::remove);
  EXPECT_EQ(last.reason, Reason::sign_out);
}

TEST_F(Sessions, RevocationClosesForItsOwnReason) {
  begin();
  end(sign_in(kAna), EndCause::revoked);
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 0u);
  EXPECT_EQ(place("edge").changes().back().reason, Reason::revoked);
}

TEST_F(Sessions, IsDurableBeforeItOpens) {
  begin();
  place("edge").applying.close();
  auto session = sign_in_result(kAna);
  ASSERT_TRUE(session);
  ASSERT_TRUE(place("edge").applying.wait_for_caller());
  auto intended = facts_of<ChangeIntended>();
  ASSERT_FALSE(intended.empty());
  EXPECT_EQ(intended.back().change.prefix.to_string(), "203.0.113.7/32");
  EXPECT_EQ(facts_of<SessionOpened>().size(), 1u);
  place("edge").applying.open();
  ASSERT_TRUE(settled());
}

TEST_F(Sessions, NativeExpiryIsRecordedAndNotWritten) {
  begin();
  auto session = sign_in(kAna, Duration::minutes(5));
  int writes = place("edge").applies();
  pass_time(Duration::minutes(6));
  ASSERT_TRUE(soon([&] { return !facts_of<EntryExpired>().empty(); }));
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").applies(), writes);
  EXPECT_FALSE(loop_->live_session(session.id));
  ASSERT_EQ(facts_of<SessionEnded>().size(), 1u);
  EXPECT_EQ(facts_of<SessionEnded>().front().end.cause, EndCause::expired);
  EXPECT_FALSE(loop_->where(session).empty() ? false : loop_->where(session).front().open);
}

TEST_F(Sessions, TargetThatCannotExpireIsWrittenAtTheDeadline) {
  place("edge").capabilities.native_expiry = false;
  begin();
  sign_in(kAna, Duration::minutes(5));
  sign_in(kBen, Duration::hours(1), "ben");
  int reads = place("edge").observes();
  pass_time(Duration::minutes(6));
  ASSERT_TRUE(soon([&] { return !place("edge").open("ssh", "203.0.113.7/32"); }));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.8/32"));
  EXPECT_EQ(place("edge").changes().back().reason, Reason::expiry);
  EXPECT_EQ(place("edge").observes(), reads) << "one address needs no full read";
}

TEST_F(Sessions, ManyAtOneAddressShareOneEntryUntilTheLastIsGone) {
  begin();
  auto ana = sign_in(kAna, Duration::minutes(10), "ana");
  auto ben = sign_in(kAna, Duration::minutes(30), "ben");
  auto cem = sign_in(kAna, Duration::minutes(20), "cem");
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 1u);
  EXPECT_EQ(place("edge").until("ssh", "203.0.113.7/32"), clock_.now() + Duration::minutes(30));
  end(ben);
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").until("ssh", "203.0.113.7/32"), clock_.now() + Duration::minutes(20));
  end(ana);
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 1u);
  end(cem);
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 0u);
}

// Who comes second with an earlier deadline changes nothing on the target; the log must know him
// all the same, or it names only one of those who could pass.
TEST_F(Sessions, EveryoneWhoMayPassIsACauseInTheRecords) {
  begin();
  auto ana = sign_in(kAna, Duration::minutes(30), "ana");
  auto ben = sign_in(kAna, Duration::minutes(10), "ben");
  auto causes = [&] {
    auto applied = store_->applied(TargetName("edge"));
    std::set<SessionId> out;
    if (applied)
      for (const auto& entry : *applied)
        for (const auto& cause : entry.causes) out.insert(cause.session);
    return out;
  };
  ASSERT_TRUE(settled());
  EXPECT_EQ(causes(), (std::set{ana.id, ben.id}));
}

TEST_F(Sessions, EndedDuringASlowReadingIsNotOpened) {
  begin();
  place("edge").observing.close();
  loop_->refresh({});
  ASSERT_TRUE(place("edge").observing.wait_for_caller());
  auto session = sign_in_result(kAna);
  ASSERT_TRUE(session);
  end(*session, EndCause::revoked);
  place("edge").observing.open();
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 0u);
  for (const Change& change : place("edge").changes()) EXPECT_NE(change.action, Action::add);
}

TEST_F(Sessions, EndedDuringASlowWriteIsClosedAfterIt) {
  begin();
  place("edge").applying.close();
  auto session = sign_in_result(kAna);
  ASSERT_TRUE(session);
  ASSERT_TRUE(place("edge").applying.wait_for_caller());
  end(*session);
  place("edge").applying.open();
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 0u);
}

TEST_F(Sessions, RestartConvergesWithoutAWrite) {
  begin();
  auto session = sign_in(kAna);
  int writes = place("edge").applies();
  restart();
  loop_->resume(load(policy_text(one_target("edge")), "r1"));
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").applies(), writes);
  ASSERT_TRUE(loop_->live_session(session.id));
  for (const auto& row : loop_->where(session)) EXPECT_TRUE(row.open);
  EXPECT_TRUE(status("edge").ready);
  end(session);
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 0u);
}

// The answer to an extension is lost: the entry stands longer than the records say, and must not be
// written off at the earlier deadline.
TEST_F(Sessions, LostAnswerToAnExtensionIsFoundByTheNextReading) {
  begin();
  sign_in(kAna, Duration::minutes(10), "ana");
  {
    auto lock = place("edge").lock();
    place("edge").apply_faults = {{ErrorKind::timeout, true, {}}};
  }
  auto session = sign_in_result(kAna, Duration::minutes(60), "ben");
  ASSERT_TRUE(session);
  ASSERT_TRUE(settled());
  ASSERT_TRUE(soon([&] { return status("edge").ready; }));
  ASSERT_TRUE(settled());
  pass_time(Duration::minutes(11));
  ASSERT_TRUE(soon([&] { return !facts_of<SessionEnded>().empty(); }));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(facts_of<EntryExpired>().empty());
  auto rows = loop_->where(*session);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_TRUE(rows.front().open);
  auto open_at = store_->applied_at(ServiceName("ssh"), clock_.now());
  ASSERT_TRUE(open_at);
  EXPECT_EQ(open_at->size(), 1u);
}

// In the year 9999 nanoseconds overflow.
TEST_F(Sessions, EndlessDeadlinesDoNotKeepTheTimerBusy) {
  settings_.look_at_clock_every = Duration{10};
  start();
  adopt(policy_text(one_target("edge"),
                    "static:\n  m: {cidr: [198.51.100.9/32], to: [ssh], owner: ana, reason: probe, "
                    "until: 9999-12-31}\n"),
        "r1");
  ASSERT_TRUE(place("edge").open("ssh", "198.51.100.9/32"));
  // A round looks a few times and then sleeps; one that does not sleep is through in no time.
  auto looks = clock_.looks();
  auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(soon([&] { return clock_.looks() > looks + 100; }));
  EXPECT_GT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(100));
}

}  // namespace
}  // namespace knock::test
