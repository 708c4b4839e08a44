// SPDX-License-Identifier: Apache-2.0
// A file descriptor that closes itself.
#pragma once

#include <utility>

namespace knock {

class OwnedFd {
 public:
  OwnedFd() = default;
  /// Takes what open() and the like return; -1 is none.
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd() { reset(); }

  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  /// Leaves errno as it is, so that a message may still name what failed before.
  void reset();

 private:
  int fd_ = -1;
};

}  // namespace knock
