// SPDX-License-Identifier: Apache-2.0
// Everything a plan needs, read from the world once and handed to the pure core. Reads only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "reconciler/core/plan.h"
#include "reconciler/interfaces/fact_store.h"
#include "reconciler/interfaces/provider.h"
#include "schemas/policy/policy.h"

namespace knock {

/// Makes the provider of one target. The callback may be called from any thread until the provider
/// is gone.
using ProviderFactory =
    std::function<Result<std::unique_ptr<Provider>>(const Target&, TargetMoved)>;

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
};

Plan make_plan(const PlannerInput& input);

/// Evaluates and canonicalizes for one target: what `plan_target` compares with.
Canonical desired_on(const Provider& provider, const Target& target, const Policy& policy,
                     std::span<const Session> sessions, std::span<const Prefix> keep, Instant now);

}  // namespace knock
