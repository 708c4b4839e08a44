// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace knock {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::optional<std::uint32_t> parse_v4(std::string_view text) {
  std::uint32_t value = 0;
  int octets = 0;
  std::size_t i = 0;
  while (octets < 4) {
    std::size_t start = i;
    unsigned octet = 0;
    for (; i < text.size() && text[i] >= '0' && text[i] <= '9' && i - start < 4; ++i)
      octet = octet * 10 + unsigned(text[i] - '0');
    std::size_t length = i - start;
    if (length == 0 || length > 3 || octet > 255 || (length > 1 && text[start] == '0'))
      return std::nullopt;
    value = value << 8 | octet;
    if (++octets < 4 && (i >= text.size() || text[i++] != '.')) return std::nullopt;
  }
  if (i != text.size()) return std::nullopt;
  return value;
}

}  // namespace

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress ip;
  for (int i = 0; i < 4; ++i) ip.bytes_[std::size_t(i)] = std::uint8_t(host_order >> (24 - 8 * i));
  return ip;
}

IpAddress IpAddress::v6(std::span<const std::uint8_t, 16> bytes) {
  IpAddress ip;
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) {
    std::copy(bytes.begin() + 12, bytes.end(), ip.bytes_.begin());
    return ip;
  }
  ip.family_ = Family::v6;
  std::copy(bytes.begin(), bytes.end(), ip.bytes_.begin());
  return ip;
}

std::optional<IpAddress> IpAddress::from_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() == 16) return v6(bytes.first<16>());
  if (bytes.size() != 4) return std::nullopt;
  IpAddress ip;
  std::copy(bytes.begin(), bytes.end(), ip.bytes_.begin());
  return ip;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.find(':') == std::string_view::npos) {
    auto value = parse_v4(text);
    if (!value) return std::nullopt;
    return v4(*value);
  }
  if (text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  char buffer[INET6_ADDRSTRLEN];
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = 0;
  if (std::strlen(buffer) != text.size()) return std::nullopt;  // NUL inside
  std::array<std::uint8_t, 16> bytes;
  if (inet_pton(AF_INET6, buffer, bytes.data()) != 1) return std::nullopt;
  return v6(bytes);
}

bool IpAddress::is_loopback() const {
  if (family_ == Family::v4) return bytes_[0] == 127;
  static constexpr std::array<std::uint8_t, 16> one{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return bytes_ == one;
}

std::string IpAddress::to_string() const {
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(family_ == Family::v4 ? AF_INET : AF_INET6, bytes_.data(), buffer, sizeof buffer);
  return buffer;
}

IpAddress IpAddress::first_of(int length) const {
  IpAddress out = *this;
  for (int bit = length; bit < bits(); ++bit)
    out.bytes_[std::size_t(bit / 8)] &= std::uint8_t(~(0x80 >> bit % 8));
  return out;
}

IpAddress IpAddress::last_of(int length) const {
  IpAddress out = *this;
  for (int bit = length; bit < bits(); ++bit)
    out.bytes_[std::size_t(bit / 8)] |= std::uint8_t(0x80 >> bit % 8);
  return out;
}

std::optional<IpAddress> IpAddress::next() const {
  IpAddress out = *this;
  for (std::size_t i = bytes().size(); i-- > 0;)
    if (++out.bytes_[i] != 0) return out;
  return std::nullopt;
}

}  // namespace knock
