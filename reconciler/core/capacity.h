// SPDX-License-Identifier: Apache-2.0
// A target that has no place for everything that is wanted: neighbours of static rules that end
// together become one entry, which lets in exactly the same addresses; what still finds no place waits, in the order in
// which it was asked for, and is reported. Nothing that stands gives way, nothing is cut silently.
// Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "reconciler/interfaces/provider.h"
#include "schemas/plan/plan.h"
#include "schemas/policy/policy.h"

namespace knock {

struct Room {
  std::size_t all = 0;       // 0: as much as anybody wants
  std::size_t sessions = 0;  // of it, for what sessions cause: the rest is kept for static rules
  bool limited() const { return all > 0; }
};

/// The smaller of what the target can hold and what policy lets it, less what policy keeps free.
Room room_of(const Target& target, const Capabilities& capabilities);

std::size_t entries_of(const Canonical& desired);
std::size_t entries_of(const Observed& observed);  // foreign ones too: they take a place

/// Two entries of static rules side by side that end at the same time become the one that covers
/// both, again and again. The same addresses are let in, none more and none longer. What sessions
/// cause is never joined.
Canonical with_neighbours_joined(const Canonical& desired);

/// What stands is replaced by something wider before it goes, which takes a place for a moment
/// unless the target changes at one stroke.
bool may_join(const Capabilities& capabilities);

struct Waiting {
  std::size_t entries = 0;   // additions that became reports
  bool for_sessions = true;  // at least one of them is caused by a session
};
/// Turns additions for which there is no place into reports (Reason::no_room). Places that something leaves in the
/// same call, or in a step before, are taken again; others at the next run. Static rules come first,
/// then who asked first: `asked` tells it of a session.
Waiting let_wait(std::vector<Change>& changes, const Observed& observed,
                 const Capabilities& capabilities, const Room& room,
                 const std::function<Instant(const SessionId&)>& asked);

}  // namespace knock
