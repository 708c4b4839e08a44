// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/evaluate.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace knock {
namespace {

template <class Names, class Name>
bool lists(const Names& names, const Name& name) {
  return std::binary_search(names.begin(), names.end(), name);
}

/// An entry before the target's own cap on its life: by a session and a rule, or by a static rule.
struct Draft {
  Prefix prefix;
  Instant until;
  const Session* session = nullptr;
  const AllowRule* rule = nullptr;
  const StaticRule* fixed = nullptr;
  Instant come_by;

  Lasts lasts() const { return rule != nullptr ? rule->lasts : Lasts::until_deadline; }

  Attribution cause(const ServiceName& service, Instant end) const {
    if (fixed != nullptr)
      return {Attribution::Kind::fixed, SessionId(), fixed->owner, service, fixed->name, end};
    return {
        Attribution::Kind::session, session->id, session->principal.name, service, rule->name, end};
  }
};

/// By prefix, then as their causes are sorted.
bool before(const Draft& a, const Draft& b) {
  if (a.prefix != b.prefix) return a.prefix < b.prefix;
  if ((a.fixed == nullptr) != (b.fixed == nullptr)) return a.fixed == nullptr;
  if (a.fixed != nullptr)
    return std::tie(a.fixed->owner, a.fixed->name, a.until) <
           std::tie(b.fixed->owner, b.fixed->name, b.until);
  return std::tie(a.session->id, a.session->principal.name, a.rule->name, a.until) <
         std::tie(b.session->id, b.session->principal.name, b.rule->name, b.until);
}

using Drafts = std::vector<std::vector<Draft>>;  // by index of the service

void draft_sessions(const EvaluateInput& input, const std::optional<Prefix>& only, Drafts& drafts) {
  Openings openings(input.policy, {input.now, input.sessions, input.approvals}, !only);
  auto coupling = only ? coupling_of(input.policy) : Coupling();
  std::vector<Opening> opened;
  for (const Session& session : input.sessions) {
    if (only && !coupling.around(session.address).contains(*only)) continue;
    openings.of(session, opened);
    for (const Opening& one : opened) {
      if (only && one.prefix != *only) continue;
      auto service = std::size_t(one.service - input.policy.services.data());
      drafts[service].push_back({one.prefix, one.until, &session, one.rule, nullptr, one.come_by});
    }
  }
}

void draft_statics(const EvaluateInput& input, const std::optional<Prefix>& only, Drafts& drafts) {
  for (const StaticRule& rule : input.policy.statics) {
    if (rule.until <= input.now) continue;
    for (const ServiceName& name : rule.to) {
      const Service* service = input.policy.service(name);
      if (service == nullptr) continue;
      auto& list = drafts[std::size_t(service - input.policy.services.data())];
      auto holes = denied_networks(input.policy, name);
      for (const NetworkPrefix& allowed : rule.cidr)
        for (const Prefix& piece : subtract(allowed.prefix, holes)) {
          if (only && piece != *only) continue;
          list.push_back({piece, rule.until.floor_to_second(), nullptr, nullptr, &rule, {}});
        }
    }
  }
}

/// Puts `draft` beside what the entry holds already: the way that opens most decides.
void merge(Entry& entry, const Draft& draft, Instant until, Instant now) {
  Instant come_by = std::min(draft.come_by, until);
  if (Openness(draft.lasts(), until, come_by, now) <=
      Openness(entry.lasts, entry.until, entry.come_by, now))
    return;
  entry.until = until;
  entry.lasts = draft.lasts();
  entry.come_by = come_by;
}

/// Causes that last as the entry does say so; others have no part in how it ends.
void mark_causes(std::vector<Attribution>& causes, Lasts lasts,
                 const std::map<RuleName, Lasts>& by_connection) {
  if (lasts == Lasts::until_deadline) return;
  for (Attribution& cause : causes) {
    auto at = by_connection.find(cause.rule);
    bool same = cause.kind == Attribution::Kind::session && at != by_connection.end() &&
                at->second == lasts;
    if (same) cause.lasts = lasts;
  }
}

/// `drafts` are sorted.
std::vector<Entry> entries_on(const Target& target, const ServiceName& service,
                              const std::vector<Draft>& drafts, Instant now) {
  std::vector<Entry> entries;
  entries.reserve(drafts.size());
  std::map<RuleName, Lasts> by_connection;
  std::vector<Attribution> causes;  // of the last entry
  auto complete = [&] {
    if (entries.empty()) return;
    mark_causes(causes, entries.back().lasts, by_connection);
    entries.back().causes = std::exchange(causes, {});
  };
  for (const Draft& draft : drafts) {
    Instant until = draft.until;
    if (target.max_ttl && draft.session != nullptr)
      until = std::min(until, (draft.session->created + *target.max_ttl).floor_to_second());
    if (until <= now) continue;
    if (entries.empty() || entries.back().prefix != draft.prefix) {
      complete();
      entries.push_back({draft.prefix, until, {}, draft.lasts(), std::min(draft.come_by, until)});
    }
    merge(entries.back(), draft, until, now);
    if (draft.lasts() != Lasts::until_deadline)
      by_connection.emplace(draft.rule->name, draft.lasts());
    auto cause = draft.cause(service, until);
    if (causes.empty() || causes.back() != cause) causes.push_back(std::move(cause));
  }
  complete();
  return entries;
}

std::vector<Allowlist> empty_lists(const EvaluateInput& input) {
  std::vector<Allowlist> lists_by_target;
  std::vector<Prefix> keep(input.keep.begin(), input.keep.end());
  std::sort(keep.begin(), keep.end());
  for (const Target& target : input.policy.targets) {
    Allowlist list;
    list.target = target.name;
    list.keep = keep;
    lists_by_target.push_back(std::move(list));
  }
  return lists_by_target;
}

std::vector<Allowlist> evaluate_for(const EvaluateInput& input, const std::optional<Prefix>& only) {
  auto lists_by_target = empty_lists(input);
  Drafts drafts(input.policy.services.size());
  draft_sessions(input, only, drafts);
  draft_statics(input, only, drafts);
  for (std::size_t s = 0; s < drafts.size(); ++s) {
    const Service& service = input.policy.services[s];
    std::sort(drafts[s].begin(), drafts[s].end(), before);
    for (std::size_t i = 0; i < input.policy.targets.size(); ++i) {
      const Target& target = input.policy.targets[i];
      if (!lists(service.targets, target.name)) continue;
      Allowlist& list = lists_by_target[i];
      list.services.push_back(
          {service.name, service.ports, entries_on(target, service.name, drafts[s], input.now)});
    }
  }
  auto ports = protected_ports(input.policy);
  for (std::size_t i = 0; i < ports.size(); ++i) lists_by_target[i].protect = std::move(ports[i]);
  return lists_by_target;
}

bool protects(const Target& target) {
  return std::visit([](const auto& settings) { return settings.protect; }, target.settings);
}

}  // namespace

