// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/yaml_document.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <istream>
#include <streambuf>

#include "base/text.h"

namespace knock {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// Reads a string_view in place; yaml-cpp wants a stream.
class ViewBuffer final : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    // The get area is never written through; streambuf's signature is older than const.
    char* begin = const_cast<char*>(text.data());
    setg(begin, begin, begin + text.size());
  }
};

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

/// Byte offsets to columns in characters. A running count every 64 bytes keeps a file that is one
/// long line linear.
class Columns {
 public:
  explicit Columns(std::string_view text) : text_(text) {
    ascii_ = std::ranges::none_of(text, [](char c) { return (c & 0x80) != 0; });
    if (ascii_) return;
    std::uint32_t count = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (i % kStride == 0) before_.push_back(count);
      count += continues(text[i]) ? 0 : 1;
    }
    before_.push_back(count);
  }

  /// Characters in [first, last).
  std::uint32_t between(std::size_t first, std::size_t last) const {
    if (ascii_) return std::uint32_t(last - first);
    return upto(last) - upto(first);
  }

 private:
  static constexpr std::size_t kStride = 64;
  std::uint32_t upto(std::size_t at) const {
    std::size_t block = at / kStride;
    std::uint32_t count = before_[std::min(block, before_.size() - 1)];
    for (std::size_t i = block * kStride; i < at; ++i) count += continues(text_[i]) ? 0 : 1;
    return count;
  }
  std::string_view text_;
  bool ascii_ = true;
  std::vector<std::uint32_t> before_;
};

std::string first_line(CheckArea area) {
  return area == CheckArea::policy ? "`knock: 1`" : "`owner: …`; `knock init` writes such a file";
}

struct Refused {
  Check check;
  Place place;
  std::string summary;
  std::string suggestion;
};

Place place_at(std::string_view text, std::size_t offset) {
  auto before = text.substr(0, offset);
  auto line = std::uint32_t(1 + std::ranges::count(before, '\n'));
  auto start = before.rfind('\n');
  start = start == std::string_view::npos ? 0 : start + 1;
  auto column = std::ranges::count_if(before.substr(start), [](char c) { return !continues(c); });
  return {line, std::uint32_t(column + 1), 1};
}

/// The end of a quoted text that begins at `at`; nothing when its line ends first. yaml-cpp takes a
/// text whose quote is never closed, together with all the keys that follow, so a quote must be
/// closed on the line where it was opened.
std::optional<std::size_t> quote_end(std::string_view source, std::size_t at) {
  char quote = source[at];
  for (std::size_t i = at + 1; i < source.size() && source[i] != '\n'; ++i) {
    if (quote == '"' && source[i] == '\\') {
      ++i;
    } else if (source[i] == quote) {
      bool doubled = quote == '\'' && source.substr(i + 1).starts_with('\'');
      if (!doubled) return i + 1;
      ++i;
    }
  }
  return std::nullopt;
}

class Builder final : public YAML::EventHandler {
 public:
  Builder(std::string_view source, Findings& findings)
      : source_(source), columns_(source), findings_(findings) {}

  std::optional<YamlNode> take_root() { return std::move(root_); }
  bool root_was_empty() const { return root_was_empty_; }

