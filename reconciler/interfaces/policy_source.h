// SPDX-License-Identifier: Apache-2.0
// Where policy comes from: a directory, or a Git repository at a ref.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "schemas/policy/load.h"

namespace knock {

/// One state of the policy, as files. For a directory the revision is "sha256:…" of paths and
/// contents.
struct PolicySnapshot {
  PolicyRevision revision;
  std::string author;   // of the commit; "" for a directory
  std::string subject;  // first line of the commit message
  Instant committed;
  std::vector<PolicyFile> files;  // sorted by path
};

/// Who a line of policy came from. Raw text from outside, bounded.
struct LineOrigin {
  PolicyRevision revision;  // the commit that wrote the line as it stands
  std::string name, mail;   // of its author
  std::string subject;
  Instant at;  // when it was committed
};

/// A revision that somebody proposes, by where it lies at the policy's own remote: a pull request
/// (merge request), or a branch.
struct CandidateName {
  std::uint64_t pull = 0;  // 0: by branch
  std::string branch;
  std::string commit = {};  // when not "": it must end in this one
};

struct Candidate {
  PolicySnapshot snapshot;
  PolicyRevision follows;  // what it descends from
  /// Why it would not come into force as it is ("commit.unsigned: …"); "": signatures speak not
  /// against it. Who merges it may sign what nobody signed here.
  std::string refused_because;
};

class PolicySource {
 public:
  virtual ~PolicySource() = default;
  /// Brings the source up to date (a fetch with a deadline, or nothing for a directory) and says
  /// where it stands. An error leaves everything as it was; the caller keeps its last good policy
  /// and shows its age.
  virtual Result<PolicyRevision> poll(Deadline deadline) = 0;
  /// The files at a revision that poll() gave, or an older one of the same history. Refused when it
  /// may not come into force: what is there is no policy, or lacks a signature that is required.
  virtual Result<PolicySnapshot> read(const PolicyRevision& revision) = 0;

  /// Told by whoever adopts: what is newer is judged against this one, and must follow from it.
  virtual void in_force(const PolicyRevision& revision) { (void)revision; }
  /// The revision that somebody means by its id or the beginning of it: the last one that poll()
  /// gave, or an older one of the same history.
  virtual Result<PolicyRevision> find(const std::string& name);
  /// Whether `older` is `newer`, or lies before it in the same history.
  virtual Result<bool> precedes(const PolicyRevision& older, const PolicyRevision& newer) {
    return older == newer;
  }
  /// Takes the history that poll() refused last, because it does not follow from the one in force,
  /// for the policy's from now on. Only ever because an operator says so.
  virtual Result<PolicyRevision> start_anew() {
    return fail(ErrorKind::unsupported, "this source has no history");
  }
  /// The commit that last wrote this line (from 1) of the file (as PolicyFile::path) as it stands at
  /// `revision`, which read() must know. Asks what was fetched before, never the network. Any
  /// thread. `unsupported`: this source has no history; `not_found`: no such line.
  virtual Result<LineOrigin> last_change(const PolicyRevision& revision, const std::string& path,
                                         std::uint32_t line, Deadline deadline) {
    (void)revision, (void)path, (void)line, (void)deadline;
    return fail(ErrorKind::unsupported, "a folder has no history; keep the policy in Git for that");
  }
  /// Fetches what is proposed, reads it as read() does, and forgets it: it never becomes part of the
  /// policy's own history. Refused when it does not descend from what is in force (in_force(), or
  /// what poll() gave last). `unsupported`: this source has no proposals, or was not told where.
  virtual Result<Candidate> candidate(const CandidateName& name, Deadline deadline) {
    (void)name, (void)deadline;
    return fail(ErrorKind::unsupported,
                "a folder has no pull requests and no branches; send the files (--policy)");
  }
  /// For people: "directory policies", "git file:///srv/policy main".
  virtual std::string describe() const = 0;
};

inline Result<PolicyRevision> PolicySource::find(const std::string& name) {
  (void)name;
  return fail(ErrorKind::unsupported,
              "a folder holds only the policy of now; keep the policy in Git to go back");
}

}  // namespace knock
