// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/service_view.h"

#include <algorithm>
#include <set>

#include "reconciler/core/conditions.h"
#include "reconciler/core/evaluate.h"
#include "reconciler/core/explain.h"
#include "reconciler/core/policy_cells.h"
#include "schemas/policy/network_prefixes.h"
#include "schemas/policy/schedule_edges.h"

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

std::size_t size_of(const AllowRule& rule) {
  std::size_t size = 4 + rule.who.size() + rule.users.size() + rule.acr.size() +
                     rule.from.in.size() + rule.from.not_in.size() + 2 * rule.schedule.size();
  for (const ClaimCondition& claim : rule.claims) size += 1 + claim.any_of.size();
  if (rule.approval) size += rule.approval->from.size() + rule.approval->count;
  return size;
}
std::size_t size_of(const DenyRule& rule) {
  return 4 + rule.who.size() + rule.from.in.size() + rule.from.not_in.size();
}
std::size_t size_of(const StaticRule& rule) { return 4 + rule.cidr.size(); }

/// Of each address: does one of these hold it?
std::vector<bool> held(std::vector<Prefix> prefixes, const std::vector<IpAddress>& addresses) {
  prefixes = without_nested(std::move(prefixes));
  std::vector<bool> out;
  out.reserve(addresses.size());
  for (const IpAddress& address : addresses) {
    auto after = std::ranges::upper_bound(prefixes, address, {}, &Prefix::network);
    out.push_back(after != prefixes.begin() && std::prev(after)->contains(address));
  }
  return out;
}

}  // namespace

// ---- one service ----

bool ServiceView::look_at(const Places& places, bool statics, Work& work) {
  if (places_ == &places && with_statics_ == statics) return true;
  std::size_t rules = policy.allow.size() + policy.deny.size() + policy.statics.size();
  std::size_t kept = places.networks.size();
  for (const Network& network : places.networks) kept += network.prefixes.size();
  if (!work.spend(4 * kept + 2 * size_)) return false;
  policy.networks = places.networks;
  prefixes_ = 0;
  for (const AllowRule& rule : policy.allow) prefixes_ += prefixes_of(rule.from);
  for (const DenyRule& rule : policy.deny) prefixes_ += prefixes_of(rule.from);
  if (!work.spend(8 * prefixes_ + 2 * size_ + 3 * rules * places.addresses.size())) return false;
  places_ = &places;
  with_statics_ = statics;
  allow_here_.clear();
  deny_here_.clear();
  statics_here_.clear();
  for (const AllowRule& rule : policy.allow) allow_here_.push_back(here(rule.from));
  for (const DenyRule& rule : policy.deny) deny_here_.push_back(here(rule.from));
  if (!statics) return true;
  for (const StaticRule& rule : policy.statics) {
    std::vector<Prefix> prefixes;
    for (const NetworkPrefix& p : rule.cidr) prefixes.push_back(p.prefix);
    statics_here_.push_back(held(std::move(prefixes), places.addresses));
  }
  return true;
}

ServiceView::Here ServiceView::here(const SourceCondition& from) const {
  const auto& addresses = places_->addresses;
  Here out(addresses.size(), true);
  if (!from.in.empty()) out = held(knock::prefixes_of(policy, from.in), addresses);
  if (from.not_in.empty()) return out;
  Here except = held(knock::prefixes_of(policy, from.not_in), addresses);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (except[i]) out[i] = false;
  return out;
}

std::size_t ServiceView::prefixes_of(const SourceCondition& from) const {
  std::size_t out = 0;
  for (const auto* names : {&from.in, &from.not_in})
    for (const NetworkName& name : *names)
      if (const Network* network = policy.network(name)) out += network->prefixes.size();
  return out;
}

std::optional<Way> ServiceView::way_in(const MadeUp& person) const {
  for (const Reach& reach : reach_of(policy, person.session, circumstances_of(person)))
    for (const AllowRule& rule : policy.allow)
      if (rule.name == reach.rule) return Way{rule.name, false, rule.origin};
  return std::nullopt;
}

std::vector<std::size_t> ServiceView::let_in_by(std::size_t rule, const MadeUp& person) const {
  const Here& allowed = allow_here_[rule];
  const auto& schedule = policy.allow[rule].schedule;
  if (!schedule.empty() && !is_open(schedule, policy.zones, person.session.created)) return {};
  // Nothing else of a rule looks at the address, where nobody else is.
  auto circumstances = circumstances_of(person);
  if (Conditions(policy, circumstances).judge(asked_[rule], person.session).missing) return {};
  std::vector<const Here*> denying;
  for (std::size_t i = 0; i < policy.deny.size(); ++i) {
    const auto& groups = denied_groups_[i];
    bool concerned = policy.deny[i].who.empty() ||
                     std::any_of(groups.begin(), groups.end(), [&](std::size_t group) {
                       return is_member(policy.groups[group], person.session);
                     });
    if (!concerned) continue;
    if (policy.deny[i].from.empty()) return {};
    denying.push_back(&deny_here_[i]);
  }
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < allowed.size(); ++i)
    if (allowed[i] &&
        std::none_of(denying.begin(), denying.end(), [&](const Here* deny) { return (*deny)[i]; }))
      out.push_back(i);
  return out;
}

