// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace knock::sqlite {
namespace {

/// The pid its holder wrote, digits only; "unknown" while it has not yet.
std::string holder_of(int fd) {
  std::array<char, 16> text{};
  auto size = pread(fd, text.data(), text.size() - 1, 0);
  std::string pid;
  for (char c : std::string(text.data(), size > 0 ? std::size_t(size) : 0))
    if (c >= '0' && c <= '9') pid += c;
  return pid.empty() ? "unknown" : pid;
}

}  // namespace

Result<Lock> Lock::take(const std::string& store_path) {
  auto path = store_path + ".lock";
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return fail(errno == EACCES ? ErrorKind::unauthorized : ErrorKind::unavailable,
                fmt::format("cannot open the lock {}: {}; the store's folder must exist and be "
                            "writable for this user",
                            path, std::strerror(errno)));
  Lock lock(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0)
    return fail(
        ErrorKind::conflict,
        fmt::format("the store {} is in use by process {}, its one writer; stop that process, "
                    "or ask it through its admin socket instead",
                    store_path, holder_of(fd)));
  auto pid = fmt::format("{}\n", getpid());
  // For people only, so a full disk is no reason to stop: overwritten before it is cut.
  if (pwrite(fd, pid.data(), pid.size(), 0) == ssize_t(pid.size()))
    (void)!ftruncate(fd, off_t(pid.size()));
  return lock;
}

Lock::Lock(Lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
Lock& Lock::operator=(Lock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
Lock::~Lock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace knock::sqlite
