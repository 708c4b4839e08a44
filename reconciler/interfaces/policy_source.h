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

class PolicySource {
 public:
  virtual ~PolicySource() = default;
  /// Brings the source up to date (a fetch with a deadline, or nothing for a directory) and says
  /// where it stands. An error leaves everything as it was; the caller keeps its last good policy
  /// and shows its age.
  virtual Result<PolicyRevision> poll(Deadline deadline) = 0;
  /// The files at a revision that poll() gave, or an older one of the same history.
  virtual Result<PolicySnapshot> read(const PolicyRevision& revision) = 0;
  /// The commit that last wrote this line (from 1) of the file (as PolicyFile::path) as it stands at
  /// `revision`, which read() must know. Asks what was fetched before, never the network. Any
  /// thread. `unsupported`: this source has no history; `not_found`: no such line.
  virtual Result<LineOrigin> last_change(const PolicyRevision& revision, const std::string& path,
                                         std::uint32_t line, Deadline deadline) {
    (void)revision, (void)path, (void)line, (void)deadline;
    return fail(ErrorKind::unsupported, "a folder has no history; keep the policy in Git for that");
  }
  /// For people: "directory policies", "git file:///srv/policy main".
  virtual std::string describe() const = 0;
};

}  // namespace knock
