// SPDX-License-Identifier: Apache-2.0
#include "reconciler/loop/planner.h"

#include <algorithm>

namespace knock {
namespace {

Allowlist list_for(const std::vector<Allowlist>& lists, const TargetName& target) {
  for (const Allowlist& list : lists)
    if (list.target == target) return list;
  Allowlist empty;
  empty.target = target;
  return empty;
}

PlannedTarget plan_one(const PlannerInput& in, const Target& target,
                       const std::vector<Allowlist>& desired,
                       const std::vector<Allowlist>& before) {
  auto observed = in.observe(target);
  auto applied = in.applied(target.name);
  Provider* provider = in.provider(target);
  Capabilities capabilities = provider != nullptr ? provider->capabilities() : Capabilities{};
  Canonical wanted, had;
  if (provider != nullptr) {
    wanted = provider->canonicalize(list_for(desired, target.name));
    if (in.in_force != nullptr) had = provider->canonicalize(list_for(before, target.name));
  }
  return plan_target({target, in.policy, capabilities, wanted,
                      in.in_force != nullptr ? &had : nullptr, observed, applied, in.now, in.ended,
                      false, std::nullopt});
}

}  // namespace

Plan make_plan(const PlannerInput& in) {
  auto desired = evaluate({in.policy, in.sessions, in.now, in.keep});
  std::vector<Allowlist> before;
  if (in.in_force != nullptr) before = evaluate({*in.in_force, in.sessions, in.now, in.keep});
  std::vector<PlannedTarget> targets;
  for (const Target& target : in.policy.targets)
    if (in.only.empty() || std::find(in.only.begin(), in.only.end(), target.name) != in.only.end())
      targets.push_back(plan_one(in, target, desired, before));
  Plan plan = assemble(in.in_force != nullptr ? in.in_force->revision : in.policy.revision,
                       in.policy.revision, in.sequence, in.now, std::move(targets),
                       people_changes(in.in_force, in.policy, in.sessions, in.accounts, in.now));
  if (in.in_force != nullptr)
    for (const Target& gone : in.in_force->targets)
      if (in.policy.target(gone.name) == nullptr)
        plan.findings.push_back(
            {Finding::Level::warning, "target.gone", gone.name,
             "is no longer in the policy: its entries are closed, its ports stay protected"});
  return plan;
}

Canonical desired_on(const Provider& provider, const Target& target, const Policy& policy,
                     std::span<const Session> sessions, std::span<const Prefix> keep, Instant now) {
  return provider.canonicalize(list_for(evaluate({policy, sessions, now, keep}), target.name));
}

}  // namespace knock
