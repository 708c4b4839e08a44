// SPDX-License-Identifier: Apache-2.0
#include "net/http_server_stream.h"

#include <sys/socket.h>

#include <cerrno>

namespace knock::net {
namespace {

class PlainStream final : public Stream {
 public:
  explicit PlainStream(int fd) : fd_(fd) {}

  Moved read(std::span<char> into) override {
    for (;;) {
      auto n = ::recv(fd_, into.data(), into.size(), 0);
      if (n > 0) return {Io::done, std::size_t(n)};
      if (n < 0 && errno == EINTR) continue;
      return {n < 0 && errno == EAGAIN ? Io::want_read : Io::closed, 0};
    }
  }

  Moved write(std::string_view from) override {
    for (;;) {
      auto n = ::send(fd_, from.data(), from.size(), MSG_NOSIGNAL);
      if (n >= 0) return {Io::done, std::size_t(n)};
      if (errno == EINTR) continue;
      return {errno == EAGAIN ? Io::want_write : Io::closed, 0};
    }
  }

  void finish() override { ::shutdown(fd_, SHUT_WR); }

 private:
  int fd_;
};

}  // namespace

std::unique_ptr<Stream> make_plain_stream(int fd) { return std::make_unique<PlainStream>(fd); }

}  // namespace knock::net
