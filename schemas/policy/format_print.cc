// SPDX-License-Identifier: Apache-2.0
// A layout to text: two blanks for each level, at most one empty line in a row, flow style where it
// was flow style and fits.
#include <algorithm>

#include "schemas/policy/format.h"
#include "schemas/policy/format_layout.h"

namespace knock::layout {
namespace {

struct Line {
  std::string text;
  Comment comment = {};  // behind it
};

bool holds(const Comment& comment) { return !comment.text.empty(); }

/// On one line within `room` characters; nothing when it has to be block style.
std::optional<std::string> flow_text(const Value& value, std::size_t room);

std::optional<std::string> flow_items(const Value& value, std::size_t room) {
  std::string out(1, value.kind == Value::Kind::map ? '{' : '[');
  for (const auto& item : value.items) {
    if (out.size() > 1) out += ", ";
    if (value.kind == Value::Kind::map) out += item.key + ":";
    bool missing = item.value.kind == Value::Kind::missing;
    if (missing && value.kind == Value::Kind::sequence) return std::nullopt;
    if (value.kind == Value::Kind::map && !missing) out += ' ';
    auto inner = flow_text(item.value, room);
    if (!inner) return std::nullopt;
    out += *inner;
    if (characters(out) > room) return std::nullopt;
  }
  return out + (value.kind == Value::Kind::map ? '}' : ']');
}

std::optional<std::string> flow_text(const Value& value, std::size_t room) {
  switch (value.kind) {
    case Value::Kind::missing:
      return "";
    case Value::Kind::plain:
      if (value.text.find('\n') != std::string::npos) return std::nullopt;
      return value.text;
    case Value::Kind::quoted:
      return value.text;
    case Value::Kind::block_text:
      return std::nullopt;
    case Value::Kind::sequence:
    case Value::Kind::map:
      return flow_items(value, room);
  }
  return std::nullopt;
}

/// A plain text over several lines. A line never begins with something that could be read as
/// structure.
std::vector<std::string> wrapped_lines(const std::string& text, std::size_t first_room,
                                       std::size_t room) {
  std::vector<std::string> lines(1);
  std::size_t left = first_room;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '\n') {
      lines.emplace_back();
      for (; at < text.size() && text[at] == '\n'; ++at) lines.emplace_back();
      left = room;
      continue;
    }
    // A word with the blanks before it.
    auto word = text.find_first_not_of(' ', at);
    auto end = std::min(text.find_first_of(" \n", word), text.size());
    char c = text[std::min(word, text.size() - 1)];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    bool may_break = word == at + 1 && letter && !lines.back().empty();
    auto piece = text.substr(at, end - at);
    if (may_break && characters(lines.back()) + characters(piece) > left) {
      lines.push_back(text.substr(word, end - word));
      left = room;
    } else {
      lines.back() += piece;
    }
    at = end;
  }
  return lines;
}

class Printer {
 public:
  std::string run(const Document& document) {
    const auto& root = document.root;
    bool first = true;
    comments(root.before, 0, first);
    auto flow = fitting(root.value, kFormatColumns);
    if (flow) {
      if (root.blank_before && !first) blank();
      push(*flow, root.trailing);
    } else {
      if (holds(root.value.head)) push(root.value.head.text);
      block(root.value, 0, lines_.empty() ? Start::nothing : Start::something);
      closing(root.value, 0);
      if (holds(root.trailing)) push(root.trailing.text);
    }
    first = false;
    comments(document.after, 0, first);
    return text();
  }

 private:
  void push(std::string text, Comment comment = {}) {
    lines_.push_back({std::move(text), std::move(comment)});
  }
  void blank() { lines_.emplace_back(); }

  /// `first`: nothing stands in this block yet, so it does not begin with an empty line.
  void comments(const std::vector<Comment>& all, std::size_t indent, bool& first) {
    for (const auto& comment : all) {
      if (comment.blank_before && !first) blank();
      push(std::string(indent, ' ') + comment.text);
      first = false;
    }
  }

  void closing(const Value& value, std::size_t indent) {
    bool first = value.items.empty();
    comments(value.closing, indent, first);
  }

  static std::optional<std::string> fitting(const Value& value, std::size_t room) {
    if (!value.flow || value.notes) return std::nullopt;
    auto out = flow_text(value, room);
    if (out && characters(*out) > room && !value.items.empty()) return std::nullopt;
    return out;
  }

  /// What the first item of a block comes after. Nothing may stand between a dash and that item.
  enum class Start { something, nothing, dash };

