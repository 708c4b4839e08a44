// SPDX-License-Identifier: Apache-2.0
#include "schemas/role/wire.h"

#include <algorithm>

namespace knock::wire {

Writer::Writer(std::uint8_t kind) : out_(4, '\0') { u8(kind); }

void Writer::u8(std::uint8_t v) { out_ += char(v); }
void Writer::u16(std::uint16_t v) {
  u8(std::uint8_t(v >> 8));
  u8(std::uint8_t(v));
}
void Writer::u32(std::uint32_t v) {
  u16(std::uint16_t(v >> 16));
  u16(std::uint16_t(v));
}
void Writer::u64(std::uint64_t v) {
  u32(std::uint32_t(v >> 32));
  u32(std::uint32_t(v));
}
void Writer::text(std::string_view v) {
  u32(std::uint32_t(v.size()));
  out_ += v;
}
void Writer::address(const IpAddress& v) {
  u8(std::uint8_t(v.family()));
  auto bytes = v.bytes();
  out_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}
void Writer::prefix(const Prefix& v) {
  address(v.network());
  u8(std::uint8_t(v.length()));
}
std::string Writer::finish() && {
  auto length = std::uint32_t(out_.size() - 4);
  for (int i = 0; i < 4; ++i) out_[std::size_t(i)] = char(length >> (24 - 8 * i));
  return std::move(out_);
}

Reader::Reader(std::string_view body) : rest_(body) { kind_ = u8(); }

std::string_view Reader::take(std::size_t n) {
  if (bad_ || n > rest_.size()) {
    bad_ = true;
    return {};
  }
  auto out = rest_.substr(0, n);
  rest_.remove_prefix(n);
  return out;
}

std::uint8_t Reader::u8() {
  auto bytes = take(1);
  return bytes.empty() ? 0 : std::uint8_t(bytes[0]);
}
std::uint16_t Reader::u16() {
  auto high = u8();
  auto low = u8();
  return bad_ ? std::uint16_t(0) : std::uint16_t(high << 8 | low);
}
std::uint32_t Reader::u32() {
  auto high = u16();
  auto low = u16();
  return bad_ ? 0 : std::uint32_t(high) << 16 | low;
}
std::uint64_t Reader::u64() {
  auto high = u32();
  auto low = u32();
  return bad_ ? 0 : std::uint64_t(high) << 32 | low;
}
bool Reader::boolean() {
  auto v = u8();
  if (v > 1) bad_ = true;
  return v == 1;
}
std::string Reader::text(std::size_t longest) {
  auto length = u32();
  if (length > longest) bad_ = true;
  return std::string(take(bad_ ? 0 : length));
}
IpAddress Reader::address() {
  auto family = u8();
  auto bytes = take(family == 4 ? 4 : family == 6 ? 16 : rest_.size() + 1);
  auto out =
      IpAddress::from_bytes({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  if (!out || std::uint8_t(out->family()) != family) {
    bad_ = true;  // a mapped address in the IPv6 form is not canonical
    return {};
  }
  return *out;
}
Prefix Reader::prefix() {
  auto network = address();
  int length = u8();
  if (bad_ || length > network.bits() || network.first_of(length) != network) {
    bad_ = true;
    return {};
  }
  return Prefix::of(network, length);
}
std::uint32_t Reader::count(std::uint32_t most, std::size_t smallest) {
  auto n = u32();
  if (bad_ || n > most || n * smallest > rest_.size()) {
    bad_ = true;
    return 0;
  }
  return n;
}

}  // namespace knock::wire
