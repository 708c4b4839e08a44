// SPDX-License-Identifier: Apache-2.0
// The `targets:` section: what is common to all types, and the settings of each type. A new target
// type adds its keys here and its struct in policy.h.
#pragma once

#include "schemas/policy/parsed_file.h"
#include "schemas/policy/yaml_document.h"

namespace knock {

void read_target(Findings& findings, const YamlNode& body, Declared<Target>& target);

}  // namespace knock
