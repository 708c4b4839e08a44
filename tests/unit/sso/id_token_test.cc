// SPDX-License-Identifier: Apache-2.0
// One hostile token per check, wrong in exactly that respect, so that a lost check shows by name.
#include "sso/oidc/id_token.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "base/text.h"
#include "sso/jose/jws.h"
#include "tests/unit/sso/token_maker.h"

namespace knock::sso {
namespace {

using test::SigningKey;

const SigningKey& key() {
  static const SigningKey key = SigningKey::make("P-256", "k1");
  return key;
}
const SigningKey& stranger() {
  static const SigningKey key = SigningKey::make("P-256", "k1");
  return key;
}

constexpr Instant kNow = Instant::from_seconds(1'800'000'000);

Expectations expected() {
  return {"https://idp.example", "knock", "n-1", "groups", {algorithm_named("ES256").value()}};
}

/// Claims as JSON texts, so that a row can put anything anywhere.
using Claims = std::map<std::string, std::string>;
Claims good() {
  return {{"iss", "\"https://idp.example\""},
          {"aud", "\"knock\""},
          {"sub", "\"alice\""},
          {"exp", "1800000300"},
          {"iat", "1800000000"},
          {"nonce", "\"n-1\""},
          {"groups", "[\"sre\",\"eng\",\"sre\"]"},
          {"name", "\"Alice Archer\""}};
}

std::string to_json(const Claims& claims) {
  std::vector<std::string> members;
  for (auto& [name, value] : claims)
    if (!value.empty()) members.push_back("\"" + name + "\":" + value);
  return "{" + join(members, ",") + "}";
}

constexpr char kHeader[] = "{\"alg\":\"ES256\",\"kid\":\"k1\"}";

std::string token(const Claims& changed, const std::string& header = kHeader,
                  const SigningKey& by = key()) {
  auto claims = good();
  for (auto& [name, value] : changed) claims[name] = value;
  return by.sign(header, to_json(claims), "ES256");
}

KeySet keys() { return KeySet::parse(test::key_set({key().jwk()})).value(); }

TEST(IdToken, a_good_one_says_who) {
  auto verdict = verify_id_token(token({}), keys(), expected(), kNow);
  ASSERT_TRUE(verdict) << verdict.error().why;
  EXPECT_EQ(verdict->issuer, "https://idp.example");
  EXPECT_EQ(verdict->subject, "alice");
  EXPECT_EQ(verdict->name, "Alice Archer");
  EXPECT_EQ(verdict->groups, (std::vector<std::string>{"eng", "sre"}));
  EXPECT_EQ(verdict->issued, kNow);
  EXPECT_EQ(verdict->authenticated, kNow);
  EXPECT_EQ(verdict->expires, kNow + Duration::seconds(300));
}

TEST(IdToken, what_may_differ) {
  struct Row {
    const char* name;
    Claims claims;
  } rows[] = {
      {"audience as a list", {{"aud", "[\"knock\"]"}}},
      {"several audiences with us as the party",
       {{"aud", "[\"api\",\"knock\"]"}, {"azp", "\"knock\""}}},
      {"no groups", {{"groups", ""}}},
      {"an empty list of groups", {{"groups", "[]"}}},
      {"expired within the skew", {{"exp", "1799999941"}}},
      {"issued ahead within the skew", {{"iat", "1800000060"}}},
      {"valid from within the skew", {{"nbf", "1800000060"}}},
      {"a name that is no text", {{"name", "{\"a\":1}"}}},
      {"overage of another claim", {{"_claim_names", "{\"roles\":\"src1\"}"}}},
      {"a longest subject", {{"sub", "\"" + std::string(255, 's') + "\""}}},
      {"claims nobody asked for", {{"x", "[[[]]]"}}},
  };
  for (auto& row : rows) {
    auto verdict = verify_id_token(token(row.claims), keys(), expected(), kNow);
    EXPECT_TRUE(verdict) << row.name << ": " << (verdict ? "" : verdict.error().why);
  }
}

TEST(IdToken, authentication_time_and_names) {
  auto of = [](const Claims& claims) {
    return verify_id_token(token(claims), keys(), expected(), kNow).value();
  };
  EXPECT_EQ(of({{"auth_time", "1799990000"}}).authenticated, Instant::from_seconds(1'799'990'000));
  EXPECT_EQ(of({{"auth_time", "1800000050"}}).authenticated, kNow);
  EXPECT_EQ(of({{"iat", "1800000050"}}).authenticated, kNow);
  EXPECT_EQ(of({{"preferred_username", "\"alice\""}}).name, "alice");
  EXPECT_EQ(of({{"email", "\"a@corp.test\""}}).name, "a@corp.test");
  EXPECT_EQ(of({{"name", "\"\""}}).name, "alice");
  EXPECT_EQ(of({{"name", "\"" + std::string(201, 'x') + "\""}}).name, "alice");
}

TEST(IdToken, only_the_claims_that_are_asked_for_and_in_a_shape_that_can_be_compared) {
  auto want = expected();
  want.claims = {"absent", "department", "empty", "float", "flag",   "level",
                 "long",   "many",       "mixed", "null",  "object", "one"};
  std::string many = "[\"0\"";
  for (std::size_t i = 0; i < kMostValues; ++i) many += ",\"0\"";
  Claims claims{{"department", "[\"ops\",\"eng\",\"ops\"]"},
                {"one", "\"z\\u00e9\""},
                {"flag", "true"},
                {"level", "[7,-7,18446744073709551615]"},
                {"empty", "[]"},
                {"float", "1.5"},
                {"null", "null"},
                {"object", "{\"a\":1}"},
                {"mixed", "[\"a\",[\"b\"]]"},
                {"long", "\"" + std::string(kLongestValue + 1, 'x') + "\""},
                {"many", many + "]"},
                {"birthday", "\"1990-01-01\""}};
  auto verdict = verify_id_token(token(claims), keys(), want, kNow);
  ASSERT_TRUE(verdict) << verdict.error().why;
  using Said = std::map<std::string, std::vector<std::string>>;
  EXPECT_EQ(verdict->claims, (Said{{"department", {"eng", "ops"}},
                                   {"flag", {"true"}},
                                   {"level", {"-7", "18446744073709551615", "7"}},
                                   {"one", {"z\xc3\xa9"}}}));
  EXPECT_TRUE(verify_id_token(token(claims), keys(), expected(), kNow)->claims.empty());
}

TEST(IdToken, how_strong_the_sign_in_was) {
  auto of = [](const Claims& claims) {
    return verify_id_token(token(claims), keys(), expected(), kNow).value();
  };
  EXPECT_EQ(of({{"acr", "\"urn:gold\""}}).acr, "urn:gold");
  EXPECT_EQ(of({{"acr", "2"}}).acr, "") << "a text, by the standard";
  EXPECT_EQ(of({{"acr", "\"" + std::string(kLongestValue + 1, 'x') + "\""}}).acr, "");
  struct Row {
    const char* name;
    const char* amr;
    const char* auth_time;
    std::optional<Instant> want;
  };
  for (auto [name, amr, auth_time, want] :
       {Row{"a second factor", "[\"pwd\",\"mfa\"]", "1799999000",
            Instant::from_seconds(1'799'999'000)},
        Row{"one factor", "[\"pwd\"]", "1799999000", {}},
        Row{"one factor that is often the second", "[\"otp\"]", "1799999000", {}},
        Row{"nobody knows when", "[\"mfa\"]", "", {}},
        Row{"not a list", "\"mfa\"", "1799999000", {}}, Row{"numbers", "[1]", "1799999000", {}},
        Row{"nothing said", "", "1799999000", {}},
        Row{"a clock ahead of ours", "[\"mfa\"]", "1800000050", kNow}})
    EXPECT_EQ(of({{"amr", amr}, {"auth_time", auth_time}}).mfa_at, want) << name;
}

TEST(IdToken, groups_come_from_the_configured_claim) {
  auto want = expected();
  want.groups_claim = "https://corp.example/roles";
  auto verdict = verify_id_token(token({{"https://corp.example/roles", "[\"z\\u00e9\"]"}}), keys(),
                                 want, kNow);
  ASSERT_TRUE(verdict) << verdict.error().why;
  EXPECT_EQ(verdict->groups, (std::vector<std::string>{"z\xc3\xa9"}));
}

struct Row {
  std::string code, name, token;
  std::string title() const { return code + ": " + name; }
};

std::vector<Row> hostile_rows() {
  auto header = [](std::string more) { return "{\"alg\":\"ES256\",\"kid\":\"k1\"," + more + "}"; };
  std::string many = "[\"g\"";
  for (std::size_t i = 0; i < kMostGroups; ++i) many += ",\"g\"";
  many += "]";
  return {
      {"token.critical", "crit", token({}, header("\"crit\":[\"x\"],\"x\":1"))},
      {"token.unencoded", "b64", token({}, header("\"b64\":true"))},
      {"token.embedded_key", "jwk", token({}, header("\"jwk\":" + stranger().jwk()))},
      {"token.type", "logout token", token({}, header("\"typ\":\"logout+jwt\""))},
      {"token.signature", "signed by a stranger", token({}, kHeader, stranger())},
      {"token.issuer", "another issuer", token({{"iss", "\"https://evil.example\""}})},
      {"token.issuer", "a slash more", token({{"iss", "\"https://idp.example/\""}})},
      {"token.issuer", "no issuer", token({{"iss", ""}})},
      {"token.issuer", "an issuer that is a list", token({{"iss", "[\"https://idp.example\"]"}})},
      {"token.audience", "another application", token({{"aud", "\"other-app\""}})},
      {"token.audience", "other applications", token({{"aud", "[\"other-app\"]"}})},
      {"token.audience", "nobody", token({{"aud", "[]"}})},
      {"token.audience", "no audience", token({{"aud", ""}})},
      {"token.audience", "a prefix of us", token({{"aud", "\"knoc\""}})},
      {"token.audience", "a number among them", token({{"aud", "[\"knock\",7]"}})},
      {"token.authorized_party", "several and no party", token({{"aud", "[\"knock\",\"api\"]"}})},
      {"token.authorized_party", "another party", token({{"azp", "\"other-app\""}})},
      {"token.authorized_party", "a party that is no text", token({{"azp", "[\"knock\"]"}})},
      {"token.subject", "no subject", token({{"sub", ""}})},
      {"token.subject", "an empty subject", token({{"sub", "\"\""}})},
      {"token.subject", "a number", token({{"sub", "7"}})},
      {"token.subject", "too long", token({{"sub", "\"" + std::string(256, 's') + "\""}})},
      {"token.subject", "a newline", token({{"sub", "\"alice\\nroot\""}})},
      {"token.subject", "a bidi override", token({{"sub", "\"alice\\u202etoor\""}})},
      {"token.expired", "expired", token({{"exp", "1799999940"}})},
      {"token.expired", "no expiry", token({{"exp", ""}})},
      {"token.expired", "an expiry in words", token({{"exp", "\"1800000300\""}})},
      {"token.expired", "a fraction", token({{"exp", "1800000300.5"}})},
      {"token.expired", "beyond all time", token({{"exp", "9223372036854775807"}})},
      {"token.expired", "before all time", token({{"exp", "-1"}})},
      {"token.expired", "infinity", token({{"exp", "1e300"}})},
      {"token.not_before", "not yet", token({{"nbf", "1800000061"}})},
      {"token.not_before", "in words", token({{"nbf", "\"now\""}})},
      {"token.issued", "in the future", token({{"iat", "1800000061"}})},
      {"token.issued", "never", token({{"iat", ""}})},
      {"token.nonce", "of another sign-in", token({{"nonce", "\"n-2\""}})},
      {"token.nonce", "none", token({{"nonce", ""}})},
      {"token.nonce", "a list", token({{"nonce", "[\"n-1\"]"}})},
      {"token.nonce", "null", token({{"nonce", "null"}})},
      {"token.auth_time", "in the future", token({{"auth_time", "1800000061"}})},
      {"token.auth_time", "in words", token({{"auth_time", "\"1\""}})},
      {"token.groups", "one text", token({{"groups", "\"eng\""}})},
      {"token.groups", "a number among them", token({{"groups", "[\"eng\",7]"}})},
      {"token.groups", "an object", token({{"groups", "{\"eng\":true}"}})},
      {"token.groups", "null", token({{"groups", "null"}})},
      {"token.groups", "too many", token({{"groups", many}})},
      {"token.groups", "too long",
       token({{"groups", "[\"" + std::string(kLongestGroup + 1, 'g') + "\"]"}})},
      {"token.groups", "kept elsewhere",
       token({{"groups", ""}, {"_claim_names", "{\"groups\":\"src1\"}"}})},
  };
}

TEST(IdToken, each_hostile_token_has_its_reason) {
  for (auto& row : hostile_rows()) {
    SCOPED_TRACE(row.title());
    auto verdict = verify_id_token(row.token, keys(), expected(), kNow);
    EXPECT_FALSE(verdict);
    if (verdict) continue;
    EXPECT_EQ(verdict.error().code, row.code) << verdict.error().why;
    EXPECT_EQ(verdict.error().why.find(row.token), std::string::npos);
  }
}

TEST(IdToken, claims_that_cannot_be_read) {
  for (auto payload :
       {"", "[]", "7", "{", "{\"iss\":\"a\",\"iss\":\"b\"}", "{} {}", "{\"a\":\"\xff\"}"}) {
    auto verdict = verify_id_token(key().sign(kHeader, payload, "ES256"), keys(), expected(), kNow);
    ASSERT_FALSE(verdict) << payload;
    EXPECT_EQ(verdict.error().code, "token.payload") << payload;
  }
  // A duplicate that would be right whichever is read.
  auto claims = to_json(good());
  claims.insert(1, "\"sub\":\"root\",");
  EXPECT_EQ(
      verify_id_token(key().sign(kHeader, claims, "ES256"), keys(), expected(), kNow).error().code,
      "token.payload");
}

TEST(IdToken, a_nonce_is_always_demanded) {
  auto want = expected();
  want.nonce = "";
  for (auto nonce : {"", "\"\"", "\"n-1\""})
    EXPECT_EQ(verify_id_token(token({{"nonce", nonce}}), keys(), want, kNow).error().code,
              "token.nonce");
}

}  // namespace
}  // namespace knock::sso
