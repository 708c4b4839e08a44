// SPDX-License-Identifier: Apache-2.0
// `policy:` of knock.yaml: where the policy comes from, whose signature it needs, and when a new
// revision comes into force (docs/git-as-law.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "schemas/policy/schedule.h"

namespace knock {

/// Whose signature a commit needs for what it changes. The first rule that matches a path decides.
struct SignersRule {
  std::vector<std::string> paths;    // patterns from the root of the tree; empty: every path
  std::vector<std::string> signers;  // files: OpenSSH allowed_signers, or OpenPGP public keys
  std::string revoked;               // a list of revoked SSH keys; "": none
  friend auto operator<=>(const SignersRule&, const SignersRule&) = default;
};

/// When a sound new revision comes into force.
struct Advance {
  enum class Mode : std::uint8_t { automatic, manual, window };
  Mode mode = Mode::automatic;
  std::vector<Window> window;
  friend auto operator<=>(const Advance&, const Advance&) = default;
};

struct PolicyLocation {
  std::string directory;   // `policy.dir`; or
  std::string repository;  // `policy.repo`: a URL or path that git understands
  std::string ref = "main";
  Duration poll = Duration::seconds(30);
  std::vector<SignersRule> require_signed = {};  // empty: signatures are not looked at
  Advance advance = {};
  /// `policy.pulls`: where the remote keeps the heads of pull requests, with kPullNumber in it; "":
  /// the controller fetches none.
  std::string pulls = {};
};

inline constexpr std::string_view kPullNumber = "{number}";

/// "main"; "" where a tag, another ref or a folder is followed.
std::string followed_branch(const PolicyLocation& policy);

/// Whether a pattern matches a whole path: `*` and `?` within one name, `**` as a name for any
/// number of folders. "services/payroll/**" is everything below that folder.
bool path_matches(std::string_view pattern, std::string_view path);

}  // namespace knock