std::optional<Way> ServiceView::standing(std::size_t place, Instant at) const {
  for (std::size_t i = 0; i < policy.deny.size(); ++i)
    if (policy.deny[i].who.empty() && deny_here_[i][place]) return std::nullopt;
  for (std::size_t i = 0; i < policy.statics.size(); ++i) {
    const StaticRule& rule = policy.statics[i];
    if (rule.until > at && statics_here_[i][place]) return Way{rule.name, true, rule.origin};
  }
  return std::nullopt;
}

std::size_t ServiceView::cost_of_rule(std::size_t rule) const {
  return 2 * size_of(policy.allow[rule]) + 12 * policy.allow[rule].schedule.size() + 2 * denied_ +
         policy.deny.size() + places_->addresses.size() * (1 + policy.deny.size() / 4);
}

std::size_t ServiceView::cost_of_standing() const {
  return 1 + (policy.deny.size() + policy.statics.size()) / 4;
}

std::size_t ServiceView::cost_of_evaluator() const {
  // Until when a schedule is open is found window by window, for a year at most.
  std::size_t cost = 64 + 8 * size_ + 4 * prefixes_;
  for (const AllowRule& rule : policy.allow)
    cost += 2000 * rule.schedule.size() * rule.schedule.size();
  return cost;
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

std::size_t ServiceViews::size_of(std::size_t service) const {
  const Rules& rules = by_service_[service];
  std::size_t size = policy_.zones.size() + rules.tests.size();
  for (std::size_t i : rules.allow) size += knock::size_of(allow_[i]);
  for (std::size_t i : rules.deny) size += knock::size_of(deny_[i]);
  for (std::size_t i : rules.statics) size += knock::size_of(statics_[i]);
  return size;
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
  out.size_ = size_of(service);
  for (AllowRule rule : policy.allow) {
    rule.from = {};
    rule.schedule.clear();
    out.asked_.push_back(std::move(rule));
  }
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
    out.denied_ += rule.who.size();
    auto& indices = out.denied_groups_.emplace_back();
    for (const GroupName& name : rule.who)
      if (const Group* group = policy.group(name))
        indices.push_back(std::size_t(group - policy.groups.data()));
  }
  out.networks.assign(networks.begin(), networks.end());
  return out;
}

const Places* ServiceViews::places(ServiceView& view, bool statics,
                                   const std::optional<Prefix>& within, Work& work) {
  auto known = view.known_.find({statics, within});
  if (known != view.known_.end()) return known->second;
  std::size_t names = view.networks.size() + (statics ? view.policy.statics.size() : 0);
  if (!work.spend(16 + 8 * names)) return nullptr;
  Key key{view.networks, {}, within};
  if (statics)
    for (const StaticRule& rule : view.policy.statics) std::get<1>(key).push_back(rule.name);
  auto at = places_.find(key);
  if (at == places_.end()) {
    auto made = places_of(key, view, work);
    if (!made) return nullptr;
    at = places_.emplace(std::move(key), std::move(*made)).first;
  }
  view.known_.emplace(std::pair(statics, within), &at->second);
  return &at->second;
}

std::optional<Places> ServiceViews::places_of(const Key& key, const ServiceView& view,
                                              Work& work) const {
  const auto& [names, static_names, within] = key;
  std::vector<const Network*> networks;
  std::size_t prefixes = 0;
  for (const NetworkName& name : names)
    if (const Network* network = policy_.network(name)) {
      networks.push_back(network);
      prefixes += network->prefixes.size();
    }
  if (!static_names.empty())
    for (const StaticRule& rule : view.policy.statics) prefixes += rule.cidr.size();
  if (!work.spend(16 * prefixes)) return std::nullopt;
  std::vector<std::vector<Prefix>> sets;
  auto add = [&](const std::vector<NetworkPrefix>& list) {
    auto& set = sets.emplace_back();
    for (const NetworkPrefix& p : list) set.push_back(p.prefix);
  };
  for (const Network* network : networks) add(network->prefixes);
  if (!static_names.empty())
    for (const StaticRule& rule : view.policy.statics) add(rule.cidr);
  std::size_t left = work.left();
  auto cells = address_cells_within(sets, within, left);
  if (!cells || !work.spend(work.left() - left + 4 * cells->size())) {
    work.spend(work.left() + 1);  // what it would take is not known, but it is more than this
    return std::nullopt;
  }
  Places out;
  out.addresses = std::move(*cells);
  auto sorted = out.addresses;
  std::sort(sorted.begin(), sorted.end());
  for (const Network* network : networks) {
    Network cut{network->name, {}, network->origin};
    for (const NetworkPrefix& p : network->prefixes)
      if (holds_one(p.prefix, sorted)) cut.prefixes.push_back(p);
    if (!cut.prefixes.empty()) out.networks.push_back(std::move(cut));
  }
  return out;
}

}  // namespace knock
