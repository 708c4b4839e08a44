// SPDX-License-Identifier: Apache-2.0
// Policy files that commands rewrite in place.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace knock::cli {

/// The files that the paths name, and every *.yaml and *.yml below the folders among them; sorted,
/// each once. Names with a leading dot are passed over, and so are links inside a folder. A path
/// that is itself a link is an error.
Result<std::vector<std::string>> policy_paths(const std::vector<std::string>& paths);

/// What to say of a folder that holds the controller's configuration, which is no policy and would
/// give an error for each of its keys: a sentence that names the folders beside it. "" of others.
std::string not_a_policy_folder(const std::string& folder);

/// An error beyond a policy file's 1 MiB.
Result<std::string> read_policy_path(const std::string& path);

/// The whole new content or the old one, never something between: a file beside it takes its place.
/// `conflict` when it no longer holds `before`. Mode stays, owner where we may.
Status replace_policy_file(const std::string& path, std::string_view before,
                           std::string_view after);

}  // namespace knock::cli
