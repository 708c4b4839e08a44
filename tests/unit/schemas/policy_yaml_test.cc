// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "schemas/policy/yaml_document.h"
#include "schemas/policy/yaml_scalar.h"

namespace knock {
namespace {

YamlNode tree_of(std::string_view text) {
  Findings findings(CheckArea::policy);
  auto tree = parse_yaml(text, findings);
  EXPECT_TRUE(tree && findings.empty())
      << text << (findings.empty() ? "" : findings.all()[0].summary);
  return tree ? std::move(*tree) : YamlNode{};
}

/// Every scalar as "line:column+length text", plain ones as they are and others in angle brackets.
std::string scalars(const YamlNode& node) {
  std::string out;
  if (node.is_scalar())
    out += std::to_string(node.place.line) + ":" + std::to_string(node.place.column) + "+" +
           std::to_string(node.place.length) + " " +
           (node.plain ? node.text : "<" + node.text + ">") + "\n";
  for (const auto& child : node.children) out += scalars(child);
  return out;
}

TEST(PolicyYaml, EveryScalarKnowsItsPlace) {
  EXPECT_EQ(scalars(tree_of("a: b\n\"c d\": ['e''f', g h]\n")),
            "1:1+1 a\n1:4+1 b\n2:1+5 <c d>\n2:9+6 <e'f>\n2:17+3 g h\n");
}

TEST(PolicyYaml, ColumnsCountCharactersAlsoInOneLongLine) {
  std::string text = "x-a: [";
  for (int i = 0; i < 50; ++i) text += "\"ü€𝄞\", ";
  text += "end]\n";
  auto tree = tree_of(text);
  const auto& last = tree.children[1].children.back();
  EXPECT_EQ(last.text, "end");
  EXPECT_EQ(last.place, (Place{1, 6 + 50 * 7 + 1, 3}));
  EXPECT_EQ(tree.children[1].children[1].place, (Place{1, 14, 5}));
}

TEST(PolicyYaml, WordsOfNullKeepTheirText) {
  EXPECT_EQ(scalars(tree_of("null: ~\nx: Null\nNULL: [null]\n")),
            "1:1+4 null\n1:7+1 ~\n2:1+1 x\n2:4+4 Null\n3:1+4 NULL\n3:8+4 null\n");
}

TEST(PolicyYaml, MissingValuesAreEmptyAndStandAtTheirKey) {
  auto tree = tree_of("a:\nnull: b\nc:\nd: \"\"\n");
  EXPECT_TRUE(tree.children[1].is_missing());
  EXPECT_EQ(tree.children[1].place.line, 1u);
  EXPECT_EQ(tree.children[2].text, "null");
  EXPECT_TRUE(tree.children[5].is_missing());
  EXPECT_FALSE(tree.children[7].is_missing());  // quotes say that nothing was meant
}

/// The value is reported at the token behind it.
TEST(PolicyYaml, AKeyThatOnlyBeginsLikeNullIsNoValue) {
  for (std::string_view next : {"nullable", "NULLs", "~x", "null"}) {
    auto tree = tree_of("a:\n" + std::string(next) + ": 1\n");
    ASSERT_EQ(tree.children.size(), 4u) << next;
    EXPECT_TRUE(tree.children[1].is_missing()) << next;
    EXPECT_EQ(tree.children[1].place, tree.children[0].place) << next;
    EXPECT_EQ(tree.children[2].text, next);
  }
}

TEST(PolicyYaml, LineEndsAndByteOrderMarksDoNotMoveColumns) {
  EXPECT_EQ(scalars(tree_of("\xef\xbb\xbf"
                            "a: b\r\nc: d\r\n")),
            "1:1+1 a\n1:4+1 b\n2:1+1 c\n2:4+1 d\n");
}

TEST(PolicyYaml, LimitsAreExact) {
  std::string brackets(63, '['), closing(63, ']');
  EXPECT_TRUE(tree_of("a: " + brackets + closing + "\n").is_map());
  Findings findings(CheckArea::policy);
  std::string whole = "a: b\n#";
  whole.resize(kMostFileBytes, '#');
  EXPECT_TRUE(parse_yaml(whole, findings));
  EXPECT_FALSE(parse_yaml(whole + "#", findings));
}

TEST(PolicyYaml, EveryDuplicateIsReportedAndTheFirstCounts) {
  Findings findings(CheckArea::policy);
  auto tree = parse_yaml("a: 1\nb: 2\na: 3\nb: 4\na: 5\n", findings);
  ASSERT_TRUE(tree);
  EXPECT_EQ(scalars(*tree), "1:1+1 a\n1:4+1 1\n2:1+1 b\n2:4+1 2\n");
  EXPECT_EQ(findings.all().size(), 3u);
}

TEST(PolicyYaml, ScalarsThatOtherReadersTakeForSomethingElse) {
  for (std::string_view text : {"y",
                                "N",
                                "yes",
                                "NO",
                                "on",
                                "Off",
                                "true",
                                "FALSE",
                                "null",
                                "~",
                                "=",
                                "<<",
                                "0010",
                                "-7",
                                "+7",
                                "1_000",
                                "0x1F",
                                "0o17",
                                "0b11",
                                "1.5",
                                "1.",
                                ".5",
                                "1e3",
                                "1E-3",
                                "6.02e+23",
                                ".inf",
                                "-.INF",
                                ".nan",
                                "12:30",
                                "190:20:30.15",
                                "2027-01-31",
                                "2027-1-3",
                                "2027-01-31T10:00:00Z",
                                "2027-01-31 10:00:00"})
    EXPECT_TRUE(yaml_reads_differently(text)) << text;
  for (std::string_view text :
       {"",    "0",      "7",         "443", "dba",   "yes!", "nope",    "1a",
        "e3",  "1e",     "192.0.2.1", "a:b", "12:3x", "2027", "2027-01", "2027-01-31x",
        "1-2", "cn=web", ".",         "..",  "-",     "x.5",  "0xzz",    "inf"})
    EXPECT_FALSE(yaml_reads_differently(text)) << text;
}

TEST(PolicyYaml, QuotedTextsReadBackAsTheyWere) {
  for (std::string_view text : {"", "yes", "a \"b\" \\ c", "tab\tnewline\nend", "ü€𝄞", "\x1b[31m",
                                "a\u202eb", "{[,]}", "# no", "'", "\u00a0\u200d", "*a &b !c"}) {
    auto tree = tree_of("a: " + yaml_quoted(text) + "\n");
    ASSERT_EQ(tree.children.size(), 2u);
    EXPECT_EQ(tree.children[1].text, text);
  }
}

}  // namespace
}  // namespace knock
