// SPDX-License-Identifier: Apache-2.0
#include "server/admin/questions_json.h"

#include <boost/json.hpp>

#include "schemas/session/codec.h"

namespace knock {
namespace {

namespace json = boost::json;

template <class List, class To>
json::array array_of(const List& list, To to) {
  json::array out;
  for (const auto& item : list) out.push_back(to(item));
  return out;
}

template <class T>
json::value or_null(const std::optional<T>& value) {
  if (!value) return nullptr;
  if constexpr (std::is_same_v<T, bool>)
    return *value;
  else
    return json::value(to_string(*value));
}

json::value flag(std::optional<bool> value) { return value ? json::value(*value) : nullptr; }

json::value text(const std::string& said) { return json::value(said); }

json::object cause_object(const Attribution& cause) {
  return {{"kind", cause.kind == Attribution::Kind::fixed ? "static" : "session"},
          {"session", cause.session.value},
          {"who", cause.who},
          {"service", cause.service.value},
          {"rule", cause.rule.value},
          {"until", to_string(cause.until)}};
}

json::object interval_object(const AppliedInterval& one) {
  const AppliedEntry& entry = one.entry;
  return {{"target", entry.target.value},
          {"slot", entry.slot},
          {"prefix", entry.prefix.to_string()},
          {"entry", entry_id(entry.target, entry.prefix, entry.slot).to_string()},
          {"since", to_string(entry.since)},
          {"until", to_string(entry.until)},
          {"from", to_string(one.from)},
          {"till", to_string(one.till)},
          {"policy", entry.policy.value},
          {"causes", array_of(entry.causes, cause_object)},
          {"removed", or_null(one.removed)},
          {"because", or_null(one.because)},
          {"reason", or_null(one.reason)}};
}

json::value place_or_null(const SourceRange& origin, const PolicyRevision& policy) {
  if (origin.line == 0) return nullptr;
  return json::object{{"file", origin.file},
                      {"line", origin.line},
                      {"column", origin.column},
                      {"commit", policy.value}};
}

std::string_view word(RuleAuthor::Known known) {
  switch (known) {
    case RuleAuthor::Known::lines:
      return "lines";
    case RuleAuthor::Known::commit:
      return "commit";
    case RuleAuthor::Known::none:
      return "none";
  }
  return "none";
}

json::value author_or_null(const std::optional<RuleAuthor>& author) {
  if (!author) return nullptr;
  return json::object{{"known_by", word(author->known)}, {"author", author->author},
                      {"commit", author->commit.value},  {"subject", author->subject},
                      {"at", or_null(author->at)},       {"problem", author->problem}};
}

json::value session_or_null(const std::optional<Session>& session) {
  return session ? json::parse(to_json(*session)) : json::value(nullptr);
}

json::object adoption_object(const Adoption& adoption) {
  return {{"revision", adoption.revision.value},
          {"adopted", to_string(adoption.at)},
          {"author", adoption.author},
          {"subject", adoption.subject}};
}

json::object why_object(const Why& row) {
  const Explanation& e = row.explanation;
  json::array links;
  for (const auto& link : e.chain)
    links.push_back(json::object{{"kind", to_string(link.kind)}, {"sentence", link.sentence}});
  return {{"session", session_or_null(row.session)},
          {"service", e.service.value},
          {"allowed", e.allowed},
          {"rule", e.rule.value},
          {"until", e.allowed ? json::value(to_string(e.until)) : json::value(nullptr)},
          {"chain", array_of(e.chain, [](const auto& link) { return text(link.sentence); })},
          {"links", std::move(links)},
          {"missing", e.missing},
          {"smallest_change", e.smallest_change},
          {"nearest_rule", e.nearest.value},
          {"denied_by", e.denied_by.value},
          {"place", place_or_null(e.origin, row.policy)},
          {"author", author_or_null(row.author)},
          {"policy", row.policy.value},
          {"entries", array_of(row.entries, interval_object)}};
}

std::string_view word(MarkAnswer::Kind kind) {
  switch (kind) {
    case MarkAnswer::Kind::stands:
      return "stands";
    case MarkAnswer::Kind::gone:
      return "gone";
    case MarkAnswer::Kind::orphan:
      return "orphan";
    case MarkAnswer::Kind::foreign:
      return "foreign";
    case MarkAnswer::Kind::unknown:
      return "unknown";
  }
  return "unknown";
}

json::object marked_object(const MarkedCause& cause, const PolicyRevision& policy) {
  json::object out = cause_object(cause.cause);
  out["signed_in"] = session_or_null(cause.session);
  out["place"] = place_or_null(cause.origin, policy);
  out["author"] = author_or_null(cause.author);
  out["links"] = json::array();
  if (cause.fixed)
    out["links"] = array_of(cause.fixed->chain, [](const auto& link) {
      return json::object{{"kind", to_string(link.kind)}, {"sentence", link.sentence}};
    });
  return out;
}

json::object row_object(const WhoRow& row) {
  json::object out = cause_object(row.cause);
  out["key"] = row.key;
  out["address"] = row.address ? json::value(row.address->to_string()) : json::value(nullptr);
  out["source"] = row.source.value;
  out["target"] = row.target.value;
  out["prefix"] = row.prefix.to_string();
  out["policy"] = row.policy.value;
  out["place"] = place_or_null(row.origin, row.policy);
  out["intended"] = flag(row.intended);
  out["applied"] = flag(row.applied);
  out["seen"] = nullptr;
  out["from"] = to_string(row.from);
  out["till"] = to_string(row.till);
  out["ended"] = or_null(row.ended);
  out["reason"] = or_null(row.reason);
  return out;
}

std::string text_of(const json::object& object) { return json::serialize(object) + "\n"; }

}  // namespace

std::string why_json(const WhyAnswer& answer) {
  return text_of({{"who", answer.who},
                  {"what", answer.what},
                  {"at", to_string(answer.at)},
                  {"past", answer.past},
                  {"allowed", answer.allowed()},
                  {"answers", array_of(answer.answers, why_object)},
                  {"missing", answer.missing},
                  {"smallest_change", answer.smallest_change},
                  {"notes", array_of(answer.notes, text)}});
}

std::string mark_json(const MarkAnswer& answer) {
  PolicyRevision policy;
  if (!answer.times.empty()) policy = answer.times.back().entry.policy;
  json::value mark = nullptr;
  if (answer.mark)
    mark = json::object{{"owner", answer.mark->owner.to_string()},
                        {"until", to_string(answer.mark->until)},
                        {"entry", answer.mark->entry.to_string()}};
  return text_of({{"mark", std::move(mark)},
                  {"kind", word(answer.kind)},
                  {"sentence", answer.sentence},
                  {"times", array_of(answer.times, interval_object)},
                  {"causes", array_of(answer.causes, [&](const MarkedCause& cause) {
                     return marked_object(cause, policy);
                   })}});
}

std::string who_json(const WhoAnswer& answer) {
  return text_of(
      {{"service", answer.service.value},
       {"at", answer.to ? json::value(nullptr) : json::value(to_string(answer.from))},
       {"from", answer.to ? json::value(to_string(answer.from)) : json::value(nullptr)},
       {"to", or_null(answer.to)},
       {"past", answer.past},
       {"policy", answer.policy ? json::value(adoption_object(*answer.policy)) : nullptr},
       {"log_begins", or_null(answer.log_begins)},
       {"complete", answer.complete},
       {"rows", array_of(answer.rows, row_object)},
       {"entries", array_of(answer.entries, interval_object)},
       {"notes", array_of(answer.notes, text)}});
}

}  // namespace knock
