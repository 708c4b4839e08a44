// SPDX-License-Identifier: Apache-2.0
#include "tests/support/netns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <ostream>
#include <stdexcept>
#include <thread>

namespace knock::test {
namespace {

[[noreturn]] void give_up(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

bool write_proc(const char* path, const std::string& text) {
  std::ofstream out(path);
  out << text;
  return bool(out.flush());
}

/// Root in a user namespace of our own; enough for everything below.
bool become_root() {
  if (geteuid() == 0) return true;
  auto uid = geteuid();
  auto gid = getegid();
  if (unshare(CLONE_NEWUSER) != 0) return false;
  return write_proc("/proc/self/setgroups", "deny") &&
         write_proc("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1") &&
         write_proc("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
}

void on_a_thread(const std::function<void()>& what) {
  std::exception_ptr thrown;
  std::thread([&] {
    try {
      what();
    } catch (...) {
      thrown = std::current_exception();
    }
  }).join();
  if (thrown) std::rethrow_exception(thrown);
}

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

SocketAddress socket_address(const std::string& address, int port) {
  SocketAddress out;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
  if (inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(std::uint16_t(port));
    out.length = sizeof *v4;
  } else if (inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(std::uint16_t(port));
    out.length = sizeof *v6;
  } else {
    throw std::runtime_error("not an address: " + address);
  }
  return out;
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(std::size_t(n));
  }
}

std::string read_all(int fd) {
  std::string out;
  std::array<char, 4096> part;
  while (true) {
    ssize_t n = read(fd, part.data(), part.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return out;
    out.append(part.data(), std::size_t(n));
  }
}

}  // namespace

bool have_namespaces() {
  static bool have = [] {
    if (!become_root()) return false;
    try {
      Namespace probe;
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }();
  return have;
}

// ---------------------------------------------------------------- namespaces

Namespace::Namespace() {
  on_a_thread([this] {
    if (unshare(CLONE_NEWNET) != 0) give_up("unshare");
    fd_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) give_up("the namespace's file");
  });
  command({"ip", "link", "set", "lo", "up"});
}

Namespace::~Namespace() {
  if (fd_ >= 0) close(fd_);
}

std::string Namespace::path() const {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd_);
}

void Namespace::run(const std::function<void()>& what) const {
  on_a_thread([&] {
    if (setns(fd_, CLONE_NEWNET) != 0) give_up("setns");
    what();
  });
}

std::string Namespace::command(const std::vector<std::string>& argv, std::string_view input) const {
  std::string output;
  int status = 0;
  run([&] {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) give_up("pipe");
    std::vector<char*> words;
    for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    pid_t child = fork();
    if (child < 0) give_up("fork");
    if (child == 0) {
      dup2(in[0], 0);
      dup2(out[1], 1);
      dup2(out[1], 2);
      execvp(words[0], words.data());
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    write_all(in[1], input);
    close(in[1]);
    output = read_all(out[0]);
    close(out[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  });
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    std::string line;
    for (const auto& word : argv) line += word + " ";
    throw std::runtime_error(line + "failed: " + output);
  }
  return output;
}

void join(const Namespace& a, const std::string& a_device, const Namespace& b,
          const std::string& b_device) {
  a.command(
      {"ip", "link", "add", a_device, "type", "veth", "peer", "name", b_device, "netns", b.path()});
  a.command({"ip", "link", "set", a_device, "up"});
  b.command({"ip", "link", "set", b_device, "up"});
}

void add_address(const Namespace& where, const std::string& device, const std::string& address) {
  std::vector<std::string> words{"ip", "address", "add", address, "dev", device};
  if (address.find(':') != address.npos) words.push_back("nodad");
  where.command(words);
}

// ---------------------------------------------------------------- connections

std::ostream& operator<<(std::ostream& out, Reached reached) {
  switch (reached) {
    case Reached::open:
      return out << "open";
    case Reached::refused:
      return out << "refused";
    case Reached::timeout:
      return out << "timeout";
  }
  return out;
}

Connection::~Connection() { close(fd_); }

bool Connection::lost_nothing() const {
  tcp_info info{};
  auto all_arrived = [&] {
    socklen_t size = sizeof info;
    if (getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
      throw std::runtime_error("TCP_INFO cannot be read");
    return info.tcpi_total_retrans <= info.tcpi_dsack_dups;
  };
  if (eventually(all_arrived)) return true;
  std::cerr << "sent again: " << info.tcpi_total_retrans
            << ", had twice by the other side: " << info.tcpi_dsack_dups << "\n";
  return false;
}

bool Connection::echoes(Duration patience) {
  auto deadline = Deadline::in(patience);
  auto text = "echo " + std::to_string(sent_++) + "\n";
  if (send(fd_, text.data(), text.size(), MSG_NOSIGNAL) != ssize_t(text.size())) return false;
  std::string got;
  while (got.find(text) == got.npos) {
    pollfd wait{fd_, POLLIN, 0};
    if (poll(&wait, 1, int(deadline.left().ms)) <= 0) return false;
    std::array<char, 256> part;
    ssize_t n = recv(fd_, part.data(), part.size(), 0);
    if (n <= 0) return false;
    got.append(part.data(), std::size_t(n));
  }
  return true;
}

Attempt dial(const Namespace& where, const std::string& from, const std::string& to, int port,
             Duration patience) {
  auto target = socket_address(to, port);
  int fd = -1;
  where.run([&] {
    fd = socket(target.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) give_up("socket");
    if (from.empty()) return;
    auto source = socket_address(from, 0);
    if (bind(fd, reinterpret_cast<sockaddr*>(&source.storage), source.length) != 0)
      give_up("bind " + from);
  });
  auto connection = std::make_unique<Connection>(fd);
  int done = connect(fd, reinterpret_cast<sockaddr*>(&target.storage), target.length);
  int error = done == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd wait{fd, POLLOUT, 0};
    if (poll(&wait, 1, int(patience.ms)) <= 0) return {Reached::timeout, nullptr};
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error == ECONNREFUSED) return {Reached::refused, nullptr};
  if (error != 0) {
    errno = error;
    give_up("connect to " + to);
  }
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  return {Reached::open, std::move(connection)};
}

struct EchoServer::State {
  int listener = -1, stop = -1;
  std::thread thread;
};

EchoServer::EchoServer(const Namespace& where, int port) : state_(std::make_unique<State>()) {
  where.run([&] {
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) give_up("socket");
    int on = 1, off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    auto any = socket_address("::", port);
    if (bind(fd, reinterpret_cast<sockaddr*>(&any.storage), any.length) != 0 || listen(fd, 64) != 0)
      give_up("listen");
    state_->listener = fd;
  });
  state_->stop = eventfd(0, EFD_CLOEXEC);
  state_->thread = std::thread([state = state_.get()] {
    std::vector<pollfd> all{{state->stop, POLLIN, 0}, {state->listener, POLLIN, 0}};
    std::array<char, 4096> part;
    while (true) {
      poll(all.data(), all.size(), -1);
      if (all[0].revents != 0) break;
      for (std::size_t i = 2; i < all.size(); ++i) {
        if (all[i].revents == 0) continue;
        ssize_t n = recv(all[i].fd, part.data(), part.size(), 0);
        if (n > 0 && send(all[i].fd, part.data(), std::size_t(n), MSG_NOSIGNAL) == n) continue;
        close(all[i].fd);
        all.erase(all.begin() + std::ptrdiff_t(i--));
      }
      int fd = accept4(state->listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) all.push_back({fd, POLLIN, 0});
    }
    for (std::size_t i = 2; i < all.size(); ++i) close(all[i].fd);
  });
}

EchoServer::~EchoServer() {
  std::uint64_t one = 1;
  if (write(state_->stop, &one, sizeof one) != sizeof one) std::terminate();
  state_->thread.join();
  close(state_->listener);
  close(state_->stop);
}

bool eventually(const std::function<bool()>& condition, Duration patience) {
  auto deadline = Deadline::in(patience);
  while (!condition()) {
    if (deadline.passed()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace knock::test
