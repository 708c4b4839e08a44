// SPDX-License-Identifier: Apache-2.0
// Network namespaces for tests, with or without root: real kernel, real packets, nothing outside.
// A namespace lives as long as its value; no process holds it and nothing is mounted.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace knock::test {

/// True when this process can make network namespaces. Without root it enters a user namespace of
/// its own first, once, so this must be called before the test starts threads.
bool have_namespaces();
inline constexpr const char* kNoNamespaces = "cannot make a network namespace here";

class Namespace {
 public:
  /// A fresh one with `lo` up. Throws when that fails.
  Namespace();
  ~Namespace();
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  /// A path that others can open and enter while this value lives.
  std::string path() const;
  /// Calls on a thread of its own inside; waits; passes exceptions on.
  void run(const std::function<void()>& what) const;
  /// A program inside, without a shell. Throws with its output when it fails.
  std::string command(const std::vector<std::string>& argv, std::string_view input = {}) const;
  /// `nft -f -`.
  void nft(std::string_view text) const { command({"nft", "-f", "-"}, text); }

 private:
  int fd_ = -1;
};

/// A veth pair; addresses with their lengths, as "192.0.2.1/24".
void join(const Namespace& a, const std::string& a_device, const Namespace& b,
          const std::string& b_device);
void add_address(const Namespace& where, const std::string& device, const std::string& address);

enum class Reached { open, refused, timeout };
std::ostream& operator<<(std::ostream& out, Reached reached);

/// A TCP connection, closed with the value.
class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  /// Sends something new and waits for exactly that to come back.
  bool echoes(Duration patience = Duration{1500});
  /// Whether every packet of ours arrived at its first attempt. One that was sent again and that the
  /// other side then had twice was merely late; that the other side says so may itself be late on a
  /// busy machine, so this waits for it. Prints what is missing.
  bool lost_nothing() const;

 private:
  int fd_;
  unsigned sent_ = 0;
};

struct Attempt {
  Reached reached = Reached::timeout;
  std::unique_ptr<Connection> connection;  // when open
};
/// One connection attempt from `from` (an address in that namespace; "" = any). A drop is told from
/// patience alone, so it is short: the first packet of a veth pair arrives in microseconds.
Attempt dial(const Namespace& where, const std::string& from, const std::string& to, int port,
             Duration patience = Duration{400});
inline Reached reach(const Namespace& where, const std::string& from, const std::string& to,
                     int port) {
  return dial(where, from, to, port).reached;
}

/// Echoes everything on every connection to a port, on IPv4 and IPv6, until the value dies.
class EchoServer {
 public:
  EchoServer(const Namespace& where, int port);
  ~EchoServer();
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Waits until the condition holds or the deadline passes; says whether it held.
bool eventually(const std::function<bool()>& condition, Duration patience = Duration{5000});

}  // namespace knock::test
