// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/plan.h"

#include <fmt/format.h>

#include "reconciler/core/cost.h"
#include "reconciler/core/marker.h"
#include "tests/support/model_target.h"
#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

const std::string& kPolicy = kStaffMayReachSsh;

std::string findings_of(const TargetPlan& plan) {
  std::string out;
  for (const Finding& finding : plan.findings)
    out += finding.id + " " + finding.target.value + "\n";
  return out;
}

/// One target and its policy, in force and planned.
struct Scene {
  Policy planned = policy_of(kPolicy);
  std::optional<Policy> in_force = std::nullopt;
  std::vector<Session> sessions = {};
  std::vector<Prefix> keep = prefixes({"203.0.113.0/28"});
  ModelTarget model = {};
  std::vector<AppliedEntry> applied = {};
  Instant now = kNow;
  std::optional<Error> unreadable = std::nullopt;
  std::vector<PortRange> protected_before = {};

  Canonical desired(const Policy& policy) const {
    return model.canonicalize(evaluate({policy, sessions, now, keep})[0]);
  }
  PlannedTarget plan(bool acknowledged = false) const {
    auto capabilities = model.capabilities();
    Canonical wanted = desired(planned), before;
    if (in_force) before = desired(*in_force);
    Result<Observed> observed = model.observe(now);
    if (unreadable) observed = fail(*unreadable);
    auto ended = [this](const SessionId& id) -> std::optional<EndCause> {
      for (const Session& session : sessions)
        if (session.id == id && session.end) return session.end->cause;
      return std::nullopt;
    };
    return plan_target({planned.targets[0], planned, capabilities, wanted,
                        in_force ? &before : nullptr, observed, applied, now, ended, acknowledged,
                        std::nullopt, sessions, protected_before});
  }
  /// Does it, and keeps the records.
  void settle() {
    for (const Change& change : plan(true).plan.changes) {
      if (change.action == Action::report) continue;
      EXPECT_EQ(model.apply(change), "");
      if (change.until)
        applied.push_back(
            {kTarget, change.slot, change.prefix, *change.until, now, {}, change.causes, 0});
    }
    in_force = planned;
  }
  Digest id(PolicyRevision revision = PolicyRevision("rev")) const {
    auto target = plan().plan;
    return plan_id(revision, std::span(&target, 1));
  }
};

std::string text_of(const std::vector<Change>& changes) {
  std::string out;
  for (const Change& change : changes)
    out += fmt::format("{} {} {}\n", to_string(change.action), to_string(change.reason),
                       change.prefix == Prefix() ? change.slot.get() : change.prefix.to_string());
  return out;
}

TEST(PlanTarget, FirstOfAll) {
  Scene scene{.sessions = {SessionOf{}}};
  auto out = scene.plan();
  EXPECT_EQ(text_of(out.plan.changes),
            "keep configuration \nreshape policy ssh\nadd sign-in 192.0.2.10/32\n"
            "protect policy \n");
  EXPECT_TRUE(out.plan.held.empty() && out.trips.empty() && out.plan.readable);
  EXPECT_EQ(out.plan.type, "nftables");
  scene.settle();
  EXPECT_TRUE(scene.plan().plan.changes.empty()) << text_of(scene.plan().plan.changes);
  EXPECT_EQ(scene.plan().plan.owned, 1u);
  scene.model.slots["ssh"].elements[prefix("192.0.2.99")] = {false, {}, {}};
  EXPECT_EQ(scene.plan().plan.foreign, 1u);
}

TEST(PlanTarget, WithoutKeepProtectWaits) {
  Scene scene{.sessions = {SessionOf{}}, .keep = {}};
  auto out = scene.plan();
  ASSERT_EQ(out.trips.size(), 1u);
  EXPECT_EQ(out.trips[0].guard, "protect");
  EXPECT_EQ(text_of(out.plan.held), "protect policy \n");
  EXPECT_TRUE(scene.plan(true).plan.held.empty()) << "acknowledged";
}

