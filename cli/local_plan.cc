// SPDX-License-Identifier: Apache-2.0
#include "cli/local_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/registry.h"
#include "reconciler/loop/custody.h"
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

Status known_targets(const std::vector<TargetName>& only, const Policy& policy,
                     const Policy* in_force) {
  std::vector<std::string> known;
  for (const Policy* one : {&policy, in_force})
    if (one != nullptr)
      for (const Target& target : one->targets) known.push_back(target.name.value);
  for (const TargetName& name : only) {
    if (std::find(known.begin(), known.end(), name.value) != known.end()) continue;
    auto meant = did_you_mean(name.value, known);
    return fail(ErrorKind::not_found,
                fmt::format("no target \"{}\" in the policy{}", printable(name.value),
                            meant ? "; did you mean \"" + printable(*meant) + "\"?" : ""));
  }
  return {};
}

}  // namespace

Result<Plan> local_plan(const Config& config, const FactStore& store, const Policy& wanted,
                        Instant now, const PlanRequest& request) {
  std::vector<Session> live;
  if (request.what_if.people)
    live = request.what_if.people->sessions;
  else {
    KNOCK_ASSIGN(live, store.live_sessions(now));
  }
  KNOCK_ASSIGN(auto accounts, store.accounts());
  KNOCK_ASSIGN(auto head, store.head());
  std::vector<Prefix> keep;
  for (const KeepPrefix& prefix : config.keep) keep.push_back(prefix.prefix);
  KNOCK_ASSIGN(auto seen, store.sessions(kMostSeen));
  auto context = policy_context(config, system_zones());
  auto in_force = policy_in_force(store, context);
  const Policy& policy = request.refresh_only && in_force != nullptr ? *in_force : wanted;
  KNOCK_CHECK(known_targets(request.only, policy, in_force.get()));
  auto factory = provider_factory(config.owner);
  std::map<TargetName, std::unique_ptr<Provider>> providers;
  std::map<TargetName, Custody> custody;
  KNOCK_ASSIGN(auto protection, protection_by_log(store, [&](const Record& record) {
                 return note_ownership(custody, record);
               }));
  PlannerInput input{policy, nullptr, live, accounts, keep, now,
                     head,   {},      {},   {},       {},   request.only};
  input.seen = seen;
  input.sources = context.sign_ins;
  std::vector<OperatorHere> operators;
  if (!request.what_if.given())
    operators = operators_among(settings_of(config).operators, live, now);
  input.operators = operators;
  if (request.what_if.people) input.approvals = request.what_if.people->approvals;
  if (in_force != nullptr && in_force->revision != policy.revision) input.in_force = in_force.get();
  // As a controller that starts now: it takes every target that the adopted policy has to be under
  // that policy, and what its log says was protected there.
  input.in_force_on = [&](const TargetName&) { return input.in_force; };
  // Each of these is a first look.
  auto adopted = in_force != nullptr ? replaced_another(store, in_force->revision) : std::nullopt;
  input.adopted_on = [&](const TargetName&) { return adopted; };
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
  input.tickets = [&](const TargetName& name) {
    Instant since = now;
    for (const Session& session : live) since = std::min(since, session.created);
    auto tickets = tickets_given(store, name, since);
    if (tickets) return std::move(*tickets);
    // As a controller that starts now: whoever is signed in may have had theirs.
    Tickets unknown;
    for (const Session& session : live) unknown.perhaps.insert(session.id);
    return unknown;
  };
  input.stewardship = [&](const Target& target) {
    return custody[target.name].stewardship(target, policy.target(target.name) == nullptr);
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
  plan.scope.what_if = request.what_if.given();
  return request.refresh_only ? drift_of(std::move(plan)) : plan;
}

}  // namespace knock::cli
