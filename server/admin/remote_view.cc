// SPDX-License-Identifier: Apache-2.0
#include "server/admin/remote_view.h"

#include <boost/json.hpp>

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

std::string problem_text(const std::string& problem, View view) {
  if (problem.empty() || view == View::full) return problem;
  return view == View::people ? without_addresses(problem)
                              : "it cannot be read or changed; the controller's log says why";
}

}  // namespace

View widest_view(const KeyHolder& holder) {
  if (holder.has(KeyScope::audit_read)) return View::full;
  return holder.has(KeyScope::plan_people) ? View::people : View::shape;
}

ControllerStatus as_seen(ControllerStatus status, View view) {
  if (view == View::full) return status;
  for (TargetStatus& target : status.targets) {
    target.problem = problem_text(target.problem, view);
    for (Finding& finding : target.findings) finding.sentence = sentence_text(finding, view);
    for (GuardTrip& guard : target.guards)
      for (std::string* text : {&guard.figure, &guard.limit}) *text = without_addresses(*text);
  }
  status.policy.problem = without_addresses(status.policy.problem);
  status.not_ready_because = without_addresses(status.not_ready_because);
  if (view == View::shape) {
    status.policy.author.clear();
    if (status.policy.waiting) status.policy.waiting->author.clear();
    if (status.policy.hold) status.policy.hold->by = status.policy.hold->reason = "";
    status.remarks.clear();
  }
  return status;
}

std::string without_address_members(const std::string& document) {
  auto value = boost::json::parse(document);
  take_addresses_out(value);
  return boost::json::serialize(value) + "\n";
}

}  // namespace knock
