// SPDX-License-Identifier: Apache-2.0
#include "simulation/simulation.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace knock {
namespace {

SimulationSettings settings(std::uint64_t seed, std::size_t steps) {
  SimulationSettings out;
  out.seed = seed;
  out.steps = steps;
  return out;
}

TEST(Simulation, TheSameSeedTellsTheSameStory) {
  auto one = simulate(settings(7, 400)), other = simulate(settings(7, 400));
  EXPECT_EQ(one.story, other.story);
  EXPECT_EQ(one.digest, other.digest);
  EXPECT_NE(one.digest, simulate(settings(8, 400)).digest);
}

TEST(Simulation, NothingForbiddenHappens) {
  SimulationResult all;
  for (std::uint64_t seed = 1; seed <= 16; ++seed) {
    auto result = simulate(settings(seed, 300));
    if (result.violation) {
      auto least = smallest_story(settings(seed, 300), result);
      FAIL() << "seed " << seed << " step " << result.violation->step << ": "
             << result.violation->invariant << ": " << result.violation->what << "\n"
             << join(least.story, "\n") << "\n"
             << least.violation->invariant << ": " << least.violation->what;
    }
    all.crashes += result.crashes;
    all.calls += result.calls;
    all.faults += result.faults;
    all.sign_ins += result.sign_ins;
    all.edits += result.edits;
    all.policies += result.policies;
  }
  // Nothing is proven by a story in which nothing happens.
  EXPECT_GT(all.crashes, 20u);
  EXPECT_GT(all.calls, 3'000u);
  EXPECT_GT(all.faults, 150u);
  EXPECT_GT(all.sign_ins, 300u);
  EXPECT_GT(all.edits, 80u);
  EXPECT_GT(all.policies, 25u);
}

}  // namespace
}  // namespace knock
