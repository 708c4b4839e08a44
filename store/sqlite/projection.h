// SPDX-License-Identifier: Apache-2.0
// What a fact does to the tables beside the log. Called in the transaction that appends the fact,
// and again by verify() on an empty database: a projection that is not exactly a replay of the log
// is a fault. Deterministic, no clock.
#pragma once

#include <cstdint>

#include "schemas/audit/fact.h"
#include "store/sqlite/database.h"

namespace knock::sqlite {

/// conflict: the fact contradicts what is there (a session id that exists, a plan that was used);
/// nothing is broken, the whole append is undone.
Status project(Database& database, std::uint64_t seq, Instant at, const Fact& fact);

}  // namespace knock::sqlite
