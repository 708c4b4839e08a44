// SPDX-License-Identifier: Apache-2.0
// One accepted connection as a small state machine, and what all connections of a server share.
// Everything here runs on the server's one thread; only Pending::answer may be called elsewhere.
// Private to net/http_server*.cc: Asio and Beast are visible.
//
//   head ──whole──▶ body ──whole──▶ handling ──answer──▶ writing ──keep-alive──▶ head
//     └──refused, timed out──▶ writing (error) ──close──▶ lingering ──▶ closed
//
// A request is read only after the one before was answered, so a client that sends many at once
// gets them in order and never costs more than one handler. Lingering: closing with unread bytes
// makes the kernel send a reset, which can destroy the answer on its way; so we say that we are
// done, and read on for a moment.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "net/http_server_peers.h"
#include "net/http_server_request.h"
#include "net/http_server_stream.h"

namespace knock::net {

class Connection;
struct ServerCore;

/// Lets an answer arrive from any thread, and from after the server's end.
struct Gate {
  std::mutex mutex;
  ServerCore* core = nullptr;  // null once the server is gone
};

/// One request's right to be answered once. Dying unanswered, it answers 500.
class Pending {
 public:
  Pending(std::shared_ptr<Gate> gate, std::weak_ptr<Connection> connection);
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  ~Pending();
  /// Any thread; every call but the first does nothing.
  void answer(HttpResponse response);

 private:
  std::shared_ptr<Gate> gate_;
  std::weak_ptr<Connection> connection_;
  std::atomic<bool> answered_{false};
};

struct ServerCore {
  explicit ServerCore(HttpLimits limits, HttpHandler handler);
  ~ServerCore();

  boost::asio::io_context io{1};
  HttpLimits limits;
  HttpHandler handler;
  bool tls = false;
  bool draining = false;
  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  std::list<std::shared_ptr<Connection>> connections;  // the longest without an answer in front
  Peers addresses{Peers::kAddress}, networks{Peers::kNetwork};
  std::vector<char> scratch;       // every read lands here
  std::function<void()> on_empty;  // the last connection has gone while draining

  /// The Date header's value; made anew once a second.
  const std::string& date();

 private:
  std::string date_;
  std::int64_t date_second_ = -1;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Peer {
    std::optional<IpAddress> address;
    std::optional<std::uint32_t> uid;
    bool counted = false;  // stands in core.addresses and core.networks
  };
  /// Takes the descriptor.
  Connection(ServerCore& core, int fd, std::unique_ptr<Stream> stream, Peer peer);

  /// Call once, after the connection stands in core.connections at `place`.
  void start(std::list<std::shared_ptr<Connection>>::iterator place);
  void answer(HttpResponse response);
  /// Between two requests, with nothing read of the next.
  bool at_rest() const { return state_ == State::head && input_.empty(); }
  /// When it was accepted, or last answered.
  MonotonicTime silent_since() const { return silent_since_; }
  /// Closes at once when at rest, otherwise after the answer that is due.
  void wind_down();
  void close();

 private:
  enum class State { head, body, handling, writing, lingering, closed };
  enum class Got { some, waiting, ended };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void drive();
  bool step_head();
  bool step_body();
  bool step_write();
  bool step_linger();
  bool accept_head(std::string_view raw);
  void hand_over();
  void refuse(int status);
  void next_request();
  Got fill();
  void wait(Io direction);
  /// Until the next deadline, which is never later than the whole request's.
  void give(Duration time);
  void begin_request();
  void arm_timer();
  void on_timer();

  ServerCore& core_;
  boost::asio::posix::stream_descriptor socket_;
  std::unique_ptr<Stream> stream_;
  Peer peer_;
  std::list<std::shared_ptr<Connection>>::iterator place_;
  boost::asio::steady_timer timer_;
  MonotonicTime deadline_, armed_for_, silent_since_;
  MonotonicTime request_until_ = MonotonicTime::max();
  State state_ = State::head;
  bool driving_ = false, keep_alive_ = true, is_head_request_ = false;
  std::uint64_t wait_ = 0;  // the newest wait; older ones are ignored when they end
  std::string input_;       // read and not yet understood
  std::string output_;
  std::size_t written_ = 0, lingered_ = 0;
  HttpRequest request_;
  BodyAllowance allowance_;
  std::optional<Parser> parser_;
};

/// Status line, fields, body. What a handler may not decide (length, date, connection) is ours; a
/// field that could split the response turns it into a plain 500.
std::string serialize(const HttpResponse& response, bool is_head, bool keep_alive,
                      const std::string& date);

}  // namespace knock::net
