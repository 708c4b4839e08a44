// SPDX-License-Identifier: Apache-2.0
// An address prefix, canonical by construction: host bits are zero, IPv4-mapped IPv6 is IPv4. Two
// equal sets of addresses that are one prefix therefore compare equal. Order: IPv4 before IPv6,
// then network, then length.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"

namespace knock {

class Prefix {
 public:
  constexpr Prefix() = default;  // 0.0.0.0/32, not a meaningful prefix

  /// "198.51.100.0/24", "198.51.100.7" (= /32), IPv6 alike. Host bits are cleared. No leading
  /// zeros, zones, spaces.
  static std::optional<Prefix> parse(std::string_view text);
  /// As parse, but nothing when host bits were set, so that a loader can ask what was meant.
  static std::optional<Prefix> parse_exact(std::string_view text);
  static Prefix host(const IpAddress& address);
  /// `length` must be within the family's width.
  static Prefix of(const IpAddress& address, int length);

  const IpAddress& network() const { return network_; }
  int length() const { return length_; }
  Family family() const { return network_.family(); }
  bool is_host() const { return length_ == network_.bits(); }
  IpAddress first() const { return network_; }
  IpAddress last() const { return network_.last_of(length_); }
  bool contains(const IpAddress& address) const;
  bool contains(const Prefix& other) const;
  bool overlaps(const Prefix& other) const { return contains(other) || other.contains(*this); }
  /// Wider than /24 (IPv4) or /48 (IPv6): too many strangers to allow by accident.
  bool is_wide() const { return length_ < (family() == Family::v4 ? 24 : 48); }
  /// Always with the length: "198.51.100.7/32".
  std::string to_string() const;

  friend auto operator<=>(const Prefix&, const Prefix&) = default;

 private:
  IpAddress network_;
  std::uint8_t length_ = 32;
};

/// The addresses of `from` that are in none of `holes`, as the fewest prefixes, sorted. Exact,
/// never wider.
std::vector<Prefix> subtract(const Prefix& from, const std::vector<Prefix>& holes);

/// The same addresses as `prefixes`, without overlaps, sorted: a prefix inside another disappears.
/// Does not join.
std::vector<Prefix> without_nested(std::vector<Prefix> prefixes);

}  // namespace knock
