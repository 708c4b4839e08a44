// SPDX-License-Identifier: Apache-2.0
#include "net/tcp_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

namespace knock::net {
namespace {

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

tl::unexpected<Error> cannot(int code) {
  auto kind = code == ETIMEDOUT ? ErrorKind::timeout : ErrorKind::unavailable;
  return fail(kind, std::strerror(code));
}

/// The socket's own errors come when it is writable.
Status finish(int fd, Deadline deadline) {
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline.at - std::chrono::steady_clock::now());
    if (left.count() <= 0) return fail(ErrorKind::timeout, "no answer in time");
    pollfd waiting{fd, POLLOUT, 0};
    int ready = ::poll(&waiting, 1, int(std::min<std::int64_t>(left.count() + 1, 60'000)));
    if (ready < 0 && errno != EINTR) return cannot(errno);
    if (ready <= 0) continue;
    int problem = 0;
    socklen_t size = sizeof(problem);
    if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0) return cannot(errno);
    if (problem != 0) return cannot(problem);
    return {};
  }
}

}  // namespace

Status tcp_probe(const IpAddress& address, std::uint16_t port, Deadline deadline) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  auto text = address.to_string();
  if (address.family() == Family::v4) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    ::inet_pton(AF_INET, text.c_str(), &v4->sin_addr);
    size = sizeof(*v4);
  } else {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    ::inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr);
    size = sizeof(*v6);
  }
  Descriptor socket{
      ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP)};
  if (socket.fd < 0) return cannot(errno);
  if (::connect(socket.fd, reinterpret_cast<const sockaddr*>(&storage), size) == 0) return {};
  if (errno != EINPROGRESS) return cannot(errno);
  return finish(socket.fd, deadline);
}

}  // namespace knock::net
