// SPDX-License-Identifier: Apache-2.0
#include "net/http_client.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/unit/net/http_client_server.h"

namespace knock::net {
namespace {

using test::TinyServer;

ConnectGuard loopback() { return {{Prefix::parse("127.0.0.0/8").value()}}; }
Deadline soon() { return Deadline::in(Duration::seconds(10)); }

std::string header(const IncomingResponse& response, std::string_view name) {
  for (auto& [key, value] : response.headers)
    if (key == name) return value;
  return "(absent)";
}

TEST(HttpClient, a_plain_exchange) {
  TinyServer server([](auto&) { return test::ok("hello", "X-Thing:  a b \r\n"); });
  auto client = make_http_client(loopback());
  auto answer =
      client->send({"GET", server.url("/a?b=c"), {{"X-Ask", "1"}, {"X-Empty", ""}}}, soon());
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "hello");
  EXPECT_EQ(header(*answer, "x-thing"), "a b");
  auto seen = server.requests().at(0);
  EXPECT_TRUE(seen.starts_with("GET /a?b=c HTTP/1.1\r\n")) << seen;
  EXPECT_NE(seen.find("X-Ask: 1\r\n"), seen.npos);
  EXPECT_NE(seen.find("X-Empty:\r\n"), seen.npos) << seen;
}

TEST(HttpClient, a_body_with_any_bytes_and_any_status) {
  TinyServer server([](auto&) {
    return std::string("HTTP/1.1 418 Teapot\r\nConnection: close\r\nContent-Length: 3\r\n\r\n") +
           std::string("a\0b", 3);
  });
  auto client = make_http_client(loopback());
  for (auto method : {"POST", "PUT", "DELETE"}) {
    auto answer = client->send(
        {method, server.url(), {{"Content-Type", "text/plain"}}, std::string("x\0y", 3)}, soon());
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer->status, 418);
    EXPECT_EQ(answer->body, std::string("a\0b", 3));
    auto seen = server.requests().back();
    EXPECT_TRUE(seen.starts_with(std::string(method) + " / HTTP/1.1\r\n")) << seen;
    EXPECT_TRUE(seen.ends_with(std::string("\r\n\r\nx\0y", 7))) << seen;
    EXPECT_EQ(seen.find("Expect:"), seen.npos);
  }
}

TEST(HttpClient, a_redirect_is_an_answer) {
  TinyServer elsewhere([](auto&) { return test::ok("wrong"); });
  TinyServer server([&](auto&) {
    return "HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: " +
           elsewhere.url() + "\r\n\r\n";
  });
  auto answer = make_http_client(loopback())->send({"GET", server.url()}, soon());
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->status, 302);
  EXPECT_EQ(elsewhere.connections(), 0);
}

TEST(HttpClient, an_oversized_body_is_refused_whatever_its_length_says) {
  std::string big(5000, 'x');
  for (auto& head : {std::string("Content-Length: 5000\r\n"), std::string()}) {
    TinyServer server(
        [&](auto&) { return "HTTP/1.1 200 OK\r\nConnection: close\r\n" + head + "\r\n" + big; });
    auto client = make_http_client(loopback());
    auto answer = client->send({"GET", server.url(), {}, "", 4999}, soon());
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ErrorKind::invalid);
    EXPECT_NE(answer.error().text().find("larger than 4999 bytes"), std::string::npos)
        << answer.error().text();
    auto fits = client->send({"GET", server.url(), {}, "", 5000}, soon());
    ASSERT_TRUE(fits) << fits.error().text();
    EXPECT_EQ(fits->body, big);
  }
}

TEST(HttpClient, endless_headers_are_refused) {
  TinyServer server([](auto&) {
    std::string out = "HTTP/1.1 200 OK\r\n";
    for (int i = 0; i < 200; ++i)
      out += "X-" + std::to_string(i) + ": " + std::string(1000, 'x') + "\r\n";
    return out + "\r\n";
  });
  auto answer = make_http_client(loopback())->send({"GET", server.url()}, soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::invalid);
}

