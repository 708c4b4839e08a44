// SPDX-License-Identifier: Apache-2.0
#include "net/http_server.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>

#include "tests/support/http_probe.h"
#include "tests/support/requirement.h"

using namespace knock;
using namespace knock::net;
using namespace knock::test;
using namespace std::string_literals;

namespace {

/// Says back what it understood.
void echo(HttpRequest request, const Respond& respond) {
  HttpResponse response;
  response.headers.set("Content-Type", "text/plain");
  response.body = request.method + " " + request.path + " " + request.body;
  respond(std::move(response));
}

std::string get(const std::string& path, const std::string& more = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: h\r\n" + more + "\r\n";
}
std::string post(const std::string& body) {
  return "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

TEST(HttpServer, AnswersAndKeepsTheConnection) {
  RunningServer server(loopback(), echo);
  auto probe = HttpProbe::tcp(server.port());
  for (int i = 0; i < 50; ++i) {
    auto response = probe.ask(get("/" + std::to_string(i)));
    ASSERT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "GET /" + std::to_string(i) + " ");
    EXPECT_EQ(response.headers.one("connection"), "keep-alive");
    EXPECT_EQ(response.headers.one("date").value_or("").size(), 29u);
  }
  EXPECT_EQ(probe.ask(post("hello")).body, "POST /p hello");
}

TEST(HttpServer, SaysWhoIsThere) {
  auto who = [](HttpRequest request, const Respond& respond) {
    HttpResponse response;
    response.body = (request.peer ? request.peer->to_string() : "-") + " " +
                    (request.peer_uid ? std::to_string(*request.peer_uid) : "-") +
                    (request.tls ? " tls" : " plain");
    respond(response);
  };
  {
    RunningServer server(loopback(), who);
    EXPECT_EQ(HttpProbe::tcp(server.port()).ask(get("/")).body, "127.0.0.1 - plain");
  }
  TemporaryFolder folder;
  HttpListen listen;
  listen.unix_path = folder.path() + "/s";
  listen.unix_mode = 0600;
  RunningServer server(listen, who);
  EXPECT_EQ(HttpProbe::unix_socket(listen.unix_path).ask(get("/")).body,
            "- " + std::to_string(::geteuid()) + " plain");
}

TEST(HttpServer, ServesIpv4ThroughAnIpv6Wildcard) {
  HttpListen listen;
  listen.address = IpAddress::parse("::");
  RunningServer server(listen, [](HttpRequest request, const Respond& respond) {
    HttpResponse response;
    response.body = request.peer->to_string();
    respond(response);
  });
  EXPECT_EQ(HttpProbe::tcp(server.port()).ask(get("/")).body, "127.0.0.1");
  EXPECT_EQ(HttpProbe::tcp(server.port(), "::1").ask(get("/")).body, "::1");
}

TEST(HttpServer, TakesRequestsByteByByte) {
  RunningServer server(loopback(), echo);
  auto probe = HttpProbe::tcp(server.port());
  for (char c : post("slow")) probe.send(std::string_view(&c, 1));
  EXPECT_EQ(probe.read().body, "POST /p slow");
}

TEST(HttpServer, AnswersPipelinedRequestsInOrderOneAtATime) {
  std::mutex mutex;
  std::vector<Respond> waiting;
  std::condition_variable arrived;
  std::atomic<int> most{0};
  RunningServer server(loopback(), [&](HttpRequest request, Respond respond) {
    std::lock_guard lock(mutex);
    auto path = request.path;
    waiting.emplace_back([respond, path](HttpResponse r) {
      r.body = path;
      respond(r);
    });
    most = std::max(most.load(), int(waiting.size()));
    arrived.notify_one();
  });
  auto probe = HttpProbe::tcp(server.port());
  std::string all;
  for (int i = 0; i < 40; ++i) all += get("/" + std::to_string(i));
  probe.send(all);
  for (int i = 0; i < 40; ++i) {
    Respond respond;
    {
      std::unique_lock lock(mutex);
      ASSERT_TRUE(
          arrived.wait_for(lock, std::chrono::seconds(10), [&] { return !waiting.empty(); }));
      respond = std::move(waiting.back());
      waiting.pop_back();
    }
    respond({});
    ASSERT_EQ(probe.read().body, "/" + std::to_string(i));
  }
  EXPECT_EQ(most, 1);
}

TEST(HttpServer, ManyPipelinedRequestsDoNotDeepenTheStack) {
  RunningServer server(loopback(), echo);
  auto probe = HttpProbe::tcp(server.port());
  std::string all;
  for (int i = 0; i < 5000; ++i) all += "GET /x HTTP/1.1\r\nHost:h\r\n\r\n";
  std::thread sender([&] { probe.send(all); });
  for (int i = 0; i < 5000; ++i) ASSERT_EQ(probe.read().status, 200) << i;
  sender.join();
}

TEST(HttpServer, HeadHasALengthAndNoBody) {
  RunningServer server(loopback(), echo);
  auto probe = HttpProbe::tcp(server.port());
  auto response = probe.ask("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(response.headers.one("content-length"), "8");
  EXPECT_EQ(probe.ask(get("/y")).body, "GET /y ") << "nothing of the first answer is left";
}

TEST(HttpServer, SomeStatusesHaveNoBody) {
  for (int status : {204, 304}) {
    RunningServer server(loopback(), [&](HttpRequest, const Respond& respond) {
      HttpResponse response;
      response.status = status;
      response.body = "must not be sent";
      respond(response);
    });
    auto probe = HttpProbe::tcp(server.port());
    auto response = probe.ask(get("/"));
    EXPECT_EQ(response.status, status);
    EXPECT_EQ(response.headers.one("content-length"), std::nullopt);
    EXPECT_EQ(probe.ask(get("/")).status, status);
  }
}

TEST(HttpServer, ClosesWhenAsked) {
  RunningServer server(loopback(), echo);
  for (auto request : {get("/", "Connection: close\r\n"), "GET / HTTP/1.0\r\n\r\n"s}) {
    auto probe = HttpProbe::tcp(server.port());
    auto response = probe.ask(request);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.headers.one("connection"), "close");
    EXPECT_TRUE(probe.closed());
  }
}

struct Hostile {
  const char* name;
  std::string bytes;
  int status;
};

TEST(HttpServer, AnswersHostileRequestsAndCloses) {
  auto listen = loopback();
  listen.limits.header_bytes = 1024;
  listen.limits.body_bytes = 100;
  std::atomic<int> handled{0};
  RunningServer server(listen, [&](HttpRequest request, const Respond& respond) {
    ++handled;
    echo(std::move(request), respond);
  });
  const std::string chunked = "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const Hostile rows[] = {
      {"a TLS hello", "\x16\x03\x01\x02\x00\x01"s, 400},
      {"an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"binary noise", "\x01\x02\x03", 400},
      {"empty line first", "\r\n" + get("/"), 400},
      {"length and coding",
       "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
       "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       400},
      {"two lengths",
       "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
      {"folded field", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", 400},
      {"bare LF", "GET / HTTP/1.1\nHost: h\n\n\r\n\r\n", 400},
      {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"unknown coding", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
      {"other scheme", "GET gopher://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"escaped NUL", get("/%00"), 400},
      {"climbing", get("/a/%2e%2e/b"), 400},
      {"endless target", "GET /" + std::string(2000, 'a'), 431},
      {"endless field", "GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(2000, 'a'), 431},
      {"whole but too long", get("/", "A: " + std::string(1100, 'a') + "\r\n"), 431},
      {"body too long, said", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n", 413},
      {"body too long, sent", post(std::string(5000, 'b')), 413},
      {"body too long, in chunks", chunked + "65\r\n" + std::string(101, 'b') + "\r\n0\r\n\r\n",
       413},
      {"chunk size is no number", chunked + "zz\r\n", 400},
      {"chunk size is negative", chunked + "-1\r\n", 400},
      {"chunk size overflows", chunked + "fffffffffffffffff\r\n", 400},
      {"chunk without its end", chunked + "3\r\nabcdef\r\n0\r\n\r\n", 400},
      {"chunk line with bare LF", chunked + "3\nabc\r\n0\r\n\r\n", 400},
      {"endless chunk extension", chunked + "3;" + std::string(3000, 'x'), 400},
      {"unknown expectation", get("/", "Expect: tea\r\n"), 417},
  };
  for (const auto& row : rows) {
    auto probe = HttpProbe::tcp(server.port());
    auto response = probe.ask(row.bytes);
    EXPECT_EQ(response.status, row.status) << row.name;
    EXPECT_EQ(response.headers.one("connection"), "close") << row.name;
    EXPECT_EQ(probe.rest(), "") << row.name;
  }
  EXPECT_EQ(handled, 0) << "none of them may reach a handler";
  EXPECT_EQ(HttpProbe::tcp(server.port()).ask(get("/")).status, 200);
}

TEST(HttpServer, AHeadMayBeAllowedALongerBodyAndHoldsItsPlaceUntilTheAnswer) {
  auto listen = loopback();
  listen.limits.body_bytes = 10;
  auto place = std::make_shared<int>(0);
  listen.limits.allowance = [&](const HttpRequest& head) {
    EXPECT_EQ(head.body, "");
    if (head.path == "/long") return BodyAllowance{100, Duration::seconds(5), 413, place};
    return BodyAllowance{10, Duration::seconds(5), 503, nullptr};
  };
  std::atomic<long> held{0};
  RunningServer server(listen, [&](HttpRequest request, const Respond& respond) {
    held = place.use_count();
    echo(std::move(request), respond);
  });
  auto to = [](const std::string& path, std::size_t bytes) {
    return "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(bytes) +
           "\r\n\r\n" + std::string(bytes, 'b');
  };
  auto probe = HttpProbe::tcp(server.port());
  EXPECT_EQ(probe.ask(to("/long", 100)).status, 200);
  EXPECT_EQ(held, 2) << "while it is handled";
  EXPECT_EQ(probe.ask(to("/short", 10)).status, 200);
  EXPECT_EQ(held, 1) << "the next request does not have it";
  EXPECT_EQ(probe.ask(to("/short", 11)).status, 503);
  EXPECT_EQ(HttpProbe::tcp(server.port()).ask(to("/long", 101)).status, 413);
  EXPECT_EQ(HttpProbe::tcp(server.port())
                .ask("POST /short HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n" +
                     std::string(11, 'b') + "\r\n0\r\n\r\n")
                .status,
            503);
}

TEST(HttpServer, ReadsChunksAndIgnoresTrailers) {
  RunningServer server(loopback(), [](HttpRequest request, const Respond& respond) {
    HttpResponse response;
    response.body = request.body + (request.headers.one("x-forwarded-for") ? " injected" : "");
    respond(response);
  });
  auto probe = HttpProbe::tcp(server.port());
  auto response = probe.ask(
      "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
      "3;name=value\r\nabc\r\n2\r\nde\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "abcde");
  EXPECT_EQ(probe.ask(post("next")).body, "next");
}

TEST(HttpServer, InvitesABodyThatWaits) {
  RunningServer server(loopback(), echo);
  auto probe = HttpProbe::tcp(server.port());
  EXPECT_EQ(
      probe.ask("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
          .status,
      100);
  EXPECT_EQ(probe.ask("ok").body, "POST /p ok");
  EXPECT_EQ(probe
                .ask("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 999999\r\nExpect: "
                     "100-continue\r\n\r\n")
                .status,
            413)
      << "and no invitation for one that is too long";
}

TEST(HttpServer, SlowClientsAreTold) {
  auto listen = loopback();
  listen.limits.header_time = listen.limits.body_time = Duration{60};
  listen.limits.idle_time = Duration{60};
  RunningServer server(listen, echo);
  auto head = HttpProbe::tcp(server.port());
  EXPECT_EQ(head.ask("GET / HTTP/1.1\r\nHost:").status, 408);
  EXPECT_TRUE(head.closed());
  auto body = HttpProbe::tcp(server.port());
  EXPECT_EQ(body.ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab").status, 408);
  EXPECT_TRUE(body.closed());
  auto silent = HttpProbe::tcp(server.port());
  EXPECT_TRUE(silent.closed()) << "one that says nothing is not answered";
  auto idle = HttpProbe::tcp(server.port());
  EXPECT_EQ(idle.ask(get("/")).status, 200);
  EXPECT_TRUE(idle.closed());
}

TEST(HttpServer, AClientThatDoesNotReadIsDropped) {
  constexpr std::size_t kWhole = 64 << 20;
  auto listen = loopback();
  listen.limits.body_time = Duration{100};
  listen.limits.connections = 1;
  RunningServer server(listen, [](HttpRequest, const Respond& respond) {
    HttpResponse response;
    response.body.assign(kWhole, 'x');
    respond(response);
  });
  auto probe = HttpProbe::tcp(server.port());
  probe.send(get("/"));
  // With one connection allowed, another is served only once the first was given up.
  auto deadline = Deadline::in(Duration::seconds(10));
  while (HttpProbe::tcp(server.port()).ask("\r\n").status != 400) ASSERT_FALSE(deadline.passed());
  auto got = probe.rest();
  EXPECT_GT(got.size(), 0u);
  EXPECT_LT(got.size(), kWhole);
}

TEST(HttpServer, AnswersFromAnyThreadOnlyOnce) {
  std::vector<std::jthread> threads;
  RunningServer server(loopback(), [&](HttpRequest, Respond respond) {
    threads.emplace_back([respond] {
      HttpResponse first, second;
      first.body = "first";
      second.body = "second";
      respond(first);
      respond(second);
    });
  });
  auto probe = HttpProbe::tcp(server.port());
  for (int i = 0; i < 20; ++i) ASSERT_EQ(probe.ask(get("/")).body, "first");
}

TEST(HttpServer, AForgottenAnswerIs500) {
  RunningServer server(loopback(), [](HttpRequest, const Respond&) {});
  auto probe = HttpProbe::tcp(server.port());
  EXPECT_EQ(probe.ask(get("/")).status, 500);
  EXPECT_EQ(probe.ask(get("/")).status, 500);
}

TEST(HttpServer, AThrowingHandlerIs500) {
  RunningServer server(loopback(),
                       [](HttpRequest, const Respond&) { throw std::runtime_error("x"); });
  EXPECT_EQ(HttpProbe::tcp(server.port()).ask(get("/")).status, 500);
}

TEST(HttpServer, NeverSendsAFieldThatSplitsTheResponse) {
  const std::pair<std::string, std::string> rows[] = {{"Location", "/a\r\nSet-Cookie: x=y"},
                                                      {"Location", "/a\nb"},
                                                      {"Location", "a\0b"s},
                                                      {"Bad name", "v"},
                                                      {"Bad\r\nName", "v"},
                                                      {"", "v"}};
  for (const auto& [name, value] : rows) {
    RunningServer server(loopback(), [&](HttpRequest, const Respond& respond) {
      HttpResponse response;
      response.headers.set(name, value);
      respond(response);
    });
    auto response = HttpProbe::tcp(server.port()).ask(get("/"));
    EXPECT_EQ(response.status, 500) << name << value;
    EXPECT_EQ(response.headers.one("set-cookie"), std::nullopt);
  }
}

TEST(HttpServer, FramingFieldsAreTheServersOwn) {
  RunningServer server(loopback(), [](HttpRequest, const Respond& respond) {
    HttpResponse response;
    response.headers.set("content-length", "999");
    response.headers.set("Transfer-Encoding", "chunked");
    response.headers.set("Connection", "close");
    response.body = "ok";
    respond(response);
  });
  auto probe = HttpProbe::tcp(server.port());
  auto response = probe.ask(get("/"));
  EXPECT_EQ(response.headers.one("content-length"), "2");
  EXPECT_EQ(response.headers.one("transfer-encoding"), std::nullopt);
  EXPECT_EQ(response.headers.one("connection"), "keep-alive");
}

TEST(HttpServer, AtTheLimitWhoRestsMakesRoom) {
  auto listen = loopback();
  listen.limits.connections = 3;
  RunningServer server(listen, echo);
  auto oldest = HttpProbe::tcp(server.port());
  EXPECT_EQ(oldest.ask(get("/1")).status, 200);
  auto busy1 = HttpProbe::tcp(server.port());
  busy1.ask(get("/2"));
  busy1.send("GET /");
  auto busy2 = HttpProbe::tcp(server.port());
  busy2.ask(get("/3"));
  busy2.send("GET /");
  auto fourth = HttpProbe::tcp(server.port());
  EXPECT_EQ(fourth.ask(get("/4")).status, 200);
  EXPECT_TRUE(oldest.closed());
  fourth.send("GET /");
  busy1.send("a HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(busy1.read().body, "GET /a ");
}

TEST(HttpServer, StopEndsARestingConnectionAndFinishesADueAnswer) {
  std::promise<Respond> taken;
  auto bound = HttpServer::bind(loopback(), [&](HttpRequest request, Respond respond) {
    if (request.path == "/later")
      taken.set_value(respond);
    else
      respond({});
  });
  ASSERT_TRUE(bound.has_value());
  std::thread thread([&] { (*bound)->run(); });
  auto resting = HttpProbe::tcp((*bound)->port());
  EXPECT_EQ(resting.ask(get("/")).status, 200);
  auto due = HttpProbe::tcp((*bound)->port());
  due.send(get("/later"));
  auto respond = taken.get_future().get();
  (*bound)->stop();
  EXPECT_TRUE(resting.closed());
  respond({});
  auto response = due.read();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.one("connection"), "close");
  EXPECT_TRUE(due.closed());
  thread.join();  // although that client has not closed its side
}

TEST(HttpServer, StopDoesNotWaitLongForAnAnswerAndAnswersMayComeTooLate) {
  std::promise<Respond> taken;
  Respond respond;
  {
    auto bound = HttpServer::bind(loopback(), [&](HttpRequest, Respond r) { taken.set_value(r); });
    ASSERT_TRUE(bound.has_value());
    std::thread thread([&] { (*bound)->run(); });
    auto probe = HttpProbe::tcp((*bound)->port());
    probe.send(get("/"));
    respond = taken.get_future().get();
    auto begin = std::chrono::steady_clock::now();
    (*bound)->stop();
    thread.join();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  }
  respond({});  // the server is gone: nothing happens
}

TEST(HttpServer, StopBeforeRunEndsIt) {
  auto bound = HttpServer::bind(loopback(), echo);
  ASSERT_TRUE(bound.has_value());
  (*bound)->stop();
  (*bound)->run();
}

TEST(HttpServer, UnixSocketHasItsModeAndGoesAway) {
  TemporaryFolder folder;
  HttpListen listen;
  listen.unix_path = folder.path() + "/s";
  listen.unix_mode = 0640;
  {
    RunningServer server(listen, echo);
    struct stat status{};
    ASSERT_EQ(::stat(listen.unix_path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640u);
    EXPECT_TRUE(S_ISSOCK(status.st_mode));
    EXPECT_EQ(HttpProbe::unix_socket(listen.unix_path).ask(get("/")).status, 200);
    RunningServer second(listen, echo);  // an old socket file is replaced
    EXPECT_EQ(HttpProbe::unix_socket(listen.unix_path).ask(get("/")).status, 200);
  }
  EXPECT_NE(::access(listen.unix_path.c_str(), F_OK), 0);
}

TEST(HttpServer, BindSaysWhatIsWrong) {
  TemporaryFolder folder;
  auto problem = [](HttpListen listen) {
    auto bound = HttpServer::bind(listen, echo);
    return bound ? Error{ErrorKind::internal, "bound", {}, {}} : bound.error();
  };
  EXPECT_EQ(problem({}).kind, ErrorKind::invalid) << "neither address nor path";
  auto both = loopback();
  both.unix_path = folder.path() + "/s";
  EXPECT_EQ(problem(both).kind, ErrorKind::invalid);
  HttpListen unix_listen;
  unix_listen.unix_path = folder.path() + "/file";
  write_file(unix_listen.unix_path, "precious");
  EXPECT_EQ(problem(unix_listen).kind, ErrorKind::conflict);
  EXPECT_EQ(read_file(folder.path() + "/file"), "precious");
  unix_listen.unix_path = folder.path() + "/missing/s";
  EXPECT_EQ(problem(unix_listen).kind, ErrorKind::not_found);
  unix_listen.unix_path = "/" + std::string(200, 'x');
  EXPECT_EQ(problem(unix_listen).kind, ErrorKind::invalid);
  unix_listen.unix_path = folder.path() + "/s";
  unix_listen.unix_group = "no-such-group-here";
  EXPECT_EQ(problem(unix_listen).kind, ErrorKind::not_found);
  RunningServer server(loopback(), echo);
  auto taken = loopback();
  taken.port = server.port();
  EXPECT_EQ(problem(taken).kind, ErrorKind::conflict);
  auto foreign = loopback();
  foreign.address = IpAddress::parse("192.0.2.1");
  EXPECT_EQ(problem(foreign).kind, ErrorKind::not_found);
  auto bad_tls = loopback();
  bad_tls.certificate_pem = "nonsense";
  EXPECT_EQ(problem(bad_tls).kind, ErrorKind::invalid);
}

}  // namespace
