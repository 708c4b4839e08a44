// SPDX-License-Identifier: Apache-2.0
// Listening and accepted sockets as descriptors: everything that is said to the kernel about them.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/owned_fd.h"
#include "net/http_server.h"

namespace knock::net {

struct ListeningSocket {
  OwnedFd fd;
  std::uint16_t port = 0;  // TCP
  std::string unix_path;   // Unix
  dev_t device = 0;        // of the socket file, so that only our own is removed at the end
  ino_t inode = 0;
};

/// Errors: invalid (both or neither kind of address, path too long), not_found (unix_group),
/// conflict (address in use, a file that is no socket stands at the path), unauthorized, internal.
Result<ListeningSocket> listen_on(const HttpListen& listen);
/// Removes the socket file if it is still the one that listen_on made.
void forget(const ListeningSocket& socket);

std::optional<IpAddress> peer_address(int fd);
std::optional<std::uint32_t> peer_user(int fd);

}  // namespace knock::net
