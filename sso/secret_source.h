// SPDX-License-Identifier: Apache-2.0
// Reads a secret from where knock.yaml says it is: an environment variable, a file, or a command's
// output. Called at start, before privileges are dropped.
#pragma once

#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "base/time.h"
#include "schemas/config/config.h"

namespace knock::sso {

inline constexpr std::size_t kLongestSecret = 64 << 10;  // bytes

/// One line end at the end is not part of the secret: editors and commands add it. Errors, never
/// with the secret in them: not_found (no such variable, file or command), invalid (empty, too
/// long, a NUL inside), unauthorized (not readable), timeout, internal (the command ended with an
/// error). A file that others than its owner and group may read is used, and logged as
/// "secret.readable".
Result<Secret> resolve(const SecretReference& reference, Deadline deadline);

}  // namespace knock::sso
