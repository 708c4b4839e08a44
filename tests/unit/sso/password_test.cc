// SPDX-License-Identifier: Apache-2.0
#include "sso/password.h"

#include <gtest/gtest.h>
#include <sodium.h>
#include <time.h>

#include <algorithm>
#include <vector>

namespace knock::sso {
namespace {

Secret secret(std::string text) { return Secret(std::move(text)); }

TEST(Password, the_right_one_and_no_other) {
  auto hash = hash_password(secret("correct horse battery"));
  ASSERT_TRUE(hash) << hash.error().text();
  EXPECT_TRUE(hash->starts_with("$argon2id$v=19$m=65536,t=2,p=1$")) << *hash;
  EXPECT_TRUE(check_password(*hash, secret("correct horse battery")));
  for (auto wrong : {"", "correct horse batter", "correct horse battery ", "Correct horse battery"})
    EXPECT_FALSE(check_password(*hash, secret(wrong))) << wrong;
  EXPECT_FALSE(check_password(*hash, secret(std::string("correct horse battery\0", 22))));
  EXPECT_FALSE(needs_rehash(*hash));
}

TEST(Password, two_hashes_of_one_password_differ) {
  EXPECT_NE(hash_password(secret("same")).value(), hash_password(secret("same")).value());
}

TEST(Password, empty_and_oversized_are_refused) {
  EXPECT_EQ(hash_password(secret("")).error().kind, ErrorKind::invalid);
  EXPECT_EQ(hash_password(secret(std::string(kLongestPassword + 1, 'x'))).error().kind,
            ErrorKind::invalid);
  auto longest = hash_password(secret(std::string(kLongestPassword, 'x')));
  ASSERT_TRUE(longest);
  EXPECT_TRUE(check_password(*longest, secret(std::string(kLongestPassword, 'x'))));
  EXPECT_FALSE(check_password(*longest, secret(std::string(kLongestPassword + 1, 'x'))));
}

TEST(Password, what_is_not_a_hash_of_ours_says_no) {
  auto real = hash_password(secret("x")).value();
  auto expensive = real;
  expensive.replace(expensive.find("m=65536"), 7, "m=9999999");
  auto endless = real;
  endless.replace(endless.find("t=2"), 3, "t=4000000");
  for (auto& hash :
       std::vector<std::string>{"", "x", "plain:x", "$argon2i$v=19$m=65536,t=2,p=1$AAAA$AAAA",
                                expensive, endless, real + "$", real.substr(0, real.size() - 1),
                                real + std::string(1, '\0'), std::string(200, '$')}) {
    EXPECT_FALSE(check_password(hash, secret("x"))) << hash;
  }
  EXPECT_TRUE(needs_rehash(""));
  EXPECT_TRUE(needs_rehash(expensive));
}

TEST(Password, cheaper_parameters_ask_for_a_new_hash_but_still_open) {
  char cheap[crypto_pwhash_argon2id_STRBYTES];
  ASSERT_EQ(crypto_pwhash_argon2id_str(cheap, "old", 3, 3, 8u << 20), 0);
  EXPECT_TRUE(needs_rehash(cheap));
  EXPECT_TRUE(check_password(cheap, secret("old")));
  EXPECT_FALSE(check_password(cheap, secret("new")));
}

/// Processor time of this thread, so that a busy machine does not decide the comparison.
double spent_ms(auto&& work) {
  timespec a, b;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
  work();
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
  return double(b.tv_sec - a.tv_sec) * 1e3 + double(b.tv_nsec - a.tv_nsec) / 1e6;
}

TEST(Password, an_unknown_user_costs_as_much_as_a_known_one) {
  auto hash = hash_password(secret("x")).value();
  std::vector<double> known, unknown;
  for (int i = 0; i < 7; ++i) {
    known.push_back(spent_ms([&] { EXPECT_FALSE(check_password(hash, secret("y"))); }));
    unknown.push_back(spent_ms([&] { EXPECT_FALSE(check_password("", secret("y"))); }));
  }
  auto a = *std::min_element(known.begin(), known.end());
  auto b = *std::min_element(unknown.begin(), unknown.end());
  EXPECT_GT(b, a * 0.7);
  EXPECT_LT(b, a * 1.4);
}

}  // namespace
}  // namespace knock::sso
