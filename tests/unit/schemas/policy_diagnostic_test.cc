// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "schemas/diagnostic.h"

namespace knock {
namespace {

using Severity = Diagnostic::Severity;

Diagnostic at(std::uint32_t column, std::uint32_t length, std::string line) {
  return {Severity::error, "policy.x", {"a/b.yaml", 3, column, length},
          "summary",       "do this",  std::move(line)};
}

TEST(Diagnostic, ShowsTheLineACaretAndTheSuggestion) {
  EXPECT_EQ(to_text(at(5, 3, "who: dba")),
            "a/b.yaml:3:5: error: summary  [policy.x]\n"
            "    who: dba\n"
            "        ^~~\n"
            "    = do this\n");
}

TEST(Diagnostic, PointsAtTheRightCellBesideWideAndHiddenCharacters) {
  EXPECT_EQ(to_text(at(4, 1, "\tüé: x")),
            "a/b.yaml:3:4: error: summary  [policy.x]\n"
            "     üé: x\n"
            "       ^\n"
            "    = do this\n");
  EXPECT_EQ(to_text(at(3, 1,
                       "a\x1b"
                       "b")),
            "a/b.yaml:3:3: error: summary  [policy.x]\n"
            "    a\\u{1b}b\n"
            "           ^\n"
            "    = do this\n");
}

TEST(Diagnostic, CutsALongLineAroundThePlace) {
  auto text = to_text(at(301, 2, std::string(300, 'a') + "XY" + std::string(300, 'b')));
  auto shown = text.find('X');
  auto caret = text.find('^');
  ASSERT_NE(shown, std::string::npos);
  ASSERT_NE(caret, std::string::npos);
  auto column = [&](std::size_t offset) { return offset - text.rfind('\n', offset); };
  EXPECT_EQ(column(shown), column(caret));
  EXPECT_LT(text.size(), 400u);
}

TEST(Diagnostic, APlaceBehindTheLineIsStillShown) {
  EXPECT_EQ(to_text(at(40, 1, "ab")),
            "a/b.yaml:3:40: error: summary  [policy.x]\n    ab\n      ^\n    = do this\n");
}

TEST(Diagnostic, WithoutPlaceLineOrSuggestion) {
  Diagnostic diagnostic{Severity::warning, "policy.y", {}, "summary", "", ""};
  EXPECT_EQ(to_text(diagnostic), "(policy): warning: summary  [policy.y]\n");
  diagnostic.where.file = "a.yaml";
  EXPECT_EQ(to_text(diagnostic), "a.yaml: warning: summary  [policy.y]\n");
}

TEST(Diagnostic, NothingFromOutsideMovesTheCursor) {
  Diagnostic diagnostic{Severity::error, "policy.x",  {"a\nb.yaml", 1, 1, 1},
                        "s\x1b[2J",      "t\r\u202e", "l\x07"};
  auto text = to_text(diagnostic);
  for (char c : text) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
  EXPECT_EQ(std::ranges::count(text, '\n'), 4);
  EXPECT_EQ(text.find("\u202e"), std::string::npos);
}

TEST(Diagnostic, SortsErrorsFirstThenByPlace) {
  auto make = [](Severity severity, std::string file, std::uint32_t line) {
    return Diagnostic{severity, "x", {std::move(file), line, 1, 0}, "", "", ""};
  };
  Diagnostics all{make(Severity::warning, "a", 1), make(Severity::error, "b", 1),
                  make(Severity::error, "a", 10), make(Severity::error, "a", 9)};
  sort_diagnostics(all);
  std::string order;
  for (const auto& d : all) order += d.where.to_string() + " ";
  EXPECT_EQ(order, "a:9:1 a:10:1 b:1:1 a:1:1 ");
  EXPECT_TRUE(has_errors(all));
  EXPECT_FALSE(has_errors({make(Severity::warning, "a", 1)}));
}

}  // namespace
}  // namespace knock
