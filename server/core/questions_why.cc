// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "base/text.h"
#include "reconciler/core/evaluate.h"
#include "reconciler/core/explain.h"
#include "server/core/questions.h"

namespace knock {
namespace {

constexpr std::size_t kNewest = 10'000;  // sign-ins that are looked through

std::vector<ServiceName> services_named(const Policy& policy, const std::string& what) {
  if (policy.service(ServiceName(what)) != nullptr) return {ServiceName(what)};
  std::vector<ServiceName> out;
  for (const Service& service : policy.services)
    if (std::binary_search(service.targets.begin(), service.targets.end(), TargetName(what)))
      out.push_back(service.name);
  return out;
}

tl::unexpected<Error> no_such(const Policy& policy, const std::string& what) {
  std::vector<std::string> known;
  for (const Service& service : policy.services) known.push_back(service.name.value);
  for (const Target& target : policy.targets) known.push_back(target.name.value);
  auto meant = did_you_mean(what, known);
  return fail(ErrorKind::not_found,
              fmt::format("the policy has no service or target {}{}", printable(what),
                          meant ? "; did you mean " + *meant + "?" : ""));
}

bool is_about(const Session& session, const std::string& who,
              const std::optional<IpAddress>& address) {
  if (address) return session.address == *address;
  return session.principal.subject == who || session.principal.key() == who ||
         session.principal.name == who;
}

/// As it was at `at`.
Session set_back(Session session, Instant at) {
  if (session.end && session.end->at > at) session.end.reset();
  return session;
}

bool caused_by(const AppliedEntry& entry, const Why& row) {
  return std::any_of(entry.causes.begin(), entry.causes.end(), [&](const Attribution& cause) {
    if (cause.service != row.explanation.service) return false;
    if (row.session) return cause.session == row.session->id;
    return cause.kind == Attribution::Kind::fixed && cause.rule == row.explanation.rule;
  });
}

}  // namespace

bool WhyAnswer::allowed() const {
  return std::any_of(answers.begin(), answers.end(),
                     [](const Why& row) { return row.explanation.allowed; });
}

Status Questions::add_entries(const Policy& policy, Why& row, Instant at) {
  KNOCK_ASSIGN(auto intervals, in_.store.applied_at(row.explanation.service, at));
  const Service* service = policy.service(row.explanation.service);
  for (AppliedInterval& one : intervals)
    if (caused_by(one.entry, row) && service != nullptr &&
        std::binary_search(service->targets.begin(), service->targets.end(), one.entry.target))
      row.entries.push_back(std::move(one));
  return {};
}

/// Sign-ins that the question may be about, newest first: those that live, and of somebody who has
/// none the newest that ended.
Result<std::vector<Session>> Questions::candidates(const std::string& who, Instant at,
                                                   const std::vector<Session>& live) {
  auto address = IpAddress::parse(who);
  std::vector<Session> out;
  std::set<std::string> people;
  for (const Session& session : live)
    if (is_about(session, who, address)) {
      out.push_back(session);
      people.insert(session.principal.key());
    }
  std::sort(out.begin(), out.end(), [](const Session& a, const Session& b) {
    return std::tie(b.created, a.id) < std::tie(a.created, b.id);
  });
  KNOCK_ASSIGN(auto newest, in_.store.sessions(kNewest));
  for (Session& session : newest) {
    session = set_back(std::move(session), at);
    if (session.created > at || session.live_at(at) || !is_about(session, who, address)) continue;
    if (people.insert(session.principal.key()).second) out.push_back(std::move(session));
  }
  return out;
}

/// Entries around an address by the right of others, and of static entries.
Result<std::vector<Why>> Questions::static_answers(const WhyAnswer& answer, const Policy& policy,
                                                   const std::vector<ServiceName>& services,
                                                   const std::vector<Session>& sessions) {
  std::vector<Why> out;
  auto address = IpAddress::parse(answer.who);
  if (!address) return out;
  Openings openings(policy, {answer.at, sessions, {}}, false);
  std::set<std::pair<ServiceName, RuleName>> fixed;
  std::set<std::pair<ServiceName, SessionId>> others;
  for (const Allowlist& list : evaluate({policy, sessions, answer.at, {}, {}}))
    for (const ServiceEntries& service : list.services) {
      if (std::find(services.begin(), services.end(), service.service) == services.end()) continue;
      for (const Entry& entry : service.entries) {
        if (!entry.prefix.contains(Prefix::host(*address))) continue;
        for (const Attribution& cause : entry.causes) {
          Why row;
          row.policy = policy.revision;
          if (cause.kind == Attribution::Kind::fixed) {
            if (!fixed.emplace(service.service, cause.rule).second) continue;
            auto said = explain_static(policy, cause.rule, service.service, entry.prefix);
            if (!said) continue;
            row.explanation = *std::move(said);
          } else {
            auto session = std::find_if(sessions.begin(), sessions.end(),
                                        [&](const Session& s) { return s.id == cause.session; });
            if (session == sessions.end() || session->address == *address ||
                !others.emplace(service.service, cause.session).second)
              continue;
            row.session = *session;
            row.explanation = explain(policy, openings, *session, service.service, answer.at);
          }
          KNOCK_CHECK(add_entries(policy, row, answer.at));
          out.push_back(std::move(row));
        }
      }
    }
  return out;
}

/// Nobody is signed in whom the question could be about.
Status Questions::say_nobody(const Policy& policy, const std::vector<ServiceName>& services,
                             WhyAnswer& answer) {
  auto who = printable(answer.who);
  if (IpAddress::parse(answer.who)) {
    answer.missing = fmt::format("nobody {} signed in from {}, and no static entry covers it",
                                 answer.past ? "was" : "is", who);
    answer.smallest_change = "somebody whom a rule names signs in from there";
    return {};
  }
  KNOCK_ASSIGN(auto account, in_.store.account(answer.who));
  answer.missing = fmt::format(
      "{} has no session, now or lately: the first missing condition is a "
      "sign-in",
      who);
  if (answer.past) answer.missing = fmt::format("{} had no session then, or lately before", who);
  if (!account || account->disabled) {
    answer.smallest_change =
        fmt::format("{} signs in; what the sign-in source then says decides", who);
    return {};
  }
  Session session;
  session.principal = {"local", account->user,
                       account->name.empty() ? account->user : account->name};
  session.source = SignInName("local");
  session.proof = Proof::local;
  session.groups = account->groups;
  answer.smallest_change = after_a_sign_in(policy, session, services.front());
  return {};
}

Result<WhyAnswer> Questions::why_by_policy(WhyAnswer answer, const Policy& policy,
                                           std::vector<Session> sessions) {
  auto services = services_named(policy, answer.what);
  if (services.empty()) return no_such(policy, answer.what);
  KNOCK_ASSIGN(auto about, candidates(answer.who, answer.at, sessions));
  Openings openings(policy, {answer.at, sessions, {}}, false);
  for (const Session& session : about)
    for (const ServiceName& service : services) {
      Why row;
      row.session = session;
      row.explanation = explain(policy, openings, session, service, answer.at);
      row.policy = policy.revision;
      KNOCK_CHECK(add_entries(policy, row, answer.at));
      answer.answers.push_back(std::move(row));
    }
  KNOCK_ASSIGN(auto fixed, static_answers(answer, policy, services, sessions));
  for (Why& row : fixed) answer.answers.push_back(std::move(row));
  for (Why& row : answer.answers)
    if (row.explanation.origin.line > 0) row.author = author_of(row.policy, row.explanation.origin);
  if (answer.answers.empty()) KNOCK_CHECK(say_nobody(policy, services, answer));
  auto address = IpAddress::parse(answer.who);
  for (const KeepPrefix& keep : in_.config.keep)
    if (address && keep.prefix.contains(Prefix::host(*address)))
      answer.notes.push_back(
          fmt::format("{} is in `keep` of knock.yaml ({}, {}: {}): every protected port is open to "
                      "it, whatever "
                      "policy says{}",
                      address->to_string(), keep.prefix.to_string(), printable(keep.owner),
                      printable(keep.reason), answer.past ? ", as knock.yaml reads now" : ""));
  return answer;
}

/// What the log says where policy cannot be asked: whatever stood for them.
Result<WhyAnswer> Questions::why_by_log(WhyAnswer answer, const PolicyRevision& revision,
                                        const std::string& problem) {
  answer.notes.push_back(fmt::format(
      "policy {} was in force then and is not at hand ({}): this is what the log says was applied, "
      "and which condition was missing elsewhere cannot be told",
      printable(revision.value.substr(0, 15)), printable(problem)));
  KNOCK_ASSIGN(auto sessions, in_.store.sessions_at(answer.at));
  KNOCK_ASSIGN(auto about, candidates(answer.who, answer.at, sessions));
  KNOCK_ASSIGN(auto intervals, in_.store.applied_at(ServiceName(answer.what), answer.at));
  for (const Session& session : about) {
    Why row;
    row.session = session;
    row.policy = revision;
    row.explanation.service = ServiceName(answer.what);
    row.explanation.chain.push_back({Explanation::Link::Kind::session, sign_in_line(session)});
    for (const AppliedInterval& one : intervals) {
      if (!caused_by(one.entry, row)) continue;
      for (const Attribution& cause : one.entry.causes)
        if (cause.session == session.id) {
          row.explanation.allowed = true;
          row.explanation.rule = cause.rule;
          row.explanation.until = cause.until;
          row.policy = one.entry.policy;
        }
      row.entries.push_back(one);
    }
    if (row.explanation.allowed)
      row.explanation.chain.push_back(
          {Explanation::Link::Kind::rule,
           fmt::format("rule {} of policy {} gave it until {}", row.explanation.rule.value,
                       printable(row.policy.value.substr(0, 15)),
                       to_string(row.explanation.until))});
    else
      row.explanation.missing = "nothing of this service stood for this session then";
    answer.answers.push_back(std::move(row));
  }
  if (answer.answers.empty())
    answer.missing = fmt::format("{} had no session then, or lately before", printable(answer.who));
  return answer;
}

Result<WhyAnswer> Questions::why(const std::string& who, const std::string& what,
                                 std::optional<Instant> at) {
  WhyAnswer answer;
  answer.at = at.value_or(in_.now);
  answer.past = at.has_value();
  answer.who = who;
  answer.what = what;
  if (!at) {
    if (in_.policy == nullptr) return fail(ErrorKind::unavailable, "no policy is in force");
    return why_by_policy(std::move(answer), *in_.policy, in_.live);
  }
  KNOCK_CHECK(not_ahead(*at));
  KNOCK_ASSIGN(auto begins, in_.store.first_time());
  if (!begins || *begins > *at)
    return fail(ErrorKind::not_found,
                begins ? fmt::format("the log begins at {}; it says nothing about {}",
                                     to_string(*begins), to_string(*at))
                       : "the log is empty");
  KNOCK_ASSIGN(auto adoption, in_.store.adoption_at(*at));
  if (!adoption)
    return fail(ErrorKind::not_found,
                fmt::format("no policy was in force at {}: nobody could reach anything by knock",
                            to_string(*at)));
  const auto& policy = policy_of(adoption->revision);
  if (!policy) return why_by_log(std::move(answer), adoption->revision, policy.error().message);
  KNOCK_ASSIGN(auto sessions, in_.store.sessions_at(*at));
  for (Session& session : sessions) session = set_back(std::move(session), *at);
  return why_by_policy(std::move(answer), **policy, std::move(sessions));
}

}  // namespace knock
