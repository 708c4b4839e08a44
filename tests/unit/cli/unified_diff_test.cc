// SPDX-License-Identifier: Apache-2.0
#include "cli/unified_diff.h"

#include <gtest/gtest.h>

#include <random>

#include "base/text.h"

namespace knock::cli {
namespace {

std::string numbered(int from, int to) {
  std::string out;
  for (int i = from; i <= to; ++i) out += std::to_string(i) + "\n";
  return out;
}

TEST(UnifiedDiff, NothingForTheSame) { EXPECT_EQ(unified_diff("a", "x\n", "x\n"), ""); }

TEST(UnifiedDiff, OneHunkWithContext) {
  EXPECT_EQ(
      unified_diff("p.yaml", numbered(1, 9), numbered(1, 4) + "five\n" + numbered(6, 9)),
      "--- p.yaml\n+++ p.yaml (formatted)\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST(UnifiedDiff, FarChangesAreTwoHunks) {
  auto diff =
      unified_diff("p", "x\n" + numbered(1, 20) + "y\n", "z\n" + numbered(1, 20) + "w\nv\n");
  EXPECT_EQ(diff,
            "--- p\n+++ p (formatted)\n@@ -1,4 +1,4 @@\n-x\n+z\n 1\n 2\n 3\n@@ -19,4 +19,5 @@\n "
            "18\n 19\n 20\n-y\n+w\n+v\n");
}

/// Takes a diff back: what it makes of `before`.
std::string applied(const std::string& before, const std::string& diff) {
  auto old_lines = split(before, '\n');
  std::string out;
  std::size_t at = 0;
  auto rows = split(diff, '\n');
  for (std::size_t i = 2; i + 1 < rows.size(); ++i) {
    auto row = rows[i];
    if (row.starts_with("@@ -")) {
      auto start = std::size_t(std::stoi(std::string(row.substr(4)))) - 1;
      for (; at < start; ++at) out += std::string(old_lines[at]) + "\n";
      continue;
    }
    auto line = std::string(row.substr(1));
    if (row[0] != '+') EXPECT_EQ(old_lines[at++], line);
    if (row[0] != '-') out += line + "\n";
  }
  for (; at + 1 < old_lines.size(); ++at) out += std::string(old_lines[at]) + "\n";
  return out;
}

TEST(UnifiedDiff, TurnsOneTextIntoTheOther) {
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    auto text = [&] {
      std::string out = "begin\n";
      for (auto n = random() % 25; n > 0; --n)
        out += std::string(1, char('a' + random() % 4)) + "\n";
      return out;
    };
    auto before = text(), after = text();
    if (before == after) continue;
    ASSERT_EQ(applied(before, unified_diff("p", before, after)), after) << before << "\n" << after;
  }
}

TEST(UnifiedDiff, LargeTextsThatShareNothing) {
  auto diff = unified_diff("p", numbered(1, 9000), numbered(20001, 29000));
  EXPECT_EQ(applied(numbered(1, 9000), diff), numbered(20001, 29000));
}

}  // namespace
}  // namespace knock::cli
