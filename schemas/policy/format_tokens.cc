// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/format_tokens.h"

#include <algorithm>

namespace knock::layout {
namespace {

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }
bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/// Places to byte offsets. Values come in the order of the text, so the last answer is where the
/// next search begins: a file that is one long line stays linear.
class Offsets {
 public:
  explicit Offsets(std::string_view content) : content_(content) {}

  std::size_t of(Place place) {
    if (place.line < line_ || (place.line == line_ && place.column < column_))
      throw Lost{offset_};  // values go forward only
    while (line_ < place.line) {
      auto newline = content_.find('\n', offset_);
      if (newline == std::string_view::npos) throw Lost{offset_};
      offset_ = newline + 1;
      ++line_;
      column_ = 1;
    }
    while (column_ < place.column) {
      if (offset_ >= content_.size() || content_[offset_] == '\n') throw Lost{offset_};
      do ++offset_;
      while (offset_ < content_.size() && continues(content_[offset_]));
      ++column_;
    }
    return offset_;
  }

 private:
  std::string_view content_;
  std::size_t offset_ = 0;
  std::uint32_t line_ = 1, column_ = 1;
};

/// The end of a quoted text; the loader has seen that it is on the same line.
std::size_t quoted_end(std::string_view content, std::size_t begin) {
  char quote = content[begin];
  for (std::size_t i = begin + 1; i < content.size() && content[i] != '\n'; ++i) {
    if (quote == '"' && content[i] == '\\')
      ++i;
    else if (content[i] == quote && quote == '\'' && content.substr(i + 1).starts_with('\''))
      ++i;
    else if (content[i] == quote)
      return i + 1;
  }
  throw Lost{begin};
}

/// The end of a plain text, found by following its value: a line break within it reads as one
/// blank, and each empty line as a line break.
std::size_t plain_end(std::string_view content, std::size_t begin, std::string_view value) {
  std::size_t at = begin;
  for (std::size_t i = 0; i < value.size();) {
    auto next = at;
    while (next < content.size() && blank(content[next])) ++next;
    if (next >= content.size()) throw Lost{begin};
    if (content[next] != '\n') {
      if (content[at] != value[i]) throw Lost{begin};
      ++at, ++i;
      continue;
    }
    std::size_t breaks = 0;
    for (; next < content.size() && (blank(content[next]) || content[next] == '\n'); ++next)
      breaks += content[next] == '\n' ? 1 : 0;
    std::size_t wanted = breaks == 1 ? 1 : breaks - 1;
    char read_as = breaks == 1 ? ' ' : '\n';
    if (value.substr(i, wanted) != std::string(wanted, read_as)) throw Lost{begin};
    at = next;
    i += wanted;
  }
  return at;
}

std::size_t line_end(std::string_view content, std::size_t at) {
  return std::min(content.find('\n', at), content.size());
}

struct Extent {
  std::size_t end;
  std::size_t indent;
};

/// A `|` or `>` text, without the line break behind its last line. `parent` is the column (0-based)
/// of the collection it stands in.
Extent block_text(std::string_view content, std::size_t begin, std::size_t parent) {
  auto header = content.substr(begin, line_end(content, begin) - begin);
  header = header.substr(0, header.find_first_of(" \t\r#"));
  bool keep = header.find('+') != std::string_view::npos;
  auto digit = header.find_first_of("123456789");
  std::size_t indent = 0;  // 0: the first line says
  if (digit != std::string_view::npos) indent = parent + std::size_t(header[digit] - '0');
  auto end = line_end(content, begin);
  for (auto at = end; at < content.size();) {
    auto start = at + 1;
    auto stop = line_end(content, start);
    auto text = std::min(content.find_first_not_of(' ', start), stop);
    bool blanks = text == stop || (content[text] == '\r' && text + 1 == stop);
    bool empty = blanks && (indent == 0 || text - start <= indent);
    if (!empty && indent == 0 && text - start > parent) indent = text - start;
    if (!empty && (indent == 0 || text - start < indent)) break;
    if (start >= content.size()) break;
    // A last line that does not end is no empty line.
    if (!empty || (keep && stop < content.size())) end = stop;
    at = stop;
  }
  return {end, indent};
}

class Tokenizer {
 public:
  explicit Tokenizer(std::string_view content) : content_(content), offsets_(content) {}

