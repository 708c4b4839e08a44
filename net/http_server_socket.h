// SPDX-License-Identifier: Apache-2.0
// Listening and accepted sockets as descriptors: everything that is said to the kernel about them.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "net/http_server.h"

namespace knock::net {

/// A descriptor that closes itself.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  ~OwnedFd() { reset(); }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

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
