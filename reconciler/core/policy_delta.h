// SPDX-License-Identifier: Apache-2.0
// What differs between two policies, element by element, in the canonical form in which they print:
// order, layout and comments mean nothing. Pure.
#pragma once

#include <vector>

#include "schemas/plan/plan.h"
#include "schemas/policy/policy.h"

namespace knock {

/// In the order of a policy's sections, then by name. Nothing when none is in force: the whole
/// policy would be new.
std::vector<PolicyEdit> policy_delta(const Policy* in_force, const Policy& planned);

}  // namespace knock
