// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <regex>

#include "base/random.h"
#include "base/sha256.h"
#include "base/text.h"
#include "reconciler/core/render.h"
#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

std::string html(const Plan& plan, RenderOptions options = {}) {
  std::string out;
  write_html(plan, options, [&](std::string_view piece) { out += piece; });
  return out;
}

Change added(const std::string& who) {
  Change change;
  change.action = Action::add;
  change.reason = Reason::drift;
  change.slot = who;
  change.detail = who;
  change.ports = ports("tcp/22");
  change.prefix = prefix("192.0.2.1");
  change.until = kNow + Duration::hours(1);
  change.causes = {by_session(who)};
  return change;
}

Plan hostile(const std::string& text) {
  Plan plan;
  plan.from = PolicyRevision(text);
  plan.to = PolicyRevision(text + "2");
  plan.as_of = kNow;
  TargetPlan target;
  target.target = TargetName(text);
  target.type = text;
  target.readable = false;
  target.unreadable_because = text;
  target.changes = {added(text)};
  target.held = {added(text)};
  target.held[0].action = Action::reshape;
  target.findings = {{Finding::Level::note, text, TargetName(text), text}};
  plan.targets = {target};
  PeopleFigure figure;
  figure.gains = true;
  figure.service = ServiceName(text);
  figure.rule = RuleName(text);
  figure.origin = {text, 1, 1, 1};
  figure.seen = 1;
  figure.unlisted = {GroupName(text)};
  plan.figures = {figure};
  PersonChange person;
  person.gains = true;
  person.who = text;
  person.service = figure.service;
  person.rule = figure.rule;
  plan.people = {person};
  plan.cuts = {{SessionId("s"), text, text, address("192.0.2.1"), ServiceName(text), RuleName(text),
                RuleName(text), kNow}};
  plan.edits = {{PolicyEdit::Kind::changed, text, text, {text, 1, 1, 1}, text, text}};
  plan.guards = {{text, TargetName(text), text, text, 1}};
  plan.scope.targets = {TargetName(text)};
  return plan;
}

/// Tags and attributes' names in their order, without any text; nor where a path may be broken.
std::string skeleton(const std::string& page) {
  std::string out;
  std::regex tag("<[^>]*>");
  std::regex value("=\"[^\"]*\"");
  for (std::sregex_iterator at(page.begin(), page.end(), tag), end; at != end; ++at)
    if (at->str() != "<wbr>") out += std::regex_replace(at->str(), value, "") + "\n";
  return out;
}

TEST(Html, TextFromElsewhereIsText) {
  auto plain = skeleton(html(hostile("word"), {false, "head", "author"}));
  for (const char* text :
       {"<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'><b>", "</style>",
        "</title><script>", "&lt;b&gt;", "--><b>", "]]><b>", "a\nb", "\x1b[31m", "javascript:x"}) {
    auto page = html(hostile(text), {false, text, text});
    EXPECT_EQ(skeleton(page), plain) << text;
    EXPECT_EQ(page.find("<script"), std::string::npos);
    EXPECT_EQ(page.find('\x1b'), std::string::npos);
  }
}

TEST(Html, LoadsNothingAndRunsNothing) {
  auto page = html(hostile("word"));
  EXPECT_TRUE(page.starts_with("<!doctype html>"));
  std::regex active(
      "<(script|iframe|object|embed|form|link|base|img|a)[ >]|\\son[a-z]+=|\\sstyle=|"
      "\\s(src|href|action)=|url\\(|@import",
      std::regex::icase);
  std::smatch found;
  EXPECT_FALSE(std::regex_search(page, found, active)) << found.str();
}

/// The policy allows exactly the style sheet that is there.
TEST(Html, ItsPolicyFitsItsStyle) {
  auto page = html(hostile("word"));
  auto open = page.find("<style>") + 7, close = page.find("</style>");
  auto digest = sha256(std::string_view(page).substr(open, close - open));
  auto hash = base64url(as_bytes(digest));
  for (char& c : hash) c = c == '-' ? '+' : c == '_' ? '/' : c;
  EXPECT_NE(page.find(fmt::format("content=\"default-src 'none'; style-src 'sha256-{}='; base-uri "
                                  "'none'; form-action 'none'\">",
                                  hash)),
            std::string::npos);
  EXPECT_EQ(page.find("<style", open), std::string::npos) << "there is one style sheet";
}

/// Of many people and sessions a page shows the first and folds the others, each of them there once.
TEST(Html, ManyPeopleAreFolded) {
  Plan plan;
  plan.as_of = kNow;
  PeopleFigure figure;
  figure.service = ServiceName("s");
  figure.rule = RuleName("r");
  figure.seen = 200;
  plan.figures = {figure};
  for (int i = 0; i < 200; ++i) {
    auto name = fmt::format("person{:03}", i);
    plan.people.push_back({false, name, figure.service, figure.rule, {}, {}, name});
    plan.cuts.push_back(
        {SessionId(name), name, name, {}, ServiceName("s"), RuleName("r"), {}, kNow});
  }
  auto page = html(plan);
  EXPECT_NE(page.find("<summary>and 194 more</summary>"), std::string::npos);
  EXPECT_NE(page.find("<summary>and 190 more sessions</summary>"), std::string::npos);
  for (const PersonChange& person : plan.people) {
    std::size_t times = 0;
    for (auto at = page.find(person.who); at != page.npos; at = page.find(person.who, at + 1))
      ++times;
    EXPECT_EQ(times, 2u) << person.who;
  }
}

/// Three figures in one tile are read as one line; many digits are smaller rather than cut.
TEST(Html, TheFigureOfEntriesStaysTogether) {
  Plan plan;
  plan.as_of = kNow;
  plan.targets.emplace_back();
  plan.targets[0].target = kTarget;
  plan.targets[0].changes.assign(6, added("a"));
  EXPECT_NE(html(plan).find("<li class=\"parts\"><b>+6 ~0 −0</b>"), std::string::npos);
  plan.targets[0].changes.assign(1200, added("a"));
  EXPECT_NE(html(plan).find("<li class=\"parts long\"><b>+1200 ~0 −0</b>"), std::string::npos);
}

TEST(Html, RowsAreBoundedAndCounted) {
  Plan plan;
  plan.as_of = kNow;
  plan.targets.resize(2);
  plan.targets[0].target = TargetName("a");
  plan.targets[1].target = TargetName("b");
  plan.targets[0].changes.assign(kHtmlRows - 1, added("ana"));
  plan.targets[1].changes.assign(1'001, added("ana"));
  auto page = html(plan);
  std::size_t rows = 0;
  for (auto at = page.find("<tr class=\"add\">"); at != std::string::npos;
       at = page.find("<tr class=\"add\">", at + 1))
    ++rows;
  EXPECT_EQ(rows, kHtmlRows);
  EXPECT_NE(page.find("… and 1000 more, not shown"), std::string::npos);
}

}  // namespace
}  // namespace knock::test
