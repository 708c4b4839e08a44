// SPDX-License-Identifier: Apache-2.0
// What a verifier knows from its start: the sign-in sources with their client secrets. Given by the
// parent through a sealed memory file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "schemas/config/config.h"

namespace knock::role {

struct VerifierSource {
  OidcSettings settings;  // without client_secret's reference and origin
  Secret client_secret;   // empty: a public client
};

std::string encode(const std::vector<VerifierSource>& sources);
Result<std::vector<VerifierSource>> decode_verifier_start(std::string_view body);

}  // namespace knock::role
