// SPDX-License-Identifier: Apache-2.0
// Two texts as `diff -u` shows them.
#pragma once

#include <string>
#include <string_view>

namespace knock::cli {

/// "" when they are the same. Three lines of context; texts that differ in more than a few thousand
/// lines are shown as one replaced by the other.
std::string unified_diff(const std::string& name, std::string_view before, std::string_view after);

}  // namespace knock::cli
