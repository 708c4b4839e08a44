// SPDX-License-Identifier: Apache-2.0
// From texts to a Policy: 10,000 files, each one team's service and the rule that opens it, and one
// file with what they share. `parsing` is each file by itself, the part that a cache can save;
// `cold` is load_policy with an empty cache; `one_changed` is what one new blob among 10,000 costs.
// How long the source takes to bring the texts is in policy_source.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <stdexcept>

#include "schemas/policy/load.h"
#include "schemas/policy/parsed_file.h"

namespace knock {
namespace {

constexpr int kFiles = 10'000;
constexpr int kChanged = 4711;

PolicyFile service_file(int n, int version) {
  return {fmt::format("team{:02}/service{:04}.yaml", n % 100, n),
          fmt::format("knock: 1\n"
                      "services:\n"
                      "  app-{0}: {{ports: [tcp/{1}], targets: [edge]}}\n"
                      "allow:\n"
                      "  app-{0}-users:\n"
                      "    who: [team-{2}]\n"
                      "    to: [app-{0}]\n"
                      "    from: {{in: [office]}}\n"
                      "    ttl: {3}m\n",
                      n, 1024 + n, n % 100, 60 + version),
          fmt::format("{}-{}", n, version)};
}

PolicyFile shared_file() {
  std::string text =
      "knock: 1\ntargets: {edge: {type: nftables}}\nnetworks: {office: [198.51.100.0/24]}\n"
      "groups:\n";
  for (int n = 0; n < 100; ++n) text += fmt::format("  team-{0}: {{idp: team-{0}}}\n", n);
  return {"shared.yaml", std::move(text), "shared"};
}

const std::vector<PolicyFile>& files() {
  static const auto all = [] {
    std::vector<PolicyFile> out{shared_file()};
    for (int n = 0; n < kFiles; ++n) out.push_back(service_file(n, 0));
    return out;
  }();
  return all;
}

void add_sizes(benchmark::State& state) {
  std::size_t bytes = 0;
  for (const auto& file : files()) bytes += file.content.size();
  state.counters["files"] = double(files().size());
  state.counters["bytes"] = double(bytes);
}

void load(const std::vector<PolicyFile>& texts, PolicyCache& cache) {
  auto loaded = load_policy(texts, PolicyRevision("bench"), {}, &cache);
  if (!loaded.policy || !loaded.diagnostics.empty())
    throw std::runtime_error("the benchmark's policy is not sound: " +
                             to_text(loaded.diagnostics).substr(0, 500));
  benchmark::DoNotOptimize(loaded);
}

void parsing(benchmark::State& state) {
  add_sizes(state);
  for (auto _ : state)
    for (const auto& file : files()) {
      auto parsed = parse_policy_file(file.content);
      benchmark::DoNotOptimize(parsed);
    }
}
BENCHMARK(parsing)->Unit(benchmark::kMillisecond)->MinTime(3);

void cold(benchmark::State& state) {
  add_sizes(state);
  for (auto _ : state) {
    PolicyCache cache;
    load(files(), cache);
  }
}
BENCHMARK(cold)->Unit(benchmark::kMillisecond)->MinTime(3);

void one_changed(benchmark::State& state) {
  add_sizes(state);
  auto texts = files();
  PolicyCache cache;
  load(texts, cache);
  int version = 0;
  for (auto _ : state) {
    texts[kChanged + 1] = service_file(kChanged, ++version % 600);
    texts[kChanged + 1].blob_id = fmt::format("changed-{}", version);
    load(texts, cache);
  }
}
BENCHMARK(one_changed)->Unit(benchmark::kMillisecond)->MinTime(3);

}  // namespace
}  // namespace knock

BENCHMARK_MAIN();
