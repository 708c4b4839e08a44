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

#include "bench/worlds.h"

namespace knock::bench {
namespace {

void plan(benchmark::State& state, Case which) {
  OneTarget bench(std::uint32_t(state.range(0)), which);
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
  OneTarget bench(0, Case::steady);
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

/// Arguments: sessions, and whether rules count addresses and people too.
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
}  // namespace knock::bench

BENCHMARK_MAIN();
