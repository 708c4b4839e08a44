// SPDX-License-Identifier: Apache-2.0
#include "net/http_server_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/http/status.hpp>
#include <exception>

namespace knock::net {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::size_t kScratch = 64 << 10;
constexpr std::size_t kKeptInput = 4 << 10;  // of an idle connection
constexpr std::size_t kMostLingered = 1 << 20;
constexpr Duration kLingerTime = Duration::seconds(1);
constexpr int kRequestsPerTurn = 8;  // before other connections get theirs

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

bool is_ours(std::string_view name) {
  for (const char* ours :
       {"content-length", "date", "connection", "transfer-encoding", "keep-alive"})
    if (boost::beast::iequals({name.data(), name.size()}, ours)) return true;
  return false;
}

HttpResponse plain(int status) {
  HttpResponse response;
  response.status = status;
  auto reason = http::obsolete_reason(http::int_to_status(unsigned(status)));
  response.headers.set("Content-Type", "text/plain; charset=utf-8");
  response.headers.set("X-Content-Type-Options", "nosniff");
  response.body = fmt::format("{} {}\n", status, std::string_view(reason.data(), reason.size()));
  return response;
}

}  // namespace

std::string serialize(const HttpResponse& response, bool is_head, bool keep_alive,
                      const std::string& date) {
  bool valid = response.status >= 200 && response.status <= 599;
  for (const auto& [name, value] : response.headers.fields) valid &= valid_field(name, value);
  if (!valid) return serialize(plain(500), is_head, keep_alive, date);
  auto reason = http::obsolete_reason(http::int_to_status(unsigned(response.status)));
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                                std::string_view(reason.data(), reason.size()), date);
  for (const auto& [name, value] : response.headers.fields)
    if (!is_ours(name)) out += fmt::format("{}: {}\r\n", name, value);
  if (!has_no_body(response.status))
    out += fmt::format("Content-Length: {}\r\n", response.body.size());
  out += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  if (!is_head && !has_no_body(response.status)) out += response.body;
  return out;
}

// ── Pending
// ─────────────────────────────────────────────────────────────────────────────────────────────────────

Pending::Pending(std::shared_ptr<Gate> gate, std::weak_ptr<Connection> connection)
    : gate_(std::move(gate)), connection_(std::move(connection)) {}

Pending::~Pending() {
  if (!answered_) answer(plain(500));
}

void Pending::answer(HttpResponse response) {
  if (answered_.exchange(true)) return;
  {
    std::lock_guard lock(gate_->mutex);
    if (gate_->core == nullptr) return;
    auto& io = gate_->core->io;
    if (!io.get_executor().running_in_this_thread()) {
      asio::post(io, [connection = connection_, response = std::move(response)]() mutable {
        if (auto still = connection.lock()) still->answer(std::move(response));
      });
      return;
    }
  }
  if (auto still = connection_.lock()) still->answer(std::move(response));
}

// ── ServerCore
// ──────────────────────────────────────────────────────────────────────────────────────────────────

ServerCore::ServerCore(HttpLimits the_limits, HttpHandler the_handler)
    : limits(the_limits), handler(std::move(the_handler)), scratch(kScratch) {
  gate->core = this;
}

ServerCore::~ServerCore() {
  std::lock_guard lock(gate->mutex);
  gate->core = nullptr;
}

const std::string& ServerCore::date() {
  auto now = SystemClock().now();
  if (now.seconds() != date_second_) {
    date_second_ = now.seconds();
    date_ = http_date(now);
  }
  return date_;
}

// ── Connection
// ──────────────────────────────────────────────────────────────────────────────────────────────────

Connection::Connection(ServerCore& core, int fd, std::unique_ptr<Stream> stream, Peer peer)
    : core_(core), socket_(core.io, fd), stream_(std::move(stream)), peer_(peer), timer_(core.io) {}

void Connection::start(std::list<std::shared_ptr<Connection>>::iterator place) {
  place_ = place;
  silent_since_ = std::chrono::steady_clock::now();
  if (peer_.counted)
    for (auto* peers : {&core_.addresses, &core_.networks}) peers->add(*peer_.address, this);
  give(core_.limits.header_time);
  drive();
}

void Connection::wind_down() {
  keep_alive_ = false;
  if (at_rest()) close();
}

