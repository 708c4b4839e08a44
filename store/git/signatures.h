// SPDX-License-Identifier: Apache-2.0
// Who may change the policy: every commit that comes into force carries a signature of somebody
// whom the rules allow for every path it changes (docs/git-as-law.md, docs/adr/0015).
//
// `ssh-keygen` and `gpgv` verify, each as a child with a deadline, from copies of the files of
// signers, so that what was looked at is what counts. Keys must be good now: a commit's own date is
// its author's word. Internal to store/git.
#pragma once

#include <string>
#include <vector>

#include "schemas/config/policy_location.h"
#include "store/git/mirror.h"

namespace knock::git {

struct SignatureRules {
  std::vector<SignersRule> rules;
  std::string folder;  // for copies; ours, made when missing
};

/// Everything that `commit` brings beyond `base`; without a base, the commit itself as if it had
/// written all that it holds. Errors begin with the id of a Refusal and name commit, path and
/// signer; kind `unauthorized` where a signature is missing or is not enough.
Status check_signatures(const SignatureRules& rules, const Mirror& mirror,
                        const std::optional<std::string>& base, const std::string& commit,
                        Deadline deadline);

}  // namespace knock::git
