// SPDX-License-Identifier: Apache-2.0
#include "base/prefix.h"

#include <algorithm>

namespace knock {
namespace {

struct Parsed {
  IpAddress address;
  int length;
};

std::optional<Parsed> split(std::string_view text) {
  auto slash = text.find('/');
  auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  if (slash == std::string_view::npos) return Parsed{*address, address->bits()};
  auto digits = text.substr(slash + 1);
  if (digits.empty() || digits.size() > 3 || (digits.size() > 1 && digits[0] == '0'))
    return std::nullopt;
  int length = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    length = length * 10 + (c - '0');
  }
  bool mapped = address->family() == Family::v4 && text.find(':') < slash;
  if (mapped) length -= 96;  // ::ffff:192.0.2.0/120 is 192.0.2.0/24
  if (length < 0 || length > address->bits()) return std::nullopt;
  return Parsed{*address, length};
}

}  // namespace

std::optional<Prefix> Prefix::parse(std::string_view text) {
  auto parsed = split(text);
  if (!parsed) return std::nullopt;
  return of(parsed->address, parsed->length);
}

std::optional<Prefix> Prefix::parse_exact(std::string_view text) {
  auto parsed = split(text);
  if (!parsed || parsed->address.first_of(parsed->length) != parsed->address) return std::nullopt;
  return of(parsed->address, parsed->length);
}

Prefix Prefix::host(const IpAddress& address) { return of(address, address.bits()); }

Prefix Prefix::of(const IpAddress& address, int length) {
  Prefix out;
  out.network_ = address.first_of(length);
  out.length_ = std::uint8_t(length);
  return out;
}

bool Prefix::contains(const IpAddress& address) const {
  if (address.family() != family()) return false;
  auto mine = network_.bytes(), theirs = address.bytes();
  std::size_t whole = length_ / 8u;
  if (!std::equal(mine.begin(), mine.begin() + std::ptrdiff_t(whole), theirs.begin())) return false;
  int rest = length_ % 8;
  if (rest == 0) return true;
  return ((mine[whole] ^ theirs[whole]) >> (8 - rest)) == 0;
}

bool Prefix::contains(const Prefix& other) const {
  return length_ <= other.length_ && contains(other.network_);
}

std::string Prefix::to_string() const {
  return network_.to_string() + "/" + std::to_string(length_);
}

std::vector<Prefix> subtract(const Prefix& from, const std::vector<Prefix>& holes) {
  std::vector<Prefix> inside;
  for (const auto& hole : holes) {
    if (hole.contains(from)) return {};
    if (from.contains(hole)) inside.push_back(hole);
  }
  if (inside.empty()) return {from};
  // A hole lies strictly inside, so `from` has two halves; what is untouched stays whole.
  int half = from.length() + 1;
  Prefix low = Prefix::of(from.first(), half), high = Prefix::of(from.last(), half);
  auto out = subtract(low, inside);
  auto upper = subtract(high, inside);
  out.insert(out.end(), upper.begin(), upper.end());
  return out;
}

std::vector<Prefix> without_nested(std::vector<Prefix> prefixes) {
  std::sort(prefixes.begin(), prefixes.end());
  std::vector<Prefix> out;
  for (const auto& prefix : prefixes)
    if (out.empty() || !out.back().contains(prefix)) out.push_back(prefix);
  return out;
}

}  // namespace knock
