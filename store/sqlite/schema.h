// SPDX-License-Identifier: Apache-2.0
// The tables, as forward migrations. A store remembers which ones it has; a newer store than this
// program knows is refused, because its projections could mean something else.
//
//   meta            what this file is, which version made it, and the mark of its file of ended ids
//   migrations      which of the steps below were taken
//   events          the log: one row per record, chained; triggers refuse UPDATE and DELETE
//   person_keys     one random key per holder (schemas/audit/fact.h); deleting the row is half of
//   erasing a person event_personal  the personal parts; deleting the rows is the other half
//   sessions        projection: one row per session, `seq` is the record that opened it
//   intents         projection: changes that were intended and not answered yet
//   applied         projection: one row per interval in which an entry stood on a target, as it is
//   or was last applied_states  projection: what caused an interval's entry before that changed, so
//   that "who at T" is exact adoptions       projection: policy revisions in force, in order plans
//   projection: saved plans that were used policies, policy_files   files of the policy in force
//   and of the one about to be; not in the log, they are large accounts        local accounts; the
//   log holds that they changed, never the password's hash
#pragma once

#include "base/result.h"
#include "store/sqlite/database.h"

namespace knock::sqlite {

/// Refuses a file that is not a store of ours, or of a newer version, before anything in it is
/// touched. Empty is fine.
Status check_ours(Database& database);
/// Brings an empty or older store up to date, in one transaction.
Status migrate(Database& database);
/// Refuses what is no store, or not of this version.
Status check_version(Database& database);

}  // namespace knock::sqlite
