// SPDX-License-Identifier: Apache-2.0
// The ids that a source file can report, read from its text: where ids are words beside their checks and no list keeps
// them, a table of rows is held against the source itself.
#pragma once

#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/requirement.h"

namespace knock::test {

/// What the group of `pattern` matches in `files` (from the repository's root), each behind `prefix`.
inline std::set<std::string> ids_in(const std::vector<std::string>& files, const char* pattern,
                                    std::string_view prefix) {
  std::set<std::string> out;
  const std::regex find(pattern);
  for (const auto& file : files) {
    auto text = read_file(source_dir() + "/" + file);
    for (std::sregex_iterator it(text.begin(), text.end(), find), end; it != end; ++it)
      out.insert(std::string(prefix) + it->str(1));
  }
  return out;
}

}  // namespace knock::test
