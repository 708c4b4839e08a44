// SPDX-License-Identifier: Apache-2.0
#include "schemas/plan/codec.h"

#include "schemas/plan/change_codec.h"
#include "schemas/plan/plan_parts.h"
#include "schemas/plan/policy_part.h"

namespace knock {
namespace {

template <class Range, class WriteOne>
void write_list(JsonWriter& out, std::string_view key, const Range& range, WriteOne write_one) {
  out.key(key).begin_list();
  for (const auto& one : range) write_one(out, one);
  out.end_list();
}

class Document {
 public:
  Document(const Write& out, View view) : json_(out), view_(view) {}

  void plan(const Plan& plan) {
    json_.begin_object().text("knock_plan", kPlanVersion).text("view", to_string(view_));
    write_plan_members(json_, plan);
    bool shape = view_ == View::shape;
    json_.flag("empty", plan.empty() && (!shape || plan.edits.empty()));
    if (shape) json_.text("left_out", kLeftOut);
    list("edits", plan.edits, write_edit);
    write_list(json_, "figures", plan.figures, write_figure);
    personal("people", plan.people, write_person);
    personal("cuts", plan.cuts, write_cut);
    json_.key("targets").begin_list();
    for (const TargetPlan& one : plan.targets) target(one);
    json_.end_list();
    list("findings", plan.findings, write_finding);
    list("guards", plan.guards, write_guard);
    json_.end_object().newline().flush();
  }

 private:
  template <class Range, class WriteOne>
  void list(std::string_view key, const Range& range, WriteOne write_one) {
    write_list(json_, key, range,
               [&](JsonWriter& out, const auto& one) { write_one(out, one, view_); });
  }
  /// Rows about one person or one address: a shape has none.
  template <class Range, class WriteOne>
  void personal(std::string_view key, const Range& range, WriteOne write_one) {
    if (view_ == View::shape)
      json_.key(key).begin_list().end_list();
    else
      list(key, range, write_one);
  }
  void target(const TargetPlan& target) {
    json_.begin_object();
    write_target_members(json_, target, view_);
    json_.key("counts");
    write_counts(json_, target);
    personal("changes", target.changes, write_change);
    personal("held", target.held, write_change);
    list("findings", target.findings, write_finding);
    json_.end_object();
  }

  JsonWriter json_;
  View view_;
};

}  // namespace

void write_json(const Plan& plan, const Write& out, View view) {
  if (view == View::shape)
    Document(out, view).plan(policy_part(plan));
  else
    Document(out, view).plan(plan);
}

}  // namespace knock
