// SPDX-License-Identifier: Apache-2.0
// Walks the whole log of a store: sequence, links, hashes, commitments; replays every fact into an
// empty database and compares the projections row by row; compares the tables' definitions, so that
// a dropped trigger shows. What it cannot see is a tail cut off together with its projections: only
// a checkpoint that left the machine shows that.
#pragma once

#include <functional>
#include <string>

#include "reconciler/interfaces/fact_store.h"
#include "store/sqlite/database.h"

namespace knock::sqlite {

using Progress = std::function<void(std::uint64_t, std::uint64_t)>;

/// `database`: a connection of its own, because this takes seconds on a long log and reads one
/// snapshot throughout.
Result<ChainCheck> verify_chain(Database& database, const Progress& progress);

/// What commits a personal part: hex HMAC-SHA-256 under the holder's key over sequence, holder and
/// text, so that parts cannot be swapped and equal texts do not look equal.
std::string commitment_of(std::string_view key, std::uint64_t seq, std::string_view holder,
                          std::string_view personal_json);

}  // namespace knock::sqlite
