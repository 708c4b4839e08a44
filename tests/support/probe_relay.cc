// SPDX-License-Identifier: Apache-2.0
#include "tests/support/probe_relay.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <thread>

namespace knock::prober {
namespace {

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  if (path.size() >= sizeof out.sun_path) give_up("the path of the socket is too long: " + path);
  std::memcpy(out.sun_path, path.c_str(), path.size() + 1);
  return out;
}

Socket listen_at(const RelayEnd& end) {
  if (end.path.empty()) return listen_on(end.peer.host, end.peer.port);
  Socket listener(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  auto address = unix_address(end.path);
  unlink(end.path.c_str());
  if (bind(listener.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener.fd(), 64) != 0) {
    give_up("cannot listen on " + end.path + ": " + std::strerror(errno));
  }
  return listener;
}

std::optional<Socket> connect_to(const RelayEnd& end) {
  if (end.path.empty()) {
    auto attempt = connect_within(end.peer, milliseconds(2000));
    if (attempt.seen != Seen::open) return std::nullopt;
    return std::move(attempt.socket);
  }
  Socket out(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto address = unix_address(end.path);
  if (connect(out.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return std::nullopt;
  }
  return out;
}

void make_blocking(const Socket& socket) {
  fcntl(socket.fd(), F_SETFL, fcntl(socket.fd(), F_GETFL) & ~O_NONBLOCK);
}

/// False when there is nothing more to come.
bool pass_on(int from, int to) {
  std::array<char, 16384> buffer;
  auto got = recv(from, buffer.data(), buffer.size(), 0);
  if (got <= 0) return false;
  for (ssize_t sent = 0; sent < got;) {
    auto now = send(to, buffer.data() + sent, static_cast<std::size_t>(got - sent), 0);
    if (now <= 0) return false;
    sent += now;
  }
  return true;
}

void join_pair(Socket a, const RelayEnd& to) {
  auto b = connect_to(to);
  if (!b) return;  // whoever connected sees the end of the connection, as when a port is closed
  make_blocking(a);
  make_blocking(*b);
  std::array<pollfd, 2> sockets{{{a.fd(), POLLIN, 0}, {b->fd(), POLLIN, 0}}};
  while (poll(sockets.data(), sockets.size(), -1) > 0) {
    if (sockets[0].revents != 0 && !pass_on(a.fd(), b->fd())) return;
    if (sockets[1].revents != 0 && !pass_on(b->fd(), a.fd())) return;
  }
}

}  // namespace

int run_relay(const RelayEnd& from, const RelayEnd& to) {
  auto listener = listen_at(from);
  std::puts("ready");
  std::fflush(stdout);
  while (told_to_end == 0) {
    pollfd ready{listener.fd(), POLLIN, 0};
    if (poll(&ready, 1, -1) <= 0) continue;
    int fd = accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC);
    // A thread ends with its connection, and all of them with the process.
    if (fd >= 0) std::thread([fd, to] { join_pair(Socket(fd), to); }).detach();
  }
  return 0;
}

}  // namespace knock::prober
