// SPDX-License-Identifier: Apache-2.0
// Names and numbers that must not be swapped by accident get types of their own.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace knock {

template <class Tag>
struct Name {
  std::string value;
  Name() = default;
  explicit Name(std::string text) : value(std::move(text)) {}
  explicit Name(std::string_view text) : value(text) {}
  explicit Name(const char* text) : value(text) {}
  bool empty() const { return value.empty(); }
  friend auto operator<=>(const Name&, const Name&) = default;
};

using GroupName = Name<struct GroupTag>;
using NetworkName = Name<struct NetworkTag>;
using ServiceName = Name<struct ServiceTag>;
using TargetName = Name<struct TargetTag>;
using RuleName = Name<struct RuleTag>;  // of allow, static and deny; unique within its section
using SignInName =
    Name<struct SignInTag>;  // a sign-in source of knock.yaml; "local" and "grant" are ours
using SessionId = Name<struct SessionTag>;        // 26 characters, random; not a secret
using PolicyRevision = Name<struct RevisionTag>;  // a commit id, or "sha256:…" of a directory

struct Generation {
  std::uint64_t value = 0;
  friend auto operator<=>(Generation, Generation) = default;
};

/// 64 bits shown as 16 hex digits: the installation (random, made once) and an entry on a target.
template <class Tag>
struct Hex64 {
  std::uint64_t value = 0;
  friend auto operator<=>(Hex64, Hex64) = default;
  std::string to_string() const;
  static std::optional<Hex64> parse(std::string_view text);
};
using OwnerId = Hex64<struct OwnerTag>;
using EntryId = Hex64<struct EntryTag>;

std::string hex64(std::uint64_t value);
std::optional<std::uint64_t> parse_hex64(std::string_view text);

template <class Tag>
std::string Hex64<Tag>::to_string() const {
  return hex64(value);
}
template <class Tag>
std::optional<Hex64<Tag>> Hex64<Tag>::parse(std::string_view text) {
  auto number = parse_hex64(text);
  if (!number) return std::nullopt;
  return Hex64<Tag>{*number};
}

}  // namespace knock

template <class Tag>
struct std::hash<knock::Name<Tag>> {
  std::size_t operator()(const knock::Name<Tag>& name) const noexcept {
    return std::hash<std::string>()(name.value);
  }
};
