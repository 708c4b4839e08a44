// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "schemas/policy/policy.h"

namespace knock {

/// What the named networks hold, in the order of the names; a name that no network has holds
/// nothing. Neither sorted nor without overlaps. Pure.
std::vector<Prefix> prefixes_of(const Policy& policy, const std::vector<NetworkName>& names);

}  // namespace knock
