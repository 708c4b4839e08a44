// SPDX-License-Identifier: Apache-2.0
// The key with which a controller signs the plans it saves: one file "plan-key" in its state folder, mode 0600, made at
// first use. One line: "knock plan key 1 " and the 32 bytes of an Ed25519 seed in base64url. Whoever loses it loses no more
// than the plans that are under way: without the file, a new key is made, and plans of the old one are refused.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/ed25519.h"
#include "base/result.h"

namespace knock {

inline constexpr std::string_view kPlanKeyFile = "plan-key";

/// Reads the key, or makes it when there is none; on stable storage when this returns. Errors: `unauthorized` = others than
/// its owner may read or write it, or somebody else owns it; `invalid` = it is not a key; `unavailable` = it cannot be read or
/// written. The message says what to do.
Result<Ed25519Key> plan_key(const std::string& folder, Random& random);
/// Reads it; nothing when there is none.
Result<std::optional<Ed25519Key>> known_plan_key(const std::string& folder);

}  // namespace knock
