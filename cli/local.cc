// SPDX-License-Identifier: Apache-2.0
#include "cli/local.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/policy_paths.h"
#include "reconciler/loop/sound_policy.h"
#include "store/directory/directory_source.h"
#include "store/git/git_source.h"
#include "store/sqlite/sqlite_store.h"
#include "store/tzdata/system_zones.h"

namespace knock::cli {

void PolicyFlags::add_to(CLI::App& command) {
  auto* dir = command.add_option("--policy", directory, "A directory of policy files");
  auto* repo = command.add_option("--repo", repository, "A Git repository with policy files");
  command.add_option("--ref", ref, "Branch of --repo (main); a tag as refs/tags/NAME")->needs(repo);
  repo->excludes(dir);
}

std::string PolicyFlags::not_a_policy() const {
  return directory.empty() ? "" : not_a_policy_folder(directory);
}

PolicyLocation location_of(const PolicyFlags& flags, const Config& config) {
  PolicyLocation out = config.policy;
  if (!flags.directory.empty()) out = {flags.directory, "", "", config.policy.poll};
  if (!flags.repository.empty())
    out = {"", flags.repository, flags.ref.empty() ? "main" : flags.ref, config.policy.poll};
  return out;
}

Result<std::unique_ptr<PolicySource>> directory_source(const std::string& path) {
  return open_directory_source(path);
}

Result<std::unique_ptr<PolicySource>> policy_source(const PolicyLocation& location,
                                                    const Config& config) {
  for (const Window& window : location.advance.window)
    if (auto zone = system_zones()->zone(window.tz); !zone)
      return fail(ErrorKind::invalid, "`advance: {window: …}` of the configuration: time zone " +
                                          window.tz + ": " + zone.error().text());
  if (!location.directory.empty()) return open_directory_source(location.directory);
  if (location.repository.empty())
    return fail(ErrorKind::invalid,
                "no policy is named: --policy DIR, --repo URL, or `policy:` in the configuration");
  auto state = std::filesystem::path(config.store_path()).parent_path() / "policy.git";
  GitSourceOptions options{location.repository, location.ref, state.string(), "",
                           location.require_signed};
  options.pulls = location.pulls;
  return open_git_source(std::move(options));
}

void tell_in_force(PolicySource& source, const FactStore& store) {
  if (auto adopted = store.adopted_policy(); adopted && *adopted)
    source.in_force((*adopted)->revision);
}

void tell_in_force(PolicySource& source, const Config& config) {
  SystemRandom random;
  if (auto store = open_store(config, false, random)) tell_in_force(source, **store);
}

std::optional<LoadedPolicy> load_or_say(PolicySource& source, const PolicyContext& context,
                                        int& exit_code) {
  auto revision = source.poll(Deadline::in(Duration::seconds(60)));
  Result<PolicySnapshot> snapshot =
      revision ? source.read(*revision) : Result<PolicySnapshot>(fail(revision.error()));
  if (!snapshot) {
    exit_code = fail_with(kError, snapshot.error().text());
    return std::nullopt;
  }
  auto load = load_policy(snapshot->files, snapshot->revision, context);
  if (!load.diagnostics.empty()) fmt::print(stderr, "{}", to_text(load.diagnostics));
  if (!load.policy) {
    exit_code = fail_with(kPolicyInvalid, "the policy is not valid; nothing was done");
    return std::nullopt;
  }
  return LoadedPolicy{std::move(*snapshot), std::move(*load.policy)};
}

bool tests_hold_or_say(const Policy& policy, Instant now, int& exit_code) {
  Diagnostics problems;
  auto held = tests_hold(policy, now, problems);
  if (held) return true;
  fmt::print(stderr, "{}", to_text(problems));
  exit_code = fail_with(kPolicyInvalid, held.error().message + "; nothing was done");
  return false;
}

Result<std::unique_ptr<FactStore>> open_store(const Config& config, bool writing, Random& random) {
  return open_sqlite(config.store_path(),
                     writing ? SqliteMode::create_or_open : SqliteMode::read_only, random);
}

std::shared_ptr<const Policy> policy_in_force(const FactStore& store,
                                              const PolicyContext& context) {
  auto adopted = store.adopted_policy();
  if (!adopted || !*adopted) return nullptr;
  auto load = load_policy((*adopted)->files, (*adopted)->revision, context);
  if (!load.policy) return nullptr;
  return std::make_shared<const Policy>(std::move(*load.policy));
}

}  // namespace knock::cli
