// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <gtest/gtest.h>

#include "base/ids.h"

namespace knock {
namespace {

using namespace std::string_view_literals;

TEST(Text, Printable) {
  struct {
    std::string_view text, want;
  } rows[] = {
      {"", ""},
      {"plain ~ text \\ \" '", "plain ~ text \\ \" '"},
      {"J\xc3\xb6rg \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x9a\xaa",
       "J\xc3\xb6rg \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x9a\xaa"},
      {"\0"sv, "\\u{0}"},
      {"a\nb\r\tc", "a\\u{a}b\\u{d}\\u{9}c"},
      {"\x1b[31mred\x1b]0;title\x07", "\\u{1b}[31mred\\u{1b}]0;title\\u{7}"},
      {"\x7f", "\\u{7f}"},
      {"\xc2\x9b"
       "31m",
       "\\u{9b}31m"},  // C1 control sequence introducer
      {"\xe2\x80\xae"
       "evil",
       "\\u{202e}evil"},  // right-to-left override
      {"\xe2\x81\xa6"
       "x"
       "\xe2\x81\xa9",
       "\\u{2066}x\\u{2069}"},  // isolates
      {"\xd8\x9c", "\\u{61c}"},
      {"a\xe2\x80\x8b"
       "b\xe2\x80\x8d"
       "c",
       "a\\u{200b}b\\u{200d}c"},  // zero width
      {"\xef\xbb\xbf"
       "x",
       "\\u{feff}x"},
      {"a\xc2\xad"
       "b",
       "a\\u{ad}b"},
      {"\xe2\x80\xa8\xe2\x80\xa9", "\\u{2028}\\u{2029}"},
      {"\xe3\x85\xa4", "\\u{3164}"},  // a filler that looks like a space
      {"\xe1\x85\x9f", "\\u{115f}"},
      {"\xcd\x8f", "\\u{34f}"},
      {"x\xef\xb8\x8f", "x\\u{fe0f}"},     // variation selector
      {"\xf3\xa0\x81\x81", "\\u{e0041}"},  // tag letter
      {"\xf0\x9d\x85\xb3", "\\u{1d173}"},
      {"\xff", "\\xff"},
      {"a\x80"
       "b",
       "a\\x80b"},
      {"\xc0\xaf", "\\xc0\\xaf"},  // overlong
      {"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},           // surrogate
      {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},  // beyond Unicode
      {"\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"},
      {"\xe2\x80", "\\xe2\\x80"},  // cut off
      {"\xe2\x80"
       "a",
       "\\xe2\\x80"
       "a"},
      {"\xf0\x9f\x9a", "\\xf0\\x9f\\x9a"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(printable(row.text), row.want);
    EXPECT_EQ(printable(printable(row.text)), row.want) << "stable";
    EXPECT_FALSE(invalid_utf8_at(printable(row.text)));
  }
}

TEST(Text, InvalidUtf8At) {
  struct {
    std::string_view text;
    std::optional<std::size_t> want;
  } rows[] = {
      {"", std::nullopt},
      {"abc", std::nullopt},
      {"\0a"sv, std::nullopt},
      {"a\xc3\xb6", std::nullopt},
      {"\xf4\x8f\xbf\xbf", std::nullopt},
      {"\xef\xbf\xbf", std::nullopt},
      {"abc\xff", 3},
      {"a\xc3", 1},
      {"\xc1\x81", 0},
      {"ab\xe0\x9f\x80", 2},
      {"\xf0\x8f\xbf\xbf", 0},
      {"\xed\xbf\xbf", 0},
      {"\x80", 0},
      {"a\xc3\xc3\xb6", 1},
  };
  for (const auto& row : rows)
    EXPECT_EQ(invalid_utf8_at(row.text), row.want) << printable(row.text);
}

TEST(Text, DisplayWidth) {
  EXPECT_EQ(display_width(""), 0u);
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("J\xc3\xb6rg"), 4u);
  EXPECT_EQ(display_width("o\xcc\x88"), 1u) << "a combining mark takes no cell";
  EXPECT_EQ(display_width("\xff\xff"), 2u);
}

TEST(Text, HtmlEscape) {
  EXPECT_EQ(html_escape("<a href=\"x\" title='y'>&amp;</a>"),
            "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;");
  EXPECT_EQ(html_escape("J\xc3\xb6rg"), "J\xc3\xb6rg");
  EXPECT_EQ(html_escape("\xe2\x80\xae\n\xff"), "\\u{202e}\\u{a}\\xff");
}

TEST(Text, DidYouMean) {
  std::vector<std::string> keys{"groups", "networks", "services", "targets",
                                "allow",  "static",   "deny"};
  struct {
    const char* written;
    std::optional<std::string> want;
  } rows[] = {
      {"group", "groups"},      {"gruops", "groups"},  {"network", "networks"},
      {"netwroks", "networks"}, {"target", "targets"}, {"alow", "allow"},
      {"dney", "deny"},         {"groups", "groups"},  {"statics", "static"},
      {"zzz", std::nullopt},    {"", std::nullopt},    {"completely-different", std::nullopt},
  };
  for (const auto& row : rows) EXPECT_EQ(did_you_mean(row.written, keys), row.want) << row.written;
  EXPECT_EQ(did_you_mean("a", {}), std::nullopt);
  EXPECT_EQ(did_you_mean(std::string(65, 'a'), {std::string(65, 'a')}), std::nullopt)
      << "bounded work";
  EXPECT_EQ(did_you_mean("b", {"x"}), std::nullopt) << "nothing in common";
  EXPECT_EQ(did_you_mean("cat", {"car", "cat"}), "cat") << "the nearest";
}

TEST(Text, SplitJoinTrim) {
  using Parts = std::vector<std::string_view>;
  EXPECT_EQ(split("", ','), Parts{""});
  EXPECT_EQ(split("a", ','), Parts{"a"});
  EXPECT_EQ(split("a,,b,", ','), (Parts{"a", "", "b", ""}));
  EXPECT_EQ(join({}, ", "), "");
  EXPECT_EQ(join({"a"}, ", "), "a");
  EXPECT_EQ(join({"a", "", "b"}, ", "), "a, , b");
  EXPECT_EQ(trim("  a b\t\r\n"), "a b");
  EXPECT_EQ(trim(" \t\n"), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Text, HexAndCounted) {
  EXPECT_EQ(hex("\x00\x7f\xff"sv), "007fff");
  EXPECT_EQ(hex(""), "");
  EXPECT_EQ(counted(0, "person", "people"), "0 people");
  EXPECT_EQ(counted(1, "person", "people"), "1 person");
  EXPECT_EQ(counted(2, "person", "people"), "2 people");
}

TEST(Ids, Hex64) {
  struct {
    std::uint64_t value;
    const char* text;
  } rows[] = {{0, "0000000000000000"},
              {1, "0000000000000001"},
              {0xdeadbeef01234567, "deadbeef01234567"},
              {UINT64_MAX, "ffffffffffffffff"}};
  for (const auto& row : rows) {
    EXPECT_EQ(hex64(row.value), row.text);
    EXPECT_EQ(parse_hex64(row.text), row.value);
    EXPECT_EQ(OwnerId{row.value}.to_string(), row.text);
    EXPECT_EQ(EntryId::parse(row.text), EntryId{row.value});
  }
  for (auto text : {"", "0", "000000000000000", "00000000000000000", "DEADBEEF01234567",
                    "000000000000000g", "0x00000000000000", "-000000000000001", " 00000000000000 "})
    EXPECT_FALSE(parse_hex64(text)) << text;
}

TEST(Ids, NamesCompareAndHash) {
  EXPECT_LT(TargetName("a"), TargetName("b"));
  EXPECT_EQ(TargetName("a"), TargetName(std::string("a")));
  EXPECT_TRUE(TargetName().empty());
  EXPECT_EQ(std::hash<TargetName>()(TargetName("a")), std::hash<TargetName>()(TargetName("a")));
  EXPECT_LT(Generation{1}, Generation{2});
}

}  // namespace
}  // namespace knock
