// SPDX-License-Identifier: Apache-2.0
#include "schemas/plan/plan_parts.h"

#include <boost/json/value.hpp>

namespace knock {
namespace {

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
}

void read_plan_members(ObjectReader& in, Plan& plan) {
  plan.id = in.parsed("id", "64 hex digits", digest_from_hex);
  plan.from = PolicyRevision(in.text("from"));
  plan.to = PolicyRevision(in.text("to"));
  plan.sequence = in.number("sequence");
  plan.as_of = in.time("as_of");
}

void write_target_members(JsonWriter& out, const TargetPlan& target) {
  out.text("name", target.target.value).text("type", target.type).flag("readable", target.readable);
  if (!target.unreadable_because.empty()) out.text("unreadable_because", target.unreadable_because);
  out.text("fence", target.fence).number("owned", target.owned).number("foreign", target.foreign);
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
  KNOCK_CHECK(in.finish(others));
  return target;
}

void write_person(JsonWriter& out, const PersonChange& person) {
  out.begin_object().flag("gains", person.gains).text("who", person.who);
  out.text("service", person.service.value).text("rule", person.rule.value);
  out.key("origin").begin_object().text("file", person.origin.file);
  out.number("line", person.origin.line).number("column", person.origin.column);
  out.number("length", person.origin.length).end_object();
  if (person.live_until) out.time("live_until", *person.live_until);
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
  if (auto* origin = in.member("origin")) {
    KNOCK_ASSIGN(person.origin, read_origin(*origin, where, others));
  } else {
    in.refuse("missing", "origin", "is missing");
  }
  person.live_until = in.maybe_time("live_until");
  KNOCK_CHECK(in.finish(others));
  return person;
}

void write_finding(JsonWriter& out, const Finding& finding) {
  out.begin_object().text("level", word(finding.level)).text("id", finding.id);
  if (!finding.target.empty()) out.text("target", finding.target.value);
  out.text("sentence", finding.sentence).end_object();
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

void write_guard(JsonWriter& out, const GuardTrip& guard) {
  out.begin_object().text("guard", guard.guard).text("target", guard.target.value);
  out.text("figure", guard.figure).text("limit", guard.limit).number("held", guard.held);
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
