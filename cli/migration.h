// SPDX-License-Identifier: Apache-2.0
// From an older version of the policy language to the newest, one version at a time.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schemas/diagnostic.h"

namespace knock::cli {

/// Version N to N + 1, where N is its place in the list, counted from 1.
struct MigrationStep {
  std::string what;  // one line, for people
  /// The text of one file. It must carry the header of the next version afterwards.
  std::function<Result<std::string>(std::string_view content)> apply;
};

/// Those of this build. Version 1 is the only one there is, so there are none.
const std::vector<MigrationStep>& migration_steps();

struct MigratedFile {
  std::optional<std::string> text;  // unset when there are diagnostics
  int from = 0;
  std::vector<std::string> done;  // of each step
  Diagnostics diagnostics;        // the loader's, about the text or its header
};

/// An error when a step does not do what it promises.
Result<MigratedFile> migrate_policy_file(const std::string& file, std::string_view content,
                                         const std::vector<MigrationStep>& steps);

}  // namespace knock::cli
