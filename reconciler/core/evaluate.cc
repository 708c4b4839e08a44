// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/evaluate.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace knock {
namespace {

std::vector<Prefix> prefixes_of(const Policy& policy, const std::vector<NetworkName>& names) {
  std::vector<Prefix> out;
  for (const NetworkName& name : names)
    if (const Network* network = policy.network(name))
      for (const NetworkPrefix& p : network->prefixes) out.push_back(p.prefix);
  return out;
}

bool within(const Policy& policy, const std::vector<NetworkName>& names, const IpAddress& address) {
  return std::any_of(names.begin(), names.end(), [&](const NetworkName& name) {
    const Network* network = policy.network(name);
    return network != nullptr &&
           std::any_of(network->prefixes.begin(), network->prefixes.end(),
                       [&](const NetworkPrefix& p) { return p.prefix.contains(address); });
  });
}

bool in_any(const Policy& policy, const std::vector<GroupName>& groups, const Session& session) {
  return std::any_of(groups.begin(), groups.end(), [&](const GroupName& name) {
    const Group* group = policy.group(name);
    return group != nullptr && is_member(*group, session);
  });
}

template <class Names, class Name>
bool lists(const Names& names, const Name& name) {
  return std::binary_search(names.begin(), names.end(), name);
}

/// An entry before the target's own cap on its life.
struct Draft {
  Prefix prefix;
  Instant begun;  // what a target's max_ttl counts from; max for static entries
  Attribution cause;
};

using DraftsByService = std::map<ServiceName, std::vector<Draft>>;

void draft_sessions(const EvaluateInput& input, const std::optional<IpAddress>& only,
                    DraftsByService& drafts) {
  for (const Session& session : input.sessions) {
    if (only && session.address != *only) continue;
    for (Reach& reach : reach_of(input.policy, session, input.now))
      drafts[reach.service].push_back(
          {Prefix::host(session.address),
           session.created,
           {Attribution::Kind::session, session.id, session.principal.name, reach.service,
            reach.rule, reach.until}});
  }
}

void draft_statics(const EvaluateInput& input, const std::optional<IpAddress>& only,
                   DraftsByService& drafts) {
  for (const StaticRule& rule : input.policy.statics) {
    if (rule.until <= input.now) continue;
    for (const ServiceName& service : rule.to) {
      auto holes = denied_networks(input.policy, service);
      for (const NetworkPrefix& allowed : rule.cidr)
        for (const Prefix& piece : subtract(allowed.prefix, holes)) {
          if (only && piece != Prefix::host(*only)) continue;
          drafts[service].push_back({piece,
                                     Instant::max(),
                                     {Attribution::Kind::fixed, SessionId(), rule.owner, service,
                                      rule.name, rule.until.floor_to_second()}});
        }
    }
  }
}

std::vector<Entry> entries_on(const Target& target, const std::vector<Draft>& drafts, Instant now) {
  std::vector<Entry> entries;
  for (const Draft& draft : drafts) {
    Attribution cause = draft.cause;
    if (target.max_ttl && draft.begun != Instant::max())
      cause.until = std::min(cause.until, (draft.begun + *target.max_ttl).floor_to_second());
    if (cause.until <= now) continue;
    entries.push_back({draft.prefix, cause.until, {cause}});
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.prefix, a.causes) < std::tie(b.prefix, b.causes);
  });
  std::vector<Entry> merged;
  for (Entry& entry : entries) {
    if (merged.empty() || merged.back().prefix != entry.prefix) {
      merged.push_back(std::move(entry));
      continue;
    }
    merged.back().until = std::max(merged.back().until, entry.until);
    if (merged.back().causes.back() != entry.causes.front())
      merged.back().causes.push_back(std::move(entry.causes.front()));
  }
  return merged;
}

bool protects(const Target& target) {
  return std::visit([](const auto& settings) { return settings.protect; }, target.settings);
}

