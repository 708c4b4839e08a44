// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/explain.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "reconciler/core/missing.h"

namespace knock {
namespace {

using Link = Explanation::Link;

bool reaches(const AllowRule& rule, const ServiceName& service) {
  return std::binary_search(rule.to.begin(), rule.to.end(), service);
}

// ---- allowed ----

std::string group_line(const Policy& policy, const Group& group, const Session& session) {
  return fmt::format("\"{}\", as {} says, is group {} ({})",
                     printable(session.proof == Proof::grant ? group.name.value : group.idp),
                     printable(session.source.value), group.name.value,
                     place_of(policy, group.origin));
}

std::string rule_line(const Policy& policy, const AllowRule& rule, const Session& session,
                      const ServiceName& service) {
  std::string whom = "these groups";
  if (!rule.users.empty())
    whom = to_text(UserRef{session.principal.subject, session.source});
  else if (rule.who.size() == 1)
    whom = rule.who[0].value;
  return fmt::format("rule {} lets {} into {} for {} ({})", rule.name.value, whom, service.value,
                     to_string(rule.ttl), place_of(policy, rule.origin));
}

void add_proofs(const AllowRule& rule, const Session& session, Explanation& out) {
  auto source = printable(session.source.value);
  auto add = [&](std::string sentence) {
    out.chain.push_back({Link::Kind::claim, std::move(sentence)});
  };
  for (const ClaimCondition& claim : rule.claims)
    for (const std::string& value : session.claims.at(claim.claim))
      if (std::binary_search(claim.any_of.begin(), claim.any_of.end(), value)) {
        add(fmt::format("{} says {}: {}", source, printable(claim.claim), printable(value)));
        break;
      }
  if (!rule.acr.empty()) add(fmt::format("{} says acr {}", source, printable(session.acr)));
  if (rule.mfa_max_age)
    add(fmt::format("a second factor was shown at {}", to_string(*session.mfa_at)));
}

/// How it lasts where that is not simply until a deadline, to be read before one.
std::string lasting(const AllowRule& rule, const Verdict& verdict, Instant now) {
  switch (rule.lasts) {
    case Lasts::until_deadline:
      return "";
    case Lasts::first_connection:
      return "for one connection, ";
    case Lasts::disconnect:
      return fmt::format(
          "new connections {} {}, and what came in time stays until it ends, at "
          "longest ",
          verdict.come_by > now ? "until" : "were taken until", to_string(verdict.come_by));
  }
  return "";
}

std::string end_line(const AllowRule& rule, const Verdict& verdict, Instant now) {
  auto until = lasting(rule, verdict, now) + "until " + to_string(verdict.until);
  if (verdict.bound == Bound::schedule) return until + ", when the schedule closes";
  if (verdict.bound == Bound::approval) return until + ", when the approval runs out";
  return until;
}

void say_allowed(const Policy& policy, Conditions& conditions, const Session& session,
                 const Reach& reach, Instant now, Explanation& out) {
  out.allowed = true;
  out.rule = reach.rule;
  out.until = reach.until;
  out.chain.push_back({Link::Kind::session, sign_in_line(session)});
  for (const AllowRule& rule : policy.allow) {
    if (rule.name != reach.rule) continue;
    out.origin = rule.origin;
    if (const Group* group = first_membership(policy, rule.who, session))
      out.chain.push_back({Link::Kind::group, group_line(policy, *group, session)});
    add_proofs(rule, session, out);
    if (rule.approval)
      out.chain.push_back({Link::Kind::approval,
                           fmt::format("{} of {} said yes",
                                       counted(conditions.approved(rule, session.principal).yes,
                                               "member", "members"),
                                       any_of_text(rule.approval->from, [](const GroupName& name) {
                                         return name.value;
                                       }))});
    out.chain.push_back({Link::Kind::rule, rule_line(policy, rule, session, reach.service)});
    out.chain.push_back({Link::Kind::end, end_line(rule, conditions.judge(rule, session), now)});
  }
}

// ---- not allowed ----

struct Nearest {
  const AllowRule* rule = nullptr;
  Verdict verdict;
};

/// The rule that lacks least; of several, the first. One that lacks nothing is closed by a deny
/// rule.
Nearest nearest_rule(const Policy& policy, Conditions& conditions, const Session& session,
                     const ServiceName& service) {
  Nearest nearest;
  auto further = [](const Verdict& a, const Verdict& b) {
    return b.missing && (!a.missing || *a.missing > *b.missing);
  };
  for (const AllowRule& rule : policy.allow) {
    if (!reaches(rule, service)) continue;
    Verdict verdict = conditions.judge(rule, session);
    if (nearest.rule == nullptr || further(verdict, nearest.verdict)) nearest = {&rule, verdict};
  }
  return nearest;
}

void say_denied(const Policy& policy, const DenyRule& deny, const Session& session,
                Explanation& out) {
  out.denied_by = deny.name;
  out.origin = deny.origin;
  out.missing = fmt::format("deny rule {} covers {} from {} ({})", deny.name.value,
                            printable(session.principal.name), session.address.to_string(),
                            place_of(policy, deny.origin));
  out.smallest_change = "none: a deny rule is meant";
}

void say_over(const Session& session, Explanation& out) {
  out.missing = session.end ? fmt::format("the session ended at {} ({})",
                                          to_string(session.end->at), to_string(session.end->cause))
                            : fmt::format("the session ran out at {}", to_string(session.expires));
  out.smallest_change = printable(session.principal.name) + " signs in again";
}

/// Conditions in the order in which a person can do something about them: no rule, another person,
/// denied, then what else the rule asks for.
void say_missing(const Policy& policy, Openings& openings, const Session& session, Instant now,
                 Explanation& out) {
  auto nearest = nearest_rule(policy, openings.conditions(), session, out.service);
  if (nearest.rule == nullptr) {
    out.missing = fmt::format("no allow rule reaches {}", out.service.value);
    out.smallest_change = fmt::format("an allow rule with `to: [{}]`", out.service.value);
    return;
  }
  const auto& lacks = nearest.verdict.missing;
  const Service* service = policy.service(out.service);
  const DenyRule* deny = service == nullptr ? nullptr : openings.denied_by(session, *service);
  bool another_person = lacks && *lacks <= Condition::acr;
  if (deny != nullptr && !another_person) return say_denied(policy, *deny, session, out);
  if (!lacks) return;  // cannot be: such a rule gives the service
  out.nearest = nearest.rule->name;
  out.origin = nearest.rule->origin;
  out.lacks = lacks;
  auto text = missing_text(policy, openings.conditions(), *nearest.rule, session, out.service,
                           nearest.verdict, now);
  out.missing = std::move(text.missing);
  out.smallest_change = std::move(text.smallest_change);
}

}  // namespace

std::string sign_in_line(const Session& session) {
  return fmt::format("{} {} from {} at {}, session {}", printable(session.principal.name),
                     session.proof == Proof::grant
                         ? "was let in by an operator"
                         : "signed in at " + printable(session.source.value),
                     session.address.to_string(), to_string(session.created), session.id.value);
}

std::string_view to_string(Link::Kind kind) {
  switch (kind) {
    case Link::Kind::session:
      return "session";
    case Link::Kind::group:
      return "group";
    case Link::Kind::claim:
      return "claim";
    case Link::Kind::approval:
      return "approval";
    case Link::Kind::rule:
      return "rule";
    case Link::Kind::end:
      return "end";
  }
  return "unknown";
}

Explanation explain(const Policy& policy, Openings& openings, const Session& session,
                    const ServiceName& service, Instant now) {
  Explanation out;
  out.service = service;
  if (!session.live_at(now)) {
    say_over(session, out);
    return out;
  }
  for (const Reach& reach : reach_of(openings, session))
    if (reach.service == service) {
      say_allowed(policy, openings.conditions(), session, reach, now, out);
      return out;
    }
  say_missing(policy, openings, session, now, out);
  return out;
}

Explanation explain(const Policy& policy, const Session& session, const ServiceName& service,
                    const Circumstances& circumstances) {
  Openings openings(policy, circumstances, false);
  return explain(policy, openings, session, service, circumstances.now);
}

Explanation explain(const Policy& policy, const Session& session, const ServiceName& service,
                    Instant now) {
  return explain(policy, session, service, Circumstances{now, {&session, 1}});
}

std::optional<Explanation> explain_static(const Policy& policy, const RuleName& name,
                                          const ServiceName& service, const Prefix& prefix) {
  for (const StaticRule& rule : policy.statics) {
    if (rule.name != name) continue;
    Explanation out;
    out.allowed = true;
    out.service = service;
    out.rule = rule.name;
    out.until = rule.until.floor_to_second();
    out.origin = rule.origin;
    out.chain.push_back(
        {Link::Kind::rule,
         fmt::format("static entry {} opens {} to {}, whoever comes from there: {} ({})",
                     rule.name.value, service.value, prefix.to_string(), printable(rule.reason),
                     place_of(policy, rule.origin))});
    out.chain.push_back({Link::Kind::end, fmt::format("owner {}, until {}", printable(rule.owner),
                                                      to_string(rule.until))});
    return out;
  }
  return std::nullopt;
}

std::string after_a_sign_in(const Policy& policy, const Session& session,
                            const ServiceName& service) {
  auto who = printable(session.principal.name);
  bool any = false;
  for (const AllowRule& rule : policy.allow) {
    if (!reaches(rule, service)) continue;
    any = true;
    bool member = rule.who.empty() || first_membership(policy, rule.who, session) != nullptr;
    if (member && (rule.users.empty() || is_named(rule.users, session)))
      return fmt::format("{} signs in; then rule {} decides ({})", who, rule.name.value,
                         place_of(policy, rule.origin));
  }
  if (!any) return fmt::format("an allow rule with `to: [{}]`", service.value);
  return fmt::format("{} signs in, and is a member of a group that may reach {}", who,
                     service.value);
}

}  // namespace knock
