// SPDX-License-Identifier: Apache-2.0
// The signature algorithms of RFC 7518 section 3 and RFC 8037 that knock verifies. No "none", and
// nothing symmetric: with HMAC, whoever can check a token can make one.
#pragma once

#include <optional>
#include <string_view>

namespace knock::sso {

enum class KeyKind { rsa, p256, p384, p521, ed25519 };

struct Algorithm {
  std::string_view name;  // as in "alg"
  KeyKind key;            // the one kind of key it works with
  const char* digest;     // libcrypto's name; nullptr for EdDSA, which hashes by itself
  bool pss = false;       // RSA: PSS with a salt as long as the digest, instead of PKCS #1 v1.5
  std::size_t half = 0;   // ECDSA: bytes of r and of s
  friend bool operator==(const Algorithm& a, const Algorithm& b) { return a.name == b.name; }
};

/// Names are compared exactly: "rs256" is nothing.
std::optional<Algorithm> algorithm_named(std::string_view name);

}  // namespace knock::sso
