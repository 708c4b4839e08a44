// SPDX-License-Identifier: Apache-2.0
// Which commit a line came from. A child `git` looks: how long it takes is up to whoever wrote the
// history, and only a child can be ended at a deadline. Internal to store/git.
#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"

namespace knock::git {

struct Line {
  std::string mirror, home;
  std::string commit;
  std::string path;  // from the root of the commit's tree
  std::uint32_t number = 1;
};

/// A commit id. `not_found`: no such file or line there.
Result<std::string> commit_of(const Line& line, Deadline deadline);

}  // namespace knock::git
