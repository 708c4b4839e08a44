// SPDX-License-Identifier: Apache-2.0
// The verifier's process: frames of schemas/role/wire.h over one stream socket, requests in,
// answers out, in any order.
//
// It ends when its parent closes the socket, after `proofs` passwords and codes, and on any error
// within itself. Before it ends it answers what it has read. What the parent sent and got no answer
// to when the socket closes was never looked at, or was cut short: the parent gives it to the next
// verifier. Passwords and addresses do not care; a code that was already spent is then refused
// (code.refused).
#pragma once

#include <cstddef>

#include "sso/verifier/verifier.h"

namespace knock::sso {

/// A process that reads secrets and parses strangers' bytes is not kept for ever.
inline constexpr std::size_t kProofsPerVerifier = 1000;

/// Blocks. The process's exit code: 0 when the parent left or the proofs are used up, 1 after an
/// internal error. The caller has opened its files, dropped its privileges and set its seccomp
/// filter before.
int run_verifier(int socket, Verifier& verifier, std::size_t proofs = kProofsPerVerifier);

}  // namespace knock::sso
