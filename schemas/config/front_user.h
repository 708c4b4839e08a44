// SPDX-License-Identifier: Apache-2.0
// May the roles that face strangers run as `front_user` here? What the machine knows of users comes
// in as values; who asks it is cli's matter.
#pragma once

#include <cstdint>
#include <optional>

#include "schemas/config/config.h"

namespace knock {

struct UsersHere {
  std::uint32_t self = 0;                    // who runs the controller, and owns what it makes
  std::optional<std::uint32_t> front;        // front_user's id; nothing when there is no such user
  std::optional<std::uint32_t> store_owner;  // of the database; nothing when it is not there yet
};

/// Nothing when it may. Whoever is not root cannot become anybody: then only a name that was written
/// down is looked at.
std::optional<Diagnostic> front_user_problem(const Config& config, const UsersHere& here);

}  // namespace knock
