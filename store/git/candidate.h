// SPDX-License-Identifier: Apache-2.0
// What somebody proposes, fetched to be looked at once. It goes into a repository of its own that
// borrows the mirror's objects and is removed afterwards, so nothing of a stranger's stays on the
// disk, and no ref of the policy could ever lead to it. Internal to store/git.
#pragma once

#include <filesystem>
#include <string>

#include "store/git/fetch.h"
#include "store/git/folder_lock.h"
#include "store/git/mirror.h"

namespace knock::git {

struct CandidateFetch {
  std::string repository, from;  // as Fetch
  std::string mirror;            // of the policy; only read
  std::string folder;            // ours alone; emptied before and after
  std::uint64_t most_bytes = 64u << 20;
};

/// One at a time per folder; who comes second waits within its deadline.
class FetchedCandidate {
 public:
  static Result<FetchedCandidate> fetch(const CandidateFetch& what, Deadline deadline);
  FetchedCandidate(FetchedCandidate&&) = default;
  ~FetchedCandidate();

  /// Sees the mirror's commits too.
  const Mirror& repository() const { return repository_; }
  /// That the ref leads to.
  const std::string& commit() const { return commit_; }
  std::string repository_path() const { return (folder_ / "repository.git").string(); }
  std::string home() const { return (folder_ / "home").string(); }
  /// For copies of the files of signers; goes with the rest.
  std::string signers_folder() const { return (folder_ / "signers").string(); }

 private:
  FetchedCandidate(FolderLock lock, std::filesystem::path folder, Mirror repository,
                   std::string commit);

  FolderLock lock_;
  std::filesystem::path folder_;
  Mirror repository_;
  std::string commit_;
};

/// Refuses more commits than anybody reviews: walking them, here and for signatures, is the
/// stranger's to choose and our time to lose. Counted by a child that ends at the deadline.
Status check_length(const FetchedCandidate& candidate, const std::string& in_force,
                    const std::string& what, Deadline deadline);

/// A candidate goes on from what is in force: what was merged since its branch began would
/// otherwise be taken back unseen. `what` names it for people.
Status check_descent(const Mirror& repository, const std::string& in_force,
                     const std::string& candidate, const std::string& what);

}  // namespace knock::git
