// SPDX-License-Identifier: Apache-2.0
// What of a plan follows from the policies alone: all that a `shape` shows. A candidate is a question
// that its author chose: with a rule for each network or claim, every count of entries, sessions or
// people answers where somebody is. So does whether a guard trips, and the plan's id, a hash of
// addresses that 2^32 tries undo.
#pragma once

#include <string_view>

#include "schemas/plan/plan.h"

namespace knock {

/// Both revisions, what differs between them, whom it concerns by groups that no directory lists,
/// which ports are protected, and findings that do not depend on who is signed in. Counts are 0,
/// the id is zeros.
Plan policy_part(const Plan& plan);

/// One line, with what shows it.
inline constexpr std::string_view kLeftOut =
    "Left out, because it could tell where somebody is: entries, live sessions, counts of people, "
    "guards and the hash of the plan; a key with plan:people shows them in the view people.";

}  // namespace knock
