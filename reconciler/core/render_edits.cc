// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/render_edits.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace knock {
namespace {

/// A node of the flow style that to_yaml() writes. Views into the edit's text.
struct Node {
  enum class Kind { scalar, list, map };
  Kind kind = Kind::scalar;
  std::string_view text;               // all of it
  std::vector<std::string_view> keys;  // of a map, one for each child
  std::vector<Node> children;
};

class Flow {
 public:
  explicit Flow(std::string_view text) : text_(text) {}

  std::optional<Node> whole() {
    auto out = node(0);
    return out && at_ == text_.size() ? std::move(out) : std::nullopt;
  }

 private:
  static constexpr int kDeepest = 32;

  bool take(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  /// A quoted text, or a plain one up to what ends it.
  std::string_view word() {
    auto first = at_;
    if (take("\"")) {
      while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
      at_ = std::min(at_ + 1, text_.size());
    } else {
      while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != ']' && text_[at_] != '}' &&
             !text_.substr(at_).starts_with(": "))
        ++at_;
    }
    return text_.substr(first, at_ - first);
  }
  std::optional<Node> node(int depth) {
    if (depth > kDeepest || at_ == text_.size()) return std::nullopt;
    Node out;
    auto first = at_;
    bool sound = true;
    if (take("["))
      sound = elements(out, depth);
    else if (take("{"))
      sound = members(out, depth);
    else
      word();
    if (!sound || at_ == first) return std::nullopt;
    out.text = text_.substr(first, at_ - first);
    return out;
  }
  bool elements(Node& out, int depth) {
    out.kind = Node::Kind::list;
    if (take("]")) return true;
    do {
      auto one = node(depth + 1);
      if (!one) return false;
      out.children.push_back(*std::move(one));
    } while (take(", "));
    return take("]");
  }
  bool members(Node& out, int depth) {
    out.kind = Node::Kind::map;
    if (take("}")) return true;
    do {
      auto key = word();
      if (!take(": ")) return false;
      auto one = node(depth + 1);
      if (!one) return false;
      out.keys.push_back(key);
      out.children.push_back(*std::move(one));
    } while (take(", "));
    return take("}");
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

class Difference {
 public:
  std::vector<EditLine> of(const Node& before, const Node& after) {
    compare("", before, after);
    return std::move(lines_);
  }

 private:
  void say(bool added, const std::string& path, std::string_view text) {
    lines_.push_back({added, path.empty() ? std::string(text) : path + ": " + std::string(text)});
  }
  static std::string below(const std::string& path, std::string_view key) {
    return path.empty() ? std::string(key) : path + "." + std::string(key);
  }
  static const Node* find(const Node& map, std::string_view key) {
    auto at = std::find(map.keys.begin(), map.keys.end(), key);
    return at == map.keys.end() ? nullptr : &map.children[std::size_t(at - map.keys.begin())];
  }
  /// What of `list` is not in `other`.
  static std::string missing_from(const Node& list, const Node& other) {
    std::vector<std::string_view> have;
    for (const Node& node : other.children) have.push_back(node.text);
    std::sort(have.begin(), have.end());
    std::vector<std::string> out;
    for (const Node& node : list.children)
      if (!std::binary_search(have.begin(), have.end(), node.text)) out.emplace_back(node.text);
    return out.empty() ? "" : "[" + join(out, ", ") + "]";
  }

  void compare(const std::string& path, const Node& before, const Node& after) {
    if (before.text == after.text) return;
    if (before.kind == Node::Kind::map && after.kind == Node::Kind::map)
      return compare_maps(path, before, after);
    // The order of a path is its meaning.
    bool ordered = path == "path" || path.ends_with(".path");
    if (before.kind == Node::Kind::list && after.kind == Node::Kind::list && !ordered) {
      auto gone = missing_from(before, after), come = missing_from(after, before);
      if (!gone.empty()) say(false, path, gone);
      if (!come.empty()) say(true, path, come);
      if (!gone.empty() || !come.empty()) return;
    }
    say(false, path, before.text);
    say(true, path, after.text);
  }
  void compare_maps(const std::string& path, const Node& before, const Node& after) {
    for (std::size_t i = 0; i < before.keys.size(); ++i) {
      auto name = below(path, before.keys[i]);
      if (const Node* other = find(after, before.keys[i]))
        compare(name, before.children[i], *other);
      else
        say(false, name, before.children[i].text);
    }
    for (std::size_t i = 0; i < after.keys.size(); ++i)
      if (find(before, after.keys[i]) == nullptr)
        say(true, below(path, after.keys[i]), after.children[i].text);
  }

  std::vector<EditLine> lines_;
};

}  // namespace

namespace {

/// A test carries its name in itself, where every heading has said it already.
std::string without_name(const PolicyEdit& edit, const std::string& text) {
  constexpr std::string_view kBegin = "{name: ";
  if (edit.section != "tests" || edit.name.empty() || !text.starts_with(kBegin)) return text;
  auto tree = Flow(text).whole();
  if (!tree || tree->children.size() < 2) return text;
  return "{" + text.substr(kBegin.size() + tree->children[0].text.size() + 2);
}

}  // namespace

std::vector<EditLine> lines_of(const PolicyEdit& edit) {
  if (!edit.before.empty() && !edit.after.empty()) {
    auto before = Flow(edit.before).whole(), after = Flow(edit.after).whole();
    if (before && after)
      if (auto lines = Difference().of(*before, *after); !lines.empty()) return lines;
  }
  std::vector<EditLine> out;
  if (!edit.before.empty()) out.push_back({false, without_name(edit, edit.before)});
  if (!edit.after.empty()) out.push_back({true, without_name(edit, edit.after)});
  return out;
}

}  // namespace knock
