// SPDX-License-Identifier: Apache-2.0
// What `knock fmt` makes of a file, row by row, and its promises.
#include <gtest/gtest.h>

#include <filesystem>

#include "schemas/policy/format.h"
#include "schemas/policy/load.h"
#include "tests/support/requirement.h"

namespace knock {
namespace {

std::string formatted(const std::string& content) {
  auto out = format_policy_file("p.yaml", content);
  return out.text ? *out.text : "refused:\n" + to_text(out.diagnostics);
}

struct Row {
  const char* name;
  std::string input;
  std::string want;
};

const std::string kLong(60, 'n');

const Row kRows[] = {
    {"spaces", "knock:   1\na : [x,y ,  z]\nb: { c : d,e : f }\n",
     "knock: 1\na: [x, y, z]\nb: {c: d, e: f}\n"},
    {"indentation is two", "a:\n      b:\n         c: 1\n", "a:\n  b:\n    c: 1\n"},
    {"lists are indented below their key", "a:\n- b\n- c\n", "a:\n  - b\n  - c\n"},
    {"maps in lists", "a:\n-   b: 1\n    c: 2\n-\n    d: 3\n",
     "a:\n  - b: 1\n    c: 2\n  - d: 3\n"},
    {"lists in lists", "a:\n - - x\n   - y\n -\n   - z\n", "a:\n  - - x\n    - y\n  - - z\n"},
    {"block stays block", "a:\n  - x\nb: [x]\n", "a:\n  - x\nb: [x]\n"},
    {"flow over lines is joined", "a: {b: 1,\n    c: 2}\n", "a: {b: 1, c: 2}\n"},
    {"what is too long becomes block", "r: {who: [" + kLong + "], to: [" + kLong + "]} # why\n",
     "r:  # why\n  who: [" + kLong + "]\n  to: [" + kLong + "]\n"},
    {"a long list becomes block", "r: [" + kLong + ", " + kLong + "]\n",
     "r:\n  - " + kLong + "\n  - " + kLong + "\n"},
    {"a long map in a list becomes block", "r:\n  - {a: " + kLong + ", b: " + kLong + "} # why\n",
     "r:\n  # why\n  - a: " + kLong + "\n    b: " + kLong + "\n"},
    {"one hundred columns fit", "r: [" + std::string(95, 'x') + "]\n",
     "r: [" + std::string(95, 'x') + "]\n"},
    {"one more does not", "r: [" + std::string(96, 'x') + "]\n",
     "r:\n  - " + std::string(96, 'x') + "\n"},
    {"empty collections", "a: [ ]\nb: {\n}\n", "a: []\nb: {}\n"},
    {"a flow root", "{knock: 1,   a: [b]}\n", "{knock: 1, a: [b]}\n"},
    {"missing values", "a:\nb: \nx-c: {d, e: }\n", "a:\nb:\nx-c: {d:, e:}\n"},
    {"null is a word", "x-a: null\nx-b: ~\n", "x-a: null\nx-b: ~\n"},
    {"a pair without braces", "a: [b: c]\n", "a: [{b: c}]\n"},
    {"question marks", "? a\n: b\n? c\n", "a: b\nc:\n"},
    {"markers and directives go", "%YAML 1.2\n---\na: b\n...\n", "a: b\n"},
    {"byte order mark and CRLF go",
     "\xef\xbb\xbf"
     "a: b\r\n# c\r\n\r\nd: e\r\n",
     "a: b\n# c\n\nd: e\n"},

    {"quotes that say nothing go", "a: \"admins\"\nb: 'tcp/22'\n\"c\": \"two words\"\n",
     "a: admins\nb: tcp/22\nc: two words\n"},
    {"quotes around what looks like something else stay",
     "a: \"22\"\nb: 'yes'\nc: \"2027-01-31\"\nd: \"07:00\"\ne: \"\"\nf: \"null\"\n\"no\": 1\n",
     "a: \"22\"\nb: \"yes\"\nc: \"2027-01-31\"\nd: \"07:00\"\ne: \"\"\nf: \"null\"\n\"no\": 1\n"},
    {"quotes around signs stay",
     "a: [\"*\", '2001:db8::/48', \"x,y\", \"#1\", '- z', \" s\", \"t \"]\n",
     "a: [\"*\", \"2001:db8::/48\", \"x,y\", \"#1\", \"- z\", \" s\", \"t \"]\n"},
    {"escapes stay", "a: \"x\\ty\"\nb: 'say \"hi\"'\nc: 'it''s'\nd: 'a\\b'\n",
     "a: \"x\\ty\"\nb: 'say \"hi\"'\nc: \"it's\"\nd: 'a\\b'\n"},
    {"plain words stay plain", "protect: true\nn: 0010\nx: no\n",
     "protect: true\nn: 0010\nx: no\n"},

    {"comments: every place",
     "# first\n\n\n# second\nknock: 1   # behind\n# before a\na:    # head\n    # above b\n"
     "    b: 1\n    # end of a\n\n# before c\nc: 2\n\n# last\n",
     "# first\n\n# second\nknock: 1  # behind\n# before a\na:  # head\n  # above b\n"
     "  b: 1\n  # end of a\n\n# before c\nc: 2\n\n# last\n"},
    {"comments: a rule commented out stays where it was",
     "allow:\n  a: {x: y}\n  # b: {x: y}\n\ndeny:\n  # nothing yet\n\ntests: 1\n",
     "allow:\n  a: {x: y}\n  # b: {x: y}\n\ndeny:\n  # nothing yet\n\ntests: 1\n"},
    {"comments: in a list that is not indented", "a:\n- x\n# next\n- y\n# before b\nb: 1\n",
     "a:\n  - x\n  # next\n  - y\n# before b\nb: 1\n"},
    {"comments: in brackets make a block",
     "a: [ # head\n  x, # one\n  # two\n  y\n  # end\n] # behind\n",
     "a:  # head\n  - x  # one\n  # two\n  - y\n  # end\n  # behind\n"},
    {"comments: in braces inside brackets", "a: [{b: 1, # one\n  c: 2}, # two\n {d: 3}]\n",
     "a:\n  - b: 1  # one\n    c: 2\n    # two\n  - {d: 3}\n"},
    {"comments: before a comma", "a: {b: 1 # one\n , c: 2\n # two\n , d: 3}\n",
     "a:\n  b: 1  # one\n  c: 2\n  # two\n  d: 3\n"},
    {"comments: in empty brackets", "a: 1\n\nb: [ # one\n # two\n] # three\n",
     "a: 1\n\n# one\n# two\nb: []  # three\n"},
    {"comments: between key and value", "a: # one\n  # two\n  x # three\nb: # four\n  {c: d}\n",
     "# one\n# two\na: x  # three\n# four\nb: {c: d}\n"},
    {"comments: behind a dash", "a:\n  - # one\n    b: 1\n  - # two\n    - c\n  - # three\n",
     "a:\n  # one\n  - b: 1\n  # two\n  - - c\n  -  # three\n"},
    {"comments: nothing else after a bracket", "a: [[ # one\n  x]]\n", "a:\n  # one\n  - [x]\n"},
    {"comments: around a flow root", "# one\n{a: b} # two\n# three\n",
     "# one\n{a: b}  # two\n# three\n"},
    {"comments: inside a flow root", "# one\n{ # two\n  a: b, # three\n} # four\n",
     "# one\n# two\na: b  # three\n# four\n"},
    {"comments: behind markers", "# a\n--- # b\nk: v\n... # c\n", "# a\n# b\nk: v\n# c\n"},
    {"comments: aligned ones stay aligned",
     "a: 1      # one\nbbb: 2    # two\ncc: 3  # three\n\nd: 4    # four\n",
     "a: 1    # one\nbbb: 2  # two\ncc: 3  # three\n\nd: 4  # four\n"},
    {"comments: a hash in a text is none", "a: \"x # y\"\nb: x#y\nc: 'z' # w\n",
     "a: \"x # y\"\nb: x#y\nc: z  # w\n"},

    {"empty lines: one at most, none at the edges",
     "\n\na: 1\n\n\n\nb:\n\n  c: 1\n\n\n  d: 2\n\n\n", "a: 1\n\nb:\n  c: 1\n\n  d: 2\n"},
    {"empty lines: within a list of brackets that becomes block", "a: [x, # one\n\n\n y]\n",
     "a:\n  - x  # one\n\n  - y\n"},

    {"text over lines is joined where it fits", "a: one\n   two\n   three # why\n",
     "a: one two three  # why\n"},
    {"text over lines is wrapped where it does not fit",
     "reason: " + kLong + "\n  " + kLong + " - x\n  end\n",
     "reason: " + kLong + "\n  " + kLong + " - x end\n"},
    {"one long line is left", "reason: " + kLong + " " + kLong + "\n",
     "reason: " + kLong + " " + kLong + "\n"},
    {"text with empty lines", "x-a: one\n\n\n   two\nb: 1\n", "x-a: one\n\n\n  two\nb: 1\n"},
    {"block texts",
     "a: |  # why\n     one\n       two\n\n     three\n\n\nb: >-\n  x\n  y\n# c\nc: 1\n",
     "a: |  # why\n  one\n    two\n\n  three\n\nb: >-\n  x\n  y\n# c\nc: 1\n"},
    {"block texts that keep their end", "a: |+\n   one\n\n\nb: 1\n", "a: |+\n  one\n\n\nb: 1\n"},
    {"block texts with blanks first", "a: |1\n  one\n two\nb: 1\n", "a: |2\n   one\n  two\nb: 1\n"},
    {"block texts: blanks at the end are text where they are deeper", "a: |\n one\n  \nb: 1\n",
     "a: |\n  one\n   \nb: 1\n"},
    {"comments: behind dashes behind dashes", "a:\n  -\n    - # one\n      - x\n",
     "a:\n  # one\n  - - - x\n"},
    {"comments: behind a long map behind two dashes",
     "r:\n  - - {a: " + kLong + ", b: " + kLong + "} # why\n",
     "r:\n  - - a: " + kLong + "\n      b: " + kLong + "\n      # why\n"},
    {"block texts in lists", "a:\n- |\n  one\n- x\n", "a:\n  - |\n    one\n  - x\n"},
    {"a block text at the end without a line break", "a: |\n  one", "a: |-\n  one\n"},
    {"signs that mean something in block style get quotes", "a: [-, x]\n", "a: [\"-\", x]\n"},
    {"a key may end with a colon", "8::\n  - x\n", "8::\n  - x\n"},
    {"a missing value behind a key that looks like nothing", "? nullable\n? null\n? ~x\n",
     "nullable:\nnull:\n~x:\n"},
    {"a missing value before a key that looks like nothing", "x-a:\nnullable: 1\n",
     "x-a:\nnullable: 1\n"},
};

TEST(PolicyFormat, Rows) {
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    auto once = formatted(row.input);
    EXPECT_EQ(once, row.want);
    EXPECT_EQ(formatted(once), once);
    EXPECT_EQ(yaml_comments(once), yaml_comments(row.input));
  }
}

TEST(PolicyFormat, WhatDoesNotParseIsRefusedWithItsDiagnostics) {
  auto out = format_policy_file("p.yaml", "a: 1\na: 2\nb: *c\n");
  EXPECT_FALSE(out.text);
  ASSERT_FALSE(out.diagnostics.empty());
  EXPECT_EQ(out.diagnostics[0].where.file, "p.yaml");
  out = format_policy_file("p.yaml", "a: 1\na: 2\n");
  ASSERT_EQ(out.diagnostics.size(), 1u);
  EXPECT_EQ(out.diagnostics[0].id, "yaml.duplicate-key");
  EXPECT_EQ(out.diagnostics[0].line_text, "a: 2");
  EXPECT_FALSE(out.text);
}

TEST(PolicyFormat, NothingGrowsBeyondWhatIsRead) {
  std::string text = "knock: 1\nx-a:\n";
  while (text.size() < (1u << 20) - 20) text += "#\n";
  auto out = format_policy_file("p.yaml", text + "\n - a\n");
  EXPECT_FALSE(out.text);
  ASSERT_EQ(out.diagnostics.size(), 1u);
  EXPECT_EQ(out.diagnostics[0].id, "format.too-large");
}

TEST(PolicyFormat, SameValuesAreOfTheSameKinds) {
  auto tree = [](std::string_view text) {
    Findings findings(CheckArea::policy);
    return *parse_yaml(text, findings);
  };
  EXPECT_TRUE(same_values(tree("a: \"x\""), tree("a: x")));
  EXPECT_TRUE(same_values(tree("a: {b: [c]}"), tree("a:\n  b:\n    - c")));
  EXPECT_FALSE(same_values(tree("a: \"22\""), tree("a: 22")));
  EXPECT_FALSE(same_values(tree("a: \"true\""), tree("a: true")));
  EXPECT_FALSE(same_values(tree("a: \"\""), tree("a:")));
  EXPECT_FALSE(same_values(tree("a: x"), tree("a: y")));
  EXPECT_FALSE(same_values(tree("a: [x]"), tree("a: x")));
  EXPECT_FALSE(same_values(tree("a: [x]"), tree("a: [x, x]")));
}

TEST(PolicyFormat, ExamplesKeepTheirMeaning) {
  namespace fs = std::filesystem;
  std::size_t files = 0;
  for (const auto& folder : fs::directory_iterator(test::source_dir() + "/examples/policies")) {
    std::vector<PolicyFile> before, after;
    for (const auto& item : fs::recursive_directory_iterator(folder)) {
      auto name = item.path().filename().string();
      if (!name.ends_with(".yaml") || name.starts_with(".")) continue;
      SCOPED_TRACE(item.path());
      auto content = test::read_file(item.path());
      auto out = format_policy_file(name, content);
      ASSERT_TRUE(out.text) << to_text(out.diagnostics);
      EXPECT_EQ(formatted(*out.text), *out.text);
      EXPECT_EQ(yaml_comments(*out.text), yaml_comments(content));
      auto path = fs::relative(item.path(), folder).string();
      before.push_back({path, content, ""});
      after.push_back({path, *out.text, ""});
      ++files;
    }
    auto one = load_policy(before, PolicyRevision("r"), {});
    auto other = load_policy(after, PolicyRevision("r"), {});
    ASSERT_EQ(one.policy.has_value(), other.policy.has_value()) << folder.path();
    if (one.policy) EXPECT_TRUE(same_meaning(*one.policy, *other.policy)) << folder.path();
  }
  EXPECT_GE(files, 3u);
}

}  // namespace
}  // namespace knock
