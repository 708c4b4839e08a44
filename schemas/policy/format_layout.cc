// SPDX-License-Identifier: Apache-2.0
// Tokens and values to a layout. Which comment belongs to what is decided here, always so that their
// order stays: a comment that has no natural place moves up, before the item it stands in.
#include "schemas/policy/format_layout.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/text.h"
#include "schemas/policy/format_tokens.h"
#include "schemas/policy/yaml_scalar.h"

namespace knock::layout {
namespace {

using Comments = std::vector<Comment>;

bool plain_everywhere(char c) {
  if (static_cast<unsigned char>(c) >= 0x80) return true;
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return std::string_view(" _-./@+=()").find(c) != std::string_view::npos;
}

/// Would nobody, person or program, take this text for anything else without quotes?
bool needs_no_quotes(std::string_view text) {
  if (text.empty() || text.back() == ' ' || !std::ranges::all_of(text, plain_everywhere))
    return false;
  if (std::string_view(" -.@+=()").find(text[0]) != std::string_view::npos) return false;
  return yaml_name(text) == text && printable(text) == text;
}

/// Does a plain text begin like an item or a key of block style? Brackets let it pass.
bool begins_as_structure(std::string_view text) {
  bool mark = !text.empty() && std::string_view("-?:").find(text[0]) != std::string_view::npos;
  return mark && (text.size() == 1 || text[1] == ' ');
}

/// Would a plain value be structure there?
bool is_structure(std::string_view text) {
  return begins_as_structure(text) || text.ends_with(':') ||
         text.find(": ") != std::string_view::npos;
}

/// A text in quotes: double ones, unless that would need escapes.
std::string quoted(std::string_view raw) {
  if (raw[0] == '"' || raw.find_first_of("\\\"") != std::string_view::npos) return std::string(raw);
  std::string out = "\"";
  for (std::size_t i = 1; i + 1 < raw.size(); ++i) {
    out += raw[i];
    if (raw[i] == '\'') ++i;  // doubled in single quotes
  }
  return out + "\"";
}

/// "|2-" and the like, for lines that are indented by two.
std::string block_header(std::string_view raw, std::string_view value) {
  auto header = raw.substr(0, raw.find_first_of(" \t\r\n#"));
  std::string out(1, header[0]);
  if (header.find_first_of("123456789") != std::string_view::npos) out += '2';
  // Without a line break at the end of the file there is nothing to keep.
  if (!value.ends_with('\n'))
    out += '-';
  else if (header.find('+') != std::string_view::npos)
    out += '+';
  return out;
}

std::vector<std::string> block_lines(std::string_view raw, std::size_t indent) {
  std::vector<std::string> lines;
  auto parts = split(raw, '\n');
  for (std::size_t i = 1; i < parts.size(); ++i) {
    auto line = parts[i];
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line.size() > indent ? line.substr(indent) : std::string_view());
  }
  return lines;
}

/// A comment on its own before `item`, after those that are there.
void hoist(Item& item, Comment comment) {
  if (comment.text.empty()) return;
  comment.blank_before = std::exchange(item.blank_before, false);
  item.before.push_back(std::move(comment));
}

bool has_notes(const Value& value) {
  if (!value.head.text.empty() || !value.closing.empty()) return true;
  return std::ranges::any_of(value.items, [](const Item& item) {
    return !item.before.empty() || !item.trailing.text.empty() || item.value.notes;
  });
}

/// Moves comments up where block style has no place for them: [] has no line of its own, and behind
/// `- ` begins the first line of what follows.
void settle(Item& item, bool in_sequence) {
  auto& value = item.value;
  if (value.items.empty() || in_sequence) hoist(item, std::exchange(value.head, {}));
  if (value.flow && value.items.empty()) {
    for (auto& comment : std::exchange(value.closing, {})) hoist(item, std::move(comment));
  } else if (in_sequence && !value.items.empty()) {
    for (auto& comment : std::exchange(value.items[0].before, {})) hoist(item, std::move(comment));
  }
  value.notes = value.flow && has_notes(value);
}

class Reader {
 public:
  Reader(std::string_view content, const YamlNode& root)
      : content_(content), tokens_(tokens_of(content, root)) {}

