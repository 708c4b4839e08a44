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
  for (auto& name : who)
    change.causes.edit([&](auto& causes) { causes.push_back(by_session(name)); });
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

PeopleFigure losing(const char* service, std::size_t people) {
  PeopleFigure figure;
  figure.service = ServiceName(service);
  figure.rule = RuleName("staff");
  figure.seen = people;
  return figure;
}

void lose(Plan& plan, const char* service, std::initializer_list<const char*> who) {
  plan.figures.push_back(losing(service, who.size()));
  for (const char* name : who)
    plan.people.push_back({false, name, ServiceName(service), RuleName("staff"), {}, {}, name});
}

TEST(Render, TheSamePeopleStandInOneLine) {
  Plan plan = one_target({});
  lose(plan, "db", {"ana", "bob"});
  lose(plan, "mail", {"ana", "cid"});  // as many, and others
  lose(plan, "wiki", {"ana", "bob"});
  auto text = to_text(plan);
  EXPECT_TRUE(
      has_line(text, "  who loses   2 people from db, wiki   ana, bob   (rule staff; seen)"))
      << text;
  EXPECT_TRUE(
      has_line(text, "  who loses   2 people from mail       ana, cid   (rule staff; seen)"))
      << text;
}

TEST(Render, OneSessionIsCutInOneLineWithWhatTookIt) {
  Plan plan = one_target({});
  lose(plan, "db", {"ana"});
  lose(plan, "wiki", {"ana"});
  auto until = plan.as_of + Duration::hours(1);
  for (const char* service : {"db", "wiki"})
    plan.cuts.push_back({SessionId("s"), "ana", "ana", IpAddress::parse("192.0.2.1"),
                         ServiceName(service), RuleName("staff"), RuleName("listed"), until});
  auto text = to_text(plan);
  EXPECT_TRUE(has_line(text, "  - ana  192.0.2.1  db, wiki  1 h left  rule listed denies it"))
      << text;
  EXPECT_TRUE(has_line(text, "  cut now     1 live session: ana")) << text;
  EXPECT_NE(text.find("(rule staff, denied by listed; seen)"), text.npos) << text;
  EXPECT_EQ(to_text(plan, {false, "", "", View::shape}).find("cut"), text.npos);
}

TEST(Render, NamesThatDoNotFitStandBelow) {
  Plan plan = one_target({});
  std::string name(60, 'n');
  auto other = name + "2", third = name + "3";
  lose(plan, "a-service-with-a-long-name-that-fills-half-of-a-terminal",
       {name.c_str(), other.c_str(), third.c_str()});
  auto text = to_text(plan);
  EXPECT_TRUE(has_line(text, "              " + name + " and 2 more")) << text;
  EXPECT_TRUE(has_line(text, "              (rule staff; seen)")) << text;
}

/// What no list of people can show is said in words.
TEST(Render, EditsThatConcernNobodyByName) {
  Plan plan = one_target({});
  plan.edits = {
      {PolicyEdit::Kind::removed, "tests", "n", {}, "{name: \"n\", as: {}, can: [a]}", ""},
      {PolicyEdit::Kind::added, "tests", "m", {}, "", "{name: \"m\", as: {}, can: [a]}"},
      {PolicyEdit::Kind::changed, "break_glass", "fire", {}, "{ttl: 1h}", "{ttl: 2h}"}};
  auto text = to_text(plan);
  EXPECT_NE(text.find("1 of the policy's own tests is removed: what it kept from happening is no "
                      "longer kept"),
            text.npos)
      << text;
  EXPECT_NE(text.find("break_glass fire is changed: whoever holds its keys"), text.npos) << text;
  EXPECT_TRUE(has_line(text, "  attention   2 warnings in the findings")) << text;
  EXPECT_TRUE(has_line(text, "  - tests \"n\"")) << text;
  EXPECT_EQ(to_text(plan, {false, "", "", View::shape}).find("\"n\""), text.npos);
  plan.edits[1].kind = PolicyEdit::Kind::changed;
  EXPECT_NE(
      to_text(plan).find("1 of the policy's own tests is removed and 1 is changed: what they"),
      text.npos);
  plan.edits[0].kind = PolicyEdit::Kind::changed;
  EXPECT_NE(to_text(plan).find("2 of the policy's own tests are changed: what they kept from "
                               "happening may be no longer kept"),
            text.npos);
}

}  // namespace
}  // namespace knock::test
