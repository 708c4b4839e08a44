// SPDX-License-Identifier: Apache-2.0
// What is planned next: values in, a value out, and time by hand.
#include "server/notify/pull_queue.h"

#include <gtest/gtest.h>

namespace knock::notify {
namespace {

constexpr auto planned = PullQueue::Answer::planned, refused = PullQueue::Answer::refused;

MonotonicTime at(std::int64_t seconds) {
  return MonotonicTime{} + std::chrono::hours(1) + std::chrono::seconds(seconds);
}
OpenPull pull(std::uint64_t number, std::int64_t updated, char head = 'a') {
  return {number, std::string(40, head), Instant::from_seconds(updated)};
}
/// 0: nothing.
std::uint64_t next(const PullQueue& queue, const std::string& base, std::int64_t seconds) {
  auto out = queue.next(base, at(seconds));
  return out ? out->number : 0;
}

TEST(PullQueue, WhoWasUpdatedLongestAgoComesFirst) {
  PullQueue queue;
  EXPECT_EQ(next(queue, "b", 0), 0u);
  EXPECT_FALSE(queue.next_time("b"));
  queue.listed({pull(1, 30), pull(2, 10), pull(3, 20)});
  for (std::uint64_t expected : {2u, 3u, 1u}) {
    auto one = queue.next("b", at(0));
    ASSERT_TRUE(one);
    EXPECT_EQ(one->number, expected);
    queue.answered(*one, "b", at(0), planned);
  }
  EXPECT_EQ(next(queue, "b", 1'000'000), 0u) << "each once";
  EXPECT_EQ(queue.counts("b").planned, 3u);
}

TEST(PullQueue, ANewHeadAndWhatComesIntoForceMakeAPlanStale) {
  PullQueue queue;
  queue.listed({pull(1, 1), pull(2, 2)});
  queue.answered(pull(1, 1), "b", at(0), planned);
  queue.answered(pull(2, 2), "b", at(1), refused);
  EXPECT_EQ(next(queue, "b", 2), 0u);
  queue.listed({pull(1, 1), pull(2, 9, 'c')});
  EXPECT_EQ(next(queue, "b", 2), 2u) << "pushed";
  queue.answered(pull(2, 9, 'c'), "b", at(2), planned);
  EXPECT_EQ(next(queue, "b", 3), 0u);
  EXPECT_EQ(next(queue, "b2", 3), 1u) << "another policy is in force";
  EXPECT_EQ(queue.counts("b2").planned, 0u);
  queue.answered(pull(1, 1), "b2", at(3), planned);
  EXPECT_EQ(next(queue, "b2", 3), 2u);
}

/// Somebody who pushes all the time gets a turn, and no more of them than the others.
TEST(PullQueue, WhoPushesAllTheTimeDoesNotComeBeforeTheOthers) {
  PullQueue queue;
  std::vector<OpenPull> quiet;
  for (std::uint64_t i = 2; i <= 20; ++i) quiet.push_back(pull(i, 100 + std::int64_t(i)));
  std::map<std::uint64_t, int> turns;
  for (int turn = 0; turn < 20; ++turn) {
    auto open = quiet;
    open.push_back(pull(1, 0, char('a' + turn % 6)));  // and says that it was updated long ago
    queue.listed(open);
    auto one = queue.next("b", at(turn));
    ASSERT_TRUE(one);
    ++turns[one->number];
    queue.answered(*one, "b", at(turn), planned);
  }
  EXPECT_EQ(turns.size(), 20u) << "everybody had one";
}

TEST(PullQueue, WhatFailsIsTriedLaterAndLaterAndHoldsNobodyUp) {
  PullQueue queue;
  queue.listed({pull(1, 1), pull(2, 2)});
  constexpr std::uint64_t kMost = UINT64_MAX;  // not the longest pause, but one
  EXPECT_EQ(queue.failed(pull(1, 1), "b", at(0), kMost), 1);
  EXPECT_EQ(next(queue, "b", 0), 2u);
  queue.answered(pull(2, 2), "b", at(0), planned);
  EXPECT_EQ(next(queue, "b", 0), 0u);
  auto when = queue.next_time("b");
  ASSERT_TRUE(when);
  EXPECT_LE(*when, at(0) + PullQueue::kFirstPause.chrono());
  EXPECT_EQ(next(queue, "b", 10), 1u);
  for (int i = 2; i < 60; ++i) EXPECT_EQ(queue.failed(pull(1, 1), "b", at(10), kMost), i);
  EXPECT_LE(*queue.next_time("b"), at(10) + PullQueue::kLongestPause.chrono());
  queue.answered(pull(2, 2), "b2", at(10), planned);
  EXPECT_EQ(next(queue, "b2", 10), 1u) << "what is in force moved: at once";
  queue.listed({pull(1, 1, 'd')});
  EXPECT_EQ(next(queue, "b", 10), 1u) << "somebody pushed: at once";
}

TEST(PullQueue, AnswersToWhatIsNotThereAnyMoreAreForgotten) {
  PullQueue queue;
  queue.listed({pull(1, 1)});
  queue.answered(pull(1, 1, 'f'), "b", at(0), planned);
  queue.answered(pull(9, 1), "b", at(0), planned);
  EXPECT_EQ(queue.failed(pull(9, 1), "b", at(0), 0), 0);
  EXPECT_EQ(next(queue, "b", 0), 1u);
  // What was lost on the way is said again, unless something newer was.
  queue.answered(pull(1, 1), "b", at(0), planned);
  EXPECT_EQ(queue.lost(pull(1, 1), "before", at(0), 0), 0);
  EXPECT_EQ(next(queue, "b", 0), 0u);
  EXPECT_EQ(queue.lost(pull(1, 1), "b", at(0), 0), 1);
  EXPECT_EQ(next(queue, "b", 10), 1u);
  queue.listed({});
  EXPECT_EQ(next(queue, "b", 10), 0u) << "closed";
  EXPECT_EQ(queue.counts("b").open, 0u);
}

TEST(PullQueue, HoldsSoManyAndNoMore) {
  PullQueue queue;
  std::vector<OpenPull> all;
  for (std::uint64_t i = 1; i <= 100'000; ++i) all.push_back(pull(i, std::int64_t(i)));
  queue.listed(std::move(all));
  EXPECT_EQ(queue.counts("b").open, PullQueue::kMost);
}

TEST(BackOff, DoublesToItsEndAndIsNeverAtOnce) {
  constexpr Duration kFirst = Duration::seconds(10), kLongest = Duration::minutes(10);
  for (int tries = 1; tries < 100; ++tries) {
    std::int64_t most = tries < 7 ? 10'000LL << (tries - 1) : kLongest.ms;
    for (std::uint64_t dice : {std::uint64_t(0), std::uint64_t(12345), UINT64_MAX}) {
      auto pause = back_off(kFirst, kLongest, tries, dice);
      EXPECT_LE(pause.ms, most) << tries;
      EXPECT_GE(pause.ms, most / 10) << tries;
    }
  }
  EXPECT_NE(back_off(kFirst, kLongest, 1, 1), back_off(kFirst, kLongest, 1, 2));
}

}  // namespace
}  // namespace knock::notify
