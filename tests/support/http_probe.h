// SPDX-License-Identifier: Apache-2.0
// A client that sends exactly the bytes it is told to, over TCP, TLS or a Unix socket, and a server
// on its own thread: for requests that no HTTP library would write.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/time.h"
#include "net/http_server.h"

namespace knock::test {

struct ProbeResponse {
  int status = 0;  // 0: the connection ended, or time was up, before a whole response had come
  net::Headers headers;
  std::string body;
};

class HttpProbe {
 public:
  /// Aborts the test process when it cannot connect: nothing useful can follow.
  static HttpProbe tcp(std::uint16_t port, const std::string& address = "127.0.0.1");
  static HttpProbe unix_socket(const std::string& path);
  HttpProbe(HttpProbe&& other) noexcept;
  HttpProbe& operator=(HttpProbe&&) = delete;
  ~HttpProbe();

  void send(std::string_view bytes);
  /// One response; a HEAD response has no body however long it says it is.
  ProbeResponse read(bool to_head = false);
  /// send and read.
  ProbeResponse ask(std::string_view bytes);
  /// True when the server has closed, and nothing came before that.
  bool closed();
  /// Whatever is readable until the server closes.
  std::string rest();
  int fd() const { return fd_; }

 private:
  explicit HttpProbe(int fd) : fd_(fd) {}
  bool more();
  int fd_;
  std::string input_;
};

/// Runs a server until it dies.
class RunningServer {
 public:
  RunningServer(net::HttpListen listen, net::HttpHandler handler);
  ~RunningServer();
  std::uint16_t port() const { return server_->port(); }
  net::HttpServer& server() { return *server_; }

 private:
  std::unique_ptr<net::HttpServer> server_;
  std::thread thread_;
};

/// 127.0.0.1, any port.
net::HttpListen loopback();

}  // namespace knock::test
