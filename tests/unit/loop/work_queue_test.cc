// SPDX-License-Identifier: Apache-2.0
#include "reconciler/loop/work_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "base/random.h"

namespace knock {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// The largest jitter there is, so that waits are their caps.
class Longest final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override { std::fill(out.begin(), out.end(), 0xff); }
};

const MonotonicTime kStart = MonotonicTime() + std::chrono::hours(1);

struct World {
  explicit World(WorkQueue::Settings settings = {}) : queue(settings) {}
  WorkQueue queue;
  Longest random;
  MonotonicTime now = kStart;

  WorkQueue::Key add(const std::string& account = "", CallRate rate = {}) {
    static int fresh = 0;
    return queue.add(account.empty() ? "own-" + std::to_string(++fresh) : account, rate, now);
  }
  void mark(WorkQueue::Key key, Urgency urgency, Duration gather = {}) {
    queue.mark(key, urgency, now, gather);
  }
  std::optional<WorkQueue::Key> take() {
    auto taken = queue.take(now);
    return taken ? std::optional(taken->key) : std::nullopt;
  }
  void good(WorkQueue::Key key) {
    queue.spend(key, 1, now);
    queue.done(key, {}, now, random);
  }
  void bad(WorkQueue::Key key, bool of_account = true, std::optional<Duration> after = {}) {
    queue.spend(key, 1, now);
    queue.done(key, {false, of_account, after}, now, random);
  }
};

TEST(WorkQueue, GivesATargetToOneWorkerAndLosesNothingMeanwhile) {
  World w;
  auto a = w.add();
  EXPECT_FALSE(w.take());
  w.mark(a, Urgency::sign_in);
  w.mark(a, Urgency::policy);
  EXPECT_EQ(w.take(), a);
  EXPECT_FALSE(w.take()) << "one run for both";
  w.mark(a, Urgency::drift);
  EXPECT_FALSE(w.take()) << "it is being run";
  EXPECT_TRUE(w.queue.waits(a));
  w.good(a);
  EXPECT_EQ(w.take(), a) << "what came meanwhile was not lost";
  w.good(a);
  EXPECT_FALSE(w.take());
  EXPECT_EQ(w.queue.waiting(), 0u);
  EXPECT_EQ(w.queue.in_flight(), 0u);
}

TEST(WorkQueue, ClosesFirstAndLetsNobodyWaitForEver) {
  World w;
  auto resync = w.add(), sign_in = w.add(), close = w.add(), policy = w.add(), glass = w.add();
  w.mark(resync, Urgency::resync);
  w.mark(policy, Urgency::policy);
  w.mark(sign_in, Urgency::sign_in);
  w.mark(glass, Urgency::break_glass);
  w.mark(close, Urgency::close);
  for (auto key : {close, glass, sign_in, policy, resync}) EXPECT_EQ(w.take(), key);

  World aged;
  auto old = aged.add();
  aged.mark(old, Urgency::resync);
  aged.now += patience(Urgency::resync).chrono();
  auto fresh = aged.add(), closing = aged.add();
  aged.mark(fresh, Urgency::sign_in);
  aged.mark(closing, Urgency::close);
  EXPECT_EQ(aged.take(), closing) << "however long others have waited";
  EXPECT_EQ(aged.take(), old);
  EXPECT_EQ(aged.take(), fresh);
}

TEST(WorkQueue, TakesTheMostUrgentReasonAndTheEarliestTimeOfWhatWaits) {
  World w;
  auto a = w.add();
  w.mark(a, Urgency::resync, Duration::seconds(5));
  w.now += seconds(1);
  w.mark(a, Urgency::sign_in, Duration::seconds(5));
  EXPECT_FALSE(w.take());
  w.now += seconds(4);  // five after the first, four after the second
  auto taken = w.queue.take(w.now);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->urgency, Urgency::sign_in);
  EXPECT_EQ(taken->since, kStart);
  EXPECT_FALSE(taken->closing);
}

TEST(WorkQueue, GathersCompanyButNeverForWhatCloses) {
  World w;
  auto a = w.add();
  w.mark(a, Urgency::sign_in, Duration{200});
  EXPECT_FALSE(w.take());
  EXPECT_EQ(w.queue.next_at(w.now), w.now + milliseconds(200));
  w.mark(a, Urgency::close, Duration{200});
  auto taken = w.queue.take(w.now);
  ASSERT_TRUE(taken);
  EXPECT_TRUE(taken->closing);
}

