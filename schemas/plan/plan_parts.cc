// SPDX-License-Identifier: Apache-2.0
#include "schemas/plan/plan_parts.h"

#include <boost/json/value.hpp>

#include "schemas/plan/change_codec.h"

namespace knock {
namespace {

/// Text from elsewhere: names, sentences, policy.
std::string shown(const std::string& text, View view) {
  return view == View::full ? text : without_addresses(text);
}

/// Nothing when there are none.
template <class T, class ToText>
void write_all(JsonWriter& out, std::string_view key, const std::vector<T>& values,
               ToText to_text) {
  if (values.empty()) return;
  out.key(key).begin_list();
  for (const auto& value : values) out.text(to_text(value));
  out.end_list();
}

std::string_view word(Finding::Level level) {
  return level == Finding::Level::note ? "note" : "warning";
}

std::optional<Finding::Level> level_from(std::string_view text) {
  for (auto level : {Finding::Level::note, Finding::Level::warning})
    if (word(level) == text) return level;
  return std::nullopt;
}

Result<SourceRange> read_origin(const boost::json::value& value, const std::string& where,
                                Others others) {
  ObjectReader in(value, where + ", origin");
  SourceRange origin;
  origin.file = in.text("file");
  origin.line = std::uint32_t(in.integer("line", 0, UINT32_MAX));
  origin.column = std::uint32_t(in.integer("column", 0, UINT32_MAX));
  origin.length = std::uint32_t(in.integer("length", 0, UINT32_MAX));
  KNOCK_CHECK(in.finish(others));
  return origin;
}

void write_origin(JsonWriter& out, const SourceRange& origin) {
  out.key("origin").begin_object().text("file", origin.file);
  out.number("line", origin.line).number("column", origin.column);
  out.number("length", origin.length).end_object();
}

SourceRange take_origin(ObjectReader& in, const std::string& where, Others others) {
  auto* origin = in.member("origin");
  if (origin == nullptr) {
    in.refuse("missing", "origin", "is missing");
    return {};
  }
  auto read = read_origin(*origin, where, others);
  if (read) return *std::move(read);
  in.adopt(std::move(read.error()));
  return {};
}

void write_scope(JsonWriter& out, const Scope& scope) {
  out.begin_object();
  if (scope.refresh_only) out.flag("refresh_only", true);
  if (scope.what_if) out.flag("what_if", true);
  write_all(out, "targets", scope.targets, [](const TargetName& name) { return name.value; });
  out.end_object();
}

Result<Scope> read_scope(const boost::json::value& value, Others others) {
  ObjectReader in(value, "scope");
  Scope scope;
  if (in.has("refresh_only")) scope.refresh_only = in.flag("refresh_only");
  if (in.has("what_if")) scope.what_if = in.flag("what_if");
  if (in.has("targets"))
    for (auto& name : in.texts("targets")) scope.targets.emplace_back(std::move(name));
  KNOCK_CHECK(in.finish(others));
  return scope;
}

}  // namespace

std::optional<Digest> digest_from_hex(std::string_view text) {
  Digest out{};
  if (text.size() != out.size() * 2) return std::nullopt;
  for (std::size_t i = 0; i < out.size(); i += 8) {
    auto part = parse_hex64(text.substr(i * 2, 16));
    if (!part) return std::nullopt;
    for (std::size_t j = 0; j < 8; ++j) out[i + j] = std::uint8_t(*part >> (56 - 8 * j));
  }
  return out;
}

void write_plan_members(JsonWriter& out, const Plan& plan) {
  out.text("id", to_hex(plan.id)).text("from", plan.from.value).text("to", plan.to.value);
  out.number("sequence", plan.sequence).time("as_of", plan.as_of);
  if (!plan.scope.whole()) {
    out.key("scope");
    write_scope(out, plan.scope);
  }
  if (plan.seen_within.ms > 0) out.text("seen_within", to_string(plan.seen_within));
}

void read_plan_members(ObjectReader& in, Plan& plan, Others others) {
  plan.id = in.parsed("id", "64 hex digits", digest_from_hex);
  plan.from = PolicyRevision(in.text("from"));
  plan.to = PolicyRevision(in.text("to"));
  plan.sequence = in.number("sequence");
  plan.as_of = in.time("as_of");
  if (auto* scope = in.member("scope")) {
    auto read = read_scope(*scope, others);
    if (read)
      plan.scope = *std::move(read);
    else
      in.adopt(std::move(read.error()));
  }
  if (in.has("seen_within"))
    plan.seen_within = in.parsed("seen_within", "a duration like 30d", parse_duration);
}

void write_target_members(JsonWriter& out, const TargetPlan& target, View view) {
  out.text("name", target.target.value).text("type", target.type).flag("readable", target.readable);
  auto why = unreadable_text(target, view);
  if (!why.empty()) out.text("unreadable_because", why);
  out.text("fence", view == View::full ? target.fence : "");
  out.number("owned", target.owned).number("foreign", target.foreign);
  out.number("writes", target.writes);
  if (target.calls) out.number("calls", *target.calls);
  if (target.least_calls) out.number("least_calls", *target.least_calls);
}

void write_counts(JsonWriter& out, const TargetPlan& target) {
  out.begin_list();
  for (const auto& [kind, count] : counts_of(target)) {
    out.begin_object().flag("held", kind.held).text("action", to_string(kind.action));
    out.text("action_reason", to_string(kind.reason)).text("group", group_of(kind.reason));
    if (!kind.slot.empty()) out.text("slot", kind.slot);
    write_all(out, "ports", kind.ports, [](const PortRange& range) { return range.to_string(); });
    write_all(out, "rules", count.rules, [](const RuleName& rule) { return rule.value; });
    out.number("count", count.count).end_object();
  }
  out.end_list();
}

Result<TargetPlan> read_target(const boost::json::value& value, const std::string& where,
                               Others others) {
  ObjectReader in(value, where);
  TargetPlan target;
  target.target = TargetName(in.text("name"));
  target.type = in.text("type");
  target.readable = in.flag("readable");
  target.unreadable_because = in.text_or("unreadable_because", "");
  target.fence = in.text("fence");
  target.owned = in.number("owned");
  target.foreign = in.number("foreign");
  if (in.has("writes")) target.writes = in.number("writes");
  if (in.has("calls")) target.calls = in.number("calls");
  if (in.has("least_calls")) target.least_calls = in.number("least_calls");
  if (in.has("state")) target.state = in.parsed("state", "64 hex digits", digest_from_hex);
  KNOCK_CHECK(in.finish(others));
  return target;
}

void write_person(JsonWriter& out, const PersonChange& person, View view) {
  out.begin_object().flag("gains", person.gains).text("who", shown(person.who, view));
  out.text("service", person.service.value).text("rule", person.rule.value);
  write_origin(out, person.origin);
  if (person.live_until) out.time("live_until", *person.live_until);
  if (!person.key.empty()) out.text("person", shown(person.key, view));
  out.text("known", to_string(person.known));
  if (person.seen) out.time("seen", *person.seen);
  out.end_object();
}

Result<PersonChange> read_person(const boost::json::value& value, const std::string& where,
                                 Others others) {
  ObjectReader in(value, where);
  PersonChange person;
  person.gains = in.flag("gains");
  person.who = in.text("who");
  person.service = ServiceName(in.text("service"));
  person.rule = RuleName(in.text("rule"));
  person.origin = take_origin(in, where, others);
  person.live_until = in.maybe_time("live_until");
  person.key = in.text_or("person", "");
  if (in.has("known")) person.known = in.parsed("known", "directory, seen or named", known_from);
  person.seen = in.maybe_time("seen");
  KNOCK_CHECK(in.finish(others));
  return person;
}

void write_cut(JsonWriter& out, const SessionCut& cut, View view) {
  out.begin_object();
  if (view == View::full) out.text("session", cut.session.value);
  out.text("who", shown(cut.who, view));
  if (!cut.key.empty()) out.text("person", shown(cut.key, view));
  if (cut.address && view == View::full) out.text("address", cut.address->to_string());
  out.text("service", cut.service.value).text("rule", cut.rule.value);
  if (!cut.denied_by.empty()) out.text("denied_by", cut.denied_by.value);
  out.time("until", cut.until).end_object();
}

Result<SessionCut> read_cut(const boost::json::value& value, const std::string& where,
                            Others others) {
  ObjectReader in(value, where);
  SessionCut cut;
  cut.session = SessionId(in.text_or("session", ""));
  cut.who = in.text("who");
  cut.key = in.text_or("person", "");
  if (in.has("address")) cut.address = in.parsed("address", "an IP address", IpAddress::parse);
  cut.service = ServiceName(in.text("service"));
  cut.rule = RuleName(in.text("rule"));
  cut.denied_by = RuleName(in.text_or("denied_by", ""));
  cut.until = in.time("until");
  KNOCK_CHECK(in.finish(others));
  return cut;
}

void write_edit(JsonWriter& out, const PolicyEdit& edit, View view) {
  out.begin_object().text("kind", to_string(edit.kind)).text("section", edit.section);
  if (!edit.name.empty()) out.text("name", edit.name);
  write_origin(out, edit.origin);
  if (view != View::shape) {
    if (!edit.before.empty()) out.text("before", shown(edit.before, view));
    if (!edit.after.empty()) out.text("after", shown(edit.after, view));
  }
  out.end_object();
}

Result<PolicyEdit> read_edit(const boost::json::value& value, const std::string& where,
                             Others others) {
  ObjectReader in(value, where);
  PolicyEdit edit;
  edit.kind = in.parsed("kind", "added, removed or changed", edit_kind_from);
  edit.section = in.text("section");
  edit.name = in.text_or("name", "");
  edit.origin = take_origin(in, where, others);
  edit.before = in.text_or("before", "");
  edit.after = in.text_or("after", "");
  KNOCK_CHECK(in.finish(others));
  return edit;
}

void write_figure(JsonWriter& out, const PeopleFigure& figure) {
  out.begin_object().flag("gains", figure.gains).text("service", figure.service.value);
  out.text("rule", figure.rule.value);
  write_origin(out, figure.origin);
  out.number("known", figure.known()).flag("complete", figure.complete());
  out.number("directory", figure.directory).number("seen", figure.seen);
  out.number("named", figure.named);
  if (figure.oldest) out.time("oldest", *figure.oldest);
  out.number("sessions", figure.sessions);
  write_all(out, "unlisted", figure.unlisted, [](const GroupName& name) { return name.value; });
  out.end_object();
}

Result<PeopleFigure> read_figure(const boost::json::value& value, const std::string& where,
                                 Others others) {
  ObjectReader in(value, where);
  PeopleFigure figure;
  figure.gains = in.flag("gains");
  figure.service = ServiceName(in.text("service"));
  figure.rule = RuleName(in.text("rule"));
  figure.origin = take_origin(in, where, others);
  auto known = in.number("known");
  auto complete = in.flag("complete");
  figure.directory = in.number("directory");
  figure.seen = in.number("seen");
  figure.named = in.number("named");
  figure.oldest = in.maybe_time("oldest");
  figure.sessions = in.number("sessions");
  if (in.has("unlisted"))
    for (auto& name : in.texts("unlisted")) figure.unlisted.emplace_back(std::move(name));
  if (known != figure.known()) in.refuse("value", "known", "is not the sum of its parts");
  if (complete != figure.complete()) in.refuse("value", "complete", "does not fit `unlisted`");
  KNOCK_CHECK(in.finish(others));
  return figure;
}

void write_finding(JsonWriter& out, const Finding& finding, View view) {
  out.begin_object().text("level", word(finding.level)).text("id", finding.id);
  if (!finding.target.empty()) out.text("target", finding.target.value);
  out.text("sentence", sentence_text(finding, view)).end_object();
}

Result<Finding> read_finding(const boost::json::value& value, const std::string& where,
                             Others others) {
  ObjectReader in(value, where);
  Finding finding;
  finding.level = in.parsed("level", "note or warning", level_from);
  finding.id = in.text("id");
  finding.target = TargetName(in.text_or("target", ""));
  finding.sentence = in.text("sentence");
  KNOCK_CHECK(in.finish(others));
  return finding;
}

void write_guard(JsonWriter& out, const GuardTrip& guard, View view) {
  out.begin_object().text("guard", guard.guard).text("target", guard.target.value);
  out.text("figure", shown(guard.figure, view))
      .text("limit", shown(guard.limit, view))
      .number("held", guard.held);
  out.end_object();
}

Result<GuardTrip> read_guard(const boost::json::value& value, const std::string& where,
                             Others others) {
  ObjectReader in(value, where);
  GuardTrip guard;
  guard.guard = in.text("guard");
  guard.target = TargetName(in.text("target"));
  guard.figure = in.text("figure");
  guard.limit = in.text("limit");
  guard.held = in.number("held");
  KNOCK_CHECK(in.finish(others));
  return guard;
}

}  // namespace knock