TEST(HttpClient, a_slow_server_meets_the_deadline) {
  for (auto& begun :
       {std::string(), std::string("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")}) {
    TinyServer server([&](auto&) { return begun + std::string(TinyServer::kHold); });
    auto started = std::chrono::steady_clock::now();
    auto answer =
        make_http_client(loopback())->send({"GET", server.url()}, Deadline::in(Duration{300}));
    auto took = std::chrono::steady_clock::now() - started;
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ErrorKind::timeout) << answer.error().text();
    EXPECT_GE(took, std::chrono::milliseconds(250));
    EXPECT_LT(took, std::chrono::seconds(5));
  }
}

TEST(HttpClient, no_time_left_asks_nobody) {
  TinyServer server([](auto&) { return test::ok(""); });
  auto answer =
      make_http_client(loopback())->send({"GET", server.url()}, Deadline::in(Duration{0}));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::timeout);
  EXPECT_EQ(server.connections(), 0);
}

TEST(HttpClient, a_broken_off_answer_is_unavailable) {
  TinyServer server(
      [](auto&) { return std::string("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"); });
  auto answer = make_http_client(loopback())->send({"GET", server.url()}, soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::unavailable) << answer.error().text();
}

TEST(HttpClient, nobody_listening_is_unavailable) {
  std::string url;
  {
    TinyServer server([](auto&) { return test::ok(""); });
    url = server.url();
  }
  auto answer = make_http_client(loopback())->send({"GET", url}, soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::unavailable) << answer.error().text();
}

TEST(HttpClient, an_answer_without_a_status_line_is_refused) {
  TinyServer server([](auto&) { return std::string("just bytes\r\n"); });
  EXPECT_FALSE(make_http_client(loopback())->send({"GET", server.url()}, soon()));
}

TEST(HttpClient, the_guard_stands_before_the_first_byte) {
  TinyServer server([](auto&) { return test::ok("secret"); });
  auto port = std::to_string(server.port());
  for (auto host :
       {"127.0.0.1", "localhost", "2130706433", "0x7f.1", "0.0.0.0", "[::ffff:127.0.0.1]"}) {
    auto answer = make_http_client({})->send(
        {"GET", std::string("http://") + host + ":" + port + "/"}, soon());
    ASSERT_FALSE(answer) << host;
    EXPECT_EQ(answer.error().kind, ErrorKind::unauthorized)
        << host << ": " << answer.error().text();
  }
  EXPECT_EQ(server.connections(), 0);
}

TEST(HttpClient, special_addresses_are_not_called) {
  for (auto host : {"10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200",
                    "168.63.129.16", "224.0.0.1", "255.255.255.255", "[::1]", "[fd00:ec2::254]",
                    "[fe80::1]", "[64:ff9b::a00:1]"}) {
    auto answer = make_http_client({})->send({"GET", std::string("https://") + host + "/"},
                                             Deadline::in(Duration::seconds(2)));
    ASSERT_FALSE(answer) << host;
    // On a machine without IPv6, libcurl gives up on such an address before it asks for a socket.
    auto kind = answer.error().kind;
    EXPECT_TRUE(kind == ErrorKind::unauthorized ||
                (host[0] == '[' && kind == ErrorKind::unavailable))
        << host << ": " << answer.error().text();
  }
}

TEST(HttpClient, plain_http_is_for_loopback_only_even_where_the_guard_allows) {
  ConnectGuard guard{{Prefix::parse("10.0.0.0/8").value()}};
  auto answer = make_http_client(guard)->send({"GET", "http://10.0.0.1/"},
                                              Deadline::in(Duration::seconds(2)));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::unauthorized);
  EXPECT_NE(answer.error().text().find("use https"), std::string::npos) << answer.error().text();
}