TEST(PlanTarget, UnreadableOnlyClosesWhatMustClose) {
  Scene scene{.sessions = {SessionOf{}}};
  scene.settle();
  auto expired = scene.applied[0];
  expired.prefix = prefix("192.0.2.77");
  expired.until = kNow;
  scene.applied.push_back(expired);
  scene.sessions = {};
  scene.unreadable = Error{ErrorKind::timeout, "no answer", {"observe"}, {}};
  auto plan = scene.plan().plan;
  EXPECT_FALSE(plan.readable);
  EXPECT_EQ(plan.unreadable_because, "observe: no answer");
  EXPECT_EQ(text_of(plan.changes), "remove expiry 192.0.2.77/32\n");
  EXPECT_EQ(plan.changes[0].entry, entry_id(kTarget, prefix("192.0.2.77"), "ssh"));
  EXPECT_EQ(plan.changes[0].was_until, kNow);
  EXPECT_TRUE(plan.held.empty());
}

TEST(PlanTarget, UnreadableClosesWhomSomebodyPutOut) {
  Scene scene{.sessions = {SessionOf{}, SessionOf{.who = "bob", .from = "192.0.2.11"},
                           SessionOf{.who = "cem", .from = "192.0.2.12"},
                           SessionOf{.who = "dora", .from = "198.51.100.9"}}};
  scene.settle();
  scene.sessions[0].end = SessionEnd{kNow, EndCause::revoked};
  scene.sessions[1].end = SessionEnd{kNow, EndCause::signed_out};
  scene.unreadable = Error{ErrorKind::timeout, "no answer", {"observe"}, {}};
  EXPECT_EQ(text_of(scene.plan().plan.changes),
            "remove revoked 192.0.2.10/32\nremove sign-out 192.0.2.11/32\n");
  scene.planned = policy_of(kPolicy + "deny: {d: {from: {in: [blocked]}, to: [ssh]}}\n");
  EXPECT_EQ(text_of(scene.plan().plan.changes),
            "remove denied 192.0.2.10/32\nremove denied 192.0.2.11/32\n"
            "remove denied 192.0.2.12/32\n");
  // Another session at the same address has a right to the entry.
  scene.planned = policy_of(kPolicy);
  scene.sessions.push_back(SessionOf{.who = "eve", .from = "192.0.2.10"});
  EXPECT_EQ(text_of(scene.plan().plan.changes), "remove sign-out 192.0.2.11/32\n");
}

TEST(PlanTarget, AnOpenPortThatWeProtectedIsClosedWithoutAsking) {
  Scene scene{.sessions = {SessionOf{}}, .keep = {}};
  scene.settle();
  ASSERT_EQ(scene.model.protect, ports("tcp/22"));
  scene.model.protect = {};
  auto unknown = scene.plan();
  EXPECT_EQ(text_of(unknown.plan.held), "protect policy \n") << "no record tells who opened it";
  scene.protected_before = ports("tcp/22");
  auto known = scene.plan();
  EXPECT_TRUE(known.plan.held.empty() && known.trips.empty());
  EXPECT_EQ(text_of(known.plan.changes), "protect drift \n");
}

TEST(PlanTarget, DenyIsNeverHeld) {
  // Six people; a deny rule takes everything, which by policy alone would wait.
  for (const char* deny : {"deny: {d: {from: {in: [blocked]}, to: [ssh]}}\n",
                           "deny: {d: {who: [staff], to: [ssh]}}\n"}) {
    Scene scene;
    for (int i = 1; i <= 6; ++i)
      scene.sessions.push_back(SessionOf{.from = fmt::format("192.0.2.{}", i)});
    scene.settle();
    scene.planned = policy_of(kPolicy + deny);
    auto out = scene.plan();
    EXPECT_TRUE(out.trips.empty()) << deny;
    ASSERT_EQ(out.plan.changes.size(), 6u) << deny;
    for (const Change& change : out.plan.changes) EXPECT_EQ(change.reason, Reason::denied) << deny;
    scene.planned =
        policy_of(std::string(kPolicy).replace(kPolicy.find("who: [staff]"), 12, "who: [admins]"));
    EXPECT_EQ(scene.plan().trips.size(), 1u) << "as policy alone does";
  }
}