std::vector<Allowlist> evaluate_for(const EvaluateInput& input,
                                    const std::optional<IpAddress>& only) {
  std::vector<Allowlist> lists_by_target;
  std::vector<Prefix> keep(input.keep.begin(), input.keep.end());
  std::sort(keep.begin(), keep.end());
  for (const Target& target : input.policy.targets) {
    Allowlist list;
    list.target = target.name;
    list.keep = keep;
    lists_by_target.push_back(std::move(list));
  }
  DraftsByService drafts;
  draft_sessions(input, only, drafts);
  draft_statics(input, only, drafts);
  for (const Service& service : input.policy.services) {
    for (std::size_t i = 0; i < input.policy.targets.size(); ++i) {
      const Target& target = input.policy.targets[i];
      if (!lists(service.targets, target.name)) continue;
      Allowlist& list = lists_by_target[i];
      list.services.push_back(
          {service.name, service.ports, entries_on(target, drafts[service.name], input.now)});
      if (protects(target))
        list.protect.insert(list.protect.end(), service.ports.begin(), service.ports.end());
    }
  }
  for (Allowlist& list : lists_by_target) list.protect = canonical_ports(std::move(list.protect));
  return lists_by_target;
}

}  // namespace

bool is_member(const Group& group, const Session& session) {
  // An operator's grant names policy's own groups; everybody else's groups are the source's words.
  if (session.proof == Proof::grant) return lists(session.groups, group.name.value);
  bool heard = group.from.empty() ||
               std::find(group.from.begin(), group.from.end(), session.source) != group.from.end();
  return heard && lists(session.groups, group.idp);
}

bool comes_from(const Policy& policy, const SourceCondition& from, const IpAddress& address) {
  return (from.in.empty() || within(policy, from.in, address)) &&
         !within(policy, from.not_in, address);
}

bool is_denied(const Policy& policy, const Session& session, const ServiceName& service) {
  return std::any_of(policy.deny.begin(), policy.deny.end(), [&](const DenyRule& rule) {
    return lists(rule.to, service) && comes_from(policy, rule.from, session.address) &&
           (rule.who.empty() || in_any(policy, rule.who, session));
  });
}

std::vector<Prefix> denied_networks(const Policy& policy, const ServiceName& service) {
  std::vector<Prefix> out;
  for (const DenyRule& rule : policy.deny) {
    if (!rule.who.empty() || !lists(rule.to, service)) continue;
    auto except = prefixes_of(policy, rule.from.not_in);
    for (const Prefix& inside : prefixes_of(policy, rule.from.in))
      for (const Prefix& piece : subtract(inside, except)) out.push_back(piece);
  }
  return out;
}

std::vector<Reach> reach_of(const Policy& policy, const Session& session, Instant now) {
  std::vector<Reach> reaches;
  if (!session.live_at(now)) return reaches;
  for (const AllowRule& rule : policy.allow) {
    if (!in_any(policy, rule.who, session) || !comes_from(policy, rule.from, session.address))
      continue;
    Instant until = std::min(session.created + rule.ttl, session.expires).floor_to_second();
    if (until <= now) continue;
    for (const ServiceName& service : rule.to)
      if (!is_denied(policy, session, service)) reaches.push_back({service, rule.name, until});
  }
  std::sort(reaches.begin(), reaches.end(), [](const Reach& a, const Reach& b) {
    return std::tie(a.service, b.until, a.rule) < std::tie(b.service, a.until, b.rule);
  });
  auto same_service = [](const Reach& a, const Reach& b) { return a.service == b.service; };
  reaches.erase(std::unique(reaches.begin(), reaches.end(), same_service), reaches.end());
  return reaches;
}

std::vector<Allowlist> evaluate(const EvaluateInput& input) {
  return evaluate_for(input, std::nullopt);
}

std::vector<Allowlist> evaluate_host(const EvaluateInput& input, const IpAddress& address) {
  return evaluate_for(input, address);
}

}  // namespace knock
