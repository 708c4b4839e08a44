// SPDX-License-Identifier: Apache-2.0
// Working without a running controller: configuration, policy and store are opened here. Reading
// commands open the store read-only; writing ones take its lock, and exit 7 when a controller holds
// it.
#pragma once

#include <memory>
#include <optional>

#include "base/random.h"
#include "cli/command.h"
#include "reconciler/interfaces/fact_store.h"
#include "reconciler/interfaces/policy_source.h"
#include "reconciler/loop/planner.h"
#include "schemas/policy/load.h"

namespace knock::cli {

/// Where policy comes from on the command line: a directory, or a repository at a ref; else what
/// the configuration says.
struct PolicyFlags {
  std::string directory, repository, ref;
  void add_to(CLI::App& command);
  bool given() const { return !directory.empty() || !repository.empty(); }
  std::string not_a_policy() const;  // not_a_policy_folder(directory)
};

Result<std::unique_ptr<PolicySource>> policy_source(const PolicyLocation& location,
                                                    const Config& config);
/// So that new commits are judged from the policy in force: what `require_signed` asks of them, and
/// that they follow from it.
void tell_in_force(PolicySource& source, const FactStore& store);
/// The same by a store that is opened for this alone; none yet is fine.
void tell_in_force(PolicySource& source, const Config& config);
PolicyLocation location_of(const PolicyFlags& flags, const Config& config);

struct LoadedPolicy {
  PolicySnapshot snapshot;
  Policy policy;
};
/// Reads, loads and prints diagnostics to standard error; nothing when there are errors (said
/// already).
std::optional<LoadedPolicy> load_or_say(PolicySource& source, const PolicyContext& context,
                                        int& exit_code);

/// True when the policy's own tests hold; else says on standard error which do not.
bool tests_hold_or_say(const Policy& policy, Instant now, int& exit_code);

/// Reads a directory without any configuration (validate).
Result<std::unique_ptr<PolicySource>> directory_source(const std::string& path);

Result<std::unique_ptr<FactStore>> open_store(const Config& config, bool writing, Random& random);

/// The last policy the store says is in force, loaded; null when there is none.
std::shared_ptr<const Policy> policy_in_force(const FactStore& store, const PolicyContext& context);

}  // namespace knock::cli
