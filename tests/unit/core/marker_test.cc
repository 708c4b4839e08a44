// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/marker.h"

#include <gtest/gtest.h>

#include "base/sha256.h"

namespace knock {
namespace {

const Marker kMarker{
    {0x0123456789abcdef}, Instant::from_seconds(1'795'255'200), {0xfedcba9876543210}};
constexpr const char* kText = "knock:1:0123456789abcdef:006b016ba0:fedcba9876543210";

TEST(Marker, IsTheseBytes) {
  EXPECT_EQ(to_string(kMarker), kText);
  EXPECT_EQ(to_string(kMarker).size(), 52u);
  Marker least{{0}, Instant::from_seconds(0), {0}};
  EXPECT_EQ(to_string(least), "knock:1:0000000000000000:0000000000:0000000000000000");
  Marker most{{UINT64_MAX}, Instant::from_seconds((std::int64_t{1} << 40) - 1), {UINT64_MAX}};
  EXPECT_EQ(to_string(most), "knock:1:ffffffffffffffff:ffffffffff:ffffffffffffffff");
  for (const Marker& marker : {kMarker, least, most})
    EXPECT_EQ(parse_marker(to_string(marker)), marker);
}

TEST(Marker, HoldsOnlyHarmlessCharacters) {
  EXPECT_EQ(to_string(kMarker).find_first_not_of("0123456789abcdefknoc:"), std::string::npos);
}

TEST(Marker, EveryByteCounts) {
  const std::string text = kText;
  ASSERT_TRUE(parse_marker(text));
  for (std::size_t i = 0; i < text.size(); ++i)
    for (char c : {'g', 'A', ' ', ':', '\0', '-'}) {
      if (text[i] == c) continue;
      std::string other = text;
      other[i] = c;
      EXPECT_FALSE(parse_marker(other)) << "byte " << i << " as " << int(c);
    }
}

TEST(Marker, RefusesOtherLengths) {
  const std::string text = kText;
  for (std::string other : {std::string(), text.substr(1), text + "0", text + " ",
                            text.substr(0, text.size() - 1), " " + text})
    EXPECT_FALSE(parse_marker(other)) << other;
}

TEST(Marker, OtherVersionsAreNotOursAndAreSeen) {
  struct Row {
    const char* text;
    bool unknown;
  };
  for (auto [text, unknown] :
       {Row{kText, false}, Row{"knock:2:0123456789abcdef:006b016ba0:fedcba9876543210", true},
        Row{"knock:12:x", true}, Row{"knock:0", false}, Row{"knock:1:short", true},
        Row{"knock:", false}, Row{"knock:x:1", false}, Row{"knocker:1:2", false}, Row{"", false},
        Row{"allow ana", false}, Row{" knock:2:1", false}})
    EXPECT_EQ(is_unknown_marker(text), unknown) << text;
}

TEST(EntryId, IsSixtyFourBitsOfTheDigest) {
  TargetName target("edge");
  Prefix prefix = *Prefix::parse("192.0.2.7");
  EXPECT_EQ(entry_id(target, prefix, "ssh").value,
            leading_64_bits(sha256("edge\n192.0.2.7/32\nssh")));
  EXPECT_EQ(entry_id(target, *Prefix::parse("2001:db8::7"), "ssh").value,
            leading_64_bits(sha256("edge\n2001:db8::7/128\nssh")));
}

TEST(EntryId, DiffersInEachPart) {
  auto id = [](const char* target, const char* prefix, const char* slot) {
    return entry_id(TargetName(target), *Prefix::parse(prefix), slot);
  };
  auto one = id("edge", "192.0.2.7", "ssh");
  EXPECT_NE(one, id("edgf", "192.0.2.7", "ssh"));
  EXPECT_NE(one, id("edge", "192.0.2.8", "ssh"));
  EXPECT_NE(one, id("edge", "192.0.2.0/24", "ssh"));
  EXPECT_NE(one, id("edge", "192.0.2.7", "web"));
  EXPECT_EQ(one, id("edge", "::ffff:192.0.2.7", "ssh"));
}

}  // namespace
}  // namespace knock
