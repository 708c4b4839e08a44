// SPDX-License-Identifier: Apache-2.0
// Whom a change of policy concerns: who gains and who loses which service, how well that is known,
// and which live sessions would be cut. Pure.
//
// Everybody is judged by what is known of them (groups, name, claims), as at their next sign-in;
// where they would come from, when, and who would say yes to them counts as given. Who is signed in
// is judged exactly as well, as they are now, and gains or loses by either.
#pragma once

#include <span>
#include <vector>

#include "reconciler/interfaces/fact_store.h"
#include "schemas/plan/plan.h"
#include "schemas/policy/policy.h"
#include "schemas/session/session.h"

namespace knock {

/// Sign-ins older than this say nothing about somebody's groups any more.
inline constexpr Duration kSeenWithin = Duration::hours(30 * 24);
/// So many of the newest sign-ins are worth reading.
inline constexpr std::size_t kMostSeen = 100'000;

struct PeopleInput {
  const Policy* in_force = nullptr;  // null: nothing is in force, so nobody gains or loses
  const Policy& planned;
  std::span<const Session> sessions;  // of now
  std::span<const Account> accounts;
  Instant now;
  std::span<const Approval> approvals = {};
  std::span<const Session> seen = {};        // earlier ones, ended ones too; any order
  std::span<const SignInName> sources = {};  // that exist; empty: not known
};

struct PeopleChanges {
  std::vector<PeopleFigure> figures;
  std::vector<PersonChange> people;
  std::vector<SessionCut> cuts;
};
PeopleChanges compare_people(const PeopleInput& input);

/// The figures of people whom nobody has listed: what follows from two policies alone. Rules are
/// compared with rules, so it costs comparisons(), which the author of either policy chooses.
std::vector<PeopleFigure> compare_unlisted(const Policy& in_force, const Policy& planned,
                                           std::span<const SignInName> sources);
/// How many pairs of rules and their members that looks at, at most.
std::uint64_t comparisons(const Policy& in_force, const Policy& planned);

}  // namespace knock
