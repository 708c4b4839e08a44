// SPDX-License-Identifier: Apache-2.0
// How the `git` program is run: no configuration but ours, no hook, no question, an environment of
// our own. Internal to store/git.
#pragma once

#include <string>
#include <vector>

#include "net/child_process.h"

namespace knock::git {

/// `git ARGUMENTS` on a bare mirror; `home` is an empty folder, so that nobody's ~/.gitconfig is
/// read.
net::Command git_command(const std::string& mirror, const std::string& home,
                         const std::vector<std::string>& arguments);

}  // namespace knock::git
