// SPDX-License-Identifier: Apache-2.0
#include "tests/support/http_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace knock::test {
namespace {

constexpr int kPatienceMs = 10'000;

int connected(int family, const sockaddr* to, socklen_t size) {
  int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::connect(fd, to, size) != 0) {
    std::perror("HttpProbe: connect");
    std::abort();
  }
  int on = 1;  // refused for Unix sockets, which do not need it
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace

HttpProbe HttpProbe::tcp(std::uint16_t port, const std::string& address) {
  if (address.find(':') != std::string::npos) {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port);
    ::inet_pton(AF_INET6, address.c_str(), &to.sin6_addr);
    return HttpProbe(connected(AF_INET6, reinterpret_cast<sockaddr*>(&to), sizeof to));
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &to.sin_addr);
  return HttpProbe(connected(AF_INET, reinterpret_cast<sockaddr*>(&to), sizeof to));
}

HttpProbe HttpProbe::unix_socket(const std::string& path) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::strncpy(to.sun_path, path.c_str(), sizeof to.sun_path - 1);
  return HttpProbe(connected(AF_UNIX, reinterpret_cast<sockaddr*>(&to), sizeof to));
}

HttpProbe::HttpProbe(HttpProbe&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), input_(std::move(other.input_)) {}

HttpProbe::~HttpProbe() {
  if (fd_ >= 0) ::close(fd_);
}

void HttpProbe::send(std::string_view bytes) {
  while (!bytes.empty()) {
    auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;  // the server has closed; what it said is still to be read
    bytes.remove_prefix(std::size_t(n));
  }
}

bool HttpProbe::more() {
  pollfd ready{fd_, POLLIN, 0};
  if (::poll(&ready, 1, kPatienceMs) != 1) return false;
  char buffer[16384];
  auto n = ::recv(fd_, buffer, sizeof buffer, 0);
  if (n <= 0) return false;
  input_.append(buffer, std::size_t(n));
  return true;
}

ProbeResponse HttpProbe::read(bool to_head) {
  std::size_t end;
  while ((end = input_.find("\r\n\r\n")) == std::string::npos)
    if (!more()) return {};
  ProbeResponse out;
  std::string_view head = std::string_view(input_).substr(0, end + 2);
  out.status = std::atoi(std::string(head.substr(9, 3)).c_str());
  head.remove_prefix(head.find("\r\n") + 2);
  while (!head.empty()) {
    auto line = head.substr(0, head.find("\r\n"));
    auto colon = line.find(": ");
    out.headers.fields.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    head.remove_prefix(line.size() + 2);
  }
  std::size_t length = 0;
  if (auto value = out.headers.one("content-length"); value && !to_head)
    length = std::size_t(std::atoll(std::string(*value).c_str()));
  while (input_.size() < end + 4 + length)
    if (!more()) return {};
  out.body = input_.substr(end + 4, length);
  input_.erase(0, end + 4 + length);
  return out;
}

ProbeResponse HttpProbe::ask(std::string_view bytes) {
  send(bytes);
  return read(bytes.starts_with("HEAD "));
}

std::string HttpProbe::rest() {
  while (more()) {
  }
  return std::exchange(input_, {});
}

bool HttpProbe::closed() {
  if (!input_.empty()) return false;
  pollfd ready{fd_, POLLIN, 0};
  if (::poll(&ready, 1, kPatienceMs) != 1) return false;
  char byte;
  return ::recv(fd_, &byte, 1, MSG_PEEK) <= 0;
}

RunningServer::RunningServer(net::HttpListen listen, net::HttpHandler handler) {
  auto bound = net::HttpServer::bind(listen, std::move(handler));
  if (!bound) {
    std::fprintf(stderr, "RunningServer: %s\n", bound.error().text().c_str());
    std::abort();
  }
  server_ = std::move(*bound);
  thread_ = std::thread([this] { server_->run(); });
}

RunningServer::~RunningServer() {
  server_->stop();
  thread_.join();
}

net::HttpListen loopback() {
  net::HttpListen listen;
  listen.address = IpAddress::parse("127.0.0.1");
  return listen;
}

}  // namespace knock::test
