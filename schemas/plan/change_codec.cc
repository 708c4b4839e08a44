// SPDX-License-Identifier: Apache-2.0
#include "schemas/plan/change_codec.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>

#include "schemas/json/strict_json.h"

namespace knock {
namespace {

using Others = ObjectReader::Others;

std::string_view word(Attribution::Kind kind) {
  return kind == Attribution::Kind::session ? "session" : "static";
}

std::optional<Attribution::Kind> kind_from(std::string_view text) {
  for (auto kind : {Attribution::Kind::session, Attribution::Kind::fixed})
    if (word(kind) == text) return kind;
  return std::nullopt;
}

/// Left out where an entry lasts until its deadline and no further, as nearly all do.
void write_lasts(JsonWriter& out, Lasts lasts) {
  if (lasts != Lasts::until_deadline) out.text("lasts", to_string(lasts));
}

Lasts read_lasts(ObjectReader& in) {
  if (in.has("lasts")) return in.parsed("lasts", "first-connection or disconnect", lasts_from);
  in.member("lasts");
  return Lasts::until_deadline;
}

void write_cause(JsonWriter& out, const Attribution& cause, View view) {
  bool full = view == View::full;
  out.begin_object().text("kind", word(cause.kind));
  if (full && !cause.session.empty()) out.text("session", cause.session.value);
  if (!cause.who.empty()) out.text("who", full ? cause.who : without_addresses(cause.who));
  out.text("service", cause.service.value).text("rule", cause.rule.value);
  out.time("until", cause.until);
  write_lasts(out, cause.lasts);
  out.end_object();
}

Result<Attribution> read_cause(const boost::json::value& value, const std::string& where,
                               Others others) {
  ObjectReader in(value, where);
  Attribution cause;
  cause.kind = in.parsed("kind", "session or static", kind_from);
  cause.session = SessionId(in.text_or("session", ""));
  cause.who = in.text_or("who", "");
  cause.service = ServiceName(in.text("service"));
  cause.rule = RuleName(in.text("rule"));
  cause.until = in.time("until");
  cause.lasts = read_lasts(in);
  KNOCK_CHECK(in.finish(others));
  return cause;
}

void write_causes(JsonWriter& out, const std::vector<Attribution>& causes, View view) {
  out.begin_list();
  for (const auto& cause : causes) write_cause(out, cause, view);
  out.end_list();
}

void read_causes(ObjectReader& in, const std::string& where, Others others,
                 SharedList<Attribution>& out) {
  std::vector<Attribution> causes;
  if (!in.has("causes")) return void(in.member("causes"));
  for (auto* element : in.list("causes")) {
    auto cause = read_cause(*element, where + ", cause", others);
    if (!cause) return in.adopt(std::move(cause.error()));
    causes.push_back(*std::move(cause));
  }
  out = std::move(causes);
}

template <class T>
void read_texts(ObjectReader& in, std::string_view key, std::string_view what, SharedList<T>& out,
                std::optional<T> (*parse)(std::string_view)) {
  std::vector<T> values;
  if (!in.has(key)) return void(in.member(key));
  for (const auto& text : in.texts(key)) {
    auto value = parse(text);
    if (!value) return in.refuse("value", key, fmt::format("holds what is not {}", what));
    values.push_back(*value);
  }
  out = std::move(values);
}

template <class T>
void write_texts(JsonWriter& out, std::string_view key, const SharedList<T>& values) {
  if (values.empty()) return;
  out.key(key).begin_list();
  for (const auto& value : values) out.text(value.to_string());
  out.end_list();
}

void read_entry(ObjectReader& in, Change& change) {
  if (in.has("prefix")) {
    change.prefix = in.parsed("prefix", "a prefix without host bits", Prefix::parse_exact);
  } else {
    in.member("prefix");
  }
  if (in.has("entry")) {
    change.entry = in.parsed("entry", "16 hex digits", EntryId::parse);
  } else {
    in.member("entry");
  }
}

}  // namespace

std::string_view to_string(Step step) {
  switch (step) {
    case Step::close_now:
      return "close-now";
    case Step::structure:
      return "structure";
    case Step::open:
      return "open";
    case Step::prolong:
      return "prolong";
    case Step::close_by_policy:
      return "close-by-policy";
  }
  return "";
}

std::optional<Step> step_from(std::string_view text) {
  for (auto step :
       {Step::close_now, Step::structure, Step::open, Step::prolong, Step::close_by_policy})
    if (to_string(step) == text) return step;
  return std::nullopt;
}

void write_change(JsonWriter& out, const Change& change, View view) {
  bool full = view == View::full;
  out.begin_object().text("action", to_string(change.action));
  out.text("action_reason", to_string(change.reason)).text("group", group_of(change.reason));
  out.text("step", to_string(change.step));
  if (!change.slot.empty()) out.text("slot", change.slot);
  write_texts(out, "ports", change.ports);
  if (change.prefix != Prefix())
    out.text(full ? "prefix" : "prefix_kind",
             full ? change.prefix.to_string() : kind_of(change.prefix));
  if (full) write_texts(out, "keep", change.keep);
  if (change.until) out.time("until", *change.until);
  if (change.was_until) out.time("was_until", *change.was_until);
  write_lasts(out, change.lasts);
  if (change.lasts == Lasts::disconnect) out.time("come_by", change.come_by);
  if (change.ticket) out.flag("ticket", true);
  if (change.released) out.flag("released", true);
  if (full && change.entry != EntryId()) out.text("entry", change.entry.to_string());
  if (full && !change.handle.empty()) out.text("handle", change.handle);
  if (!change.causes.empty()) {
    out.key("causes");
    write_causes(out, change.causes, view);
  }
  if (!change.detail.empty())
    out.text("detail", full ? change.detail.get() : without_addresses(change.detail));
  out.end_object();
}

Result<Change> read_change(const boost::json::value& value, const std::string& where,
                           Others others) {
  ObjectReader in(value, where);
  Change change;
  change.action = in.parsed("action", "an action this version knows", action_from);
  auto reason = in.text("action_reason");
  if (auto known = reason_from(reason))
    change.reason = *known;
  else
    in.refuse("reason", "action_reason", "is a reason this version does not know");
  if (in.text("group") != group_of(change.reason))
    in.refuse("value", "group", "does not fit the reason");
  change.step = in.parsed("step", "a step this version knows", step_from);
  change.slot = in.text_or("slot", "");
  read_texts(in, "ports", "a port range like tcp/443", change.ports, PortRange::parse);
  read_entry(in, change);
  read_texts(in, "keep", "a prefix without host bits", change.keep, Prefix::parse_exact);
  change.until = in.maybe_time("until");
  change.was_until = in.maybe_time("was_until");
  change.lasts = read_lasts(in);
  change.come_by = in.maybe_time("come_by").value_or(Instant());
  if (in.has("ticket"))
    change.ticket = in.flag("ticket");
  else
    in.member("ticket");
  if (in.has("released"))
    change.released = in.flag("released");
  else
    in.member("released");
  change.handle = in.text_or("handle", "");
  read_causes(in, where, others, change.causes);
  change.detail = in.text_or("detail", "");
  KNOCK_CHECK(in.finish(others));
  return change;
}

std::string causes_to_json(const std::vector<Attribution>& causes) {
  std::string text;
  JsonWriter out([&](std::string_view piece) { text += piece; });
  write_causes(out, causes, View::full);
  out.flush();
  return text;
}

Result<std::vector<Attribution>> causes_from_json(std::string_view text) {
  KNOCK_ASSIGN(auto value, parse_strict(text));
  std::vector<Attribution> causes;
  auto* list = value.if_array();
  if (list == nullptr) return fail(ErrorKind::invalid, "json.type: causes must be a list");
  for (const auto& element : *list) {
    auto cause = read_cause(element, "cause", Others::refused);
    if (!cause) return fail(std::move(cause.error()));
    causes.push_back(*std::move(cause));
  }
  return causes;
}

}  // namespace knock
