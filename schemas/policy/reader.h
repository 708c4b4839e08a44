// SPDX-License-Identifier: Apache-2.0
// Typed access to a YAML tree, shared by policy and configuration. Scalars are typed by the key
// they stand under, never by how they look. Each mistake gives exactly one finding: a function that
// returns nothing has reported why.
//
// The `key` argument of the readers is the name used in messages.
#pragma once

#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/prefix.h"
#include "base/time.h"
#include "schemas/policy/finding.h"
#include "schemas/policy/yaml_document.h"

namespace knock {

/// The keys of one map: each is asked for once, then finish() reports what was not asked for. Keys
/// that begin with `x-` are free for notes and other tools.
class Fields {
 public:
  /// `what` names the map in messages: "a group", "the configuration". Reports a node that is no
  /// map.
  Fields(Findings& findings, const YamlNode& node, std::string_view what);

  bool is_map() const { return node_ != nullptr; }
  /// The value, or null when the key is absent or has no value (which is reported).
  const YamlNode* take(std::string_view key);
  /// As take(); finish() reports its absence.
  const YamlNode* need(std::string_view key);
  Place key_place(std::string_view key) const;
  /// A key that exists in the language and not in this version: refused by name.
  void refuse(std::initializer_list<std::string_view> keys);
  /// Reports unknown and missing keys. A missing key that an unknown one probably meant is not
  /// reported twice.
  void finish();
  /// Unknown keys seen by finish() with what they probably meant.
  const std::vector<std::pair<std::string, std::string>>& unknown() const { return unknown_; }

 private:
  void report_unknown(const YamlNode& key);

  Findings& findings_;
  const YamlNode* node_ = nullptr;
  std::string_view what_;
  std::vector<std::string_view> known_, missing_, refused_;
  std::vector<std::pair<std::string, std::string>> unknown_;
};

bool is_name(std::string_view text);
std::string list_of(const std::vector<std::string>& names);  // "`a`, `b` or `c`"

/// Calls `each` for every item; reports a node that is no list. With `need_one` an empty list is
/// reported too.
bool read_list(Findings& findings, const YamlNode& node, std::string_view key, bool need_one,
               const std::function<void(const YamlNode&)>& each);

/// The text of a scalar of any kind; exact grammars follow in the caller.
std::optional<std::string> read_word(Findings& findings, const YamlNode& node,
                                     std::string_view key);
/// One line of text for people or other systems; texts that YAML 1.1 reads as something else must
/// be quoted.
std::optional<std::string> read_text(Findings& findings, const YamlNode& node,
                                     std::string_view key);
/// [a-z0-9][a-z0-9._-]{0,62}
std::optional<std::string> read_name(Findings& findings, const YamlNode& node,
                                     std::string_view key);
std::optional<bool> read_boolean(Findings& findings, const YamlNode& node, std::string_view key);
/// One of these words, as its index.
std::optional<std::size_t> read_choice(Findings& findings, const YamlNode& node,
                                       std::string_view key,
                                       std::initializer_list<std::string_view> words);
/// 0|[1-9][0-9]*, within the bounds.
std::optional<std::uint64_t> read_number(Findings& findings, const YamlNode& node,
                                         std::string_view key, std::uint64_t least,
                                         std::uint64_t most);
/// [0-9]+(s|m|h|d), longer than zero.
std::optional<Duration> read_duration(Findings& findings, const YamlNode& node,
                                      std::string_view key);
/// RFC 3339, or a date = its first instant in UTC; whole seconds, 1970 to 9999.
std::optional<Instant> read_instant(Findings& findings, const YamlNode& node, std::string_view key);
/// A prefix without host bits.
std::optional<Prefix> read_prefix(Findings& findings, const YamlNode& node, std::string_view key);
/// True when the prefix may stand there; reports a wide one. `remedy` says what to do instead.
bool narrow_enough(Findings& findings, const Prefix& prefix, Place place, std::string_view remedy);

}  // namespace knock
