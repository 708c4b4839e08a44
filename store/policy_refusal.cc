// SPDX-License-Identifier: Apache-2.0
#include "store/policy_refusal.h"

#include <fmt/format.h>

namespace knock {

std::string_view id_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::link:
      return "tree.link";
    case Refusal::submodule:
      return "tree.submodule";
    case Refusal::odd_entry:
      return "tree.odd-entry";
    case Refusal::not_a_file:
      return "tree.not-a-file";
    case Refusal::twice:
      return "tree.twice";
    case Refusal::case_clash:
      return "tree.case-clash";
    case Refusal::name_dots:
      return "tree.name-dots";
    case Refusal::name_slash:
      return "tree.name-slash";
    case Refusal::name_backslash:
      return "tree.name-backslash";
    case Refusal::name_long:
      return "tree.name-long";
    case Refusal::name_encoding:
      return "tree.name-encoding";
    case Refusal::name_hidden_character:
      return "tree.name-hidden-character";
    case Refusal::name_two_scripts:
      return "tree.name-two-scripts";
    case Refusal::name_of_git:
      return "tree.name-of-git";
    case Refusal::unreadable:
      return "tree.unreadable";
    case Refusal::too_deep:
      return "tree.too-deep";
    case Refusal::too_many_entries:
      return "tree.too-many-entries";
    case Refusal::file_too_large:
      return "tree.file-too-large";
    case Refusal::too_many_files:
      return "tree.too-many-files";
    case Refusal::too_large:
      return "tree.too-large";
    case Refusal::no_policy:
      return "tree.no-policy";
    case Refusal::no_folder:
      return "tree.no-folder";
    case Refusal::bad_repository:
      return "git.bad-repository";
    case Refusal::bad_ref:
      return "git.bad-ref";
    case Refusal::no_ref:
      return "git.no-ref";
    case Refusal::not_a_commit:
      return "git.not-a-commit";
    case Refusal::rewritten:
      return "git.rewritten";
    case Refusal::went_back:
      return "git.went-back";
    case Refusal::not_descended:
      return "git.not-descended";
    case Refusal::head_moved:
      return "git.head-moved";
    case Refusal::transfer:
      return "git.transfer";
    case Refusal::transfer_too_large:
      return "git.transfer-too-large";
    case Refusal::unsigned_commit:
      return "commit.unsigned";
    case Refusal::two_signatures:
      return "commit.two-signatures";
    case Refusal::unknown_signature:
      return "commit.unknown-signature";
    case Refusal::bad_signature:
      return "commit.bad-signature";
    case Refusal::not_allowed:
      return "commit.not-allowed";
    case Refusal::no_rule:
      return "commit.no-rule";
    case Refusal::signers_unreadable:
      return "commit.signers-unreadable";
    case Refusal::signers_exposed:
      return "commit.signers-exposed";
    case Refusal::too_many_commits:
      return "commit.too-many";
    case Refusal::change_too_large:
      return "commit.change-too-large";
  }
  return "source.unknown";
}

std::optional<Refusal> refusal_of(std::string_view message) {
  for (int i = 0; i <= int(kLastRefusal); ++i)
    if (auto refusal = Refusal(i); message.starts_with(std::string(id_of(refusal)) + ": "))
      return refusal;
  return std::nullopt;
}

bool is_about_signatures(Refusal refusal) {
  switch (refusal) {
    case Refusal::unsigned_commit:
    case Refusal::two_signatures:
    case Refusal::unknown_signature:
    case Refusal::bad_signature:
    case Refusal::not_allowed:
    case Refusal::no_rule:
      return true;
    default:
      return false;
  }
}

tl::unexpected<Error> refuse(Refusal refusal, std::string_view why, ErrorKind kind) {
  return fail(kind, fmt::format("{}: {}", id_of(refusal), why));
}

}  // namespace knock
