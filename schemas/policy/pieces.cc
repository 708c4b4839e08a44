// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/pieces.h"

#include <algorithm>
#include <map>

#include "schemas/policy/network_prefixes.h"

namespace knock {
namespace {

/// Where a rule closes whoever comes.
std::vector<Prefix> holes_of(const Policy& policy, const DenyRule& rule) {
  auto except = prefixes_of(policy, rule.from.not_in);
  std::vector<Prefix> out;
  for (const auto& inside : prefixes_of(policy, rule.from.in))
    for (const auto& piece : subtract(inside, except)) out.push_back(piece);
  return out;
}

/// The holes at each service. Many services are closed by the same rules, and share them.
class Holes {
 public:
  explicit Holes(const Policy& policy) {
    std::map<ServiceName, std::vector<const DenyRule*>> rules;
    for (const auto& rule : policy.deny)
      if (rule.who.empty())
        for (const auto& service : rule.to) rules[service].push_back(&rule);
    for (auto& [service, by] : rules) {
      auto [shared, is_new] = holes_.try_emplace(by);
      if (is_new) {
        for (const auto* rule : by)
          for (const auto& hole : holes_of(policy, *rule)) shared->second.push_back(hole);
        shared->second = without_nested(std::move(shared->second));
      }
      at_.emplace(service, &shared->second);
    }
  }
  /// Sorted, none inside another; null where nothing is closed.
  const std::vector<Prefix>* at(const ServiceName& service) const {
    auto found = at_.find(service);
    return found == at_.end() ? nullptr : found->second;
  }
  bool empty() const { return at_.empty(); }

 private:
  std::map<std::vector<const DenyRule*>, std::vector<Prefix>> holes_;
  std::map<ServiceName, const std::vector<Prefix>*> at_;
};

std::size_t pieces_of(const Prefix& prefix, const std::vector<Prefix>& holes) {
  auto inside = std::ranges::lower_bound(holes, prefix.network(), {}, &Prefix::network);
  if (inside != holes.begin() && std::prev(inside)->contains(prefix)) return 0;
  std::vector<Prefix> cut;
  for (; inside != holes.end() && prefix.overlaps(*inside); ++inside) cut.push_back(*inside);
  return cut.empty() ? 1 : subtract(prefix, cut).size();
}

std::size_t targets_of(const Policy& policy, const ServiceName& name) {
  const Service* service = policy.service(name);
  return service == nullptr ? 0 : service->targets.size();
}

/// Adds what one rule means, and the first of its prefixes that is cut too often.
void cut_rule(const Policy& policy, std::size_t index, const Holes& holes, CutStatics& out) {
  const StaticRule& rule = policy.statics[index];
  const std::vector<Prefix>* last = nullptr;
  std::size_t pieces_there = 0;
  for (const auto& service : rule.to) {
    const auto* here = holes.at(service);
    if (here == nullptr) {
      out.entries[index] += rule.cidr.size() * targets_of(policy, service);
      continue;
    }
    if (here != last) {
      pieces_there = 0;
      for (const auto& entry : rule.cidr) {
        auto pieces = pieces_of(entry.prefix, *here);
        pieces_there += pieces;
        if (pieces <= kMostPieces) continue;
        out.too_many.push_back({index, service, entry.prefix, pieces});
        return;
      }
    }
    last = here;
    out.entries[index] += pieces_there * targets_of(policy, service);
  }
}

}  // namespace

std::vector<std::size_t> static_entries(const Policy& policy) {
  std::size_t everywhere = 0;
  for (const Service& service : policy.services) everywhere += service.targets.size();
  std::vector<std::size_t> out;
  for (const StaticRule& rule : policy.statics) {
    std::size_t pairs = rule.to_all ? everywhere : 0;
    if (!rule.to_all)
      for (const ServiceName& service : rule.to) pairs += targets_of(policy, service);
    out.push_back(rule.cidr.size() * pairs);
  }
  return out;
}

CutStatics cut_statics(const Policy& policy) {
  CutStatics out;
  out.entries.resize(policy.statics.size());
  if (policy.statics.empty()) return out;
  Holes holes(policy);
  if (holes.empty()) return out;
  for (std::size_t i = 0; i < policy.statics.size(); ++i) cut_rule(policy, i, holes, out);
  return out;
}

}  // namespace knock
