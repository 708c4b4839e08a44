// SPDX-License-Identifier: Apache-2.0
// May a saved plan be applied now? Pure: the caller computes the plan anew and says what it knows.
//
// A plan binds what somebody reviewed: the two revisions, what the policy change does, the state of
// the targets it touches, which guards hold what. Sessions come and go all the time, so what they
// cause is computed again and told, never refused; unless somebody asks for exactly the plan.
//
//   id of a refusal         the fact that differs
//   ----------------------  -----------------------------------------------------------------------
//   saved-plan.owner        the installation it was made for
//   saved-plan.unsigned     made without the controller, and one runs
//   saved-plan.key          the controller that signed it
//   saved-plan.expired      the time
//   saved-plan.used         it was applied before
//   saved-plan.log          the log is shorter than it was: restored from a backup, or another one
//   saved-plan.scope        it is not the whole plan
//   saved-plan.id           its id is not that of its changes
//   saved-plan.in-force     the policy in force is not the one it starts from
//   saved-plan.commit       the source holds another policy than the planned one
//   saved-plan.policy       the policy change does something else
//   saved-plan.target       a target it touches differs, and no session did that
//   saved-plan.guard        a guard held what would be done now
//   saved-plan.ack          --ack names another plan
//   saved-plan.exact        anything at all, where --exact was asked for
//
// Each has a row in tests/unit/core/saved_plan_check_test.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "schemas/plan/codec.h"
#include "schemas/policy/policy.h"
#include "schemas/session/session.h"

namespace knock {

struct PlanRefusal {
  std::string id;
  std::string sentence;  // which fact, both values
  std::string next;      // what to do
};
/// One line each: "saved-plan.used: it was applied before (…); make a new one with …". What policy,
/// targets and sessions differ in names people and addresses, and is told as far as the view shows
/// them.
std::string to_text(const std::vector<PlanRefusal>& refusals, View view = View::full);
/// The facts alone, for whoever asked to go on in spite of them.
std::string facts(const std::vector<PlanRefusal>& refusals);

/// What is known of this installation before anything is computed.
struct PlanPlace {
  OwnerId owner;
  Instant now;
  std::uint64_t log_head = 0;
  bool used = false;                 // the log knows the plan's nonce
  std::optional<Ed25519Public> key;  // of this installation's controller; nothing: it has none
  bool signed_only = false;          // only what that controller signed
};
/// Everything that speaks against the file itself. Nothing of it is ever forgiven.
std::vector<PlanRefusal> check_file(const SavedPlan& saved, const PlanPlace& place);

/// `in_force` is empty when nothing is; `newest` is what the policy source holds.
std::vector<PlanRefusal> check_revisions(const SavedPlan& saved, const PolicyRevision& in_force,
                                         const Policy& newest);
/// For SavedPlan::policy.
Digest content_of(const Policy& policy);

/// Who came and went between two moments.
struct SessionsSince {
  Instant since;
  std::vector<std::string> signed_in, signed_out, revoked, ran_out;  // names, sorted
  bool none() const {
    return signed_in.empty() && signed_out.empty() && revoked.empty() && ran_out.empty();
  }
};

struct CompareInput {
  const Plan& shown;  // the saved one
  const Plan& now;    // computed anew, of the same policy
  const Policy* in_force = nullptr;
  const Policy& planned;
  /// Whoever is live now, or was when the plan was made, with their ends. Others may be among them.
  std::span<const Session> known;
  std::span<const Prefix> keep = {};
  bool acknowledged = false;  // somebody said yes to what the saved plan holds back
};

/// One change that is done now and was not shown, or was shown and is not done: sessions' doing.
struct ChangeSince {
  bool more = false;
  TargetName target;
  Change change;
};

struct PlanComparison {
  std::vector<PlanRefusal> refusals;  // what sessions did not do
  SessionsSince sessions;
  std::vector<ChangeSince> changes;
  std::size_t held_beyond = 0;  // changes held now that the plan did not show as held
};
PlanComparison compare(const CompareInput& input);

/// "Since the plan was made (…): 2 signed in (ana, dora), 1 signed out (bob)", and the changes that
/// follow from it, a line each. Names and addresses as far as the view shows them.
std::string to_text(const PlanComparison& comparison, View view = View::full);

/// saved-plan.exact for whatever differs.
std::vector<PlanRefusal> check_exact(const CompareInput& input, const PlanComparison& comparison);

}  // namespace knock
