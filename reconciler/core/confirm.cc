// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/confirm.h"

#include <algorithm>

#include "reconciler/core/plan.h"

namespace knock {
namespace {

constexpr std::size_t kLeastOfId = 12, kLeastOfRevision = 7;

const GuardLimits::Confirm* asked_by(const Policy& policy, const TargetName& target) {
  const auto& confirm = policy.guards.confirm;
  bool asks =
      confirm && std::binary_search(confirm->targets.begin(), confirm->targets.end(), target);
  return asks ? &*confirm : nullptr;
}

}  // namespace

const GuardLimits::Confirm* confirm_on(const TargetName& target, const Policy& planned,
                                       const Policy* before) {
  if (const auto* confirm = asked_by(planned, target)) return confirm;
  return before != nullptr ? asked_by(*before, target) : nullptr;
}

bool changes_by_policy(const TargetPlan& plan) {
  return std::any_of(plan.changes.begin(), plan.changes.end(), [](const Change& change) {
    return change.action != Action::report && change.reason == Reason::policy;
  });
}

std::optional<Confirmation> due_confirmation(const TargetPlan& plan, const Policy& planned,
                                             const Policy* before,
                                             const std::optional<Confirmation>& now_due,
                                             Instant now) {
  if (before == nullptr || before->revision == planned.revision || !changes_by_policy(plan))
    return std::nullopt;
  const auto* confirm = confirm_on(plan.target, planned, before);
  if (confirm == nullptr) return std::nullopt;
  bool waits = now_due && now_due->state == Confirmation::State::due;
  Confirmation out;
  out.target = plan.target;
  out.policy = planned.revision;
  out.previous = waits ? now_due->previous : before->revision;
  out.due = now + confirm->within;
  out.plan = to_hex(plan_id(planned.revision, {&plan, 1}));
  return out;
}

Policy returned_policy(const Policy& previous, const Policy& taken_back) {
  Policy out = previous;
  // No name of a policy begins like this, so none is taken for another.
  auto theirs = [](auto name) {
    name.value.insert(0, "~");
    return name;
  };
  for (Group group : taken_back.groups) {
    // Grants name groups by their names in the policy.
    if (previous.group(group.name) == nullptr) out.groups.push_back(group);
    group.name = theirs(group.name);
    out.groups.push_back(std::move(group));
  }
  for (Network network : taken_back.networks) {
    network.name = theirs(network.name);
    out.networks.push_back(std::move(network));
  }
  for (DenyRule rule : taken_back.deny) {
    rule.name = theirs(rule.name);
    auto who = rule.who;
    for (auto& name : rule.who) name = theirs(name);
    rule.who.insert(rule.who.end(), who.begin(), who.end());
    std::sort(rule.who.begin(), rule.who.end());
    for (auto* names : {&rule.from.in, &rule.from.not_in})
      for (auto& name : *names) name = theirs(name);
    std::erase_if(rule.to, [&](const ServiceName& name) { return out.service(name) == nullptr; });
    if (!rule.to.empty()) out.deny.push_back(std::move(rule));
  }
  auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
  std::sort(out.groups.begin(), out.groups.end(), by_name);
  std::sort(out.networks.begin(), out.networks.end(), by_name);
  std::sort(out.deny.begin(), out.deny.end(), by_name);
  return out;
}

bool is_over(const Confirmation& confirmation, Instant now) {
  return confirmation.state == Confirmation::State::due && confirmation.due <= now;
}

bool names_confirmation(std::string_view written, const Confirmation& confirmation) {
  if (confirmation.state != Confirmation::State::due) return false;
  return (written.size() >= kLeastOfId && confirmation.plan.starts_with(written)) ||
         (written.size() >= kLeastOfRevision && confirmation.policy.value.starts_with(written));
}

}  // namespace knock
