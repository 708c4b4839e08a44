// SPDX-License-Identifier: Apache-2.0
// The deterministic simulator: the real loop and core against targets and a store that live in
// memory, with time, chance, people, operators, crashes and broken replies drawn from one seed.
// After each step it asks what must never happen; at the end everything is mended, and what stands
// must be what policy, sessions and time want. One thread; the same seed tells the same story.
//
// Not in here yet: agents, several controllers, faults of identity providers and of Git.
//
// Invariants (the names are in a violation):
//   opened-without-grant   nothing is opened, or prolonged, that no grant of that moment covers
//   open-too-long          nothing of ours stands longer than its grant, but for a stated while
//   foreign-touched        what somebody else put there stays as it was
//   keep-missing           operators' standing accepts stand on every protected port
//   chain                  the log verifies
//   not-settled            when all faults are over, target = policy × sessions × now
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"

namespace knock {

struct SimulationSettings {
  std::uint64_t seed = 1;
  std::size_t steps = 2000;
  std::set<std::size_t> left_out;  // steps that do not happen, to find which ones matter
};

struct Violation {
  std::string invariant;
  std::string what;
  std::size_t step = 0;
  Instant at;
};

struct SimulationResult {
  std::optional<Violation> violation;
  std::vector<std::string> story;  // one line for each step that happened: "412 10:04:11.042 …"
  std::size_t events = 0;          // steps, calls and what happened within calls
  std::size_t crashes = 0, calls = 0, faults = 0, sign_ins = 0, edits = 0, policies = 0;
  std::string digest;  // of the end: equal seeds give equal ones
};

SimulationResult simulate(const SimulationSettings& settings);

/// The same violation with as few steps as could be found in `tries` runs.
SimulationResult smallest_story(const SimulationSettings& settings, const SimulationResult& found,
                                std::size_t tries = 300);

}  // namespace knock
