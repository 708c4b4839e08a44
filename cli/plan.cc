// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <boost/json.hpp>
#include <fstream>

#include "base/text.h"
#include "cli/admin_client.h"
#include "cli/json_view.h"
#include "cli/local.h"
#include "cli/local_plan.h"
#include "reconciler/core/render.h"
#include "schemas/plan/codec.h"
#include "schemas/session/codec.h"
#include "server/core/controller.h"
#include "store/tzdata/system_zones.h"

namespace knock::cli {
namespace {

struct PlanFlags {
  PolicyFlags policy;
  std::vector<std::string> targets;
  std::string out, sessions, at, format;
  bool detailed = false;
};

std::vector<TargetName> names_of(const std::vector<std::string>& targets) {
  std::vector<TargetName> out;
  for (const auto& name : targets) out.emplace_back(name);
  return out;
}

/// A controller that runs holds the targets: it computes.
int remote_plan(const Global& global, const PlanFlags& flags, const AdminClient& client) {
  boost::json::object body{{"format", global.json || flags.format == "json" ? "json" : "text"},
                           {"color", global.colored()}};
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
  if (body["format"] == "json") {
    print(*answer);
    return kDone;
  }
  print(std::string(value.at("text").as_string()));
  return flags.detailed && !truth(value, "empty") ? kChanges : kDone;
}

int save(const Plan& plan, const Config& config, const std::string& path) {
  SystemRandom random;
  SavedPlan saved{plan, config.owner, SystemClock().now() + Duration::hours(1), random.token(16)};
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  write_saved(saved, [&](std::string_view piece) { out << piece; });
  if (!out.flush()) return fail_with(kError, "cannot write " + path);
  fmt::print(stderr, "Saved to {}; `knock apply {}` does exactly this within an hour.\n", path,
             path);
  return kDone;
}

int plan(const Global& global, const PlanFlags& flags) {
  auto client = AdminClient::of(global);
  bool what_if = !flags.sessions.empty() || !flags.at.empty();
  if (!what_if && flags.out.empty() && client.reachable())
    return remote_plan(global, flags, client);

  auto config = read_config(global);
  if (!config) return kError;
  int code = kDone;
  auto source = policy_source(location_of(flags.policy, *config), *config);
  if (!source) return fail_with(source.error());
  auto context = policy_context(*config, system_zones());
  context.now = SystemClock().now();
  auto loaded = load_or_say(**source, context, code);
  if (!loaded) return code;
  Instant now = SystemClock().now();
  if (!flags.at.empty()) {
    auto at = parse_instant(flags.at);
    if (!at) return fail_with(kUsage, flags.at + " is not a time; write 2026-11-21T10:04:11Z");
    now = *at;
  }
  if (!tests_hold_or_say(loaded->policy, now, code)) return code;
  std::optional<std::vector<Session>> sessions;
  if (!flags.sessions.empty()) {
    auto content = read_text_file(flags.sessions);
    if (!content) return fail_with(content.error());
    auto parsed = sessions_from_json(*content);
    if (!parsed) return fail_with(kError, flags.sessions + ": " + parsed.error().text());
    sessions = std::move(*parsed);
  }
  SystemRandom random;
  auto store = open_store(*config, false, random);
  if (!store && store.error().kind == ErrorKind::not_found)
    store = open_store(*config, true, random);  // the first plan of all
  if (!store) return fail_with(store.error());
  auto made = local_plan(*config, **store, loaded->policy, sessions, now, names_of(flags.targets));
  if (!made) return fail_with(made.error());
  if (!flags.out.empty())
    if (int saved = save(*made, *config, flags.out); saved != kDone) return saved;
  if (global.json || flags.format == "json")
    write_json(*made, print);
  else
    print(to_text(*made, {global.colored(), loaded->snapshot.subject, loaded->snapshot.author}));
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
                      "What if these were signed in (a file as `session list --json` prints)");
  command->add_option("--at", flags->at, "What if it were this time");
  command->add_option("--format", flags->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  command->add_flag("--detailed-exitcode", flags->detailed, "Exit 2 when there are changes");
  commands.run(command, [&commands, flags] { return plan(commands.global, *flags); });
}

}  // namespace knock::cli
