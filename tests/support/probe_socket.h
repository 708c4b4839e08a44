// SPDX-License-Identifier: Apache-2.0
// TCP connection attempts as the prober makes them: one SYN each, an answer or none.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/ip.h"

namespace knock::prober {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

inline constexpr int kUsage = 64;

/// Set by SIGTERM and SIGINT once end_on_signals() was called; poll() then returns at once.
extern volatile std::sig_atomic_t told_to_end;
void end_on_signals();

/// One sentence on standard error, and the end.
[[noreturn]] void give_up(const std::string& sentence);

class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket();
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

/// Where to, and from which of this machine's addresses.
struct Peer {
  IpAddress host;
  std::uint16_t port = 0;
  std::optional<IpAddress> source;
};

enum class Seen { pending, open, closed, filtered };
std::string_view to_string(Seen seen);

struct Attempt {
  Socket socket;  // non-blocking
  Seen seen = Seen::pending;
  Clock::time_point begun;
};

/// Sends one SYN and does not wait.
Attempt begin_connect(const Peer& peer);
/// To be called when poll() reported the socket.
Seen finished(const Attempt& attempt);
/// Waits for one attempt; filtered when its time is over.
Attempt connect_within(const Peer& peer, milliseconds time);

/// Non-blocking.
Socket listen_on(const IpAddress& address, std::uint16_t port);

/// For poll(): rounded up, never negative, at most a minute.
int milliseconds_until(Clock::time_point when);

}  // namespace knock::prober
