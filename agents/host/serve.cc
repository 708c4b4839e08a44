// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "agents/host/privileged.h"
#include "base/failpoint.h"
#include "schemas/role/wire.h"

namespace knock::host {
namespace {

Status send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      pollfd wait{socket, POLLOUT, 0};
      poll(&wait, 1, -1);
      continue;
    }
    if (sent < 0)
      return fail(ErrorKind::unavailable, std::string("core does not listen: ") + strerror(errno));
    bytes.remove_prefix(std::size_t(sent));
  }
  return {};
}

std::uint32_t length_of(std::string_view bytes) {
  std::uint32_t out = 0;
  for (int i = 0; i < 4; ++i) out = out << 8 | std::uint8_t(bytes[std::size_t(i)]);
  return out;
}

class Server {
 public:
  Server(int socket, Privileged& work) : socket_(socket), work_(work) {}

  Status run() {
    while (true) {
      std::array<pollfd, 2> wait{{{socket_, POLLIN, 0}, {work_.event_fd(), POLLIN, 0}}};
      if (poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR)
        return fail(ErrorKind::internal, std::string("poll: ") + strerror(errno));
      if (wait[0].revents != 0) {
        KNOCK_ASSIGN(bool open, receive());
        if (!open) return {};
        KNOCK_CHECK(answer());
      }
      KNOCK_CHECK(tell_moved());
    }
  }

 private:
  Result<bool> receive() {
    std::array<char, 64 * 1024> buffer;
    ssize_t got = recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got == 0) return false;
    if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (got < 0 && errno == ECONNRESET) return false;
    if (got < 0) return fail(ErrorKind::unavailable, std::string("core: ") + strerror(errno));
    waiting_.append(buffer.data(), std::size_t(got));
    return true;
  }

  Status answer() {
    std::size_t done = 0;
    while (waiting_.size() - done >= 4) {
      auto rest = std::string_view(waiting_).substr(done);
      auto length = length_of(rest);
      if (length > wire::kMaxFrame)
        return fail(ErrorKind::invalid, "a frame from core is too long");
      if (rest.size() - 4 < length) break;
      KNOCK_ASSIGN(auto message, role::decode_to_apply(rest.substr(4, length)));
      KNOCK_CHECK(reply(message));
      done += 4 + length;
    }
    waiting_.erase(0, done);
    return {};
  }

  Status reply(const role::ToApply& message) {
    auto frame = role::encode(work_.handle(message));
    if (frame.size() - 4 > wire::kMaxFrame)
      frame = role::encode(role::FromApply(
          role::Failed{role::request_of(message), ErrorKind::unsupported,
                       "the table holds more entries than one message carries (16 MiB)"}));
    KNOCK_FAILPOINT("apply.before-reply");
    return send_all(socket_, frame);
  }

  Status tell_moved() {
    for (auto& moved : work_.take_moved())
      KNOCK_CHECK(send_all(socket_, role::encode(role::FromApply(std::move(moved)))));
    return {};
  }

  int socket_;
  Privileged& work_;
  std::string waiting_;
};

}  // namespace

Status run_privileged(int socket) {
  KNOCK_ASSIGN(auto work, Privileged::open());
  return Server(socket, work).run();
}

}  // namespace knock::host
