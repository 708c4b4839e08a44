// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "schemas/policy/yaml_scalar.h"

namespace knock {
namespace {

constexpr std::size_t kLongestText = 1000;
constexpr Instant kLatest = Instant::from_seconds(253'402'300'799);  // 9999-12-31T23:59:59Z

std::string_view kind_of(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::scalar:
      return "a single value";
    case YamlNode::Kind::sequence:
      return "a list";
    case YamlNode::Kind::map:
      return "a map";
  }
  return "something else";
}

void report_kind(Findings& findings, const YamlNode& node, std::string_view subject,
                 std::string_view wanted, std::string suggestion) {
  if (node.is_missing()) {
    findings.error(Check::missing_value, node.place,
                   fmt::format("nothing is written for {}", subject), std::move(suggestion));
    return;
  }
  findings.error(Check::wrong_type, node.place,
                 fmt::format("{} must be {}, and this is {}", subject, wanted, kind_of(node)),
                 std::move(suggestion));
}

std::vector<std::string> strings(const std::vector<std::string_view>& views) {
  return {views.begin(), views.end()};
}

}  // namespace

bool is_name(std::string_view text) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (text.empty() || text.size() > 63 || !letter(text[0])) return false;
  return std::ranges::all_of(text,
                             [&](char c) { return letter(c) || c == '.' || c == '_' || c == '-'; });
}

std::string list_of(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? " or " : ", ";
    out += "`" + names[i] + "`";
  }
  return out;
}

Fields::Fields(Findings& findings, const YamlNode& node, std::string_view what)
    : findings_(findings), what_(what) {
  if (node.is_map()) {
    node_ = &node;
    return;
  }
  report_kind(findings, node, what, "a map of keys and values", "write `{key: value, …}`");
}

const YamlNode* Fields::take(std::string_view key) {
  known_.push_back(key);
  if (node_ == nullptr) return nullptr;
  const auto& children = node_->children;
  for (std::size_t i = 0; i + 1 < children.size(); i += 2) {
    if (children[i].text != key) continue;
    if (!children[i + 1].is_missing()) return &children[i + 1];
    findings_.error(Check::missing_value, children[i].place,
                    fmt::format("nothing is written for `{}`", key),
                    "write its value, or remove the key");
    return nullptr;
  }
  return nullptr;
}

const YamlNode* Fields::need(std::string_view key) {
  const auto* value = take(key);
  if (value == nullptr && key_place(key).line == 0) missing_.push_back(key);
  return value;
}

Place Fields::key_place(std::string_view key) const {
  if (node_ == nullptr) return {};
  for (std::size_t i = 0; i + 1 < node_->children.size(); i += 2)
    if (node_->children[i].text == key) return node_->children[i].place;
  return {};
}

void Fields::refuse(std::initializer_list<std::string_view> keys) {
  refused_.insert(refused_.end(), keys);
}

void Fields::report_unknown(const YamlNode& key) {
  if (!findings_.room()) return findings_.error(Check::unknown_key, key.place, "");  // counted only
  if (std::ranges::find(refused_, key.text) != refused_.end()) {
    findings_.error(Check::not_supported, key.place,
                    fmt::format("this version does not enforce {}, so it is refused rather than "
                                "ignored",
                                shown(key.text)),
                    "remove it; without it this part of the policy would be looser than it reads");
    return;
  }
  auto names = strings(known_);
  auto meant = did_you_mean(key.text, names);
  findings_.error(
      Check::unknown_key, key.place, fmt::format("{} is not a key of {}", shown(key.text), what_),
      meant ? fmt::format("did you mean `{}`?", *meant)
            : fmt::format("the keys here are {}; notes may begin with `x-`", list_of(names)));
  unknown_.emplace_back(key.text, meant.value_or(""));
}

void Fields::finish() {
  if (node_ == nullptr) return;
  for (std::size_t i = 0; i + 1 < node_->children.size(); i += 2) {
    const auto& key = node_->children[i];
    if (key.text.starts_with("x-") || std::ranges::find(known_, key.text) != known_.end()) continue;
    report_unknown(key);
  }
  for (auto key : missing_) {
    if (std::ranges::any_of(unknown_, [&](const auto& pair) { return pair.second == key; }))
      continue;
    findings_.error(Check::missing_key, node_->place, fmt::format("{} needs `{}`", what_, key),
                    fmt::format("add `{}: …`", key));
  }
}

bool read_list(Findings& findings, const YamlNode& node, std::string_view key, bool need_one,
               const std::function<void(const YamlNode&)>& each) {
  auto subject = [&] { return fmt::format("`{}`", key); };
  if (!node.is_sequence()) {
    report_kind(findings, node, subject(), "a list",
                node.is_scalar() ? fmt::format("write [{}]", printable(node.text)) : "write [ … ]");
    return false;
  }
  if (need_one && node.children.empty()) {
    findings.error(Check::empty_list, node.place, fmt::format("`{}` is empty", key),
                   "name at least one; remove the whole entry if nothing is meant");
    return false;
  }
  for (const auto& item : node.children) each(item);
  return true;
}

std::optional<std::string> read_word(Findings& findings, const YamlNode& node,
                                     std::string_view key) {
  if (node.is_scalar() && !node.is_missing()) return node.text;
  report_kind(findings, node, fmt::format("`{}`", key), "a single value", "write one value here");
  return std::nullopt;
}

