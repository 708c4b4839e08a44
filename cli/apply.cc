// SPDX-License-Identifier: Apache-2.0
// Puts the newest policy in force. With a controller running, that is the controller's work and
// this asks it to; without one, this process is the controller for as long as it takes.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/text.h"
#include "cli/admin_client.h"
#include "cli/json_view.h"
#include "cli/local.h"
#include "cli/local_plan.h"
#include "cli/registry.h"
#include "reconciler/core/render.h"
#include "reconciler/loop/reconciler.h"
#include "schemas/plan/codec.h"
#include "server/core/controller.h"
#include "store/tzdata/system_zones.h"

namespace knock::cli {
namespace {

struct ApplyFlags {
  PolicyFlags policy;
  std::string file, ack;
  bool auto_approve = false, exact = false, replan = false;
};

int say_guards(const Plan& plan) {
  for (const GuardTrip& trip : plan.guards)
    fail_with(
        kGuarded,
        fmt::format("guard {} on {} holds {}: {} ({})", trip.guard, printable(trip.target.value),
                    counted(trip.held, "change", "changes"), trip.figure, trip.limit));
  return fail_with(
      kGuarded, fmt::format("to let them go: knock apply --ack {}", to_hex(plan.id).substr(0, 16)));
}

int remote_apply(const Global& global, const ApplyFlags& flags, const AdminClient& client) {
  if (flags.policy.given() || !flags.file.empty())
    return fail_with(kLocked, "a controller runs at " + client.socket() +
                                  " and puts its own policy source in force; --policy, --repo and "
                                  "plan files are for a stopped one");
  auto looked = client.post("/api/v1/policy/look", {});
  if (!looked)
    return fail_with(looked.error().kind == ErrorKind::invalid ? int(kPolicyInvalid) : int(kError),
                     looked.error().message);
  if (!flags.ack.empty())
    if (auto done = client.post("/api/v1/acknowledge", {{"plan", flags.ack}}); !done)
      return fail_with(done.error().kind == ErrorKind::conflict ? int(kStalePlan) : int(kError),
                       done.error().message);
  auto plan = client.post("/api/v1/plan", {{"format", "text"}, {"color", global.colored()}});
  if (!plan) return fail_with(plan.error());
  if (number(*plan, "guards") > 0) {
    print(std::string(plan->at("text").as_string()));
    return fail_with(kGuarded,
                     "a guard holds changes back; the plan above says what and how to let them go");
  }
  print(truth(*plan, "empty") ? std::string("In force, and nothing is left to do.\n")
                              : std::string(plan->at("text").as_string()));
  return truth(*plan, "empty") ? kDone : kPartly;
}

/// Checks that a saved plan is still what would happen.
int check_saved(const ApplyFlags& flags, const Config& config, const FactStore& store,
                const Plan& now, std::string& nonce) {
  auto content = read_text_file(flags.file);
  if (!content) return fail_with(content.error());
  auto saved = read_saved(*content);
  if (!saved) return fail_with(kStalePlan, flags.file + ": " + saved.error().text());
  auto stale = [&](const std::string& why) {
    return fail_with(kStalePlan,
                     flags.file + ": " + why + "; make a new one with knock plan --out");
  };
  if (saved->owner != config.owner)
    return stale("saved-plan.foreign: made for another installation");
  if (saved->expires <= SystemClock().now())
    return stale("saved-plan.expired: it was good until " + to_string(saved->expires));
  if (auto used = store.plan_used(saved->nonce); !used || *used)
    return stale("saved-plan.used: it was applied before");
  if (!saved->plan.scope.whole())
    return stale("saved-plan.scope: it is not the whole plan (--target, --refresh-only, --sessions "
                 "or --at), and apply does all of it");
  if (plan_id(saved->plan.to, saved->plan.targets) != saved->plan.id)
    return stale("saved-plan.id: its id is not that of its changes");
  if (!flags.replan && saved->plan.id != now.id)
    return stale("saved-plan.stale: policy would now do something else (" +
                 to_hex(now.id).substr(0, 16) + ")");
  if (flags.exact && summary(saved->plan) != summary(now))
    return stale("saved-plan.sessions: sessions or drift differ, and --exact was given");
  nonce = saved->nonce;
  return kDone;
}

int settle(Reconciler& reconciler, const Plan& plan) {
  reconciler.wait_settled(Deadline::in(Duration::seconds(30)));
  int code = kDone;
  for (const TargetStatus& target : reconciler.targets())
    if (!target.ready)
      code = fail_with(
          kPartly, fmt::format("{}: not done: {}", printable(target.name.value), target.problem));
  return code == kDone && !plan.guards.empty() ? int(kGuarded) : code;
}

int local_apply(const Global& global, const ApplyFlags& flags) {
  auto config = read_config(global);
  if (!config) return kError;
  SystemRandom random;
  auto store = open_store(*config, true, random);
  if (!store) return fail_with(store.error());
  int code = kDone;
  auto source = policy_source(location_of(flags.policy, *config), *config);
  if (!source) return fail_with(source.error());
  auto context = policy_context(*config, system_zones());
  context.now = SystemClock().now();
  auto loaded = load_or_say(**source, context, code);
  if (!loaded) return code;

  SystemClock machine;
  auto last = (*store)->last_time();
  SteadyWall clock(machine, last && *last ? **last : Instant{});
  if (!tests_hold_or_say(loaded->policy, clock.now(), code)) return code;
  auto plan = local_plan(*config, **store, loaded->policy, clock.now());
  if (!plan) return fail_with(plan.error());
  std::string nonce;
  if (!flags.file.empty())
    if (int checked = check_saved(flags, *config, **store, *plan, nonce); checked != kDone)
      return checked;
  print(to_text(*plan, {global.colored(), loaded->snapshot.subject, loaded->snapshot.author}));
  bool acknowledged = !flags.ack.empty() && names_plan(flags.ack, plan->id);
  if (!flags.ack.empty() && !acknowledged)
    return fail_with(kStalePlan, "--ack names another plan than this one");
  if (plan->empty() && plan->from == plan->to) return kDone;
  if (flags.file.empty() && !flags.auto_approve && !acknowledged && !confirmed("Do this?"))
    return fail_with(kError,
                     interactive()
                         ? "nothing was done"
                         : "nothing was done: say yes with --auto-approve, a plan file, or --ack");

  ReconcilerSettings settings;
  for (const KeepPrefix& keep : config->keep) settings.keep.push_back(keep.prefix);
  std::sort(settings.keep.begin(), settings.keep.end());
  Reconciler reconciler(**store, clock, random, provider_factory(config->owner), settings);
  Actor actor = fmt::format("cli uid={}", getuid());
  if (!nonce.empty()) {
    std::vector<Fact> used{PlanUsed{nonce, to_hex(plan->id)}};
    if (auto written = (*store)->append(actor, clock.now(), used); !written)
      return fail_with(written.error());
  }
  if (auto started = reconciler.start(); !started) return fail_with(started.error());
  if (auto before = policy_in_force(**store, context);
      before != nullptr && before->revision != loaded->policy.revision)
    reconciler.resume(before, false);
  AdoptedPolicy adopted{loaded->policy.revision, clock.now(), loaded->snapshot.author,
                        loaded->snapshot.subject, loaded->snapshot.files};
  if (auto done = reconciler.adopt(actor, adopted, std::make_shared<const Policy>(loaded->policy));
      !done)
    return fail_with(done.error());
  reconciler.wait_settled(Deadline::in(Duration::seconds(30)));
  if (acknowledged && !plan->guards.empty()) {
    // Held changes are shown under the id of what is left by now.
    auto rest = reconciler.plan(*reconciler.policy());
    if (!rest) return fail_with(rest.error());
    if (auto done = reconciler.acknowledge(actor, to_hex(rest->id)); !done)
      return fail_with(done.error());
    plan->guards.clear();
  }
  code = settle(reconciler, *plan);
  reconciler.stop();
  if (code == kGuarded) return say_guards(*plan);
  if (code == kDone) print("Done.\n");
  return code;
}

}  // namespace

void add_apply(Commands& commands) {
  auto flags = std::make_shared<ApplyFlags>();
  auto* command =
      commands.add(commands.app, "apply", "Put the policy in force", "knock apply friday.plan");
  flags->policy.add_to(*command);
  command->add_option("file", flags->file, "A plan saved by `knock plan --out`");
  command->add_option("--ack", flags->ack, "Let the held changes of this plan go (its hash)");
  command->add_flag("--auto-approve", flags->auto_approve, "Do not ask");
  command->add_flag("--exact", flags->exact,
                    "Refuse when sessions changed since the plan was saved");
  command->add_flag("--replan", flags->replan, "Accept a newer plan within the guards");
  commands.run(command, [&commands, flags] {
    auto client = AdminClient::of(commands.global);
    return client.reachable() ? remote_apply(commands.global, *flags, client)
                              : local_apply(commands.global, *flags);
  });
}

}  // namespace knock::cli
