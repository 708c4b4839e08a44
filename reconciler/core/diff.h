// SPDX-License-Identifier: Apache-2.0
// Three-way comparison of one target: what should stand there (desired), what stands there
// (observed), what we last put there (applied). Pure. Says what differs and why; it does not order,
// guard or drop anything.
//
//   applied observed desired   meaning                  change
//   ------- -------- -------   ----------------------   ------------------------------------------
//      -       -        y      new                      add: sign_in, fixed, or policy when the
//                                                       policy in force did not want it
//      y       y        -      no longer wanted         remove: how its causes ended, else policy
//      y       -        y      removed out of band      add once (drift); the second time it means
//                                                       no: report, until somebody signs in anew
//      y       -        -      already gone             nothing
//      -      ours      -      nothing explains it      remove (orphan)
//      -      ours      y      crash after the call     nothing but the record
//     any    foreign   any     not ours                 report, leave alone
//     any    foreign    -      …, in a container that   remove (drift: added out of band)
//                              is ours as a whole
//     any    foreign    y      …, or adopted by name    add: our mark is put on it
//      y     closes    y      lasts in another way      extend where it opens more, else shorten
//            otherwise
//      y     other      y      other deadline           extend or shorten, by what changed it
//            deadline
//      y     other      y      the target's own timer   extend or shorten (drift)
//              life            is not the marker's
//
// An entry for one connection comes with a ticket, and a ticket is given to each sign-in once: what
// was removed out of band, or comes back by policy or schedule, stays closed until somebody signs in
// anew, who is given one more. So is what lost a part (ObservedItem::broken).
//
// An observed entry whose deadline has passed is removed because of expiry, whatever else is true;
// when it is wanted again, it is added again.
//
// Structure is compared too. A port that our records say we protected, and that is protected no
// more, was opened by somebody else: `protect` then is drift, else policy's doing. A port, a slot or a `keep` prefix that changes place does so in two
// changes, the first with both. A slot that is no longer wanted stays while foreign entries are in
// it.
//
// Of a partial reading, what was not seen may be there: only what must close at once is a change,
// seen or known from our records alone. A reading that failed is a partial one that saw nothing.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "reconciler/interfaces/fact_store.h"
#include "reconciler/interfaces/provider.h"
#include "schemas/plan/plan.h"

namespace knock {

struct DiffInput {
  const TargetName& target;
  const Capabilities& capabilities;
  const Canonical& desired;
  /// What the policy in force would want now, when another one is planned; null when they are the
  /// same.
  const Canonical* desired_in_force = nullptr;
  const Observed& observed;
  std::span<const AppliedEntry> applied;  // any order
  Instant now;
  /// How a session ended; nothing while it lives or when it is not known.
  std::function<std::optional<EndCause>(const SessionId&)> ended;
  /// True when a deny rule of the planned policy closes this slot to this address.
  std::function<bool(const std::string& slot, const Prefix&)> denied;
  /// True when a deny rule that names groups closes this slot to a session that lives.
  std::function<bool(const std::string& slot, const SessionId&)> denied_session;
  /// True when a rule that counts closes this slot to a session that lives. It closes at once, unless
  /// the policy in force still gives the entry: then it is policy's doing.
  std::function<bool(const std::string& slot, const SessionId&)> limited_session = {};
  /// Only this prefix was read and evaluated: slots and structure are not compared.
  std::optional<Prefix> only;
  /// True when this session was given a ticket for one connection here before, whatever became of
  /// the entry. A sign-in is given no second one.
  std::function<bool(const std::string& slot, const Prefix&, const SessionId&)> had_ticket = {};
  /// Ports that by our own records we protected here last; canonical. Empty: none, or not known.
  std::span<const PortRange> protected_before = {};
  /// True when groups were taken from a session that lives. What they gave closes at once, unless
  /// the policy in force still gives the entry: then it is policy's doing.
  std::function<bool(const SessionId& session)> regrouped = {};
  /// The whole container is ours: what is not ours in it was added out of band. Marks of a version
  /// we do not know are left alone all the same.
  bool owns_container = false;
  /// Foreign entries that somebody said are ours from now on, where policy wants them: slot, prefix.
  const std::set<std::pair<std::string, Prefix>>* adopted = nullptr;
};

/// In no particular order of safety (see order.h), but deterministic.
std::vector<Change> diff(const DiffInput& input);

/// How far the target's own count of an entry's life may be from its marker before that is a
/// change.
inline constexpr Duration kLifeTolerance = Duration::seconds(3);

}  // namespace knock
