// SPDX-License-Identifier: Apache-2.0
// A plan for one target: so many entries stand, so many are wanted, so many are recorded.
//
//   steady       all three agree
//   a_tenth      a tenth goes, as many come, as many are extended
//   everything   all that stands goes, all that is wanted is new
//   reshaped     as a_tenth, and the service exchanges one of its ports for another, so that every
//                change must be weighed against the others
//
// One service of hosts, IPv4 and IPv6 in turn, each with one session behind it. "Linear" means that
// the entries per second, printed beside the time, stay.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "reconciler/core/plan.h"

namespace knock {
namespace {

const Instant kNow = Instant::from_seconds(1'800'000'000);
const TargetName kTarget("edge");

enum class Case { steady, a_tenth, everything, reshaped };

/// The n-th host: 10.x.x.x, then 2001:db8::, in turn.
Prefix host(std::uint32_t n) {
  if (n % 2 == 0) return Prefix::host(IpAddress::v4(0x0a000000 + n / 2));
  std::array<std::uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
  for (std::size_t i = 0; i < 4; ++i) bytes[15 - i] = std::uint8_t(n / 2 >> (8 * i));
  return Prefix::host(IpAddress::v6(bytes));
}

std::vector<Attribution> causes(std::uint32_t n) {
  return {{Attribution::Kind::session, SessionId(fmt::format("{:026}", n)),
           fmt::format("person {}", n), ServiceName("ssh"), RuleName("staff"),
           kNow + Duration::hours(1)}};
}

struct Bench {
  Policy policy;
  Target target;
  Capabilities capabilities;
  Canonical desired;
  Result<Observed> observed;
  std::vector<AppliedEntry> applied;

  Bench(std::uint32_t n, Case which) {
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
      bool gone = which == Case::everything || (which != Case::steady && i % 10 == 0);
      bool extended = which != Case::steady && i % 10 == 1;
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

void plan(benchmark::State& state, Case which) {
  Bench bench(std::uint32_t(state.range(0)), which);
  std::size_t changes = 0;
  for (auto _ : state) {
    auto out = bench.plan();
    changes = out.plan.changes.size() + out.plan.held.size();
    benchmark::DoNotOptimize(out);
  }
  state.counters["changes"] = double(changes);
  state.SetItemsProcessed(std::int64_t(state.iterations()) * state.range(0));
}

/// From sessions to the allowlist, for the other half of a full run.
void evaluating(benchmark::State& state) {
  Bench bench(0, Case::steady);
  bench.policy.groups = {{GroupName("staff"), "staff", {}, {}}};
  bench.policy.allow[0].who = {GroupName("staff")};
  bench.policy.allow[0].ttl = Duration::hours(8);
  std::vector<Session> sessions;
  for (std::uint32_t i = 0; i < std::uint32_t(state.range(0)); ++i) {
    Session session;
    session.id = SessionId(fmt::format("{:026}", i));
    session.principal = {"https://idp.example", fmt::format("{}", i), fmt::format("person {}", i)};
    session.source = SignInName("corp");
    session.groups = {"staff"};
    session.address = host(i).first();
    session.created = kNow;
    session.expires = kNow + Duration::hours(1);
    sessions.push_back(std::move(session));
  }
  for (auto _ : state) benchmark::DoNotOptimize(evaluate({bench.policy, sessions, kNow, {}}));
  state.SetItemsProcessed(std::int64_t(state.iterations()) * state.range(0));
}

/// The size that the job names: 10,000 rules, 1,000 services on 100 targets, 5,000 groups, 100
/// networks; every session has five groups, of which policy knows two; every tenth rule asks for
/// more than a group. Arguments: sessions, and whether rules count addresses and people too.
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

void evaluating_many_rules(benchmark::State& state) {
  Large large(std::uint32_t(state.range(0)), state.range(1) != 0);
  std::size_t entries = 0;
  for (auto _ : state) {
    auto lists = evaluate({large.policy, large.sessions, kNow, {}});
    entries = 0;
    for (const Allowlist& list : lists)
      for (const ServiceEntries& service : list.services) entries += service.entries.size();
  }
  state.counters["entries"] = double(entries);
  state.SetItemsProcessed(std::int64_t(state.iterations()) * state.range(0));
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->Unit(benchmark::kMillisecond)->Arg(10'000)->Arg(100'000)->Arg(1'000'000);
}

BENCHMARK_CAPTURE(plan, steady, Case::steady)->Apply(sizes);
BENCHMARK_CAPTURE(plan, a_tenth, Case::a_tenth)->Apply(sizes);
BENCHMARK_CAPTURE(plan, everything, Case::everything)->Apply(sizes);
BENCHMARK_CAPTURE(plan, reshaped, Case::reshaped)->Apply(sizes);
BENCHMARK(evaluating)->Apply(sizes);
BENCHMARK(evaluating_many_rules)
    ->Unit(benchmark::kMillisecond)
    ->ArgNames({"sessions", "counting"})
    ->Args({100'000, 0})
    ->Args({100'000, 1});

}  // namespace
}  // namespace knock

BENCHMARK_MAIN();
