// SPDX-License-Identifier: Apache-2.0
// Everything a plan needs, read from the world once and handed to the pure core. Reads only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "reconciler/core/plan.h"
#include "reconciler/interfaces/fact_store.h"
#include "reconciler/interfaces/provider.h"
#include "schemas/policy/policy.h"
#include "schemas/session/codec.h"

namespace knock {

/// Makes the provider of one target. The callback may be called from any thread until the provider
/// is gone.
using ProviderFactory =
    std::function<Result<std::unique_ptr<Provider>>(const Target&, TargetMoved)>;

/// Who was given a ticket for one connection.
struct Tickets {
  std::map<std::pair<std::string, Prefix>, std::set<SessionId>> given;  // by slot and prefix
  std::set<SessionId> perhaps;  // whose records cannot be read: they may have had one everywhere
  bool had(const std::string& slot, const Prefix& prefix, const SessionId& session) const;
};
/// Those that stood on a target at some time since, by the log.
Result<Tickets> tickets_given(const FactStore& store, const TargetName& target, Instant since);

struct PlannerInput {
  const Policy& policy;
  const Policy* in_force = nullptr;   // null: none, or the same
  std::span<const Session> sessions;  // live ones
  std::span<const Account> accounts;
  std::span<const Prefix> keep;
  Instant now;
  std::uint64_t sequence = 0;
  std::function<std::optional<EndCause>(const SessionId&)> ended;
  std::function<std::vector<AppliedEntry>(const TargetName&)> applied;
  std::function<Result<Observed>(const Target&)> observe;
  std::function<Provider*(const Target&)>
      provider;                  // null: it could not be made; observe() says why
  std::vector<TargetName> only;  // empty: every target
  /// What is in force on one target, when that may be an older policy than `in_force` (something is
  /// held back there); may be empty.
  std::function<const Policy*(const TargetName&)> in_force_on;
  /// Targets that left the policy and are not drained yet; those that `policy` lets go are added.
  std::vector<Target> leaving;
  /// Called when a target is planned: its provider is used no more. May be empty.
  std::function<void(const Target&)> release;
  /// DiffInput::protected_before of a target at this place; may be empty.
  std::function<std::vector<PortRange>(const Target&)> protected_before = {};
  std::span<const Approval> approvals = {};
  std::span<const Session> seen = {};        // PeopleInput::seen
  std::span<const SignInName> sources = {};  // PeopleInput::sources
  /// TargetPlanInput::tripped_before of a target; may be empty.
  std::function<std::vector<GuardTrip>(const TargetName&)> tripped_on = {};
  /// HeldBefore::adopted of a target; may be empty.
  std::function<std::optional<Instant>(const TargetName&)> adopted_on = {};
  /// DiffInput::had_ticket of a target; may be empty.
  std::function<Tickets(const TargetName&)> tickets = {};
  /// What people said about a target at this place; may be empty.
  std::function<Stewardship(const Target&)> stewardship = {};
  std::span<const OperatorHere> operators = {};  // TargetPlanInput::operators
};

Plan make_plan(const PlannerInput& input);

struct PolicyPlanInput {
  const Policy& policy;
  const Policy* in_force = nullptr;  // null: none, or the same
  std::span<const Prefix> keep;
  std::span<const SignInName> sources;  // PeopleInput::sources
  Instant now;
  std::uint64_t sequence = 0;
  std::vector<TargetName> only;  // empty: every target
};
/// Of pairs that comparisons() counts; beyond it whom a change concerns is not worked out.
inline constexpr std::uint64_t kMostComparisons = 20'000'000;
/// What follows from the two policies alone, which is what a `shape` shows
/// (schemas/plan/policy_part.h). No target is read and nobody's session is looked at, so it says
/// nothing of them; and whoever writes the policy chooses no more than the two are large.
Plan plan_of_policies(const PolicyPlanInput& input);

/// What is made up instead of what is so. Nothing of it is ever adopted or applied.
struct WhatIf {
  std::optional<SessionsDocument> people;  // instead of those who are signed in
  std::optional<Instant> at;               // instead of now
  bool given() const { return people || at; }
};

/// What tells, after a restart under the same policy, what an earlier process held back.
struct HeldBefore {
  GuardLimits limits;  // of that policy
  /// When it took another's place; nothing: it is the first, or this process saw it adopted.
  std::optional<Instant> adopted;
  std::span<const Session> sessions;
};

/// What one target held under the policy in force, for the reasons of changes: `other` is the
/// evaluation of that policy, when it is another than the planned one. With none or the same,
/// nothing; but what no record and no reading knows was held back and never opened, so it is still
/// policy's to open: a prefix that is wider than the limits, and what was due when the policy was
/// adopted already.
std::optional<Canonical> desired_before(const Provider& provider, const TargetName& target,
                                        const std::vector<Allowlist>* other,
                                        const Canonical& desired,
                                        std::span<const AppliedEntry> applied,
                                        const Result<Observed>& observed, const HeldBefore& held);

/// When this revision took the place of another one; nothing: the log knows none before it.
std::optional<Instant> replaced_another(const FactStore& store, const PolicyRevision& revision);

/// What is wanted of a target that left the policy: nothing but the protection it has.
Allowlist leaving_list(const TargetName& target, const Structure& have);
/// The list of one target; empty when there is none.
Allowlist list_for(const std::vector<Allowlist>& lists, const TargetName& target);

/// Names a held change, so that a yes to it is a yes to nothing else.
std::string held_line(const Change& change);

/// The same enforcement point, whatever else is different.
bool same_place(const Target& a, const Target& b);
/// The same for the provider too.
bool same_settings(const Target& a, const Target& b);

}  // namespace knock
