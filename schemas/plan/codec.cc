// SPDX-License-Identifier: Apache-2.0
#include "schemas/plan/codec.h"

#include "schemas/plan/change_codec.h"
#include "schemas/plan/plan_parts.h"

namespace knock {
namespace {

template <class Range, class WriteOne>
void write_list(JsonWriter& out, std::string_view key, const Range& range, WriteOne write_one) {
  out.key(key).begin_list();
  for (const auto& one : range) write_one(out, one);
  out.end_list();
}

void write_target_with_changes(JsonWriter& out, const TargetPlan& target) {
  out.begin_object();
  write_target_members(out, target);
  write_list(out, "changes", target.changes, write_change);
  write_list(out, "held", target.held, write_change);
  write_list(out, "findings", target.findings, write_finding);
  out.end_object();
}

}  // namespace

void write_json(const Plan& plan, const Write& out) {
  JsonWriter json(out);
  json.begin_object().text("knock_plan", kPlanVersion);
  write_plan_members(json, plan);
  json.flag("empty", plan.empty());
  write_list(json, "people", plan.people, write_person);
  write_list(json, "targets", plan.targets, write_target_with_changes);
  write_list(json, "findings", plan.findings, write_finding);
  write_list(json, "guards", plan.guards, write_guard);
  json.end_object().newline().flush();
}

}  // namespace knock
