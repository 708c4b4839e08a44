// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>
#include <thread>
#include <vector>

#include "base/time.h"

namespace knock {
namespace {

/// A machine whose two clocks are moved by hand. `between` runs after each single reading, as a
/// preempted thread would see.
class FakeMachine final : public Clock {
 public:
  Instant now() const override {
    auto seen = wall;
    if (between) between();
    return seen;
  }
  MonotonicTime monotonic() const override {
    auto seen = MonotonicTime(std::chrono::milliseconds(elapsed.ms));
    if (between) between();
    return seen;
  }
  void pass(Duration d) {
    wall = wall + d;
    elapsed = elapsed + d;
  }
  Instant wall = Instant::from_seconds(1'000'000);
  Duration elapsed = Duration::seconds(500);
  std::function<void()> between;
};

constexpr Instant kStart = Instant::from_seconds(1'000'000);

TEST(SteadyWall, FollowsTheMachine) {
  FakeMachine machine;
  SteadyWall clock(machine, {});
  EXPECT_EQ(clock.now(), kStart);
  for (int i = 1; i < 100; ++i) {
    machine.pass({333});
    EXPECT_EQ(clock.now(), machine.wall);
    EXPECT_EQ(clock.behind(), Duration{0});
  }
  EXPECT_EQ(clock.monotonic(), machine.monotonic());
}

TEST(SteadyWall, AClockSetBackLengthensNothing) {
  FakeMachine machine;
  SteadyWall clock(machine, {});
  Instant deadline = clock.now() + Duration::hours(1);
  machine.pass(Duration::minutes(30));
  EXPECT_LT(clock.now(), deadline);
  machine.wall = machine.wall - Duration::hours(24);
  EXPECT_EQ(clock.now(), kStart + Duration::minutes(30)) << "never backwards";
  EXPECT_EQ(clock.behind(), Duration::hours(24));
  machine.pass(Duration::minutes(30));
  EXPECT_GE(clock.now(), deadline) << "closes when an hour has passed";
  machine.pass(Duration::hours(1));
  EXPECT_EQ(clock.now(), kStart + Duration::hours(2)) << "and goes on at the machine's pace";
}

TEST(SteadyWall, AClockSetForwardsIsFollowedAndKept) {
  FakeMachine machine;
  SteadyWall clock(machine, {});
  machine.wall = machine.wall + Duration::hours(5);
  EXPECT_EQ(clock.now(), kStart + Duration::hours(5));
  machine.wall = machine.wall - Duration::hours(5);
  EXPECT_EQ(clock.now(), kStart + Duration::hours(5)) << "what was shown stays true";
  machine.pass(Duration::minutes(1));
  EXPECT_EQ(clock.now(), kStart + Duration::hours(5) + Duration::minutes(1));
}

TEST(SteadyWall, ASuspendedMachineWakesAtTheRightTime) {
  FakeMachine machine;
  SteadyWall clock(machine, {});
  machine.wall = machine.wall + Duration::hours(8);  // monotonic time stood still
  EXPECT_EQ(clock.now(), kStart + Duration::hours(8));
}

TEST(SteadyWall, AStoppedWallClockStillRunsDeadlinesOut) {
  FakeMachine machine;
  SteadyWall clock(machine, {});
  machine.elapsed = machine.elapsed + Duration::hours(1);
  EXPECT_EQ(clock.now(), kStart + Duration::hours(1));
}

TEST(SteadyWall, IsNeverEarlierThanWhatIsWritten) {
  FakeMachine machine;
  Instant written = kStart + Duration::hours(10);
  SteadyWall clock(machine, written);
  EXPECT_EQ(clock.now(), written);
  EXPECT_EQ(clock.behind(), Duration::hours(10));
  machine.pass(Duration::hours(1));
  EXPECT_EQ(clock.now(), written + Duration::hours(1));
  machine.wall = written + Duration::hours(3);  // put right
  EXPECT_EQ(clock.now(), written + Duration::hours(3));
  EXPECT_EQ(clock.behind(), Duration{0});
}

TEST(SteadyWall, APauseBetweenTheReadingsLeavesNoTrace) {
  FakeMachine machine;
  SteadyWall clock(machine, {});
  machine.between = [&] {
    machine.between = nullptr;
    machine.pass(Duration::seconds(90));
  };
  (void)clock.now();
  EXPECT_EQ(clock.now(), machine.wall) << "a clock that ran ahead would close doors early for ever";
}

TEST(SteadyWall, AnyWalkOfTheWallClockNeverGoesBackwards) {
  FakeMachine machine;
  SteadyWall clock(machine, {});
  Instant last = clock.now();
  Duration passed{};
  std::uint64_t state = 1;
  for (int i = 0; i < 10'000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::int64_t jump = std::int64_t(state >> 40) - (1 << 23);
    machine.wall = machine.wall + Duration{jump};
    machine.pass({std::int64_t(state >> 60)});
    passed = passed + Duration{std::int64_t(state >> 60)};
    Instant now = clock.now();
    ASSERT_GE(now, last);
    ASSERT_GE(now, machine.wall);
    ASSERT_GE(now, kStart + passed) << "slower than real time";
    last = now;
  }
}

TEST(SteadyWall, ManyThreadsSeeItForwardsOnly) {
  SystemClock machine;
  SteadyWall clock(machine, {});
  std::vector<std::jthread> threads;
  std::atomic<int> backwards = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      Instant last = clock.now();
      for (int n = 0; n < 20'000; ++n) {
        Instant now = clock.now();
        backwards += now < last;
        last = now;
      }
    });
  threads.clear();
  EXPECT_EQ(backwards, 0);
}

}  // namespace
}  // namespace knock
