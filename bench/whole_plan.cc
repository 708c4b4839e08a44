// SPDX-License-Identifier: Apache-2.0
// A whole plan, from the files of a policy to the plan, and the core's part alone; with the time and
// the memory that each takes beyond its input.
//
//   whole     10,000 rules, 1,000 services, 100 targets in 100 files: loaded and validated, its tests
//             judged, and planned against the targets and people of the policy in force, of which one
//             rule in a hundred differs. Twice: the second time half of the rules count addresses
//   one       one target: so many entries wanted against so many observed and recorded (worlds.h)
//
// Every row runs in a process of its own, so that one row's peak is not another's. "Beyond" is the
// highest resident size while it ran, less what was resident before.
#include <fmt/format.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>

#include "base/text.h"
#include "bench/worlds.h"
#include "reconciler/core/policy_check.h"
#include "reconciler/loop/planner.h"
#include "schemas/policy/load.h"
#include "tests/support/model_target.h"

namespace knock::bench {
namespace {

/// A line of /proc/self/status, in MiB.
double status_mib(std::string_view name) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name)) continue;
    std::size_t kib = 0;
    auto first = line.find_first_of("0123456789");
    std::from_chars(line.data() + first, line.data() + line.size(), kib);
    return double(kib) / 1024;
  }
  return 0;
}

struct Cost {
  double ms = 0, beyond = 0, peak = 0;
};

/// Two runs: the first for the memory, on a heap that was given back; the second, of which most
/// pages are there already, for the time.
template <class Work>
Cost cost_of(Work&& work) {
  Cost out;
  malloc_trim(0);
  if (std::ofstream reset("/proc/self/clear_refs"); reset) reset << "5";
  auto before = status_mib("VmRSS");
  work();
  out.peak = status_mib("VmHWM");
  out.beyond = out.peak - before;
  auto begin = std::chrono::steady_clock::now();
  work();
  out.ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  return out;
}

/// In a process of its own.
void row(auto&& run) {
  std::fflush(nullptr);
  pid_t child = fork();
  if (child == 0) {
    run();
    std::fflush(nullptr);
    _exit(EXIT_SUCCESS);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
    fmt::print(stderr, "whole_plan: a row ended with status {}\n", status);
    std::exit(EXIT_FAILURE);
  }
}

// ---- one target

std::string_view name_of(Case which) {
  switch (which) {
    case Case::steady:
      return "nothing other";
    case Case::a_tenth:
      return "a tenth other";
    case Case::half:
      return "half other";
    case Case::everything:
      return "all other";
    case Case::reshaped:
      return "reshaped";
  }
  return "";
}

void one_target(std::uint32_t entries, Case which) {
  OneTarget world(entries, which);
  std::size_t changes = 0;
  auto cost = cost_of([&] {
    auto out = world.plan();
    changes = out.plan.changes.size() + out.plan.held.size();
  });
  fmt::print(
      "one    {:>9} entries   {:<14} {:>9} changes  {:>8.1f} ms  {:>6.0f} ns an entry  "
      "{:>6.1f} MiB beyond\n",
      entries, name_of(which), changes, cost.ms, cost.ms * 1e6 / entries, cost.beyond);
}

// ---- the whole

/// Each section in files of 100 elements, as many people would keep it.
std::vector<PolicyFile> files_of(const Policy& policy) {
  std::vector<PolicyFile> out;
  std::string section;
  std::size_t elements = 0;
  auto text = to_yaml(policy);
  for (auto line : split(text, '\n')) {
    if (line.empty() || line.starts_with("knock:")) continue;
    if (line[0] != ' ') {
      section = line;
      elements = 0;
      continue;
    }
    if (elements++ % 100 == 0)
      out.push_back({fmt::format("{:04}.yaml", out.size()), "knock: 1\n" + section + "\n", ""});
    out.back().content += std::string(line) + "\n";
  }
  return out;
}

/// What no two targets and no wide network may lack; and a test of each kind for every tenth
/// service.
Policy sound(Policy policy) {
  for (std::size_t i = 0; i < policy.targets.size(); ++i)
    std::get<NftablesSettings>(policy.targets[i].settings).table = fmt::format("k{}", i);
  for (Network& network : policy.networks)
    for (NetworkPrefix& prefix : network.prefixes) prefix.any = true;
  for (std::size_t i = 0; i < policy.services.size(); i += 10) {
    PolicyTest never;
    never.kind = PolicyTest::Kind::never;
    never.as.groups = std::vector{policy.groups[(i + 7) % policy.groups.size()].name};
    never.as.ip = Prefix::parse("192.0.2.1");
    never.can = {policy.services[(i + 3) % policy.services.size()].name};
    policy.tests.push_back(never);
  }
  return policy;
}

