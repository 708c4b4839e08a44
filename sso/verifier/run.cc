// SPDX-License-Identifier: Apache-2.0
#include "sso/verifier/run.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <string>

#include "base/log.h"
#include "schemas/role/wire.h"

namespace knock::sso {
namespace {

constexpr std::size_t kLongestRequest = 64 << 10;

enum class Ending { none, parent_left, used_up, broken };

/// What the reading thread and the answering ones share.
class Line {
 public:
  explicit Line(int socket) : socket_(socket), wake_(eventfd(0, EFD_CLOEXEC)) {
    if (wake_ < 0) end(Ending::broken);
  }
  ~Line() {
    if (wake_ >= 0) close(wake_);
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  /// Blocks until there is something to read; false when it is time to end.
  bool wait_readable() {
    pollfd fds[] = {{socket_, POLLIN, 0}, {wake_, POLLIN, 0}};
    while (poll(fds, 2, -1) < 0)
      if (errno != EINTR) return end(Ending::broken), false;
    return fds[1].revents == 0;
  }

  void begin() {
    std::lock_guard lock(mutex_);
    ++open_;
  }
  void answer(const role::FromVerifier& message) {
    auto* refused = std::get_if<role::NotProven>(&message);
    bool failed = refused != nullptr && refused->code == "verifier.internal";
    auto frame = role::encode(message);
    std::lock_guard lock(mutex_);
    if (!send_all(frame)) end_locked(Ending::parent_left);
    if (failed) end_locked(Ending::broken);
    if (--open_ == 0) idle_.notify_all();
  }
  void end(Ending why) {
    std::lock_guard lock(mutex_);
    end_locked(why);
  }
  /// Waits for the answers to what was begun; each comes within the verifier's patience.
  Ending finish() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [&] { return open_ == 0; });
    return ending_;
  }

 private:
  bool send_all(std::string_view bytes) {
    while (!bytes.empty()) {
      auto n = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      bytes.remove_prefix(std::size_t(n));
    }
    return true;
  }
  void end_locked(Ending why) {
    if (ending_ < why) ending_ = why;
    std::uint64_t one = 1;
    if (wake_ >= 0 && write(wake_, &one, sizeof one) < 0) return;  // full: it is awake already
  }

  const int socket_, wake_;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::size_t open_ = 0;
  Ending ending_ = Ending::none;
};

/// Reads frames out of a byte stream.
class Frames {
 public:
  /// False when the stream has ended or broken.
  bool more(int socket) {
    char buffer[16 << 10];
    auto n = recv(socket, buffer, sizeof buffer, 0);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    if (n <= 0) return false;
    bytes_.append(buffer, std::size_t(n));
    return true;
  }
  /// The next whole frame without its length, into `body`. An impossible length is `bad`.
  bool next(std::string& body) {
    if (bytes_.size() < 4) return false;
    std::size_t length = 0;
    for (int i = 0; i < 4; ++i) length = length << 8 | std::uint8_t(bytes_[std::size_t(i)]);
    bad_ = length == 0 || length > kLongestRequest;
    if (bad_ || bytes_.size() < 4 + length) return false;
    body = bytes_.substr(4, length);
    bytes_.erase(0, 4 + length);
    return true;
  }
  bool bad() const { return bad_; }

 private:
  std::string bytes_;
  bool bad_ = false;
};

bool is_proof(const role::ToVerifier& message) {
  return std::holds_alternative<role::CheckPassword>(message) ||
         std::holds_alternative<role::ExchangeCode>(message);
}

/// Hands over every whole frame; false when it is time to end.
bool serve(Frames& frames, Verifier& verifier, Line& line, std::size_t& proofs) {
  std::string body;
  while (proofs > 0 && frames.next(body)) {
    auto message = role::decode_to_verifier(body);
    if (!message) {
      log(LogLevel::error, "verifier.message", message.error().text());
      line.end(Ending::broken);
      return false;
    }
    if (is_proof(*message)) --proofs;
    line.begin();
    verifier.handle(std::move(*message),
                    [&line](role::FromVerifier answer) { line.answer(answer); });
  }
  if (frames.bad()) line.end(Ending::broken);
  if (proofs == 0) line.end(Ending::used_up);
  return proofs > 0 && !frames.bad();
}

}  // namespace

int run_verifier(int socket, Verifier& verifier, std::size_t proofs) {
  Line line(socket);
  Frames frames;
  while (line.wait_readable()) {
    if (!frames.more(socket)) {
      line.end(Ending::parent_left);
      break;
    }
    if (!serve(frames, verifier, line, proofs)) break;
  }
  return line.finish() == Ending::broken ? 1 : 0;
}

}  // namespace knock::sso