  Document document(const YamlNode& root) {
    Document out;
    if (is(peek(), '{')) {
      while (at_comment()) out.root.before.push_back(own_comment());
      out.root.blank_before = here().blank_before;
      out.root.value = flow(root);
      settle(out.root, false);
      out.root.trailing = same_line_comment();
    } else {
      out.root.value = block_map(root);
    }
    while (at_comment()) out.after.push_back(own_comment());
    if (here().kind != Token::Kind::end) lost();
    return out;
  }

  std::vector<std::string> comments() const {
    std::vector<std::string> out;
    for (const auto& token : tokens_)
      if (token.kind == Token::Kind::comment) out.emplace_back(raw(token));
    return out;
  }

 private:
  // ---- tokens ----

  const Token& here() const { return tokens_[at_]; }
  const Token& take() { return tokens_[at_++]; }
  /// The next token that is no comment.
  const Token& peek() const {
    auto i = at_;
    while (tokens_[i].kind == Token::Kind::comment) ++i;
    return tokens_[i];
  }
  std::string_view raw(const Token& token) const {
    return content_.substr(token.begin, token.end - token.begin);
  }
  bool is(const Token& token, char c) const {
    return token.kind == Token::Kind::punctuation && content_[token.begin] == c;
  }
  bool at_comment() const { return here().kind == Token::Kind::comment; }
  std::uint32_t column() const { return column_at(content_, here().begin); }
  [[noreturn]] void lost() const { throw Lost{here().begin}; }
  void expect(char c) {
    if (!is(here(), c)) lost();
    ++at_;
  }

  Comment own_comment() {
    const auto& token = take();
    return {std::string(raw(token)), token.blank_before};
  }
  /// Behind something on the same line; nothing otherwise.
  Comment same_line_comment() {
    if (!at_comment() || here().own_line) return {};
    auto at = column();
    bool apart = content_.substr(0, here().begin).ends_with("  ");
    return {std::string(raw(take())), false, at, apart};
  }
  void hoist_comments(Item& item) {
    while (at_comment()) hoist(item, own_comment());
  }

  // ---- block ----

  Value block_map(const YamlNode& node) {
    Value out;
    out.kind = Value::Kind::map;
    std::uint32_t left = 0;
    for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
      Item item;
      begin_item(item);
      if (i == 0) left = column();
      read_key(item, node.children[i]);
      block_value(item, node.children[i + 1], left, false);
      out.items.push_back(std::move(item));
    }
    take_closing(out.closing, left);
    return out;
  }

  /// `key:`, `? key` or `? key :`.
  void read_key(Item& item, const YamlNode& node) {
    if (is(here(), '?')) {
      ++at_;
      hoist_comments(item);
    }
    item.key = key(node);
    if (!is(peek(), ':')) return;
    hoist_comments(item);
    ++at_;
  }

  /// `parent`: the column of the key. A list need not be indented below it, and then a comment in
  /// that column belongs to the keys.
  Value block_sequence(const YamlNode& node, std::uint32_t parent) {
    Value out;
    out.kind = Value::Kind::sequence;
    std::uint32_t left = 0;
    for (const auto& child : node.children) {
      Item item;
      begin_item(item);
      left = column();
      expect('-');
      block_value(item, child, left, true);
      out.items.push_back(std::move(item));
    }
    take_closing(out.closing, std::max(left, parent + 1));
    return out;
  }

  void begin_item(Item& item) {
    while (at_comment()) item.before.push_back(own_comment());
    item.blank_before = here().blank_before;
  }

  void take_closing(Comments& closing, std::uint32_t least) {
    while (at_comment() && column() >= least) closing.push_back(own_comment());
  }

  /// What stands behind `key:` or `-`, with the comment behind it. `left`: the column of the item.
  void block_value(Item& item, const YamlNode& node, std::uint32_t left, bool in_sequence) {
    const auto& next = peek();
    bool collection = !node.is_scalar();
    if (!collection && !(next.kind == Token::Kind::scalar && next.node == &node)) {
      item.trailing = same_line_comment();
      take_closing(item.value.closing, left + 1);
      return;
    }
    if (!collection) {
      hoist_comments(item);
      item.value = scalar(node);
      item.trailing = same_line_comment();
      return;
    }
    if (is(next, '[') || is(next, '{')) {
      hoist_comments(item);
      item.value = flow(node);
      settle(item, in_sequence);
      item.trailing = same_line_comment();
      return;
    }
    auto head = same_line_comment();
    item.value = node.is_map() ? block_map(node) : block_sequence(node, in_sequence ? 0 : left);
    item.value.head = std::move(head);
    settle(item, in_sequence);
  }