std::vector<std::vector<PortRange>> protected_ports(const Policy& policy) {
  std::vector<std::vector<PortRange>> out(policy.targets.size());
  for (const Service& service : policy.services)
    for (const TargetName& name : service.targets) {
      const Target* target = policy.target(name);
      if (target == nullptr || !protects(*target)) continue;
      auto& ports = out[std::size_t(target - policy.targets.data())];
      ports.insert(ports.end(), service.ports.begin(), service.ports.end());
    }
  for (auto& ports : out) ports = canonical_ports(std::move(ports));
  return out;
}

bool is_denied(const Policy& policy, const Session& session, const ServiceName& service) {
  return std::any_of(policy.deny.begin(), policy.deny.end(), [&](const DenyRule& rule) {
    return lists(rule.to, service) && comes_from(policy, rule.from, session.address) &&
           (rule.who.empty() || first_membership(policy, rule.who, session) != nullptr);
  });
}

std::vector<Prefix> denied_networks(const Policy& policy, const ServiceName& service) {
  std::vector<Prefix> out;
  for (const DenyRule& rule : policy.deny) {
    if (!rule.who.empty() || !lists(rule.to, service)) continue;
    auto closed = prefixes_from(policy, rule.from);
    out.insert(out.end(), closed.begin(), closed.end());
  }
  return out;
}

std::vector<Reach> reach_of(Openings& openings, const Session& session) {
  std::vector<Opening> opened;
  openings.of(session, opened);
  std::vector<Reach> reaches;
  for (const Opening& one : opened)
    if (one.prefix.contains(session.address))
      reaches.push_back(
          {one.service->name, one.rule->name, one.until, one.prefix, one.rule->lasts, one.come_by});
  Instant now = openings.now();
  auto how = [&](const Reach& one) { return Openness(one.lasts, one.until, one.come_by, now); };
  std::sort(reaches.begin(), reaches.end(), [&](const Reach& a, const Reach& b) {
    auto most = how(a), other = how(b);
    return std::tie(a.service, other, a.rule) < std::tie(b.service, most, b.rule);
  });
  auto same_service = [](const Reach& a, const Reach& b) { return a.service == b.service; };
  reaches.erase(std::unique(reaches.begin(), reaches.end(), same_service), reaches.end());
  return reaches;
}

std::vector<Reach> reach_of(const Policy& policy, const Session& session,
                            const Circumstances& circumstances) {
  Openings openings(policy, circumstances, false);
  return reach_of(openings, session);
}

std::vector<Reach> reach_of(const Policy& policy, const Session& session, Instant now) {
  return reach_of(policy, session, Circumstances{now, {&session, 1}});
}

std::vector<Allowlist> evaluate(const EvaluateInput& input) {
  return evaluate_for(input, std::nullopt);
}

std::vector<Allowlist> evaluate_prefix(const EvaluateInput& input, const Prefix& prefix) {
  return evaluate_for(input, prefix);
}

std::vector<Allowlist> evaluate_host(const EvaluateInput& input, const IpAddress& address) {
  return evaluate_for(input, Prefix::host(address));
}

}  // namespace knock
