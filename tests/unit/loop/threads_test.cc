// SPDX-License-Identifier: Apache-2.0
// Many at once: slow targets, stopping, questions while runs are busy.
#include <atomic>
#include <future>

#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

using Threads = World;

std::string sixteen() {
  std::string out;
  for (int i = 0; i < 16; ++i) out += one_target("t" + std::to_string(i));
  return out;
}

TEST_F(Threads, OneHangingTargetDoesNotHoldUpTheOthers) {
  start();
  adopt(policy_text(sixteen()), "r1");
  place("t3").applying.close();
  auto session = sign_in_result(kAna);
  ASSERT_TRUE(session);
  for (int i = 0; i < 16; ++i) {
    if (i == 3) continue;
    auto name = "t" + std::to_string(i);
    EXPECT_TRUE(soon([&] { return place(name).open("ssh", "203.0.113.7/32"); })) << name;
  }
  EXPECT_FALSE(place("t3").open("ssh", "203.0.113.7/32"));
  place("t3").applying.open();
  ASSERT_TRUE(settled());
  EXPECT_TRUE(place("t3").open("ssh", "203.0.113.7/32"));
}

TEST_F(Threads, MoreTargetsThanWorkersAllGetTheirTurn) {
  settings_.workers = 2;
  start();
  adopt(policy_text(sixteen()), "r1");
  auto session = sign_in(kAna);
  for (int i = 0; i < 16; ++i)
    EXPECT_TRUE(place("t" + std::to_string(i)).open("ssh", "203.0.113.7/32")) << i;
  end(session);
  ASSERT_TRUE(settled());
  for (int i = 0; i < 16; ++i) EXPECT_EQ(place("t" + std::to_string(i)).entries(), 0u) << i;
}

TEST_F(Threads, StopDuringASlowVerbEndsWithIt) {
  begin();
  place("edge").applying.close();
  ASSERT_TRUE(sign_in_result(kAna));
  ASSERT_TRUE(place("edge").applying.wait_for_caller());
  int reads = place("edge").observes();
  auto stopped = std::async(std::launch::async, [&] { loop_->stop(); });
  EXPECT_TRUE(loop_->wait_settled(Deadline::in(kPatience))) << "who waits is let go";
  place("edge").applying.open();
  ASSERT_EQ(stopped.wait_for(kPatience.chrono()), std::future_status::ready);
  EXPECT_EQ(place("edge").providers(), 0);
  EXPECT_LE(place("edge").observes(), reads) << "nothing new is begun";
}

TEST_F(Threads, StopWaitsForAPlanThatReads) {
  begin();
  place("edge").observing.close();
  auto policy = loop_->policy();
  auto plan = std::async(std::launch::async, [&] { return loop_->plan(*policy).has_value(); });
  ASSERT_TRUE(place("edge").observing.wait_for_caller());
  auto stopped = std::async(std::launch::async, [&] { loop_->stop(); });
  EXPECT_TRUE(loop_->wait_settled(Deadline::in(kPatience)));
  place("edge").observing.open();
  ASSERT_EQ(stopped.wait_for(kPatience.chrono()), std::future_status::ready);
  (void)plan.get();
  EXPECT_EQ(place("edge").providers(), 0);
}

TEST_F(Threads, PlansAndRunsNeverUseAProviderAtOnce) {
  start();
  adopt(policy_text(one_target("edge") + one_target("inner")), "r1");
  std::atomic<bool> done{false};
  auto planner = std::async(std::launch::async, [&] {
    while (!done) EXPECT_TRUE(loop_->plan(*loop_->policy()));
  });
  auto pusher = std::async(std::launch::async, [&] {
    while (!done) loop_->refresh({});
  });
  for (int i = 0; i < 30; ++i) end(sign_in("198.51.100." + std::to_string(i)));
  done = true;
  planner.get();
  pusher.get();
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").overlapped());
  EXPECT_FALSE(place("inner").overlapped());
  EXPECT_EQ(place("edge").entries(), 0u);
}

// Everything at once, for the sanitizer: adoption of policies that move targets, sign-ins, ends,
// news, plans, status, time.
TEST_F(Threads, EverythingAtOnceEndsWhereItShould) {
  begin();
  std::atomic<bool> done{false};
  std::vector<std::future<void>> busy;
  auto repeat = [&](auto what) {
    busy.push_back(std::async(std::launch::async, [&done, what] {
      for (int i = 0; !done; ++i) what(i);
    }));
  };
  repeat([&](int i) {
    clock_.advance(Duration::seconds(1));
    auto table = i % 3 == 0 ? "edge" : "other";
    EXPECT_TRUE(adopt_only(policy_text(one_target("edge", table) + one_target("inner")),
                           "p" + std::to_string(i)));
  });
  repeat([&](int i) {
    auto session =
        sign_in_result("198.51.100." + std::to_string(i % 200), Duration::seconds(60 + i % 1800));
    ASSERT_TRUE(session) << session.error().text();
    (void)loop_->where(*session);
    if (i % 2 == 0) (void)loop_->end_session("test", session->id, EndCause::signed_out, "");
  });
  repeat([&](int) { (void)loop_->plan(*loop_->policy()); });
  repeat([&](int) {
    (void)loop_->targets();
    (void)loop_->live_sessions();
  });
  repeat([&](int) { place("edge").tell_moved(), place("other").tell_moved(); });
  auto until = Deadline::in(Duration::seconds(2));
  while (!until.passed()) (void)loop_->wait_settled(Deadline::in(Duration{10}));
  done = true;
  for (auto& one : busy) one.get();
  adopt(policy_text(one_target("edge", "edge") + one_target("inner")), "last");
  for (const Session& session : loop_->live_sessions())
    (void)loop_->end_session("test", session.id, EndCause::revoked, "");
  ASSERT_TRUE(settled());
  ASSERT_TRUE(soon([&] { return status("edge").ready && status("inner").ready; }));
  ASSERT_TRUE(settled());
  for (auto name : {"edge", "other", "inner"}) {
    EXPECT_FALSE(place(name).overlapped()) << name;
    EXPECT_EQ(place(name).entries(), 0u) << name;
  }
}

// Sessions come and go all day: what is remembered of them does not grow with them.
TEST_F(Threads, BatchesAreNotUsedTwiceAfterARestart) {
  begin();
  for (int i = 0; i < 50; ++i) {
    loop_->refresh({});
    ASSERT_TRUE(settled());
  }
  end(sign_in(kAna));
  ASSERT_TRUE(settled());
  restart();
  loop_->resume(load(policy_text(one_target("edge")), "r1"));
  ASSERT_TRUE(settled());
  for (int i = 0; i < 20; ++i) end(sign_in(kAna));
  ASSERT_TRUE(settled());
  std::map<std::uint64_t, int> changes;
  for (const auto& intended : facts_of<ChangeIntended>())
    if (intended.change.action == Action::add || intended.change.action == Action::remove)
      ++changes[intended.batch];
  for (auto [batch, count] : changes) EXPECT_EQ(count, 1) << "batch " << batch;
}

}  // namespace
}  // namespace knock::test