std::optional<std::string> read_text(Findings& findings, const YamlNode& node,
                                     std::string_view key) {
  auto word = read_word(findings, node, key);
  if (!word) return std::nullopt;
  if (node.plain && yaml_reads_differently(*word)) {
    findings.error(Check::ambiguous_text, node.place,
                   fmt::format("{} is a text here, and other readers of YAML take it for something "
                               "else",
                               shown(*word)),
                   "put it in quotes: " + yaml_quoted(*word));
    return std::nullopt;
  }
  std::string text(trim(*word));
  auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  const char* problem = text.empty()                 ? "is empty"
                        : text.size() > kLongestText ? "is longer than 1000 bytes"
                        : std::ranges::any_of(text, control)
                            ? "has control characters or several lines"
                            : nullptr;
  if (problem == nullptr) return text;
  findings.error(Check::bad_text, node.place, fmt::format("`{}` {}", key, problem),
                 "write one short line");
  return std::nullopt;
}

std::optional<std::string> read_name(Findings& findings, const YamlNode& node,
                                     std::string_view key) {
  auto word = read_word(findings, node, key);
  if (!word || is_name(*word)) return word;
  findings.error(Check::bad_name, node.place, fmt::format("{} is not a name", shown(*word)),
                 "names are up to 63 of a-z 0-9 . _ - and begin with a letter or digit");
  return std::nullopt;
}

std::optional<bool> read_boolean(Findings& findings, const YamlNode& node, std::string_view key) {
  auto word = read_word(findings, node, key);
  if (!word) return std::nullopt;
  if (node.plain && (*word == "true" || *word == "false")) return *word == "true";
  findings.error(Check::bad_boolean, node.place,
                 fmt::format("`{}` is true or false, not {}", key, shown(*word)),
                 "write true or false, without quotes");
  return std::nullopt;
}

std::optional<std::size_t> read_choice(Findings& findings, const YamlNode& node,
                                       std::string_view key,
                                       std::initializer_list<std::string_view> words) {
  auto word = read_word(findings, node, key);
  if (!word) return std::nullopt;
  if (const auto* found = std::ranges::find(words, *word); found != words.end())
    return std::size_t(found - words.begin());
  auto names = strings(words);
  auto meant = did_you_mean(*word, names);
  findings.error(
      Check::bad_choice, node.place, fmt::format("`{}` cannot be {}", key, shown(*word)),
      meant ? fmt::format("did you mean `{}`?", *meant) : fmt::format("write {}", list_of(names)));
  return std::nullopt;
}

std::optional<std::uint64_t> read_number(Findings& findings, const YamlNode& node,
                                         std::string_view key, std::uint64_t least,
                                         std::uint64_t most) {
  auto word = read_word(findings, node, key);
  if (!word) return std::nullopt;
  std::uint64_t value = 0;
  auto [end, problem] = std::from_chars(word->data(), word->data() + word->size(), value);
  bool whole = problem == std::errc() && end == word->data() + word->size() && node.plain &&
               (word->size() == 1 || word->front() != '0');
  if (whole && value >= least && value <= most) return value;
  findings.error(Check::bad_number, node.place,
                 fmt::format("`{}` is a whole number, not {}", key, shown(*word)),
                 fmt::format("write decimal digits without quotes, {} to {}", least, most));
  return std::nullopt;
}

std::optional<Duration> read_duration(Findings& findings, const YamlNode& node,
                                      std::string_view key) {
  auto word = read_word(findings, node, key);
  if (!word) return std::nullopt;
  auto duration = parse_duration(*word);
  if (duration && duration->ms > 0) return duration;
  bool bare = word->find_first_not_of("0123456789") == std::string::npos && word->size() < 10;
  findings.error(Check::bad_duration, node.place,
                 fmt::format("{} is not a length of time", shown(*word)),
                 bare && *word != "0"
                     ? fmt::format("the unit is missing: {0}s, {0}m, {0}h or {0}d", *word)
                     : "write a number above zero and a unit, 90s 15m 8h 30d; at most ten years");
  return std::nullopt;
}

std::optional<Instant> read_instant(Findings& findings, const YamlNode& node,
                                    std::string_view key) {
  auto word = read_word(findings, node, key);
  if (!word) return std::nullopt;
  auto instant = parse_instant(*word);
  if (instant && *instant >= Instant{} && *instant <= kLatest) return instant->floor_to_second();
  findings.error(Check::bad_time, node.place, fmt::format("{} is not a time", shown(*word)),
                 "write a date, 2027-01-31 (from its first instant in UTC), or RFC 3339: "
                 "2027-01-31T18:00:00Z");
  return std::nullopt;
}

std::optional<Prefix> read_prefix(Findings& findings, const YamlNode& node, std::string_view key) {
  auto word = read_word(findings, node, key);
  if (!word) return std::nullopt;
  if (auto exact = Prefix::parse_exact(*word)) return exact;
  if (auto loose = Prefix::parse(*word)) {
    auto address = IpAddress::parse(word->substr(0, word->find('/')));
    findings.error(Check::host_bits, node.place,
                   fmt::format("{} has bits set behind its length", shown(*word)),
                   fmt::format("write {} for the network, or {} for the one host",
                               loose->to_string(), Prefix::host(*address).to_string()));
    return std::nullopt;
  }
  findings.error(Check::bad_prefix, node.place,
                 fmt::format("{} is not an address prefix", shown(*word)),
                 "write for example 198.51.100.0/24, 198.51.100.7/32 or 2001:db8:1::/48");
  return std::nullopt;
}

bool narrow_enough(Findings& findings, const Prefix& prefix, Place place, std::string_view remedy) {
  if (!prefix.is_wide()) return true;
  findings.error(Check::wide_prefix, place,
                 fmt::format("{} is wider than /{}: many strangers share it", prefix.to_string(),
                             prefix.family() == Family::v4 ? 24 : 48),
                 std::string(remedy));
  return false;
}

}  // namespace knock
