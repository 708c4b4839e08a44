// SPDX-License-Identifier: Apache-2.0
// A change request as `git diff` writes it, applied to files in memory. Strict: a line that does not
// stand where the patch says is a refusal, so that an example and its change request cannot drift
// apart.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace knock::test {

using Files = std::map<std::string, std::string>;  // content by path

Result<Files> apply_patch(Files files, std::string_view patch);

}  // namespace knock::test
