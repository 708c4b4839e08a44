// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/conditions.h"

#include <algorithm>
#include <tuple>

namespace knock {
namespace {

template <class Names, class Name>
bool lists(const Names& names, const Name& name) {
  return std::binary_search(names.begin(), names.end(), name);
}

bool within(const Policy& policy, const std::vector<NetworkName>& names, const IpAddress& address) {
  return std::any_of(names.begin(), names.end(), [&](const NetworkName& name) {
    const Network* network = policy.network(name);
    return network != nullptr &&
           std::any_of(network->prefixes.begin(), network->prefixes.end(),
                       [&](const NetworkPrefix& p) { return p.prefix.contains(address); });
  });
}

bool says_one_of(const ClaimCondition& wanted, const Session& session) {
  auto said = session.claims.find(wanted.claim);
  return said != session.claims.end() &&
         std::any_of(said->second.begin(), said->second.end(),
                     [&](const std::string& value) { return lists(wanted.any_of, value); });
}

/// A factor counts by its age when the door was opened, so that time alone takes nothing away.
bool fresh_factor(const AllowRule& rule, const Session& session) {
  return !rule.mfa_max_age ||
         (session.mfa_at && session.created - *session.mfa_at <= *rule.mfa_max_age);
}

/// The groups of one who said yes are their source's words, like those of a session.
Session as_session(const Approval::Yes& yes) {
  Session session;
  session.principal = yes.by;
  session.source = yes.source;
  session.proof = yes.source.value == "grant" ? Proof::grant : Proof::oidc;
  session.groups = yes.groups;
  return session;
}

/// When each of the people whose yes counts said it last, the latest first.
std::vector<Instant> times_of_yes(const Policy& policy, const ApprovalCondition& asked,
                                  const Approval& approval, Instant now) {
  std::map<Principal, Instant> latest;
  for (const Approval::Yes& yes : approval.yes) {
    bool counts = yes.by != approval.who && yes.at <= now &&
                  (yes.at + asked.ttl).floor_to_second() > now &&
                  first_membership(policy, asked.from, as_session(yes)) != nullptr;
    if (!counts) continue;
    auto [at, fresh] = latest.emplace(yes.by, yes.at);
    if (!fresh) at->second = std::max(at->second, yes.at);
  }
  std::vector<Instant> times;
  for (const auto& [who, at] : latest) times.push_back(at);
  std::sort(times.begin(), times.end(), std::greater<>());
  return times;
}

}  // namespace

// ---- one session alone ----

bool is_member(const Group& group, const Session& session) {
  // An operator's grant names policy's own groups; everybody else's groups are the source's words.
  if (session.proof == Proof::grant) return lists(session.groups, group.name.value);
  bool heard = group.from.empty() ||
               std::find(group.from.begin(), group.from.end(), session.source) != group.from.end();
  return heard && lists(session.groups, group.idp);
}

const Group* first_membership(const Policy& policy, const std::vector<GroupName>& groups,
                              const Session& session) {
  for (const GroupName& name : groups) {
    const Group* group = policy.group(name);
    if (group != nullptr && is_member(*group, session)) return group;
  }
  return nullptr;
}

bool is_named(const std::vector<UserRef>& users, const Session& session) {
  return std::any_of(users.begin(), users.end(), [&](const UserRef& user) {
    return user.subject == session.principal.subject && user.source == session.source;
  });
}

const ClaimCondition* first_claim_missing(const AllowRule& rule, const Session& session) {
  for (const ClaimCondition& claim : rule.claims)
    if (!says_one_of(claim, session)) return &claim;
  return nullptr;
}

bool comes_from(const Policy& policy, const SourceCondition& from, const IpAddress& address) {
  return (from.in.empty() || within(policy, from.in, address)) &&
         !within(policy, from.not_in, address);
}

bool closes_shared(const Policy& policy, const AllowRule& rule) {
  // A packet filter cannot ask for a token: what asks for one is closed there.
  return rule.max_users_per_ip && policy.behaviour.shared_addresses != SharedAddresses::allow;
}

Prefix widened(const AllowRule& rule, const IpAddress& address) {
  return address.family() == Family::v6 ? Prefix::of(address, rule.v6_prefix)
                                        : Prefix::host(address);
}

// ---- sessions together ----

SignIns& Conditions::sign_ins() {
  if (!sign_ins_) sign_ins_.emplace(circumstances_.sessions, circumstances_.now);
  return *sign_ins_;
}

std::size_t Conditions::people_around(const AllowRule& rule, const Session& session) {
  return sign_ins().people_in(widened(rule, session.address), session);
}

std::vector<Prefix> Conditions::places(const AllowRule& rule, const Session& session) {
  auto person = sign_ins().person_of(session);
  std::vector<const Session*> mine(person.sessions.begin(), person.sessions.end());
  if (!person.known) mine.push_back(&session);
  return ranked(rule, mine);
}

std::vector<Prefix> Conditions::ranked(const AllowRule& rule,
                                       const std::vector<const Session*>& mine) {
  // Of the sign-ins at one place that which ranks first, in the order of over_limit.
  using Rank = std::pair<Instant, SessionId>;
  bool latest_first = policy_.behaviour.over_limit == OverLimit::replace;
  auto before = [&](const Rank& a, const Rank& b) { return latest_first ? b < a : a < b; };
  std::map<Prefix, Rank> ranks;
  for (const Session* one : mine) {
    if (missing_here(rule, *one)) continue;
    Rank rank{one->created, one->id};
    auto [at, fresh] = ranks.emplace(widened(rule, one->address), rank);
    if (!fresh && before(rank, at->second)) at->second = rank;
  }
  std::vector<std::pair<Rank, Prefix>> sorted;
  for (auto& [prefix, rank] : ranks) sorted.emplace_back(std::move(rank), prefix);
  std::sort(sorted.begin(), sorted.end(),
            [&](const auto& a, const auto& b) { return before(a.first, b.first); });
  std::vector<Prefix> out;
  for (const auto& [rank, prefix] : sorted) out.push_back(prefix);
  return out;
}

bool Conditions::counts_in(const AllowRule& rule, const Session& session) {
  auto person = sign_ins().person_of(session);
  // Who has no more sign-ins than the rule gives places needs no counting.
  if (person.sessions.size() + (person.known ? 0 : 1) <= *rule.max_ips_per_user) return true;
  auto first_places = [&] {
    auto all = places(rule, session);
    all.resize(std::min<std::size_t>(all.size(), *rule.max_ips_per_user));
    return all;
  };
  auto here = [&](const std::vector<Prefix>& list) {
    return std::find(list.begin(), list.end(), widened(rule, session.address)) != list.end();
  };
  if (!person.known) return here(first_places());  // imagined: for this question alone
  auto [at, fresh] = places_[&rule].try_emplace(person.number);
  if (fresh) at->second = first_places();
  return here(at->second);
}

// ---- time and other people ----

std::optional<Instant> Conditions::open_until(const AllowRule& rule) {
  auto [at, fresh] = open_.try_emplace(&rule);
  if (fresh) at->second = knock::open_until(rule.schedule, policy_.zones, circumstances_.now);
  return at->second;
}

Conditions::Approved Conditions::approved(const AllowRule& rule, const Principal& who) const {
  const ApprovalCondition& asked = *rule.approval;
  Approved best;
  for (const Approval& approval : circumstances_.approvals) {
    // Each by itself: who agreed to one reason has not agreed to another.
    if (approval.rule != rule.name || approval.who != who) continue;
    if (asked.reason_required && approval.reason.empty()) continue;
    auto times = times_of_yes(policy_, asked, approval, circumstances_.now);
    Approved one;
    one.yes = unsigned(std::min<std::size_t>(times.size(), asked.count));
    if (one.yes >= asked.count)
      one.until = times.empty() ? Instant::max() : times[asked.count - 1] + asked.ttl;
    best = std::max(best, one, [](const Approved& a, const Approved& b) {
      return std::tie(a.yes, a.until) < std::tie(b.yes, b.until);
    });
  }
  return best;
}

// ---- a rule ----

bool Conditions::is_one_of(const AllowRule& rule, const Session& session) const {
  if (index_ == nullptr) return first_membership(policy_, rule.who, session) != nullptr;
  auto groups = index_->groups_of(rule);
  return std::any_of(groups.begin(), groups.end(),
                     [&](const Group* group) { return is_member(*group, session); });
}

std::optional<Condition> Conditions::missing_here(const AllowRule& rule, const Session& session) {
  if (!rule.who.empty() && !is_one_of(rule, session)) return Condition::who;
  // A rule that names nobody lets nobody in.
  if (rule.who.empty() ? !is_named(rule.users, session)
                       : !rule.users.empty() && !is_named(rule.users, session))
    return Condition::users;
  if (first_claim_missing(rule, session) != nullptr) return Condition::claims;
  if (!rule.acr.empty() &&
      std::find(rule.acr.begin(), rule.acr.end(), session.acr) == rule.acr.end())
    return Condition::acr;
  if (!rule.from.empty() && !comes_from(policy_, rule.from, session.address))
    return Condition::from;
  if (!fresh_factor(rule, session)) return Condition::mfa_max_age;
  if (!rule.schedule.empty() && !open_until(rule)) return Condition::schedule;
  if (rule.approval && !approved(rule, session.principal).until) return Condition::approval;
  if (closes_shared(policy_, rule) && people_around(rule, session) > *rule.max_users_per_ip)
    return Condition::max_users_per_ip;
  return std::nullopt;
}

Verdict Conditions::judge(const AllowRule& rule, const Session& session) {
  Verdict out;
  out.missing = missing_here(rule, session);
  if (out.missing) return out;
  if (rule.max_ips_per_user && !counts_in(rule, session)) {
    out.missing = Condition::max_ips_per_user;
    return out;
  }
  // What stays until it disconnects came in time, and may stay beyond that.
  bool stays = rule.lasts == Lasts::disconnect;
  Instant until = stays ? session.expires : session.created + rule.ttl;
  if (stays) out.bound = Bound::session;
  auto bound = [&](Instant at, Bound by) {
    if (at >= until) return;
    until = at;
    out.bound = by;
  };
  bound(session.expires, Bound::session);
  // What a suspect source says no more is believed then, whoever is awake to see it.
  if (session.groups_until && !rule.who.empty()) bound(*session.groups_until, Bound::session);
  if (!rule.schedule.empty()) bound(*open_until(rule), Bound::schedule);
  if (rule.approval) bound(*approved(rule, session.principal).until, Bound::approval);
  out.until = until.floor_to_second();
  if (stays) out.come_by = std::min(out.until, (session.created + rule.ttl).floor_to_second());
  if (out.until <= circumstances_.now) out.missing = Condition::time;
  return out;
}

}  // namespace knock