/// A target that holds everything as it is.
class Place final : public Provider {
 public:
  Capabilities capabilities() const override { return test::ModelTarget().capabilities(); }
  Canonical canonicalize(const Allowlist& desired) const override {
    return test::ModelTarget().canonicalize(desired);
  }
  Result<Observed> observe(Deadline) override { return observed; }
  Result<Outcome> apply(const TargetPlan&, const Structure&, Instant, Deadline) override {
    return fail(ErrorKind::unsupported, "nothing is applied here");
  }

  void hold(const Allowlist& list) {
    auto wanted = canonicalize(list);
    observed.exists = true;
    observed.at = kNow;
    observed.structure = wanted.structure;
    for (const Slot& slot : wanted.slots) {
      ObservedSlot seen{slot.name, {}};
      for (const Item& item : slot.items) {
        seen.items.push_back({item.prefix, true, item.until, item.until - kNow, "", ""});
        applied.push_back({list.target, slot.name, item.prefix, item.until, kNow,
                           PolicyRevision("before"), item.causes, 0});
      }
      observed.slots.push_back(std::move(seen));
    }
  }

  Observed observed;
  std::vector<AppliedEntry> applied;
};

void whole(std::uint32_t people, bool counting) {
  Large large(people, counting);
  const Policy in_force = sound(large.policy);
  Policy next = in_force;
  for (std::size_t i = 2; i < next.allow.size(); i += 100)
    next.allow[i].who = {next.groups[(i + 1) % next.groups.size()].name};
  const auto files = files_of(next);
  std::map<TargetName, Place> places;
  for (const Allowlist& list : evaluate({in_force, large.sessions, kNow, {}}))
    places[list.target].hold(list);
  const SignInName sources[] = {SignInName("corp")};

  double loading = 0, testing = 0, planning = 0;
  std::size_t changes = 0, entries = 0, gains = 0;
  auto timed = [](double& ms, auto&& work) {
    auto begin = std::chrono::steady_clock::now();
    auto out = work();
    ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    return out;
  };
  auto cost = cost_of([&] {
    PolicyContext context{{SignInName("corp")}, true};
    auto loaded =
        timed(loading, [&] { return load_policy(files, PolicyRevision("next"), context); });
    if (!loaded.policy) {
      fmt::print(stderr, "{}", to_text(loaded.diagnostics));
      std::exit(EXIT_FAILURE);
    }
    // Most of these `never` fail or pass, which is all the same here.
    auto check = timed(testing, [&] { return check_policy(*loaded.policy, kNow); });
    auto plan = timed(planning, [&] {
      PlannerInput input{
          *loaded.policy, &in_force, large.sessions, {}, {}, kNow, 1, {}, {}, {}, {}, {}};
      input.sources = sources;
      input.ended = [](const SessionId&) { return std::optional<EndCause>(); };
      input.applied = [&](const TargetName& name) { return places[name].applied; };
      input.observe = [&](const Target& target) {
        return Result<Observed>(places[target.name].observed);
      };
      input.provider = [&](const Target& target) -> Provider* { return &places[target.name]; };
      return make_plan(input);
    });
    changes = entries = 0;
    for (const TargetPlan& target : plan.targets) {
      changes += target.changes.size() + target.held.size();
      entries += target.owned;
    }
    gains = plan.people.size();
    if (check.results.size() != loaded.policy->tests.size()) std::exit(EXIT_FAILURE);
  });
  fmt::print(
      "whole  {:>9} sessions{}  {} files, {} entries, {} changes, {} people concerned: load "
      "{:.0f}, "
      "test {:.0f}, plan {:.0f}; together {:.0f} ms, {:.1f} MiB beyond, {:.1f} MiB in all\n",
      people, counting ? ", half the rules count" : "", files.size(), entries, changes, gains,
      loading, testing, planning, cost.ms, cost.beyond, cost.peak);
}

}  // namespace
}  // namespace knock::bench

int main() {
  using namespace knock::bench;
  for (std::uint32_t people : {1'000U, 10'000U, 100'000U})
    for (bool counting : {false, true}) row([&] { whole(people, counting); });
  for (Case which : {Case::steady, Case::a_tenth, Case::half, Case::everything})
    for (std::uint32_t entries : {10'000U, 100'000U, 1'000'000U})
      row([&] { one_target(entries, which); });
  return EXIT_SUCCESS;
}
