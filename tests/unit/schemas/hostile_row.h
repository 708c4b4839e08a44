// SPDX-License-Identifier: Apache-2.0
// One row of a table of hostile documents: what is written, and the one diagnostic it must give.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "schemas/diagnostic.h"

namespace knock::test {

struct Expected {
  std::string id;
  std::string where;  // "6:12" in the (first) file; "0" for the whole file
};

inline std::string place_of(const Diagnostic& diagnostic) {
  if (diagnostic.where.line == 0) return "0";
  return std::to_string(diagnostic.where.line) + ":" + std::to_string(diagnostic.where.column);
}

/// One mistake gives one diagnostic: no fewer, and no echoes of it elsewhere.
inline void expect_only(const Diagnostics& diagnostics, const Expected& want) {
  ASSERT_EQ(diagnostics.size(), 1u) << to_text(diagnostics);
  EXPECT_EQ(diagnostics[0].id, want.id) << to_text(diagnostics);
  EXPECT_EQ(place_of(diagnostics[0]), want.where) << to_text(diagnostics);
  EXPECT_FALSE(diagnostics[0].summary.empty());
  EXPECT_FALSE(diagnostics[0].suggestion.empty())
      << want.id << " says what is wrong, not what to do";
}

inline std::vector<std::string> sorted_list(const std::set<std::string>& ids) {
  return {ids.begin(), ids.end()};
}

}  // namespace knock::test
