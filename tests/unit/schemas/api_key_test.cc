// SPDX-License-Identifier: Apache-2.0
#include "schemas/key/api_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>

namespace knock {
namespace {

using ::testing::HasSubstr;

class CountedRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (auto& byte : out) byte = next_++;
  }

 private:
  std::uint8_t next_ = 0;
};

TEST(ApiKeyToken, is_its_secret_and_a_check_that_scanners_can_compute) {
  CountedRandom random;
  auto made = make_token(random);
  std::string text(made.token.reveal());
  // A promise to secret scanners; the same bytes give the same token in every version.
  EXPECT_EQ(text.substr(0, 49), "knock_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
  EXPECT_TRUE(std::regex_match(text, std::regex("knock_[A-Za-z0-9_-]{48}")));
  std::string secret;
  for (char c = 0; c < 32; ++c) secret += c;
  EXPECT_EQ(made.hash, sha256(secret));
  ASSERT_TRUE(hash_of_token(text));
  EXPECT_EQ(*hash_of_token(text), made.hash);
  EXPECT_NE(std::string(make_token(random).token.reveal()), text);
}

TEST(ApiKeyToken, is_refused_when_one_character_is_another_one) {
  SystemRandom random;
  std::string text(make_token(random).token.reveal());
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto other = text;
    other[i] = other[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(hash_of_token(other)) << i;
  }
}

TEST(ApiKeyToken, is_refused_in_any_other_shape) {
  SystemRandom random;
  std::string text(make_token(random).token.reveal());
  auto body = text.substr(6);
  std::string upper = "KNOCK_" + body;
  for (const std::string& row :
       {std::string(), std::string("knock_"), body, upper, text + "A", text.substr(0, 53),
        " " + text.substr(0, 53), text + " ", text + std::string(1, '\0'), "knock-" + body,
        "knock_" + std::string(48, '='), "knock_" + std::string(48, 'A'), std::string(54, '\xff'),
        "knock_" + body.substr(0, 47) + "+", "knock_" + body.substr(0, 47) + "/",
        std::string(1 << 20, 'A')})
    EXPECT_FALSE(hash_of_token(row)) << row.substr(0, 80);
}

TEST(ApiKeyScopes, are_read_as_they_are_written) {
  auto all = key_scopes_from({"session:write", "plan:read", "plan:people", "apply", "audit:read"});
  ASSERT_TRUE(all);
  EXPECT_EQ(all->size(), 5u);
  EXPECT_TRUE(std::is_sorted(all->begin(), all->end()));
  EXPECT_EQ(key_scopes_from({"plan:read", "plan:read"})->size(), 1u);
  for (KeyScope scope : *all) EXPECT_EQ(key_scope_from(to_string(scope)), scope);
}

TEST(ApiKeyScopes, that_do_not_exist_are_named_with_what_was_meant) {
  for (const char* row : {"", "*", "admin", "plan", "Plan:Read", "plan:read ", "plan:write", "all"})
    EXPECT_FALSE(key_scopes_from({row})) << row;
  EXPECT_FALSE(key_scopes_from({}));
  EXPECT_THAT(key_scopes_from({"plan:reed"}).error().message, HasSubstr("did you mean plan:read?"));
  EXPECT_THAT(key_scopes_from({"everything"}).error().message, HasSubstr("session:write"));
}

TEST(ApiKeyNetworks, are_exact) {
  auto some = key_networks_from({"203.0.113.0/24", "203.0.113.7", "2001:db8::/32"});
  ASSERT_TRUE(some);
  EXPECT_EQ(some->size(), 2u) << "one is inside another";
  EXPECT_THAT(key_networks_from({"203.0.113.7/24"}).error().message, HasSubstr("203.0.113.0/24"));
  for (const char* row : {"", "anywhere", "203.0.113.0/33", "203.0.113", "fe80::1%eth0", "::/129"})
    EXPECT_FALSE(key_networks_from({row})) << row;
  EXPECT_FALSE(key_networks_from(std::vector<std::string>(65, "203.0.113.7")));
}

TEST(ApiKey, allows_what_it_names_and_nothing_beside) {
  ApiKey key;
  key.scopes = {KeyScope::plan_people};
  EXPECT_TRUE(key.allows(KeyScope::plan_people));
  EXPECT_FALSE(key.allows(KeyScope::plan_read)) << "no scope includes another";
  auto here = *IpAddress::parse("203.0.113.7"), mapped = *IpAddress::parse("::ffff:203.0.113.7");
  EXPECT_TRUE(key.allows_from(here));
  key.from = {*Prefix::parse("203.0.113.0/24")};
  EXPECT_TRUE(key.allows_from(here));
  EXPECT_TRUE(key.allows_from(mapped));
  EXPECT_FALSE(key.allows_from(*IpAddress::parse("203.0.114.7")));
  EXPECT_FALSE(key.allows_from(*IpAddress::parse("2001:db8::7")));
}

TEST(ApiKeyName, can_stand_in_a_log_as_it_is) {
  for (const std::string& row : {std::string("ci-plan"), std::string("a"), std::string("0"),
                                 std::string("ci.main_2"), std::string(64, 'a')})
    EXPECT_TRUE(is_key_name(row)) << row;
  for (const std::string& row :
       {std::string(), std::string("-a"), std::string("CI"), std::string("a b"), std::string("a\n"),
        std::string("\xC3\xA9"), std::string(65, 'a'), std::string("a/b"), std::string("a\0b", 3)})
    EXPECT_FALSE(is_key_name(row)) << row;
}

}  // namespace
}  // namespace knock
