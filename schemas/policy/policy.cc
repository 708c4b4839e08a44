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
auto meaning(const Service& s) { return std::tie(s.name, s.ports, s.targets, s.path); }
auto meaning(const Target& t) {
  return std::tie(t.name, t.type, t.max_ttl, t.capacity, t.capacity_reserve, t.ownership,
                  t.on_remove, t.heal);
}
auto meaning(const AllowRule& r) {
  return std::tie(r.name, r.who, r.users, r.claims, r.acr, r.mfa_max_age, r.from, r.schedule,
                  r.max_ips_per_user, r.max_users_per_ip, r.approval, r.lasts, r.v6_prefix, r.to,
                  r.to_all, r.ttl);
}
auto meaning(const StaticRule& r) {
  return std::tie(r.name, r.cidr, r.to, r.to_all, r.owner, r.reason, r.until);
}
auto meaning(const BreakGlassRule& r) {
  return std::tie(r.name, r.to, r.to_all, r.ttl, r.keys, r.quorum, r.notify);
}
auto meaning(const PolicyTest& t) {
  return std::tie(t.kind, t.as.user, t.as.groups, t.as.ip, t.as.claims, t.as.acr, t.as.mfa_age,
                  t.as.approved, t.can, t.cannot, t.can_all, t.cannot_all, t.at, t.name);
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

/// The order of tests follows files and lines, and means nothing.
bool same_tests(const std::vector<PolicyTest>& a, const std::vector<PolicyTest>& b) {
  auto sorted = [](const std::vector<PolicyTest>& tests) {
    std::vector<const PolicyTest*> out;
    for (const auto& test : tests) out.push_back(&test);
    std::ranges::sort(
        out, [](const PolicyTest* x, const PolicyTest* y) { return meaning(*x) < meaning(*y); });
    return out;
  };
  return std::ranges::equal(sorted(a), sorted(b), [](const PolicyTest* x, const PolicyTest* y) {
    return meaning(*x) == meaning(*y);
  });
}

}  // namespace

std::string_view to_string(Ownership ownership) {
  switch (ownership) {
    case Ownership::shared:
      return "shared";
    case Ownership::exclusive:
      return "exclusive";
    case Ownership::observe:
      return "observe";
  }
  return "unknown";
}

std::string_view to_string(OnRemove on_remove) {
  switch (on_remove) {
    case OnRemove::drain:
      return "drain";
    case OnRemove::orphan:
      return "orphan";
  }
  return "unknown";
}

std::string_view to_string(Heal heal) {
  switch (heal) {
    case Heal::on:
      return "on";
    case Heal::warn:
      return "warn";
    case Heal::off:
      return "off";
  }
  return "unknown";
}

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
         same(a.allow, b.allow) && same(a.statics, b.statics) && same(a.deny, b.deny) &&
         same(a.break_glass, b.break_glass) && same_tests(a.tests, b.tests) &&
         a.behaviour == b.behaviour && a.guards == b.guards;
}

}  // namespace knock
