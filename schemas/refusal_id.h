// SPDX-License-Identifier: Apache-2.0
// The ids by which a policy source refuses what it brings (docs/git-as-law.md), in its messages.
#pragma once

#include <algorithm>
#include <string_view>

namespace knock {

/// "commit.unsigned" of "commit.unsigned: commit 3f2c1aa changes …", wherever in the text that
/// begins; "" where there is none.
inline std::string_view refusal_id(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    auto end = std::min(text.find(' ', at), text.size());
    auto word = text.substr(at, end - at);
    bool known =
        word.starts_with("tree.") || word.starts_with("git.") || word.starts_with("commit.");
    if (known && word.ends_with(':')) {
      auto id = word.substr(0, word.size() - 1);
      if (id.find_first_not_of("abcdefghijklmnopqrstuvwxyz-.") == id.npos) return id;
    }
    at = end + 1;
  }
  return "";
}

}  // namespace knock
