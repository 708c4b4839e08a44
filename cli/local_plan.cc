// SPDX-License-Identifier: Apache-2.0
#include "cli/local_plan.h"

#include <algorithm>

#include "cli/registry.h"
#include "server/core/controller.h"

namespace knock::cli {

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
  auto in_force = policy_in_force(store, policy_context(config));
  auto factory = provider_factory(config.owner);
  std::map<TargetName, std::unique_ptr<Provider>> providers;
  PlannerInput input{policy, nullptr, live, accounts, keep, now, head, {}, {}, {}, {}, only};
  if (in_force != nullptr && in_force->revision != policy.revision) input.in_force = in_force.get();
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
  return make_plan(input);
}

}  // namespace knock::cli
