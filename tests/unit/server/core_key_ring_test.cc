// SPDX-License-Identifier: Apache-2.0
// What a token is good for, and what every other one is told and leaves behind.
#include <gmock/gmock.h>

#include "server/core/key_ring.h"
#include "tests/unit/server/core_fixture.h"

namespace knock::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class KeyRingTest : public CoreFixture {
 protected:
  KeyRingTest() { EXPECT_TRUE(ring_.load()); }

  std::string add(const KeyRequest& request) {
    auto made = ring_.add("cli uid=0", request);
    EXPECT_TRUE(made) << made.error().text();
    return std::string(made->token.reveal());
  }
  /// The code of the refusal; "" when the token is good.
  std::string use(const std::string& token, const std::string& from = "203.0.113.7",
                  KeyScope scope = KeyScope::plan_read) {
    std::vector<KeyScope> needed{scope};
    auto checked = ring_.check(token, address(from), needed);
    auto* no = std::get_if<KeyRefusal>(&checked);
    last_ = no != nullptr ? *no : KeyRefusal{};
    return last_.code;
  }
  template <class Wanted>
  std::vector<Wanted> facts() {
    std::vector<Wanted> out;
    auto records = store_->records(0, 5000).value();
    for (const auto& record : records)
      if (auto fact = decode(record.fact); fact && std::holds_alternative<Wanted>(*fact))
        out.push_back(std::get<Wanted>(*fact));
    return out;
  }

  KeyRing ring_{*store_, clock_, random_};
  KeyRefusal last_;
};

TEST_F(KeyRingTest, a_token_is_good_for_its_scopes_from_its_networks_in_its_time) {
  auto token = add({"ci", {"plan:read", "apply"}, {"203.0.113.0/24"}, Duration::hours(24)});
  EXPECT_EQ(use(token), "");
  EXPECT_EQ(use(token, "203.0.113.7", KeyScope::apply), "");
  EXPECT_EQ(use(token, "203.0.113.7", KeyScope::plan_people), "key.scope");
  EXPECT_THAT(last_.sentence, HasSubstr("plan:people"));
  EXPECT_EQ(use(token, "203.0.113.7", KeyScope::session_write), "key.scope");
  EXPECT_EQ(use(token, "203.0.113.7", KeyScope::audit_read), "key.scope");
  EXPECT_EQ(use(token, "203.0.114.7"), "key.network");
  EXPECT_EQ(use(token, "2001:db8::7"), "key.network");
  clock_.advance(Duration::hours(24) - Duration::seconds(1));
  EXPECT_EQ(use(token), "");
  clock_.advance(Duration::seconds(1));
  EXPECT_EQ(use(token), "key.expired");
  EXPECT_THAT(last_.sentence, HasSubstr("knock key rotate ci"));
}

TEST_F(KeyRingTest, no_other_text_is_a_token_and_all_are_told_the_same) {
  auto token = add({"ci", {"plan:read"}, {}, kUsualKeyLife});
  auto other = std::string(make_token(random_).token.reveal());
  std::vector<std::string> sentences;
  for (const std::string& row : {std::string(), other, token + "A", token.substr(1), "ci" + token,
                                 std::string("' OR 1=1 --"), std::string(1 << 16, 'k')}) {
    EXPECT_EQ(use(row), "key.unknown") << row.substr(0, 60);
    sentences.push_back(last_.sentence);
    EXPECT_EQ(last_.key, "");
  }
  EXPECT_EQ(std::count(sentences.begin(), sentences.end(), sentences[0]),
            std::ptrdiff_t(sentences.size()));
}

TEST_F(KeyRingTest, what_is_kept_and_recorded_holds_no_token) {
  auto token = add({"ci", {"plan:read"}, {"203.0.113.0/24"}, kUsualKeyLife});
  (void)use(token, "198.51.100.1");
  store_->records(0, 100).value();
  auto database =
      read_file(folder_.path() + "/knock.db") + read_file(folder_.path() + "/knock.db-wal");
  EXPECT_THAT(database, HasSubstr("key.refused"));
  EXPECT_THAT(database, Not(HasSubstr(token.substr(6, 20))));
  std::string secret;
  EXPECT_TRUE(base64url_decode(token.substr(6), secret));
  EXPECT_THAT(database, Not(HasSubstr(secret.substr(0, 32))));
}

TEST_F(KeyRingTest, each_change_and_each_refusal_is_one_fact) {
  auto token = add({"ci", {"plan:read"}, {"203.0.113.0/24"}, kUsualKeyLife});
  EXPECT_EQ(use(token), "");
  EXPECT_EQ(use(token, "198.51.100.1"), "key.network");
  EXPECT_EQ(use("knock_no"), "key.unknown");
  EXPECT_TRUE(ring_.rotate("cli uid=0", "ci", std::nullopt));
  EXPECT_TRUE(ring_.revoke("cli uid=0", "ci"));
  std::string said;
  for (const auto& fact : facts<KeyChanged>()) said += fact.key + " " + fact.what + ", ";
  for (const auto& fact : facts<KeyRefused>())
    said += fact.code + " of '" + fact.key + "' at " + fact.address + ", ";
  EXPECT_EQ(said,
            "ci added, ci rotated, ci revoked, key.network of 'ci' at 198.51.100.1, "
            "key.unknown of '' at 203.0.113.7, ");
}

