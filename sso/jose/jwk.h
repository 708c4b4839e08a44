// SPDX-License-Identifier: Apache-2.0
// A provider's public keys (RFC 7517): RSA of 2048 to 8192 bits, EC on P-256, P-384 and P-521, and
// Ed25519.
//
// A set is refused whole when it cannot be trusted to be what the provider meant: malformed, a
// member twice, two keys with one id, or private parts published. A key that is fine but not for us
// (another type, "use": "enc", too weak) stays in the set as unusable, with its reason, so that
// providers may publish what other clients need.
//
// Values; any thread. libcrypto stays in the .cc.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sso/jose/algorithm.h"
#include "sso/refusal.h"

struct evp_pkey_st;  // libcrypto's EVP_PKEY

namespace knock::sso {

struct PublicKey {
  std::string id;         // "kid"; may be empty
  std::string algorithm;  // "alg"; empty = any that fits the kind
  KeyKind kind = KeyKind::rsa;
  std::string unusable;                 // why it must not verify signatures; empty = it may
  std::shared_ptr<evp_pkey_st> handle;  // may be null when unusable

  /// Nothing when the key may verify `algorithm`, else the reason.
  std::optional<std::string> unfit_for(const Algorithm& algorithm) const;
};

class KeySet {
 public:
  static constexpr std::size_t kMostKeys = 100;
  /// A JWK set. Codes: keys.format, keys.duplicate, keys.private, keys.many.
  static Verdict<KeySet> parse(std::string_view json);
  const std::vector<PublicKey>& keys() const { return keys_; }

 private:
  std::vector<PublicKey> keys_;
};

}  // namespace knock::sso
