// SPDX-License-Identifier: Apache-2.0
// Passwords of local accounts: Argon2id through libsodium, 64 MiB and 2 passes (RFC 9106 section 4
// asks for at least that order). A hash is an ASCII string that carries its own salt and parameters
// ("$argon2id$v=19$…"). Any thread; each call holds 64 MiB while it runs, so callers bound how many
// run at once.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace knock::sso {

inline constexpr std::size_t kLongestPassword = 1024;  // bytes

/// Errors: invalid (empty, or longer than kLongestPassword), unavailable (no memory for the hash).
Result<std::string> hash_password(const Secret& password);

/// A hash that is "" or not one of ours costs the same time as a real one and answers no, so that
/// whoever measures cannot tell known users from unknown ones.
bool check_password(std::string_view hash, const Secret& password);

/// True when today's parameters differ from the hash's: hash again at the next successful sign-in.
bool needs_rehash(std::string_view hash);

}  // namespace knock::sso