  Place place_of(const YAML::Mark& mark) const {
    auto at = offset_of(mark);
    auto start = at - std::min(at, std::size_t(std::max(mark.column, 0)));
    return {std::uint32_t(std::max(mark.line, 0) + 1), columns_.between(start, at) + 1, 1};
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0)
      throw Refused{Check::several_documents, place_of(mark),
                    "a second document begins here; a file holds exactly one",
                    "move it to a file of its own, or remove this separator"};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    YamlNode node;
    node.place = place_of(mark);
    for (std::string_view word : {"null", "Null", "NULL", "~"})
      if (stands_at(offset_of(mark), word)) node.text = word;
    if (node.text.empty() && expects_value())
      node.place = last_key().place;
    else
      node.place.length = std::uint32_t(node.text.size());
    add(std::move(node), true);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_alias(place_of(mark)); }

  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    throw Refused{Check::anchor, place_of(mark), "anchors are refused",
                  "write the value where it is needed; a text that begins with & needs quotes"};
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    refuse_tag(mark, tag);
    YamlNode node;
    node.plain = tag == "?";
    node.place = place_of(mark);
    node.place.length = length_of(mark, value);
    node.text = value;
    add(std::move(node), false);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, YamlNode::Kind::sequence);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, YamlNode::Kind::map);
  }
  void OnMapEnd() override {
    check_duplicates(open_.back());
    close();
  }

  [[noreturn]] static void refuse_open_quote(Place place) {
    throw Refused{Check::open_quote, place, "a quote is not closed in the line where it was opened",
                  "close it; a text is one line"};
  }
  [[noreturn]] static void refuse_alias(Place place) {
    throw Refused{Check::alias, place, "aliases are refused",
                  "write the value here; a text that begins with * needs quotes: \"*\""};
  }

 private:
  std::size_t offset_of(const YAML::Mark& mark) const {
    return std::min(std::size_t(std::max(mark.pos, 0)), source_.size());
  }

  /// The whole word, not the beginning of a longer one.
  bool stands_at(std::size_t at, std::string_view word) const {
    auto rest = source_.substr(at);
    if (!rest.starts_with(word)) return false;
    auto next = rest.substr(word.size(), 1);
    return next.empty() || std::string_view(" \t\r\n,]}:#").find(next) != std::string_view::npos;
  }

  std::uint32_t length_of(const YAML::Mark& mark, const std::string& value) const {
    auto at = offset_of(mark);
    bool quote = at < source_.size() && (source_[at] == '"' || source_[at] == '\'');
    if (!quote)
      return source_.substr(at).starts_with(value) ? columns_.between(at, at + value.size()) : 1;
    auto end = quote_end(source_, at);
    if (!end) refuse_open_quote(place_of(mark));
    return columns_.between(at, *end);
  }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    auto at = offset_of(mark);
    bool written = at < source_.size() && source_[at] == '!';
    if (!written && (tag == "?" || tag == "!")) return;
    throw Refused{Check::tag, place_of(mark), "tags are refused: each key knows its own type",
                  "remove the tag; quote the text if it really begins with an exclamation mark"};
  }

  bool expects_key() const {
    return !open_.empty() && open_.back().is_map() && open_.back().children.size() % 2 == 0;
  }
  bool expects_value() const {
    return !open_.empty() && open_.back().is_map() && open_.back().children.size() % 2 == 1;
  }
  const YamlNode& last_key() const { return open_.back().children.back(); }

  void count(Place place) {
    if (++nodes_ > kMostNodes)
      throw Refused{Check::nodes, place, fmt::format("more than {} values in one file", kMostNodes),
                    "split the file"};
  }

  void open(const YAML::Mark& mark, const std::string& tag, YamlNode::Kind kind) {
    refuse_tag(mark, tag);
    auto place = place_of(mark);
    if (expects_key()) refuse_key(place);
    if (open_.size() >= kDeepest)
      throw Refused{Check::depth, place,
                    fmt::format("values are nested deeper than {} levels", kDeepest),
                    "a policy needs fewer than ten"};
    count(place);
    YamlNode node;
    node.kind = kind;
    node.place = place;
    open_.push_back(std::move(node));
  }

  void close() {
    auto node = std::move(open_.back());
    open_.pop_back();
    place_in_parent(std::move(node));
  }

  [[noreturn]] static void refuse_key(Place place) {
    throw Refused{Check::key_not_text, place, "a key must be a text",
                  "write `name: value`; if no key is meant here, a bracket is not closed"};
  }

  void add(YamlNode node, bool null) {
    count(node.place);
    if (expects_key()) {
      if (null) forget_word_of_missing_value(node.place);
      if (node.text.empty()) refuse_key(node.place);
      if (node.plain && node.text == "<<")
        throw Refused{Check::merge_key, node.place, "merge keys (`<<`) are refused",
                      "write the keys out"};
    }
    place_in_parent(std::move(node));
  }

  /// yaml-cpp reports a missing value at the place of the next token. When that token is the key
  /// `null`, the value before it was taken for the word; it was nothing.
  void forget_word_of_missing_value(Place key) {
    auto& children = open_.back().children;
    if (children.empty() || children.back().place != key || !children.back().is_scalar()) return;
    children.back().text.clear();
    children.back().place = children[children.size() - 2].place;
  }

  void place_in_parent(YamlNode node) {
    if (!open_.empty()) {
      open_.back().children.push_back(std::move(node));
      return;
    }
    root_was_empty_ = node.is_missing();
    if (!node.is_map() && !root_was_empty_)
      throw Refused{Check::root_not_map, node.place, "the file must be a map of keys and values",
                    "begin with " + first_line(findings_.area())};
    root_ = std::move(node);
  }

  void check_duplicates(YamlNode& map) {
    struct Seen {
      std::string_view text;
      std::size_t index;
      auto operator<=>(const Seen&) const = default;
    };
    std::vector<Seen> keys;
    keys.reserve(map.children.size() / 2);
    for (std::size_t i = 0; i < map.children.size(); i += 2)
      keys.push_back({map.children[i].text, i});
    std::ranges::sort(keys);
    std::vector<bool> repeated(keys.size());
    for (std::size_t i = 1, first = 0; i < keys.size(); ++i) {
      if (keys[i].text != keys[first].text) {
        first = i;
        continue;
      }
      repeated[keys[i].index / 2] = true;
      const auto& key = map.children[keys[i].index];
      findings_.error(Check::duplicate_key, key.place,
                      fmt::format("the key {} stands here a second time; the first is in line {}",
                                  shown(key.text), map.children[keys[first].index].place.line),
                      "remove one of them, or put both contents under one key");
    }
    if (std::ranges::find(repeated, true) != repeated.end()) keep_first(map, repeated);
  }

  static void keep_first(YamlNode& map, const std::vector<bool>& repeated) {
    std::vector<YamlNode> kept;
    for (std::size_t i = 0; i < map.children.size(); ++i)
      if (!repeated[i / 2]) kept.push_back(std::move(map.children[i]));
    map.children = std::move(kept);
  }

  std::string_view source_;
  Columns columns_;
  Findings& findings_;
  std::vector<YamlNode> open_;
  std::optional<YamlNode> root_;
  bool root_was_empty_ = false;
  std::size_t nodes_ = 0;
  int documents_ = 0;
};

