// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 over TCP, TLS or a Unix socket, behind plain values: nothing outside net/ sees Asio or
// Beast. One thread runs a server; handlers are called on it and must not block. A handler answers
// now or later, from any thread, exactly once, through the Respond it was given (dropping it
// answers 500).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ip.h"
#include "base/prefix.h"
#include "base/result.h"
#include "base/time.h"

namespace knock::net {

/// Field names keep the case they came in; look-ups ignore it.
struct Headers {
  std::vector<std::pair<std::string, std::string>> fields;
  /// The only value of a field. Nothing when absent or when it came more than once.
  std::optional<std::string_view> one(std::string_view name) const;
  /// Every value in order.
  std::vector<std::string_view> all(std::string_view name) const;
  void set(std::string name, std::string value);
};

struct HttpRequest {
  std::string method;
  std::string target;  // as sent: path and query
  /// Percent-decoded once; a target that decodes to a control character or climbs ("/../") is
  /// answered 400.
  std::string path;
  std::string query;  // after '?', not decoded
  Headers headers;
  std::string body;
  std::optional<IpAddress> peer;          // TCP
  std::optional<std::uint32_t> peer_uid;  // Unix socket (SO_PEERCRED)
  bool tls = false;
};

/// Content-Length, Date and Connection are the server's: what a handler sets of them is ignored. A
/// field that could split the response (a control character) turns the whole into a plain 500.
struct HttpResponse {
  int status = 200;
  Headers headers;
  std::string body;
};

using Respond = std::function<void(HttpResponse)>;
using HttpHandler = std::function<void(HttpRequest, Respond)>;

/// What the body of one request may cost, decided by its head.
struct BodyAllowance {
  std::size_t bytes = 0;
  Duration time;
  int otherwise = 413;         // the answer to a longer one
  std::shared_ptr<void> hold;  // kept until the request was answered, or the connection ended
};

struct HttpLimits {
  std::size_t header_bytes = 16 << 10;
  std::size_t body_bytes = 64 << 10;
  /// From accept, or from the first byte after an answer, to a whole header.
  Duration header_time = Duration::seconds(10);
  Duration body_time = Duration::seconds(10);
  Duration idle_time = Duration::seconds(60);
  /// Unless it is empty, instead of body_bytes and body_time. Called on the server's thread, with a
  /// request whose body is still to come.
  std::function<BodyAllowance(const HttpRequest& head)> allowance = {};
  /// The whole of one request over TCP, from its first byte until its answer has been taken,
  /// handling included: then 408, or 503 when it was the handler that took so long. Who may use a
  /// Unix socket may also ask for long work.
  Duration request_time = Duration::seconds(60);
  /// At the limit the one longest at rest is closed, or else the newcomer.
  std::size_t connections = 10'000;
  /// The same among those of one TCP address (of IPv6: one /64), and of one network (a /24, a /48),
  /// so that few cannot keep everybody out. People behind one address share them.
  std::size_t connections_per_address = 256, connections_per_network = 1'024;
  /// Whose connections only `connections` limits: proxies, because they bring everybody's.
  std::vector<Prefix> not_counted;
};

struct HttpListen {
  std::optional<IpAddress> address;  // TCP; or
  std::uint16_t port = 0;            // 0: any free one
  int listening = -1;  // a TCP socket that listens already; `address` says where. Taken over
  /// Unix socket: made fresh with `unix_mode`; an old socket file is replaced.
  std::string unix_path;
  std::uint32_t unix_mode = 0660;
  std::string unix_group;                // "" or a group that must exist
  std::string certificate_pem, key_pem;  // TLS when set (contents, not paths)
  HttpLimits limits;
};

class HttpServer {
 public:
  /// Binds at once, so that the caller may drop privileges afterwards. Serves after run().
  static Result<std::unique_ptr<HttpServer>> bind(const HttpListen& listen, HttpHandler handler);
  virtual ~HttpServer() = default;
  /// Blocks until stop().
  virtual void run() = 0;
  /// Any thread.
  virtual void stop() = 0;
  virtual std::uint16_t port() const = 0;
  /// Runs `work` soon on the server's thread, unless that has ended. Any thread.
  virtual void post(std::function<void()> work) = 0;
};

/// Decoded pairs of a query string or of an application/x-www-form-urlencoded body, in order;
/// nothing when malformed.
std::optional<std::vector<std::pair<std::string, std::string>>> parse_form(std::string_view text);
/// Value of one cookie; nothing when absent, repeated or malformed.
std::optional<std::string> cookie(const HttpRequest& request, std::string_view name);

}  // namespace knock::net
