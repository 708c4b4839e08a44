// SPDX-License-Identifier: Apache-2.0
// Invariants of a policy: groups × services. Two allow rules a service, for three groups each, one
// in four with a schedule, one in two from networks; a deny rule by group for each twentieth group
// and one by a list of 1,000 blocked networks, for every service.
//
//   one_for_all    one `never` about networks, and one about a claim, over every service
//   one_a_group    one `never` for each group over every service: all pairs
//   always         one `always` for each rule that no deny rule meets
//
// `combinations` is what was looked at; "linear" means that those per second stay.
#include "reconciler/core/policy_check.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>

namespace knock {
namespace {

const Instant kNow = Instant::from_seconds(1'795'255'200);  // 2026-11-21T10:00:00Z

std::vector<Prefix> blocked() {
  std::vector<Prefix> out;
  for (std::uint32_t i = 0; i < 1000; ++i)
    out.push_back(Prefix::of(IpAddress::v4(0xc6120000 + 256 * i), 28));
  return out;
}

template <class Named>
void sort_by_name(std::vector<Named>& list) {
  std::sort(list.begin(), list.end(),
            [](const Named& a, const Named& b) { return a.name < b.name; });
}

GroupName group(int n) { return GroupName(fmt::format("group-{:04}", n)); }
ServiceName service(int n) { return ServiceName(fmt::format("service-{:04}", n)); }
NetworkName network(int n) { return NetworkName(fmt::format("network-{:04}", n)); }

constexpr int kNetworks = 50;

AllowRule rule(int s, int which, int groups) {
  AllowRule out;
  out.name = RuleName(fmt::format("rule-{:04}-{}", s, which));
  for (int i = 0; i < 3; ++i) out.who.push_back(group((s * 7 + which * 31 + i * 53) % groups));
  std::sort(out.who.begin(), out.who.end());
  out.who.erase(std::unique(out.who.begin(), out.who.end()), out.who.end());
  if ((s + which) % 2 == 0) out.from.in = {network((s + which) % kNetworks)};
  if ((s + which) % 4 == 1) out.schedule = {{31, 7 * 60, 20 * 60, "UTC"}};
  out.to = {service(s)};
  out.ttl = Duration::hours(8);
  return out;
}

Policy policy(int groups, int services) {
  Policy out;
  out.zones["UTC"] = std::make_shared<const Zone>(Zone{"UTC", {{Instant{}, 0}}});
  for (int g = 0; g < groups; ++g)
    out.groups.push_back({group(g), group(g).value, {SignInName("corp")}, {}});
  for (int n = 0; n < kNetworks; ++n)
    out.networks.push_back(
        {network(n),
         {{Prefix::of(IpAddress::v4(0x0a000000 + 65536u * unsigned(n)), 20), false}},
         {}});
  Network list{NetworkName("blocked"), {}, {}};
  for (const Prefix& prefix : blocked()) list.prefixes.push_back({prefix, false});
  out.networks.push_back(std::move(list));
  sort_by_name(out.networks);
  DenyRule listed;
  listed.name = RuleName("listed");
  listed.from.in = {NetworkName("blocked")};
  for (int s = 0; s < services; ++s) {
    Service one;
    one.name = service(s);
    out.services.push_back(std::move(one));
    listed.to.push_back(service(s));
    for (int which = 0; which < 2; ++which) out.allow.push_back(rule(s, which, groups));
  }
  sort_by_name(out.allow);
  for (int g = 0; g < groups; g += 20) {
    DenyRule deny;
    deny.name = RuleName("not-" + group(g).value);
    deny.who = {group(g)};
    deny.to = listed.to;
    out.deny.push_back(std::move(deny));
  }
  out.deny.push_back(std::move(listed));
  sort_by_name(out.deny);
  return out;
}

PolicyTest never(const Policy& policy) {
  PolicyTest out;
  out.kind = PolicyTest::Kind::never;
  for (const Service& one : policy.services) out.can.push_back(one.name);
  out.can_all = true;
  return out;
}

void run(benchmark::State& state, const Policy& policy) {
  PolicyCheck last;
  for (auto _ : state) last = check_policy(policy, kNow);
  std::size_t cells = 0;
  for (const TestResult& result : last.results) cells += result.cells;
  state.counters["tests"] = double(last.results.size());
  state.counters["passed"] = double(last.count(TestVerdict::pass));
  state.counters["failed"] = double(last.count(TestVerdict::fail));
  state.counters["combinations"] = double(cells);
  state.SetItemsProcessed(std::int64_t(state.iterations()) * std::int64_t(cells));
}

void one_for_all(benchmark::State& state) {
  Policy p = policy(int(state.range(0)), int(state.range(1)));
  p.tests = {never(p), never(p)};
  p.tests[0].as.ip = blocked()[500];
  p.tests[1].as.claims = {{"employment", {"none"}}};
  run(state, p);
}

void one_a_group(benchmark::State& state) {
  Policy p = policy(int(state.range(0)), int(state.range(1)));
  for (const Group& one : p.groups) {
    p.tests.push_back(never(p));
    p.tests.back().as.groups = {one.name};
  }
  run(state, p);
}

void always(benchmark::State& state) {
  Policy p = policy(int(state.range(0)), int(state.range(1)));
  std::erase_if(p.deny, [](const DenyRule& rule) { return !rule.who.empty(); });
  for (const AllowRule& rule : p.allow) {
    if (!rule.schedule.empty() || rule.from.in.empty()) continue;
    PolicyTest test;
    test.kind = PolicyTest::Kind::always;
    test.as.groups = {rule.who.front()};
    test.as.ip = p.network(rule.from.in.front())->prefixes.front().prefix;
    test.can = rule.to;
    p.tests.push_back(std::move(test));
  }
  run(state, p);
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->Unit(benchmark::kMillisecond)
      ->ArgNames({"groups", "services"})
      ->Args({200, 100})
      ->Args({200, 250})
      ->Args({200, 500})
      ->Args({200, 1000});
}

BENCHMARK(one_for_all)->Apply(sizes);
BENCHMARK(one_a_group)->Apply(sizes);
BENCHMARK(always)->Apply(sizes);

}  // namespace
}  // namespace knock

BENCHMARK_MAIN();
