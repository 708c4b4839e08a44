// SPDX-License-Identifier: Apache-2.0
#include "server/core/controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "net/tcp_probe.h"

namespace knock {
namespace {

constexpr Duration kLongestGrant = Duration::hours(24 * 31);
constexpr std::size_t kLongestName = 128, kLongestReason = 1000, kMostGroups = 100;

/// What no policy could make sensible. The deadlines of the policy's rules come on top.
Status check_grant(const GrantRequest& request) {
  if (request.reason.empty())
    return fail(ErrorKind::invalid, "a grant needs a reason: --reason \"why\"");
  if (request.reason.size() > kLongestReason)
    return fail(ErrorKind::invalid,
                fmt::format("the reason is longer than {} bytes", kLongestReason));
  if (request.user.empty() || request.user.size() > kLongestName)
    return fail(ErrorKind::invalid,
                fmt::format("a grant names somebody, in at most {} bytes", kLongestName));
  if (request.groups.size() > kMostGroups)
    return fail(ErrorKind::invalid, fmt::format("a grant names at most {} groups", kMostGroups));
  if (request.ttl <= Duration{0})
    return fail(ErrorKind::invalid, "a grant needs a length: --ttl 30m");
  if (request.ttl > kLongestGrant)
    return fail(ErrorKind::invalid,
                "a grant lasts at most 31 days; for what is always there, write `static` with an "
                "owner into the policy");
  if (!can_be_a_person(request.from))
    return fail(ErrorKind::invalid, request.from.to_string() + " is no host's address");
  return {};
}

}  // namespace

ReconcilerSettings settings_of(const Config& config, Meter* meter) {
  ReconcilerSettings settings;
  settings.sign_ins = policy_context(config).sign_ins;
  settings.meter = meter;
  for (const KeepPrefix& keep : config.keep) settings.keep.push_back(keep.prefix);
  std::sort(settings.keep.begin(), settings.keep.end());
  for (const OperatorEntry& one : config.operators)
    settings.operators.push_back({one.from, one.group, one.user});
  settings.connect = net::tcp_probe;
  return settings;
}

PolicyContext policy_context(const Config& config, std::shared_ptr<const ZoneSource> zones) {
  PolicyContext context;
  context.zones = std::move(zones);
  // A policy that needs another is refused by name.
  context.surfaces = {Surface::claims, Surface::mfa, Surface::path, Surface::connections,
                      Surface::disconnect};
  context.surfaces_known = true;
  context.sign_ins_known = true;
  for (const OidcSettings& oidc : config.oidc) context.sign_ins.push_back(oidc.name);
  if (config.local.enabled) context.sign_ins.push_back(SignInName("local"));
  std::sort(context.sign_ins.begin(), context.sign_ins.end());
  return context;
}

std::string public_url(const Config& config) {
  if (!config.public_url.empty()) return config.public_url;
  bool v6 = config.listen.address.family() == Family::v6;
  return fmt::format("{}://{}{}{}:{}", config.tls ? "https" : "http", v6 ? "[" : "",
                     config.listen.address.to_string(), v6 ? "]" : "", config.listen.port);
}

Controller::Controller(ControllerParts parts)
    : parts_(std::move(parts)),
      reconciler_(parts_.store, parts_.clock, parts_.random, parts_.providers,
                  settings_of(parts_.config, parts_.meter)),
      keeper_(parts_.policy, policy_context(parts_.config, parts_.zones), parts_.store, reconciler_,
              parts_.clock, parts_.config.policy.poll, parts_.config.policy.advance),
      ends_(parts_.store, reconciler_, parts_.clock),
      keys_(parts_.store, parts_.clock, parts_.random),
      candidates_(parts_.store, parts_.clock, parts_.history),
      sign_in_(std::make_unique<SignIn>(parts_.config, public_url(parts_.config), parts_.store,
                                        reconciler_, ends_, parts_.verifier, parts_.clock,
                                        parts_.random, [this] { return not_ready(); })) {}

Status Controller::start() {
  std::vector<Fact> facts{ControllerStarted{KNOCK_VERSION, roles()}};
  if (auto written = parts_.store.append("core", parts_.clock.now(), facts); !written) {
    if (written.error().kind != ErrorKind::unavailable) return fail_within("log", written);
    log(LogLevel::error, "log.unwritable",
        "The log cannot be written: nothing new opens until the controller is started again.",
        {{"problem", written.error().text()}});
  }
  if (auto loaded = keys_.load(); !loaded)
    log(LogLevel::error, "keys.unreadable", "The API keys cannot be read: no token is accepted.",
        {{"problem", loaded.error().text()}});
  KNOCK_CHECK(reconciler_.start());
  if (auto restored = keeper_.restore(); !restored)
    log(LogLevel::error, "policy.not-restored", "The last policy in force could not be restored.",
        {{"problem", restored.error().text()}});
  keeper_.start();
  ends_.start();
  return {};
}

void Controller::stop() { reconciler_.stop(); }

std::string Controller::not_ready() const {
  if (auto problem = ends_.not_ready(); !problem.empty()) return problem;
  if (!parts_.store.writable()) return "the log cannot be written";
  if (reconciler_.policy() == nullptr) {
    auto policy = keeper_.status();
    if (policy.problem.empty() && policy.waiting)
      policy.problem =
          policy.waiting->revision.value.substr(0, 12) + " waits for " + policy.waiting->needs;
    return "no policy is in force" + (policy.problem.empty() ? "" : ": " + policy.problem);
  }
  return "";
}

std::vector<std::string> Controller::remarks() const {
  auto out = parts_.remarks ? parts_.remarks() : std::vector<std::string>();
  for (std::string& remark : ends_.remarks()) out.push_back(std::move(remark));
  return out;
}

std::string Controller::roles() const {
  std::vector<std::string> out;
  if (parts_.roles) out.push_back(parts_.roles());
  if (parts_.remarks)
    for (std::string& remark : parts_.remarks()) out.push_back(std::move(remark));
  return join(out, "; ");
}

ControllerStatus Controller::status() const {
  ControllerStatus status;
  status.version = KNOCK_VERSION;
  status.owner = parts_.config.owner;
  status.now = parts_.clock.now();
  status.not_ready_because = not_ready();
  status.ready = status.not_ready_because.empty();
  status.policy = keeper_.status();
  status.targets = reconciler_.targets();
  if (changes_) status.changes = changes_();
  status.live_sessions = reconciler_.live_sessions().size();
  status.log_head = parts_.store.head().value_or(0);
  status.clock_behind = parts_.clock.behind();
  status.remarks = remarks();
  for (const auto& [source, state] : reconciler_.suspect_sources())
    status.suspects.push_back({source, state.until, state.kept});
  if (status.clock_behind > Duration::seconds(1))
    status.remarks.push_back("the machine's clock is " + for_people(status.clock_behind) +
                             " behind the newest record; deadlines follow the records");
  return status;
}

Result<Session> Controller::grant(const Actor& actor, const GrantRequest& request) {
  auto policy = reconciler_.policy();
  if (policy == nullptr) return fail(ErrorKind::unavailable, not_ready());
  KNOCK_CHECK(check_grant(request));
  Session session;
  session.principal = {"grant", request.user, request.user};
  session.source = SignInName("grant");
  session.proof = Proof::grant;
  session.address = request.from;
  session.reason = request.reason;
  session.authenticated = parts_.clock.now();
  session.expires = session.authenticated + request.ttl;
  for (const GroupName& name : request.groups) {
    if (policy->group(name) == nullptr) {
      std::vector<std::string> known;
      for (const Group& group : policy->groups) known.push_back(group.name.value);
      auto meant = did_you_mean(name.value, known);
      return fail(ErrorKind::not_found,
                  fmt::format("the policy has no group {}{}", printable(name.value),
                              meant ? "; did you mean " + *meant + "?" : ""));
    }
    session.groups.push_back(name.value);
  }
  if (request.groups.empty()) {
    KNOCK_ASSIGN(auto account, parts_.store.account(request.user));
    if (!account)
      return fail(ErrorKind::invalid, fmt::format("there is no local account {}, so --group must "
                                                  "say which of the policy's groups apply",
                                                  printable(request.user)));
    session.principal = {"local", account->user,
                         account->name.empty() ? account->user : account->name};
    session.source = SignInName("local");
    for (const Group& group : policy->groups) {
      Session as_local = session;
      as_local.proof = Proof::local;
      as_local.groups = account->groups;
      if (is_member(group, as_local)) session.groups.push_back(group.name.value);
    }
  }
  return reconciler_.open_session(actor, std::move(session));
}

Result<Revoked> Controller::revoke(const Actor& actor, const std::string& id,
                                   const std::string& reason) {
  std::optional<Session> found;
  for (Session& session : reconciler_.live_sessions()) {
    if (id.empty() || !session.id.value.starts_with(id)) continue;
    if (found)
      return fail(ErrorKind::invalid, "more than one session begins with " + printable(id));
    found = std::move(session);
  }
  if (!found) {
    // Ended before, and not in the log yet: whoever asks again is told how that stands.
    auto before = ends_.find_unwritten(id);
    auto session = before ? parts_.store.session(*before) : std::nullopt;
    if (!session || !*session)
      return fail(ErrorKind::not_found, "no live session " + printable(id));
    found = **session;
  }
  KNOCK_ASSIGN(auto ended, ends_.end(actor, *found, EndCause::revoked, reason));
  auto note = to_sentence(ended, found->id);
  if (ended.written == EndedSession::Written::nowhere) return fail(ErrorKind::unavailable, note);
  found->end = SessionEnd{parts_.clock.now(), EndCause::revoked};
  return Revoked{*found, note};
}

Questions Controller::questions() const {
  return Questions({parts_.store, parts_.config, parts_.clock.now(), reconciler_.policy(),
                    reconciler_.live_sessions(), parts_.zones, parts_.history});
}

Result<Policy> Controller::candidate(const std::vector<PolicyFile>& files,
                                     const PolicyRevision& revision, Diagnostics& problems,
                                     const WhatIf& what_if) const {
  auto context = policy_context(parts_.config, parts_.zones);
  if (what_if.people) context.surfaces_known = false;
  return sound_policy(files, revision, context, parts_.clock.now(), problems, nullptr, what_if.at);
}

Result<Plan> Controller::shape_of_candidate(const std::vector<PolicyFile>& files,
                                            const PolicyRevision& revision,
                                            std::span<const TargetName> only,
                                            Diagnostics& problems) {
  KNOCK_ASSIGN(auto policy, candidate(files, revision, problems, {}));
  return reconciler_.plan_shape(policy, only);
}

Result<Plan> Controller::plan_candidate(std::vector<PolicyFile> files,
                                        const PolicyRevision& revision,
                                        std::span<const TargetName> only, Diagnostics& problems,
                                        Reconciler::NewTargets new_targets, const WhatIf& what_if) {
  KNOCK_ASSIGN(auto policy, candidate(files, revision, problems, what_if));
  KNOCK_ASSIGN(auto plan, reconciler_.plan(policy, only, new_targets, what_if));
  if (what_if.people)
    for (Finding& finding : lacking(files, revision, policy_context(parts_.config, parts_.zones)))
      plan.findings.push_back(std::move(finding));
  return plan;
}

}  // namespace knock
