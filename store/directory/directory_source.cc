// SPDX-License-Identifier: Apache-2.0
#include "store/directory/directory_source.h"

#include <time.h>

#include <algorithm>
#include <utility>

#include "base/sha256.h"
#include "base/text.h"
#include "store/directory/tree.h"
#include "store/policy_files.h"

namespace knock {
namespace {

constexpr int kAttempts = 4;  // a checkout of some files is over by then; a busy writer is an error
/// Two writes within one tick of the file system's clock leave the same stamp (Git calls such files
/// "racy"). A stamp is believed only when it was this old at the time of the read.
constexpr std::int64_t kSettled = 2'000'000'000;

struct Held {
  directory::Found found;
  PolicyFile file;
  bool settled = false;
};

/// The clock that stamps files, in nanoseconds.
std::int64_t file_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return std::int64_t(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

class DirectorySource final : public PolicySource {
 public:
  explicit DirectorySource(std::string directory) : directory_(std::move(directory)) {}

  Result<PolicyRevision> poll(Deadline deadline) override {
    Result<std::vector<Held>> state = fail(ErrorKind::conflict, "");
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      state = read_all(deadline);
      if (state || state.error().kind != ErrorKind::conflict) break;
    }
    if (!state && state.error().kind == ErrorKind::conflict) {
      state.error().kind = ErrorKind::unavailable;
      state.error().message += ", again and again; it will be tried once more at the next poll";
    }
    if (!state) return fail_within(describe(), state);
    auto snapshot = snapshot_of(*state);
    if (!snapshot) return fail_within(describe(), snapshot);
    held_ = std::move(*state);
    snapshot_ = std::move(*snapshot);
    return snapshot_.revision;
  }

  Result<PolicySnapshot> read(const PolicyRevision& revision) override {
    if (!revision.empty() && revision == snapshot_.revision) return snapshot_;
    return fail(ErrorKind::not_found, describe() + ": a folder has no history; revision " +
                                          printable(revision.value) + " is not what was read last");
  }

  std::string describe() const override { return "directory " + directory_; }

 private:
  Result<std::vector<Held>> read_all(Deadline deadline) const {
    KNOCK_ASSIGN(auto root, directory::open_root(directory_));
    KNOCK_ASSIGN(auto found, directory::list(root));
    std::vector<Held> out;
    out.reserve(found.size());
    for (const auto& file : found) {
      if (deadline.passed())
        return fail(ErrorKind::timeout,
                    "reading the folder took too long; is its file system slow?");
      KNOCK_ASSIGN(auto held, one(root, file));
      out.push_back(std::move(held));
    }
    // The second look makes it one state: no file came, went or changed while others were read.
    KNOCK_ASSIGN(auto again, directory::list(root));
    if (again != found) return fail(ErrorKind::conflict, "the folder changed while it was read");
    return out;
  }

  Result<Held> one(const OwnedFd& root, const directory::Found& file) const {
    auto known = std::lower_bound(
        held_.begin(), held_.end(), file.path,
        [](const Held& held, const std::string& path) { return held.found.path < path; });
    if (known != held_.end() && known->settled && known->found == file) return *known;
    bool settled = file_clock() - std::max(file.stamp.changed, file.stamp.modified) > kSettled;
    KNOCK_ASSIGN(auto content, directory::read(root, file));
    auto id = to_hex(sha256(content));
    return Held{file, {file.path, std::move(content), std::move(id)}, settled};
  }

  static Result<PolicySnapshot> snapshot_of(const std::vector<Held>& held) {
    PolicySnapshot out;
    Sha256 digest;
    std::int64_t newest = 0;
    for (const auto& one : held) {
      out.files.push_back(one.file);
      digest.add(one.file.path);
      digest.add(std::string_view("\0", 1));
      digest.add(one.file.blob_id);
      newest = std::max(newest, one.found.stamp.modified);
    }
    KNOCK_CHECK(finish_policy_files(out.files));
    out.revision = PolicyRevision("sha256:" + to_hex(digest.finish()));
    out.committed = {newest / 1'000'000};
    return out;
  }

  std::string directory_;
  std::vector<Held> held_;  // sorted by path
  PolicySnapshot snapshot_;
};

}  // namespace

Result<std::unique_ptr<PolicySource>> open_directory_source(std::string directory) {
  if (directory.empty() || directory.find('\0') != std::string::npos)
    return fail(ErrorKind::invalid, "the policy directory has no usable name");
  return std::make_unique<DirectorySource>(std::move(directory));
}

}  // namespace knock
