// SPDX-License-Identifier: Apache-2.0
// Puts the newest policy in force. With a controller running, that is the controller's work and
// this asks it to; without one, this process is the controller for as long as it takes.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "base/text.h"
#include "cli/admin_client.h"
#include "cli/json_view.h"
#include "cli/local.h"
#include "cli/local_plan.h"
#include "cli/registry.h"
#include "cli/server.h"
#include "reconciler/core/render.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_conditions.h"
#include "server/core/apply_saved.h"
#include "server/core/controller.h"
#include "store/plan_key.h"
#include "store/tzdata/system_zones.h"

namespace knock::cli {
namespace {

struct ApplyFlags {
  PolicyFlags policy;
  std::string file, ack, reviewed;
  bool auto_approve = false, exact = false, replan = false;
};

int say_guards(const Plan& plan) {
  for (const auto& sentence : sentences(plan.guards)) fail_with(kGuarded, sentence);
  return fail_with(
      kGuarded, fmt::format("to let them go: knock apply --ack {}", to_hex(plan.id).substr(0, 16)));
}

// ---- a plan file ----

/// Everything that speaks against it, a line each.
int say_refused(const ApplyFlags& flags, const Error& error) {
  int code = error.kind == ErrorKind::conflict ? int(kStalePlan) : code_for(error);
  if (error.kind != ErrorKind::conflict) return fail_with(code, error.text());
  std::string message = flags.file + " is not applied:";
  for (auto line : split(error.message, '\n')) message += "\n  " + std::string(trim(line));
  return fail_with(code, message);
}

int say_stopped(const Global& global, const ApplyFlags& flags,
                const std::vector<std::string>& guards, const std::string& ack) {
  for (const auto& sentence : guards) fail_with(kGuarded, sentence);
  return fail_with(
      kGuarded,
      fmt::format("nothing was done, and the plan is still good; to say yes to what is held{}: "
                  "knock apply {} --ack {}",
                  global.server.empty() ? "" : ", on the controller's own machine", flags.file,
                  ack));
}

/// What is held although the plan was carried out.
int say_held(const std::vector<std::string>& guards) {
  for (const auto& sentence : guards) fail_with(kGuarded, sentence);
  return fail_with(kGuarded,
                   "all but that is done; look at it with knock plan, and say yes to it "
                   "with knock apply --ack HASH");
}

int say_problems(const std::vector<std::string>& problems) {
  int code = kDone;
  for (const auto& problem : problems) code = fail_with(kPartly, problem);
  return code;
}

std::vector<std::string> texts(const boost::json::value& value, std::string_view name) {
  std::vector<std::string> out;
  for (const auto& item : list(value, name))
    if (item.is_string()) out.emplace_back(item.as_string());
  return out;
}

int remote_apply_file(const Global& global, const ApplyFlags& flags, const AdminClient& client) {
  auto content = read_text_file(flags.file);
  if (!content) return fail_with(content.error());
  std::string id;
  auto answer = client.post("/api/v1/apply",
                            {{"file", *content},
                             {"ack", flags.ack},
                             {"exact", flags.exact},
                             {"replan", flags.replan},
                             {"color", global.colored()}},
                            &id);
  if (!answer)
    return answer.error().kind == ErrorKind::conflict
               ? say_refused(flags, answer.error())
               : fail_with(code_for(answer.error(), id), answer.error().message);
  print(std::string(answer->at("text").as_string()));
  auto outcome = text(*answer, "outcome");
  if (outcome == "stopped")
    return say_stopped(global, flags, texts(*answer, "guards"), text(*answer, "ack"));
  int code = say_problems(texts(*answer, "problems"));
  if (outcome == "held") code = say_held(texts(*answer, "guards"));
  if (code == kDone) print("Done.\n");
  return code;
}

/// What a command without a controller works with.
struct Here {
  const Config& config;
  FactStore& store;
  const LoadedPolicy& loaded;
  const PolicyContext& context;
  const SteadyWall& clock;
  Random& random;
};

Actor actor_here() { return fmt::format("cli uid={}", getuid()); }

AdoptedPolicy adopted_here(const Here& here) {
  const PolicySnapshot& snapshot = here.loaded.snapshot;
  return {here.loaded.policy.revision, here.clock.now(), snapshot.author, snapshot.subject,
          snapshot.files};
}

Result<CheckedPlan> check_here(const Here& here, const ApplyFlags& flags,
                               std::shared_ptr<const Policy> in_force) {
  KNOCK_ASSIGN(auto content, read_text_file(flags.file));
  auto folder = std::filesystem::path(here.config.store_path()).parent_path().string();
  KNOCK_ASSIGN(auto key, known_plan_key(folder));
  ApplyGround ground{
      here.config.owner,
      here.store,
      here.clock.now(),
      settings_of(here.config).keep,
      key ? std::optional(key->public_key()) : std::nullopt,
      false,
      std::move(in_force),
      here.loaded.policy,
      [&] { return local_plan(here.config, here.store, here.loaded.policy, here.clock.now()); }};
  return check_saved(ground, {std::move(content), flags.ack, flags.exact, flags.replan});
}

int local_apply_file(const Global& global, const ApplyFlags& flags, const Here& here) {
  auto in_force = policy_in_force(here.store, here.context);
  auto checked = check_here(here, flags, in_force);
  if (!checked) return say_refused(flags, checked.error());
  print(to_text(*checked, global.colored()));
  if (checked->stopped)
    return say_stopped(global, flags, sentences(checked->now.guards), checked->ack);
  auto actor = actor_here();
  if (auto used = use_plan(here.store, actor, here.clock.now(), checked->saved); !used)
    return say_refused(flags, used.error());
  Reconciler reconciler(here.store, here.clock, here.random, provider_factory(here.config.owner),
                        settings_of(here.config));
  if (auto started = reconciler.start(); !started) return fail_with(started.error());
  tell_previous(reconciler, here.store, here.context);
  if (in_force != nullptr) reconciler.resume(in_force, false);
  auto result = carry_out(reconciler, actor, *checked, [&] {
    return reconciler.adopt(actor, adopted_here(here),
                            std::make_shared<const Policy>(here.loaded.policy));
  });
  reconciler.stop();
  if (!result) return fail_with(result.error());
  std::vector<std::string> problems;
  for (const auto& problem : result->problems) problems.push_back(problem.sentence());
  int code = say_problems(problems);
  if (!result->guards.empty()) code = say_held(sentences(result->guards));
  if (code == kDone) print("Done.\n");
  return code;
}

// ---- the newest policy ----

int remote_apply(const Global& global, const ApplyFlags& flags, const AdminClient& client) {
  if (flags.policy.given() && !global.server.empty())
    return fail_with(kUsage,
                     "a controller elsewhere puts its own policy source in force; leave --policy "
                     "and --repo out");
  if (flags.policy.given())
    return fail_with(kLocked, "a controller runs at " + client.socket() +
                                  " and puts its own policy source in force; --policy and --repo "
                                  "are for a stopped one");
  if (!flags.file.empty()) return remote_apply_file(global, flags, client);
  auto looked = client.post("/api/v1/policy/look", {});
  if (!looked)
    return fail_with(looked.error().kind == ErrorKind::invalid ? int(kPolicyInvalid) : int(kError),
                     looked.error().message);
  if (const auto& waiting = member(member(*looked, "policy"), "waiting"); !waiting.is_null())
    return fail_with(kPartly,
                     fmt::format("{} is not in force; it waits for: {}",
                                 text(waiting, "revision").substr(0, 12), text(waiting, "needs")));
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

int settle(Reconciler& reconciler, const Plan& plan) {
  reconciler.wait_settled(Deadline::in(Duration::seconds(30)));
  int code = kDone;
  for (const TargetStatus& target : reconciler.targets())
    if (!target.ready)
      code = fail_with(
          kPartly, fmt::format("{}: not done: {}", printable(target.name.value), target.problem));
  for (const TargetStatus& target : reconciler.targets())
    for (const TargetCondition& one : conditions_of(target))
      if (one.word == "Rejected" || one.word == "CapacityExceeded" || one.word == "Paused")
        code = fail_with(kPartly, fmt::format("{}: not all of it: {}", printable(target.name.value),
                                              printable(one.why)));
  return code == kDone && !plan.guards.empty() ? int(kGuarded) : code;
}

/// What a running controller would refuse is refused here too.
int may_apply(const ApplyFlags& flags, const Config& config, const FactStore& store) {
  if (flags.policy.given() && !config.policy.require_signed.empty())
    return fail_with(kError,
                     "the configuration asks for signed commits (require_signed), and --policy and "
                     "--repo would go around that; nothing was done. Commit it, or take "
                     "require_signed out");
  auto hold = store.policy_hold();
  if (!hold) return fail_with(hold.error());
  if (!*hold) return kDone;
  return fail_with(kError, fmt::format("the policy is held at {} since {} by {}; nothing was done. "
                                       "Start the controller, then knock advance --resume",
                                       printable((*hold)->revision.value).substr(0, 12),
                                       to_string((*hold)->since), printable((*hold)->by)));
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
  if (code = may_apply(flags, *config, **store); code != kDone) return code;
  tell_in_force(**source, **store);
  auto context = policy_context(*config, system_zones());
  context.now = SystemClock().now();
  auto loaded = load_or_say(**source, context, code);
  if (!loaded) return code;

  SystemClock machine;
  auto last = (*store)->last_time();
  SteadyWall clock(machine, last && *last ? **last : Instant{});
  if (!tests_hold_or_say(loaded->policy, clock.now(), code)) return code;
  Here here{*config, **store, *loaded, context, clock, random};
  if (!flags.file.empty()) return local_apply_file(global, flags, here);
  auto plan = local_plan(*config, **store, loaded->policy, clock.now());
  if (!plan) return fail_with(plan.error());
  print(to_text(*plan, {global.colored(), loaded->snapshot.subject, loaded->snapshot.author}));
  bool acknowledged = !flags.ack.empty() && names_plan(flags.ack, plan->id);
  if (!flags.ack.empty() && !acknowledged)
    return fail_with(kStalePlan, "--ack names another plan than this one");
  if (plan->empty() && plan->from == plan->to) return kDone;
  if (!flags.auto_approve && !acknowledged && !confirmed("Do this?"))
    return fail_with(kError,
                     interactive()
                         ? "nothing was done"
                         : "nothing was done: say yes with --auto-approve, a plan file, or --ack");

  Reconciler reconciler(**store, clock, random, provider_factory(config->owner),
                        settings_of(*config));
  Actor actor = actor_here();
  if (auto started = reconciler.start(); !started) return fail_with(started.error());
  tell_previous(reconciler, **store, context);
  if (auto before = policy_in_force(**store, context);
      before != nullptr && before->revision != loaded->policy.revision)
    reconciler.resume(before, false);
  if (auto done = reconciler.adopt(actor, adopted_here(here),
                                   std::make_shared<const Policy>(loaded->policy));
      !done)
    return fail_with(done.error());
  if (auto done = reconciler.apply_again(actor); !done) return fail_with(done.error());
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
  auto* command = commands.add(commands.app, "apply", "Put the policy in force",
                               "knock apply friday.plan\n"
                               "  knock apply friday.plan --server https://knock.example.org");
  flags->policy.add_to(*command);
  command->add_option("file", flags->file,
                      "A plan saved by `knock plan --out`; with --server by a token with apply");
  command->add_option("--ack", flags->ack, "Let the held changes of this plan go (its hash)");
  command->add_flag("--auto-approve", flags->auto_approve, "Do not ask");
  command->add_option("--reviewed", flags->reviewed,
                      "Put the newest policy in force if it has this review hash, as `knock plan "
                      "--server` told it; refuse otherwise");
  auto* exact = command->add_flag(
      "--exact", flags->exact, "Refuse a saved plan when anything is different, sessions included");
  command
      ->add_flag("--replan", flags->replan,
                 "Of a saved plan, do what would be done now, as far as no guard stops it")
      ->excludes(exact);
  commands.run(command, [&commands, flags] {
    if (auto why = flags->policy.not_a_policy(); !why.empty())
      return fail_with(kPolicyInvalid, why);
    if (flags->file.empty() && (flags->exact || flags->replan))
      return fail_with(kUsage, "--exact and --replan say how to apply a saved plan; name its file");
    auto client = AdminClient::of(commands.global);
    if (!flags->reviewed.empty()) {
      if (!flags->file.empty() || flags->policy.given() || !flags->ack.empty())
        return fail_with(kUsage, "--reviewed says all there is to say; leave the other flags out");
      return apply_reviewed(commands.global, flags->reviewed);
    }
    if (!commands.global.server.empty() && flags->file.empty())
      return fail_with(kUsage,
                       "with --server, say what was reviewed: --reviewed HASH, or a plan "
                       "file");
    return client.reachable() ? remote_apply(commands.global, *flags, client)
                              : local_apply(commands.global, *flags);
  });
}

}  // namespace knock::cli