TEST_F(KeyRingTest, a_rotated_or_revoked_token_ends_at_once_and_stays_ended) {
  auto first = add({"ci", {"plan:read"}, {}, Duration::hours(48)});
  clock_.advance(Duration::hours(1));
  auto made = ring_.rotate("cli uid=0", "ci", std::nullopt);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->key.expires - made->key.created.floor_to_second(), Duration::hours(48));
  auto second = std::string(made->token.reveal());
  EXPECT_EQ(use(first), "key.unknown");
  EXPECT_EQ(use(second), "");
  EXPECT_TRUE(ring_.revoke("cli uid=0", "ci"));
  EXPECT_EQ(use(second), "key.unknown");
  KeyRing again(*store_, clock_, random_);
  ASSERT_TRUE(again.load());
  EXPECT_TRUE(again.list().empty());
  EXPECT_EQ(ring_.revoke("cli uid=0", "ci").error().kind, ErrorKind::not_found);
  EXPECT_EQ(ring_.rotate("cli uid=0", "ci", std::nullopt).error().kind, ErrorKind::not_found);
}

TEST_F(KeyRingTest, a_ring_that_was_not_read_knows_nobody) {
  auto token = add({"ci", {"plan:read"}, {}, kUsualKeyLife});
  KeyRing unread(*store_, clock_, random_);
  std::vector<KeyScope> needed{KeyScope::plan_read};
  EXPECT_TRUE(
      std::holds_alternative<KeyRefusal>(unread.check(token, address("203.0.113.7"), needed)));
}

TEST_F(KeyRingTest, what_makes_no_key_is_refused) {
  add({"ci", {"plan:read"}, {}, kUsualKeyLife});
  struct Row {
    const char* why;
    KeyRequest request;
  };
  const Row rows[] = {
      {"its name is taken", {"ci", {"plan:read"}, {}, kUsualKeyLife}},
      {"no name", {"", {"plan:read"}, {}, kUsualKeyLife}},
      {"a name that breaks a line", {"a\nb", {"plan:read"}, {}, kUsualKeyLife}},
      {"no scope", {"a", {}, {}, kUsualKeyLife}},
      {"a scope that is none", {"a", {"plan:*"}, {}, kUsualKeyLife}},
      {"a network with host bits", {"a", {"plan:read"}, {"203.0.113.7/24"}, kUsualKeyLife}},
      {"no life", {"a", {"plan:read"}, {}, Duration{0}}},
      {"a life backwards", {"a", {"plan:read"}, {}, Duration{-1}}},
      {"more than a year", {"a", {"plan:read"}, {}, Duration::hours(24 * 367)}},
  };
  for (const auto& row : rows) EXPECT_FALSE(ring_.add("cli uid=0", row.request)) << row.why;
  EXPECT_FALSE(ring_.rotate("cli uid=0", "ci", Duration::hours(24 * 367)));
  EXPECT_EQ(ring_.list().size(), 1u);
  EXPECT_TRUE(ring_.add("cli uid=0", {"b", {"plan:read"}, {}, kLongestKeyLife}));
}

TEST_F(KeyRingTest, a_use_is_remembered_without_a_record_and_seldom_written) {
  auto token = add({"ci", {"plan:read"}, {}, kUsualKeyLife});
  auto head = store_->head().value();
  EXPECT_FALSE(store_->keys().value()[0].last_used);
  auto first = clock_.now();
  EXPECT_EQ(use(token), "");
  clock_.advance(Duration::minutes(9));
  EXPECT_EQ(use(token), "");
  EXPECT_EQ(store_->keys().value()[0].last_used, first);
  clock_.advance(Duration::minutes(1));
  EXPECT_EQ(use(token), "");
  EXPECT_EQ(store_->keys().value()[0].last_used, clock_.now());
  EXPECT_EQ(store_->head().value(), head);
}

TEST_F(KeyRingTest, guessing_is_slow_for_an_address_and_harms_no_other) {
  auto token = add({"ci", {"plan:read"}, {}, kUsualKeyLife});
  int unknown = 0;
  while (use("knock_guess") == "key.unknown") ++unknown;
  EXPECT_EQ(last_.code, "too-many");
  EXPECT_EQ(unknown, 60);
  EXPECT_EQ(use(token), "too-many") << "from that address even the real one waits";
  EXPECT_EQ(use(token, "198.51.100.1"), "");
  clock_.advance(Duration::seconds(1));
  EXPECT_EQ(use(token), "");
}

TEST_F(KeyRingTest, one_token_is_limited_whatever_address_it_comes_from) {
  auto token = add({"ci", {"plan:read"}, {}, kUsualKeyLife});
  auto other = add({"other", {"plan:read"}, {}, kUsualKeyLife});
  int good = 0;
  while (good < 1000 && use(token, "203.0.113." + std::to_string(good % 200)) == "") ++good;
  EXPECT_EQ(last_.code, "too-many");
  EXPECT_EQ(good, 60);
  EXPECT_EQ(use(other, "198.51.100.1"), "");
}

TEST_F(KeyRingTest, a_flood_of_refusals_does_not_fill_the_log) {
  for (int i = 0; i < 1200; ++i)
    (void)use("knock_guess", "198.18." + std::to_string(i / 200) + "." + std::to_string(i % 200));
  EXPECT_EQ(facts<KeyRefused>().size(), 1000u);
}

}  // namespace
}  // namespace knock::test