TEST(HttpClient, what_is_not_an_address_or_a_header_is_not_sent) {
  TinyServer server([](auto&) { return test::ok(""); });
  auto client = make_http_client(loopback());
  auto port = std::to_string(server.port());
  for (auto& url : std::vector<std::string>{
           "", "x", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1:" + port + "/",
           "127.0.0.1:" + port, "http://user@127.0.0.1:" + port + "/",
           "http://user:pw@127.0.0.1:" + port + "/", "http://127.0.0.1:" + port + "/\r\nX: y",
           "http://127.0.0.1:" + port + "/a b",
           "http://127.0.0.1:" + port + std::string("/\0", 2)}) {
    auto answer = client->send({"GET", url}, soon());
    ASSERT_FALSE(answer) << url;
    EXPECT_EQ(answer.error().kind, ErrorKind::invalid) << url << ": " << answer.error().text();
  }
  for (auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"X-A", "a\r\nX-B: b"},
                                                        {"X-A", "a\n"},
                                                        {"X A", "a"},
                                                        {"", "a"},
                                                        {"X-A:", "a"},
                                                        {"X-A", std::string("a\0b", 3)}}) {
    auto answer = client->send({"GET", server.url(), {{name, value}}}, soon());
    ASSERT_FALSE(answer) << name;
    EXPECT_EQ(answer.error().kind, ErrorKind::invalid);
  }
  EXPECT_FALSE(client->send({"GE T", server.url()}, soon()));
  EXPECT_EQ(server.connections(), 0);
}

TEST(HttpClient, errors_do_not_show_the_query_or_the_headers) {
  auto answer = make_http_client({})->send(
      {"GET", "http://127.0.0.1:1/cb?code=hidden1", {{"Authorization", "Basic hidden2"}}}, soon());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().text().find("hidden"), std::string::npos) << answer.error().text();
}

TEST(HttpClient, a_proxy_of_the_environment_is_not_asked) {
  TinyServer proxy([](auto&) { return test::ok("through the proxy"); });
  TinyServer server([](auto&) { return test::ok("direct"); });
  for (auto name : {"http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"})
    setenv(name, proxy.url().c_str(), 1);
  auto answer = make_http_client(loopback())->send({"GET", server.url()}, soon());
  for (auto name : {"http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"}) unsetenv(name);
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->body, "direct");
  EXPECT_EQ(proxy.connections(), 0);
}

TEST(HttpClient, tls_needs_a_trusted_certificate_for_that_name) {
  auto good = test::TestCertificate::make("127.0.0.1"),
       other = test::TestCertificate::make("127.0.0.2");
  struct Row {
    const char* name;
    const test::TestCertificate* shown;
    std::string trusted;
    bool works;
  } rows[] = {{"trusted", &good, good.certificate_pem, true},
              {"unknown authority", &good, "", false},
              {"another authority", &good, other.certificate_pem, false},
              {"another name", &other, other.certificate_pem, false}};
  for (auto& row : rows) {
    TinyServer server([](auto&) { return test::ok("private"); }, row.shown);
    auto answer = make_http_client(loopback(), row.trusted)->send({"GET", server.url()}, soon());
    EXPECT_EQ(bool(answer), row.works) << row.name;
    if (answer) EXPECT_EQ(answer->body, "private");
    if (!answer)
      EXPECT_EQ(answer.error().kind, ErrorKind::invalid) << row.name << answer.error().text();
    EXPECT_EQ(server.requests().size(), row.works ? 1u : 0u) << row.name;
  }
}

TEST(HttpClient, one_handle_serves_many_requests) {
  TinyServer server([](auto& request) { return test::ok(request.substr(0, 6)); });
  auto client = make_http_client(loopback());
  for (int i = 0; i < 5; ++i) {
    auto posted = client->send({"POST", server.url("/p"), {{"X-Once", "1"}}, "body"}, soon());
    ASSERT_TRUE(posted) << posted.error().text();
    auto got = client->send({"GET", server.url("/g")}, soon());
    ASSERT_TRUE(got) << got.error().text();
    EXPECT_EQ(got->body, "GET /g");
    EXPECT_EQ(server.requests().back().find("X-Once"), std::string::npos) << "options leak";
  }
}

