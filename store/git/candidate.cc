// SPDX-License-Identifier: Apache-2.0
#include "store/git/candidate.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <optional>
#include <utility>

#include "base/text.h"
#include "net/child_process.h"
#include "store/git/git_child.h"
#include "store/policy_refusal.h"

namespace knock::git {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRef = "refs/knock/candidate";
constexpr std::uint64_t kMostCommits = 1'000;

void empty(const fs::path& folder) {
  std::error_code ignored;
  for (const char* part : {"repository.git", "home", "signers"})
    fs::remove_all(folder / part, ignored);
}

/// Of a fetch that fails on the way too.
class EmptyAtEnd {
 public:
  explicit EmptyAtEnd(fs::path folder) : folder_(std::move(folder)) { empty(folder_); }
  EmptyAtEnd(const EmptyAtEnd&) = delete;
  EmptyAtEnd& operator=(const EmptyAtEnd&) = delete;
  ~EmptyAtEnd() {
    if (!kept_) empty(folder_);
  }
  void keep() { kept_ = true; }

 private:
  fs::path folder_;
  bool kept_ = false;
};

/// An empty repository that finds in the mirror what it does not have: git then asks for the new
/// commits alone.
Status make_borrowing(const std::string& repository, const std::string& mirror) {
  KNOCK_CHECK(Mirror::open(repository));
  auto file = fs::path(repository) / "objects" / "info" / "alternates";
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  std::ofstream out(file);
  out << mirror << "/objects\n";
  if (out.flush()) return {};
  return fail(ErrorKind::unavailable, file.string() + ": cannot be written");
}

}  // namespace

FetchedCandidate::FetchedCandidate(FolderLock lock, fs::path folder, Mirror repository,
                                   std::string commit)
    : lock_(std::move(lock)),
      folder_(std::move(folder)),
      repository_(std::move(repository)),
      commit_(std::move(commit)) {}

FetchedCandidate::~FetchedCandidate() {
  if (!folder_.empty()) empty(folder_);
}

Result<FetchedCandidate> FetchedCandidate::fetch(const CandidateFetch& what, Deadline deadline) {
  fs::path folder(what.folder);
  KNOCK_CHECK(make_folder(folder));
  KNOCK_ASSIGN(auto lock, FolderLock::take((folder / "lock").string(), deadline));
  EmptyAtEnd end(folder);
  auto repository = (folder / "repository.git").string(), home = (folder / "home").string();
  KNOCK_CHECK(make_folder(home));
  KNOCK_CHECK(make_borrowing(repository, what.mirror));
  Fetch fetch{what.repository, what.from, kRef, repository, home, what.most_bytes};
  fetch.too_large = fmt::format(
      "a change may bring {} MiB of history; put what it needs into few commits on top of the "
      "policy in force",
      what.most_bytes >> 20);
  KNOCK_CHECK(git::fetch(fetch, deadline));
  // Opened again: what git wrote meanwhile is then seen for sure.
  KNOCK_ASSIGN(auto opened, Mirror::open(repository));
  KNOCK_ASSIGN(auto commit, opened.commit_at(kRef));
  if (!commit) return fail(ErrorKind::internal, "git fetch ended well but brought nothing");
  end.keep();
  return FetchedCandidate(std::move(lock), std::move(folder), std::move(opened),
                          *std::move(commit));
}

Status check_length(const FetchedCandidate& candidate, const std::string& in_force,
                    const std::string& what, Deadline deadline) {
  auto count = git_command(candidate.repository_path(), candidate.home(),
                           {"rev-list", "--count", fmt::format("--max-count={}", kMostCommits + 1),
                            "--end-of-options", candidate.commit(), "^" + in_force});
  KNOCK_ASSIGN(auto finished, net::run(count, deadline));
  auto said = trim(finished.out);
  std::uint64_t commits = 0;
  auto [end, error] = std::from_chars(said.data(), said.data() + said.size(), commits);
  bool understood = error == std::errc() && end == said.data() + said.size();
  if (finished.exit_code != 0 || !understood)
    return fail(ErrorKind::unavailable, "git rev-list: " + printable(finished.err.substr(0, 300)));
  if (commits <= kMostCommits) return {};
  return refuse(Refusal::too_many_commits,
                fmt::format("{} brings more than {} commits that the policy in force does not "
                            "have; squash them, or rebase onto {}",
                            what, kMostCommits, in_force.substr(0, 12)));
}

Status check_descent(const Mirror& repository, const std::string& in_force,
                     const std::string& candidate, const std::string& what) {
  KNOCK_ASSIGN(bool follows, repository.leads_to(in_force, candidate));
  if (follows) return {};
  KNOCK_ASSIGN(bool part_of_it, repository.leads_to(candidate, in_force));
  auto there = candidate.substr(0, 12), ours = in_force.substr(0, 12);
  return refuse(
      Refusal::not_descended,
      part_of_it
          ? fmt::format("{} ends in {}, which is part of {}, the policy in force, already: there "
                        "is nothing left to review",
                        what, there, ours)
          : fmt::format("{} ends in {}, which does not follow from {}, the policy in force: "
                        "merging it as it is planned would take back what was merged meanwhile. "
                        "Rebase it (git rebase {}) or merge that into it, push, and plan once more",
                        what, there, ours, ours));
}

}  // namespace knock::git
