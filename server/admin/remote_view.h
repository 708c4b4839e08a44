// SPDX-License-Identifier: Apache-2.0
// What the holder of a token may see of the controller's answers.
#pragma once

#include <string>

#include "reconciler/loop/status.h"
#include "schemas/plan/view.h"
#include "server/core/key_ring.h"

namespace knock {

/// audit:read sees everything, plan:people names and times, everybody else counts and rules.
View widest_view(const KeyHolder& holder);
/// Problems of targets name addresses, findings name people.
ControllerStatus as_seen(ControllerStatus status, View view);
/// `document` is sessions_json or session_json: members called `address` are taken out.
std::string without_address_members(const std::string& document);

}  // namespace knock
