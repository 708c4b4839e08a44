// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <condition_variable>
#include <mutex>
#include <utility>

#include "net/http_server.h"
#include "tests/support/http_probe.h"

using namespace knock;
using namespace knock::net;
using namespace knock::test;

namespace {

void echo(HttpRequest request, const Respond& respond) {
  HttpResponse response;
  response.body = std::string(request.tls ? "tls " : "plain ") + request.path + " " + request.body;
  respond(std::move(response));
}

HttpListen secure() {
  static const TlsIdentity identity = make_tls_identity();
  auto listen = loopback();
  listen.certificate_pem = identity.certificate_pem;
  listen.key_pem = identity.key_pem;
  return listen;
}

std::string get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n"; }

TEST(HttpServerTls, ServesTheTwoModernVersions) {
  RunningServer server(secure(), echo);
  for (auto [version, name] :
       {std::pair(TLS1_2_VERSION, "TLSv1.2"), std::pair(TLS1_3_VERSION, "TLSv1.3")}) {
    auto probe = HttpProbe::tls(server.port(), [v = version](SSL_CTX* context) {
      SSL_CTX_set_min_proto_version(context, v);
      SSL_CTX_set_max_proto_version(context, v);
    });
    ASSERT_EQ(probe.tls_version(), name);
    EXPECT_NE(probe.tls_cipher().find(version == TLS1_2_VERSION ? "ECDHE" : "TLS_"),
              std::string::npos);
    for (int i = 0; i < 20; ++i) ASSERT_EQ(probe.ask(get("/x")).body, "tls /x ");
    EXPECT_EQ(probe.ask("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello").body,
              "tls /p hello");
  }
}

TEST(HttpServerTls, RefusesWhatIsOldOrWeak) {
  RunningServer server(secure(), echo);
  struct Row {
    const char* name;
    std::function<void(SSL_CTX*)> settings;
  };
  const Row rows[] = {
      {"TLS 1.1",
       [](SSL_CTX* c) {
         SSL_CTX_set_security_level(c, 0);
         SSL_CTX_set_min_proto_version(c, TLS1_VERSION);
         SSL_CTX_set_max_proto_version(c, TLS1_1_VERSION);
       }},
      {"CBC",
       [](SSL_CTX* c) {
         SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
         SSL_CTX_set_cipher_list(c, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA");
       }},
      {"no forward secrecy",
       [](SSL_CTX* c) {
         SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
         SSL_CTX_set_cipher_list(c, "AES128-GCM-SHA256");
       }},
      {"another protocol alone",
       [](SSL_CTX* c) {
         SSL_CTX_set_alpn_protos(c, reinterpret_cast<const unsigned char*>("\x02h2"), 3);
       }},
  };
  for (const auto& row : rows)
    EXPECT_EQ(HttpProbe::tls(server.port(), row.settings).tls_version(), "") << row.name;
  EXPECT_EQ(HttpProbe::tls(server.port()).ask(get("/")).status, 200);
}

TEST(HttpServerTls, ChoosesItsProtocol) {
  RunningServer server(secure(), echo);
  auto probe = HttpProbe::tls(server.port(), [](SSL_CTX* context) {
    SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>("\x02h2\x08http/1.1"),
                            12);
  });
  EXPECT_EQ(probe.tls_protocol(), "http/1.1");
  EXPECT_EQ(probe.ask(get("/")).status, 200);
}

TEST(HttpServerTls, LargeAnswersArriveWhole) {
  std::string large;
  for (int i = 0; large.size() < (8 << 20); ++i) large += std::to_string(i) + "\n";
  RunningServer server(secure(), [&](HttpRequest, const Respond& respond) {
    HttpResponse response;
    response.body = large;
    respond(std::move(response));
  });
  auto probe = HttpProbe::tls(server.port());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(probe.ask(get("/")).body == large);
}

TEST(HttpServerTls, LargeRequestsArriveWhole) {
  auto listen = secure();
  listen.limits.body_bytes = 4 << 20;
  RunningServer server(listen, [](HttpRequest request, const Respond& respond) {
    HttpResponse response;
    response.body = std::to_string(request.body.size());
    respond(std::move(response));
  });
  auto probe = HttpProbe::tls(server.port());
  const std::string body(3'000'000, 'b');
  for (int i = 0; i < 2; ++i)
    ASSERT_EQ(
        probe.ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n" + body).body,
        "3000000");
}

TEST(HttpServerTls, PipelinedRequestsInOneRecordAreAllAnswered) {
  RunningServer server(secure(), echo);
  auto probe = HttpProbe::tls(server.port());
  std::string all;
  for (int i = 0; i < 100; ++i) all += get("/" + std::to_string(i));
  probe.send(all);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(probe.read().body, "tls /" + std::to_string(i) + " ");
}

TEST(HttpServerTls, RefusalsReachTheClientAndTheConnectionEnds) {
  RunningServer server(secure(), echo);
  auto probe = HttpProbe::tls(server.port());
  EXPECT_EQ(probe.ask("GET / HTTP/1.1\r\n\r\n").status, 400);
  EXPECT_TRUE(probe.closed());
  auto other_scheme = HttpProbe::tls(server.port());
  EXPECT_EQ(other_scheme.ask("GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n").status, 400);
}

TEST(HttpServerTls, PlainHttpAndNoiseAreDropped) {
  RunningServer server(secure(), echo);
  auto plain = HttpProbe::tcp(server.port());
  plain.send(get("/"));
  EXPECT_EQ(plain.read().status, 0) << "at most a TLS alert";
  auto noise = HttpProbe::tcp(server.port());
  noise.send(std::string(4096, '\xff'));
  EXPECT_EQ(noise.read().status, 0);
  EXPECT_EQ(HttpProbe::tls(server.port()).ask(get("/")).status, 200);
}

TEST(HttpServerTls, AHandshakeThatStallsIsDropped) {
  auto listen = secure();
  listen.limits.header_time = Duration{60};
  RunningServer server(listen, echo);
  auto probe = HttpProbe::tcp(server.port());
  probe.send("\x16\x03\x01\x02");
  EXPECT_TRUE(probe.closed());
}

TEST(HttpServerTls, AClientThatVanishesDoesNoHarm) {
  std::vector<Respond> waiting;
  std::mutex mutex;
  std::condition_variable arrived;
  RunningServer server(secure(), [&](HttpRequest request, Respond respond) {
    if (request.path != "/later") return echo(std::move(request), respond);
    std::lock_guard lock(mutex);
    waiting.push_back(std::move(respond));
    arrived.notify_one();
  });
  {
    auto probe = HttpProbe::tls(server.port());
    probe.send(get("/later"));
    std::unique_lock lock(mutex);
    ASSERT_TRUE(arrived.wait_for(lock, std::chrono::seconds(10), [&] { return !waiting.empty(); }));
    linger at_once{1, 0};  // a reset, so that the answer meets a broken connection
    ::setsockopt(probe.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  HttpResponse large;
  large.body.assign(1 << 20, 'x');
  waiting[0](large);  // would raise SIGPIPE if OpenSSL wrote by itself
  EXPECT_EQ(HttpProbe::tls(server.port()).ask(get("/")).status, 200);
}

TEST(HttpServerTls, OffersTickets) {
  RunningServer server(secure(), echo);
  static SSL_SESSION* kept = nullptr;
  auto keep = [](SSL*, SSL_SESSION* session) {
    if (kept != nullptr) SSL_SESSION_free(kept);
    kept = session;
    return 1;
  };
  {
    auto probe = HttpProbe::tls(server.port(), [&](SSL_CTX* context) {
      SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
      SSL_CTX_sess_set_new_cb(context, keep);
    });
    EXPECT_EQ(probe.ask(get("/")).status, 200);
  }
  ASSERT_NE(kept, nullptr);
  EXPECT_GT(SSL_SESSION_has_ticket(kept), 0);
  SSL_SESSION_free(std::exchange(kept, nullptr));
}

TEST(HttpServerTls, BindSaysWhatIsWrongAndNeverShowsTheKey) {
  auto identity = make_tls_identity(), other = make_tls_identity();
  struct Row {
    const char* name;
    std::string certificate, key;
    const char* says;
  };
  const Row rows[] = {
      {"no certificate", "", identity.key_pem, "tls certificate"},
      {"no key", identity.certificate_pem, "", "tls key"},
      {"nonsense", "nonsense", identity.key_pem, "tls certificate"},
      {"swapped", identity.key_pem, identity.certificate_pem, "tls certificate"},
      {"key of another", identity.certificate_pem, other.key_pem, "does not belong"},
      {"cut chain", identity.certificate_pem + identity.certificate_pem.substr(0, 200),
       identity.key_pem, "chain"},
  };
  for (const auto& row : rows) {
    auto listen = loopback();
    listen.certificate_pem = row.certificate;
    listen.key_pem = row.key;
    auto bound = HttpServer::bind(listen, echo);
    ASSERT_FALSE(bound.has_value()) << row.name;
    EXPECT_EQ(bound.error().kind, ErrorKind::invalid) << row.name;
    EXPECT_NE(bound.error().text().find(row.says), std::string::npos)
        << row.name << ": " << bound.error().text();
    EXPECT_EQ(bound.error().text().find("PRIVATE"), std::string::npos);
  }
  auto chain = loopback();
  chain.certificate_pem = identity.certificate_pem + other.certificate_pem;
  chain.key_pem = identity.key_pem;
  EXPECT_TRUE(HttpServer::bind(chain, echo).has_value());
}

}  // namespace
