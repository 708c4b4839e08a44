// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "base/ip.h"
#include "base/prefix.h"

namespace knock {
namespace {

TEST(IpAddress, ParsesAndPrints) {
  struct {
    const char* text;
    const char* want;
  } rows[] = {
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"198.51.100.7", "198.51.100.7"},
      {"::", "::"},
      {"::1", "::1"},
      {"2001:DB8::A", "2001:db8::a"},
      {"2001:db8:0:0:0:0:0:1", "2001:db8::1"},
      {"2001:0db8:0000:0001::", "2001:db8:0:1::"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // RFC 5952 4.2.2: one group stays
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // 4.2.3: the longest run
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // 4.2.3: the first of equals
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
      {"::ffff:198.51.100.7", "198.51.100.7"},  // mapped: one host, one value
      {"::ffff:c633:6407", "198.51.100.7"},
      {"0:0:0:0:0:FFFF:198.51.100.7", "198.51.100.7"},
      {"64:ff9b::198.51.100.7", "64:ff9b::c633:6407"},  // NAT64 is another address
  };
  for (const auto& row : rows) {
    auto got = IpAddress::parse(row.text);
    ASSERT_TRUE(got) << row.text;
    EXPECT_EQ(got->to_string(), row.want) << row.text;
    EXPECT_EQ(IpAddress::parse(got->to_string()), got) << row.text;
    EXPECT_EQ(got->family(),
              got->to_string().find(':') == std::string::npos ? Family::v4 : Family::v6);
  }
}

/// Every pattern of zero words, so every place and length of "::", and every octet.
TEST(IpAddress, PrintsAsTheLibraryDoes) {
  auto library = [](int family, const std::uint8_t* bytes) {
    char buffer[INET6_ADDRSTRLEN];
    return std::string(inet_ntop(family, bytes, buffer, sizeof buffer));
  };
  for (unsigned pattern = 0; pattern < 256; ++pattern)
    for (unsigned word : {0x1u, 0x20u, 0xa0bu, 0x10ffu, 0xffffu}) {
      std::array<std::uint8_t, 16> bytes{};
      for (unsigned i = 0; i < 8; ++i)
        if ((pattern >> i & 1) != 0)
          bytes[2 * i] = std::uint8_t(word >> 8), bytes[2 * i + 1] = std::uint8_t(word);
      auto address = IpAddress::v6(bytes);
      if (address.family() == Family::v4) continue;  // mapped
      EXPECT_EQ(address.to_string(), library(AF_INET6, bytes.data()));
    }
  for (unsigned octet = 0; octet < 256; ++octet) {
    std::array<std::uint8_t, 4> bytes{std::uint8_t(octet), 0, std::uint8_t(255 - octet), 10};
    EXPECT_EQ(IpAddress::from_bytes(bytes)->to_string(), library(AF_INET, bytes.data()));
  }
}

TEST(IpAddress, RefusesWhatOthersGuessAt) {
  for (std::string_view text : {"",
                                " ",
                                ".",
                                ":",
                                "1",
                                "1.2",
                                "1.2.3",
                                "1.2.3.4.5",
                                "1.2.3.4.",
                                ".1.2.3.4",
                                "1..2.3",
                                "1.2.3.256",
                                "1.2.3.1000",
                                "01.2.3.4",
                                "1.2.3.04",
                                "00.0.0.0",
                                "0x7f.0.0.1",
                                "2130706433",
                                "127.1",
                                "1.2.3.-4",
                                "1.2.3.4 ",
                                " 1.2.3.4",
                                "1.2.3.4\n",
                                "1.2.3.4/32",
                                "1.2.3.4%eth0",
                                "+1.2.3.4",
                                "a.b.c.d",
                                "1,2,3,4",
                                "\xd9\xa1.2.3.4",
                                ":::",
                                "::1::",
                                "1:2:3:4:5:6:7",
                                "1:2:3:4:5:6:7:8:9",
                                "::12345",
                                "::g",
                                "::1%eth0",
                                "fe80::1%1",
                                "[::1]",
                                "::1 ",
                                " ::1",
                                "::ffff:1.2.3",
                                "::ffff:1.2.3.256",
                                "::ffff:01.2.3.4",
                                "1.2.3.4::",
                                "2001:db8::/32",
                                "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0", 8)));
  EXPECT_FALSE(IpAddress::parse(std::string_view("::1\0", 4)));
  EXPECT_FALSE(IpAddress::parse(std::string_view("::1\0::2", 7)));
}

TEST(IpAddress, Bytes) {
  std::uint8_t four[] = {198, 51, 100, 7};
  EXPECT_EQ(IpAddress::from_bytes(four), IpAddress::parse("198.51.100.7"));
  EXPECT_EQ(IpAddress::v4(0xc6336407), IpAddress::parse("198.51.100.7"));
  std::uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 7};
  EXPECT_EQ(IpAddress::from_bytes(mapped), IpAddress::parse("198.51.100.7"));
  EXPECT_EQ(IpAddress::v6(mapped).bytes().size(), 4u);
  std::uint8_t six[16] = {0x20, 0x01, 0x0d, 0xb8};
  EXPECT_EQ(IpAddress::v6(six), IpAddress::parse("2001:db8::"));
  EXPECT_EQ(IpAddress::v6(six).bytes().size(), 16u);
  EXPECT_EQ(IpAddress::v6(six).bits(), 128);
  std::uint8_t wrong[17] = {};
  for (std::size_t n : {0, 1, 3, 5, 15, 17})
    EXPECT_FALSE(IpAddress::from_bytes(std::span(wrong).first(n))) << n;
}

