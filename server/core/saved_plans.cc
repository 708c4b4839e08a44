// SPDX-License-Identifier: Apache-2.0
#include "server/core/saved_plans.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace knock {
namespace {

std::vector<Prefix> keep_of(const Config& config) {
  std::vector<Prefix> out;
  for (const KeepPrefix& keep : config.keep) out.push_back(keep.prefix);
  std::sort(out.begin(), out.end());
  return out;
}

Result<std::shared_ptr<const Policy>> policy_for(Controller& controller, const PlanAsk& ask,
                                                 Diagnostics& problems) {
  if (ask.files) {
    KNOCK_ASSIGN(auto candidate, controller.candidate(*ask.files, ask.revision, problems));
    return std::make_shared<const Policy>(std::move(candidate));
  }
  KNOCK_ASSIGN(auto newest, controller.policy_keeper().newest(problems));
  return newest.policy;
}

AppliedPlan::How judged(const CarriedOut& result) {
  if (!result.guards.empty()) return AppliedPlan::How::held;
  return result.problems.empty() ? AppliedPlan::How::done : AppliedPlan::How::partly;
}

/// Somebody said that nothing else comes into force until somebody says so.
Status not_held(const PolicyStatus& status, const Plan& plan) {
  if (!status.hold || status.revision == plan.to) return {};
  return fail(
      ErrorKind::conflict,
      fmt::format("saved-plan.held: the policy is held at {} since {} by {}; `knock advance` "
                  "takes the newest, `knock advance --resume` follows the source again",
                  printable(status.hold->revision.value).substr(0, 12),
                  to_string(status.hold->since), printable(status.hold->by)));
}

}  // namespace

std::string_view to_string(AppliedPlan::How how) {
  switch (how) {
    case AppliedPlan::How::done:
      return "done";
    case AppliedPlan::How::stopped:
      return "stopped";
    case AppliedPlan::How::held:
      return "held";
    case AppliedPlan::How::partly:
      return "partly";
  }
  return "";
}

Result<std::string> save_plan(Controller& controller, const PlanAsk& ask, Diagnostics& problems) {
  if (ask.good_for <= Duration{0} || ask.good_for > kLongestPlanLife)
    return fail(ErrorKind::invalid, fmt::format("a plan is good for {} at most; say --good-for 24h",
                                                to_string(kLongestPlanLife)));
  KNOCK_ASSIGN(auto key, controller.plan_key());
  KNOCK_ASSIGN(auto policy, policy_for(controller, ask, problems));
  KNOCK_ASSIGN(auto plan, controller.reconciler().plan(*policy, ask.only, ask.new_targets));
  SavedPlan saved{std::move(plan), controller.config().owner,
                  controller.clock().now() + ask.good_for, controller.random().token(16),
                  content_of(*policy)};
  std::string out;
  write_saved(saved, [&](std::string_view piece) { out += piece; }, &key);
  return out;
}

Result<AppliedPlan> apply_plan(Controller& controller, const Actor& actor, const ApplyAsk& ask,
                               Diagnostics& problems) {
  KNOCK_ASSIGN(auto key, controller.plan_key());
  Reconciler& reconciler = controller.reconciler();
  PolicyKeeper& keeper = controller.policy_keeper();
  AppliedPlan out;
  auto done = keeper.with_newest(problems, [&](const SoundSnapshot& newest) -> Status {
    ApplyGround ground{controller.config().owner,
                       controller.store(),
                       controller.clock().now(),
                       keep_of(controller.config()),
                       key.public_key(),
                       true,
                       reconciler.policy(),
                       *newest.policy,
                       [&] { return reconciler.plan(*newest.policy); }};
    KNOCK_ASSIGN(out.plan, check_saved(ground, ask));
    if (out.plan.stopped) {
      out.how = AppliedPlan::How::stopped;
      return {};
    }
    KNOCK_CHECK(not_held(keeper.status(), out.plan.now));
    KNOCK_CHECK(use_plan(controller.store(), actor, controller.clock().now(), out.plan.saved));
    KNOCK_ASSIGN(out.result, carry_out(reconciler, actor, out.plan,
                                       [&] { return keeper.put_in_force(actor, newest); }));
    out.how = judged(out.result);
    return {};
  });
  // Warnings about a sound policy are not why a plan is refused.
  if (!done && done.error().kind != ErrorKind::invalid) problems.clear();
  if (!done) return fail(std::move(done.error()));
  return out;
}

}  // namespace knock
