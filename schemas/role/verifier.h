// SPDX-License-Identifier: Apache-2.0
// Messages between core and its verifier: the seccomped process that touches passwords, codes and
// tokens, and speaks to OpenID providers. It knows each provider's settings and client secret from
// its start; core names them by index.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "schemas/role/ping.h"

namespace knock::role {

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
};
struct ExchangeCode {
  std::uint64_t request = 0;
  SignInName source;
  std::string redirect_uri, code, pkce_verifier, nonce,
      issuer;  // issuer: the callback's `iss`, may be empty
  Instant now;
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
