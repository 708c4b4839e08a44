// SPDX-License-Identifier: Apache-2.0
// The privileged half within this process: a thread of its own that has entered the target's
// network namespace (a namespace belongs to a thread) and serves one call after the other.
#pragma once

#include <memory>
#include <string>

#include "agents/nftables/channel.h"

namespace knock::host {

/// `netns`: "" = ours; a name below /run/netns; or a path such as /proc/4711/ns/net. Entering
/// another one needs CAP_SYS_ADMIN, the work CAP_NET_ADMIN in it.
Result<std::unique_ptr<ApplyChannel>> open_local_channel(const std::string& netns);

}  // namespace knock::host
