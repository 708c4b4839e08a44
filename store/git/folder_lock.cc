// SPDX-License-Identifier: Apache-2.0
#include "store/git/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace knock::git {

namespace fs = std::filesystem;

Result<FolderLock> FolderLock::take(const std::string& file, Deadline deadline) {
  FolderLock lock(OwnedFd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)));
  if (!lock.fd_.open())
    return fail(ErrorKind::unavailable, fmt::format("{}: {}", file, std::strerror(errno)));
  while (::flock(lock.fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (deadline.passed())
      return fail(ErrorKind::timeout,
                  file + ": another knock process was fetching the whole time; try again");
    ::poll(nullptr, 0, 10);  // flock has no waiting with a deadline
  }
  return lock;
}

Status make_folder(const fs::path& folder) {
  std::error_code error;
  if (folder.has_parent_path()) fs::create_directories(folder.parent_path(), error);
  if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail(ErrorKind::unavailable,
              fmt::format("{}: cannot be made: {}", folder.string(), std::strerror(errno)));
}

}  // namespace knock::git