TEST(WorkQueue, AFailedTargetWaitsUnlessSomethingMustClose) {
  World w;
  auto a = w.add();
  w.mark(a, Urgency::sign_in);
  ASSERT_EQ(w.take(), a);
  w.bad(a, false);
  w.mark(a, Urgency::sign_in);
  w.queue.not_before(a, w.now + std::chrono::minutes(5));
  w.mark(a, Urgency::sign_in);
  EXPECT_FALSE(w.take()) << "another sign-in does not hurry it";
  EXPECT_EQ(w.queue.waits_until(a, w.now), w.now + std::chrono::minutes(5));
  w.mark(a, Urgency::close);
  w.now += seconds(29);
  EXPECT_FALSE(w.take());
  w.now += seconds(1);
  EXPECT_EQ(w.take(), a);
  w.good(a);

  w.mark(a, Urgency::policy);
  w.queue.not_before(a, w.now + std::chrono::minutes(5));
  w.queue.at_once(a);
  EXPECT_EQ(w.take(), a);
}

TEST(WorkQueue, FailingTargetsHaveWorkersOfTheirOwn) {
  World w({.workers = 2, .aside = 1});
  std::vector<WorkQueue::Key> bad{w.add(), w.add(), w.add()};
  for (auto key : bad) {
    w.mark(key, Urgency::sign_in);
    ASSERT_EQ(w.take(), key);
    w.bad(key, false);
  }
  for (auto key : bad) w.mark(key, Urgency::sign_in);
  EXPECT_EQ(w.take(), bad[0]);
  EXPECT_FALSE(w.take()) << "one at a time of those that fail";
  auto x = w.add(), y = w.add(), z = w.add();
  for (auto key : {x, y, z}) w.mark(key, Urgency::sign_in);
  EXPECT_EQ(w.take(), x);
  EXPECT_EQ(w.take(), y);
  EXPECT_FALSE(w.take()) << "both workers are busy";
  w.bad(bad[0], false);
  EXPECT_EQ(w.take(), bad[1]);
  w.good(x);
  EXPECT_EQ(w.take(), z);
}

TEST(WorkQueue, RunsThatTakeLongAreSetAside) {
  World w({.workers = 1, .aside = 1, .slow = Duration{1000}});
  auto a = w.add(), b = w.add(), c = w.add();
  for (auto key : {a, b, c}) w.mark(key, Urgency::sign_in);
  EXPECT_EQ(w.take(), a);
  EXPECT_FALSE(w.take());
  EXPECT_EQ(w.queue.next_at(w.now), w.now + seconds(1)) << "then it is slow";
  w.now += seconds(1);
  EXPECT_EQ(w.take(), b);
  w.now += seconds(1);
  EXPECT_FALSE(w.take()) << "but so many only";
  w.good(a);
  EXPECT_EQ(w.take(), c);
}

TEST(WorkQueue, KeepsTheLastCallsForClosing) {
  World w;
  std::vector<WorkQueue::Key> keys;
  for (int i = 0; i < 12; ++i) keys.push_back(w.add("cloud", {10, 10}));
  for (auto key : keys) w.mark(key, Urgency::sign_in);
  int opened = 0;
  while (auto key = w.take()) {
    w.good(*key);
    ++opened;
  }
  EXPECT_EQ(opened, 8);
  w.mark(keys[0], Urgency::close);
  w.mark(keys[1], Urgency::close);
  w.mark(keys[2], Urgency::close);
  for (int i : {0, 1}) {
    EXPECT_EQ(w.take(), keys[std::size_t(i)]);
    w.good(keys[std::size_t(i)]);
  }
  EXPECT_FALSE(w.take()) << "there are ten calls in all";
  w.now = *w.queue.next_at(w.now);
  EXPECT_GE(w.now, kStart + milliseconds(100));
  EXPECT_LE(w.now, kStart + milliseconds(101));
  EXPECT_EQ(w.take(), keys[2]);
}

TEST(WorkQueue, AnAccountWithoutCallsKeepsNobodyElseBack) {
  World w;
  auto a = w.add("spent", {1, 1});
  w.mark(a, Urgency::sign_in);
  ASSERT_EQ(w.take(), a);
  w.queue.spend(a, 100, w.now);  // it turned out to be large
  w.queue.done(a, {}, w.now, w.random);
  w.mark(a, Urgency::close);
  EXPECT_FALSE(w.take());
  auto b = w.add("other", {1, 1});
  w.mark(b, Urgency::sign_in);
  EXPECT_EQ(w.take(), b);
  w.now += seconds(99);
  EXPECT_FALSE(w.take()) << "what was overdrawn is paid first";
  w.now += seconds(1) + milliseconds(1);
  EXPECT_EQ(w.take(), a);
}

