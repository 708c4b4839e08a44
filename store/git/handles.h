// SPDX-License-Identifier: Apache-2.0
// libgit2's values with their ends, for the files that read the mirror. Internal to store/git.
#pragma once

#include <fmt/format.h>
#include <git2.h>

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/text.h"
#include "store/policy_refusal.h"

namespace knock::git {

template <class T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* value) const { Free(value); }
};
template <class T, void (*Free)(T*)>
using Handle = std::unique_ptr<T, Deleter<T, Free>>;

using Object = Handle<git_object, git_object_free>;
using Reference = Handle<git_reference, git_reference_free>;
using Transaction = Handle<git_transaction, git_transaction_free>;
using Commit = Handle<git_commit, git_commit_free>;
using Tree = Handle<git_tree, git_tree_free>;
using Odb = Handle<git_odb, git_odb_free>;
using OdbObject = Handle<git_odb_object, git_odb_object_free>;
using Revwalk = Handle<git_revwalk, git_revwalk_free>;

/// libgit2's own words about what failed last on this thread.
inline std::string git_words() {
  const auto* last = git_error_last();
  return printable(last != nullptr && last->message != nullptr
                       ? std::string_view(last->message).substr(0, 300)
                       : "no reason given");
}

inline tl::unexpected<Error> git_error(std::string_view what,
                                       ErrorKind kind = ErrorKind::internal) {
  return fail(kind, fmt::format("{}: {}", what, git_words()));
}

/// An object that is not there, or is not what its name says.
inline tl::unexpected<Error> unreadable(std::string_view what) {
  return refuse(Refusal::unreadable,
                fmt::format("{} cannot be read: {}; push the repository again from a sound clone",
                            what, git_words()));
}

inline std::string to_text(const git_oid& id) {
  std::string out(GIT_OID_HEXSZ, '\0');
  git_oid_fmt(out.data(), &id);
  return out;
}

inline std::optional<git_oid> parse_id(const std::string& text) {
  git_oid id;
  if (text.size() != GIT_OID_HEXSZ ||
      text.find_first_not_of("0123456789abcdef") != std::string::npos ||
      git_oid_fromstr(&id, text.c_str()) != 0)
    return std::nullopt;
  return id;
}

inline Commit find_commit(git_repository* repository, const std::string& text) {
  git_commit* found = nullptr;
  auto id = parse_id(text);
  if (id) git_commit_lookup(&found, repository, &*id);
  return Commit(found);
}

}  // namespace knock::git
