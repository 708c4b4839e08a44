// SPDX-License-Identifier: Apache-2.0
#include "cli/local_plan.h"

#include <algorithm>

#include "cli/registry.h"
#include "reconciler/loop/protection.h"
#include "server/core/controller.h"
#include "store/tzdata/system_zones.h"

namespace knock::cli {

namespace {

bool holds_something(const Plan& plan) {
  return std::any_of(plan.targets.begin(), plan.targets.end(),
                     [](const TargetPlan& target) { return !target.held.empty(); });
}

/// What a target was under before something was held back there, only a running controller knows:
/// it is in no record.
Finding without_controller() {
  return {
      Finding::Level::note, "plan.local", TargetName(),
      "this plan was made without the controller: where something is held back since an earlier "
      "commit, a running one compares with the policy before that commit, so that its reasons "
      "and its hash may differ"};
}

}  // namespace

Result<Plan> local_plan(const Config& config, const FactStore& store, const Policy& policy,
                        const std::optional<std::vector<Session>>& sessions, Instant now,
                        const std::vector<TargetName>& only) {
  std::vector<Session> live;
  if (sessions)
    live = *sessions;
  else {
    KNOCK_ASSIGN(live, store.live_sessions(now));
  }
  KNOCK_ASSIGN(auto accounts, store.accounts());
  KNOCK_ASSIGN(auto head, store.head());
  std::vector<Prefix> keep;
  for (const KeepPrefix& prefix : config.keep) keep.push_back(prefix.prefix);
  auto in_force = policy_in_force(store, policy_context(config, system_zones()));
  auto factory = provider_factory(config.owner);
  std::map<TargetName, std::unique_ptr<Provider>> providers;
  KNOCK_ASSIGN(auto protection, protection_by_log(store));
  PlannerInput input{policy, nullptr, live, accounts, keep, now, head, {}, {}, {}, {}, only};
  if (in_force != nullptr && in_force->revision != policy.revision) input.in_force = in_force.get();
  // As a controller that starts now: it takes every target that the adopted policy has to be under
  // that policy, and what its log says was protected there.
  input.in_force_on = [&](const TargetName&) { return input.in_force; };
  input.protected_before = [&](const Target& target) {
    const Target* before = in_force != nullptr ? in_force->target(target.name) : nullptr;
    auto known = protection.find(target.name);
    bool here = before != nullptr && same_place(*before, target) && known != protection.end();
    return here ? known->second : std::vector<PortRange>();
  };
  input.ended = [&](const SessionId& id) -> std::optional<EndCause> {
    auto session = store.session(id);
    if (!session || !*session) return std::nullopt;
    if ((*session)->end) return (*session)->end->cause;
    return (*session)->expires <= now ? std::optional(EndCause::expired) : std::nullopt;
  };
  input.applied = [&](const TargetName& name) {
    auto rows = store.applied(name);
    return rows ? std::move(*rows) : std::vector<AppliedEntry>();
  };
  input.observe = [&](const Target& target) -> Result<Observed> {
    auto made = factory(target, [](const TargetName&) {});
    if (!made) return fail_within("target " + target.name.value, made);
    return (providers[target.name] = std::move(*made))
        ->observe(Deadline::in(Duration::seconds(10)));
  };
  input.provider = [&](const Target& target) -> Provider* {
    auto at = providers.find(target.name);
    return at == providers.end() ? nullptr : at->second.get();
  };
  Plan plan = make_plan(input);
  if (in_force != nullptr && holds_something(plan)) plan.findings.push_back(without_controller());
  return plan;
}

}  // namespace knock::cli
