// SPDX-License-Identifier: Apache-2.0
// What a forge answers, and what somebody who answers in its place might: bounded, and refused by
// name.
#include "server/notify/forge_replies.h"

#include <gmock/gmock.h>

namespace knock::notify {
namespace {

using Type = ForgeSettings::Type;
using ::testing::HasSubstr;

const std::string kHead(40, 'a');

std::string github(const std::string& number = "7", const std::string& head = "\"" + kHead + "\"",
                   const std::string& base = "\"main\"",
                   const std::string& updated = "\"2026-11-21T10:04:11Z\"") {
  return R"({"number":)" + number + R"(,"head":{"sha":)" + head + R"(},"base":{"ref":)" + base +
         R"(},"updated_at":)" + updated + R"(,"title":"any","user":{"id":1}})";
}
std::string gitlab(const std::string& number = "7", const std::string& head = "\"" + kHead + "\"") {
  return R"({"iid":)" + number + R"(,"sha":)" + head +
         R"(,"target_branch":"main","updated_at":"2026-11-21T10:04:11.123+01:00"})";
}
std::string many(std::size_t count, const std::string& element) {
  std::string out = "[";
  for (std::size_t i = 0; i < count; ++i) out += (i > 0 ? "," : "") + element;
  return out + "]";
}

TEST(ForgeReplies, PullRequestsOfTheBranch) {
  auto page = "[" + github() + "," + github("8", "\"" + kHead + "\"", "\"release\"") + "," +
              github("9") + "]";
  auto pulls = read_pulls(Type::github, page, "main", 100);
  ASSERT_TRUE(pulls) << pulls.error().text();
  ASSERT_EQ(pulls->size(), 2u);
  EXPECT_EQ((*pulls)[0], (OpenPull{7, kHead, *parse_instant("2026-11-21T10:04:11Z"), 1}));
  EXPECT_EQ((*pulls)[1].number, 9u);
  auto merges =
      read_pulls(Type::gitlab, "[" + gitlab() + "," + gitlab("8", "null") + "]", "main", 100);
  ASSERT_TRUE(merges) << merges.error().text();
  ASSERT_EQ(merges->size(), 1u) << "one that has no commit yet is none";
  EXPECT_EQ((*merges)[0].updated, *parse_instant("2026-11-21T09:04:11.123Z"));
}

TEST(ForgeReplies, WhatIsNotAsTheForgeSaysIsRefused) {
  struct Row {
    const char* name;
    std::string body;
    const char* id;
  };
  const std::string long_head(100'000, 'a');
  for (const auto& row : {
           Row{"nothing", "", "forge.not-json"},
           Row{"a page for people", "<html>", "forge.not-json"},
           Row{"half a list", "[" + github(), "forge.not-json"},
           Row{"a member twice", R"([{"number":1,"number":2}])", "forge.not-json"},
           Row{"too deep", std::string(100'000, '['), "forge.not-json"},
           Row{"not text", "[\"\xff\"]", "forge.not-json"},
           Row{"an object", R"({"message":"Not Found"})", "forge.shape"},
           Row{"a list of numbers", "[1]", "forge.shape"},
           Row{"a list of nothing", "[null]", "forge.shape"},
           Row{"more than were asked for", many(101, github()), "forge.too-many"},
           Row{"100,000", many(100'000, "0"), "forge.too-many"},
           Row{"no number", R"([{"head":{}}])", "forge.shape"},
           Row{"a negative number", "[" + github("-1") + "]", "forge.shape"},
           Row{"the number 0", "[" + github("0") + "]", "forge.shape"},
           Row{"a huge number", "[" + github("99999999999999999999") + "]", "forge.shape"},
           Row{"a number too large", "[" + github("1000000001") + "]", "forge.shape"},
           Row{"a fraction", "[" + github("1.5") + "]", "forge.shape"},
           Row{"a number as text", "[" + github("\"7\"") + "]", "forge.shape"},
           Row{"a head that is none", "[" + github("7", "\"HEAD\"") + "]", "forge.commit"},
           Row{"a head in capitals", "[" + github("7", "\"" + std::string(40, 'A') + "\"") + "]",
               "forge.commit"},
           Row{"a head that is an option", "[" + github("7", "\"--upload-pack=x\"") + "]",
               "forge.commit"},
           Row{"a long head", "[" + github("7", "\"" + long_head + "\"") + "]", "forge.commit"},
           Row{"a head that is nothing", "[" + github("7", "null") + "]", "forge.shape"},
           Row{"no base", "[" + github("7", "\"" + kHead + "\"", "[]") + "]", "forge.shape"},
           Row{"no time", "[" + github("7", "\"" + kHead + "\"", "\"main\"", "\"soon\"") + "]",
               "forge.shape"},
           Row{"a time that is a number",
               "[" + github("7", "\"" + kHead + "\"", "\"main\"", "1") + "]", "forge.shape"},
       }) {
    SCOPED_TRACE(row.name);
    auto pulls = read_pulls(Type::github, row.body, "main", 100);
    if (pulls) {
      ADD_FAILURE() << "accepted";
      continue;
    }
    EXPECT_EQ(pulls.error().kind, ErrorKind::invalid);
    EXPECT_THAT(pulls.error().message, ::testing::StartsWith(std::string(row.id) + ": "));
    for (const char* said : {"<html>", "HEAD", "--upload", "soon", "aaaa"})
      EXPECT_THAT(pulls.error().text(), ::testing::Not(HasSubstr(said))) << "it may be the token";
  }
  for (const auto& bad : {gitlab("-1"), gitlab("7", "7"), gitlab("7", "\"zz\"")})
    EXPECT_FALSE(read_pulls(Type::gitlab, "[" + bad + "]", "main", 100)) << bad;
}

TEST(ForgeReplies, AuthorsAreNumbersOrNobody) {
  struct Row {
    std::string member;
    std::optional<std::uint64_t> author;
  };
  for (const auto& row :
       {Row{"", 0}, Row{",\"WHO\":null", 0}, Row{",\"WHO\":{\"id\":41}", 41},
        Row{",\"WHO\":{\"id\":\"41\"}", {}}, Row{",\"WHO\":{\"id\":0}", {}},
        Row{",\"WHO\":{\"id\":-1}", {}}, Row{",\"WHO\":{\"id\":1e30}", {}}, Row{",\"WHO\":{}", {}},
        Row{",\"WHO\":{\"id\":null}", {}}, Row{",\"WHO\":41", {}}, Row{",\"WHO\":[]", {}}}) {
    for (auto type : {Type::github, Type::gitlab}) {
      SCOPED_TRACE(row.member);
      auto member = row.member;
      if (auto at = member.find("WHO"); at != member.npos)
        member.replace(at, 3, type == Type::github ? "user" : "author");
      auto element = R"({"number":7,"iid":7,"sha":")" + kHead + R"(","head":{"sha":")" + kHead +
                     R"("},"base":{"ref":"main"},"target_branch":"main",)" +
                     R"("updated_at":"2026-11-21T10:04:11Z")" + member + "}";
      auto pulls = read_pulls(type, "[" + element + "]", "main", 1);
      ASSERT_EQ(pulls.has_value(), row.author.has_value());
      if (pulls) {
        EXPECT_EQ(pulls->at(0).author, *row.author);
      } else {
        EXPECT_THAT(pulls.error().message, ::testing::StartsWith("forge.shape: "));
      }
    }
  }
}

TEST(ForgeReplies, CommentsAndWhoWroteThem) {
  auto comments = read_comments(
      Type::github, R"([{"id":1,"user":{"id":41},"body":"x"},{"id":2,"user":null,"body":null}])",
      100);
  ASSERT_TRUE(comments) << comments.error().text();
  ASSERT_EQ(comments->size(), 2u);
  EXPECT_EQ((*comments)[0].author, 41u);
  EXPECT_EQ((*comments)[1].author, 0u) << "an account that is gone";
  EXPECT_EQ(
      read_comments(Type::gitlab, R"([{"id":1,"author":{"id":41},"body":"x"}])", 100)->at(0).body,
      "x");
  for (const char* bad :
       {R"([{"id":-1,"user":{"id":1},"body":""}])", R"([{"id":1,"user":7}])",
        R"([{"id":1,"user":{"id":"41"}}])", R"([{"id":1,"body":[]}])", "{}", "[[]]"})
    EXPECT_FALSE(read_comments(Type::github, bad, 100)) << bad;
  EXPECT_EQ(read_id(R"({"id":41,"login":"bot"})").value(), 41u);
  for (const char* bad : {"", "[]", R"({"id":null})", R"({"id":0})", R"({"id":1e30})"})
    EXPECT_FALSE(read_id(bad)) << bad;
}

TEST(ForgeReplies, HowLongItWantsToBeLeftAlone) {
  const Instant now = Instant::from_seconds(1'700'000'000);
  struct Row {
    int status;
    std::vector<std::pair<std::string, std::string>> headers;
    bool limited;
    std::optional<std::int64_t> seconds;
  };
  for (const auto& row : {
           Row{200, {}, false, {}},
           Row{403, {}, false, {}},
           Row{429, {}, true, {}},
           Row{429, {{"retry-after", "30"}}, true, 30},
           Row{403, {{"retry-after", "60"}}, true, 60},
           Row{403,
               {{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "1700000100"}},
               true,
               101},
           Row{429, {{"ratelimit-reset", "1700000010"}}, true, 11},
           Row{429, {{"x-ratelimit-reset", "1600000000"}}, true, {}},  // over: it says nothing
           Row{429, {{"retry-after", "7"}, {"x-ratelimit-reset", "1700000100"}}, true, 7},
           Row{429, {{"retry-after", "soon"}, {"x-ratelimit-reset", "1700000100"}}, true, 101},
           // What GitHub tells beside each answer silences nobody.
           Row{502, {{"x-ratelimit-reset", "1700003000"}}, false, {}},
           Row{401, {{"x-ratelimit-reset", "1700003000"}}, false, {}},
           Row{502,
               {{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "1700003000"}},
               false,
               {}},
           Row{403,
               {{"x-ratelimit-remaining", "4999"}, {"x-ratelimit-reset", "1700003000"}},
               false,
               {}},
           Row{404, {{"retry-after", "3000"}}, false, {}},
           Row{502, {{"retry-after", "3000"}}, false, {}},
           Row{503, {{"retry-after", "30"}}, false, 30},
           Row{503, {{"retry-after", "soon"}, {"x-ratelimit-reset", "1700003000"}}, false, {}},
           Row{429, {{"retry-after", "99999999999"}}, true, 3600},
           Row{429, {{"retry-after", "999999999999999999999999"}}, true, {}},
           Row{429, {{"retry-after", "-5"}}, true, {}},
           Row{429, {{"retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"}}, true, {}},
           Row{429, {{"x-ratelimit-reset", "9223372036854775807"}}, true, 3600},
       }) {
    net::IncomingResponse answer{row.status, row.headers, ""};
    EXPECT_EQ(is_rate_limited(answer), row.limited);
    auto wait = wait_asked_for(answer, now);
    EXPECT_EQ(wait ? std::optional(wait->ms / 1000) : std::nullopt, row.seconds);
  }
}

TEST(ForgeReplies, WhetherMoreFollows) {
  EXPECT_FALSE(has_next_page({200, {}, ""}));
  EXPECT_TRUE(has_next_page({200, {{"link", "<https://x/?page=2>; rel=\"next\""}}, ""}));
  EXPECT_FALSE(has_next_page({200, {{"link", "<https://x/?page=1>; rel=\"prev\""}}, ""}));
  EXPECT_TRUE(has_next_page({200, {{"x-next-page", "2"}}, ""}));
  EXPECT_FALSE(has_next_page({200, {{"x-next-page", ""}}, ""}));
}

}  // namespace
}  // namespace knock::notify
