// SPDX-License-Identifier: Apache-2.0
// SHA-256 and HMAC-SHA-256 through libcrypto (docs/adr/0007). Pure functions; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace knock {

using Digest = std::array<std::uint8_t, 32>;

Digest sha256(std::string_view data);
Digest hmac_sha256(std::string_view key, std::string_view data);
std::string to_hex(const Digest& digest);
std::string_view as_bytes(const Digest& digest);
/// The first 64 bits, big-endian: for ids that need no more.
std::uint64_t leading_64_bits(const Digest& digest);

/// Fed piece by piece, for texts that are not held whole.
class Sha256 {
 public:
  Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256();
  void add(std::string_view data);
  Digest finish();

 private:
  void* context_;
};

}  // namespace knock
