// SPDX-License-Identifier: Apache-2.0
#include "tests/support/probe_socket.h"

#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace knock::prober {

volatile std::sig_atomic_t told_to_end = 0;
namespace {
void on_signal(int) { told_to_end = 1; }
}  // namespace

void end_on_signals() {
  struct sigaction action{};
  action.sa_handler = on_signal;  // no SA_RESTART: poll() returns at once
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

void give_up(const std::string& sentence) {
  std::fprintf(stderr, "knock-prober: %s\n", sentence.c_str());
  std::exit(kUsage);
}

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

namespace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const IpAddress& address, std::uint16_t port) {
  SocketAddress out;
  auto bytes = address.bytes();
  if (address.family() == Family::v4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, bytes.data(), bytes.size());
    std::memcpy(&out.storage, &v4, sizeof v4);
    out.size = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, bytes.data(), bytes.size());
    std::memcpy(&out.storage, &v6, sizeof v6);
    out.size = sizeof v6;
  }
  return out;
}

int family_of(const IpAddress& address) {
  return address.family() == Family::v4 ? AF_INET : AF_INET6;
}

Seen from_errno(int error) {
  if (error == 0) return Seen::open;
  if (error == EINPROGRESS) return Seen::pending;
  return error == ECONNREFUSED || error == ECONNRESET ? Seen::closed : Seen::filtered;
}

}  // namespace

std::string_view to_string(Seen seen) {
  switch (seen) {
    case Seen::pending:
      return "pending";
    case Seen::open:
      return "open";
    case Seen::closed:
      return "closed";
    case Seen::filtered:
      return "filtered";
  }
  return "";
}

Attempt begin_connect(const Peer& peer) {
  Attempt attempt;
  attempt.socket =
      Socket(socket(family_of(peer.host), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (attempt.socket.fd() < 0) give_up("socket: " + std::string(std::strerror(errno)));
  if (peer.source) {
    // The port is chosen at connect() and by the whole four-tuple, or binding would use up the
    // source ports.
    int on = 1;
    setsockopt(attempt.socket.fd(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    auto from = socket_address(*peer.source, 0);
    if (bind(attempt.socket.fd(), from.get(), from.size) != 0) {
      give_up("cannot use the source address " + peer.source->to_string() + ": " +
              std::strerror(errno));
    }
  }
  auto to = socket_address(peer.host, peer.port);
  attempt.begun = Clock::now();
  attempt.seen = from_errno(connect(attempt.socket.fd(), to.get(), to.size) == 0 ? 0 : errno);
  return attempt;
}

Seen finished(const Attempt& attempt) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(attempt.socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  return from_errno(error);
}

int milliseconds_until(Clock::time_point when) {
  auto left = std::chrono::ceil<milliseconds>(when - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

Attempt connect_within(const Peer& peer, milliseconds time) {
  Attempt attempt = begin_connect(peer);
  auto end = attempt.begun + time;
  while (attempt.seen == Seen::pending && told_to_end == 0) {
    pollfd ready{attempt.socket.fd(), POLLOUT, 0};
    if (poll(&ready, 1, milliseconds_until(end)) > 0) {
      attempt.seen = finished(attempt);
    } else if (Clock::now() >= end) {
      attempt.seen = Seen::filtered;
    }
  }
  return attempt;
}

Socket listen_on(const IpAddress& address, std::uint16_t port) {
  Socket listener(socket(family_of(address), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  int on = 1;
  setsockopt(listener.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  auto local = socket_address(address, port);
  if (bind(listener.fd(), local.get(), local.size) != 0 || listen(listener.fd(), 512) != 0) {
    give_up("cannot listen on " + address.to_string() + " port " + std::to_string(port) + ": " +
            std::strerror(errno));
  }
  return listener;
}

}  // namespace knock::prober