  std::vector<Token> run(const YamlNode& root) {
    collect(root, 0);
    for (const auto& found : found_) value(found.begin, *found.node, found.parent);
    gap(content_.size());
    breaks_ = 1;
    add(Token::Kind::end, content_.size(), content_.size(), nullptr);
    return std::move(tokens_);
  }

 private:
  struct Found {
    std::size_t begin;
    const YamlNode* node;
    std::size_t parent;
  };

  void collect(const YamlNode& node, std::size_t parent) {
    if (node.is_scalar()) {
      if (!node.is_missing()) found_.push_back({offsets_.of(node.place), &node, parent});
      return;
    }
    for (const auto& child : node.children)
      collect(child, node.place.column > 0 ? node.place.column - 1 : 0);
  }

  void value(std::size_t begin, const YamlNode& node, std::size_t parent) {
    gap(begin);
    bool block = is_block_text(content_, node, begin);
    Extent extent{0, 0};
    if (block)
      extent = block_text(content_, begin, parent);
    else
      extent.end = node.plain ? plain_end(content_, begin, node.text) : quoted_end(content_, begin);
    add(Token::Kind::scalar, begin, extent.end, &node);
    tokens_.back().indent = extent.indent;
    if (block) header_comment(begin);
    at_ = extent.end;
  }

  void header_comment(std::size_t begin) {
    auto stop = line_end(content_, begin);
    auto comment = content_.substr(0, stop).find(" #", begin);
    if (comment == std::string_view::npos) return;
    breaks_ = 0;
    add(Token::Kind::comment, comment + 1, trimmed(comment + 1, stop), nullptr);
  }

  std::size_t trimmed(std::size_t begin, std::size_t end) const {
    while (end > begin && blank(content_[end - 1])) --end;
    return end;
  }

  void add(Token::Kind kind, std::size_t begin, std::size_t end, const YamlNode* node) {
    tokens_.push_back({kind, begin, end, node, 0, breaks_ > 0 || tokens_.empty(), breaks_ > 1});
    breaks_ = 0;
  }

  /// What stands between two values.
  void gap(std::size_t until) {
    while (at_ < until) {
      char c = content_[at_];
      if (blank(c)) {
        ++at_;
      } else if (c == '\n') {
        ++breaks_;
        ++at_;
      } else if (c == '#') {
        auto stop = line_end(content_, at_);
        add(Token::Kind::comment, at_, trimmed(at_, stop), nullptr);
        at_ = stop;
      } else if (line_begins() && skip_marker()) {
        breaks_ = std::max(breaks_, 1);  // a comment behind it has a line of its own from now on
      } else if (std::string_view("-?:,[]{}").find(c) != std::string_view::npos) {
        add(Token::Kind::punctuation, at_, at_ + 1, nullptr);
        ++at_;
      } else {
        throw Lost{at_};
      }
    }
    if (at_ != until) throw Lost{at_};
  }

  bool line_begins() const { return at_ == 0 || content_[at_ - 1] == '\n'; }

  /// `---`, `...` and directives say nothing that one document without tags needs.
  bool skip_marker() {
    auto rest = content_.substr(at_);
    if (rest.starts_with("---") || rest.starts_with("...")) {
      at_ += 3;
      return true;
    }
    if (!rest.starts_with('%')) return false;
    auto stop = line_end(content_, at_);
    auto comment = content_.substr(0, stop).find(" #", at_);
    at_ = std::min(comment, stop);
    return true;
  }

  std::string_view content_;
  Offsets offsets_;
  std::vector<Found> found_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int breaks_ = 0;  // line breaks since the last token
};

}  // namespace

std::vector<Token> tokens_of(std::string_view content, const YamlNode& root) {
  return Tokenizer(content).run(root);
}

std::uint32_t column_at(std::string_view content, std::size_t offset) {
  auto before = content.substr(0, offset);
  auto start = before.rfind('\n') + 1;  // npos + 1 is the beginning
  auto count = std::ranges::count_if(before.substr(start), [](char c) { return !continues(c); });
  return std::uint32_t(count) + 1;
}

Place place_at(std::string_view content, std::size_t offset) {
  offset = std::min(offset, content.size());
  auto line = std::ranges::count(content.substr(0, offset), '\n');
  return {std::uint32_t(line) + 1, column_at(content, offset), 1};
}

bool is_block_text(std::string_view content, const YamlNode& node, std::size_t begin) {
  return !node.plain && (content[begin] == '|' || content[begin] == '>');
}

}  // namespace knock::layout
