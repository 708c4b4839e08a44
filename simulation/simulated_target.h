// SPDX-License-Identifier: Apache-2.0
// A target in the simulator: what stands there, what kind of thing it is, and what goes wrong with
// the next calls. Its provider is what the loop sees. One thread; a call is where time passes, so
// the world may let other things happen within it (Yield).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "reconciler/interfaces/provider.h"
#include "simulation/model_target.h"
#include "simulation/virtual_time.h"

namespace knock {

/// The shapes of targets that there are.
enum class TargetShape : std::uint8_t {
  per_entry,      // one call an entry or a few; nothing ends by itself: a cloud's security group
  versioned_set,  // one list with a revision that a write must name
  pushed,         // entries are pushed with a lifetime that the target counts itself
  document,       // one text is written as a whole, without looking
  kernel,         // one transaction, own timers, a generation: nftables
};
inline constexpr TargetShape kTargetShapes[] = {TargetShape::per_entry, TargetShape::versioned_set,
                                                TargetShape::pushed, TargetShape::document,
                                                TargetShape::kernel};
std::string_view to_string(TargetShape shape);
Capabilities capabilities_of(TargetShape shape);

/// How one call goes wrong.
enum class CallFault : std::uint8_t {
  none,
  refused,       // the provider's error, and nothing happened
  limited,       // too many calls: come back later
  timed_out,     // nothing happened, but nobody knows
  lost_reply,    // it happened, and nobody knows
  half,          // a part of it happened, and nobody knows which
  partial_read,  // a reading that does not show everything, and says so
};

/// Where a call is; the world may do other things there, or end the process by an exception.
enum class CallPoint : std::uint8_t { before, within, after };

struct SimulatedTarget {
  std::string name;  // as policy names it; also its table
  TargetShape shape = TargetShape::kernel;
  ModelTarget model;
  std::uint64_t revision = 1;
  std::map<std::pair<std::string, Prefix>, ModelElement> foreign;  // put there by somebody's hand

  CallFault next_read = CallFault::none, next_write = CallFault::none;
  Duration latency{5};
  std::uint64_t reads = 0, writes = 0;
  std::optional<Instant> trouble;  // until when it was not as it should be, by our doing

  /// The target's own timers.
  void expire(Instant now);
  std::size_t own() const;
};

/// What the provider tells the world.
struct TargetWorld {
  VirtualClock& clock;
  std::function<void(SimulatedTarget&, CallPoint)> yield;
  /// Before a change that opens has its effect.
  std::function<void(SimulatedTarget&, const Change&)> opens;
};

std::unique_ptr<Provider> provider_of(SimulatedTarget& target, TargetWorld& world);

}  // namespace knock
