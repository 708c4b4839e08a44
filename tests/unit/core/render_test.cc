// SPDX-License-Identifier: Apache-2.0
// What whole plans look like is in tests/golden; here are the edges.
#include "reconciler/core/render.h"

#include <fmt/format.h>

#include <regex>

#include "base/text.h"
#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

Plan one_target(std::vector<Change> changes) {
  Plan plan;
  plan.from = plan.to = PolicyRevision("8d01b7e2c4a9");
  plan.as_of = kNow;
  TargetPlan target;
  target.target = kTarget;
  target.type = "nftables";
  target.changes = std::move(changes);
  plan.targets = {target};
  return plan;
}

Change added(const char* where, std::vector<std::string> who) {
  Change change;
  change.action = Action::add;
  change.reason = Reason::sign_in;
  change.slot = "ssh";
  change.ports = ports("tcp/22");
  change.prefix = prefix(where);
  change.until = kNow + Duration::hours(1);
  for (auto& name : who) change.causes.push_back(by_session(name));
  return change;
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Render, NothingToDo) {
  Plan plan = one_target({});
  EXPECT_EQ(to_text(plan),
            "Policy 8d01b7e   as of 2026-11-21T10:00:00Z\n\n"
            "Plan: nothing to do; 0 guards tripped.   hash 0000000000000000\n");
}

TEST(Render, NamesFromOutsideCannotMoveTheCursor) {
  Plan plan = one_target({added("192.0.2.1", {"a\nb\x1b[31m\u202e"})});
  plan.targets[0].findings = {{Finding::Level::warning, "x", TargetName("e\n"), "s\x07"}};
  plan.guards = {{"protect\r", TargetName("e\x1b"), "\x1b", "\n", 1}};
  plan.people = {{true, "\x1b]0;x\x07", ServiceName("s"), RuleName("r\n"), {}, {}}};
  auto text = to_text(plan, {false, "head\nline", "an\ra"});
  for (char c : text) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << int(c);
  EXPECT_EQ(text.find("\u202e"), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 17);
}

TEST(Render, ColoursRepeatTheSign) {
  Plan plan = one_target({added("192.0.2.1", {"ana"})});
  auto plain = to_text(plan), colored = to_text(plan, {true, "", ""});
  EXPECT_NE(plain, colored);
  EXPECT_EQ(std::regex_replace(colored, std::regex("\x1b\\[[0-9]*m"), ""), plain);
}

TEST(Render, ColumnsHoldWideNames) {
  auto text = to_text(one_target({added("192.0.2.1", {"ana"}), added("2001:db8::1", {"Ünïcödé"})}));
  EXPECT_TRUE(
      has_line(text, "  + 192.0.2.1/32     tcp/22  ssh  ana      until 11:00  sign-in, rule staff"))
      << text;
  EXPECT_TRUE(
      has_line(text, "  + 2001:db8::1/128  tcp/22  ssh  Ünïcödé  until 11:00  sign-in, rule staff"))
      << text;
}

TEST(Render, ManyNamesAreCounted) {
  auto text = to_text(one_target({added("192.0.2.1", {"a", "b", "c", "d", "e"})}));
  EXPECT_NE(text.find("a, b and 3 more"), std::string::npos) << text;
  auto three = to_text(one_target({added("192.0.2.1", {"a", "b", "c"})}));
  EXPECT_NE(three.find("a, b, c "), std::string::npos) << three;
}

TEST(Render, TimesOfOtherDaysHaveADate) {
  struct Row {
    const char* until;
    const char* want;
  };
  for (auto [until, want] : {Row{"2026-11-21T23:59:00Z", "until 23:59"},
                             Row{"2026-11-22T10:30:00Z", "until 2026-11-22 10:30"},
                             Row{"2027-01-31", "until 2027-01-31"}}) {
    auto change = added("192.0.2.1", {"ana"});
    change.until = *parse_instant(until);
    auto text = to_text(one_target({change}));
    EXPECT_NE(text.find(std::string(want) + "  "), std::string::npos) << text;
  }
}

TEST(Render, SummaryCountsPeopleOnce) {
  Plan plan = one_target({});
  auto person = [](bool gains, const char* who, const char* service) {
    return PersonChange{gains, who, ServiceName(service), RuleName("r"), {}, {}};
  };
  plan.people = {person(true, "ana", "ssh"), person(true, "ana", "web"),
                 person(true, "bob", "ssh")};
  EXPECT_NE(summary(plan).find("; 2 people gain;"), std::string::npos) << summary(plan);
  plan.people.push_back(person(false, "eve", "ssh"));
  EXPECT_NE(summary(plan).find("; 2 people gain, 1 loses;"), std::string::npos) << summary(plan);
  plan.people = {person(false, "eve", "ssh")};
  EXPECT_NE(summary(plan).find("; 1 person loses;"), std::string::npos) << summary(plan);
}

TEST(Render, UnreadableIsNotEmpty) {
  Plan plan = one_target({});
  plan.targets[0].readable = false;
  plan.targets[0].unreadable_because = "observe: no answer";
  auto text = to_text(plan);
  EXPECT_NE(text.find("edge   nftables, cannot be read: observe: no answer"), std::string::npos);
  EXPECT_EQ(text.find("0 owned"), std::string::npos);
  EXPECT_NE(text.find("1 target not read"), std::string::npos);
}

}  // namespace
}  // namespace knock::test
