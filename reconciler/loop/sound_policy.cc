// SPDX-License-Identifier: Apache-2.0
#include "reconciler/loop/sound_policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace knock {
namespace {

bool is_error(const Diagnostic& one) { return one.severity == Diagnostic::Severity::error; }

const Diagnostic* first_error(const Diagnostics& problems) {
  auto first = std::find_if(problems.begin(), problems.end(), is_error);
  return first == problems.end() ? nullptr : &*first;
}

std::string place_of(const Diagnostics& problems, const Diagnostic& first) {
  auto count = std::count_if(problems.begin(), problems.end(), is_error);
  return counted(std::size_t(count), "problem", "problems") + "; first: " + first.where.to_string();
}

}  // namespace

Status tests_hold(const Policy& policy, Instant now, Diagnostics& problems) {
  if (policy.tests.empty()) return {};
  auto failed = diagnostics_of(policy, check_policy(policy, now));
  if (failed.empty()) return {};
  problems.insert(problems.end(), failed.begin(), failed.end());
  sort_diagnostics(problems);
  return fail(ErrorKind::invalid, "the policy's tests fail");
}

Result<Policy> sound_policy(const std::vector<PolicyFile>& files, const PolicyRevision& revision,
                            const PolicyContext& context, Instant now, Diagnostics& problems,
                            PolicyCache* cache, std::optional<Instant> tested_at) {
  auto judged = context;
  judged.now = now;
  auto load = load_policy(files, revision, judged, cache);
  problems = std::move(load.diagnostics);
  if (!load.policy) return fail(ErrorKind::invalid, "the policy has errors");
  KNOCK_CHECK(tests_hold(*load.policy, tested_at.value_or(now), problems));
  return std::move(*load.policy);
}

std::vector<Finding> lacking(const std::vector<PolicyFile>& files, const PolicyRevision& revision,
                             const PolicyContext& context) {
  std::vector<Finding> out;
  for (const Diagnostic& problem : load_policy(files, revision, context).diagnostics)
    if (problem.id == "policy.no-surface")
      out.push_back({Finding::Level::warning, "plan.no-surface", TargetName(),
                     fmt::format("this policy would be refused, {}:{}: {}", problem.where.file,
                                 problem.where.line, problem.summary)});
  return out;
}

std::string first_of(const Diagnostics& problems) {
  const Diagnostic* first = first_error(problems);
  return first == nullptr ? "" : place_of(problems, *first) + ": " + first->summary;
}

std::string place_of_first(const Diagnostics& problems) {
  const Diagnostic* first = first_error(problems);
  return first == nullptr ? "" : place_of(problems, *first) + " [" + first->id + "]";
}

}  // namespace knock
