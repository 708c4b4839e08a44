// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/explain.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace knock {
namespace {

std::string groups_text(const Session& session) {
  std::vector<std::string> shown;
  for (const auto& group : session.groups) {
    if (shown.size() == 12) {
      shown.push_back(fmt::format("and {} more", session.groups.size() - 12));
      break;
    }
    shown.push_back(printable(group));
  }
  return shown.empty()
             ? "no groups"
             : counted(session.groups.size(), "group", "groups") + " (" + join(shown, ", ") + ")";
}

template <class Rule>
const Group* first_membership(const Policy& policy, const Rule& rule, const Session& session) {
  for (const GroupName& name : rule.who) {
    const Group* group = policy.group(name);
    if (group != nullptr && is_member(*group, session)) return group;
  }
  return nullptr;
}

template <class Rule>
bool reaches(const Rule& rule, const ServiceName& service) {
  return std::binary_search(rule.to.begin(), rule.to.end(), service);
}

std::string place(const Policy& policy, const SourceRange& origin) {
  return printable(origin.to_string()) + "@" + printable(policy.revision.value.substr(0, 15));
}

void say_allowed(const Policy& policy, const Session& session, const Reach& reach,
                 Explanation& out) {
  out.allowed = true;
  out.rule = reach.rule;
  out.until = reach.until;
  out.chain.push_back(
      fmt::format("{} {} from {} at {}, session {}", printable(session.principal.name),
                  session.proof == Proof::grant ? "was let in by an operator"
                                                : "signed in at " + printable(session.source.value),
                  session.address.to_string(), to_string(session.created), session.id.value));
  for (const AllowRule& rule : policy.allow) {
    if (rule.name != reach.rule) continue;
    if (const Group* group = first_membership(policy, rule, session))
      out.chain.push_back(fmt::format(
          "\"{}\", as {} says, is group {} ({})",
          printable(session.proof == Proof::grant ? group->name.value : group->idp),
          printable(session.source.value), group->name.value, place(policy, group->origin)));
    out.chain.push_back(fmt::format("rule {} lets {} into {} for {} ({})", rule.name.value,
                                    rule.who.size() == 1 ? rule.who[0].value : "these groups",
                                    reach.service.value, to_string(rule.ttl),
                                    place(policy, rule.origin)));
  }
  out.chain.push_back("until " + to_string(reach.until));
}

/// How much of a rule a session meets; the first condition that is missing comes after that.
enum class Meets { nothing, group, network };

struct Nearest {
  const AllowRule* rule = nullptr;
  Meets meets = Meets::nothing;
};

/// The rule that lacks least; of several, the first.
Nearest nearest_rule(const Policy& policy, const Session& session, const ServiceName& service) {
  Nearest nearest;
  for (const AllowRule& rule : policy.allow) {
    if (!reaches(rule, service)) continue;
    Meets meets = first_membership(policy, rule, session) == nullptr ? Meets::nothing
                  : !comes_from(policy, rule.from, session.address)  ? Meets::group
                                                                     : Meets::network;
    if (nearest.rule == nullptr || meets > nearest.meets) nearest = {&rule, meets};
  }
  return nearest;
}

void say_group_missing(const Policy& policy, const Session& session, const AllowRule& rule,
                       Explanation& out) {
  auto who = printable(session.principal.name);
  std::vector<std::string> groups;
  for (const GroupName& name : rule.who) groups.push_back(name.value);
  out.missing = fmt::format(
      "{} is in none of the groups that may reach {} ({}; rule {}, {}): {} brings {}", who,
      out.service.value, join(groups, ", "), rule.name.value, place(policy, rule.origin),
      printable(session.source.value), groups_text(session));
  const Group* group = policy.group(rule.who.front());
  if (session.proof == Proof::grant)
    out.smallest_change = fmt::format("a grant with --group {}", groups.front());
  else
    out.smallest_change = fmt::format("{} becomes a member of \"{}\" at the sign-in source", who,
                                      group != nullptr ? printable(group->idp) : groups.front());
}

const DenyRule* covering_deny(const Policy& policy, const Session& session,
                              const ServiceName& service) {
  for (const DenyRule& rule : policy.deny)
    if (reaches(rule, service) && comes_from(policy, rule.from, session.address) &&
        (rule.who.empty() || first_membership(policy, rule, session) != nullptr))
      return &rule;
  return nullptr;
}

/// Conditions in the order in which a person can do something about them: no rule, no group,
/// denied, too long ago, another network.
void say_missing(const Policy& policy, const Session& session, Explanation& out) {
  auto [rule, meets] = nearest_rule(policy, session, out.service);
  if (rule == nullptr) {
    out.missing = fmt::format("no allow rule reaches {}", out.service.value);
    out.smallest_change = fmt::format("an allow rule with `to: [{}]`", out.service.value);
    return;
  }
  if (meets == Meets::nothing) return say_group_missing(policy, session, *rule, out);
  auto who = printable(session.principal.name);
  if (const DenyRule* deny = covering_deny(policy, session, out.service)) {
    out.missing = fmt::format("deny rule {} covers {} from {} ({})", deny->name.value, who,
                              session.address.to_string(), place(policy, deny->origin));
    out.smallest_change = "none: a deny rule is meant";
  } else if (meets == Meets::group) {
    out.missing = fmt::format("rule {} asks for another network than {} ({})", rule->name.value,
                              session.address.to_string(), place(policy, rule->origin));
    out.smallest_change = who + " signs in from a network the rule names";
  } else {
    out.missing = fmt::format("the time rule {} gives ({}) has passed since the sign-in at {}",
                              rule->name.value, to_string(rule->ttl), to_string(session.created));
    out.smallest_change = who + " signs in again";
  }
}

}  // namespace

Explanation explain(const Policy& policy, const Session& session, const ServiceName& service,
                    Instant now) {
  Explanation out;
  out.service = service;
  if (!session.live_at(now)) {
    out.missing = session.end
                      ? fmt::format("the session ended at {} ({})", to_string(session.end->at),
                                    to_string(session.end->cause))
                      : fmt::format("the session ran out at {}", to_string(session.expires));
    out.smallest_change = printable(session.principal.name) + " signs in again";
    return out;
  }
  for (const Reach& reach : reach_of(policy, session, now))
    if (reach.service == service) {
      say_allowed(policy, session, reach, out);
      return out;
    }
  say_missing(policy, session, out);
  return out;
}

}  // namespace knock
