// SPDX-License-Identifier: Apache-2.0
// Which change of a target needs which other to have happened first, so that in between nobody is
// cut who may pass before and after, and nobody gets in who may do so in neither. order() sorts by
// it, guard() holds back with a change everything that needs it. Pure.
//
//   this                     needs before it                      or else
//   a slot gains ports       what policy takes out of the slot    that would pass the new ports
//   an entry comes           its slot                             there is no place for it
//   an entry comes           its slot loses the ports that go     it would pass the old ports
//   a slot goes              what is taken out of it              (removed by the way)
//   policy takes an entry    entries and slots that take over     it would be cut for a moment
//   a slot loses ports       entries and slots that take over     those in it would be cut
//   keep prefixes go         entries that take over               operators would be cut
//   protect                  everything that lets through there   everybody would be cut
//   anything that closes     unprotect of the same ports          it would be cut for a moment
//
// What must close at once (must_not_wait) needs nothing. Ports that are open to everybody before or
// after the plan make no difference to who passes, so only ports protected in both count, except
// for `protect` and `unprotect` themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "reconciler/interfaces/provider.h"
#include "schemas/plan/plan.h"

namespace knock {

struct Need {
  std::uint32_t first = 0;  // index of the change that comes first
  std::uint32_t then = 0;   // index of the change that needs it
  /// Without it somebody would be let in, or the change cannot be made. Such needs never form a
  /// circle; the others (somebody would be cut) may, when two slots exchange ports.
  bool firm = false;
  friend auto operator<=>(const Need&, const Need&) = default;
};

/// Sorted. `standing`: the entries before the plan; without them, any address is taken to stand in
/// any slot.
std::vector<Need> needs_of(std::span<const Change> changes, const Structure& have,
                           const std::vector<ObservedSlot>* standing);

/// Adds `seeds` and all that needs them, directly or not, to `in` (one flag for each change): what has
/// to be left out with them. Where `skip` says so, a change stays out, and what needs only that too.
/// Returns how many were added.
std::size_t add_with_what_needs(std::span<const Need> needs, std::vector<bool>& in,
                                std::span<const std::uint32_t> seeds,
                                const std::function<bool(std::uint32_t)>& skip = {});

/// True for a reshape that closes something: the slot goes or lets fewer ports through than `have`.
bool narrows(const Change& reshape, const Structure& have);
/// True for a `keep` change after which some of the present prefixes stand no more.
bool drops_keep(const Change& keep, const Structure& have);

}  // namespace knock