/// Characters that do not show, or that another reader takes for a line break: a reviewer must see
/// what is loaded.
std::optional<std::size_t> hidden_character_at(std::string_view text) {
  auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned c = byte(i);
    if (c >= 0x20 && c < 0x7f) continue;
    if (c == '\n' || c == '\t' || (c == '\r' && byte(i + 1) == '\n')) continue;
    if (c < 0x20 || c == 0x7f) return i;
    if (c == 0xc2 && byte(i + 1) < 0xa0) return i;  // C1 controls, NEL
    if (c == 0xe2 && byte(i + 1) == 0x80) {
      auto last = byte(i + 2);
      if (last == 0x8e || last == 0x8f || (last >= 0xa8 && last <= 0xae)) return i;  // LRM … RLO
    }
    if (c == 0xe2 && byte(i + 1) == 0x81 && byte(i + 2) >= 0xa6 && byte(i + 2) <= 0xa9)
      return i;  // bidi isolates
    if (c == 0xef && byte(i + 1) == 0xbb && byte(i + 2) == 0xbf) return i;
  }
  return std::nullopt;
}

void check_bytes(std::string_view text) {
  if (text.size() > kMostFileBytes)
    throw Refused{Check::too_large,
                  {},
                  fmt::format("the file has {} bytes; at most {} (1 MiB) are read", text.size(),
                              kMostFileBytes),
                  "split it; several files are merged by name"};
  if (auto at = invalid_utf8_at(text))
    throw Refused{Check::encoding, place_at(text, *at),
                  fmt::format("byte {} is not valid UTF-8", *at), "save the file as UTF-8"};
  if (auto at = hidden_character_at(text))
    throw Refused{Check::hidden_character, place_at(text, *at),
                  "a character that does not show, or reorders the line, stands here",
                  "remove it; in a text that needs it write an escape inside double quotes"};
}

std::optional<YamlNode> parse_checked(std::string_view text, Findings& findings) {
  ViewBuffer buffer(text);
  std::istream stream(&buffer);
  Builder builder(text, findings);
  try {
    YAML::Parser parser(stream);
    bool any = parser.HandleNextDocument(builder);
    // Exactly one. Asked once more: a second one is refused in OnDocumentStart. Never a loop,
    // because yaml-cpp answers "yes" for ever on a stray comma.
    if (any && parser.HandleNextDocument(builder))
      throw Refused{Check::several_documents, {1, 1, 1}, "more than one document", ""};
    if (!any || builder.root_was_empty())
      throw Refused{Check::empty,
                    {1, 1, 0},
                    "the file is empty",
                    "remove the file, or begin with " + first_line(findings.area())};
  } catch (const YAML::Exception& problem) {
    auto place = problem.mark.is_null() ? Place{} : builder.place_of(problem.mark);
    if (problem.msg == YAML::ErrorMsg::UNKNOWN_ANCHOR) Builder::refuse_alias(place);
    if (problem.msg == YAML::ErrorMsg::ALIAS_NOT_FOUND) {
      place.column -= place.column > 1 ? 1 : 0;  // reported behind the star
      Builder::refuse_alias(place);
    }
    if (problem.msg == YAML::ErrorMsg::EOF_IN_SCALAR) Builder::refuse_open_quote(place);
    throw Refused{Check::syntax, place, "this is not YAML: " + problem.msg,
                  "look at indentation, brackets and quotes here and just above"};
  } catch (const std::exception& problem) {
    throw Refused{Check::syntax,
                  {},
                  std::string("this cannot be read as YAML: ") + problem.what(),
                  "make the file simpler"};
  }
  return builder.take_root();
}

}  // namespace

std::optional<YamlNode> parse_yaml(std::string_view content, Findings& findings) {
  if (content.starts_with(kByteOrderMark)) content.remove_prefix(kByteOrderMark.size());
  try {
    check_bytes(content);
    return parse_checked(content, findings);
  } catch (Refused& refused) {
    findings.error(refused.check, refused.place, std::move(refused.summary),
                   std::move(refused.suggestion));
  }
  return std::nullopt;
}

}  // namespace knock
