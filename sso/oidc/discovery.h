// SPDX-License-Identifier: Apache-2.0
// What an OpenID provider says about itself (OpenID Connect Discovery 1.0): the few members knock
// needs. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sso/refusal.h"

namespace knock::sso {

struct Discovery {
  std::string issuer;
  std::string authorization_endpoint;
  std::string token_endpoint;
  std::string jwks_uri;
  bool names_itself_in_callback = false;  // RFC 9207: the callback must then carry `iss`
  bool client_secret_in_body = false;     // it takes the secret in the body and not as Basic
};

/// https:, or http: whose host is a loopback address; no user, no fragment, no white space.
bool is_acceptable_url(std::string_view url);

/// ISSUER/.well-known/openid-configuration, without a doubled slash.
std::string discovery_url(std::string_view issuer);

/// `issuer` and `algorithms` are configuration's. Codes: discovery.format, discovery.issuer,
/// discovery.endpoint, discovery.algorithm.
Verdict<Discovery> parse_discovery(std::string_view json, std::string_view issuer,
                                   const std::vector<std::string>& algorithms);

}  // namespace knock::sso
