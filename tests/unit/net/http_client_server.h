// SPDX-License-Identifier: Apache-2.0
// A server of one file for the client's tests: on loopback, one thread, raw bytes, with or without
// TLS.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace knock::net::test {

/// A self-signed certificate for one IP address and its key.
struct TestCertificate {
  std::string certificate_pem, key_pem;
  static TestCertificate make(const std::string& ip);
};

class TinyServer {
 public:
  /// Bytes to answer a request (its head and body) with. An answer that ends in kHold is sent
  /// without it, and the connection then stays open until the client leaves or the server dies.
  using Answer = std::function<std::string(const std::string& request)>;
  static constexpr std::string_view kHold = "\x01HOLD";

  explicit TinyServer(Answer answer, const TestCertificate* tls = nullptr);
  ~TinyServer();
  TinyServer(const TinyServer&) = delete;
  TinyServer& operator=(const TinyServer&) = delete;

  int port() const { return port_; }
  std::string url(const std::string& path = "/") const;
  std::vector<std::string> requests() const;
  int connections() const { return connections_; }

 private:
  void run();
  void serve(int socket);

  Answer answer_;
  struct Tls;
  std::unique_ptr<Tls> tls_;
  int listener_ = -1, stop_read_ = -1, stop_write_ = -1, port_ = 0;
  std::atomic<int> connections_{0};
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

std::string ok(std::string_view body, std::string_view headers = {});

}  // namespace knock::net::test
