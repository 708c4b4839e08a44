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
OpenPull pull(std::uint64_t number, std::int64_t updated, char head = 'a',
              std::uint64_t author = 0) {
  return {number, std::string(40, head), Instant::from_seconds(updated), author};
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
  queue.listed({pull(1, 30), pull(2, 10), pull(3, 20)}, at(0));
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
  queue.listed({pull(1, 1), pull(2, 2)}, at(0));
  queue.answered(pull(1, 1), "b", at(0), planned);
  queue.answered(pull(2, 2), "b", at(1), refused);
  EXPECT_EQ(next(queue, "b", 2), 0u);
  queue.listed({pull(1, 1), pull(2, 9, 'c')}, at(0));
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
    queue.listed(open, at(turn));
    auto one = queue.next("b", at(turn));
    ASSERT_TRUE(one);
    ++turns[one->number];
    queue.answered(*one, "b", at(turn), planned);
  }
  EXPECT_EQ(turns.size(), 20u) << "everybody had one";
}

TEST(PullQueue, WhatFailsIsTriedLaterAndLaterAndHoldsNobodyUp) {
  PullQueue queue;
  queue.listed({pull(1, 1), pull(2, 2)}, at(0));
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
  queue.listed({pull(1, 1, 'd')}, at(0));
  EXPECT_EQ(next(queue, "b", 10), 1u) << "somebody pushed: at once";
}

TEST(PullQueue, AnswersToWhatIsNotThereAnyMoreAreForgotten) {
  PullQueue queue;
  queue.listed({pull(1, 1)}, at(0));
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
  queue.listed({}, at(0));
  EXPECT_EQ(next(queue, "b", 10), 0u) << "closed";
  EXPECT_EQ(queue.counts("b").open, 0u);
}

/// Twenty that are closed and opened again in turn: as one author's, as twenty accounts', as nobody's.
/// Opened under new numbers each time, too.
TEST(PullQueue, WhoClosesAndOpensAgainDoesNotComeBeforeTheOthers) {
  constexpr int kMinutes = 24 * 60;
  for (int authors : {0, 1, 20})
    for (bool new_numbers : {false, true}) {
      SCOPED_TRACE(std::to_string(authors) + (new_numbers ? " new" : " again"));
      PullQueue queue;
      queue.listed({pull(1, 0, 'a', 7)}, at(0));
      queue.answered(pull(1, 0, 'a', 7), "b", at(0), planned);
      int waits = 0, longest = 0, turns = 0;
      for (int minute = 1; minute <= kMinutes; ++minute) {
        bool pushed = minute % 30 >= 15;
        std::vector<OpenPull> open{pull(1, minute * 60, pushed ? 'b' : 'c', 7)};
        for (std::uint64_t i = 0; i < 10; ++i) {
          auto which = std::uint64_t(minute % 2) * 10 + i;
          auto number = 100 + (new_numbers ? std::uint64_t(minute) * 20 : 0) + which;
          auto author = authors == 0 ? 0 : 1000 + which % std::uint64_t(authors);
          open.push_back(pull(number, 0, char('a' + minute % 6), author));
        }
        queue.listed(std::move(open), at(minute * 60));
        for (int turn = 0; turn < 3; ++turn) {
          auto one = queue.next("b", at(minute * 60 + turn));
          if (!one) break;
          queue.answered(*one, "b", at(minute * 60 + turn), planned);
          if (one->number == 1) ++turns, waits = -1;
        }
        waits = minute % 15 == 0 || waits > 0 ? waits + 1 : 0;
        longest = std::max(longest, waits);
      }
      EXPECT_GE(turns, kMinutes / 15) << "each push of the colleague";
      EXPECT_LE(longest, 10) << "minutes that one of them waited";
    }
}

/// However many changes one author has, another waits for one of them.
TEST(PullQueue, TurnsGoFromAuthorToAuthor) {
  PullQueue queue;
  std::vector<OpenPull> open;
  for (std::uint64_t i = 1; i <= 100; ++i) open.push_back(pull(i, 0, 'a', 66));
  queue.listed(open, at(0));
  for (int i = 1; i <= 10; ++i) queue.answered(*queue.next("b", at(i)), "b", at(i), planned);
  open.push_back(pull(101, 5, 'a', 7));
  queue.listed(open, at(11));
  queue.answered(*queue.next("b", at(12)), "b", at(12), planned);
  EXPECT_EQ(next(queue, "b", 13), 101u) << "being new is no reason to be first, nor to wait long";
}

/// What was planned and opened again is as it was; not for ever, and not of everybody.
TEST(PullQueue, RemembersWhatWasClosedWithinBounds) {
  PullQueue queue;
  queue.listed({pull(1, 1)}, at(0));
  queue.answered(pull(1, 1), "b", at(0), planned);
  queue.listed({}, at(1));
  queue.listed({pull(1, 1)}, at(2));
  EXPECT_EQ(next(queue, "b", 2), 0u);
  queue.listed({}, at(3));
  queue.listed({}, at(3 + 25 * 3600));
  queue.listed({pull(1, 1)}, at(4 + 25 * 3600));
  EXPECT_EQ(next(queue, "b", 4 + 25 * 3600), 1u) << "forgotten after a day";
  queue.answered(pull(1, 1), "b", at(5 + 25 * 3600), planned);
  for (std::uint64_t i = 0; i < 20; ++i) {
    std::vector<OpenPull> others;
    for (std::uint64_t k = 0; k < 100; ++k) others.push_back(pull(1000 + i * 100 + k, 1));
    queue.listed(std::move(others), at(std::int64_t(6 + 25 * 3600 + i)));
  }
  queue.listed({pull(1, 1)}, at(30 + 25 * 3600));
  EXPECT_EQ(next(queue, "b", 30 + 25 * 3600), 1u) << "forgotten beyond so many";
}

TEST(PullQueue, HoldsSoManyAndNoMore) {
  PullQueue queue;
  std::vector<OpenPull> all;
  for (std::uint64_t i = 1; i <= 100'000; ++i) all.push_back(pull(i, std::int64_t(i)));
  queue.listed(std::move(all), at(0));
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
