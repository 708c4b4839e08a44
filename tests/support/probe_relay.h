// SPDX-License-Identifier: Apache-2.0
// Joins connections in pairs. A Unix socket's path reaches from one network namespace into another,
// so two relays bring the demo's portal to a browser on this machine.
#pragma once

#include <string>

#include "tests/support/probe_socket.h"

namespace knock::prober {

struct RelayEnd {
  std::string path;  // of a Unix socket; or
  Peer peer;
};

/// Until SIGTERM. The exit code.
int run_relay(const RelayEnd& from, const RelayEnd& to);

}  // namespace knock::prober
