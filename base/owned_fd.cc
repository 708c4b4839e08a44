// SPDX-License-Identifier: Apache-2.0
#include "base/owned_fd.h"

#include <unistd.h>

#include <cerrno>

namespace knock {

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void OwnedFd::reset() {
  if (fd_ < 0) return;
  int before = errno;
  ::close(std::exchange(fd_, -1));
  errno = before;
}

}  // namespace knock
