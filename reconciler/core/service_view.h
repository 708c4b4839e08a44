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
#include "reconciler/core/work.h"
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

  /// False when that takes more than there is left. `statics`: standing() will be asked.
  bool look_at(const Places& places, bool statics, Work& work);
  /// The question to the evaluator: who lets this person in?
  std::optional<Way> way_in(const MadeUp& person) const;
  /// The same for one rule alone, at each of the places; those where it lets them in, by index.
  std::vector<std::size_t> let_in_by(std::size_t rule, const MadeUp& person) const;
  /// The static entry that stands open at this place, by index.
  std::optional<Way> standing(std::size_t place, Instant at) const;
  /// explain()'s words for somebody who cannot.
  std::string why_not(const MadeUp& person) const;

  // What that costs, in steps.
  std::size_t cost_of_rule(std::size_t rule) const;  // let_in_by()
  std::size_t cost_of_standing() const;              // at one place
  std::size_t cost_of_evaluator() const;             // way_in(), why_not()

 private:
  friend class ServiceViews;
  using Here = std::vector<bool>;  // by place: it is in what a rule names
  Here here(const SourceCondition& from) const;
  std::size_t prefixes_of(const SourceCondition& from) const;

  std::vector<AllowRule> asked_;  // rules without what looks at the address or the moment
  std::vector<std::vector<std::size_t>> denied_groups_;  // of each deny rule, by index
  std::size_t denied_ = 0;                               // groups of all deny rules
  std::size_t size_ = 0;                                 // of all rules
  // Of the last look_at().
  const Places* places_ = nullptr;
  bool with_statics_ = false;
  std::vector<Here> allow_here_, deny_here_, statics_here_;
  std::size_t prefixes_ = 0;  // that rules name, each as often as it is named
  std::map<std::pair<bool, std::optional<Prefix>>, const Places*> known_;
};

/// Makes a view at a time; the policy outlives it.
class ServiceViews {
 public:
  explicit ServiceViews(const Policy& policy);
  std::size_t size() const { return by_service_.size(); }
  const std::vector<std::size_t>& tests(std::size_t service) const {
    return by_service_[service].tests;
  }
  /// Names, prefixes and windows in the rules of this service: what a view of it copies.
  std::size_t size_of(std::size_t service) const;
  ServiceView view(std::size_t service) const;
  /// Of this view's networks, and of its static entries when they count; kept for the next view
  /// that has the same.
  /// Null when that takes more than there is left.
  const Places* places(ServiceView& view, bool statics, const std::optional<Prefix>& within,
                       Work& work);

 private:
  struct Rules {
    std::vector<std::size_t> allow, statics, deny, tests;
  };
  using Key = std::tuple<std::vector<NetworkName>, std::vector<RuleName>, std::optional<Prefix>>;
  std::optional<Places> places_of(const Key& key, const ServiceView& view, Work& work) const;

  const Policy& policy_;
  // Without their services: a rule for all of many would be copied with all of them for each.
  std::vector<AllowRule> allow_;
  std::vector<StaticRule> statics_;
  std::vector<DenyRule> deny_;
  std::vector<Rules> by_service_;
  std::map<Key, Places> places_;
};

}  // namespace knock