TEST(PlanTarget, WhatARuleCountsIsHeldOnlyWhenTheCommitBroughtTheCounting) {
  Scene scene;
  for (int i = 1; i <= 6; ++i)
    scene.sessions.push_back(SessionOf{.from = fmt::format("192.0.2.{}", i)});
  scene.settle();
  auto counting = [&] {
    Policy policy = *scene.in_force;
    policy.allow.front().max_users_per_ip = 1;
    policy.behaviour.shared_addresses = SharedAddresses::deny;
    return policy;
  };
  // Somebody else came to each of these addresses: under the same policy that closes at once.
  for (int i = 1; i <= 6; ++i)
    scene.sessions.push_back(SessionOf{.who = "bob", .from = fmt::format("192.0.2.{}", i)});
  scene.planned = counting();
  auto by_commit = scene.plan();
  EXPECT_EQ(by_commit.trips.size(), 1u) << "the counting is new, and would empty the target";
  for (const Change& change : by_commit.plan.held) EXPECT_EQ(change.reason, Reason::policy);
  scene.in_force = scene.planned;
  auto by_people = scene.plan();
  EXPECT_TRUE(by_people.trips.empty());
  ASSERT_EQ(by_people.plan.changes.size(), 6u);
  for (const Change& change : by_people.plan.changes) EXPECT_EQ(change.reason, Reason::limited);
}

TEST(PlanTarget, DeniedBySeveralNetworksTogether) {
  Scene scene;
  scene.planned = policy_of(kPolicy +
                            "static: {s: {cidr: [192.0.2.0/24], to: [ssh], owner: o, reason: r, "
                            "until: 2027-01-01}}\n");
  scene.settle();
  scene.planned = policy_of(std::string(kPolicy).replace(kPolicy.find("blocked: ["), 10,
                                                         "other: [192.0.2.128/25], blocked: [") +
                            "deny: {d: {from: {in: [blocked, other]}, to: [ssh]}}\n");
  auto plan = scene.plan().plan;
  EXPECT_EQ(text_of(plan.changes), "remove denied 192.0.2.0/24\n");
}

TEST(PlanTarget, SaysThatServicesExchangePorts) {
  std::string two = R"(
groups: {a: {idp: a}, b: {idp: b}}
services: {one: {ports: [tcp/22], targets: [edge]}, two: {ports: [tcp/80], targets: [edge]}}
targets: {edge: {type: nftables}}
guards: {additions: {new_port: allow}}
)";
  Scene scene;
  scene.planned = policy_of(
      two + "allow: {a: {who: [a], to: [one], ttl: 1h}, b: {who: [b], to: [two], ttl: 1h}}\n");
  scene.sessions = {SessionOf{.groups = {"a"}}, SessionOf{.from = "192.0.2.11", .groups = {"b"}}};
  scene.settle();
  auto swapped = two;
  swapped.replace(swapped.find("tcp/22"), 6, "tcp/80");
  swapped.replace(swapped.rfind("tcp/80"), 6, "tcp/22");
  scene.planned = policy_of(
      swapped + "allow: {a: {who: [a], to: [two], ttl: 1h}, b: {who: [b], to: [one], ttl: 1h}}\n");
  auto plan = scene.plan().plan;
  EXPECT_EQ(findings_of(plan), "plan.cut edge\ntarget.keeps-connections edge\n");
}

