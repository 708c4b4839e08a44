// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/confirm.h"

#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

Policy revision(const std::string& name, const std::string& confirm) {
  auto policy = policy_of("targets: {edge: {type: nftables}, inner: {type: nftables, table: k}}\n" +
                          (confirm.empty() ? "" : "guards: {confirm: " + confirm + "}\n"));
  policy.revision = PolicyRevision(name);
  return policy;
}

TargetPlan plan_with(Reason reason, Action action = Action::remove) {
  TargetPlan plan;
  plan.target = kTarget;
  plan.changes.push_back(entry(action, reason, "192.0.2.1"));
  return plan;
}

const std::string kEdge = "{targets: [edge], within: 5m, probe: controller-reach}";

TEST(Confirm, WhatAsksForAConfirmation) {
  auto with = revision("b", kEdge), before = revision("a", "");
  auto elsewhere = revision("b", "{targets: [inner], within: 5m}");
  auto due = [&](const Policy& planned, const Policy* old, const TargetPlan& plan) {
    return due_confirmation(plan, planned, old, std::nullopt, kNow).has_value();
  };
  EXPECT_TRUE(due(with, &before, plan_with(Reason::policy)));
  EXPECT_TRUE(due(with, &before, plan_with(Reason::policy, Action::protect)));
  for (Reason reason : {Reason::expiry, Reason::sign_out, Reason::revoked, Reason::denied,
                        Reason::limited, Reason::drift, Reason::sign_in, Reason::fixed})
    EXPECT_FALSE(due(with, &before, plan_with(reason))) << to_string(reason);
  EXPECT_FALSE(due(with, &before, plan_with(Reason::policy, Action::report)));
  EXPECT_FALSE(due(with, nullptr, plan_with(Reason::policy))) << "there is nothing to return to";
  EXPECT_FALSE(due(with, &with, plan_with(Reason::policy))) << "nor by the same policy";
  EXPECT_FALSE(due(elsewhere, &before, plan_with(Reason::policy)));
  auto asked = revision("a", kEdge), silent = revision("b", "");
  EXPECT_TRUE(due(silent, &asked, plan_with(Reason::policy)))
      << "no commit spares itself the question";
}

TEST(Confirm, TheLastConfirmedPolicyIsReturnedTo) {
  auto a = revision("a", kEdge), b = revision("b", kEdge), c = revision("c", kEdge);
  auto plan = plan_with(Reason::policy);
  auto first = due_confirmation(plan, b, &a, std::nullopt, kNow);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->previous, a.revision);
  EXPECT_EQ(first->policy, b.revision);
  EXPECT_EQ(first->due, kNow + Duration::minutes(5));
  EXPECT_FALSE(is_over(*first, kNow + Duration::seconds(299)));
  EXPECT_TRUE(is_over(*first, kNow + Duration::seconds(300)));
  auto second = due_confirmation(plan, c, &b, first, kNow + Duration::minutes(1));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->previous, a.revision) << "b was never confirmed";
  EXPECT_EQ(second->due, kNow + Duration::minutes(6));
  first->state = Confirmation::State::returned;
  EXPECT_FALSE(is_over(*first, kNow + Duration::hours(1)));
  EXPECT_EQ(due_confirmation(plan, c, &b, first, kNow)->previous, b.revision);
}

TEST(Confirm, AnIdNamesOneAndARevisionAll) {
  Confirmation one{kTarget, PolicyRevision("8d01b7e4"), PolicyRevision("a"),
                   kNow,    "0123456789abcdef",         Confirmation::State::due};
  EXPECT_TRUE(names_confirmation("0123456789abcdef", one));
  EXPECT_TRUE(names_confirmation("0123456789ab", one));
  EXPECT_FALSE(names_confirmation("0123456789a", one)) << "too short";
  EXPECT_FALSE(names_confirmation("0123456789abcdef0", one));
  EXPECT_FALSE(names_confirmation("", one));
  EXPECT_TRUE(names_confirmation("8d01b7e", one));
  EXPECT_FALSE(names_confirmation("8d01b7", one));
  one.state = Confirmation::State::returned;
  EXPECT_FALSE(names_confirmation("0123456789abcdef", one)) << "it is too late";
}

}  // namespace
}  // namespace knock::test