void Connection::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  allowance_ = {};
  ++wait_;
  error_code ignored;
  timer_.cancel();
  socket_.close(ignored);
  auto self = shared_from_this();  // the list may hold the last reference
  if (peer_.counted)
    for (auto* peers : {&core_.addresses, &core_.networks}) peers->remove(*peer_.address, this);
  core_.connections.erase(place_);
  if (core_.draining && core_.connections.empty() && core_.on_empty) core_.on_empty();
}

/// Runs steps until one has to wait. Never re-entered: an answer given inside the handler only
/// changes the state.
void Connection::drive() {
  if (driving_) return;
  driving_ = true;
  int requests = 0;
  for (bool more = true; more;) {
    switch (state_) {
      case State::head:
        if (requests++ == kRequestsPerTurn) {
          asio::post(core_.io, [self = shared_from_this()] { self->drive(); });
          more = false;
        } else {
          more = step_head();
        }
        break;
      case State::body:
        more = step_body();
        break;
      case State::writing:
        more = step_write();
        break;
      case State::lingering:
        more = step_linger();
        break;
      case State::handling:
      case State::closed:
        more = false;
        break;
    }
  }
  driving_ = false;
}

bool Connection::step_head() {
  auto end = input_.find("\r\n\r\n");
  if (end == std::string::npos && input_.size() <= core_.limits.header_bytes) {
    if (!may_become_head(input_)) {
      refuse(400);
      return true;
    }
    bool was_at_rest = at_rest();
    switch (fill()) {
      case Got::some:
        if (was_at_rest) begin_request();
        return true;
      case Got::ended:
        close();
        return false;
      case Got::waiting:
        return false;
    }
  }
  if (end == std::string::npos || end + 4 > core_.limits.header_bytes) {
    refuse(431);
    return true;
  }
  auto raw = input_.substr(0, end + 4);
  input_.erase(0, end + 4);
  if (accept_head(raw)) state_ = State::body;
  return true;
}

/// Our strict reader says what the request is; Beast must agree on its framing and then reads the
/// body.
bool Connection::accept_head(std::string_view raw) {
  auto head = read_head(raw, core_.tls);
  if (!head) return refuse(head.error().status), false;
  is_head_request_ = head->method == "HEAD";
  keep_alive_ = keep_alive_ && head->keep_alive && !core_.draining;
  request_ = {std::move(head->method),
              std::move(head->target),
              std::move(head->path),
              std::move(head->query),
              std::move(head->headers),
              {},
              peer_.address,
              peer_.uid,
              core_.tls};
  allowance_ = {core_.limits.body_bytes, core_.limits.body_time, 413, nullptr};
  if (core_.limits.allowance) allowance_ = core_.limits.allowance(request_);
  if (head->content_length > allowance_.bytes) return refuse(allowance_.otherwise), false;
  parser_.emplace();
  parser_->eager(true);
  parser_->header_limit(std::uint32_t(raw.size()));
  parser_->body_limit(allowance_.bytes);
  error_code problem;
  auto used = parser_->put(asio::buffer(raw.data(), raw.size()), problem);
  if (problem == http::error::need_more) problem = {};
  if (problem || used != raw.size() || !parser_->is_header_done() ||
      parser_->chunked() != head->chunked ||
      parser_->content_length().value_or(0) != head->content_length)
    return refuse(400), false;
  if (head->expects_continue && !parser_->is_done() && input_.empty()) {
    // A fresh or fully answered connection has room for 25 bytes; if it has not, nobody is reading.
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    if (auto moved = stream_->write(kContinue); moved.bytes != kContinue.size())
      return close(), false;
  }
  give(allowance_.time);
  return true;
}

bool Connection::step_body() {
  if (parser_->is_done()) {
    hand_over();
    return true;
  }
  if (!input_.empty()) {
    error_code problem;
    auto used = parser_->put(asio::buffer(input_), problem);
    input_.erase(0, used);
    if (problem && problem != http::error::need_more) {
      refuse(problem == http::error::body_limit ? allowance_.otherwise : 400);
      return true;
    }
    if (parser_->is_done() || used > 0) return true;
    if (input_.size() > core_.limits.header_bytes) {
      refuse(400);  // a chunk's line or trailer that does not end
      return true;
    }
  }
  switch (fill()) {
    case Got::some:
      return true;
    case Got::ended:
      close();
      return false;
    case Got::waiting:
      return false;
  }
  return false;
}

void Connection::hand_over() {
  request_.body = std::move(parser_->get().body());
  parser_.reset();
  state_ = State::handling;
  give(core_.limits.request_time);
  auto pending = std::make_shared<Pending>(core_.gate, weak_from_this());
  try {
    core_.handler(std::move(request_),
                  [pending](HttpResponse response) { pending->answer(std::move(response)); });
  } catch (const std::exception&) {
    pending->answer(plain(500));
  }
  request_ = {};
}

