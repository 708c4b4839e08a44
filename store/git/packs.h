// SPDX-License-Identifier: Apache-2.0
// How the mirror lies on the disk: in packs, which carry checksums and are written durably, and
// never as loose objects, which have neither. Internal to store/git.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace knock::git {

/// By their names; a folder that cannot be read counts as empty.
struct ObjectFiles {
  std::size_t loose = 0, packs = 0;
  bool operator==(const ObjectFiles&) const = default;
};
ObjectFiles object_files(const std::string& mirror);

/// Loose ones are left from before there were only packs. More packs than these are slow to search.
bool worth_packing(const ObjectFiles& files);

struct Packing {
  std::string mirror, home;        // as Fetch
  std::uint64_t largest_file = 0;  // as Fetch
};

/// Everything into one pack, also what no ref leads to: a policy stays in force when its history
/// was rewritten. Holds the mirror's lock by contract. Who reads meanwhile finds the new pack by
/// itself.
Status pack(const Packing& packing, Deadline deadline);

/// Refuses a loose object whose end is missing: libgit2 1.5 reads on for it forever. Anything else
/// that may be wrong with one libgit2 finds itself.
Status check_loose_objects(const std::string& mirror);

}  // namespace knock::git
