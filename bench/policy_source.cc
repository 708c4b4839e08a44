// SPDX-License-Identifier: Apache-2.0
// From a commit, or a folder, to a Policy: 10,000 files of three lines in 100 folders. "cold" is a
// new source and an empty cache; "one changed" is what a push of one file costs once everything is
// warm. The fetch is a real `git` child over a local path, so that row includes starting it; its
// own share stands beside it.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "net/child_process.h"
#include "schemas/policy/load.h"
#include "store/directory/directory_source.h"
#include "store/git/git_source.h"

namespace knock {
namespace {

namespace fs = std::filesystem;

constexpr int kFiles = 10'000;

std::string path_of(int n) { return fmt::format("team{:02}/service{:04}.yaml", n % 100, n); }
std::string content_of(int n, int version) {
  return fmt::format("knock: 1\nnetworks:\n  office-{}: [198.51.{}.{}/32]\n", n,
                     (n / 256 + version) % 256, n % 256);
}

/// A repository and a folder with the same files, made once and removed at the end.
class World {
 public:
  World() : root_(fs::temp_directory_path() / fmt::format("knock-bench-{}", ::getpid())) {
    fs::create_directories(repository());
    git({"init", "--quiet", "--bare", "--initial-branch=main"}, "");
    commit(true);
    for (int n = 0; n < kFiles; ++n) write(n);
  }
  ~World() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  std::string repository() const { return (root_ / "policy.git").string(); }
  std::string folder() const { return (root_ / "policies").string(); }
  std::string fresh_state() { return (root_ / fmt::format("state{}", ++states_)).string(); }

  /// One file gets another content.
  void change_commit() {
    ++version_;
    commit(false);
  }
  void change_file() {
    ++version_;
    write(4711);
  }

 private:
  void git(std::vector<std::string> arguments, std::string input) const {
    net::Command command;
    command.argv = {"git"};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    command.directory = repository();
    command.environment = {{"HOME", repository()}, {"GIT_CONFIG_NOSYSTEM", "1"}};
    command.input = std::move(input);
    auto result = net::run(command, Deadline::in(Duration::minutes(2)));
    if (!result || result->exit_code != 0)
      throw std::runtime_error(result ? result->err : result.error().text());
  }
  void commit(bool all) {
    std::string stream = fmt::format(
        "commit refs/heads/main\ncommitter Bench <b@example.org> {} +0000\ndata 6\nchange\n",
        1'700'000'000 + version_);
    if (!all) stream += "from refs/heads/main^0\n";
    for (int n = all ? 0 : 4711; n < (all ? kFiles : 4712); ++n) {
      auto content = content_of(n, version_);
      stream +=
          fmt::format("M 100644 inline {}\ndata {}\n{}\n", path_of(n), content.size(), content);
    }
    git({"fast-import", "--quiet"}, stream + "done\n");
  }
  void write(int n) const {
    auto path = fs::path(folder()) / path_of(n);
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content_of(n, version_);
  }

  fs::path root_;
  int states_ = 0;
  int version_ = 0;
};

World& world() {
  static World one;
  return one;
}

template <class T>
T need(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text());
  return std::move(*result);
}

PolicySnapshot bring(PolicySource& source) {
  auto revision = need(source.poll(Deadline::in(Duration::minutes(1))));
  return need(source.read(revision));
}

void load(const PolicySnapshot& snapshot, PolicyCache& cache) {
  auto loaded = load_policy(snapshot.files, snapshot.revision, {}, &cache);
  if (!loaded.policy) throw std::runtime_error("the benchmark's policy is not valid");
  benchmark::DoNotOptimize(loaded);
}

std::unique_ptr<PolicySource> git_source() {
  return need(open_git_source({world().repository(), "main", world().fresh_state(), ""}));
}
std::unique_ptr<PolicySource> directory_source() {
  return need(open_directory_source(world().folder()));
}

void git_cold(benchmark::State& state) {
  for (auto _ : state) {
    auto source = git_source();
    PolicyCache cache;
    load(bring(*source), cache);
  }
}
BENCHMARK(git_cold)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(3);

void git_one_changed(benchmark::State& state) {
  auto source = git_source();
  PolicyCache cache;
  load(bring(*source), cache);
  for (auto _ : state) {
    state.PauseTiming();
    world().change_commit();
    state.ResumeTiming();
    load(bring(*source), cache);
  }
}
BENCHMARK(git_one_changed)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(30);

/// Its parts: the child that finds nothing new, the tree, the policy from cached files.
void git_poll_unchanged(benchmark::State& state) {
  auto source = git_source();
  (void)bring(*source);
  for (auto _ : state)
    benchmark::DoNotOptimize(need(source->poll(Deadline::in(Duration::minutes(1)))));
}
BENCHMARK(git_poll_unchanged)->Unit(benchmark::kMillisecond)->UseRealTime();

void git_read(benchmark::State& state) {
  auto source = git_source();
  auto revision = bring(*source).revision;
  for (auto _ : state) benchmark::DoNotOptimize(need(source->read(revision)));
}
BENCHMARK(git_read)->Unit(benchmark::kMillisecond);

void load_cached(benchmark::State& state) {
  auto source = git_source();
  auto snapshot = bring(*source);
  PolicyCache cache;
  load(snapshot, cache);
  for (auto _ : state) load(snapshot, cache);
}
BENCHMARK(load_cached)->Unit(benchmark::kMillisecond);

void directory_cold(benchmark::State& state) {
  for (auto _ : state) {
    auto source = directory_source();
    PolicyCache cache;
    load(bring(*source), cache);
  }
}
BENCHMARK(directory_cold)->Unit(benchmark::kMillisecond)->MinTime(3);

void directory_one_changed(benchmark::State& state) {
  auto source = directory_source();
  PolicyCache cache;
  load(bring(*source), cache);
  for (auto _ : state) {
    state.PauseTiming();
    world().change_file();
    state.ResumeTiming();
    load(bring(*source), cache);
  }
}
BENCHMARK(directory_one_changed)->Unit(benchmark::kMillisecond)->Iterations(30);

}  // namespace
}  // namespace knock

BENCHMARK_MAIN();