TEST(PlanTarget, SaysWhatATargetCannotHoldOrDo) {
  Policy policy = policy_of(kPolicy);
  Capabilities able;
  able.cuts_established = Capabilities::CutsEstablished::always;
  Canonical wanted{{{"ssh", ports("tcp/22"), {}}}, {{{"ssh", ports("tcp/22")}}, {}, {}}, {}};
  for (int i = 1; i <= 3; ++i)
    wanted.slots[0].items.push_back(
        {prefix(fmt::format("192.0.2.{}", i)), kNow + Duration::hours(1), {by_session("ana")}});
  Result<Observed> seen = Observed{};
  seen->exists = true;
  seen->structure = wanted.structure;
  ObservedItem gone;
  gone.prefix = prefix("192.0.2.99");
  gone.ours = true;
  gone.until = kNow - Duration::hours(1);
  seen->slots = {{"ssh", {gone}}};
  auto planned = [&] {
    return plan_target({policy.targets[0], policy, able, wanted, nullptr, seen, {}, kNow, {}}).plan;
  };
  EXPECT_EQ(findings_of(planned()), "");
  able.max_entries = 3;
  EXPECT_EQ(findings_of(planned()), "") << "three fit";
  able.max_entries = 2;
  EXPECT_EQ(findings_of(planned()), "target.full edge\n");
  able.max_entries = 10;
  policy.targets[0].capacity = 2;
  EXPECT_EQ(findings_of(planned()), "target.full edge\n") << "policy's limit is below the target's";
  policy.targets[0].capacity.reset();
  able.comments = false;
  EXPECT_EQ(findings_of(planned()), "target.no-comments edge\n");
  able.comments = true;
  able.cuts_established = Capabilities::CutsEstablished::never;
  EXPECT_EQ(findings_of(planned()), "target.keeps-connections edge\n");
  auto plan = planned();
  EXPECT_EQ(plan.writes, 4u);
  EXPECT_EQ(plan.calls, 4u);
}

TEST(PlanTarget, CallsFollowWhatOneCallCanDo) {
  std::vector<Change> changes(7);
  for (auto& change : changes) change.action = Action::add;
  changes[5].action = Action::remove;
  changes[6].action = Action::report;
  Capabilities able;
  EXPECT_EQ(calls_for(able, changes), 6u);
  able.batch = 4;
  EXPECT_EQ(calls_for(able, changes), 3u) << "five to add, one to remove";
  able.batch = 0;
  EXPECT_EQ(calls_for(able, changes), std::nullopt);
  able.atomic = true;
  EXPECT_EQ(calls_for(able, changes), 1u);
  able.atomic = false;
  able.granularity = Capabilities::Granularity::document;
  EXPECT_EQ(calls_for(able, changes), 1u);
  EXPECT_EQ(calls_for(able, std::span(changes).subspan(6)), 0u);
}

TEST(DriftOf, LeavesNothingElse) {
  Plan plan;
  plan.to = PolicyRevision("b");
  plan.people.resize(1);
  plan.figures.resize(1);
  plan.cuts.resize(1);
  plan.edits.resize(1);
  plan.targets.resize(2);
  plan.targets[0].target = TargetName("a");
  plan.targets[1].target = TargetName("b");
  for (TargetPlan& target : plan.targets) {
    target.changes.resize(3);
    target.changes[0].reason = Reason::policy;
    target.changes[1].reason = Reason::sign_in;
    target.changes[2].reason = Reason::drift;
    for (Change& change : target.changes) change.action = Action::add;
    target.writes = 3;
    target.calls = 3;
    target.held.resize(1);
    target.held[0].reason = target.target.value == "a" ? Reason::policy : Reason::orphan;
    plan.guards.push_back({"any", target.target, "", "", 1});
  }
  Plan drift = drift_of(plan);
  EXPECT_TRUE(drift.scope.refresh_only);
  EXPECT_TRUE(drift.people.empty() && drift.figures.empty() && drift.cuts.empty() &&
              drift.edits.empty());
  for (const TargetPlan& target : drift.targets) {
    ASSERT_EQ(target.changes.size(), 1u);
    EXPECT_EQ(target.changes[0].reason, Reason::drift);
    EXPECT_EQ(target.writes, 1u);
    EXPECT_EQ(target.calls, std::nullopt) << "not counted again";
  }
  EXPECT_TRUE(drift.targets[0].held.empty());
  ASSERT_EQ(drift.guards.size(), 1u);
  EXPECT_EQ(drift.guards[0].target, TargetName("b"));
  EXPECT_EQ(drift.id, plan_id(drift.to, drift.targets));
}

// ---- the id

