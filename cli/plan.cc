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

/// The candidate that --policy or --repo names, for a controller.
Status add_candidate(const PlanFlags& flags, boost::json::object& body) {
  Config nothing;
  KNOCK_ASSIGN(auto source, policy_source(location_of(flags.policy, nothing), nothing));
  KNOCK_ASSIGN(auto revision, source->poll(Deadline::in(Duration::seconds(60))));
  KNOCK_ASSIGN(auto snapshot, source->read(revision));
  boost::json::array files;
  for (const PolicyFile& file : snapshot.files)
    files.push_back(boost::json::object{{"path", file.path}, {"content", file.content}});
  body["files"] = std::move(files);
  body["revision"] = revision.value;
  return {};
}

int say_unplanned(const Error& error, const std::string& code) {
  return fail_with(code_for(error, code), error.message);
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

void say_saved(const Plan& plan, const std::string& path, Instant expires) {
  if (!plan.scope.whole()) {
    fmt::print(stderr,
               "Saved to {}; it is not the whole plan, so `knock apply` will not take it.\n", path);
    return;
  }
  fmt::print(stderr, "Saved to {0}; `knock apply {0}` does exactly this, once, until {1}.\n", path,
             to_string(expires));
  if (!plan.guards.empty())
    fmt::print(stderr, "A guard holds something back: `knock apply {} --ack {}` says yes to it.\n",
               path, to_hex(plan.id).substr(0, 16));
}

/// The controller computes and signs; the file is kept as it came.
int remote_save(const Global& global, const PlanFlags& flags, const std::string& format,
                const AdminClient& client, boost::json::object body) {
  body["format"] = "saved";
  body["good_for"] = flags.good_for;
  std::string code;
  auto answer = client.post_text("/api/v1/plan", body, &code);
  if (!answer) return say_unplanned(answer.error(), code);
  auto saved = read_saved(*answer);
  if (!saved) return fail_with(kError, "the controller's plan: " + saved.error().text());
  auto kept = write_plan_file(flags.out, [&](const Write& out) { out(*answer); });
  if (!kept) return fail_with(kept.error());
  print_plan(saved->plan, format, {global.colored(), "", "", View::full}, flags.view);
  say_saved(saved->plan, flags.out, saved->expires);
  return flags.detailed && !saved->plan.empty() ? kChanges : kDone;
}

/// A controller that runs holds the targets: it computes.
int remote_plan(const Global& global, const PlanFlags& flags, const std::string& format,
                const AdminClient& client) {
  boost::json::object body{{"format", format}, {"color", global.colored()}};
  boost::json::array targets;
  for (const auto& name : flags.targets) targets.emplace_back(name);
  if (!targets.empty()) body["targets"] = std::move(targets);
  if (flags.policy.given())
    if (auto added = add_candidate(flags, body); !added) return fail_with(added.error());
  if (!flags.out.empty()) return remote_save(global, flags, format, client, std::move(body));
  std::string code;
  auto answer = client.post_text("/api/v1/plan", body, &code);
  if (!answer) return say_unplanned(answer.error(), code);
  auto value = boost::json::parse(*answer);
  print(format == "json" ? *answer : std::string(value.at("text").as_string()));
  return flags.detailed && !truth(value, "empty") ? kChanges : kDone;
}

int save(const Plan& plan, const Policy& policy, const Config& config, const PlanFlags& flags) {
  SystemRandom random;
  auto life = parse_duration(flags.good_for);
  if (!life || life->ms <= 0 || *life > kLongestPlanLife)
    return fail_with(kUsage, "--good-for " + flags.good_for + " is not a length of time up to " +
                                 to_string(kLongestPlanLife) + "; write 24h");
  SavedPlan saved{plan, config.owner, SystemClock().now() + *life, random.token(16),
                  content_of(policy)};
  auto kept = write_plan_file(flags.out, [&](const Write& out) { write_saved(saved, out); });
  if (!kept) return fail_with(kept.error());
  say_saved(plan, flags.out, saved.expires);
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

/// Why this controller would refuse a policy that was planned all the same.
std::vector<Finding> lacking(const LoadedPolicy& loaded, const Config& config) {
  std::vector<Finding> out;
  auto context = policy_context(config, system_zones());
  auto strict = load_policy(loaded.snapshot.files, loaded.policy.revision, context);
  for (const Diagnostic& problem : strict.diagnostics)
    if (problem.id == "policy.no-surface")
      out.push_back({Finding::Level::warning, "plan.no-surface", TargetName(),
                     fmt::format("this policy would be refused, {}:{}: {}", problem.where.file,
                                 problem.where.line, problem.summary)});
  return out;
}

/// By a controller elsewhere; what it does not do for a token is said, and not done in another way.
int plan_elsewhere(const Global& global, const PlanFlags& flags, bool view_given) {
  bool more = flags.what_if() || flags.refresh_only || !flags.out.empty();
  if (more && flags.fetched.given())
    return fail_with(
        kUsage, "--sessions, --at, --refresh-only and --out do not go with --pull and --branch");
  if (more)
    return fail_with(kUsage,
                     "--sessions, --at, --refresh-only and --out are for the controller's own "
                     "machine; with --server there are --policy, --repo, --pull, "
                     "--branch, --target, --format and --view");
  ServerPlanFlags asked{flags.policy, flags.targets, flags.view, flags.detailed, flags.fetched};
  if (!view_given && !global.server.empty())
    asked.view.view = "shape";  // what every token for plans may see
  return server_plan(global, asked);
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
  if (!flags.sessions.empty())
    for (Finding& finding : lacking(*loaded, *config)) made->findings.push_back(std::move(finding));
  if (!flags.out.empty())
    if (int saved = save(*made, loaded->policy, *config, flags); saved != kDone) return saved;
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
  command->add_option("--good-for", flags->good_for,
                      "How long the saved plan may be applied (1h; at most 7d)");
  command->add_option("--sessions", flags->sessions,
                      "What if these were signed in (a file as `session list --json` prints; may "
                      "hold `approvals`)");
  command->add_option("--at", flags->at, "What if it were this time");
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
