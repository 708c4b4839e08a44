// SPDX-License-Identifier: Apache-2.0
#include "schemas/json/strict_json.h"

#include <gtest/gtest.h>

#include "schemas/json/json_writer.h"
#include "schemas/json/object_reader.h"

namespace knock {
namespace {

std::string reason_of(std::string_view text) {
  auto value = parse_strict(text);
  if (value) return "";
  return value.error().message.substr(0, value.error().message.find(':'));
}

std::string nested(int depth) {
  return std::string(std::size_t(depth), '[') + std::string(std::size_t(depth), ']');
}

TEST(StrictJson, RefusesByReason) {
  struct Row {
    const char* name;
    std::string text;
    const char* want;
  };
  const Row rows[] = {
      {"an object", R"({"a":1,"b":[true,null,"x"]})", ""},
      {"same name in two objects", R"({"a":{"x":1},"b":{"x":1}})", ""},
      {"duplicate", R"({"a":1,"a":2})", "json.duplicate"},
      {"duplicate inside", R"({"o":[{"a":1,"b":0,"a":2}]})", "json.duplicate"},
      {"duplicate by escape", "{\"a\":1,\"\\u0061\":2}", "json.duplicate"},
      {"duplicate empty names", R"({"":1,"":2})", "json.duplicate"},
      {"two documents", "{} {}", "json.syntax"},
      {"nothing", "", "json.syntax"},
      {"cut short", R"({"a":)", "json.syntax"},
      {"comment", "{/*x*/}", "json.syntax"},
      {"trailing comma", "[1,]", "json.syntax"},
      {"invalid UTF-8", "\"\xff\"", "json.syntax"},
      {"lone surrogate", R"("\ud800")", "json.syntax"},
      {"raw control character", "\"\n\"", "json.syntax"},
      {"NUL after the document", std::string("{}\0", 3), "json.syntax"},
      {"depth 32", nested(32), ""},
      {"depth 33", nested(33), "json.depth"},
  };
  for (const auto& row : rows) EXPECT_EQ(reason_of(row.text), row.want) << row.name;
}

TEST(StrictJson, KeepsValues) {
  auto value = parse_strict(R"({"big":18446744073709551615,"n":-3,"s":"a\u00e9\n"})");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->at("big").as_uint64(), UINT64_MAX);
  EXPECT_EQ(value->at("n").as_int64(), -3);
  EXPECT_EQ(value->at("s").as_string(), "aé\n");
}

TEST(ObjectReader, NamesTheFirstProblem) {
  struct Row {
    const char* text;
    const char* want;
  };
  const Row rows[] = {
      {R"({"t":"x","n":1,"at":"2026-11-21T10:04:11Z"})", ""},
      {R"([])", "json.type: here: must be a JSON object"},
      {R"({"t":"x","n":1})", "json.missing: here: \"at\" is missing"},
      {R"({"t":1,"n":1,"at":"2026-11-21T10:04:11Z"})", "json.type: here: \"t\" must be a string"},
      {R"({"t":"x","n":1.5,"at":"2026-11-21T10:04:11Z"})",
       "json.type: here: \"n\" must be an integer"},
      {R"({"t":"x","n":10,"at":"2026-11-21T10:04:11Z"})",
       "json.value: here: \"n\" is 10, which is not within 0 … 9"},
      {R"({"t":"x","n":1,"at":"2026-11-21"})",
       "json.value: here: \"at\" is \"2026-11-21\", which is not an RFC 3339 time like "
       "2026-11-21T10:04:11Z"},
      {R"({"t":"x","n":1,"at":"2026-11-21T10:04:11Z","u":0})",
       "json.unknown: here: \"u\" is not a member this version knows; remove or correct it"},
  };
  for (const auto& row : rows) {
    auto value = parse_strict(row.text);
    ASSERT_TRUE(value) << row.text;
    ObjectReader in(*value, "here");
    in.text("t");
    in.integer("n", 0, 9);
    in.time("at");
    auto status = in.finish();
    EXPECT_EQ(status ? "" : status.error().message, row.want) << row.text;
  }
}

TEST(JsonWriter, WritesWhatTheParserReads) {
  std::string text;
  JsonWriter out([&](std::string_view piece) { text += piece; });
  out.begin_object().text("a", "q\"\\\n\x01é").key("list").begin_list().number(UINT64_MAX);
  out.flag(true).begin_object().end_object().end_list().text("bad", "\xff!").end_object();
  out.flush();
  EXPECT_EQ(text,
            "{\"a\":\"q\\\"\\\\\\n\\u0001é\",\"list\":[18446744073709551615,true,{}],"
            "\"bad\":\"\\\\xff!\"}");
  EXPECT_TRUE(parse_strict(text));
}

TEST(JsonWriter, TimesAreExactAndClamped) {
  EXPECT_EQ(exact_time(Instant::from_seconds(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(exact_time(Instant{1}), "1970-01-01T00:00:00.001Z");
  EXPECT_EQ(exact_time(Instant::max()), "9999-12-31T23:59:59.999Z");
  EXPECT_EQ(exact_time(Instant{INT64_MIN}), "0000-01-01T00:00:00Z");
  EXPECT_EQ(parse_instant(exact_time(Instant::max())), Instant{253'402'300'799'999});
}

}  // namespace
}  // namespace knock
