// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>

#include "base/text.h"
#include "cli/admin_client.h"
#include "cli/json_view.h"
#include "cli/local.h"
#include "cli/local_plan.h"
#include "cli/plan_view.h"
#include "schemas/plan/codec.h"
#include "schemas/session/codec.h"
#include "server/core/controller.h"
#include "store/tzdata/system_zones.h"

namespace knock::cli {
namespace {

struct PlanFlags {
  PolicyFlags policy;
  std::vector<std::string> targets;
  std::string out, sessions, at;
  ViewFlags view;
  bool detailed = false, refresh_only = false;

  bool what_if() const { return !sessions.empty() || !at.empty(); }
};

std::vector<TargetName> names_of(const std::vector<std::string>& targets) {
  std::vector<TargetName> out;
  for (const auto& name : targets) out.emplace_back(name);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

/// A controller that runs holds the targets: it computes.
int remote_plan(const Global& global, const PlanFlags& flags, const std::string& format,
                const AdminClient& client) {
  boost::json::object body{{"format", format}, {"color", global.colored()}};
  boost::json::array targets;
  for (const auto& name : flags.targets) targets.emplace_back(name);
  if (!targets.empty()) body["targets"] = std::move(targets);
  if (flags.policy.given()) {
    Config nothing;
    auto source = policy_source(location_of(flags.policy, nothing), nothing);
    if (!source) return fail_with(source.error());
    auto revision = (*source)->poll(Deadline::in(Duration::seconds(60)));
    if (!revision) return fail_with(revision.error());
    auto snapshot = (*source)->read(*revision);
    if (!snapshot) return fail_with(snapshot.error());
    boost::json::array files;
    for (const PolicyFile& file : snapshot->files)
      files.push_back(boost::json::object{{"path", file.path}, {"content", file.content}});
    body["files"] = std::move(files);
    body["revision"] = revision->value;
  }
  auto answer = client.post_text("/api/v1/plan", body);
  if (!answer) {
    const std::string& said = answer.error().message;
    bool unsound = said.find("policy has errors") != said.npos ||
                   said.find("policy's tests fail") != said.npos;
    return fail_with(unsound ? int(kPolicyInvalid) : code_for(answer.error()), said);
  }
  auto value = boost::json::parse(*answer);
  print(format == "json" ? *answer : std::string(value.at("text").as_string()));
  return flags.detailed && !truth(value, "empty") ? kChanges : kDone;
}

int save(const Plan& plan, const Config& config, const std::string& path) {
  SystemRandom random;
  SavedPlan saved{plan, config.owner, SystemClock().now() + Duration::hours(1), random.token(16)};
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  write_saved(saved, [&](std::string_view piece) { out << piece; });
  if (!out.flush()) return fail_with(kError, "cannot write " + path);
  fmt::print(stderr, "Saved to {0}; {1}\n", path,
             plan.scope.whole()
                 ? fmt::format("`knock apply {}` does exactly this within an hour.", path)
                 : "it is not the whole plan, so `knock apply` will not take it.");
  return kDone;
}

/// What the flags make up; `code` when they cannot be read.
std::optional<PlanRequest> request_of(const PlanFlags& flags, Instant& now, int& code) {
  PlanRequest request;
  request.only = names_of(flags.targets);
  request.refresh_only = flags.refresh_only;
  if (!flags.at.empty()) {
    auto at = parse_instant(flags.at);
    if (!at) {
      code = fail_with(kUsage, flags.at + " is not a time; write 2026-11-21T10:04:11Z");
      return std::nullopt;
    }
    now = *at;
    request.other_time = true;
  }
  if (!flags.sessions.empty()) {
    auto content = read_text_file(flags.sessions);
    auto parsed = content ? sessions_document_from_json(*content) : fail(content.error());
    if (!parsed) {
      code = content ? fail_with(kError, flags.sessions + ": " + parsed.error().text())
                     : fail_with(content.error());
      return std::nullopt;
    }
    request.what_if = std::move(*parsed);
  }
  return request;
}

std::optional<LoadedPolicy> policy_from_source(const PlanFlags& flags, const Config& config,
                                               Instant now, int& code) {
  auto source = policy_source(location_of(flags.policy, config), config);
  if (!source) {
    code = fail_with(source.error());
    return std::nullopt;
  }
  auto context = policy_context(config, system_zones());
  context.now = SystemClock().now();
  auto loaded = load_or_say(**source, context, code);
  if (loaded && !tests_hold_or_say(loaded->policy, now, code)) return std::nullopt;
  return loaded;
}

/// Drift needs the policy in force, whatever became of its source.
std::optional<LoadedPolicy> policy_for_drift(const Config& config, const FactStore& store) {
  auto in_force = policy_in_force(store, policy_context(config, system_zones()));
  return in_force == nullptr ? std::nullopt : std::optional(LoadedPolicy{{}, *in_force});
}

int plan(const Global& global, const PlanFlags& flags) {
  auto format = format_of(global, flags.view);
  if (!format) return fail_with(kUsage, "--json is --format json; leave one of them out");
  auto client = AdminClient::of(global);
  // A controller answers what it has the words for; everything else is computed here.
  bool remote = !flags.what_if() && !flags.refresh_only && flags.out.empty() &&
                (flags.view.plain() || (*format == "json" && flags.view.view == "full"));
  if (remote && client.reachable()) return remote_plan(global, flags, *format, client);

  auto config = read_config(global);
  if (!config) return kError;
  int code = kDone;
  Instant now = SystemClock().now();
  auto request = request_of(flags, now, code);
  if (!request) return code;
  std::optional<LoadedPolicy> loaded;
  if (!flags.refresh_only) {
    loaded = policy_from_source(flags, *config, now, code);
    if (!loaded) return code;
  }
  SystemRandom random;
  auto store = open_store(*config, false, random);
  if (!store && store.error().kind == ErrorKind::not_found)
    store = open_store(*config, true, random);  // the first plan of all
  if (!store) return fail_with(store.error());
  if (flags.refresh_only) loaded = policy_for_drift(*config, **store);
  if (!loaded) loaded = policy_from_source(flags, *config, now, code);
  if (!loaded) return code;
  auto made = local_plan(*config, **store, loaded->policy, now, *request);
  if (!made) return fail_with(made.error());
  if (!flags.out.empty())
    if (int saved = save(*made, *config, flags.out); saved != kDone) return saved;
  print_plan(*made, *format,
             {global.colored(), loaded->snapshot.subject, loaded->snapshot.author, View::full},
             flags.view);
  return flags.detailed && !made->empty() ? kChanges : kDone;
}

}  // namespace

void add_plan(Commands& commands) {
  auto flags = std::make_shared<PlanFlags>();
  auto* command =
      commands.add(commands.app, "plan", "What would change and why; writes to no target",
                   "knock plan --policy policies/ --detailed-exitcode");
  flags->policy.add_to(*command);
  command->add_option("--target", flags->targets, "Only this target; repeatable");
  command->add_option("--out,-o", flags->out, "Save the plan for `knock apply FILE`");
  command->add_option("--sessions", flags->sessions,
                      "What if these were signed in (a file as `session list --json` prints; may "
                      "hold `approvals`)");
  command->add_option("--at", flags->at, "What if it were this time");
  flags->view.add_to(*command);
  command->add_flag("--refresh-only", flags->refresh_only,
                    "Only what differs on the targets and was not us");
  command->add_flag("--detailed-exitcode", flags->detailed, "Exit 2 when there are changes");
  commands.run(command, [&commands, flags] { return plan(commands.global, *flags); });
}

}  // namespace knock::cli
