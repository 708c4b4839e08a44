// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/openings.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "schemas/policy/network_prefixes.h"

namespace knock {
namespace {

template <class Names, class Name>
bool lists(const Names& names, const Name& name) {
  return std::binary_search(names.begin(), names.end(), name);
}

/// As wide as the rule opens around an address, within the network of its `from.in` that is widest
/// there.
Prefix widest_within(const Policy& policy, const AllowRule& rule, const IpAddress& address) {
  Prefix whole = widened(rule, address);
  if (rule.from.in.empty()) return whole;
  int length = address.bits();
  for (const Prefix& network : prefixes_of(policy, rule.from.in))
    if (network.contains(address)) length = std::min(length, network.length());
  return Prefix::of(address, std::max(length, whole.length()));
}

}  // namespace

std::vector<Prefix> prefixes_from(const Policy& policy, const SourceCondition& from) {
  auto except = prefixes_of(policy, from.not_in);
  auto inside = prefixes_of(policy, from.in);
  if (from.in.empty())
    inside = {Prefix::of(IpAddress::v4(0), 0), Prefix::of(*IpAddress::parse("::"), 0)};
  std::vector<Prefix> out;
  for (const Prefix& prefix : inside)
    for (const Prefix& piece : subtract(prefix, except)) out.push_back(piece);
  return out;
}

Openings::Openings(const Policy& policy, Circumstances circumstances, bool indexed)
    : policy_(policy), circumstances_(circumstances), conditions_(policy, circumstances) {
  if (indexed) conditions_.use(index_.emplace(policy));
  deny_.resize(policy.services.size());
}

const std::vector<const DenyRule*>& Openings::deny_rules(const Service& service) {
  auto& rules = deny_[std::size_t(&service - policy_.services.data())];
  if (!rules) {
    rules.emplace();
    for (const DenyRule& rule : policy_.deny)
      if (lists(rule.to, service.name)) rules->push_back(&rule);
  }
  return *rules;
}

const DenyRule* Openings::denied_by(const Session& session, const Service& service) {
  for (const DenyRule* rule : deny_rules(service))
    if (comes_from(policy_, rule->from, session.address) &&
        (rule->who.empty() || first_membership(policy_, rule->who, session) != nullptr))
      return rule;
  return nullptr;
}

/// Inside `around`, what the rule and the deny rules that concern this person keep out; each once.
std::vector<Prefix> Openings::holes(const AllowRule& rule, const Session& session,
                                    const Service& service, const Prefix& around) {
  std::set<Prefix> out;
  auto add = [&](const std::vector<Prefix>& prefixes) {
    for (const Prefix& prefix : prefixes)
      if (around.overlaps(prefix)) out.insert(prefix);
  };
  add(prefixes_of(policy_, rule.from.not_in));
  for (const DenyRule* deny : deny_rules(service)) {
    if (!deny->who.empty() && first_membership(policy_, deny->who, session) == nullptr) continue;
    auto [at, fresh] = deny_prefixes_.try_emplace(deny);
    if (fresh) at->second = prefixes_from(policy_, deny->from);
    add(at->second);
  }
  return {out.begin(), out.end()};
}

std::vector<Prefix> Openings::pieces(const AllowRule& rule, const Session& session,
                                     const Service& service) {
  Prefix around = widest_within(policy_, rule, session.address);
  if (around.is_host()) return {around};
  auto cut = holes(rule, session, service, around);
  // Cutting a hole out of a prefix leaves as many prefixes as their lengths differ. Every hole
  // counts, also inside another: a deny rule that swallows others must not make this cheaper.
  int cost = 0;
  for (const Prefix& hole : cut) {
    if (hole.contains(session.address)) return {};
    cost += hole.length() - around.length();
    if (cost > kMostPieces) return {Prefix::host(session.address)};
  }
  return subtract(around, cut);
}

void Openings::add(const AllowRule& rule, const Session& session, const Verdict& verdict,
                   std::vector<Opening>& out) {
  // A connection comes from one address.
  bool host = rule.lasts != Lasts::until_deadline || widened(rule, session.address).is_host();
  for (const ServiceName& name : rule.to) {
    const Service* service = policy_.service(name);
    if (service == nullptr || denied_by(session, *service) != nullptr) continue;
    if (host)
      out.push_back(
          {service, &rule, Prefix::host(session.address), verdict.until, verdict.come_by});
    else
      for (const Prefix& piece : pieces(rule, session, *service))
        out.push_back({service, &rule, piece, verdict.until, {}});
  }
}

void Openings::of(const Session& session, std::vector<Opening>& out) {
  out.clear();
  if (!session.live_at(circumstances_.now)) return;
  auto look = [&](const AllowRule& rule) {
    Verdict verdict = conditions_.judge(rule, session);
    if (!verdict.missing) add(rule, session, verdict, out);
  };
  if (index_) {
    index_->rules_for(session, candidates_);
    for (std::uint32_t i : candidates_) look(policy_.allow[i]);
  } else {
    for (const AllowRule& rule : policy_.allow) look(rule);
  }
  if (out.size() < 2) return;
  // Services stand in one vector, sorted by name.
  auto how = [&](const Opening& one) {
    return Openness(one.rule->lasts, one.until, one.come_by, circumstances_.now);
  };
  std::sort(out.begin(), out.end(), [&](const Opening& a, const Opening& b) {
    auto most = how(a), other = how(b);
    return std::tie(a.service, a.prefix, other, a.rule->name) <
           std::tie(b.service, b.prefix, most, b.rule->name);
  });
  auto same = [](const Opening& a, const Opening& b) {
    return a.service == b.service && a.prefix == b.prefix;
  };
  out.erase(std::unique(out.begin(), out.end(), same), out.end());
}

std::vector<Prefix> Openings::rows(const Session& session) {
  std::set<Prefix> out{Prefix::host(session.address)};
  for (const AllowRule& rule : policy_.allow) {
    if (rule.lasts != Lasts::until_deadline || widened(rule, session.address).is_host()) continue;
    bool never = rule.who.empty() ? !is_named(rule.users, session)
                                  : first_membership(policy_, rule.who, session) == nullptr;
    if (never) continue;
    for (const ServiceName& name : rule.to)
      if (const Service* service = policy_.service(name); service != nullptr)
        for (const Prefix& piece : pieces(rule, session, *service)) out.insert(piece);
  }
  return {out.begin(), out.end()};
}

}  // namespace knock
