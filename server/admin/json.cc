// SPDX-License-Identifier: Apache-2.0
#include "server/admin/json.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "reconciler/loop/target_conditions.h"
#include "schemas/session/codec.h"

namespace knock {
namespace {

namespace json = boost::json;

json::value time_or_null(const std::optional<Instant>& at) {
  return at ? json::value(to_string(*at)) : json::value(nullptr);
}

json::object guard_object(const GuardTrip& trip) {
  return {{"guard", trip.guard},
          {"target", trip.target.value},
          {"figure", trip.figure},
          {"limit", trip.limit},
          {"held", trip.held}};
}

json::object finding_object(const Finding& finding) {
  return {{"id", finding.id},
          {"level", finding.level == Finding::Level::warning ? "warning" : "note"},
          {"target", finding.target.value},
          {"sentence", finding.sentence}};
}

template <class List, class To>
json::array array_of(const List& list, To to) {
  json::array out;
  for (const auto& item : list) out.push_back(to(item));
  return out;
}

json::value confirmation_or_null(const std::optional<ConfirmationStatus>& c) {
  if (!c) return nullptr;
  bool due = c->what.state == Confirmation::State::due;
  return json::object{{"state", due ? "due" : "returned"},
                      {"policy", c->what.policy.value},
                      {"previous", c->what.previous.value},
                      {"due", to_string(c->what.due)},
                      {"id", c->what.plan},
                      {"by", c->by_probe ? "probe" : "person"},
                      {"problem", c->problem}};
}

json::object suspect_object(const SuspectStatus& s) {
  return {{"source", s.source.value}, {"until", to_string(s.until)}, {"sessions", s.sessions}};
}

json::object target_object(const TargetStatus& t) {
  json::array conditions;
  json::object because;
  for (const TargetCondition& one : conditions_of(t)) {
    conditions.push_back(json::value(std::string(one.word)));
    if (!one.why.empty()) because[one.word] = one.why;
  }
  return {{"name", t.name.value},
          {"type", t.type},
          {"conditions", std::move(conditions)},
          {"because", std::move(because)},
          {"owned", t.owned},
          {"foreign", t.foreign},
          {"generation", t.generation.value},
          {"observed_generation", t.observed_generation.value},
          {"last_full_read", time_or_null(t.last_full_read)},
          {"held", t.held},
          {"guards", array_of(t.guards, guard_object)},
          {"findings", array_of(t.findings, finding_object)},
          {"problem", t.problem},
          {"next_try", time_or_null(t.next_try)},
          {"confirmation", confirmation_or_null(t.confirmation)}};
}

json::value waiting_or_null(const std::optional<WaitingPolicy>& waiting) {
  if (!waiting) return nullptr;
  return json::object{{"revision", waiting->revision.value},
                      {"author", waiting->author},
                      {"subject", waiting->subject},
                      {"since", to_string(waiting->since)},
                      {"needs", waiting->needs}};
}

json::value hold_or_null(const std::optional<PolicyHold>& hold) {
  if (!hold) return nullptr;
  return json::object{{"revision", hold->revision.value},
                      {"since", to_string(hold->since)},
                      {"by", hold->by},
                      {"reason", hold->reason}};
}

json::object policy_object(const PolicyStatus& p) {
  return {{"revision", p.revision.value}, {"author", p.author},
          {"subject", p.subject},         {"adopted", time_or_null(p.adopted)},
          {"source", p.source},           {"last_contact", time_or_null(p.last_contact)},
          {"problem", p.problem},         {"problem_since", time_or_null(p.problem_since)},
          {"advance", p.advance},         {"waiting", waiting_or_null(p.waiting)},
          {"hold", hold_or_null(p.hold)}};
}

json::object key_object(const ApiKey& key) {
  return {{"name", key.name},
          {"scopes", array_of(to_words(key.scopes),
                              [](const std::string& word) { return json::value(word); })},
          {"from", array_of(key.from,
                            [](const Prefix& prefix) { return json::value(prefix.to_string()); })},
          {"created", to_string(key.created)},
          {"expires", to_string(key.expires)},
          {"last_used", time_or_null(key.last_used)}};
}

json::object where_object(const SessionOnTarget& row) {
  return {{"target", row.target.value},
          {"service", row.service.value},
          {"until", to_string(row.until)},
          {"open", row.open},
          {"lasts", std::string(to_string(row.lasts))},
          {"come_by", row.lasts == Lasts::disconnect ? json::value(to_string(row.come_by))
                                                     : json::value(nullptr)},
          {"used", row.used},
          {"problem", row.problem}};
}

json::object session_object(const Session& session) {
  return json::parse(to_json(session)).as_object();
}

json::object diagnostic_object(const Diagnostic& d) {
  return {{"severity", d.severity == Diagnostic::Severity::error ? "error" : "warning"},
          {"id", d.id},
          {"file", d.where.file},
          {"line", d.where.line},
          {"column", d.where.column},
          {"summary", d.summary},
          {"suggestion", d.suggestion}};
}

json::object changes_object(const ProposedChanges& c) {
  auto time = [](const std::optional<Instant>& at) {
    return at ? json::value(to_string(*at)) : json::value(nullptr);
  };
  return {{"open", c.open},
          {"planned", c.planned},
          {"refused", c.refused},
          {"more", c.more},
          {"last_look", time(c.last_look)},
          {"problem", c.problem},
          {"problem_since", time(c.problem_since)}};
}

json::value parsed_or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::parse(text);
}

/// "plan.moved" of "plan.moved: another policy …"; "" where a message begins otherwise.
std::string_view leading_id(std::string_view message) {
  auto id = message.substr(0, message.find(':'));
  bool known = id.size() < message.size() && id.find('.') != id.npos &&
               id.find_first_not_of("abcdefghijklmnopqrstuvwxyz-.") == id.npos;
  return known ? id : std::string_view();
}

std::string text_of(const json::object& object) { return json::serialize(object) + "\n"; }

}  // namespace