TEST(PlanId, IsTheSameWhoeverSignsInAndWhateverDrifts) {
  Scene scene{.sessions = {SessionOf{},
                           SessionOf{.who = "bob", .from = "192.0.2.11", .groups = {"admins"}}}};
  scene.settle();
  scene.planned = policy_of(kPolicy + "  admins: {who: [admins], to: [ssh], ttl: 1h}\n");
  scene.planned.revision = PolicyRevision("new");
  auto id = scene.id();

  auto later = scene;
  later.now = kNow + Duration::minutes(3);
  EXPECT_EQ(later.id(), id) << "time";
  auto signed_in = scene;
  signed_in.sessions.push_back(SessionOf{.who = "eve", .from = "192.0.2.12"});
  EXPECT_EQ(signed_in.id(), id) << "somebody signs in";
  auto signed_out = scene;
  signed_out.sessions[0].end = SessionEnd{kNow, EndCause::signed_out};
  EXPECT_EQ(signed_out.id(), id) << "somebody signs out";
  auto drifted = scene;
  drifted.model.slots["ssh"].elements.clear();
  EXPECT_EQ(drifted.id(), id) << "somebody takes entries away";
  auto foreign = scene;
  foreign.model.slots["ssh"].elements[prefix("192.0.2.99")] = {false, {}, {}};
  EXPECT_EQ(foreign.id(), id) << "somebody adds one";
}

TEST(PlanId, IsAnotherOneForAnotherPolicy) {
  Scene scene{.sessions = {SessionOf{},
                           SessionOf{.who = "bob", .from = "192.0.2.11", .groups = {"admins"}}}};
  scene.settle();
  auto id = scene.id();
  EXPECT_NE(scene.id(PolicyRevision("other")), id) << "revision";
  auto rule = scene;
  rule.planned = policy_of(kPolicy + "  admins: {who: [admins], to: [ssh], ttl: 1h}\n");
  EXPECT_NE(rule.id(), id) << "who gains";
  auto port = scene;
  port.planned = policy_of(std::string(kPolicy).replace(kPolicy.find("tcp/22"), 6, "tcp/23"));
  EXPECT_NE(port.id(), id) << "ports";
  EXPECT_NE(port.id(), rule.id());
  auto kept = scene;
  kept.keep = prefixes({"203.0.113.0/27"});
  EXPECT_NE(kept.id(), id) << "keep";
}

TEST(PlanId, CountsWhatIsHeld) {
  Scene scene{.keep = {}};
  auto held = scene.plan().plan;
  auto without = held;
  without.held.clear();
  EXPECT_NE(plan_id(PolicyRevision("rev"), std::span(&held, 1)),
            plan_id(PolicyRevision("rev"), std::span(&without, 1)));
  auto done = scene.plan(true).plan;
  EXPECT_EQ(plan_id(PolicyRevision("rev"), std::span(&held, 1)),
            plan_id(PolicyRevision("rev"), std::span(&done, 1)))
      << "acknowledging it does not change it";
}

TEST(PlanId, IsNamedByTwelveDigits) {
  Digest id = sha256("x");
  auto hex = to_hex(id);
  EXPECT_TRUE(names_plan(hex, id));
  EXPECT_TRUE(names_plan(hex.substr(0, 12), id));
  EXPECT_FALSE(names_plan(hex.substr(0, 11), id));
  EXPECT_FALSE(names_plan("", id));
  EXPECT_FALSE(names_plan(hex + "0", id));
  EXPECT_FALSE(names_plan(hex.substr(1, 12), id));
  auto other = hex.substr(0, 12);
  other[11] = other[11] == '0' ? '1' : '0';
  EXPECT_FALSE(names_plan(other, id));
}

TEST(Plan, AssemblesInTheOrderOfNames) {
  PlannedTarget b, a;
  b.plan.target = TargetName("b");
  a.plan.target = TargetName("a");
  b.trips = {{"protect", TargetName("b"), "", "", 1}};
  auto plan = assemble(PolicyRevision("1"), PolicyRevision("2"), 7, kNow, {b, a}, {});
  EXPECT_EQ(plan.targets[0].target.value, "a");
  EXPECT_EQ(plan.guards.size(), 1u);
  EXPECT_EQ(plan.sequence, 7u);
  EXPECT_TRUE(plan.empty());
  EXPECT_EQ(plan.id, plan_id(PolicyRevision("2"), plan.targets));
}

}  // namespace
}  // namespace knock::test
