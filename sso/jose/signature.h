// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "sso/jose/algorithm.h"
#include "sso/jose/jwk.h"

namespace knock::sso {

/// True when `signature` is `key`'s over `text`. The key must have a handle. Any thread.
bool signature_is_good(const Algorithm& algorithm, const PublicKey& key, std::string_view text,
                       std::string_view signature);

}  // namespace knock::sso
