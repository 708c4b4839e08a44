// SPDX-License-Identifier: Apache-2.0
// Messages between core and its verifier: the seccomped process that touches passwords, codes and
// tokens, and speaks to OpenID providers. It knows each provider's settings and client secret from
// its start; core names them by index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "schemas/role/ping.h"

namespace knock::role {

/// Of one sign-in.
inline constexpr std::size_t kMostClaims = 256, kLongestClaim = 512;

/// hash "" spends the same time as a real one and answers no, so that unknown users cannot be told
/// apart.
struct CheckPassword {
  std::uint64_t request = 0;
  std::string hash;
  std::string password;
};
/// The address to send a browser to (needs the provider's discovery document).
struct MakeUrl {
  std::uint64_t request = 0;
  SignInName source;
  std::string redirect_uri, state, nonce, challenge;  // PKCE S256 challenge
  /// How long ago the sign-in at the provider may have been; nothing: as long as it likes.
  std::optional<Duration> max_age;
};
struct ExchangeCode {
  std::uint64_t request = 0;
  SignInName source;
  std::string redirect_uri, code, pkce_verifier, nonce,
      issuer;  // issuer: the callback's `iss`, may be empty
  Instant now;
  std::vector<std::string> claims;  // wanted besides groups: those that policy names, no others
};
using ToVerifier = std::variant<CheckPassword, MakeUrl, ExchangeCode, Ping>;

struct PasswordChecked {
  std::uint64_t request = 0;
  bool good = false;
};
struct UrlMade {
  std::uint64_t request = 0;
  std::string url;
};
struct Proven {
  std::uint64_t request = 0;
  std::string issuer, subject, name;
  std::vector<std::string> groups;  // sorted
  Instant authenticated;
  std::map<std::string, std::vector<std::string>> claims;  // Session::claims
  std::string acr;
  std::optional<Instant> mfa_at;
};
/// code: "token.signature", "provider.unreachable", …; docs/events.md lists them. Never holds a
/// secret.
struct NotProven {
  std::uint64_t request = 0;
  std::string code;
  std::string why;
};
using FromVerifier = std::variant<PasswordChecked, UrlMade, Proven, NotProven, Pong>;

std::string encode(const ToVerifier& message);
std::string encode(const FromVerifier& message);
Result<ToVerifier> decode_to_verifier(std::string_view body);
Result<FromVerifier> decode_from_verifier(std::string_view body);
std::uint64_t request_of(const ToVerifier& message);
std::uint64_t request_of(const FromVerifier& message);

}  // namespace knock::role
