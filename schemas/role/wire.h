// SPDX-License-Identifier: Apache-2.0
// Bytes between the roles of one controller (front, core, verifier, apply) over a socket pair:
// small, strict, without a library, because the privileged half links it. Not a storage format:
// both ends are always the same build.
//
//   frame   = length (u32, big-endian, of what follows, ≤ kMaxFrame) ‖ kind (u8) ‖ fields
//   u8 u16 u32 u64 i64 = big-endian;  text = length (u32) ‖ bytes;  list = count (u32) ‖ elements
//
// A reader that meets the end, a length beyond the frame, a count beyond its limit or left-over
// bytes is `bad` from then on and gives zeros; callers check ok() once, at the end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ip.h"
#include "base/prefix.h"
#include "base/time.h"

namespace knock::wire {

inline constexpr std::size_t kMaxFrame = 16u << 20;

class Writer {
 public:
  explicit Writer(std::uint8_t kind);
  void u8(std::uint8_t v);
  void u16(std::uint16_t v);
  void u32(std::uint32_t v);
  void u64(std::uint64_t v);
  void boolean(bool v) { u8(v ? 1 : 0); }
  void text(std::string_view v);
  void instant(Instant v) { u64(std::uint64_t(v.ms)); }
  void address(const IpAddress& v);
  void prefix(const Prefix& v);
  /// The whole frame with its length filled in.
  std::string finish() &&;

 private:
  std::string out_;
};

class Reader {
 public:
  /// `body` is a frame without its length: kind and fields.
  explicit Reader(std::string_view body);
  std::uint8_t kind() const { return kind_; }
  std::uint8_t u8();
  std::uint16_t u16();
  std::uint32_t u32();
  std::uint64_t u64();
  bool boolean();
  std::string text(std::size_t longest = 1u << 16);
  Instant instant() { return {std::int64_t(u64())}; }
  IpAddress address();
  Prefix prefix();
  /// A list's length: bad when beyond `most`, or when the rest of the frame cannot hold that many
  /// elements of `smallest` bytes.
  std::uint32_t count(std::uint32_t most, std::size_t smallest = 1);
  void spoil() { bad_ = true; }
  /// Everything was read, and nothing was wrong.
  bool ok() const { return !bad_ && rest_.empty(); }
  bool bad() const { return bad_; }

 private:
  std::string_view take(std::size_t n);
  std::string_view rest_;
  std::uint8_t kind_ = 0;
  bool bad_ = false;
};

}  // namespace knock::wire
