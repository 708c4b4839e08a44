// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "base/text.h"
#include "schemas/config/policy_location.h"

namespace knock {
namespace {

/// `*` and `?` within one name. Goes back to the last star only, so the cost is a product.
bool name_matches(std::string_view pattern, std::string_view name) {
  std::size_t p = 0, n = 0, star = std::string_view::npos, from = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p, ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace

bool path_matches(std::string_view pattern, std::string_view path) {
  auto patterns = split(pattern, '/'), names = split(path, '/');
  // reached[n]: the patterns so far can be the first n names.
  std::vector<bool> reached(names.size() + 1, false);
  reached[0] = true;
  for (std::size_t p = 0; p < patterns.size(); ++p) {
    std::vector<bool> next(names.size() + 1, false);
    bool last = p + 1 == patterns.size();
    if (patterns[p] == "**") {
      bool any = false;
      for (std::size_t n = 0; n <= names.size(); ++n) {
        // At the end it stands for at least one name: "a/**" is not the file `a`.
        next[n] = any || (reached[n] && !last);
        any = any || reached[n];
      }
    } else {
      for (std::size_t n = 0; n < names.size(); ++n)
        next[n + 1] = reached[n] && name_matches(patterns[p], names[n]);
    }
    reached = std::move(next);
  }
  return reached[names.size()];
}

}  // namespace knock
