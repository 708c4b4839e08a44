// SPDX-License-Identifier: Apache-2.0
// A saved plan is applied: read, held against this installation, compared with what would be done
// now, and carried out. The same for a running controller (saved_plans.h) and for `knock apply`
// without one; nothing here knows how the file came.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "reconciler/core/saved_plan_check.h"
#include "reconciler/loop/reconciler.h"

namespace knock {

/// How long a saved plan is good when nobody says, and at most.
inline constexpr Duration kPlanLife = Duration::hours(1),
                          kLongestPlanLife = Duration::hours(24 * 7);

struct ApplyAsk {
  std::string file;        // its content
  std::string ack;         // a plan's id, or at least 12 leading digits; may be empty
  bool exact = false;      // no difference at all
  bool replan = false;     // what would be done now, whatever the plan shows
  View view = View::full;  // what whoever asks may see, of refusals
};

struct ApplyGround {
  OwnerId owner;
  FactStore& store;
  Instant now;
  std::vector<Prefix> keep;                // sorted
  std::optional<Ed25519Public> key;        // PlanPlace::key
  bool signed_only = false;                // PlanPlace::signed_only
  std::shared_ptr<const Policy> in_force;  // null: none
  const Policy& newest;                    // what the source holds
  std::function<Result<Plan>()> plan;      // of `newest`, now
};

/// A plan that may be carried out, or only waits for a yes.
struct CheckedPlan {
  SavedPlan saved;
  Plan now;
  PlanComparison since;
  bool replanned = false;
  bool acknowledged = false;  // what is held back may go
  /// A guard holds changes back, and nobody said yes: nothing is to be done. `ack` is what to say.
  bool stopped = false;
  std::string ack;
};

/// Kind `conflict` for every refusal; its message has a line for each fact, which begins with the
/// refusal's id ("saved-plan.used: …"). Its lines are printable.
Result<CheckedPlan> check_saved(const ApplyGround& ground, const ApplyAsk& ask);

/// Durable when it returns: the plan cannot be applied a second time. Kind `conflict` when it was
/// used before.
Status use_plan(FactStore& store, const Actor& actor, Instant now, const SavedPlan& saved);

struct CarriedOut {
  struct Problem {
    TargetName target;
    std::string why;  // as TargetStatus::problem
    std::string sentence() const;
  };
  std::vector<Problem> problems;  // what is not done
  std::vector<GuardTrip> guards;  // what is held all the same: the world moved meanwhile
  bool done() const { return problems.empty() && guards.empty(); }
};
/// After use_plan(). `adopt` puts the planned policy in force; it is not called when it is already.
/// Waits until targets have settled, but not for ever.
Result<CarriedOut> carry_out(Reconciler& reconciler, const Actor& actor, const CheckedPlan& checked,
                             const std::function<Status()>& adopt);

/// For people: what became of sessions since (beyond a shape), then the plan as it is carried out.
std::string to_text(const CheckedPlan& checked, bool color, View view = View::full);
/// "guard becomes-empty on edge-fw holds 5 changes: 5 of 5 entries (at least one entry stays)"
std::vector<std::string> sentences(const std::vector<GuardTrip>& guards);

}  // namespace knock
