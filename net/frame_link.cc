// SPDX-License-Identifier: Apache-2.0
#include "net/frame_link.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>

namespace knock::net {
namespace {

std::uint32_t length_of(std::string_view bytes) {
  std::uint32_t out = 0;
  for (int i = 0; i < 4; ++i) out = out << 8 | std::uint8_t(bytes[std::size_t(i)]);
  return out;
}

/// Hands every whole frame on and drops it. False when one is too long, or was not accepted.
bool take_frames(std::string& buffer, const std::function<bool(std::string_view)>& frame) {
  std::size_t done = 0;
  bool good = true;
  while (good && buffer.size() - done >= 4) {
    auto rest = std::string_view(buffer).substr(done);
    auto length = length_of(rest);
    if (length > FrameLink::kMaxFrame) return false;
    if (rest.size() - 4 < length) break;
    good = frame(rest.substr(4, length));
    done += 4 + length;
  }
  buffer.erase(0, done);
  return good;
}

}  // namespace

Status read_frames(int socket, const std::function<bool(std::string_view)>& frame) {
  std::string buffer;
  std::array<char, 64 * 1024> part;
  while (true) {
    ssize_t got = recv(socket, part.data(), part.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0 || (got < 0 && errno == ECONNRESET)) return {};
    if (got < 0)
      return fail(ErrorKind::unavailable, std::string("reading frames: ") + std::strerror(errno));
    buffer.append(part.data(), std::size_t(got));
    if (!take_frames(buffer, frame))
      return fail(ErrorKind::invalid, "the other role sent what is out of shape");
  }
}

struct FrameLink::State {
  int socket;
  Events events;
  std::mutex sending;
  std::thread reader;
};

FrameLink::FrameLink(int socket, Events events)
    : state_(new State{socket, std::move(events), {}, {}}) {
  state_->reader = std::thread([state = state_.get()] {
    (void)read_frames(state->socket, state->events.frame);
    shutdown(state->socket, SHUT_RDWR);
    if (state->events.closed) state->events.closed();
  });
}

FrameLink::~FrameLink() {
  shut_down();
  state_->reader.join();
  close(state_->socket);
}

void FrameLink::shut_down() { shutdown(state_->socket, SHUT_RDWR); }

Status FrameLink::send(std::string_view frame, Deadline deadline) {
  if (frame.size() > kMaxFrame + 4)
    return fail(ErrorKind::unsupported, "more than one message between roles carries (16 MiB)");
  std::lock_guard lock(state_->sending);
  std::string_view rest = frame;
  while (!rest.empty()) {
    ssize_t sent = ::send(state_->socket, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      rest.remove_prefix(std::size_t(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
      return fail(ErrorKind::unavailable, "the other role has ended");
    pollfd wait{state_->socket, POLLOUT, 0};
    int left = int(std::min<std::int64_t>(deadline.left().ms + 1, 3'600'000));
    if (!deadline.passed() && poll(&wait, 1, left) != 0) continue;
    // Half a frame may be out; and whoever has not read for so long would make every later frame
    // wait as long again.
    shut_down();
    return fail(ErrorKind::timeout, "the other role does not read");
  }
  return {};
}

}  // namespace knock::net
