// SPDX-License-Identifier: Apache-2.0
// A client that sends exactly the bytes it is told to, over TCP, TLS or a Unix socket, and a server
// on its own thread: for requests that no HTTP library would write.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/time.h"
#include "net/http_server.h"

struct ssl_st;      // OpenSSL's SSL
struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace knock::test {

struct ProbeResponse {
  int status = 0;  // 0: the connection ended, or time was up, before a whole response had come
  net::Headers headers;
  std::string body;
};

class HttpProbe {
 public:
  /// Aborts the test process when it cannot connect: nothing useful can follow. `from` is an IPv4
  /// address of this machine to come from; all of 127.0.0.0/8 is.
  static HttpProbe tcp(std::uint16_t port, const std::string& address = "127.0.0.1",
                       const std::string& from = "");
  static HttpProbe unix_socket(const std::string& path);
  /// TLS without checking the certificate. `settings` may change the client's context before it
  /// connects; tls_version() says whether the handshake succeeded.
  static HttpProbe tls(std::uint16_t port, const std::function<void(ssl_ctx_st*)>& settings = {});
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
  /// Something is there to be read, or comes in time.
  bool readable(Duration patience);
  /// Whatever is readable until the server closes.
  std::string rest();
  int fd() const { return fd_; }
  /// Of a TLS connection: "TLSv1.3", "" when the handshake failed; the suite; the protocol chosen
  /// by ALPN.
  std::string tls_version() const;
  std::string tls_cipher() const;
  std::string tls_protocol() const;

 private:
  explicit HttpProbe(int fd) : fd_(fd) {}
  bool more();
  long take(char* into, std::size_t size);
  int fd_;
  std::shared_ptr<ssl_st> ssl_;
  std::string input_;
};

/// A certificate for localhost with its key, made fresh.
struct TlsIdentity {
  std::string certificate_pem, key_pem;
};
TlsIdentity make_tls_identity();

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
