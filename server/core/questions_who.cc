// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/text.h"
#include "reconciler/core/evaluate.h"
#include "server/core/questions.h"

namespace knock {
namespace {

constexpr std::size_t kMostPolicies = 16;  // of a range, whose rules' places are looked up

/// One right of one person, or of one static entry, at one place.
auto right_of(const WhoRow& row) {
  return std::tie(
      row.target, row.prefix, row.cause.service, row.cause.kind, row.cause.session,
      row.cause.kind == Attribution::Kind::fixed ? row.cause.rule.value : row.cause.session.value);
}

bool reaches(const WhoRow& row, const ServiceName& service) {
  // Where a slot is the service, an entry whose causes say nothing still serves it.
  return row.cause.service == service;
}

}  // namespace

Result<WhoAnswer> Questions::begin_who(const ServiceName& service, Instant from,
                                       std::optional<Instant> to) {
  WhoAnswer out;
  out.service = service;
  out.from = from;
  out.to = to;
  KNOCK_ASSIGN(out.log_begins, in_.store.first_time());
  KNOCK_ASSIGN(out.policy, in_.store.adoption_at(from));
  out.complete = out.log_begins && *out.log_begins <= from;
  if (!out.complete)
    out.notes.push_back(
        out.log_begins
            ? fmt::format("the log begins at {}: it cannot say who could reach anything before",
                          to_string(*out.log_begins))
            : "the log is empty: it cannot say who could reach anything");
  else if (!out.policy)
    out.notes.push_back(fmt::format("no policy was in force at {}", to_string(from)));
  return out;
}

Status Questions::add_applied(WhoAnswer& answer, std::vector<AppliedInterval> intervals) {
  for (const AppliedInterval& one : intervals)
    for (const Attribution& cause : one.entry.causes) {
      WhoRow row;
      row.cause = cause;
      row.target = one.entry.target;
      row.prefix = one.entry.prefix;
      row.policy = one.entry.policy;
      row.applied = true;
      row.from = one.from;
      row.till = one.till;
      // A stretch that ended because its causes changed did not end the entry.
      bool last = one.till == one.removed.value_or(one.entry.until);
      if (last && (one.removed || one.till <= in_.now)) {
        row.ended = one.till;
        row.reason = one.reason.value_or(Reason::expiry);
      }
      if (!reaches(row, answer.service)) continue;
      if (!cause.session.empty()) {
        KNOCK_ASSIGN(auto session, session_of(cause.session));
        if (session) {
          row.key = session->principal.key();
          row.address = session->address;
          row.source = session->source;
        }
      }
      if (policies_.size() < kMostPolicies || policies_.contains(row.policy))
        row.origin = origin_of(row.policy, cause).value_or(SourceRange{});
      answer.rows.push_back(std::move(row));
    }
  answer.entries = std::move(intervals);
  return {};
}

Status Questions::add_intended(WhoAnswer& answer, const Policy& policy,
                               const std::vector<Session>& sessions, Instant at) {
  std::map<decltype(right_of(answer.rows[0])), std::size_t> known;
  std::vector<WhoRow> wanted;
  for (const Allowlist& list : evaluate({policy, sessions, at, {}, {}}))
    for (const ServiceEntries& service : list.services)
      for (const Entry& entry : service.entries)
        for (const Attribution& cause : entry.causes) {
          WhoRow row;
          row.cause = cause;
          row.target = list.target;
          row.prefix = entry.prefix;
          row.policy = policy.revision;
          row.intended = true;
          row.applied = false;
          row.from = at;
          row.till = cause.until;
          row.origin = origin_of(policy.revision, cause).value_or(SourceRange{});
          for (const Session& session : sessions)
            if (session.id == cause.session) {
              row.key = session.principal.key();
              row.address = session.address;
              row.source = session.source;
              row.from = session.created;
            }
          if (reaches(row, answer.service)) wanted.push_back(std::move(row));
        }
  for (std::size_t i = 0; i < answer.rows.size(); ++i) {
    answer.rows[i].intended = false;
    known.emplace(right_of(answer.rows[i]), i);
  }
  std::vector<std::size_t> both;
  std::vector<WhoRow> missing;
  for (WhoRow& row : wanted) {
    auto at_row = known.find(right_of(row));
    if (at_row == known.end())
      missing.push_back(std::move(row));
    else
      both.push_back(at_row->second);
  }
  for (auto i : both) answer.rows[i].intended = true;
  for (WhoRow& row : missing) answer.rows.push_back(std::move(row));
  return {};
}

/// What was sent to a target and not answered yet may be there or not.
Status Questions::mark_unanswered(WhoAnswer& answer) {
  KNOCK_ASSIGN(auto intents, in_.store.open_intents());
  for (const ChangeIntended& open : intents)
    for (WhoRow& row : answer.rows)
      if (row.target == open.target && row.prefix == open.change.prefix &&
          std::any_of(open.change.causes.begin(), open.change.causes.end(),
                      [&](const Attribution& c) { return c.session == row.cause.session; }))
        row.applied.reset();
  return {};
}

/// Who can reach it without any entry.
void Questions::add_standing(WhoAnswer& answer, const Policy* policy) const {
  const auto* when = answer.past ? ", as knock.yaml reads now" : "";
  for (const KeepPrefix& keep : in_.config.keep)
    answer.notes.push_back(
        fmt::format("{} ({}: {}) reaches every protected port besides, by `keep` of knock.yaml{}",
                    keep.prefix.to_string(), printable(keep.owner), printable(keep.reason), when));
  const Service* service = policy != nullptr ? policy->service(answer.service) : nullptr;
  if (service == nullptr) return;
  for (const TargetName& name : service->targets) {
    const Target* target = policy->target(name);
    if (target == nullptr) continue;
    const auto* settings = std::get_if<NftablesSettings>(&target->settings);
    if (settings != nullptr && !settings->protect)
      answer.notes.push_back(fmt::format(
          "{} does not close its ports (`protect: false`): as far as knock is concerned, anybody "
          "can reach them there",
          name.value));
  }
}

void Questions::finish_who(WhoAnswer& answer) const {
  auto key = [](const WhoRow& row) {
    return std::tie(row.cause.who, row.prefix, row.target, row.from, row.cause);
  };
  std::sort(answer.rows.begin(), answer.rows.end(),
            [&](const WhoRow& a, const WhoRow& b) { return key(a) < key(b); });
  answer.notes.push_back(
      "seen: this version does not record which connections were made, only who could make them");
}

Result<WhoAnswer> Questions::who(const ServiceName& service, std::optional<Instant> at) {
  auto when = at.value_or(in_.now);
  KNOCK_CHECK(not_ahead(when));
  KNOCK_ASSIGN(auto out, begin_who(service, when, std::nullopt));
  out.past = at.has_value();
  KNOCK_ASSIGN(auto intervals, in_.store.applied_at(service, when));
  KNOCK_CHECK(add_applied(out, std::move(intervals)));
  const Policy* policy = nullptr;
  if (!at) {
    policy = in_.policy.get();
  } else if (out.policy) {
    const auto& then = policy_of(out.policy->revision);
    if (then)
      policy = then->get();
    else
      out.notes.push_back(fmt::format(
          "intended is not known: policy {} was in force then and is not at hand ({})",
          printable(out.policy->revision.value.substr(0, 15)), printable(then.error().message)));
  }
  if (policy != nullptr) {
    if (policy->service(service) == nullptr && out.rows.empty()) {
      std::vector<std::string> known;
      for (const Service& one : policy->services) known.push_back(one.name.value);
      auto meant = did_you_mean(service.value, known);
      return fail(ErrorKind::not_found, fmt::format("policy {} has no service {}{}",
                                                    printable(policy->revision.value.substr(0, 15)),
                                                    printable(service.value),
                                                    meant ? "; did you mean " + *meant + "?" : ""));
    }
    auto sessions = in_.live;
    if (at) {
      KNOCK_ASSIGN(sessions, in_.store.sessions_at(when));
      for (Session& session : sessions) session.end.reset();
    }
    KNOCK_CHECK(add_intended(out, *policy, sessions, when));
  }
  if (!at) KNOCK_CHECK(mark_unanswered(out));
  add_standing(out, policy);
  finish_who(out);
  return out;
}

Result<WhoAnswer> Questions::who_between(const ServiceName& service, Instant from, Instant to) {
  if (from >= to)
    return fail(ErrorKind::invalid, fmt::format("the range ends ({}) before it begins ({})",
                                                to_string(to), to_string(from)));
  KNOCK_CHECK(not_ahead(from));
  KNOCK_ASSIGN(auto out, begin_who(service, from, to));
  out.past = true;
  KNOCK_ASSIGN(auto intervals, in_.store.applied_between(service, from, to));
  KNOCK_CHECK(add_applied(out, std::move(intervals)));
  add_standing(out, nullptr);
  finish_who(out);
  return out;
}

}  // namespace knock
