// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/marker.h"

#include <fmt/format.h>

#include "base/sha256.h"

namespace knock {
namespace {
constexpr std::string_view kStart = "knock:1:";
constexpr std::size_t kLength = 52;

std::optional<std::int64_t> parse_deadline(std::string_view digits) {
  std::int64_t value = 0;
  for (char c : digits) {
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    value = value << 4 | digit;
  }
  return value;
}
}  // namespace

std::string to_string(const Marker& marker) {
  return fmt::format("{}{}:{:010x}:{}", kStart, marker.owner.to_string(), marker.until.seconds(),
                     marker.entry.to_string());
}

std::optional<Marker> parse_marker(std::string_view text) {
  if (text.size() != kLength || !text.starts_with(kStart) || text[24] != ':' || text[35] != ':')
    return std::nullopt;
  auto owner = OwnerId::parse(text.substr(8, 16));
  auto until = parse_deadline(text.substr(25, 10));
  auto entry = EntryId::parse(text.substr(36, 16));
  if (!owner || !until || !entry) return std::nullopt;
  return Marker{*owner, Instant::from_seconds(*until), *entry};
}

bool is_unknown_marker(std::string_view text) {
  if (!text.starts_with("knock:")) return false;
  auto digits = text.substr(6, text.find(':', 6) - 6);
  bool version = text.size() > 6 + digits.size() && !digits.empty() &&
                 digits.find_first_not_of("0123456789") == std::string_view::npos;
  return version && !parse_marker(text);
}

EntryId entry_id(const TargetName& target, const Prefix& prefix, std::string_view slot) {
  std::string text = target.value;
  text += '\n';
  text += prefix.to_string();
  text += '\n';
  text += slot;
  return {leading_64_bits(sha256(text))};
}

}  // namespace knock
