// SPDX-License-Identifier: Apache-2.0
// Signed tokens in compact form (RFC 7515), verified against a provider's keys. Which algorithms
// are accepted comes from knock.yaml; the token's header only has to name one of them. Pure; any
// thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sso/jose/algorithm.h"
#include "sso/jose/jwk.h"
#include "sso/refusal.h"

namespace knock::sso {

inline constexpr std::size_t kLongestToken = 64 << 10;

/// The payload of a token whose header and signature are good. Codes: token.format,
/// token.algorithm, token.critical, token.unencoded, token.embedded_key, token.type,
/// token.key_unknown (fetching the keys again may help), token.key_ambiguous, token.key_unfit,
/// token.signature.
Verdict<std::string> verify_jws(std::string_view token, const KeySet& keys,
                                const std::vector<Algorithm>& accepted);

}  // namespace knock::sso
