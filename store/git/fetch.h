// SPDX-License-Identifier: Apache-2.0
// The one use of the `git` program: bringing one ref into the mirror. Internal to store/git.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace knock::git {

/// What a hostile repository may cost. Packs are mapped, not read into memory; only objects that are
/// made out of others are held whole.
inline constexpr std::uint64_t kLargestMemory = 192u << 20;

struct Fetch {
  std::string repository;
  std::string from;    // a whole ref name there
  std::string to;      // and here; overwritten whatever it held
  std::string mirror;  // bare repository
  std::string home;    // an empty folder, so that nobody's ~/.gitconfig is read
  std::uint64_t largest_file = 512u << 20;  // that git may write: all that is new is one pack
  std::string too_large = "";  // advice beyond that; "": that of a policy's own history
};

/// What we do not even try: transports without authentication or with programs in them, passwords
/// (they would show in the process list), option-like and control characters.
Status check_repository(const std::string& repository);

/// Holds the mirror's lock during the call by contract; removes what a killed predecessor left.
Status fetch(const Fetch& fetch, Deadline deadline);

}  // namespace knock::git
