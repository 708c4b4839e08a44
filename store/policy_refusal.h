// SPDX-License-Identifier: Apache-2.0
// Every check of what a policy source brings, before a line of it is read, by name. One enumerator
// is one id, with which the message begins ("tree.link: a.yaml is a link; …"), and the tests hold
// this list against their table of hostile repositories.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace knock {

enum class Refusal : std::uint8_t {
  // What stands in the tree.
  link,
  submodule,
  odd_entry,
  not_a_file,
  twice,
  case_clash,
  name_dots,
  name_slash,
  name_backslash,
  name_long,
  name_encoding,
  name_hidden_character,
  name_two_scripts,
  name_of_git,
  unreadable,
  too_deep,
  too_many_entries,
  file_too_large,
  too_many_files,
  too_large,
  no_policy,
  no_folder,
  // What the repository is.
  bad_repository,
  bad_ref,
  no_ref,
  not_a_commit,
  rewritten,
  went_back,
  not_descended,
  head_moved,
  transfer,
  transfer_too_large,
  // Who signed.
  unsigned_commit,
  two_signatures,
  unknown_signature,
  bad_signature,
  not_allowed,
  no_rule,
  signers_unreadable,
  signers_exposed,
  too_many_commits,
  change_too_large,
};
inline constexpr Refusal kLastRefusal = Refusal::change_too_large;

/// "tree.link", "git.rewritten", "commit.unsigned".
std::string_view id_of(Refusal refusal);
/// The refusal whose message this is.
std::optional<Refusal> refusal_of(std::string_view message);
/// Who signed is not as it must be. Not when the files of signers cannot be read, or when there is
/// too much to look at: then nobody knows.
bool is_about_signatures(Refusal refusal);
tl::unexpected<Error> refuse(Refusal refusal, std::string_view why,
                             ErrorKind kind = ErrorKind::invalid);

}  // namespace knock