TEST(WorkQueue, LeavesAnAccountAloneThatFailsForSeveralTargets) {
  World w;
  std::vector<WorkQueue::Key> keys;
  for (int i = 0; i < 8; ++i) keys.push_back(w.add("cloud"));
  auto other = w.add();
  for (int i = 0; i < Breaker::kOpensAfter; ++i) {
    w.mark(keys[std::size_t(i)], Urgency::sign_in);
    ASSERT_EQ(w.take(), keys[std::size_t(i)]);
    w.bad(keys[std::size_t(i)]);
  }
  for (auto key : keys) w.mark(key, Urgency::sign_in);
  EXPECT_FALSE(w.take()) << "nobody of it is tried";
  auto until = w.queue.account_waits_until(keys[7], w.now);
  ASSERT_TRUE(until);
  w.mark(other, Urgency::sign_in);
  EXPECT_EQ(w.take(), other);
  w.now = *until;
  auto probe = w.take();
  ASSERT_TRUE(probe);
  EXPECT_FALSE(w.take()) << "one tries for all";
  w.good(*probe);
  EXPECT_FALSE(w.queue.account_waits_until(keys[7], w.now));
  int went = 0;
  while (w.take()) ++went;
  EXPECT_GE(went, 6);
}

TEST(WorkQueue, AnAccountThatIsLeftAloneIsTriedSoonWhereSomethingMustClose) {
  World w;
  std::vector<WorkQueue::Key> keys;
  for (int i = 0; i < 8; ++i) keys.push_back(w.add("cloud"));
  for (int round = 0; round < 20; ++round) {
    for (auto key : keys) w.mark(key, Urgency::sign_in);
    while (auto key = w.take()) w.bad(*key);
    w.now += seconds(1);
  }
  ASSERT_TRUE(w.queue.account_waits_until(keys[0], w.now));
  w.mark(keys[3], Urgency::close);
  EXPECT_LE(*w.queue.next_at(w.now), w.now + seconds(30));
  w.now += seconds(30);
  EXPECT_EQ(w.take(), keys[3]);
}

TEST(WorkQueue, OneBadTargetDoesNotStopItsAccount) {
  World w;
  auto bad = w.add("cloud"), good = w.add("cloud");
  for (int i = 0; i < 50; ++i) {
    w.mark(bad, Urgency::close);
    if (w.take() == bad) w.bad(bad);
  }
  w.mark(good, Urgency::sign_in);
  EXPECT_EQ(w.take(), good);
}

TEST(WorkQueue, HeedsTheProvidersWordForTheWholeAccount) {
  World w;
  auto a = w.add("cloud"), b = w.add("cloud");
  w.mark(a, Urgency::sign_in);
  ASSERT_EQ(w.take(), a);
  w.bad(a, true, Duration::seconds(40));
  w.mark(b, Urgency::close);
  EXPECT_FALSE(w.take());
  w.now += seconds(40);
  EXPECT_EQ(w.take(), b);
}

TEST(WorkQueue, FewRetriesAmongManyTries) {
  World w;
  auto bad = w.add("cloud"), other = w.add("cloud");
  int retries = 0;
  auto retry = [&] {
    w.mark(bad, Urgency::sign_in);
    auto key = w.take();
    if (key != bad) return false;
    ++retries;
    w.bad(bad, false);
    return true;
  };
  ASSERT_TRUE(retry());  // the first try
  while (retry()) {
  }
  EXPECT_EQ(retries, 11) << "ten in a row, then no more";
  w.now += seconds(10);
  EXPECT_TRUE(retry()) << "one each ten seconds";
  EXPECT_FALSE(retry());
  for (int i = 0; i < 20; ++i) {
    w.mark(other, Urgency::sign_in);
    for (auto key = w.take(); key; key = w.take()) key == other ? w.good(other) : w.bad(bad, false);
  }
  w.mark(bad, Urgency::close);
  EXPECT_EQ(w.take(), bad) << "what must close does not ask";
}

TEST(WorkQueue, ATargetThatIsTakenForAPlanWaits) {
  World w;
  auto a = w.add();
  EXPECT_TRUE(w.queue.claim(a));
  EXPECT_FALSE(w.queue.claim(a));
  w.mark(a, Urgency::close);
  EXPECT_FALSE(w.take());
  w.queue.release(a);
  EXPECT_EQ(w.take(), a);
  EXPECT_FALSE(w.queue.claim(a));
}

