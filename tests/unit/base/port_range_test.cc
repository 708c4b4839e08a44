// SPDX-License-Identifier: Apache-2.0
#include "base/port_range.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace knock {
namespace {

std::vector<PortRange> ports(std::string_view words) {
  std::vector<PortRange> out;
  for (auto word : split(words, ' '))
    if (!word.empty()) out.push_back(*PortRange::parse(word));
  return out;
}

std::string words(const std::vector<PortRange>& ports) {
  std::vector<std::string> out;
  for (const auto& range : ports) out.push_back(range.to_string());
  return join(out, " ");
}

TEST(PortRange, ParsesAndPrints) {
  struct {
    const char* text;
    PortRange want;
    const char* printed;
  } rows[] = {
      {"tcp/443", {Protocol::tcp, 443, 443}, "tcp/443"},
      {"udp/1", {Protocol::udp, 1, 1}, "udp/1"},
      {"tcp/65535", {Protocol::tcp, 65535, 65535}, "tcp/65535"},
      {"udp/60000-61000", {Protocol::udp, 60000, 61000}, "udp/60000-61000"},
      {"tcp/1-65535", {Protocol::tcp, 1, 65535}, "tcp/1-65535"},
      {"tcp/80-80", {Protocol::tcp, 80, 80}, "tcp/80"},
  };
  for (const auto& row : rows) {
    auto got = PortRange::parse(row.text);
    ASSERT_TRUE(got) << row.text;
    EXPECT_EQ(*got, row.want) << row.text;
    EXPECT_EQ(got->to_string(), row.printed);
  }
}

TEST(PortRange, Refuses) {
  for (std::string_view text :
       {"",          "tcp",       "tcp/",    "tcp/0",    "tcp/65536", "tcp/99999999999",
        "tcp/080",   "tcp/-1",    "tcp/+1",  "tcp/80-",  "tcp/-80",   "tcp/90-80",
        "tcp/1-2-3", "tcp/80,81", "tcp/ 80", "tcp/80 ",  " tcp/80",   "TCP/80",
        "sctp/80",   "80",        "tcp80",   "tcp/http", "tcp/0-10",  "tcp/*",
        "tcp//80",   "tcp/0x50"})
    EXPECT_FALSE(PortRange::parse(text)) << text;
  EXPECT_FALSE(PortRange::parse(std::string_view("tcp/80\0", 7)));
}

TEST(PortRange, ContainsAndOverlaps) {
  struct {
    const char *a, *b;
    bool contains, overlaps;
  } rows[] = {
      {"tcp/80", "tcp/80", true, true},       {"tcp/80-90", "tcp/85", true, true},
      {"tcp/85", "tcp/80-90", false, true},   {"tcp/80-90", "tcp/90-95", false, true},
      {"tcp/80-90", "tcp/91", false, false},  {"tcp/80", "udp/80", false, false},
      {"tcp/1-65535", "udp/1", false, false}, {"tcp/1-65535", "tcp/1-65535", true, true},
  };
  for (const auto& row : rows) {
    auto a = *PortRange::parse(row.a), b = *PortRange::parse(row.b);
    EXPECT_EQ(a.contains(b), row.contains) << row.a << " " << row.b;
    EXPECT_EQ(a.overlaps(b), row.overlaps) << row.a << " " << row.b;
    EXPECT_EQ(b.overlaps(a), row.overlaps) << row.a << " " << row.b;
  }
}

TEST(PortRange, Canonical) {
  struct {
    const char *input, *want, *people;
  } rows[] = {
      {"", "", ""},
      {"tcp/443 tcp/80", "tcp/80 tcp/443", "tcp/80,443"},
      {"tcp/80 tcp/81", "tcp/80-81", "tcp/80-81"},
      {"tcp/80 udp/81", "tcp/80 udp/81", "tcp/80 udp/81"},
      {"tcp/80-90 tcp/85-100", "tcp/80-100", "tcp/80-100"},
      {"tcp/80-100 tcp/85-90", "tcp/80-100", "tcp/80-100"},
      {"tcp/80 tcp/80", "tcp/80", "tcp/80"},
      {"tcp/65535 tcp/65534", "tcp/65534-65535", "tcp/65534-65535"},
      {"tcp/1-65535 tcp/5", "tcp/1-65535", "tcp/1-65535"},
      {"udp/53 tcp/22 tcp/443 udp/1000-1010 tcp/80", "tcp/22 tcp/80 tcp/443 udp/53 udp/1000-1010",
       "tcp/22,80,443 udp/53,1000-1010"},
  };
  for (const auto& row : rows) {
    auto got = canonical_ports(ports(row.input));
    EXPECT_EQ(words(got), row.want) << row.input;
    EXPECT_EQ(to_string(got), row.people) << row.input;
  }
}

TEST(PortRange, Subtract) {
  struct {
    const char *from, *holes, *want;
  } rows[] = {
      {"tcp/80", "", "tcp/80"},
      {"tcp/80", "tcp/80", ""},
      {"tcp/80", "udp/80", "tcp/80"},
      {"tcp/80-90", "tcp/80", "tcp/81-90"},
      {"tcp/80-90", "tcp/90", "tcp/80-89"},
      {"tcp/80-90", "tcp/85", "tcp/80-84 tcp/86-90"},
      {"tcp/80-90", "tcp/70-100", ""},
      {"tcp/80-90", "tcp/70-82 tcp/84 tcp/89-95", "tcp/83 tcp/85-88"},
      {"tcp/80-90 tcp/100", "tcp/85-200", "tcp/80-84"},
      {"tcp/1-65535", "tcp/1 tcp/65535", "tcp/2-65534"},
      {"tcp/1-65535", "tcp/1-65535", ""},
      {"", "tcp/1", ""},
  };
  for (const auto& row : rows)
    EXPECT_EQ(words(subtract(ports(row.from), ports(row.holes))), row.want)
        << row.from << " - " << row.holes;
}

TEST(PortRange, ProtocolNames) {
  EXPECT_EQ(to_string(Protocol::tcp), "tcp");
  EXPECT_EQ(to_string(Protocol::udp), "udp");
}

}  // namespace
}  // namespace knock