std::string to_json(const ControllerStatus& s) {
  return text_of(
      {{"version", s.version},
       {"owner", s.owner.to_string()},
       {"now", to_string(s.now)},
       {"ready", s.ready},
       {"not_ready_because", s.not_ready_because},
       {"policy", policy_object(s.policy)},
       {"targets", array_of(s.targets, target_object)},
       {"changes", s.changes ? json::value(changes_object(*s.changes)) : json::value(nullptr)},
       {"live_sessions", s.live_sessions},
       {"suspects", array_of(s.suspects, suspect_object)},
       {"log_head", s.log_head},
       {"clock_behind_ms", s.clock_behind.ms},
       {"remarks", array_of(s.remarks, [](const std::string& r) { return json::value(r); })}});
}

std::string sessions_json(const std::vector<Session>& sessions,
                          const std::optional<WhereOfSessions>& where) {
  json::object out{{"sessions", array_of(sessions, session_object)}, {"where", nullptr}};
  if (where) {
    auto& rows = out["where"].emplace_array();
    for (const auto& [session, targets] : *where)
      for (const SessionOnTarget& one : targets) {
        auto row = where_object(one);
        row["session"] = session.value;
        rows.push_back(std::move(row));
      }
  }
  return text_of(out);
}

std::string session_json(const Session& session, const std::vector<SessionOnTarget>& where,
                         const std::string& note) {
  json::object out{{"session", session_object(session)}, {"where", array_of(where, where_object)}};
  if (!note.empty()) out["note"] = note;
  return text_of(out);
}

std::string records_json(const std::vector<Record>& records) {
  return text_of({{"records", array_of(records, [](const Record& r) {
                     return json::object{{"seq", r.seq},
                                         {"at", to_string_ms(r.at)},
                                         {"actor", r.actor},
                                         {"kind", r.fact.kind},
                                         {"public", parsed_or_null(r.fact.public_json)},
                                         {"personal", parsed_or_null(r.fact.personal_json)},
                                         {"hash", to_hex(r.hash)}};
                   })}});
}

std::string keys_json(const std::vector<ApiKey>& keys) {
  return text_of({{"keys", array_of(keys, key_object)}});
}

std::string made_key_json(const MadeKey& made) {
  return text_of({{"key", key_object(made.key)}, {"token", made.token.reveal()}});
}

std::string advanced_json(const Advanced& advanced) {
  return text_of({{"revision", advanced.revision.value},
                  {"previous", advanced.previous.value},
                  {"how", advanced.how},
                  {"held", advanced.held},
                  {"remarks", array_of(advanced.remarks, diagnostic_object)}});
}

std::string accounts_json(const std::vector<Account>& accounts) {
  return text_of(
      {{"users", array_of(accounts, [](const Account& a) {
          return json::object{
              {"user", a.user},
              {"name", a.name},
              {"groups", array_of(a.groups, [](const std::string& g) { return json::value(g); })},
              {"disabled", a.disabled}};
        })}});
}

std::string diagnostics_json(const Diagnostics& diagnostics) {
  return text_of({{"problems", array_of(diagnostics, diagnostic_object)}});
}

int http_status(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid:
      return 400;
    case ErrorKind::not_found:
      return 404;
    case ErrorKind::unauthorized:
      return 403;
    case ErrorKind::conflict:
      return 409;
    case ErrorKind::rate_limited:
      return 429;
    case ErrorKind::unavailable:
      return 503;
    case ErrorKind::timeout:
      return 504;
    case ErrorKind::unsupported:
      return 501;
    case ErrorKind::internal:
      return 500;
  }
  return 500;
}

std::string problem_json(int status, const Error& error, const Diagnostics& problems) {
  json::object out{{"type", "about:blank"},
                   {"title", to_string(error.kind)},
                   {"status", status},
                   {"detail", error.text()},
                   {"kind", to_string(error.kind)}};
  if (!problems.empty()) out["problems"] = array_of(problems, diagnostic_object);
  bool unsound = std::any_of(problems.begin(), problems.end(), [](const Diagnostic& one) {
    return one.severity == Diagnostic::Severity::error;
  });
  auto code = unsound ? kUnsoundCode : leading_id(error.message);
  if (!code.empty()) out["code"] = code;
  return text_of(out);
}

}  // namespace knock
