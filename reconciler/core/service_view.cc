// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/service_view.h"

#include <algorithm>
#include <set>

#include "reconciler/core/conditions.h"
#include "reconciler/core/evaluate.h"
#include "reconciler/core/explain.h"
#include "reconciler/core/policy_cells.h"

namespace knock {
namespace {

template <class Rule>
std::vector<Rule> without_services(const std::vector<Rule>& rules) {
  std::vector<Rule> out;
  out.reserve(rules.size());
  for (Rule rule : rules) {
    rule.to.clear();
    out.push_back(std::move(rule));
  }
  return out;
}

template <class Rule>
std::vector<Rule> those(const std::vector<Rule>& rules, const std::vector<std::size_t>& which,
                        const ServiceName& service) {
  std::vector<Rule> out;
  out.reserve(which.size());
  for (std::size_t i : which) {
    out.push_back(rules[i]);
    out.back().to = {service};
  }
  return out;
}

void add_networks(const SourceCondition& from, std::set<NetworkName>& out) {
  out.insert(from.in.begin(), from.in.end());
  out.insert(from.not_in.begin(), from.not_in.end());
}

/// Alone, at the moment of the sign-in.
Circumstances circumstances_of(const MadeUp& person) {
  return {person.session.created, {&person.session, 1}, person.approvals};
}

bool holds_one(const Prefix& prefix, const std::vector<IpAddress>& sorted) {
  auto at = std::lower_bound(sorted.begin(), sorted.end(), prefix.first());
  return at != sorted.end() && prefix.contains(*at);
}

}  // namespace

// ---- one service ----

void ServiceView::look_at(const Places& places) {
  policy.networks = places.networks;
  closed_ = denied_networks(policy, service);
}

std::optional<Way> ServiceView::way_in(const MadeUp& person) const {
  for (const Reach& reach : reach_of(policy, person.session, circumstances_of(person)))
    for (const AllowRule& rule : policy.allow)
      if (rule.name == reach.rule) return Way{rule.name, false, rule.origin};
  return std::nullopt;
}

std::vector<IpAddress> ServiceView::let_in_by(const AllowRule& rule, MadeUp person,
                                              const std::vector<IpAddress>& addresses) const {
  // What does not look at the address is asked once: which deny rules concern these groups.
  std::vector<const DenyRule*> denying;
  for (std::size_t i = 0; i < policy.deny.size(); ++i) {
    const DenyRule& deny = policy.deny[i];
    const auto& groups = denied_groups_[i];
    bool concerned =
        deny.who.empty() || std::any_of(groups.begin(), groups.end(), [&](std::size_t group) {
          return is_member(policy.groups[group], person.session);
        });
    if (!concerned) continue;
    if (deny.from.empty()) return {};
    denying.push_back(&deny);
  }
  std::vector<IpAddress> out;
  for (const IpAddress& address : addresses) {
    auto concerns = [&](const DenyRule* deny) { return comes_from(policy, deny->from, address); };
    if (!comes_from(policy, rule.from, address) ||
        std::any_of(denying.begin(), denying.end(), concerns))
      continue;
    person.move_to(address);
    auto circumstances = circumstances_of(person);
    if (!Conditions(policy, circumstances).judge(rule, person.session).missing)
      out.push_back(address);
  }
  return out;
}

std::optional<Way> ServiceView::standing(const IpAddress& address, Instant at) const {
  auto holds = [&](const Prefix& prefix) { return prefix.contains(address); };
  if (std::any_of(closed_.begin(), closed_.end(), holds)) return std::nullopt;
  for (const StaticRule& rule : policy.statics)
    if (rule.until > at && std::any_of(rule.cidr.begin(), rule.cidr.end(),
                                       [&](const NetworkPrefix& p) { return holds(p.prefix); }))
      return Way{rule.name, true, rule.origin};
  return std::nullopt;
}

std::string ServiceView::why_not(const MadeUp& person) const {
  return explain(policy, person.session, service, circumstances_of(person)).missing;
}

// ---- all of them ----

ServiceViews::ServiceViews(const Policy& policy)
    : policy_(policy),
      allow_(without_services(policy.allow)),
      statics_(without_services(policy.statics)),
      deny_(without_services(policy.deny)),
      by_service_(policy.services.size()) {
  auto each = [&](const std::vector<ServiceName>& to, std::size_t index,
                  std::vector<std::size_t> Rules::* list) {
    for (const ServiceName& name : to) {
      auto at = std::lower_bound(policy.services.begin(), policy.services.end(), name,
                                 [](const Service& s, const ServiceName& n) { return s.name < n; });
      if (at == policy.services.end() || at->name != name) continue;
      auto& found = by_service_[std::size_t(at - policy.services.begin())].*list;
      if (found.empty() || found.back() != index) found.push_back(index);
    }
  };
  for (std::size_t i = 0; i < policy.allow.size(); ++i) each(policy.allow[i].to, i, &Rules::allow);
  for (std::size_t i = 0; i < policy.statics.size(); ++i)
    each(policy.statics[i].to, i, &Rules::statics);
  for (std::size_t i = 0; i < policy.deny.size(); ++i) each(policy.deny[i].to, i, &Rules::deny);
  for (std::size_t i = 0; i < policy.tests.size(); ++i) {
    each(policy.tests[i].can, i, &Rules::tests);
    each(policy.tests[i].cannot, i, &Rules::tests);
  }
}

ServiceView ServiceViews::view(std::size_t service) const {
  const Rules& rules = by_service_[service];
  ServiceView out;
  out.service = policy_.services[service].name;
  out.tests = rules.tests;
  if (out.tests.empty()) return out;
  Policy& policy = out.policy;
  policy.revision = policy_.revision;
  policy.behaviour = policy_.behaviour;
  policy.zones = policy_.zones;
  policy.services = {policy_.services[service]};
  policy.allow = those(allow_, rules.allow, out.service);
  policy.statics = those(statics_, rules.statics, out.service);
  policy.deny = those(deny_, rules.deny, out.service);
  std::set<GroupName> groups;
  std::set<NetworkName> networks;
  for (const AllowRule& rule : policy.allow) {
    groups.insert(rule.who.begin(), rule.who.end());
    if (rule.approval) groups.insert(rule.approval->from.begin(), rule.approval->from.end());
    add_networks(rule.from, networks);
  }
  for (const DenyRule& rule : policy.deny) {
    groups.insert(rule.who.begin(), rule.who.end());
    add_networks(rule.from, networks);
  }
  for (const GroupName& name : groups)
    if (const Group* group = policy_.group(name)) policy.groups.push_back(*group);
  for (const DenyRule& rule : policy.deny) {
    auto& indices = out.denied_groups_.emplace_back();
    for (const GroupName& name : rule.who)
      if (const Group* group = policy.group(name))
        indices.push_back(std::size_t(group - policy.groups.data()));
  }
  out.networks.assign(networks.begin(), networks.end());
  return out;
}

const Places& ServiceViews::places(const ServiceView& view, bool statics,
                                   const std::optional<Prefix>& within) {
  Key key{view.networks, {}, within};
  if (statics)
    for (const StaticRule& rule : view.policy.statics) std::get<1>(key).push_back(rule.name);
  auto at = places_.find(key);
  if (at == places_.end()) {
    auto made = places_of(key, view);
    at = places_.emplace(std::move(key), std::move(made)).first;
  }
  return at->second;
}

Places ServiceViews::places_of(const Key& key, const ServiceView& view) const {
  const auto& [names, static_names, within] = key;
  std::vector<std::vector<Prefix>> sets;
  auto add = [&](const std::vector<NetworkPrefix>& prefixes) {
    auto& set = sets.emplace_back();
    for (const NetworkPrefix& p : prefixes) set.push_back(p.prefix);
  };
  std::vector<const Network*> networks;
  for (const NetworkName& name : names)
    if (const Network* network = policy_.network(name)) {
      networks.push_back(network);
      add(network->prefixes);
    }
  if (!static_names.empty())
    for (const StaticRule& rule : view.policy.statics) add(rule.cidr);
  Places out;
  out.addresses = address_cells(sets, within);
  auto sorted = out.addresses;
  std::sort(sorted.begin(), sorted.end());
  for (const Network* network : networks) {
    Network cut{network->name, {}, network->origin};
    for (const NetworkPrefix& p : network->prefixes)
      if (holds_one(p.prefix, sorted)) cut.prefixes.push_back(p);
    out.networks.push_back(std::move(cut));
  }
  return out;
}

}  // namespace knock
