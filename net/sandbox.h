// SPDX-License-Identifier: Apache-2.0
// What a role gives up. The parent calls become() in the child between fork and exec: user, network
// namespace, capabilities, for good (no_new_privs, empty bounding set). The role itself calls
// confine() when it has made what it needs: from then on its system calls are the listed ones; any
// other answers EPERM, and those that only an attacker would want (exec, ptrace, mount, module
// loading, …) end the process.
#pragma once

#include <string>

#include "base/result.h"

namespace knock::net {

struct Identity {
  std::string user;        // "" = stay who we are; else a name, or a number
  std::string netns;       // "" = ours; a name below /run/netns; or a path
  bool net_admin = false;  // keep CAP_NET_ADMIN, and nothing else
};

/// Changes the calling process; call it between fork and exec, or at the very start. Where the user
/// cannot be changed because this user namespace maps only one id, `user_kept` is set and
/// everything else is done all the same.
struct Became {
  bool user_kept = false;
};
Result<Became> become(const Identity& identity);

enum class Confinement {
  front,     // sockets it was given, no files, no new listening
  verifier,  // outgoing connections, reading certificates and resolver files
  apply,     // netlink only
};

/// True when this build and machine confine; sanitizer builds do not, and say so at start.
bool can_confine();
Status confine(Confinement kind);

/// No core files, no ptrace by others of the same user. Every role, first thing.
void forbid_dumps();

}  // namespace knock::net
