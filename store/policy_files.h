// SPDX-License-Identifier: Apache-2.0
// What a policy source accepts as policy, whether it lies in a folder or in a commit: which names
// count, and how much. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schemas/policy/load.h"

namespace knock {

inline constexpr std::size_t kMaxPolicyFileBytes = 1u << 20;
inline constexpr std::size_t kMaxPolicyFiles = 20'000;
inline constexpr std::size_t kMaxPolicyBytes = 64u << 20;
inline constexpr std::size_t kMaxPolicyFolders = 64;  // inside each other
inline constexpr std::size_t kMaxPolicyEntries =
    200'000;  // of any kind; more is not a policy repository

/// "*.yaml" and "*.yml".
bool is_policy_file(std::string_view name);
/// Names with a leading dot are other programs' (.git, .github, .gitlab-ci.yml) and never policy.
bool is_hidden(std::string_view name);

/// ASCII letters in lower case: how two names look to a file system that ignores case.
std::string fold_case(std::string_view text);

/// One name between slashes: valid UTF-8 without control characters, no backslash, not "", "." or
/// "..", and none that some file system would read as ".git".
Status check_policy_name(std::string_view name);

/// Counts what a source reads, so that too much is refused before it is held in memory.
class PolicyBudget {
 public:
  Status entry();
  /// A file's size, before it is read.
  Status file(std::string_view path, std::uint64_t bytes);

 private:
  std::size_t entries_ = 0;
  std::size_t files_ = 0;
  std::uint64_t bytes_ = 0;
};

/// Sorts by path. An error when there are no files (unreadable is not empty, and neither is a
/// mistake), or when two paths differ only in the case of ASCII letters, so that one commit means
/// one policy on every machine.
Status finish_policy_files(std::vector<PolicyFile>& files);

}  // namespace knock
