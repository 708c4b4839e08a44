// SPDX-License-Identifier: Apache-2.0
// Desired and observed, brought together: diff → guard → order → a plan for one target, and plans
// for many with an id. Pure.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "reconciler/core/diff.h"
#include "reconciler/core/evaluate.h"
#include "reconciler/core/guard.h"
#include "reconciler/core/ownership.h"
#include "reconciler/core/people.h"
#include "reconciler/interfaces/fact_store.h"
#include "reconciler/interfaces/provider.h"
#include "schemas/plan/plan.h"
#include "schemas/policy/policy.h"

namespace knock {

class LiveSessions;

struct TargetPlanInput {
  const Target& target;
  const Policy& policy;  // the one that is planned
  const Capabilities& capabilities;
  const Canonical& desired;
  const Canonical* desired_in_force = nullptr;  // when another policy is in force
  const Result<Observed>& observed;
  std::span<const AppliedEntry> applied;
  Instant now;
  std::function<std::optional<EndCause>(const SessionId&)> ended;
  bool acknowledged = false;   // somebody said yes to this plan's id: nothing is held
  std::optional<Prefix> only;  // a host-scoped plan (DiffInput::only)
  /// Who lives now. Without them, what a deny rule takes from a group counts as policy's doing.
  std::span<const Session> sessions = {};
  std::span<const PortRange> protected_before = {};  // DiffInput::protected_before
  std::span<const Approval> approvals = {};
  /// Of the policy in force, when another is planned: both are heeded. Null: those of `policy` alone.
  const GuardLimits* limits_in_force = nullptr;
  std::span<const GuardTrip> tripped_before = {};  // GuardInput::before
  /// DiffInput::had_ticket.
  std::function<bool(const std::string& slot, const Prefix&, const SessionId&)> had_ticket = {};
  /// Of this policy and these sessions, where several targets share it. Null: one of its own.
  LiveSessions* live = nullptr;
  Stewardship stewardship = {};
  std::span<const OperatorHere> operators = {};  // GuardInput::operators
  bool returning = false;                        // GuardInput::returning
  /// Somebody paused the target: only what must close is planned, and the rest is counted.
  bool paused = false;
};

struct PlannedTarget {
  TargetPlan plan;
  std::size_t postponed = 0;  // by a pause
  std::vector<GuardTrip> trips;
};

/// When the target could not be read, the plan holds removals of what must close by our own records
/// (expired, signed out, revoked, denied) and nothing else.
PlannedTarget plan_target(const TargetPlanInput& input);

/// SHA-256 over the policy revision, what policy and configuration cause, and whatever is held;
/// never over times or over what sessions and drift cause, or every acknowledgement would be stale
/// within a second.
Digest plan_id(const PolicyRevision& to, std::span<const TargetPlan> targets);

/// What a saved plan binds of a target it touches: its structure and what is not ours in it. What is
/// ours comes and goes with sessions, and is compared change by change.
Digest state_of(const Observed& observed);

/// Sorts, computes the id.
Plan assemble(PolicyRevision from, PolicyRevision to, std::uint64_t sequence, Instant as_of,
              std::vector<PlannedTarget> targets, PeopleChanges people);

/// What differs on the targets and was not us, and nothing else.
Plan drift_of(Plan plan);

/// `written` is the plan's id or at least 12 leading hex digits of it.
bool names_plan(std::string_view written, const Digest& id);

}  // namespace knock
