// SPDX-License-Identifier: Apache-2.0
// One IPv4 or IPv6 address. IPv4-mapped IPv6 (::ffff:a.b.c.d) is folded into IPv4 on the way in, so
// one host has one value. Zones ("%eth0"), leading zeros in octets, and anything inet_aton would
// guess at are refused.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace knock {

enum class Family : std::uint8_t { v4 = 4, v6 = 6 };

class IpAddress {
 public:
  /// 0.0.0.0, so that aggregates can be default-made; not a meaningful address.
  constexpr IpAddress() = default;

  static std::optional<IpAddress> parse(std::string_view text);
  static IpAddress v4(std::uint32_t host_order);
  /// Network order; mapped addresses fold to v4.
  static IpAddress v6(std::span<const std::uint8_t, 16> bytes);
  /// 4 or 16 bytes in network order, anything else is nothing.
  static std::optional<IpAddress> from_bytes(std::span<const std::uint8_t> bytes);

  Family family() const { return family_; }
  int bits() const { return family_ == Family::v4 ? 32 : 128; }
  /// Network order, 4 or 16 bytes.
  std::span<const std::uint8_t> bytes() const {
    return {bytes_.data(), family_ == Family::v4 ? std::size_t{4} : std::size_t{16}};
  }
  bool is_loopback() const;
  /// RFC 5952 text.
  std::string to_string() const;
  /// The first and last address that share the leading `length` bits.
  IpAddress first_of(int length) const;
  IpAddress last_of(int length) const;
  /// The following address; nothing after the last one.
  std::optional<IpAddress> next() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  Family family_ = Family::v4;
  std::array<std::uint8_t, 16> bytes_{};  // v4 in the first four
};

}  // namespace knock
