// SPDX-License-Identifier: Apache-2.0
// A disk that takes nothing, for this process alone.
#pragma once

#include <sys/resource.h>

#include <csignal>

namespace knock::test {

/// While it lives, no file of this process can be written at `bytes` or beyond.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    rlimit low = old_;
    low.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &low);
  }
  ~FileLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

 private:
  rlimit old_{};
  void (*handler_)(int);
};

}  // namespace knock::test
