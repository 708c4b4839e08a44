// SPDX-License-Identifier: Apache-2.0
#include "server/admin/remote_view.h"

#include <boost/json.hpp>

#include "base/text.h"
#include "reconciler/loop/sound_policy.h"
#include "schemas/refusal_id.h"

namespace knock {
namespace {

void take_addresses_out(boost::json::value& value) {
  if (auto* object = value.if_object()) {
    object->erase("address");
    for (auto& member : *object) take_addresses_out(member.value());
  } else if (auto* array = value.if_array()) {
    for (auto& item : *array) take_addresses_out(item);
  }
}

std::string policy_problem(const std::string& problem, const Diagnostics& refused, View view) {
  if (problem.empty() || view == View::full) return problem;
  if (view == View::people) return without_addresses(problem);
  if (auto place = place_of_first(refused); !place.empty())
    return "the newest policy is refused: " + place;
  if (auto id = refusal_id(problem); !id.empty())
    return "the newest policy is refused: " + std::string(id);
  return "the newest policy cannot be read; the controller's log says why";
}

/// A number of a pull request and ids are ours to say; the rest of a message may be a stranger's.
std::string changes_problem(const std::string& problem, View view) {
  if (problem.empty() || view == View::full) return problem;
  if (view == View::people) return without_addresses(problem);
  auto id = refusal_id(problem);
  return (id.empty() ? "" : std::string(id) + "; ") + "the controller's log says why";
}

constexpr std::string_view kNoPolicy = "no policy is in force";

}  // namespace

View widest_view(const KeyHolder& holder) {
  if (holder.has(KeyScope::audit_read)) return View::full;
  return holder.has(KeyScope::plan_people) ? View::people : View::shape;
}

std::string problem_text(const std::string& problem, View view) {
  if (problem.empty() || view == View::full) return problem;
  return view == View::people ? without_addresses(problem)
                              : "not as it should be; the controller's log says why";
}

ControllerStatus as_seen(ControllerStatus status, const Diagnostics& refused, View view) {
  if (view == View::full) return status;
  for (TargetStatus& target : status.targets) {
    target.problem = problem_text(target.problem, view);
    target.rejected_why = problem_text(target.rejected_why, view);
    if (target.pause && view == View::shape) target.pause->by = target.pause->reason = "";
    for (Finding& finding : target.findings) finding.sentence = sentence_text(finding, view);
    for (GuardTrip& guard : target.guards) {
      if (view == View::shape && guard.guard == "operator")
        guard.figure = "this would cut an operator who is signed in now";
      for (std::string* text : {&guard.figure, &guard.limit}) *text = without_addresses(*text);
    }
    if (target.confirmation) {
      target.confirmation->what.plan.clear();  // whoever may confirm asks the admin socket
      target.confirmation->problem = problem_text(target.confirmation->problem, view);
    }
  }
  status.policy.problem = policy_problem(status.policy.problem, refused, view);
  if (status.changes) status.changes->problem = changes_problem(status.changes->problem, view);
  status.not_ready_because = without_addresses(status.not_ready_because);
  if (view == View::shape) {
    // Behind it stands why.
    if (status.not_ready_because.starts_with(kNoPolicy)) status.not_ready_because = kNoPolicy;
    status.policy.author.clear();
    if (status.policy.waiting) status.policy.waiting->author.clear();
    if (status.policy.hold) status.policy.hold->by = status.policy.hold->reason = "";
    status.remarks.clear();
  }
  return status;
}

Diagnostics as_seen(Diagnostics problems, View view) {
  if (view == View::full) return problems;
  for (Diagnostic& one : problems) {
    bool words = view == View::people;
    one.summary = words ? without_addresses(one.summary)
                        : "what is wrong here can name people; a key with plan:people shows it";
    one.suggestion = words ? without_addresses(one.suggestion) : "";
    one.line_text.clear();
  }
  return problems;
}

Error as_seen(Error error, View view) {
  if (view == View::full) return error;
  error.message = without_addresses(error.message);
  if (view == View::shape) error.context.clear();
  for (std::string& layer : error.context) layer = without_addresses(layer);
  return error;
}

std::string without_address_members(const std::string& document) {
  auto value = boost::json::parse(document);
  take_addresses_out(value);
  return boost::json::serialize(value) + "\n";
}

}  // namespace knock
