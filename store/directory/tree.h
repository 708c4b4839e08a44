// SPDX-License-Identifier: Apache-2.0
// A folder's policy files as the file system shows them. Internal to store/directory.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "base/owned_fd.h"
#include "base/result.h"

namespace knock::directory {

/// Which content a path had, without reading it. Times in nanoseconds; `changed` (ctime) cannot be
/// set by hand.
struct Stamp {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t modified = 0, changed = 0;
  friend auto operator<=>(const Stamp&, const Stamp&) = default;
};

struct Found {
  std::string path;  // relative, "/" as separator
  Stamp stamp;
  friend auto operator<=>(const Found&, const Found&) = default;
};

Result<OwnedFd> open_root(const std::string& directory);
/// Every policy file below, sorted by path, within the limits of store/policy_files.h.
Result<std::vector<Found>> list(const OwnedFd& root);
/// The whole content, when it still is the file that was listed; `conflict` when it changed
/// meanwhile.
Result<std::string> read(const OwnedFd& root, const Found& file);

}  // namespace knock::directory
