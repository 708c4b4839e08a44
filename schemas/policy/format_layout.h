// SPDX-License-Identifier: Apache-2.0
// A YAML text as its author laid it out: the values of yaml_document.h together with what that tree
// leaves out, which is comments, blank lines, quotes and the choice between block and flow. Internal
// to the formatter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/policy/yaml_document.h"

namespace knock::layout {

struct Comment {
  std::string text;           // with its "#"; empty: there is none
  bool blank_before = false;  // on a line of its own: an empty line stands before it
  // Behind something: the column (1-based, characters) at which it stood, and whether more than one
  // blank was before it, as people do who want comments below each other.
  std::uint32_t column = 0;
  bool apart = false;
};

struct Item;

struct Value {
  enum class Kind : std::uint8_t { missing, plain, quoted, block_text, sequence, map };
  Kind kind = Kind::missing;
  bool flow = false;     // [ ] or { }
  bool wrapped = false;  // a plain text that stood on several lines
  bool notes = false;    // a collection with a comment somewhere between its brackets
  std::string text;      // plain: the value; quoted: with its quotes; block text: its header
  std::vector<std::string> lines;  // of a block text, without indentation
  std::vector<Item> items;
  Comment head;                  // behind `key:` or the opening bracket
  std::vector<Comment> closing;  // after the last item
};

struct Item {
  std::vector<Comment> before;
  bool blank_before = false;  // between `before` and the item
  std::string key;            // of a map, as it is printed
  Value value;
  Comment trailing;
};

struct Document {
  Item root;
  std::vector<Comment> after;
};

/// Nothing when the text has a form that is not known here; `lost` is then the place.
std::optional<Document> read_layout(std::string_view content, const YamlNode& root, Place& lost);
/// All comments, in order; as above.
std::optional<std::vector<std::string>> read_comments(std::string_view content,
                                                      const YamlNode& root);

std::string print_layout(const Document& document);

/// Characters, which is what places and the limit of 100 columns count.
std::size_t characters(std::string_view text);

}  // namespace knock::layout