TEST(ConnectGuard, each_special_range_has_its_edges) {
  struct Row {
    const char* address;
    bool open;
  } rows[] = {
      {"0.0.0.0", false},
      {"0.255.255.255", false},
      {"1.0.0.0", true},
      {"9.255.255.255", true},
      {"10.0.0.0", false},
      {"10.255.255.255", false},
      {"11.0.0.0", true},
      {"100.63.255.255", true},
      {"100.64.0.0", false},
      {"100.127.255.255", false},
      {"100.128.0.0", true},
      {"126.255.255.255", true},
      {"127.0.0.0", false},
      {"127.255.255.255", false},
      {"128.0.0.0", true},
      {"168.63.129.15", true},
      {"168.63.129.16", false},
      {"168.63.129.17", true},
      {"169.253.255.255", true},
      {"169.254.0.0", false},
      {"169.254.169.254", false},
      {"169.255.0.0", true},
      {"172.15.255.255", true},
      {"172.16.0.0", false},
      {"172.31.255.255", false},
      {"172.32.0.0", true},
      {"192.0.0.192", false},
      {"192.0.1.0", true},
      {"192.0.2.1", false},
      {"192.88.99.1", false},
      {"192.167.255.255", true},
      {"192.168.0.0", false},
      {"192.169.0.0", true},
      {"198.17.255.255", true},
      {"198.18.0.0", false},
      {"198.19.255.255", false},
      {"198.20.0.0", true},
      {"198.51.100.1", false},
      {"203.0.113.1", false},
      {"223.255.255.255", true},
      {"224.0.0.0", false},
      {"239.255.255.255", false},
      {"240.0.0.0", false},
      {"255.255.255.255", false},
      {"::", false},
      {"::1", false},
      {"::7f00:1", false},
      {"::ffff:127.0.0.1", false},
      {"::ffff:8.8.8.8", true},
      {"64:ff9b::808:808", true},
      {"64:ff9b::a00:1", false},
      {"64:ff9b::7f00:1", false},
      {"64:ff9b:1::1", false},
      {"100::1", false},
      {"1fff::1", false},
      {"2001::1", false},
      {"2001:1ff::1", false},
      {"2001:200::1", true},
      {"2001:db8::1", false},
      {"2001:db9::1", true},
      {"2002:a00:1::", false},
      {"2606:4700::1111", true},
      {"3fff::1", false},
      {"3fff:1000::1", true},
      {"4000::1", false},
      {"5f00::1", false},
      {"fc00::1", false},
      {"fd00:ec2::254", false},
      {"fe80::1", false},
      {"fec0::1", false},
      {"ff02::1", false},
  };
  for (auto& row : rows)
    EXPECT_EQ(ConnectGuard{}.permits(IpAddress::parse(row.address).value()), row.open)
        << row.address;
}

TEST(ConnectGuard, allowed_opens_exactly_what_it_names) {
  ConnectGuard guard{{Prefix::parse("10.1.0.0/16").value(), Prefix::parse("fd00::/64").value()}};
  EXPECT_TRUE(guard.permits(IpAddress::parse("10.1.2.3").value()));
  EXPECT_FALSE(guard.permits(IpAddress::parse("10.2.0.0").value()));
  EXPECT_TRUE(guard.permits(IpAddress::parse("fd00::1").value()));
  EXPECT_FALSE(guard.permits(IpAddress::parse("fd00:0:0:1::1").value()));
  EXPECT_FALSE(guard.permits(IpAddress::parse("127.0.0.1").value()));
}

TEST(EncodeForm, keeps_unreserved_and_encodes_the_rest) {
  EXPECT_EQ(encode_form({}), "");
  EXPECT_EQ(encode_form({{"a", "b c"}, {"d&e", "f=g+h"}}), "a=b%20c&d%26e=f%3Dg%2Bh");
  EXPECT_EQ(encode_form({{"x", "AZaz09-._~"}, {"y", "\xc3\xa9\x01/?#%"}}),
            "x=AZaz09-._~&y=%C3%A9%01%2F%3F%23%25");
}

}  // namespace
}  // namespace knock::net
