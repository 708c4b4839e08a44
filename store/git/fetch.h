// SPDX-License-Identifier: Apache-2.0
// The one use of the `git` program: bringing one ref into the mirror. Internal to store/git.
#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"

namespace knock::git {

struct Fetch {
  std::string repository;
  std::string from;    // a whole ref name there
  std::string to;      // and here; overwritten whatever it held
  std::string mirror;  // bare repository
  std::string home;    // an empty folder, so that nobody's ~/.gitconfig is read
  std::uint64_t largest_file = 512u << 20;  // that git may write: a pack, or one object
  /// All of it in one file, so that `largest_file` bounds the whole. Not for the mirror, where each
  /// change would leave a pack.
  bool one_file = false;
  std::string too_large = "";  // advice beyond that; "": that of a policy's own history
};

/// What we do not even try: transports without authentication or with programs in them, passwords
/// (they would show in the process list), option-like and control characters.
Status check_repository(const std::string& repository);

/// Holds the mirror's lock during the call by contract; removes what a killed predecessor left.
Status fetch(const Fetch& fetch, Deadline deadline);

}  // namespace knock::git
