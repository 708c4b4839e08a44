// SPDX-License-Identifier: Apache-2.0
#include "agents/nftables/channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "schemas/role/wire.h"

namespace knock {
namespace {

std::uint32_t length_of(std::string_view bytes) {
  std::uint32_t out = 0;
  for (int i = 0; i < 4; ++i) out = out << 8 | std::uint8_t(bytes[std::size_t(i)]);
  return out;
}

role::ToApply numbered(role::ToApply message, std::uint64_t request) {
  std::visit([&](auto& m) { m.request = request; }, message);
  return message;
}

int milliseconds(Deadline deadline) {
  return int(std::min<std::int64_t>(deadline.left().ms + 1, 3'600'000));
}

}  // namespace

/// The socket, its reader, and who waits for what. Any thread.
class SocketLink {
 public:
  explicit SocketLink(int socket) : socket_(socket), reader_([this] { read(); }) {}
  SocketLink(const SocketLink&) = delete;
  SocketLink& operator=(const SocketLink&) = delete;
  ~SocketLink() {
    shutdown(socket_, SHUT_RDWR);
    reader_.join();
    close(socket_);
  }

  Result<role::FromApply> call(const role::ToApply& message, Deadline deadline) {
    std::uint64_t request = 0;
    {
      std::lock_guard lock(mutex_);
      if (gone_) return gone();
      request = ++last_request_;
      waiting_.emplace(request, std::nullopt);
    }
    auto sent = send_frame(role::encode(numbered(message, request)), deadline);
    std::unique_lock lock(mutex_);
    auto answered = [&] { return gone_ || waiting_[request].has_value(); };
    if (sent) arrived_.wait_until(lock, deadline.at, answered);
    auto answer = std::move(waiting_[request]);
    waiting_.erase(request);
    if (!sent) return fail(std::move(sent.error()));
    if (answer) return std::move(*answer);
    if (gone_) return gone();
    return fail(ErrorKind::timeout, "the apply role did not answer in time");
  }

  void subscribe(const void* who, ApplyChannel::Moved moved) {
    std::lock_guard lock(moved_mutex_);
    moved_[who] = std::move(moved);
  }
  /// Returns when no callback of `who` is running any more.
  void unsubscribe(const void* who) {
    std::lock_guard lock(moved_mutex_);
    moved_.erase(who);
  }

 private:
  static tl::unexpected<Error> gone() {
    return fail(ErrorKind::unavailable, "the apply role has ended: the firewall cannot be changed");
  }

  Status send_frame(const std::string& frame, Deadline deadline) {
    if (frame.size() - 4 > wire::kMaxFrame)
      return fail(ErrorKind::unsupported, "more changes than one message carries (16 MiB)");
    std::lock_guard lock(send_mutex_);
    std::string_view rest = frame;
    while (!rest.empty()) {
      ssize_t sent = send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) {
        rest.remove_prefix(std::size_t(sent));
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return gone();
      pollfd wait{socket_, POLLOUT, 0};
      if (!deadline.passed() && poll(&wait, 1, milliseconds(deadline)) != 0) continue;
      // Half a frame went out, so the stream is of no use any more.
      if (rest.size() < frame.size()) shutdown(socket_, SHUT_RDWR);
      return fail(ErrorKind::timeout, "the apply role does not read");
    }
    return {};
  }

  void read() {
    std::string buffer;
    std::array<char, 64 * 1024> part;
    while (true) {
      ssize_t got = recv(socket_, part.data(), part.size(), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      buffer.append(part.data(), std::size_t(got));
      if (!take_frames(buffer)) break;
    }
    {
      std::lock_guard lock(mutex_);
      gone_ = true;
      arrived_.notify_all();
    }
    std::lock_guard lock(moved_mutex_);
    for (const auto& [who, tell] : moved_) tell("");
  }

  /// False when the other side does not keep to the format: then nothing it says can be trusted.
  bool take_frames(std::string& buffer) {
    std::size_t done = 0;
    while (buffer.size() - done >= 4) {
      auto rest = std::string_view(buffer).substr(done);
      auto length = length_of(rest);
      if (length > wire::kMaxFrame) return false;
      if (rest.size() - 4 < length) break;
      auto message = role::decode_from_apply(rest.substr(4, length));
      if (!message) return false;
      deliver(std::move(*message));
      done += 4 + length;
    }
    buffer.erase(0, done);
    return true;
  }

  void deliver(role::FromApply message) {
    if (const auto* moved = std::get_if<role::TableMoved>(&message)) {
      std::lock_guard lock(moved_mutex_);
      for (const auto& [who, tell] : moved_) tell(moved->table);
      return;
    }
    std::lock_guard lock(mutex_);
    auto at = waiting_.find(role::request_of(message));
    if (at == waiting_.end()) return;  // its caller's deadline has passed
    at->second = std::move(message);
    arrived_.notify_all();
  }

  int socket_;
  std::mutex mutex_, send_mutex_, moved_mutex_;
  std::condition_variable arrived_;
  std::map<std::uint64_t, std::optional<role::FromApply>> waiting_;
  std::map<const void*, ApplyChannel::Moved> moved_;
  std::uint64_t last_request_ = 0;
  bool gone_ = false;
  std::thread reader_;  // last: it uses the rest
};

SocketApplyChannel::SocketApplyChannel(int socket) : link_(std::make_shared<SocketLink>(socket)) {}
SocketApplyChannel::SocketApplyChannel(std::shared_ptr<SocketLink> link) : link_(std::move(link)) {}
SocketApplyChannel::~SocketApplyChannel() { link_->unsubscribe(this); }

std::unique_ptr<SocketApplyChannel> SocketApplyChannel::share() const {
  return std::unique_ptr<SocketApplyChannel>(new SocketApplyChannel(link_));
}

Result<role::FromApply> SocketApplyChannel::call(const role::ToApply& message, Deadline deadline) {
  return link_->call(message, deadline);
}

void SocketApplyChannel::on_moved(Moved moved) { link_->subscribe(this, std::move(moved)); }

}  // namespace knock
