// SPDX-License-Identifier: Apache-2.0
// Policy from a folder: every *.yaml and *.yml below it, names with a leading dot passed over. A
// file may be a link to a file inside the same folder (Kubernetes mounts look like that), never to
// one outside, and folders may not be links: what counts as policy is what lies there. Anything odd
// is an error rather than passed over, because a file left out could have held a `deny`.
//
// Unreadable is not empty: a folder that vanished, cannot be read or holds no policy is an error,
// and the caller keeps what it has. A file that changes while it is read makes the whole read start
// again.
#pragma once

#include <memory>
#include <string>

#include "reconciler/interfaces/policy_source.h"

namespace knock {

/// Nothing is read before poll(), so the folder may appear later. Only the state of the last
/// successful poll() can be read. Revision: "sha256:…" over paths and contents; `committed` is the
/// newest file's time. Unchanged files (by inode, size and times) are not read again. One thread at
/// a time.
Result<std::unique_ptr<PolicySource>> open_directory_source(std::string directory);

}  // namespace knock
