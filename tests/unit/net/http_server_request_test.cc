// SPDX-License-Identifier: Apache-2.0
// One row for each reason to refuse a head: deleting a check makes its row fail.
#include "net/http_server_request.h"

#include <gtest/gtest.h>

using namespace knock;
using namespace knock::net;
using namespace std::string_literals;

namespace {

struct Refusal {
  const char* name;
  std::string raw;
  int status;
  const char* code;
};

std::string fields(const std::string& lines) { return "GET / HTTP/1.1\r\n" + lines + "\r\n"; }
std::string hosted(const std::string& lines) { return fields("Host: h\r\n" + lines); }
std::string target(const std::string& text) {
  return "GET " + text + " HTTP/1.1\r\nHost: h\r\n\r\n";
}

TEST(RequestHead, RefusesWhatTwoReadersCouldReadDifferently) {
  std::string many;
  for (int i = 0; i < 100; ++i) many += "A: b\r\n";
  const Refusal rows[] = {
      {"nul in value", hosted("A: b\0c\r\n"s), 400, "http.nul"},
      {"nul in target", target("/a\0b"s), 400, "http.nul"},
      {"bare LF after request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", 400, "http.line-ending"},
      {"bare LF after a field", "GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", 400, "http.line-ending"},
      {"bare CR in a value", hosted("A: b\rc\r\n"), 400, "http.line-ending"},
      {"no empty line", "GET / HTTP/1.1\r\nHost: h\r\n", 400, "http.line-ending"},
      {"bytes after the end", hosted("") + "x\r\n", 400, "http.line-ending"},
      {"no spaces", "GET\r\nHost: h\r\n\r\n", 400, "http.request-line"},
      {"no version", "GET /\r\nHost: h\r\n\r\n", 400, "http.request-line"},
      {"version in another word", "GET / FTP/1.1\r\nHost: h\r\n\r\n", 400, "http.request-line"},
      {"leading empty line", "\r\n" + hosted(""), 400, "http.request-line"},
      {"two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "http.target-character"},
      {"space in target", target("/a b"), 400, "http.target-character"},
      {"tab in target", target("/a\tb"), 400, "http.target-character"},
      {"fragment", target("/a#b"), 400, "http.target-character"},
      {"byte beyond ASCII in target", target("/\xc3\xa9"), 400, "http.target-character"},
      {"method with a slash", "G/T / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "http.method"},
      {"empty method", " / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "http.method"},
      {"endless method", std::string(33, 'A') + " / HTTP/1.1\r\nHost: h\r\n\r\n", 400,
       "http.method"},
      {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505, "http.version"},
      {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505, "http.version"},
      {"HTTP/0.9", "GET / HTTP/0.9\r\nHost: h\r\n\r\n", 505, "http.version"},
      {"HTTP/01.1", "GET / HTTP/01.1\r\nHost: h\r\n\r\n", 505, "http.version"},
      {"relative target", target("a"), 400, "http.target-form"},
      {"authority form", "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 400, "http.target-form"},
      {"asterisk without OPTIONS", target("*"), 400, "http.target-form"},
      {"absolute form, other scheme", target("ftp://h/"), 400, "http.target-form"},
      {"absolute form, https on a plain port", target("https://h/"), 400, "http.target-form"},
      {"absolute form with user info", target("http://u@h/"), 400, "http.target-form"},
      {"absolute form without path", target("http://h"), 400, "http.target-form"},
      {"absolute form, other host", target("http://g/"), 400, "http.host-differs"},
      {"cut escape", target("/%2"), 400, "http.target-escape"},
      {"bad escape", target("/%zz"), 400, "http.target-escape"},
      {"escaped NUL", target("/%00"), 400, "http.target-control"},
      {"escaped newline", target("/a%0d%0ab"), 400, "http.target-control"},
      {"climbing", target("/a/../b"), 400, "http.target-climbs"},
      {"climbing, escaped", target("/a/%2e%2E/b"), 400, "http.target-climbs"},
      {"climbing, escaped slashes", target("/a%2f..%2fb"), 400, "http.target-climbs"},
      {"climbing at the end", target("/a/.."), 400, "http.target-climbs"},
      {"standing still", target("/a/./b"), 400, "http.target-climbs"},
      {"folded", hosted("A: b\r\n c\r\n"), 400, "http.folded"},
      {"folded with tab", hosted("A: b\r\n\tc\r\n"), 400, "http.folded"},
      {"first field folded", fields(" Host: h\r\n"), 400, "http.folded"},
      {"space before colon", fields("Host : h\r\n"), 400, "http.field-name"},
      {"no colon", hosted("Abc\r\n"), 400, "http.field-name"},
      {"empty name", hosted(": b\r\n"), 400, "http.field-name"},
      {"name with bracket", hosted("A[0]: b\r\n"), 400, "http.field-name"},
      {"name beyond ASCII", hosted("\xc3\xa9: b\r\n"), 400, "http.field-name"},
      {"escape character in value", hosted("A: \x1b[31m\r\n"), 400, "http.field-value"},
      {"delete in value", hosted("A: \x7f\r\n"), 400, "http.field-value"},
      {"101 fields", hosted(many), 431, "http.too-many-fields"},
      {"no host", fields("A: b\r\n"), 400, "http.host-missing"},
      {"two hosts", hosted("Host: h\r\n"), 400, "http.host-repeated"},
      {"two hosts in 1.0", "GET / HTTP/1.0\r\nHost: h\r\nhost: h\r\n\r\n", 400,
       "http.host-repeated"},
      {"empty host", fields("Host: \r\n"), 400, "http.host-malformed"},
      {"host list", fields("Host: a, b\r\n"), 400, "http.host-malformed"},
      {"host with path", fields("Host: a/b\r\n"), 400, "http.host-malformed"},
      {"length and coding", hosted("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 400,
       "http.length-and-coding"},
      {"coding and length", hosted("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), 400,
       "http.length-and-coding"},
      {"two lengths", hosted("Content-Length: 3\r\nContent-Length: 3\r\n"), 400,
       "http.length-repeated"},
      {"length list", hosted("Content-Length: 3, 3\r\n"), 400, "http.length-malformed"},
      {"signed length", hosted("Content-Length: +3\r\n"), 400, "http.length-malformed"},
      {"negative length", hosted("Content-Length: -3\r\n"), 400, "http.length-malformed"},
      {"hexadecimal length", hosted("Content-Length: 0x3\r\n"), 400, "http.length-malformed"},
      {"empty length", hosted("Content-Length:\r\n"), 400, "http.length-malformed"},
      {"length beyond 64 bit", hosted("Content-Length: 18446744073709551617\r\n"), 400,
       "http.length-malformed"},
      {"gzip", hosted("Transfer-Encoding: gzip\r\n"), 501, "http.coding-unknown"},
      {"gzip, chunked", hosted("Transfer-Encoding: gzip, chunked\r\n"), 501, "http.coding-unknown"},
      {"chunked, identity", hosted("Transfer-Encoding: chunked, identity\r\n"), 501,
       "http.coding-unknown"},
      {"quoted chunked", hosted("Transfer-Encoding: \"chunked\"\r\n"), 501, "http.coding-unknown"},
      {"chunked behind a vertical tab",
       hosted("Transfer-Encoding: \x0b"
              "chunked\r\n"),
       400, "http.field-value"},
      {"coding twice", hosted("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400,
       "http.coding-repeated"},
      {"coding in 1.0", "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
       "http.coding-in-1.0"},
      {"unknown expectation", hosted("Expect: 200-ok\r\n"), 417, "http.expect-unknown"},
  };
  for (const auto& row : rows) {
    auto head = read_head(row.raw, false);
    if (head) {
      ADD_FAILURE() << "was read: " << row.name;
      continue;
    }
    EXPECT_EQ(head.error().status, row.status) << row.name;
    EXPECT_EQ(head.error().code, row.code) << row.name;
  }
}

TEST(RequestHead, ReadsWhatIsMeant) {
  auto head = read_head(
      "POST /a%20b/c?x=%2F&y HTTP/1.1\r\nHost: knock.example:8443\r\nContent-Length: 12\r\n"
      "X-Two: one\r\nCookie:\t a=b \r\nx-two: two\r\nX-Empty:\r\n\r\n",
      true);
  ASSERT_TRUE(head.has_value()) << head.error().code;
  EXPECT_EQ(head->method, "POST");
  EXPECT_EQ(head->target, "/a%20b/c?x=%2F&y");
  EXPECT_EQ(head->path, "/a b/c");
  EXPECT_EQ(head->query, "x=%2F&y");
  EXPECT_EQ(head->content_length, 12u);
  EXPECT_FALSE(head->chunked);
  EXPECT_TRUE(head->keep_alive);
  EXPECT_EQ(head->headers.one("COOKIE"), "a=b");
  EXPECT_EQ(head->headers.one("x-empty"), "");
  EXPECT_EQ(head->headers.one("X-Two"), std::nullopt) << "it came twice";
  EXPECT_EQ(head->headers.all("X-Two"), (std::vector<std::string_view>{"one", "two"}));
}

TEST(RequestHead, DecodesAPathOnceOnly) {
  auto head = read_head(target("/%252e%252e/%2541"), false);
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->path, "/%2e%2e/%41");
}

TEST(RequestHead, TakesTheAbsoluteFormOfItsOwnScheme) {
  auto head = read_head("GET HTTPS://h:1/a?b HTTP/1.1\r\nHost: H:1\r\n\r\n", true);
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->path, "/a");
  EXPECT_EQ(head->target, "/a?b");
}

TEST(RequestHead, KnowsWhenAConnectionEnds) {
  struct Row {
    std::string raw;
    bool keep_alive;
  };
  const Row rows[] = {
      {hosted(""), true},
      {hosted("Connection: close\r\n"), false},
      {hosted("Connection: Upgrade, CLOSE\r\n"), false},
      {hosted("Connection: close, keep-alive\r\n"), false},
      {hosted("Connection: closed\r\n"), true},
      {"GET / HTTP/1.0\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
  };
  for (const auto& row : rows) {
    auto head = read_head(row.raw, false);
    ASSERT_TRUE(head.has_value()) << row.raw;
    EXPECT_EQ(head->keep_alive, row.keep_alive) << row.raw;
  }
}

TEST(RequestHead, NoiseIsRecognisedBeforeTheEmptyLine) {
  EXPECT_TRUE(may_become_head(""));
  EXPECT_TRUE(may_become_head("GE"));
  EXPECT_TRUE(may_become_head("GET / HTTP/1.1\r\nX: \xff"));
  EXPECT_FALSE(may_become_head("\x16\x03\x01\x02"));  // a TLS hello
  EXPECT_FALSE(may_become_head("\r\n"));
  EXPECT_FALSE(may_become_head("GET \x01"));
}

TEST(Form, IsReadStrictly) {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(parse_form(""), Pairs{});
  EXPECT_EQ(parse_form("a=b&c=d+e%21"), (Pairs{{"a", "b"}, {"c", "d e!"}}));
  EXPECT_EQ(parse_form("a=&a=%3D"), (Pairs{{"a", ""}, {"a", "="}}));
  EXPECT_EQ(parse_form("a=b=c"), (Pairs{{"a", "b=c"}}));
  EXPECT_EQ(parse_form("n=%C3%A9"), (Pairs{{"n", "é"}}));
  for (const char* bad : {"a", "=b", "a=b&", "&a=b", "a=b&&c=d", "a=%", "a=%4", "a=%gg", "a=b c",
                          "a=b\n", "a=\xc3\xa9"})
    EXPECT_EQ(parse_form(bad), std::nullopt) << bad;
  std::string many = "a=b";
  for (int i = 0; i < 200; ++i) many += "&a=b";
  EXPECT_EQ(parse_form(many), std::nullopt) << "201 pairs";
}

TEST(Cookie, IsReadStrictly) {
  auto request = [](std::vector<std::string> lines) {
    HttpRequest out;
    for (auto& line : lines) out.headers.fields.emplace_back("Cookie", std::move(line));
    return out;
  };
  EXPECT_EQ(cookie(request({}), "a"), std::nullopt);
  EXPECT_EQ(cookie(request({"a=b"}), "a"), "b");
  EXPECT_EQ(cookie(request({"x=1; a=b;y=2"}), "a"), "b");
  EXPECT_EQ(cookie(request({"x=1", "a=b"}), "a"), "b");
  EXPECT_EQ(cookie(request({"a="}), "a"), "");
  EXPECT_EQ(cookie(request({"xa=b"}), "a"), std::nullopt);
  EXPECT_EQ(cookie(request({"A=b"}), "a"), std::nullopt) << "names are case-sensitive";
  EXPECT_EQ(cookie(request({"a=b; a=c"}), "a"), std::nullopt) << "repeated";
  EXPECT_EQ(cookie(request({"a=b", "a=b"}), "a"), std::nullopt) << "repeated in two fields";
  EXPECT_EQ(cookie(request({"a=\"b\""}), "a"), std::nullopt) << "quoted";
  EXPECT_EQ(cookie(request({"a=b c"}), "a"), std::nullopt) << "blank inside";
}

TEST(HttpDate, IsWrittenAsTheStandardSays) {
  EXPECT_EQ(http_date(*parse_instant("1994-11-06T08:49:37Z")), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(http_date(*parse_instant("2026-11-21T23:59:59Z")), "Sat, 21 Nov 2026 23:59:59 GMT");
}

}  // namespace
