// SPDX-License-Identifier: Apache-2.0
// A plan with everything in it: every action, reason and step, hostile names, both families, empty
// and full members.
#pragma once

#include <string>

#include "schemas/plan/codec.h"
#include "tests/conformance/sample_facts.h"

namespace knock::test {

inline Plan rich_plan() {
  constexpr Action kActions[] = {Action::protect, Action::unprotect, Action::keep,
                                 Action::reshape, Action::add,       Action::extend,
                                 Action::shorten, Action::remove,    Action::report};
  constexpr Reason kReasons[] = {Reason::sign_in, Reason::fixed,         Reason::policy,
                                 Reason::expiry,  Reason::sign_out,      Reason::revoked,
                                 Reason::denied,  Reason::limited,       Reason::drift,
                                 Reason::orphan,  Reason::configuration, Reason::foreign};
  constexpr Step kSteps[] = {Step::close_now, Step::structure, Step::open, Step::prolong,
                             Step::close_by_policy};
  Plan plan;
  plan.from = PolicyRevision("3f2c1aa");
  plan.to = PolicyRevision("8d01b7e");
  plan.sequence = 4711;
  plan.as_of = Instant{kNoon.ms + 7};
  plan.id = sha256("plan");
  plan.people = {
      {true,
       "dora \"<script>\"",
       ServiceName("payroll"),
       RuleName("contractors"),
       {"policies/payroll.yaml", 14, 3, 11},
       std::nullopt},
      {false, "bob\n\xE2\x80\xAE", ServiceName("ssh-prod"), RuleName("admins"), {}, after(60)}};
  plan.people[0].key = "dora@https://idp.example";
  plan.people[0].known = Known::seen;
  plan.people[0].seen = after(-600);
  plan.people[1].known = Known::directory;
  plan.seen_within = Duration::hours(720);
  plan.scope = {true, true, {TargetName("edge-fw"), TargetName("mail-fw")}};
  plan.edits = {{PolicyEdit::Kind::changed,
                 "allow",
                 "contractors",
                 {"policies/payroll.yaml", 14, 3, 11},
                 "{who: [a]}",
                 "{who: [b], users: [\"<dora@corp>\"]}"},
                {PolicyEdit::Kind::added, "behaviour", "", {}, "", "{preset: strict}"},
                {PolicyEdit::Kind::removed, "networks", "office", {}, "[192.0.2.0/24]", ""}};
  PeopleFigure figure;
  figure.gains = true;
  figure.service = ServiceName("payroll");
  figure.rule = RuleName("contractors");
  figure.origin = {"policies/payroll.yaml", 14, 3, 11};
  figure.directory = 3;
  figure.seen = 2;
  figure.named = 1;
  figure.oldest = after(-600);
  figure.sessions = 1;
  figure.unlisted = {GroupName("contractors")};
  plan.figures = {figure, PeopleFigure{}};
  plan.cuts = {
      {SessionId("s-1"), "bob\n", "bob@https://idp.example", IpAddress::parse("2001:db8::9"),
       ServiceName("ssh-prod"), RuleName("admins"), RuleName("out"), after(60)},
      {SessionId(), "eve", "", std::nullopt, ServiceName("ssh-prod"), RuleName("admins"),
       RuleName(), after(90)}};
  plan.findings = {
      {Finding::Level::warning, "plan.people-unknown", TargetName(), "2 groups are unknown"}};
  plan.guards = {
      {"becomes-empty", TargetName("edge-fw"), "41 of 41 entries", "at least one stays", 41}};
  TargetPlan edge{TargetName("edge-fw"), "nftables", "gen 17", 41, 2, true, "", {}, {}, {}};
  int i = 0;
  for (auto reason : kReasons) {
    auto change =
        sample_change(kActions[i % 9], reason,
                      i % 2 ? "2001:db8::" + std::to_string(i) : "203.0.113." + std::to_string(i),
                      "payroll", after(i));
    change.step = kSteps[i % 5];
    edge.changes.push_back(change);
    ++i;
  }
  edge.changes.push_back(full_change());
  Change bare;
  bare.action = Action::protect;
  edge.held = {bare, full_change()};
  edge.findings = {
      {Finding::Level::note, "target.widens", TargetName("edge-fw"), "::1 becomes ::/64"}};
  TargetPlan dark{TargetName("mail-fw"), "nftables", "", 0, 0, false,
                  "connection refused",  {},         {}, {}};
  edge.writes = 12;
  edge.calls = 3;
  plan.targets = {edge, dark};
  return plan;
}

inline SavedPlan rich_saved_plan() {
  return {rich_plan(), OwnerId{0xfeedbeef01234567}, after(3600), "AAECAwQFBgcICQoLDA0ODw",
          sha256("policy")};
}

inline std::string json_of(const Plan& plan, View view = View::full) {
  std::string text;
  write_json(plan, [&](std::string_view piece) { text += piece; }, view);
  return text;
}

inline std::string saved_text_of(const SavedPlan& saved) {
  std::string text;
  write_saved(saved, [&](std::string_view piece) { text += piece; });
  return text;
}

}  // namespace knock::test
