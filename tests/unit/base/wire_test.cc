// SPDX-License-Identifier: Apache-2.0
// The bytes between roles: what is written is read, and no prefix or change of length of a frame
// is.
#include "schemas/role/wire.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace knock::wire {
namespace {

struct Sample {
  std::string frame, body;
};

Sample sample() {
  Writer writer(7);
  writer.u8(0xab);
  writer.u16(0x1234);
  writer.u32(0xdeadbeef);
  writer.u64(0x0102030405060708);
  writer.boolean(true);
  writer.text(std::string_view("a\0b", 3));
  writer.instant(Instant{-5});
  writer.address(*IpAddress::parse("198.51.100.7"));
  writer.prefix(*Prefix::parse("2001:db8::/32"));
  auto frame = std::move(writer).finish();
  return {frame, frame.substr(4)};
}

void read_all(Reader& reader) {
  (void)reader.u8();
  (void)reader.u16();
  (void)reader.u32();
  (void)reader.u64();
  (void)reader.boolean();
  (void)reader.text();
  (void)reader.instant();
  (void)reader.address();
  (void)reader.prefix();
}

TEST(Wire, BytesAreWhatTheHeaderDraws) {
  EXPECT_EQ(hex(sample().frame),
            "00000037"  // 55 bytes follow
            "07"
            "ab"
            "1234"
            "deadbeef"
            "0102030405060708"
            "01"
            "00000003610062"
            "fffffffffffffffb"
            "04c6336407"
            "0620010db8000000000000000000000000"
            "20");
}

TEST(Wire, ReadsWhatWasWritten) {
  auto body = sample().body;
  Reader reader(body);
  EXPECT_EQ(reader.kind(), 7);
  EXPECT_EQ(reader.u8(), 0xab);
  EXPECT_EQ(reader.u16(), 0x1234);
  EXPECT_EQ(reader.u32(), 0xdeadbeefu);
  EXPECT_EQ(reader.u64(), 0x0102030405060708u);
  EXPECT_TRUE(reader.boolean());
  EXPECT_EQ(reader.text(), std::string("a\0b", 3));
  EXPECT_EQ(reader.instant(), Instant{-5});
  EXPECT_EQ(reader.address().to_string(), "198.51.100.7");
  EXPECT_FALSE(reader.ok()) << "not at the end yet";
  EXPECT_EQ(reader.prefix().to_string(), "2001:db8::/32");
  EXPECT_TRUE(reader.ok());
  EXPECT_FALSE(reader.bad());
}

TEST(Wire, EveryCutIsNoticed) {
  auto body = sample().body;
  for (std::size_t n = 0; n < body.size(); ++n) {
    Reader reader(std::string_view(body).substr(0, n));
    read_all(reader);
    EXPECT_FALSE(reader.ok()) << n;
  }
  body += 'x';
  Reader longer(body);
  read_all(longer);
  EXPECT_FALSE(longer.ok()) << "left-over bytes";
  EXPECT_FALSE(longer.bad());
}

std::string with_kind(std::string_view fields) { return '\1' + std::string(fields); }

TEST(Wire, OddValuesAreRefused) {
  using namespace std::string_view_literals;
  struct {
    const char* name;
    std::string_view fields;
    void (*read)(Reader&);
  } rows[] = {
      {"boolean 2", "\2"sv, [](Reader& r) { (void)r.boolean(); }},
      {"text longer than the frame", "\0\0\0\5abcd"sv, [](Reader& r) { (void)r.text(); }},
      {"text longer than allowed", "\0\0\0\4abcd"sv, [](Reader& r) { (void)r.text(3); }},
      {"text of 4 GiB", "\xff\xff\xff\xff"sv, [](Reader& r) { (void)r.text(); }},
      {"family 5", "\5\1\2\3\4"sv, [](Reader& r) { (void)r.address(); }},
      {"address cut", "\4\1\2\3"sv, [](Reader& r) { (void)r.address(); }},
      {"mapped address", "\6\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4"sv,
       [](Reader& r) { (void)r.address(); }},
      {"length 33", "\4\1\2\3\4\x21"sv, [](Reader& r) { (void)r.prefix(); }},
      {"host bits", "\4\1\2\3\4\x18"sv, [](Reader& r) { (void)r.prefix(); }},
      {"too many elements", "\0\0\0\3abc"sv, [](Reader& r) { (void)r.count(2); }},
      {"more elements than bytes", "\0\0\0\4abc"sv, [](Reader& r) { (void)r.count(100); }},
      {"more wide elements than bytes", "\0\0\0\2abc"sv, [](Reader& r) { (void)r.count(100, 2); }},
      {"count of 4 G", "\xff\xff\xff\xff"sv, [](Reader& r) { (void)r.count(UINT32_MAX); }},
  };
  for (const auto& row : rows) {
    auto body = with_kind(row.fields);
    Reader reader(body);
    row.read(reader);
    EXPECT_TRUE(reader.bad()) << row.name;
    EXPECT_FALSE(reader.ok()) << row.name;
    EXPECT_EQ(reader.u8(), 0) << "zeros from then on";
    EXPECT_EQ(reader.text(), "");
  }
}

TEST(Wire, SpoiltAndEmpty) {
  Reader empty("");
  EXPECT_TRUE(empty.bad());
  EXPECT_EQ(empty.kind(), 0);
  auto body = with_kind("");
  Reader fine(body);
  EXPECT_TRUE(fine.ok());
  fine.spoil();
  EXPECT_FALSE(fine.ok());
}

}  // namespace
}  // namespace knock::wire
