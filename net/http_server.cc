// SPDX-License-Identifier: Apache-2.0
#include "net/http_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>

#include "net/http_server_connection.h"
#include "net/http_server_socket.h"

namespace knock::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr int kAcceptsPerTurn = 64;
constexpr Duration kAcceptPause = Duration{100};  // out of descriptors: wait for some to come back
constexpr Duration kDrainTime =
    Duration{1000};  // for answers that are still due when the server stops

class Server final : public HttpServer {
 public:
  Server(ListeningSocket socket, std::unique_ptr<TlsSettings> tls, HttpLimits limits,
         HttpHandler handler)
      : socket_(std::move(socket)),
        tls_(std::move(tls)),
        core_(limits, std::move(handler)),
        acceptor_(core_.io, socket_.fd.release()),
        pause_(core_.io),
        work_(core_.io.get_executor()) {
    core_.tls = tls_ != nullptr;
    core_.on_empty = [this] { core_.io.stop(); };
    wait_for_clients();
  }

  ~Server() override {
    forget(socket_);
    while (!core_.connections.empty()) core_.connections.front()->close();
  }

  void run() override { core_.io.run(); }

  void stop() override {
    asio::post(core_.io, [this] { drain(); });
  }

  std::uint16_t port() const override { return socket_.port; }

  void post(std::function<void()> work) override { asio::post(core_.io, std::move(work)); }

 private:
  void wait_for_clients() {
    acceptor_.async_wait(asio::posix::stream_descriptor::wait_read, [this](error_code problem) {
      if (!problem && acceptor_.is_open()) accept_some();
    });
  }

  void accept_some() {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      OwnedFd fd(
          ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd.get() >= 0) {
        admit(std::move(fd));
      } else if (errno == EAGAIN) {
        break;
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        close_one_at_rest();
        return pause();
      }  // anything else concerns that one client (ECONNABORTED, EINTR, …)
    }
    wait_for_clients();
  }

  void pause() {
    pause_.expires_after(kAcceptPause.chrono());
    pause_.async_wait([this](error_code problem) {
      if (!problem && acceptor_.is_open()) accept_some();
    });
  }

  void admit(OwnedFd fd) {
    Connection::Peer peer;
    if (socket_.unix_path.empty())
      peer.address = peer_address(fd.get());
    else
      peer.uid = peer_user(fd.get());
    if (!peer.address && !peer.uid) return;  // gone already
    peer.counted = peer.address && !is_exempt(*peer.address);
    if (peer.counted && !has_room(*peer.address)) return;
    if (core_.connections.size() >= core_.limits.connections && !close_one_at_rest()) return;
    auto stream = tls_ ? tls_->accept(fd.get()) : make_plain_stream(fd.get());
    if (!stream) return;
    int raw = fd.release();
    auto connection = std::make_shared<Connection>(core_, raw, std::move(stream), peer);
    connection->start(core_.connections.insert(core_.connections.end(), connection));
  }

  bool is_exempt(const IpAddress& address) const {
    const auto& exempt = core_.limits.not_counted;
    return std::any_of(exempt.begin(), exempt.end(),
                       [&](const Prefix& prefix) { return prefix.contains(address); });
  }

  /// Makes room for one more of this address where it can, at the cost of nobody else.
  bool has_room(const IpAddress& address) {
    return has_room(core_.addresses.beside(address), core_.limits.connections_per_address) &&
           has_room(core_.networks.beside(address), core_.limits.connections_per_network);
  }
  static bool has_room(const std::vector<Connection*>& beside, std::size_t limit) {
    if (beside.size() < limit) return true;
    Connection* longest = nullptr;
    for (auto* each : beside)
      if (each->at_rest() && (longest == nullptr || each->silent_since() < longest->silent_since()))
        longest = each;
    if (longest != nullptr) longest->close();
    return longest != nullptr;
  }

  /// At the limit, whoever has been silent longest between two requests makes room.
  bool close_one_at_rest() {
    for (const auto& connection : core_.connections)
      if (connection->at_rest()) {
        auto held = connection;
        held->close();
        return true;
      }
    return false;
  }

  void drain() {
    if (core_.draining) return;
    core_.draining = true;
    error_code ignored;
    acceptor_.close(ignored);
    auto all = core_.connections;
    for (const auto& connection : all) connection->wind_down();
    if (core_.connections.empty()) return core_.io.stop();
    pause_.expires_after(kDrainTime.chrono());
    pause_.async_wait([this](error_code problem) {
      if (!problem) core_.io.stop();
    });
  }

  ListeningSocket socket_;
  std::unique_ptr<TlsSettings> tls_;
  ServerCore core_;
  asio::posix::stream_descriptor acceptor_;
  asio::steady_timer pause_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::bind(const HttpListen& listen,
                                                     HttpHandler handler) {
  std::unique_ptr<TlsSettings> tls;
  if (!listen.certificate_pem.empty() || !listen.key_pem.empty()) {
    KNOCK_ASSIGN(tls, TlsSettings::make(listen.certificate_pem, listen.key_pem));
  }
  KNOCK_ASSIGN(auto socket, listen_on(listen));
  try {
    return std::make_unique<Server>(std::move(socket), std::move(tls), listen.limits,
                                    std::move(handler));
  } catch (const std::exception& problem) {
    return fail(ErrorKind::internal, std::string("listen: ") + problem.what());
  }
}

}  // namespace knock::net
