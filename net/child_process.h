// SPDX-License-Identifier: Apache-2.0
// A child process with a deadline, no shell, and no survivors: when time is up, its whole process group is killed.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace knock::net {

struct Command {
  std::vector<std::string> argv;  // argv[0] is looked up in PATH
  std::string directory;          // "" = ours
  std::vector<std::pair<std::string, std::string>>
      environment;    // the whole of it; PATH is added when absent
  std::string input;  // standard input
  std::size_t output_bytes =
      1 << 20;  // of each stream; what is beyond is dropped and `truncated` set
  /// The largest file it may write, and the memory that it and each child of its own may have; 0: no
  /// bound of ours.
  std::uint64_t file_bytes = 0;
  std::uint64_t data_bytes = 0;
};

struct Finished {
  int exit_code = 0;  // 128 + signal when killed by one
  std::string out, err;
  bool truncated = false;
};

/// Runs to its end. Errors: not_found (no such program), timeout (killed), internal. A non-zero exit is not an error.
Result<Finished> run(const Command& command, Deadline deadline);

}  // namespace knock::net
