// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <functional>

#include "base/text.h"
#include "cli/admin_client.h"
#include "cli/json_view.h"
#include "cli/local.h"
#include "cli/local_plan.h"
#include "cli/plan_view.h"
#include "cli/server.h"
#include "schemas/plan/codec.h"
#include "schemas/session/codec.h"
#include "server/core/apply_saved.h"
#include "server/core/controller.h"
#include "store/tzdata/system_zones.h"

namespace knock::cli {
namespace {

struct PlanFlags {
  PolicyFlags policy;
  std::vector<std::string> targets;
  std::string out, sessions, at, good_for = "1h";
  ViewFlags view;
  FetchedFlags fetched;
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

/// For its owner alone: a plan names people and where they are.
Status write_plan_file(const std::string& path, const std::function<void(const Write&)>& content) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  auto cannot = [&] {
    return fail(ErrorKind::unavailable, "cannot write " + path + ": " + std::strerror(errno));
  };
  if (fd < 0) return cannot();
  bool good = true;
  content([&](std::string_view piece) {
    while (good && !piece.empty()) {
      auto written = write(fd, piece.data(), piece.size());
      if (written < 0 && errno == EINTR) continue;
      good = written > 0;
      if (good) piece.remove_prefix(std::size_t(written));
    }
  });
  int problem = errno;
  bool closed = close(fd) == 0;
  errno = good ? errno : problem;
  if (!good || !closed) return cannot();
  return {};
}

void say_saved(const Global& global, const Plan& plan, const std::string& path, Instant expires) {
  if (!plan.scope.whole()) {
    fmt::print(stderr,
               "Saved to {}; it is not the whole plan, so `knock apply` will not take it.\n", path);
    return;
  }
  fmt::print(stderr, "Saved to {0}; `knock apply {0}{1}` does exactly this, once, until {2}.\n",
             path, server_words(global), to_string(expires));
  if (!plan.guards.empty())
    fmt::print(stderr,
               "A guard holds something back: `knock apply {} --ack {}`{} says yes to it.\n", path,
               to_hex(plan.id).substr(0, 16),
               global.server.empty() ? "" : ", on the controller's own machine,");
}

boost::json::object body_of(const PlanFlags& flags) {
  boost::json::object body;
  boost::json::array targets;
  for (const auto& name : flags.targets) targets.emplace_back(name);
  if (!targets.empty()) body["targets"] = std::move(targets);
  return body;
}

/// The controller computes and signs; the file is kept as it came.
int remote_save(const Global& global, const PlanFlags& flags, const std::string& format,
                const AdminClient& client) {
  auto body = body_of(flags);
  if (auto added = add_candidate(flags.policy, body); !added) return fail_with(added.error());
  body["format"] = "saved";
  body["good_for"] = flags.good_for;
  std::string code;
  auto answer = client.post_text("/api/v1/plan", body, &code);
  if (!answer) return fail_with(code_for(answer.error(), code), answer.error().message);
  auto saved = read_saved(*answer);
  if (!saved) return fail_with(kError, "the controller's plan: " + saved.error().text());
  auto kept = write_plan_file(flags.out, [&](const Write& out) { out(*answer); });
  if (!kept) return fail_with(kept.error());
  print_plan(saved->plan, format, {global.colored(), "", "", View::full}, flags.view);
  say_saved(global, saved->plan, flags.out, saved->expires);
  return flags.detailed && !saved->plan.empty() ? kChanges : kDone;
}

/// A controller that runs holds the targets: it computes.
int remote_plan(const Global& global, const PlanFlags& flags, const std::string& format,
                const AdminClient& client) {
  if (!flags.out.empty()) return remote_save(global, flags, format, client);
  auto body = body_of(flags);
  body["format"] = format;
  body["color"] = global.colored();
  if (auto added = add_candidate(flags.policy, body); !added) return fail_with(added.error());
  std::string code;
  auto answer = client.post_text("/api/v1/plan", body, &code);
  if (!answer) return fail_with(code_for(answer.error(), code), answer.error().message);
  auto value = boost::json::parse(*answer);
  print(format == "json" ? *answer : std::string(value.at("text").as_string()));
  return flags.detailed && !truth(value, "empty") ? kChanges : kDone;
}

int save(const Global& global, const Plan& plan, const Policy& policy, const Config& config,
         const PlanFlags& flags) {
  SystemRandom random;
  auto life = parse_duration(flags.good_for);
  if (!life || life->ms <= 0 || *life > kLongestPlanLife)
    return fail_with(kUsage, "--good-for " + flags.good_for + " is not a length of time up to " +
                                 to_string(kLongestPlanLife) + "; write 24h");
  SavedPlan saved{plan, config.owner, SystemClock().now() + *life, random.token(16),
                  content_of(policy)};
  auto kept = write_plan_file(flags.out, [&](const Write& out) { write_saved(saved, out); });
  if (!kept) return fail_with(kept.error());
  say_saved(global, plan, flags.out, saved.expires);
  return kDone;
}

struct MadeUp {
  WhatIf what_if;
  std::string sessions;  // the text of the file
};

/// What the flags make up; `code` when they cannot be read.
std::optional<MadeUp> made_up_by(const PlanFlags& flags, int& code) {
  MadeUp out;
  if (!flags.at.empty()) {
    out.what_if.at = parse_instant(flags.at);
    if (!out.what_if.at) {
      code = fail_with(kUsage, printable(flags.at) + " is not a time; write 2026-11-21T10:04:11Z");
      return std::nullopt;
    }
  }
  if (flags.sessions.empty()) return out;
  auto content = read_text_file(flags.sessions);
  auto parsed = content ? sessions_document_from_json(*content) : fail(content.error());
  if (!parsed) {
    code = content ? fail_with(kError, flags.sessions + ": " + parsed.error().text())
                   : fail_with(content.error());
    return std::nullopt;
  }
  out.what_if.people = std::move(*parsed);
  out.sessions = std::move(*content);
  return out;
}

std::optional<LoadedPolicy> policy_from_source(const PlanFlags& flags, const Config& config,
                                               Instant now, int& code) {
  auto source = policy_source(location_of(flags.policy, config), config);
  if (!source) {
    code = fail_with(source.error());
    return std::nullopt;
  }
  if (!flags.policy.given()) tell_in_force(**source, config);
  auto context = policy_context(config, system_zones());
  context.now = SystemClock().now();
  // What if: nothing is adopted, so what this controller lacks is no reason to say nothing.
  if (!flags.sessions.empty()) context.surfaces_known = false;
  auto loaded = load_or_say(**source, context, code);
  if (loaded && !tests_hold_or_say(loaded->policy, now, code)) return std::nullopt;
  return loaded;
}

/// Drift needs the policy in force, whatever became of its source.
std::optional<LoadedPolicy> policy_for_drift(const Config& config, const FactStore& store) {
  auto in_force = policy_in_force(store, policy_context(config, system_zones()));
  return in_force == nullptr ? std::nullopt : std::optional(LoadedPolicy{{}, *in_force});
}

/// Why a controller elsewhere does not plan what these flags say; "" when it does.
std::string not_elsewhere(const PlanFlags& flags) {
  if (flags.refresh_only)
    return "--refresh-only is for the controller's own machine; leave it out, or --server";
  if (!flags.out.empty() && flags.what_if())
    return "--out saves what may be applied, and what --sessions or --at make up never is; leave "
           "one of them out";
  if (!flags.out.empty() && flags.fetched.given())
    return "--out does not go with --pull and --branch: a plan file is applied once the policy "
           "source holds the very commit. Merge it, then save the plan without them";
  if (flags.fetched.post && flags.what_if())
    return "--post tells everybody what would come into force, and what --sessions or --at make up "
           "never does; leave one of them out";
  return "";
}

/// By a controller elsewhere, or of what it fetches itself; what it does not do for a token is said,
/// and not done in another way.
int plan_elsewhere(const Global& global, PlanFlags flags, bool view_given) {
  if (auto why = not_elsewhere(flags); !why.empty()) return fail_with(kUsage, why);
  auto format = format_of(global, flags.view);
  if (!format) return fail_with(kUsage, "--json is --format json; leave one of them out");
  int code = kDone;
  auto made_up = made_up_by(flags, code);
  if (!made_up) return code;
  // What every token for plans may see; of what is made up, the least that shows it.
  if (!view_given && !global.server.empty())
    flags.view.view = made_up->what_if.given() ? "people" : "shape";
  if (!flags.out.empty()) return remote_save(global, flags, *format, AdminClient::of(global));
  return server_plan(global, {flags.policy, flags.targets, flags.view, flags.detailed,
                              flags.fetched, made_up->sessions, flags.at});
}

int plan(const Global& global, const PlanFlags& flags) {
  auto format = format_of(global, flags.view);
  if (!format) return fail_with(kUsage, "--json is --format json; leave one of them out");
  auto client = AdminClient::of(global);
  // A controller answers what it has the words for; everything else is computed here.
  bool remote = !flags.what_if() && !flags.refresh_only &&
                (!flags.out.empty() || flags.view.plain() ||
                 (*format == "json" && flags.view.view == "full"));
  if (remote && client.reachable()) return remote_plan(global, flags, *format, client);

  auto config = read_config(global);
  if (!config) return kError;
  int code = kDone;
  Instant now = SystemClock().now();
  auto made_up = made_up_by(flags, code);
  if (!made_up) return code;
  if (made_up->what_if.at) now = *made_up->what_if.at;
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
  auto made =
      local_plan(*config, **store, loaded->policy, now,
                 {std::move(made_up->what_if), names_of(flags.targets), flags.refresh_only});
  if (!made) return fail_with(made.error());
  if (!flags.sessions.empty())
    for (Finding& finding : lacking(loaded->snapshot.files, loaded->policy.revision,
                                    policy_context(*config, system_zones())))
      made->findings.push_back(std::move(finding));
  if (!flags.out.empty())
    if (int saved = save(global, *made, loaded->policy, *config, flags); saved != kDone)
      return saved;
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
                   "knock plan --policy policies/ --detailed-exitcode\n"
                   "  knock plan --server https://knock.example.org --policy policies/");
  flags->policy.add_to(*command);
  command->add_option("--target", flags->targets, "Only this target; repeatable");
  command->add_option(
      "--out,-o", flags->out,
      "Save the plan for `knock apply FILE`; with --server by a token with audit:read");
  command->add_option("--good-for", flags->good_for,
                      "How long the saved plan may be applied (1h; at most 7d)");
  command->add_option("--sessions", flags->sessions,
                      "What if these were signed in (a file as `session list --json` prints; may "
                      "hold `approvals`); with --server by a token with plan:people");
  command->add_option("--at", flags->at,
                      "What if it were this time; with --server by a token with plan:people");
  flags->view.add_to(*command);
  command->add_flag("--refresh-only", flags->refresh_only,
                    "Only what differs on the targets and was not us");
  command->add_flag("--detailed-exitcode", flags->detailed, "Exit 2 when there are changes");
  auto* pull = command->add_option("--pull", flags->fetched.pull,
                                   "The controller fetches this pull request (merge request)");
  auto* branch = command->add_option("--branch", flags->fetched.branch,
                                     "The controller fetches this branch of the policy's remote");
  command->add_option("--commit", flags->fetched.commit,
                      "What --pull or --branch must end in; refused when somebody pushed since");
  command->add_flag("--post", flags->fetched.post,
                    "With --pull or --branch: the controller tells the forge, by a status of the "
                    "commit and, where notify.forge.post is set, a comment");
  pull->excludes(branch)
      ->excludes("--policy")
      ->excludes("--repo")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}));
  branch->excludes("--policy")->excludes("--repo");
  commands.run(command, [&commands, flags, command] {
    if (auto why = flags->policy.not_a_policy(); !why.empty())
      return fail_with(kPolicyInvalid, why);
    if (!flags->fetched.commit.empty() && !flags->fetched.given())
      return fail_with(kUsage, "--commit says what --pull or --branch must end in; name one");
    if (flags->fetched.post && !flags->fetched.given())
      return fail_with(kUsage, "--post tells the forge of what --pull or --branch names; name one");
    if (flags->fetched.given() && !AdminClient::of(commands.global).reachable())
      return fail_with(kError,
                       "--pull and --branch are fetched by a controller, and none answers "
                       "here; name one elsewhere with --server");
    if (!commands.global.server.empty() || flags->fetched.given())
      return plan_elsewhere(commands.global, *flags, command->count("--view") > 0);
    return plan(commands.global, *flags);
  });
}

}  // namespace knock::cli
