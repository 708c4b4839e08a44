// SPDX-License-Identifier: Apache-2.0
// From which address a request really came, when proxies stand in front of us. The answer opens a
// firewall, so a guess is worse than no answer: every doubt is an error with its own reason code,
// and never the proxy's address.
//
// Only X-Forwarded-For is read. `Forwarded` (RFC 7239) is not: proxies that write the one pass the
// other through as the client sent it, so it is a stranger's word wherever it is not the only one
// in use.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/prefix.h"
#include "base/result.h"

namespace knock::net {

/// `peer`: the TCP connection's other end. `forwarded_for`: every X-Forwarded-For field's value, in
/// order.
///
/// A peer outside `trusted_proxies` is itself the client, whatever it wrote. Behind a trusted one
/// the list is read from the right, where our own proxies wrote, to the first address that is not
/// ours: that is the client. What stands left of it are the client's own words, and they are not
/// looked at.
///
/// Errors (ErrorKind::invalid); the message begins with the reason code and ": ":
///   forwarded.no-peer      there is no TCP peer (Unix socket)
///   forwarded.missing      a trusted proxy sent no X-Forwarded-For, or an empty one
///   forwarded.too-long     more than 4096 bytes or 32 hops
///   forwarded.malformed    a hop that had to be read is no plain address (empty, port, zone,
///   "unknown", …) forwarded.not-a-host   the client's address is no single host's (unspecified,
///   multicast, broadcast) forwarded.all-trusted  every hop is one of our proxies
Result<IpAddress> client_address(const std::optional<IpAddress>& peer,
                                 const std::vector<std::string_view>& forwarded_for,
                                 const std::vector<Prefix>& trusted_proxies);

/// The reason code at the front of such an error.
std::string_view reason_code(const Error& error);

}  // namespace knock::net
