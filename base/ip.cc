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

// inet_ntop goes through printf; plans of hundreds of thousands of entries spend a tenth of their
// time there. What is written is the same (a property compares them).

char* write_decimal(char* out, unsigned octet) {
  if (octet >= 100) *out++ = char('0' + octet / 100);
  if (octet >= 10) *out++ = char('0' + octet / 10 % 10);
  *out++ = char('0' + octet % 10);
  return out;
}

char* write_hex(char* out, unsigned word) {
  bool started = false;
  for (int shift = 12; shift >= 0; shift -= 4) {
    unsigned digit = word >> shift & 0xf;
    started = started || digit != 0 || shift == 0;
    if (started) *out++ = "0123456789abcdef"[digit];
  }
  return out;
}

std::string v4_text(const std::uint8_t* bytes) {
  char buffer[INET_ADDRSTRLEN];
  char* end = buffer;
  for (int i = 0; i < 4; ++i) {
    if (i > 0) *end++ = '.';
    end = write_decimal(end, bytes[i]);
  }
  return {buffer, end};
}

using Words = std::array<unsigned, 8>;
struct Run {
  int start = 8, length = 0;
  int end() const { return start + length; }
};

/// The first of the longest runs of zeros; a single one is not shortened (RFC 5952, 4.2).
Run longest_zeros(const Words& words) {
  Run best, here;
  for (int i = 0; i < 8; ++i) {
    if (words[std::size_t(i)] != 0) {
      here = {};
      continue;
    }
    if (here.length++ == 0) here.start = i;
    if (here.length > best.length) best = here;
  }
  return best.length >= 2 ? best : Run();
}

std::string v6_text(const std::uint8_t* bytes) {
  Words words;
  for (std::size_t i = 0; i < 8; ++i) words[i] = unsigned(bytes[2 * i]) << 8 | bytes[2 * i + 1];
  Run zeros = longest_zeros(words);
  char buffer[INET6_ADDRSTRLEN];
  if (zeros.start == 0 && zeros.length == 6)  // "::192.0.2.1", where inet_ntop writes it so
    return inet_ntop(AF_INET6, bytes, buffer, sizeof buffer);
  char* end = buffer;
  for (int i = 0; i < 8; ++i) {
    if (i == zeros.start) *end++ = ':', *end++ = ':';
    if (i >= zeros.start && i < zeros.end()) continue;
    if (i > 0 && i != zeros.end()) *end++ = ':';
    end = write_hex(end, words[std::size_t(i)]);
  }
  return {buffer, end};
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
  return family_ == Family::v4 ? v4_text(bytes_.data()) : v6_text(bytes_.data());
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
