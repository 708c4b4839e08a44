// SPDX-License-Identifier: Apache-2.0
// One row for each check: deleting the check makes its rows fail.
#include "net/forwarded.h"

#include <gtest/gtest.h>

using namespace knock;
using namespace knock::net;

namespace {

struct Row {
  const char* name;
  const char* peer;  // "" = none
  std::vector<std::string_view> headers;
  const char* want;  // an address, or a reason code
};

std::string result_of(const Row& row) {
  const std::vector<Prefix> trusted{*Prefix::parse("10.0.0.0/8"), *Prefix::parse("2001:db8::/32")};
  auto got = client_address(IpAddress::parse(row.peer), row.headers, trusted);
  return got ? got->to_string() : std::string(reason_code(got.error()));
}

TEST(Forwarded, Answers) {
  const Row rows[] = {
      {"no proxy", "192.0.2.1", {}, "192.0.2.1"},
      {"a stranger's header is ignored", "192.0.2.1", {"198.51.100.1"}, "192.0.2.1"},
      {"a stranger's nonsense is ignored", "192.0.2.1", {"nonsense"}, "192.0.2.1"},
      {"one proxy", "10.0.0.1", {"198.51.100.1"}, "198.51.100.1"},
      {"two proxies", "10.0.0.1", {"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
      {"two fields are one list", "10.0.0.1", {"203.0.113.9", "198.51.100.1"}, "198.51.100.1"},
      {"the client's own words are left of it",
       "10.0.0.1",
       {"203.0.113.9, 198.51.100.1"},
       "198.51.100.1"},
      {"and may be nonsense", "10.0.0.1", {"unknown, <script>, 198.51.100.1"}, "198.51.100.1"},
      {"a client cannot hide behind our proxies' addresses",
       "10.0.0.1",
       {"10.9.9.9, 198.51.100.1"},
       "198.51.100.1"},
      {"blanks around hops", "10.0.0.1", {" 198.51.100.1 ,\t10.0.0.2 "}, "198.51.100.1"},
      {"IPv6 client", "10.0.0.1", {"2a00::1"}, "2a00::1"},
      {"IPv6 proxy", "2001:db8::1", {"198.51.100.1"}, "198.51.100.1"},
      {"mapped client folds", "10.0.0.1", {"::ffff:198.51.100.1"}, "198.51.100.1"},
      {"mapped proxy folds", "10.0.0.1", {"198.51.100.1, ::ffff:10.0.0.2"}, "198.51.100.1"},
      {"loopback client of a proxy on this machine", "10.0.0.1", {"127.0.0.1"}, "127.0.0.1"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(result_of(row), row.want);
  }
}

TEST(Forwarded, EveryDoubtIsAnError) {
  std::string many = "198.51.100.1", longest(4097, ' ');
  for (int i = 0; i < 32; ++i) many += ", 10.0.0.2";
  longest += "198.51.100.1";
  const Row rows[] = {
      {"no peer", "", {"198.51.100.1"}, "forwarded.no-peer"},
      {"no header", "10.0.0.1", {}, "forwarded.missing"},
      {"empty header", "10.0.0.1", {""}, "forwarded.missing"},
      {"blank headers", "10.0.0.1", {" ", "\t"}, "forwarded.missing"},
      {"33 hops", "10.0.0.1", {many}, "forwarded.too-long"},
      {"too many bytes", "10.0.0.1", {longest}, "forwarded.too-long"},
      {"a word", "10.0.0.1", {"unknown"}, "forwarded.malformed"},
      {"obfuscated", "10.0.0.1", {"_hidden"}, "forwarded.malformed"},
      {"empty hop at the end", "10.0.0.1", {"198.51.100.1,"}, "forwarded.malformed"},
      {"empty hop between", "10.0.0.1", {"198.51.100.1,,10.0.0.2"}, "forwarded.malformed"},
      {"empty last field", "10.0.0.1", {"198.51.100.1", ""}, "forwarded.malformed"},
      {"port", "10.0.0.1", {"198.51.100.1:1234"}, "forwarded.malformed"},
      {"brackets", "10.0.0.1", {"[2a00::1]"}, "forwarded.malformed"},
      {"zone", "10.0.0.1", {"fe80::1%eth0"}, "forwarded.malformed"},
      {"prefix", "10.0.0.1", {"198.51.100.0/24"}, "forwarded.malformed"},
      {"leading zero", "10.0.0.1", {"198.51.100.01"}, "forwarded.malformed"},
      {"three octets", "10.0.0.1", {"198.51.100"}, "forwarded.malformed"},
      {"a number", "10.0.0.1", {"3325256705"}, "forwarded.malformed"},
      {"semicolons", "10.0.0.1", {"198.51.100.1; 203.0.113.9"}, "forwarded.malformed"},
      {"RFC 7239 syntax", "10.0.0.1", {"for=198.51.100.1"}, "forwarded.malformed"},
      {"quotes", "10.0.0.1", {"\"198.51.100.1\""}, "forwarded.malformed"},
      {"malformed beside a proxy of ours", "10.0.0.1", {"x, 10.0.0.2"}, "forwarded.malformed"},
      {"unspecified", "10.0.0.1", {"0.0.0.0"}, "forwarded.not-a-host"},
      {"unspecified IPv6", "10.0.0.1", {"::"}, "forwarded.not-a-host"},
      {"broadcast", "10.0.0.1", {"255.255.255.255"}, "forwarded.not-a-host"},
      {"multicast", "10.0.0.1", {"224.0.0.1"}, "forwarded.not-a-host"},
      {"multicast IPv6", "10.0.0.1", {"ff02::1"}, "forwarded.not-a-host"},
      {"only proxies", "10.0.0.1", {"10.0.0.2, 10.0.0.3"}, "forwarded.all-trusted"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(result_of(row), row.want);
  }
}

TEST(Forwarded, ShowsAMalformedHopSafely) {
  auto got = client_address(IpAddress::parse("10.0.0.1"), {"\x1b[31m" + std::string(500, 'x')},
                            {*Prefix::parse("10.0.0.0/8")});
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().message.find('\x1b'), std::string::npos);
  EXPECT_LT(got.error().message.size(), 300u);
}

}  // namespace
