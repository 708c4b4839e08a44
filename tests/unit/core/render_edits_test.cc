// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/render_edits.h"

#include <gtest/gtest.h>

#include "reconciler/core/policy_delta.h"
#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

std::string lines(std::string before, std::string after, std::string section = "allow",
                  std::string name = "r") {
  PolicyEdit edit;
  edit.section = std::move(section);
  edit.name = std::move(name);
  edit.before = std::move(before);
  edit.after = std::move(after);
  std::string out;
  for (const EditLine& line : lines_of(edit)) out += (line.added ? "+ " : "- ") + line.text + "\n";
  return out;
}

TEST(RenderEdits, OnlyWhatDiffers) {
  struct Row {
    const char* name;
    const char* before;
    const char* after;
    const char* want;
  };
  const Row rows[] = {
      {"a value", "{to: [a], ttl: 1h}", "{to: [a], ttl: 2h}", "- ttl: 1h\n+ ttl: 2h\n"},
      {"a key comes", "{ttl: 1h}", "{from: {in: [x]}, ttl: 1h}", "+ from: {in: [x]}\n"},
      {"a key goes", "{acr: [\"g\"], ttl: 1h}", "{ttl: 1h}", "- acr: [\"g\"]\n"},
      {"deeper", "{approval: {count: 1, ttl: 4h}}", "{approval: {count: 2, ttl: 4h}}",
       "- approval.count: 1\n+ approval.count: 2\n"},
      {"an element comes", "{who: [a, b]}", "{who: [a, b, c]}", "+ who: [c]\n"},
      {"elements change", "{who: [a, b]}", "{who: [b, c, d]}", "- who: [a]\n+ who: [c, d]\n"},
      {"elements that are maps", "{s: [{d: \"a\", t: \"1\"}]}", "{s: [{d: \"a\", t: \"2\"}]}",
       "- s: [{d: \"a\", t: \"1\"}]\n+ s: [{d: \"a\", t: \"2\"}]\n"},
      {"a list alone", "[192.0.2.0/25]", "[192.0.2.0/24]", "- [192.0.2.0/25]\n+ [192.0.2.0/24]\n"},
      {"the order of a path", "{path: [a, b, c]}", "{path: [a, c, b]}",
       "- path: [a, b, c]\n+ path: [a, c, b]\n"},
      {"twice is not once", "{x: [a]}", "{x: [a, a]}", "- x: [a]\n+ x: [a, a]\n"},
      {"a list becomes a map", "{x: [a]}", "{x: {y: a}}", "- x: [a]\n+ x: {y: a}\n"},
      {"quoted marks", "{reason: \"a, b: {c\", ttl: 1h}", "{reason: \"a, b: }c\\\"\", ttl: 1h}",
       "- reason: \"a, b: {c\"\n+ reason: \"a, b: }c\\\"\"\n"},
      {"quoted keys", "{claims: {\"a: b\": [\"x\"]}}", "{claims: {\"a: b\": [\"x\", \"y\"]}}",
       "+ claims.\"a: b\": [\"y\"]\n"},
      {"came", "", "{ttl: 1h}", "+ {ttl: 1h}\n"},
      {"went", "{ttl: 1h}", "", "- {ttl: 1h}\n"},
      {"not our form", "{ttl: 1h", "{ttl: 2h}", "- {ttl: 1h\n+ {ttl: 2h}\n"},
      {"an end too early", "{ttl: 1h} x", "{ttl: 2h}", "- {ttl: 1h} x\n+ {ttl: 2h}\n"},
      {"an open quote", "{a: \"x\\", "{a: x}", "- {a: \"x\\\n+ {a: x}\n"},
      {"words", "strict", "standard", "- strict\n+ standard\n"},
  };
  for (const Row& row : rows) EXPECT_EQ(lines(row.before, row.after), row.want) << row.name;
}

TEST(RenderEdits, ADeepTextIsShownWhole) {
  std::string deep(100'000, '[');
  EXPECT_EQ(lines(deep, "[a]"), "- " + deep + "\n+ [a]\n");
}

TEST(RenderEdits, ATestsNameIsItsHeading) {
  EXPECT_EQ(lines("", "{name: \"n, {\", as: {}, can: [x]}", "tests", "n, {"),
            "+ {as: {}, can: [x]}\n");
  EXPECT_EQ(lines("", "{name: \"n\", as: {}, can: [x]}", "tests", ""),
            "+ {name: \"n\", as: {}, can: [x]}\n");
}

/// Whatever to_yaml() prints can be read, or a change would be shown whole.
TEST(RenderEdits, ReadsEveryElementOfThePolicy) {
  const std::string base = R"(
groups: {staff: {idp: "cn=staff, ou=\"x\"", from: [sso]}, boss: {idp: boss, from: [sso]}}
networks: {office: [198.51.100.0/24, {cidr: 10.0.0.0/8, any: true}]}
services: {ssh: {ports: [tcp/22], path: [a, b]}}
targets: {a: {type: nftables, table: ka}, b: {type: nftables, table: kb, capacity: {entries: 5}}}
allow:
  r: {who: [staff], claims: {"a: b": ["x, y"]}, acr: ["u:r"], from: {in: [office]},
      schedule: {days: mon-fri, from: "07:00", to: "20:00", tz: UTC},
      approval: {from: [boss], ttl: 4h}, to: [ssh], ttl: TTL}
static:
  s: {cidr: [192.0.2.1/32], to: [ssh], owner: o, reason: "why: {because}, [so]", until: UNTIL}
tests: [{name: "n: {", as: {groups: [staff]}, cannot: [ssh], at: 2027-01-31T00:00:00Z}]
)";
  auto with = [&](std::string_view ttl, std::string_view until) {
    auto text = base;
    text.replace(text.find("TTL"), 3, ttl);
    text.replace(text.find("UNTIL"), 5, until);
    return policy_of(text);
  };
  auto before = with("1h", "2027-01-31"), after = with("2h", "2027-02-28");
  auto edits = policy_delta(&before, after);
  ASSERT_EQ(edits.size(), 2u);
  for (const PolicyEdit& edit : edits) {
    auto found = lines_of(edit);
    ASSERT_EQ(found.size(), 2u);
    EXPECT_LT(found[0].text.size(), 40u) << found[0].text;
  }
}

}  // namespace
}  // namespace knock::test