TEST(IpAddress, Loopback) {
  for (auto text : {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"})
    EXPECT_TRUE(IpAddress::parse(text)->is_loopback()) << text;
  for (auto text :
       {"128.0.0.1", "126.255.255.255", "0.0.0.0", "::", "::2", "::127.0.0.1", "7f00::"})
    EXPECT_FALSE(IpAddress::parse(text)->is_loopback()) << text;
}

TEST(IpAddress, FirstLastNext) {
  struct {
    const char* address;
    int length;
    const char* first;
    const char* last;
  } rows[] = {
      {"198.51.100.7", 32, "198.51.100.7", "198.51.100.7"},
      {"198.51.100.7", 31, "198.51.100.6", "198.51.100.7"},
      {"198.51.100.7", 24, "198.51.100.0", "198.51.100.255"},
      {"198.51.100.7", 13, "198.48.0.0", "198.55.255.255"},
      {"198.51.100.7", 0, "0.0.0.0", "255.255.255.255"},
      {"2001:db8::7", 127, "2001:db8::6", "2001:db8::7"},
      {"2001:db8::7", 33, "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"},
      {"2001:db8::7", 0, "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
  };
  for (const auto& row : rows) {
    auto address = *IpAddress::parse(row.address);
    EXPECT_EQ(address.first_of(row.length).to_string(), row.first)
        << row.address << "/" << row.length;
    EXPECT_EQ(address.last_of(row.length).to_string(), row.last)
        << row.address << "/" << row.length;
  }
  EXPECT_EQ(IpAddress::parse("198.51.255.255")->next()->to_string(), "198.52.0.0");
  EXPECT_EQ(IpAddress::parse("2001:db8::ffff:ffff")->next()->to_string(), "2001:db8::1:0:0");
  EXPECT_FALSE(IpAddress::parse("255.255.255.255")->next());
  EXPECT_FALSE(IpAddress::parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")->next());
}

TEST(IpAddress, Order) {
  const char* sorted[] = {"0.0.0.0", "1.2.3.4", "10.0.0.0",   "255.255.255.255",
                          "::",      "::1",     "2001:db8::", "ff00::"};
  for (std::size_t i = 0; i + 1 < std::size(sorted); ++i)
    EXPECT_LT(*IpAddress::parse(sorted[i]), *IpAddress::parse(sorted[i + 1])) << sorted[i];
}

TEST(Prefix, ParsesAndIsCanonical) {
  struct {
    const char* text;
    const char* want;
    bool exact;
  } rows[] = {
      {"198.51.100.7", "198.51.100.7/32", true},
      {"198.51.100.7/32", "198.51.100.7/32", true},
      {"198.51.100.0/24", "198.51.100.0/24", true},
      {"198.51.100.7/24", "198.51.100.0/24", false},
      {"255.255.255.255/1", "128.0.0.0/1", false},
      {"198.51.100.7/0", "0.0.0.0/0", false},
      {"0.0.0.0/0", "0.0.0.0/0", true},
      {"2001:db8::1", "2001:db8::1/128", true},
      {"2001:DB8::/32", "2001:db8::/32", true},
      {"2001:db8::1/64", "2001:db8::/64", false},
      {"::/0", "::/0", true},
      {"::ffff:198.51.100.0/120", "198.51.100.0/24", true},
      {"::ffff:198.51.100.7", "198.51.100.7/32", true},
      {"::ffff:198.51.100.7/128", "198.51.100.7/32", true},
      {"::ffff:0:0/96", "0.0.0.0/0", true},
  };
  for (const auto& row : rows) {
    auto got = Prefix::parse(row.text);
    ASSERT_TRUE(got) << row.text;
    EXPECT_EQ(got->to_string(), row.want) << row.text;
    EXPECT_EQ(Prefix::parse_exact(row.text).has_value(), row.exact) << row.text;
    EXPECT_EQ(got->network(), got->network().first_of(got->length())) << row.text;
  }
}

TEST(Prefix, Refuses) {
  for (std::string_view text : {"",
                                "/",
                                "/24",
                                "198.51.100.0/",
                                "198.51.100.0/33",
                                "198.51.100.0/024",
                                "198.51.100.0/00",
                                "198.51.100.0/-1",
                                "198.51.100.0/+8",
                                "198.51.100.0/8 ",
                                "198.51.100.0 /8",
                                "198.51.100.0/8/8",
                                "198.51.100.0/255.255.255.0",
                                "198.51.100/24",
                                "198.51.100.0/1000",
                                "198.51.100.0/2x",
                                "::/129",
                                "::/0128",
                                "fe80::%eth0/64",
                                "::ffff:0:0/95",
                                "::ffff:198.51.100.0/24",
                                "any",
                                "*",
                                "198.51.100.1-198.51.100.9"}) {
    EXPECT_FALSE(Prefix::parse(text)) << text;
    EXPECT_FALSE(Prefix::parse_exact(text)) << text;
  }
}

TEST(Prefix, Contains) {
  struct {
    const char* outer;
    const char* inner;
    bool want;
  } rows[] = {
      {"198.51.100.0/24", "198.51.100.0/24", true},
      {"198.51.100.0/24", "198.51.100.255", true},
      {"198.51.100.0/24", "198.51.101.0", false},
      {"198.51.100.0/24", "198.51.100.0/23", false},
      {"198.51.100.128/25", "198.51.100.127", false},
      {"198.48.0.0/13", "198.55.255.255", true},
      {"198.48.0.0/13", "198.56.0.0", false},
      {"0.0.0.0/0", "255.255.255.255", true},
      {"0.0.0.0/0", "::/0", false},
      {"::/0", "0.0.0.0/0", false},
      {"::/0", "198.51.100.7", false},
      {"2001:db8::/33", "2001:db8:7fff::", true},
      {"2001:db8::/33", "2001:db8:8000::", false},
      {"198.51.100.7", "198.51.100.7", true},
  };
  for (const auto& row : rows) {
    auto outer = *Prefix::parse(row.outer), inner = *Prefix::parse(row.inner);
    EXPECT_EQ(outer.contains(inner), row.want) << row.outer << " " << row.inner;
    if (inner.is_host())
      EXPECT_EQ(outer.contains(inner.network()), row.want) << row.outer << " " << row.inner;
    EXPECT_EQ(outer.overlaps(inner), row.want || inner.contains(outer));
    EXPECT_EQ(inner.overlaps(outer), outer.overlaps(inner));
  }
}

TEST(Prefix, Wide) {
  for (auto text : {"198.51.0.0/23", "0.0.0.0/0", "2001:db8::/47", "::/0"})
    EXPECT_TRUE(Prefix::parse(text)->is_wide()) << text;
  for (auto text : {"198.51.100.0/24", "198.51.100.7", "2001:db8::/48", "2001:db8::1"})
    EXPECT_FALSE(Prefix::parse(text)->is_wide()) << text;
}

TEST(Prefix, FirstLastHost) {
  auto prefix = *Prefix::parse("198.51.100.0/24");
  EXPECT_EQ(prefix.first().to_string(), "198.51.100.0");
  EXPECT_EQ(prefix.last().to_string(), "198.51.100.255");
  EXPECT_FALSE(prefix.is_host());
  EXPECT_TRUE(Prefix::host(prefix.last()).is_host());
  EXPECT_EQ(Prefix::host(prefix.last()).to_string(), "198.51.100.255/32");
}

std::vector<Prefix> prefixes(std::initializer_list<const char*> texts) {
  std::vector<Prefix> out;
  for (auto text : texts) out.push_back(*Prefix::parse(text));
  return out;
}

std::vector<std::string> texts(const std::vector<Prefix>& prefixes) {
  std::vector<std::string> out;
  for (const auto& prefix : prefixes) out.push_back(prefix.to_string());
  return out;
}

TEST(Prefix, Subtract) {
  using Texts = std::vector<std::string>;
  struct {
    const char* from;
    std::vector<Prefix> holes;
    Texts want;
  } rows[] = {
      {"198.51.100.0/24", {}, {"198.51.100.0/24"}},
      {"198.51.100.0/24", prefixes({"198.51.100.0/24"}), {}},
      {"198.51.100.0/24", prefixes({"0.0.0.0/0"}), {}},
      {"198.51.100.0/24", prefixes({"198.51.101.0/24", "::/0"}), {"198.51.100.0/24"}},
      {"198.51.100.0/30", prefixes({"198.51.100.1"}), {"198.51.100.0/32", "198.51.100.2/31"}},
      {"198.51.100.0/30",
       prefixes({"198.51.100.1", "198.51.100.2"}),
       {"198.51.100.0/32", "198.51.100.3/32"}},
      {"198.51.100.0/30", prefixes({"198.51.100.0/31", "198.51.100.2/31"}), {}},
      {"198.51.100.0/30", prefixes({"198.51.100.2", "198.51.100.2/31"}), {"198.51.100.0/31"}},
      {"198.51.100.7", prefixes({"198.51.100.7"}), {}},
      {"2001:db8::/126", prefixes({"2001:db8::3"}), {"2001:db8::/127", "2001:db8::2/128"}},
  };
  for (const auto& row : rows)
    EXPECT_EQ(texts(subtract(*Prefix::parse(row.from), row.holes)), row.want) << row.from;
  EXPECT_EQ(subtract(*Prefix::parse("0.0.0.0/0"), prefixes({"198.51.100.7"})).size(), 32u);
  EXPECT_EQ(subtract(*Prefix::parse("::/0"), prefixes({"2001:db8::1"})).size(), 128u);
}

TEST(Prefix, WithoutNested) {
  auto got =
      without_nested(prefixes({"2001:db8::1", "198.51.100.7", "2001:db8::/32", "198.51.100.0/24",
                               "198.51.100.0/25", "198.51.101.0/24", "198.51.100.7"}));
  EXPECT_EQ(texts(got),
            (std::vector<std::string>{"198.51.100.0/24", "198.51.101.0/24", "2001:db8::/32"}))
      << "neighbours are not joined";
  EXPECT_TRUE(without_nested({}).empty());
  EXPECT_EQ(texts(without_nested(prefixes({"::/0", "0.0.0.0/0", "::1", "1.2.3.4"}))),
            (std::vector<std::string>{"0.0.0.0/0", "::/0"}));
}

}  // namespace
}  // namespace knock
