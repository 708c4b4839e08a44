// SPDX-License-Identifier: Apache-2.0
// Is this ID token a proof that this person signed in, here, now, for us? (OpenID Connect Core 1.0
// section 3.1.3.7.) Pure: the keys, what we expect and the time are arguments. Any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "sso/jose/algorithm.h"
#include "sso/jose/jwk.h"
#include "sso/refusal.h"

namespace knock::sso {

/// How far the provider's clock and ours may be apart.
inline constexpr Duration kClockSkew = Duration::seconds(60);
inline constexpr std::size_t kMostGroups = 5000;
inline constexpr std::size_t kLongestGroup = 512;  // bytes
inline constexpr std::size_t kMostValues = 100;    // of a claim
inline constexpr std::size_t kLongestValue = 256;  // bytes

struct Expectations {
  std::string issuer;
  std::string client_id;
  std::string nonce;  // ours, of this very sign-in; never empty
  std::string groups_claim = "groups";
  std::vector<Algorithm> algorithms;
  std::vector<std::string> claims;  // to be handed on besides; others are read by nobody
};

struct IdToken {
  std::string issuer, subject;
  std::string name;                 // for people's eyes
  std::vector<std::string> groups;  // sorted, each once; empty when the claim is absent
  Instant issued, expires;
  Instant authenticated;  // auth_time; when the token was issued if there is none
  /// Of the claims asked for, those that are text, true, false or a whole number, or a list of at
  /// most kMostValues of these: as text, sorted, each once. One of another shape is not there.
  std::map<std::string, std::vector<std::string>> claims;
  std::string acr;  // empty when it is absent, or longer than a claim's value may be
  /// When a second factor was shown: auth_time, when the token has one and `amr` holds "mfa"
  /// (RFC 8176). Without auth_time nobody knows how long ago it was.
  std::optional<Instant> mfa_at;
};

/// Codes: those of verify_jws, and token.payload, token.issuer, token.audience,
/// token.authorized_party, token.subject, token.expired, token.not_before, token.issued,
/// token.nonce, token.auth_time, token.groups.
Verdict<IdToken> verify_id_token(std::string_view token, const KeySet& keys,
                                 const Expectations& expected, Instant now);

/// The second half of it: what the claims say, of a payload that verify_jws gave. By itself it proves
/// nothing.
Verdict<IdToken> read_claims(std::string_view payload, const Expectations& expected, Instant now);

}  // namespace knock::sso