  // ---- flow ----

  Value flow(const YamlNode& node) {
    char close = node.is_map() ? '}' : ']';
    expect(node.is_map() ? '{' : '[');
    Value out;
    out.kind = node.is_map() ? Value::Kind::map : Value::Kind::sequence;
    out.flow = true;
    out.head = same_line_comment();
    Comments pending;
    std::size_t step = node.is_map() ? 2 : 1;
    for (std::size_t i = 0; i + step <= node.children.size(); i += step) {
      Item item;
      item.before = std::exchange(pending, {});
      flow_item(item, node, i);
      between_flow_items(&item, pending);
      out.items.push_back(std::move(item));
    }
    between_flow_items(nullptr, pending);
    expect(close);
    out.closing = std::move(pending);
    return out;
  }

  void flow_item(Item& item, const YamlNode& node, std::size_t i) {
    begin_item(item);
    if (node.is_map()) {
      flow_pair(item, node, i);
      return;
    }
    const auto& child = node.children[i];
    bool pair = child.is_map() && !is(here(), '{');  // [a: b]
    item.value = pair ? lone_pair(child) : flow_value(item, child);
    settle(item, true);
  }

  void flow_pair(Item& item, const YamlNode& node, std::size_t i) {
    read_key(item, node.children[i]);
    item.value = flow_value(item, node.children[i + 1]);
    settle(item, false);
  }

  Value lone_pair(const YamlNode& node) {
    if (node.children.size() != 2) lost();
    Value out;
    out.kind = Value::Kind::map;
    out.flow = true;
    Item item;
    flow_pair(item, node, 0);
    out.items.push_back(std::move(item));
    return out;
  }

  Value flow_value(Item& item, const YamlNode& node) {
    const auto& next = peek();
    if (!node.is_scalar()) {
      hoist_comments(item);
      return flow(node);
    }
    if (next.kind != Token::Kind::scalar || next.node != &node) return {};
    hoist_comments(item);
    return scalar(node);
  }

  /// Commas, and the comments around them.
  void between_flow_items(Item* item, Comments& pending) {
    while (at_comment() || is(here(), ',')) {
      if (is(here(), ',')) {
        ++at_;
        continue;
      }
      bool behind = item != nullptr && item->trailing.text.empty() && pending.empty();
      if (behind && !here().own_line)
        item->trailing = same_line_comment();
      else
        pending.push_back(own_comment());
    }
  }

  // ---- scalars ----

  const Token& scalar_token(const YamlNode& node) {
    if (here().kind != Token::Kind::scalar || here().node != &node) lost();
    return take();
  }

  std::string key(const YamlNode& node) {
    const auto& token = scalar_token(node);
    bool one_line = node.text.find('\n') == std::string::npos;
    if (node.plain && one_line && !begins_as_structure(node.text)) return node.text;
    if (node.plain || is_block_text(content_, node, token.begin)) return yaml_quoted(node.text);
    return needs_no_quotes(node.text) ? node.text : quoted(raw(token));
  }

  Value scalar(const YamlNode& node) {
    const auto& token = scalar_token(node);
    Value out;
    if (is_block_text(content_, node, token.begin)) {
      out.kind = Value::Kind::block_text;
      out.text = block_header(raw(token), node.text);
      out.lines = block_lines(raw(token), token.indent);
      return out;
    }
    bool plain = node.plain ? !is_structure(node.text) : needs_no_quotes(node.text);
    out.kind = plain ? Value::Kind::plain : Value::Kind::quoted;
    out.text = plain ? node.text : node.plain ? yaml_quoted(node.text) : quoted(raw(token));
    out.wrapped = node.plain && raw(token).find('\n') != std::string_view::npos;
    return out;
  }

  std::string_view content_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<Document> read_layout(std::string_view content, const YamlNode& root, Place& lost) {
  try {
    return Reader(content, root).document(root);
  } catch (const Lost& form) {
    lost = place_at(content, form.offset);
  }
  return std::nullopt;
}

std::optional<std::vector<std::string>> read_comments(std::string_view content,
                                                      const YamlNode& root) {
  try {
    return Reader(content, root).comments();
  } catch (const Lost&) {
    return std::nullopt;
  }
}

}  // namespace knock::layout
