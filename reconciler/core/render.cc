// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/render.h"

#include <fmt/format.h>

#include <vector>

#include "base/text.h"
#include "reconciler/core/render_words.h"

namespace knock {
namespace {

/// "3 people gain, 1 loses"; nothing when nobody does.
std::string people_summary(const PlanCounts& counts) {
  std::vector<std::string> parts;
  auto at_least = [](bool complete) { return complete ? "" : "at least "; };
  if (counts.gain > 0)
    parts.push_back(at_least(counts.gain_complete) + counted(counts.gain, "person", "people") +
                    (counts.gain == 1 ? " gains" : " gain"));
  if (counts.lose > 0)
    parts.push_back(at_least(counts.lose_complete) +
                    (counts.gain == 0 ? counted(counts.lose, "person", "people")
                                      : std::to_string(counts.lose)) +
                    (counts.lose == 1 ? " loses" : " lose"));
  return join(parts, ", ");
}

}  // namespace

std::string summary(const Plan& plan) {
  auto counts = counts_of(plan);
  std::vector<std::string> parts;
  auto part = [&](std::size_t n, std::string_view words) {
    if (n > 0) parts.push_back(fmt::format("{} {}", n, words));
  };
  part(counts.add, "to add");
  part(counts.extend, "to extend");
  part(counts.shorten, "to shorten");
  part(counts.remove, "to remove");
  part(counts.protect, "to protect");
  part(counts.unprotect, "to unprotect");
  part(counts.structure, "to reshape");
  std::string out = parts.empty() ? "Plan: nothing to do"
                                  : fmt::format("Plan: {} on {}", join(parts, ", "),
                                                counted(counts.changed, "target", "targets"));
  if (auto people = people_summary(counts); !people.empty()) out += "; " + people;
  if (counts.unreadable > 0)
    out += fmt::format("; {} not read", counted(counts.unreadable, "target", "targets"));
  if (counts.held > 0)
    out += fmt::format("; {} held back", counted(counts.held, "change", "changes"));
  return out + fmt::format("; {} tripped.   hash {}",
                           counted(plan.guards.size(), "guard", "guards"), short_id(plan));
}

std::string to_text(const Plan& plan, const RenderOptions& options) {
  std::string out;
  write_text(plan, options, [&](std::string_view piece) { out += piece; });
  return out;
}

}  // namespace knock
