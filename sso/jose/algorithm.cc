// SPDX-License-Identifier: Apache-2.0
#include "sso/jose/algorithm.h"

namespace knock::sso {
namespace {

constexpr Algorithm kAlgorithms[] = {
    {"RS256", KeyKind::rsa, "SHA256"},
    {"RS384", KeyKind::rsa, "SHA384"},
    {"RS512", KeyKind::rsa, "SHA512"},
    {"PS256", KeyKind::rsa, "SHA256", true},
    {"PS384", KeyKind::rsa, "SHA384", true},
    {"PS512", KeyKind::rsa, "SHA512", true},
    {"ES256", KeyKind::p256, "SHA256", false, 32},
    {"ES384", KeyKind::p384, "SHA384", false, 48},
    {"ES512", KeyKind::p521, "SHA512", false, 66},
    {"EdDSA", KeyKind::ed25519, nullptr},
};

}  // namespace

std::optional<Algorithm> algorithm_named(std::string_view name) {
  for (auto& algorithm : kAlgorithms)
    if (algorithm.name == name) return algorithm;
  return std::nullopt;
}

}  // namespace knock::sso
