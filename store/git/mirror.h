// SPDX-License-Identifier: Apache-2.0
// The bare repository that fetches go into, read through libgit2. Internal to store/git, and the
// only file that knows libgit2. Ids are 40 lower-case hex digits. One thread at a time per value.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "reconciler/interfaces/policy_source.h"

struct git_repository;

namespace knock::git {

/// The signature that a commit carries, and the bytes that it is of.
struct CommitSignature {
  std::string text;  // armoured; "" when the commit carries none
  std::string payload;
};

class Mirror {
 public:
  /// Made when missing. Refused when it belongs to another user, who could have put anything into
  /// its configuration, and when a loose object in it is cut short.
  static Result<Mirror> open(const std::string& folder);

  /// The commit a ref leads to (through tags); nothing when there is no such ref.
  Result<std::optional<std::string>> commit_at(const std::string& ref) const;
  Status point(const std::string& ref, const std::string& commit) const;
  /// True when `older` is `newer` or one of its ancestors; false also when either is no commit of
  /// this mirror.
  Result<bool> leads_to(const std::string& older, const std::string& newer) const;
  /// Author, subject and time of a commit.
  Result<LineOrigin> origin(const std::string& commit) const;
  /// The commit whose id begins so; nothing when none or several do.
  std::optional<std::string> commit_named(const std::string& beginning) const;
  /// What `newer` brings beyond `older`, oldest first; refused beyond `most`.
  Result<std::vector<std::string>> commits_between(const std::string& older,
                                                   const std::string& newer,
                                                   std::size_t most) const;
  Result<CommitSignature> signature(const std::string& commit) const;
  /// Calls `changed` for every path in which the commit differs from any of its parents, some of
  /// them more than once. With `whole`, as if it had none.
  Status changes(const std::string& commit, bool whole,
                 const std::function<void(const std::string& path)>& changed) const;
  /// The policy files below `path` ("" = the root) in that commit's tree. `known` are files read
  /// before, sorted by path: one that still has its blob id is copied instead of being unpacked
  /// again.
  Result<PolicySnapshot> snapshot(const std::string& commit, const std::string& path,
                                  const std::vector<PolicyFile>& known) const;

 private:
  struct Close {
    void operator()(git_repository* repository) const;
  };
  explicit Mirror(git_repository* repository) : repository_(repository) {}
  std::unique_ptr<git_repository, Close> repository_;
};

/// Whether a whole ref name ("refs/heads/main") is one that Git would accept.
bool valid_ref(const std::string& name);

}  // namespace knock::git
