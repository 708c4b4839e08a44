// SPDX-License-Identifier: Apache-2.0
// How a front and a verifier are started.
#pragma once

#include <vector>

#include "schemas/role/spawn.h"
#include "schemas/role/verifier_start.h"

namespace knock::role::samples {

inline FrontStart front_start() {
  return {"https://knock.example", true, {Prefix::parse("10.0.0.0/8").value()}, "CERT", "KEY"};
}

inline std::vector<VerifierSource> sources() {
  VerifierSource one;
  one.settings.name = SignInName("corp");
  one.settings.title = "Corp";
  one.settings.issuer = "https://idp.example";
  one.settings.client_id = "knock";
  one.settings.groups_claim = "roles";
  one.settings.token_auth = TokenAuth::post;
  one.settings.algorithms = {"ES256", "EdDSA"};
  one.settings.scopes = {"openid"};
  one.settings.allow_networks = {Prefix::parse("fd00::/8").value()};
  one.settings.max_session = Duration::hours(3);
  one.client_secret = Secret("s3cret");
  VerifierSource other;
  other.settings.name = SignInName("public");
  return {one, other};
}

}  // namespace knock::role::samples
