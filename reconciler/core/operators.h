// SPDX-License-Identifier: Apache-2.0
// Which changes would cut somebody who operates this installation and is signed in now. Nothing is
// left out of a plan because of that: the plan waits for a person (guard `operator`). What must close
// at once (must_not_wait) is no concern here: whoever signed out, was revoked or is denied is kept in
// by nobody. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "reconciler/core/guard.h"

namespace knock {

struct OperatorCut {
  const OperatorHere* here = nullptr;
  std::vector<PortRange> ports;   // that pass before and not after
  std::vector<std::uint32_t> by;  // indices of the changes that do it
};

/// One for each of `operators` who would lose something, in their order. `changes` are all of them,
/// as if nothing were held. The slots of `observed` are sorted by prefix.
std::vector<OperatorCut> operator_cuts(std::span<const Change> changes, const Observed& observed,
                                       std::span<const OperatorHere> operators);

}  // namespace knock