  void block(const Value& value, std::size_t indent, Start start) {
    for (const auto& each : value.items) {
      item(each, value.kind == Value::Kind::sequence, indent, start);
      start = Start::something;
    }
  }

  void item(const Item& item, bool in_sequence, std::size_t indent, Start start) {
    bool first = start != Start::something;
    auto prefix = std::string(indent, ' ') + (in_sequence ? "-" : item.key + ":");
    const auto& value = item.value;
    comments(item.before, indent, first);
    if (value.kind != Value::Kind::sequence && value.kind != Value::Kind::map) {
      if (item.blank_before && !first) blank();
      scalar(item, prefix, indent + 2);
      return;
    }
    auto used = characters(prefix) + 1;
    auto flow = fitting(value, used < kFormatColumns ? kFormatColumns - used : 0);
    // The comment behind a long `- {…}` has no line of its own in block style.
    bool homeless = !flow && value.flow && holds(item.trailing) && (in_sequence || value.notes);
    bool above = homeless && !value.notes && start != Start::dash;
    if (item.blank_before && !first) blank();
    if (above) push(std::string(indent, ' ') + item.trailing.text);
    if (flow) {
      push(prefix + " " + *flow, item.trailing);
      return;
    }
    auto begin = lines_.size();
    if (!in_sequence) push(prefix, value.flow && !value.notes ? item.trailing : value.head);
    block(value, indent + 2, in_sequence ? Start::dash : Start::nothing);
    if (in_sequence) lines_[begin].text[indent] = '-';
    closing(value, indent + 2);
    if (homeless && !above) push(std::string(indent + 2, ' ') + item.trailing.text);
  }

  void scalar(const Item& item, const std::string& prefix, std::size_t indent) {
    const auto& value = item.value;
    switch (value.kind) {
      case Value::Kind::missing: {
        push(prefix, item.trailing);
        bool first = true;
        comments(value.closing, indent, first);
        return;
      }
      case Value::Kind::block_text:
        push(prefix + " " + value.text, item.trailing);
        for (const auto& line : value.lines)
          push(line.empty() ? line : std::string(indent, ' ') + line);
        return;
      case Value::Kind::plain:
        plain(item, prefix, indent);
        return;
      case Value::Kind::quoted:
      case Value::Kind::sequence:
      case Value::Kind::map:
        push(prefix + " " + value.text, item.trailing);
        return;
    }
  }

  void plain(const Item& item, const std::string& prefix, std::size_t indent) {
    const auto& text = item.value.text;
    auto used = characters(prefix) + 1;
    bool fits = used + characters(text) <= kFormatColumns;
    if (text.find('\n') == std::string::npos && (fits || !item.value.wrapped)) {
      push(prefix + " " + text, item.trailing);
      return;
    }
    auto room = [](std::size_t taken) {
      return taken < kFormatColumns ? kFormatColumns - taken : std::size_t(0);
    };
    auto lines = wrapped_lines(text, room(used), room(indent));
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (i == 0)
        push(prefix + " " + lines[i]);
      else
        push(lines[i].empty() ? "" : std::string(indent, ' ') + lines[i]);
    }
    lines_.back().comment = item.trailing;
  }

  /// The lines from `begin` on whose comments stood below each other on purpose.
  std::size_t column_end(std::size_t begin) const {
    auto end = begin + 1;
    if (!holds(lines_[begin].comment)) return end;
    bool apart = lines_[begin].comment.apart;
    while (end < lines_.size() && holds(lines_[end].comment) &&
           lines_[end].comment.column == lines_[begin].comment.column)
      apart = lines_[end++].comment.apart || apart;
    return apart ? end : begin + 1;
  }

  std::string text() const {
    std::string out;
    for (std::size_t i = 0; i < lines_.size();) {
      auto end = column_end(i);
      std::size_t width = 0;
      for (auto j = i; j < end; ++j) width = std::max(width, characters(lines_[j].text));
      for (; i < end; ++i) {
        out += lines_[i].text;
        if (holds(lines_[i].comment)) {
          out.append(width - characters(lines_[i].text) + 2, ' ');
          out += lines_[i].comment.text;
        }
        out += '\n';
      }
    }
    return out;
  }

  std::vector<Line> lines_;
};

}  // namespace

std::size_t characters(std::string_view text) {
  return std::size_t(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string print_layout(const Document& document) { return Printer().run(document); }

}  // namespace knock::layout
