// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/policy.h"

#include <algorithm>
#include <tuple>

namespace knock {
namespace {

template <class T, class NameType>
const T* find(const std::vector<T>& sorted, const NameType& name) {
  auto at = std::ranges::lower_bound(sorted, name, {}, &T::name);
  return at != sorted.end() && at->name == name ? &*at : nullptr;
}

auto meaning(const NftablesSettings& s) { return std::tie(s.table, s.netns, s.protect, s.hooks); }
auto meaning(const Group& g) { return std::tie(g.name, g.idp, g.from); }
auto meaning(const Network& n) { return std::tie(n.name, n.prefixes); }
auto meaning(const Service& s) { return std::tie(s.name, s.ports, s.targets); }
auto meaning(const Target& t) { return std::tie(t.name, t.type, t.max_ttl, t.capacity); }
auto meaning(const AllowRule& r) { return std::tie(r.name, r.who, r.from, r.to, r.to_all, r.ttl); }
auto meaning(const StaticRule& r) {
  return std::tie(r.name, r.cidr, r.to, r.to_all, r.owner, r.reason, r.until);
}
auto meaning(const DenyRule& r) { return std::tie(r.name, r.who, r.from, r.to, r.to_all); }

bool same_settings(const TargetSettings& a, const TargetSettings& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&b](const auto& mine) {
        return meaning(mine) == meaning(std::get<std::decay_t<decltype(mine)>>(b));
      },
      a);
}

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::ranges::equal(a, b, [](const T& x, const T& y) { return meaning(x) == meaning(y); });
}

}  // namespace

const Group* Policy::group(const GroupName& name) const { return find(groups, name); }
const Network* Policy::network(const NetworkName& name) const { return find(networks, name); }
const Service* Policy::service(const ServiceName& name) const { return find(services, name); }
const Target* Policy::target(const TargetName& name) const { return find(targets, name); }

bool same_meaning(const Policy& a, const Policy& b) {
  return same(a.groups, b.groups) && same(a.networks, b.networks) && same(a.services, b.services) &&
         same(a.targets, b.targets) &&
         std::ranges::equal(a.targets, b.targets,
                            [](const Target& x, const Target& y) {
                              return same_settings(x.settings, y.settings);
                            }) &&
         same(a.allow, b.allow) && same(a.statics, b.statics) && same(a.deny, b.deny);
}

}  // namespace knock
