// SPDX-License-Identifier: Apache-2.0
// What a target does when time, people and machines do what they do, in sentences: for whoever has
// to decide what to put behind it, and for whoever is called at night. From its capabilities and
// policy alone; nothing is read. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/prefix.h"
#include "schemas/capabilities.h"
#include "schemas/policy/policy.h"

namespace knock {

struct Told {
  std::string when;  // "an entry ends", "knock is gone"
  std::string what;  // what happens then
};

std::vector<Told> explain_target(const Target& target, const Capabilities& capabilities,
                                 std::span<const Prefix> keep);

}  // namespace knock
