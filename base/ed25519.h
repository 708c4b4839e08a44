// SPDX-License-Identifier: Apache-2.0
// Ed25519 signatures (RFC 8032) through libcrypto, as base/sha256.h has its hashes. Pure functions;
// any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/random.h"
#include "base/secret.h"

namespace knock {

using Ed25519Public = std::array<std::uint8_t, 32>;
using Ed25519Signature = std::array<std::uint8_t, 64>;

class Ed25519Key {
 public:
  static constexpr std::size_t kSeed = 32;

  static Ed25519Key make(Random& random);
  /// `seed` holds exactly kSeed bytes.
  explicit Ed25519Key(Secret seed);

  const Ed25519Public& public_key() const { return public_; }
  const Secret& seed() const { return seed_; }
  Ed25519Signature sign(std::string_view text) const;

 private:
  Secret seed_;
  Ed25519Public public_{};
};

/// False for whatever is no valid signature, a malformed key included.
bool verify(const Ed25519Public& key, std::string_view text, const Ed25519Signature& signature);

}  // namespace knock
