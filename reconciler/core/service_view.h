// SPDX-License-Identifier: Apache-2.0
// A policy as one service sees it. What somebody may reach there depends on the rules that name the
// service and on nothing else, so a check of many services looks at each with few rules. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "reconciler/core/made_up.h"
#include "schemas/policy/policy.h"

namespace knock {

/// What decides in somebody's favour.
struct Way {
  RuleName rule;
  bool fixed = false;  // a static entry
  SourceRange origin;
};

/// Addresses that stand for all others, and the networks of a policy cut down to the prefixes that
/// hold one of them: for these addresses the same answers, whatever the length of the lists.
struct Places {
  std::vector<IpAddress> addresses;
  std::vector<Network> networks;
};

struct ServiceView {
  ServiceName service;
  Policy policy;  // its rules, and their groups; networks are those of the last look_at()
  std::vector<NetworkName> networks;  // that its rules name, sorted
  std::vector<std::size_t> tests;     // that name the service, by index

  void look_at(const Places& places);
  /// The question to the evaluator: who lets this person in?
  std::optional<Way> way_in(const MadeUp& person) const;
  /// The same for one rule alone, at each of these addresses; those where it lets them in.
  std::vector<IpAddress> let_in_by(const AllowRule& rule, MadeUp person,
                                   const std::vector<IpAddress>& addresses) const;
  /// The static entry that stands open at this address.
  std::optional<Way> standing(const IpAddress& address, Instant at) const;
  /// explain()'s words for somebody who cannot.
  std::string why_not(const MadeUp& person) const;

 private:
  friend class ServiceViews;
  std::vector<Prefix> closed_;                           // to everybody, static entries too
  std::vector<std::vector<std::size_t>> denied_groups_;  // of each deny rule, by index
};

/// Makes a view at a time; the policy outlives it.
class ServiceViews {
 public:
  explicit ServiceViews(const Policy& policy);
  std::size_t size() const { return by_service_.size(); }
  ServiceView view(std::size_t service) const;
  /// Of this view's networks, and of its static entries when they count; kept for the next view
  /// that has the same.
  const Places& places(const ServiceView& view, bool statics, const std::optional<Prefix>& within);

 private:
  struct Rules {
    std::vector<std::size_t> allow, statics, deny, tests;
  };
  using Key = std::tuple<std::vector<NetworkName>, std::vector<RuleName>, std::optional<Prefix>>;
  Places places_of(const Key& key, const ServiceView& view) const;

  const Policy& policy_;
  // Without their services: a rule for all of many would be copied with all of them for each.
  std::vector<AllowRule> allow_;
  std::vector<StaticRule> statics_;
  std::vector<DenyRule> deny_;
  std::vector<Rules> by_service_;
  std::map<Key, Places> places_;
};

}  // namespace knock