TEST(WorkQueue, ForgetsTargetsAndAccounts) {
  World w;
  auto a = w.add("cloud", {1, 1});
  auto b = w.add("cloud", {1, 1});
  w.mark(a, Urgency::sign_in);
  w.mark(b, Urgency::sign_in);
  ASSERT_EQ(w.take(), a);
  w.queue.spend(a, 1, w.now);
  EXPECT_FALSE(w.take());
  w.queue.remove(a);
  w.queue.remove(b);
  EXPECT_EQ(w.queue.waiting(), 0u);
  EXPECT_EQ(w.queue.in_flight(), 0u);
  auto c = w.add("cloud", {1, 1});
  w.mark(c, Urgency::sign_in);
  EXPECT_EQ(w.take(), c) << "an account of that name is a new one";
}

TEST(WorkQueue, AMovedTargetGoesByItsNewAccount) {
  World w;
  auto a = w.add("spent", {1, 1});
  w.mark(a, Urgency::sign_in);
  ASSERT_EQ(w.take(), a);
  w.good(a);
  w.mark(a, Urgency::sign_in);
  EXPECT_FALSE(w.take());
  w.queue.move(a, "fresh", {1, 1}, w.now);
  EXPECT_EQ(w.take(), a);
}

/// Whatever happens in whatever order: nobody is run twice at once, nothing that was asked for is
/// forgotten, what closes is never behind what does not where both may go, and all of it comes to an
/// end.
TEST(WorkQueue, LosesNothingInAnyOrderOfEvents) {
  constexpr int kTargets = 12;
  std::size_t taken_in_all = 0, closings = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 dice(seed);
    auto roll = [&](int n) { return int(dice() % unsigned(n)); };
    World w({.workers = std::size_t(1 + roll(4)), .aside = std::size_t(1 + roll(3))});
    std::vector<WorkQueue::Key> keys;
    std::vector<bool> asked(kTargets), runs(kTargets);
    for (int i = 0; i < kTargets; ++i)
      keys.push_back(w.add("account-" + std::to_string(i % 4), {i % 4 == 0 ? 0 : 5 * (i % 4), 3}));
    auto take = [&] {
      auto got = w.queue.take(w.now);
      if (!got) return false;
      auto i = std::size_t(std::find(keys.begin(), keys.end(), got->key) - keys.begin());
      EXPECT_FALSE(runs[i]) << "seed " << seed;
      EXPECT_TRUE(asked[i]) << "seed " << seed;
      asked[i] = false;
      runs[i] = true;
      ++taken_in_all;
      closings += got->closing;
      return true;
    };
    auto finish = [&](std::size_t i, bool good) {
      runs[i] = false;
      good ? w.good(keys[i]) : w.bad(keys[i], roll(2) == 0);
      if (good) return;
      asked[i] = true;
      w.mark(keys[i], Urgency(roll(6)));
      w.queue.not_before(keys[i], w.now + milliseconds(roll(60'000)));
    };
    for (int step = 0; step < 400; ++step) {
      auto i = std::size_t(roll(kTargets));
      switch (roll(5)) {
        case 0:
        case 1:
          asked[i] = true;
          w.mark(keys[i], Urgency(roll(6)), Duration{roll(300)});
          break;
        case 2:
          take();
          break;
        case 3:
          if (runs[i]) finish(i, roll(3) > 0);
          break;
        default:
          w.now += milliseconds(roll(2000));
      }
    }
    // From now on everything works.
    for (int round = 0; round < 10'000 && (w.queue.waiting() > 0 || w.queue.in_flight() > 0);
         ++round) {
      while (take()) {
      }
      bool any = false;
      for (std::size_t i = 0; i < kTargets; ++i)
        if (runs[i]) {
          any = true;
          finish(i, true);
        }
      if (any) continue;
      auto next = w.queue.next_at(w.now);
      ASSERT_TRUE(next) << "somebody waits for nothing, seed " << seed;
      w.now = std::max(*next, w.now + milliseconds(1));
    }
    EXPECT_EQ(w.queue.waiting(), 0u) << "seed " << seed;
    EXPECT_EQ(std::count(asked.begin(), asked.end(), true), 0) << "seed " << seed;
  }
  EXPECT_GT(taken_in_all, 10'000u);
  EXPECT_GT(closings, 1'000u);
}

}  // namespace
}  // namespace knock
