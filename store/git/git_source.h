// SPDX-License-Identifier: Apache-2.0
// Policy from a Git repository at a ref (docs/adr/0004). A child `git` with a deadline fetches into
// a bare mirror in a folder of ours; libgit2 reads commits and trees from there. There is no
// checkout, no hook, no submodule, and no configuration but ours, so nothing in the repository is
// ever executed or written anywhere else.
//
// History is judged from the revision in force (in_force(); before anybody says, from the last one
// that poll() gave): a new one descends from it, and with `require_signed` every commit on the way
// is signed by somebody who may (docs/git-as-law.md). Messages begin with the id of what was
// refused (store/policy_refusal.h).
//
// What is refused: a branch that is gone; a history that was rewritten or went back (`conflict`: a
// stolen account must not be able to bring an old policy back unseen); trees with links,
// submodules, names that mean something else elsewhere, or too much in them. Refused means: an
// error, and everything stays as it was.
//
// Names with a leading dot are passed over as in a directory source; the other rules are
// store/policy_files.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "reconciler/interfaces/policy_source.h"
#include "schemas/config/policy_location.h"

namespace knock {

struct GitSourceOptions {
  std::string
      repository;  // https://, ssh://, host:path, file:// or a path; without a password in it
  std::string ref = "main";  // a branch, or a whole name such as refs/tags/v1
  std::string state_folder;  // ours alone; made when missing; may be shared by sources, one fetches
                             // at a time
  std::string path;          // the folder of the tree that holds policy; "" = all of it
  std::vector<SignersRule> require_signed = {};  // empty: signatures are not looked at
  std::uint64_t largest_transfer = 512u << 20;   // bytes; a whole history is one at first
  std::string pulls = {};                        // PolicyLocation::pulls
  std::uint64_t largest_candidate = 64u << 20;   // bytes that a candidate may bring
};

/// Nothing is fetched before poll(); read() gives any commit up to the last accepted one, also
/// after a restart and without the network. Revisions are whole commit ids, blob_id is Git's.
/// `author` ("Name <mail>") and `subject` are raw text from outside, bounded. Of our environment
/// `git` gets proxies, SSH_AUTH_SOCK, GIT_SSH_COMMAND, GIT_ASKPASS and the GIT_SSL_CA* variables;
/// ssh never asks and demands a known host key. Errors: invalid (options, tree), not_found (ref or
/// `git`), unauthorized, unavailable, timeout, conflict. One thread at a time.
Result<std::unique_ptr<PolicySource>> open_git_source(GitSourceOptions options);

}  // namespace knock
