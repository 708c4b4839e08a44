// SPDX-License-Identifier: Apache-2.0
// What knock.yaml says by now and the running controller does not follow: settings are read once,
// at the start. Pure.
#pragma once

#include <string>
#include <vector>

#include "schemas/config/config.h"

namespace knock {

/// The keys of knock.yaml whose values differ, in the order of docs/cli.md; "sign_in.NAME" for each
/// way of signing in. Empty: none.
std::vector<std::string> changed_settings(const Config& running, const Config& written);

}  // namespace knock
