// SPDX-License-Identifier: Apache-2.0
// Folders that several knock processes may use, one at a time. Internal to store/git.
#pragma once

#include <filesystem>
#include <string>

#include "base/owned_fd.h"
#include "base/result.h"
#include "base/time.h"

namespace knock::git {

/// Held while git or we write below a folder; the kernel drops it when the holder dies.
class FolderLock {
 public:
  static Result<FolderLock> take(const std::string& file, Deadline deadline);

 private:
  explicit FolderLock(OwnedFd fd) : fd_(std::move(fd)) {}
  OwnedFd fd_;
};

/// For this user alone; there already is fine.
Status make_folder(const std::filesystem::path& folder);

}  // namespace knock::git
