// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/pieces.h"

#include <algorithm>
#include <map>
#include <optional>

namespace knock {
namespace {

std::vector<Prefix> prefixes_of(const Policy& policy, const std::vector<NetworkName>& names) {
  std::vector<Prefix> out;
  for (const auto& name : names)
    if (const auto* network = policy.network(name))
      for (const auto& entry : network->prefixes) out.push_back(entry.prefix);
  return out;
}

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

std::optional<Pieces> worst_of(const StaticRule& rule, const Holes& holes) {
  const std::vector<Prefix>* last = nullptr;
  for (const auto& service : rule.to) {
    const auto* here = holes.at(service);
    if (here == nullptr || here == last) continue;
    last = here;
    for (const auto& entry : rule.cidr)
      if (auto pieces = pieces_of(entry.prefix, *here); pieces > kMostPieces)
        return Pieces{0, service, entry.prefix, pieces};
  }
  return std::nullopt;
}

}  // namespace

std::vector<Pieces> too_many_pieces(const Policy& policy) {
  std::vector<Pieces> out;
  if (policy.statics.empty()) return out;
  Holes holes(policy);
  if (holes.empty()) return out;
  for (std::size_t i = 0; i < policy.statics.size(); ++i)
    if (auto worst = worst_of(policy.statics[i], holes)) {
      worst->index = i;
      out.push_back(std::move(*worst));
    }
  return out;
}

}  // namespace knock
