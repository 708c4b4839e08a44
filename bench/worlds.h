// SPDX-License-Identifier: Apache-2.0
// What benchmarks of the core are measured with: one target of so many entries, and a large policy
// with its people.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "reconciler/core/plan.h"

namespace knock::bench {

inline const Instant kNow = Instant::from_seconds(1'800'000'000);
inline const TargetName kTarget("edge");

enum class Case { steady, a_tenth, half, everything, reshaped };

/// The n-th host: 10.x.x.x, then 2001:db8::, in turn.
inline Prefix host(std::uint32_t n) {
  if (n % 2 == 0) return Prefix::host(IpAddress::v4(0x0a000000 + n / 2));
  std::array<std::uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
  for (std::size_t i = 0; i < 4; ++i) bytes[15 - i] = std::uint8_t(n / 2 >> (8 * i));
  return Prefix::host(IpAddress::v6(bytes));
}

inline std::vector<Attribution> causes(std::uint32_t n) {
  return {{Attribution::Kind::session, SessionId(fmt::format("{:026}", n)),
           fmt::format("person {}", n), ServiceName("ssh"), RuleName("staff"),
           kNow + Duration::hours(1)}};
}

struct OneTarget {
  Policy policy;
  Target target;
  Capabilities capabilities;
  Canonical desired;
  Result<Observed> observed;
  std::vector<AppliedEntry> applied;

  OneTarget(std::uint32_t n, Case which) {
    target.name = kTarget;
    target.type = "nftables";
    policy.targets = {target};
    policy.services = {{ServiceName("ssh"), {*PortRange::parse("tcp/22")}, {kTarget}, {}}};
    AllowRule rule;
    rule.name = RuleName("staff");
    rule.to = {ServiceName("ssh")};
    policy.allow = {rule};
    capabilities.native_expiry = true;
    Observed seen;
    seen.exists = true;
    seen.at = kNow;
    seen.structure.slots["ssh"] = {*PortRange::parse("tcp/22"), *PortRange::parse("tcp/80")};
    seen.structure.protect = {*PortRange::parse("tcp/22"), *PortRange::parse("tcp/80"),
                              *PortRange::parse("tcp/443")};
    seen.slots = {{"ssh", {}}};
    desired.structure = seen.structure;
    if (which == Case::reshaped)
      desired.structure.slots["ssh"] = {*PortRange::parse("tcp/22"), *PortRange::parse("tcp/443")};
    desired.slots = {{"ssh", desired.structure.slots["ssh"], {}}};
    for (std::uint32_t i = 0; i < n; ++i) {
      bool gone = which == Case::everything || (which == Case::half && i % 2 == 0) ||
                  (which != Case::steady && i % 10 == 0);
      bool extended = which != Case::steady && which != Case::half && i % 10 == 1;
      stand(seen, host(i), extended ? Duration::minutes(30) : Duration::hours(1), i);
      if (gone)
        want(host(n + i), i);
      else
        want(host(i), i);
    }
    auto by_prefix = [](const auto& a, const auto& b) { return a.prefix < b.prefix; };
    std::sort(seen.slots[0].items.begin(), seen.slots[0].items.end(), by_prefix);
    std::sort(desired.slots[0].items.begin(), desired.slots[0].items.end(), by_prefix);
    std::sort(applied.begin(), applied.end(), by_prefix);
    observed = std::move(seen);
  }

  void stand(Observed& seen, const Prefix& prefix, Duration left, std::uint32_t n) {
    ObservedItem item;
    item.prefix = prefix;
    item.ours = true;
    item.until = kNow + left;
    item.left = left;
    seen.slots[0].items.push_back(std::move(item));
    applied.push_back(
        {kTarget, "ssh", prefix, kNow + left, kNow, PolicyRevision("r"), causes(n), 0});
  }
  void want(const Prefix& prefix, std::uint32_t n) {
    desired.slots[0].items.push_back({prefix, kNow + Duration::hours(1), causes(n)});
  }

  PlannedTarget plan() const {
    return plan_target({target, policy, capabilities, desired, nullptr, observed, applied, kNow,
                        [](const SessionId&) { return std::optional(EndCause::signed_out); }});
  }
};

/// The size that the job names: 10,000 rules, 1,000 services on 100 targets, 5,000 groups, 100
/// networks; every session has five groups, of which policy knows two; every tenth rule asks for
/// more than a group.
struct Large {
  static constexpr std::uint32_t kRules = 10'000, kServices = 1'000, kTargets = 100,
                                 kGroups = 5'000, kNetworks = 100;
  Policy policy;
  std::vector<Session> sessions;

  Large(std::uint32_t people, bool counting) {
    for (std::uint32_t i = 0; i < kGroups; ++i)
      policy.groups.push_back({GroupName(fmt::format("group{:04}", i)),
                               fmt::format("cn=group{:04},ou=teams,dc=example", i),
                               {SignInName("corp")},
                               {}});
    for (std::uint32_t i = 0; i < kNetworks; ++i)
      policy.networks.push_back({NetworkName(fmt::format("network{:03}", i)),
                                 {{Prefix::of(IpAddress::v4(0x0a000000 + (i << 16)), 16), false}},
                                 {}});
    for (std::uint32_t i = 0; i < kTargets; ++i) {
      Target target;
      target.name = TargetName(fmt::format("target{:03}", i));
      target.type = "nftables";
      policy.targets.push_back(std::move(target));
    }
    for (std::uint32_t i = 0; i < kServices; ++i)
      policy.services.push_back({ServiceName(fmt::format("service{:04}", i)),
                                 {*PortRange::parse("tcp/22")},
                                 {policy.targets[i % kTargets].name},
                                 {}});
    for (std::uint32_t i = 0; i < kRules; ++i) policy.allow.push_back(rule(i, counting));
    for (std::uint32_t i = 0; i < 20; ++i) {
      DenyRule deny;
      deny.name = RuleName(fmt::format("deny{:02}", i));
      deny.from.in = {policy.networks[i].name};
      deny.to = {policy.services[i].name};
      policy.deny.push_back(std::move(deny));
    }
    for (std::uint32_t i = 0; i < people; ++i) sessions.push_back(session(i));
  }

  AllowRule rule(std::uint32_t i, bool counting) const {
    AllowRule out;
    out.name = RuleName(fmt::format("rule{:05}", i));
    out.who = {policy.groups[i % kGroups].name};
    out.to = {policy.services[i % kServices].name};
    out.ttl = Duration::hours(8);
    if (i % 10 == 0) out.from.in = {policy.networks[i / 10 % kNetworks].name};
    if (i % 10 == 1) out.mfa_max_age = Duration::minutes(15);
    if (counting && i % 2 == 0) out.max_ips_per_user = 2;
    return out;
  }

  Session session(std::uint32_t i) const {
    Session out;
    out.id = SessionId(fmt::format("{:026}", i));
    // Every third address is somebody's fourth: more than a rule gives.
    auto who = fmt::format("{}", i % 3 == 0 ? i / 12 : i);
    out.principal = {"https://idp.example", who, who};
    out.source = SignInName("corp");
    auto n = i % 3 == 0 ? i / 12 : i;
    out.groups = {policy.groups[n % kGroups].idp, policy.groups[(n * 7 + 1) % kGroups].idp,
                  "cn=everybody", "cn=mail", "cn=printers"};
    std::sort(out.groups.begin(), out.groups.end());
    out.address = host(i).first();
    out.created = kNow;
    out.expires = kNow + Duration::hours(1);
    out.mfa_at = kNow - Duration::minutes(5);
    return out;
  }
};

}  // namespace knock::bench
