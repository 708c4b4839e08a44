// SPDX-License-Identifier: Apache-2.0
// What the holder of a token may see of the controller's answers.
#pragma once

#include <string>

#include "base/result.h"
#include "reconciler/loop/status.h"
#include "schemas/diagnostic.h"
#include "schemas/plan/view.h"
#include "server/core/key_ring.h"

namespace knock {

/// audit:read sees everything, plan:people names and times, everybody else counts and rules.
View widest_view(const KeyHolder& holder);
/// Problems of targets name addresses, findings name people, and so does what is wrong with a
/// policy; `refused` is PolicyKeeper::refused().
ControllerStatus as_seen(ControllerStatus status, const Diagnostics& refused, View view);
/// Of files that whoever asks did not send: a policy's tests name people and where they are. A
/// `shape` has the place and the id alone.
Diagnostics as_seen(Diagnostics problems, View view);
/// Why a target cannot be read or changed, which may name addresses and commands.
std::string problem_text(const std::string& problem, View view);
/// What stands around a message may name authors and signers: a `shape` is without it.
Error as_seen(Error error, View view);
/// `document` is sessions_json or session_json: members called `address` are taken out.
std::string without_address_members(const std::string& document);

}  // namespace knock
