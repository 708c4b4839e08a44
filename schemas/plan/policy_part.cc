// SPDX-License-Identifier: Apache-2.0
#include "schemas/plan/policy_part.h"

#include <algorithm>
#include <array>

namespace knock {
namespace {

/// Said of a policy, or of a target whoever is signed in.
constexpr std::array<std::string_view, 7> kFindings{
    "plan.behind",         "plan.local",  "plan.no-surface", "plan.not-signed",
    "plan.too-many-rules", "target.gone", "target.not-read"};

std::vector<Finding> findings_of(const std::vector<Finding>& findings) {
  std::vector<Finding> out;
  for (const Finding& finding : findings)
    if (std::find(kFindings.begin(), kFindings.end(), finding.id) != kFindings.end())
      out.push_back(finding);
  return out;
}

TargetPlan part_of(const TargetPlan& target) {
  TargetPlan out;
  out.target = target.target;
  out.type = target.type;
  out.readable = target.readable;
  out.unreadable_because = target.unreadable_because;
  out.findings = findings_of(target.findings);
  // Whether a guard holds one of them back can depend on entries.
  for (const auto* changes : {&target.changes, &target.held})
    for (const Change& change : *changes)
      if (change.action == Action::protect || change.action == Action::unprotect)
        out.changes.push_back(change);
  return out;
}

}  // namespace

Plan policy_part(const Plan& plan) {
  Plan out;
  out.from = plan.from;
  out.to = plan.to;
  out.sequence = plan.sequence;
  out.as_of = plan.as_of;
  out.scope = plan.scope;
  out.edits = plan.edits;
  out.findings = findings_of(plan.findings);
  for (const PeopleFigure& figure : plan.figures) {
    if (figure.unlisted.empty()) continue;
    PeopleFigure& kept = out.figures.emplace_back();
    kept.gains = figure.gains;
    kept.service = figure.service;
    kept.rule = figure.rule;
    kept.origin = figure.origin;
    kept.unlisted = figure.unlisted;
  }
  for (const TargetPlan& target : plan.targets) out.targets.push_back(part_of(target));
  return out;
}

}  // namespace knock
