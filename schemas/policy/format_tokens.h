// SPDX-License-Identifier: Apache-2.0
// The tokens of a YAML text whose values are known already. Between two values only punctuation,
// blanks and comments can stand, so no guess is needed about what a `#` or a `:` is. Internal to the
// formatter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "schemas/policy/yaml_document.h"

namespace knock::layout {

struct Token {
  enum class Kind : std::uint8_t { scalar, comment, punctuation, end };
  Kind kind = Kind::end;
  std::size_t begin = 0, end = 0;  // bytes
  const YamlNode* node = nullptr;  // of a scalar
  std::size_t indent = 0;          // of a `|` or `>` text: blanks before each of its lines
  bool own_line = false;           // the first on its line
  bool blank_before = false;       // at least one empty line before it
};

/// Thrown within the formatter only, at a form that it does not know.
struct Lost {
  std::size_t offset = 0;
};

/// In order, with an `end` behind the last. `content` has no byte order mark. Missing values
/// have no token.
std::vector<Token> tokens_of(std::string_view content, const YamlNode& root);

std::uint32_t column_at(std::string_view content, std::size_t offset);
Place place_at(std::string_view content, std::size_t offset);
bool is_block_text(std::string_view content, const YamlNode& node, std::size_t begin);

}  // namespace knock::layout
