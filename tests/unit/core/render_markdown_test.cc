// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <set>

#include "base/text.h"
#include "reconciler/core/render.h"
#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

std::string markdown(const Plan& plan, RenderOptions options = {}) {
  std::string out;
  write_markdown(plan, options, [&](std::string_view piece) { out += piece; });
  return out;
}

Change added(std::uint32_t n, std::string who) {
  Change change;
  change.action = Action::add;
  change.reason = Reason::sign_in;
  change.slot = "ssh";
  change.ports = ports("tcp/22");
  change.prefix = prefix(fmt::format("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255));
  change.until = kNow + Duration::hours(1);
  change.causes = {by_session(std::move(who))};
  return change;
}

/// `changes` on each of `targets`.
Plan plan_of(std::size_t targets, std::uint32_t changes, const std::string& who = "ana") {
  Plan plan;
  plan.from = PolicyRevision("1111111");
  plan.to = PolicyRevision("2222222");
  plan.as_of = kNow;
  for (std::size_t i = 0; i < targets; ++i) {
    TargetPlan target;
    target.target = TargetName(fmt::format("edge-{:05}", i));
    target.type = "nftables";
    for (std::uint32_t n = 0; n < changes; ++n) target.changes.push_back(added(n, who));
    plan.targets.push_back(std::move(target));
  }
  return plan;
}

/// With every text that comes from elsewhere replaced.
Plan hostile(const std::string& text) {
  Plan plan = plan_of(1, 1, text);
  plan.targets[0].target = TargetName(text);
  plan.targets[0].type = text;
  plan.targets[0].changes[0].slot = text;
  plan.targets[0].changes[0].detail = text;
  plan.targets[0].changes[0].reason = Reason::drift;
  plan.targets[0].held = plan.targets[0].changes;
  plan.targets[0].held[0].action = Action::reshape;
  PersonChange person;
  person.gains = true;
  person.who = person.key = text;
  person.service = ServiceName(text);
  person.rule = RuleName(text);
  person.origin = {text, 3, 1, 1};
  plan.people = {person};
  PeopleFigure figure;
  figure.gains = true;
  figure.service = person.service;
  figure.rule = person.rule;
  figure.origin = person.origin;
  figure.seen = 1;
  figure.unlisted = {GroupName(text)};
  plan.figures = {figure};
  plan.cuts = {{SessionId("s"), text, text, address("192.0.2.1"), ServiceName(text), RuleName(text),
                RuleName(), kNow + Duration::hours(1)}};
  plan.edits = {{PolicyEdit::Kind::changed, text, text, {text, 1, 1, 1}, text, text}};
  plan.findings = {{Finding::Level::warning, "x", TargetName(text), text}};
  plan.guards = {{text, TargetName(text), text, text, 1}};
  plan.scope.targets = {TargetName(text)};
  return plan;
}

/// The text without code: what a forge reads as prose. Blocks first, then spans, as CommonMark does
/// it; inside of <code> a forge links and mentions nothing either.
std::string outside_code(const std::string& text) {
  std::string prose;
  bool block = false;
  for (auto line : split(text, '\n')) {
    if (line.starts_with("```")) {
      block = !block;
      continue;
    }
    if (block) continue;
    bool span = false;
    std::string rest;
    for (char c : line) {
      if (c == '`')
        span = !span;
      else if (!span)
        rest += c;
    }
    EXPECT_FALSE(span) << "an open span: " << line;
    for (auto open = rest.find("<code>"); open != std::string::npos; open = rest.find("<code>")) {
      auto close = rest.find("</code>");
      if (close == std::string::npos) {
        ADD_FAILURE() << "an open <code>: " << line;
        break;
      }
      rest.erase(open, close + 7 - open);
    }
    prose += rest + "\n";
  }
  EXPECT_FALSE(block) << "an open block";
  return prose;
}

TEST(Markdown, NamesCallNobodyAndBreakNothing) {
  const std::string plain = outside_code(markdown(hostile("word")));
  for (const char* text : {"@everyone",
                           "@org/team",
                           "a@b.example",
                           "https://evil.example",
                           "www.evil.example",
                           "#1",
                           "!1",
                           "~label",
                           "%milestone",
                           "GH-12",
                           "org/repo#3",
                           "deadbeef",
                           "8d01b7e2c4a9",
                           "`",
                           "``",
                           "```",
                           "```\n@everyone",
                           "|",
                           "a\\|b",
                           "\\",
                           "</details>",
                           "<script>alert(1)</script>",
                           "<!--",
                           "<img src=x>",
                           "[a](https://evil.example)",
                           "![a](x)",
                           "[[wiki]]",
                           ":smile:",
                           "*b*",
                           "_i_",
                           "~~s~~",
                           "# h",
                           "- i",
                           "> q",
                           "---",
                           "===",
                           "&commat;everyone",
                           "$x$",
                           "\r\n\r\n@everyone",
                           "a\tb",
                           " ",
                           "",
                           "x `@everyone` y",
                           "\xE2\x80\xAE"
                           "evil",
                           "word `",
                           "1. word",
                           "    @all"}) {
    auto prose = outside_code(markdown(hostile(text)));
    for (const char* bad : {"@",       "://", "www.",   "<script",  "<img",    "<!--",  "[",   "](",
                            "evil",    "#1",  "GH-",    "deadbeef", "8d01b7e", "*b*",   "_i_", "~~",
                            "&commat", "$x",  ":smile", "\\",       "~label",  "%mile", "!1"})
      EXPECT_EQ(prose.find(bad), std::string::npos) << text << ": " << bad << " in\n" << prose;
    auto count = [](const std::string& where, std::string_view what) {
      std::size_t n = 0;
      for (auto at = where.find(what); at != std::string::npos; at = where.find(what, at + 1)) ++n;
      return n;
    };
    EXPECT_EQ(count(prose, "</details>"), count(plain, "</details>")) << text;
    EXPECT_EQ(count(prose, "|"), count(plain, "|")) << text << "\n" << prose;
    EXPECT_EQ(count(prose, "\n"), count(plain, "\n")) << text << "\n" << prose;
    EXPECT_EQ(count(prose, "####"), count(plain, "####")) << text;
  }
}

TEST(Markdown, SentencesReadAsSentences) {
  Plan plan = plan_of(0, 0);
  plan.findings = {{Finding::Level::note, "x", TargetName(),
                    "192.0.2.1 is shared by 3 people (two rooms): ssh opens there, by sign-in"}};
  EXPECT_NE(markdown(plan).find("\n- `192.0.2.1` is shared by 3 people (two rooms): ssh opens "
                                "there, by sign-in\n"),
            std::string::npos)
      << markdown(plan);
}

TEST(Markdown, IsNeverLongerThanAComment) {
  struct Row {
    const char* name;
    Plan plan;
  };
  std::vector<Row> rows;
  rows.push_back({"one large target", plan_of(1, 20'000)});
  rows.push_back({"many targets", plan_of(3'000, 3)});
  rows.push_back({"long names", plan_of(40, 40, std::string(5'000, 'x'))});
  rows.push_back({"names of many bytes", plan_of(40, 400, "\xF0\x9F\x9A\xAA\xF0\x9F\x9A\xAA")});
  rows.push_back({"long everything", hostile(std::string(30'000, 'y'))});
  rows.push_back({"bells", hostile(std::string(20'000, '\a'))});
  Plan crowd = plan_of(2, 200);
  for (int i = 0; i < 5'000; ++i) {
    PersonChange person;
    person.gains = i % 2 == 0;
    person.who = person.key = fmt::format("person {}", i);
    person.service = ServiceName(fmt::format("service-{}", i % 700));
    person.rule = RuleName("r");
    crowd.people.push_back(person);
    crowd.cuts.push_back({SessionId(fmt::format("s{}", i)), person.who, person.key,
                          address("192.0.2.1"), person.service, person.rule, RuleName(), kNow});
    crowd.findings.push_back({Finding::Level::note, "x", TargetName(), std::string(200, 'z')});
    crowd.guards.push_back({"any", TargetName("t"), "f", "l", 1});
    crowd.edits.push_back({PolicyEdit::Kind::added,
                           "allow",
                           fmt::format("rule-{}", i),
                           {},
                           "",
                           std::string(90, 'w')});
  }
  rows.push_back({"a crowd", crowd});
  for (const Row& row : rows)
    for (View view : {View::full, View::people, View::shape}) {
      auto text =
          markdown(row.plan, {false, std::string(70'000, 'h'), std::string(9'000, 'a'), view});
      EXPECT_LE(text.size(), kMarkdownLimit) << row.name;
      EXPECT_FALSE(invalid_utf8_at(text)) << row.name;
      outside_code(text);  // what was begun has ended
      EXPECT_NE(text.find(view == View::shape ? "Left out" : "hash `"), std::string::npos)
          << row.name << ": the summary is there";
    }
}

/// What is left out is counted: shown and missing entries are all entries.
TEST(Markdown, SaysHowMuchIsMissing) {
  auto text = markdown(plan_of(3, 5'000));
  std::size_t shown = 0, missing = 0;
  for (auto line : split(text, '\n')) {
    shown += line.starts_with("+ 10.");
    constexpr std::string_view more = "# … and ";
    if (line.starts_with(more)) missing += std::stoul(std::string(line.substr(more.size())));
  }
  EXPECT_GT(shown, 100u);
  EXPECT_EQ(shown + missing, 15'000u);
  EXPECT_NE(text.find(fmt::format("**{} lines are not shown**", missing)), std::string::npos);
  for (int i = 0; i < 3; ++i)
    EXPECT_NE(text.find(fmt::format("edge-0000{}", i)), std::string::npos) << "each has its share";
  EXPECT_EQ(markdown(plan_of(3, 5)).find("not shown"), std::string::npos);
}

TEST(Markdown, SmallTargetsLeaveTheirRoomToLargeOnes) {
  Plan plan = plan_of(30, 1);
  for (std::uint32_t n = 0; n < 2'000; ++n) plan.targets.back().changes.push_back(added(n, "ana"));
  auto text = markdown(plan);
  EXPECT_GT(text.size(), kMarkdownLimit * 3 / 4);
}

}  // namespace
}  // namespace knock::test
