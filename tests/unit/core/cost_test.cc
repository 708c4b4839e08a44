// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/cost.h"

#include <gtest/gtest.h>

namespace knock {
namespace {

Change change(Action action, Step step) {
  Change out;
  out.action = action;
  out.step = step;
  return out;
}

/// Two removals that must not wait, three additions, two removals that policy wants.
std::vector<Change> plan() {
  std::vector<Change> out(2, change(Action::remove, Step::close_now));
  out.insert(out.end(), 3, change(Action::add, Step::open));
  out.insert(out.end(), 2, change(Action::remove, Step::close_by_policy));
  return out;
}

Capabilities one_by_one(std::size_t batch) {
  Capabilities out;
  out.batch = batch;
  return out;
}

TEST(Cost, AnOrderMayTakeMoreCallsThanTheChangesAlone) {
  auto changes = plan();
  EXPECT_EQ(calls_for(one_by_one(10), changes), 3u);
  EXPECT_EQ(least_calls_for(one_by_one(10), changes), 2u) << "all removals in one call";
  EXPECT_EQ(calls_for(one_by_one(1), changes), 7u);
  EXPECT_EQ(least_calls_for(one_by_one(1), changes), 7u);
  EXPECT_EQ(least_calls_for(one_by_one(0), changes), std::nullopt);
  Capabilities atomic;
  atomic.atomic = true;
  EXPECT_EQ(least_calls_for(atomic, changes), 1u);
  std::vector<Change> reports(3);
  EXPECT_EQ(least_calls_for(atomic, reports), 0u);
}

TEST(Cost, ReadingTakesAPageACall) {
  Capabilities able;
  EXPECT_EQ(calls_to_read(able, 1'000'000), 1u);
  able.read_page = 100;
  EXPECT_EQ(calls_to_read(able, 0), 1u);
  EXPECT_EQ(calls_to_read(able, 100), 1u);
  EXPECT_EQ(calls_to_read(able, 101), 2u);
}

TEST(Cost, PaysForAFirstPartOfThePlanAndForClosingFirst) {
  struct Row {
    std::size_t batch, closing, all, want;
  };
  for (const Row& row : {
           Row{1, 0, 0, 0},
           Row{1, 1, 0, 1},
           Row{1, 2, 0, 2},
           Row{1, 9, 0, 2},
           Row{1, 2, 3, 3},
           Row{1, 9, 6, 6},
           Row{1, SIZE_MAX, SIZE_MAX, 7},
           Row{2, 1, 0, 2},
           Row{2, 1, 2, 4},
           Row{2, 1, 3, 5},
           Row{2, 1, 4, 7},
           Row{0, 0, 0, 7},
       })
    EXPECT_EQ(affordable(one_by_one(row.batch), plan(), row.closing, row.all), row.want)
        << row.batch << " " << row.closing << " " << row.all;
  Capabilities atomic;
  atomic.atomic = true;
  EXPECT_EQ(affordable(atomic, plan(), 0, 0), 0u);
  EXPECT_EQ(affordable(atomic, plan(), 1, 0), 7u) << "one call does it all";
}

}  // namespace
}  // namespace knock
