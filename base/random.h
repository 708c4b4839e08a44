// SPDX-License-Identifier: Apache-2.0
// Randomness is passed in, so that tests and the simulator can own it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace knock {

class Random {
 public:
  virtual ~Random() = default;
  /// Fills with unpredictable bytes; aborts when the system has none. Any thread.
  virtual void fill(std::span<std::uint8_t> out) = 0;
  std::uint64_t next_u64();
  /// `bytes` random bytes as base64url without padding: 32 bytes make an unguessable token of 43
  /// characters.
  std::string token(std::size_t bytes);
};

/// libcrypto's generator.
class SystemRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override;
};

/// Base64url without padding (RFC 4648 section 5). decode is strict: no padding, no stray bits, no
/// other characters.
std::string base64url(std::string_view bytes);
bool base64url_decode(std::string_view text, std::string& out);

}  // namespace knock
