// SPDX-License-Identifier: Apache-2.0
#include "net/tcp_probe.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace knock::net {
namespace {

/// A socket on loopback; accepts in its backlog while it listens.
class Listener {
 public:
  explicit Listener(bool listens) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof(at);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&at), size), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size), 0);
    if (listens) EXPECT_EQ(::listen(fd_, 1), 0);
    port = ntohs(at.sin_port);
  }
  ~Listener() { ::close(fd_); }
  std::uint16_t port = 0;

 private:
  int fd_ = -1;
};

const IpAddress kLoopback = *IpAddress::parse("127.0.0.1");
Deadline soon() { return Deadline::in(Duration::seconds(10)); }

TEST(TcpProbe, SomethingAccepts) {
  Listener there(true);
  EXPECT_TRUE(tcp_probe(kLoopback, there.port, soon()));
}

TEST(TcpProbe, NothingListens) {
  Listener bound(false);
  auto answer = tcp_probe(kLoopback, bound.port, soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::unavailable);
  EXPECT_EQ(answer.error().message, "Connection refused");
}

TEST(TcpProbe, ADeadlineThatHasPassedIsNoAnswer) {
  // Documentation addresses answer nobody; where there is no way to them, that is said at once.
  auto answer = tcp_probe(*IpAddress::parse("192.0.2.1"), 9, Deadline::in(Duration::seconds(0)));
  ASSERT_FALSE(answer);
}

}  // namespace
}  // namespace knock::net
