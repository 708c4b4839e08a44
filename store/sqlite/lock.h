// SPDX-License-Identifier: Apache-2.0
// One writer for a store: an flock on PATH.lock, which dies with the process that holds it. The pid
// in the file is for people only; the lock is the kernel's.
#pragma once

#include <string>

#include "base/result.h"

namespace knock::sqlite {

class Lock {
 public:
  /// conflict: somebody else holds it; the message names the pid and what to do.
  static Result<Lock> take(const std::string& store_path);
  Lock() = default;
  Lock(Lock&& other) noexcept;
  Lock& operator=(Lock&& other) noexcept;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock();

 private:
  explicit Lock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace knock::sqlite