void Connection::answer(HttpResponse response) {
  if (state_ != State::handling) return;
  keep_alive_ = keep_alive_ && !core_.draining;
  output_ = serialize(response, is_head_request_, keep_alive_, core_.date());
  written_ = 0;
  state_ = State::writing;
  give(core_.limits.body_time);
  drive();
}

void Connection::refuse(int status) {
  parser_.reset();
  allowance_ = {};
  ++wait_;
  keep_alive_ = false;
  output_ = serialize(plain(status), is_head_request_, false, core_.date());
  written_ = 0;
  state_ = State::writing;
  // The request's own time may be up; saying so gets a little, and only once.
  request_until_ = std::chrono::steady_clock::now() + core_.limits.body_time.chrono();
  give(core_.limits.body_time);
}

bool Connection::step_write() {
  while (written_ < output_.size()) {
    auto moved = stream_->write(std::string_view(output_).substr(written_));
    if (moved.state == Io::closed) {
      close();
      return false;
    }
    if (moved.state != Io::done) {
      wait(moved.state);
      return false;
    }
    written_ += moved.bytes;
    give(core_.limits.body_time);  // for each piece the client takes
  }
  next_request();
  return true;
}

void Connection::next_request() {
  output_ = {};
  allowance_ = {};
  is_head_request_ = false;
  if (!keep_alive_) {
    stream_->finish();
    if (core_.draining) return close();
    input_ = {};
    state_ = State::lingering;
    request_until_ = MonotonicTime::max();
    give(kLingerTime);
    return;
  }
  if (input_.empty() && input_.capacity() > kKeptInput) input_ = {};
  state_ = State::head;
  core_.connections.splice(core_.connections.end(), core_.connections, place_);
  silent_since_ = std::chrono::steady_clock::now();
  if (!input_.empty()) return begin_request();
  request_until_ = MonotonicTime::max();
  give(core_.limits.idle_time);
}

/// Its first byte is here.
void Connection::begin_request() {
  if (peer_.address)
    request_until_ = std::chrono::steady_clock::now() + core_.limits.request_time.chrono();
  give(core_.limits.header_time);
}

bool Connection::step_linger() {
  auto moved = stream_->read(core_.scratch);
  lingered_ += moved.bytes;
  if (moved.state == Io::closed || lingered_ > kMostLingered) {
    close();
    return false;
  }
  if (moved.state == Io::done) return true;
  wait(moved.state);
  return false;
}

Connection::Got Connection::fill() {
  auto moved = stream_->read(core_.scratch);
  if (moved.state == Io::closed) return Got::ended;
  if (moved.state == Io::done) {
    input_.append(core_.scratch.data(), moved.bytes);
    return Got::some;
  }
  wait(moved.state);
  return Got::waiting;
}

void Connection::wait(Io direction) {
  auto kind = direction == Io::want_write ? asio::posix::stream_descriptor::wait_write
                                          : asio::posix::stream_descriptor::wait_read;
  socket_.async_wait(kind, [self = shared_from_this(), id = ++wait_](error_code problem) {
    if (id != self->wait_ || problem == asio::error::operation_aborted) return;
    self->drive();  // a broken socket shows itself in the next read or write
  });
}

void Connection::give(Duration time) {
  deadline_ = std::min(request_until_, std::chrono::steady_clock::now() + time.chrono());
  if (armed_for_ == MonotonicTime{} || armed_for_ > deadline_) arm_timer();
}

/// A deadline that moves away leaves the timer alone; it is set again when it fires too early.
void Connection::arm_timer() {
  armed_for_ = deadline_;
  timer_.expires_at(deadline_);
  timer_.async_wait([self = shared_from_this()](error_code problem) {
    if (!problem) self->on_timer();
  });
}

void Connection::on_timer() {
  if (std::chrono::steady_clock::now() < deadline_) return arm_timer();
  armed_for_ = {};
  switch (state_) {
    case State::head:
      if (input_.empty()) return close();
      [[fallthrough]];
    case State::body:
      refuse(408);
      return drive();
    case State::handling:
      if (!peer_.address) return;
      refuse(503);  // the answer may still come; nobody waits for it
      return drive();
    case State::closed:
      return;
    case State::writing:
    case State::lingering:
      return close();
  }
}

}  // namespace knock::net
