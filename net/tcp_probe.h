// SPDX-License-Identifier: Apache-2.0
// Does anything accept a TCP connection there? Nothing is sent, and what was opened is closed at once.
#pragma once

#include <cstdint>

#include "base/ip.h"
#include "base/result.h"
#include "base/time.h"

namespace knock::net {

/// Blocks until the answer or the deadline. Kinds: `unavailable` (refused, or no way there),
/// `timeout`.
Status tcp_probe(const IpAddress& address, std::uint16_t port, Deadline deadline);

}  // namespace knock::net
