// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/random.h"
#include "sso/jose/jws.h"
#include "tests/unit/sso/token_maker.h"

namespace knock::sso {
namespace {

using test::key_set;
using test::SigningKey;

/// One of each, made once: RSA takes its time.
struct Keys {
  SigningKey rsa = SigningKey::make("RSA", "rsa");
  SigningKey other_rsa = SigningKey::make("RSA", "other-rsa");
  SigningKey p256 = SigningKey::make("P-256", "p256");
  SigningKey p384 = SigningKey::make("P-384", "p384");
  SigningKey p521 = SigningKey::make("P-521", "p521");
  SigningKey ed = SigningKey::make("Ed25519", "ed");
  static const Keys& get() {
    static const Keys keys;
    return keys;
  }
};

std::vector<Algorithm> algorithms(std::initializer_list<std::string_view> names) {
  std::vector<Algorithm> out;
  for (auto name : names) out.push_back(algorithm_named(name).value());
  return out;
}

std::string header(std::string_view algorithm, std::string_view key, std::string_view more = {}) {
  return "{\"alg\":\"" + std::string(algorithm) + "\",\"kid\":\"" + std::string(key) + "\"" +
         std::string(more) + "}";
}

TEST(Jws, every_algorithm_verifies_with_its_kind_of_key_only) {
  auto& k = Keys::get();
  auto set =
      KeySet::parse(key_set({k.rsa.jwk(), k.p256.jwk(), k.p384.jwk(), k.p521.jwk(), k.ed.jwk()}))
          .value();
  const std::vector<std::pair<std::string, const SigningKey*>> pairs = {
      {"RS256", &k.rsa},  {"RS384", &k.rsa}, {"RS512", &k.rsa},  {"PS256", &k.rsa},
      {"PS384", &k.rsa},  {"PS512", &k.rsa}, {"ES256", &k.p256}, {"ES384", &k.p384},
      {"ES512", &k.p521}, {"EdDSA", &k.ed}};
  for (auto& [name, key] : pairs) {
    auto token = key->sign(header(name, key->id()), "{\"a\":1}", name);
    auto good = verify_jws(token, set, algorithms({name}));
    ASSERT_TRUE(good) << name << ": " << good.error().why;
    EXPECT_EQ(*good, "{\"a\":1}");
    for (auto& [other, unused] : pairs) {
      if (other == name) continue;
      EXPECT_EQ(verify_jws(token, set, algorithms({other})).error().code, "token.algorithm")
          << name << other;
      // The same bytes under a header that says another algorithm.
      auto lying = key->sign(header(other, key->id()), "{\"a\":1}", name);
      auto code = verify_jws(lying, set, algorithms({other})).error().code;
      EXPECT_TRUE(code == "token.signature" || code == "token.key_unfit") << name << other << code;
    }
    for (std::size_t at : {std::size_t{0}, token.size() / 2, token.size() - 2}) {
      auto changed = token;
      changed[at] = changed[at] == 'A' ? 'B' : 'A';
      EXPECT_FALSE(verify_jws(changed, set, algorithms({name}))) << name << " byte " << at;
    }
  }
}

struct Row {
  std::string name, code, token, keys;
};

std::vector<Row> hostile_rows() {
  auto& k = Keys::get();
  auto body = "{\"a\":1}";
  auto rs = [&](const std::string& more) {
    return k.rsa.sign(header("RS256", "rsa", more), body, "RS256");
  };
  auto set = key_set({k.rsa.jwk(), k.p256.jwk()});
  auto no_id = [](std::string jwk) { return "{" + jwk.substr(jwk.find("\"kty\"")); };
  return {
      {"an algorithm that is not configured", "token.algorithm",
       k.rsa.sign(header("RS384", "rsa"), body, "RS384"), set},
      {"a critical extension", "token.critical", rs(",\"crit\":[\"exp\"],\"exp\":1"), set},
      {"an unencoded payload", "token.unencoded", rs(",\"b64\":true"), set},
      {"an embedded jwk", "token.embedded_key", rs(",\"jwk\":" + k.rsa.jwk()), set},
      {"a jku", "token.embedded_key", rs(",\"jku\":\"https://evil.example/keys\""), set},
      {"an x5c", "token.embedded_key", rs(",\"x5c\":[]"), set},
      {"an x5u", "token.embedded_key", rs(",\"x5u\":\"https://evil.example/cert\""), set},
      {"an access token", "token.type", rs(",\"typ\":\"at+jwt\""), set},
      {"a type that is no text", "token.type", rs(",\"typ\":7"), set},
      {"several keys and no id", "token.key_ambiguous",
       k.rsa.sign("{\"alg\":\"RS256\"}", body, "RS256"), key_set({k.rsa.jwk(), k.other_rsa.jwk()})},
      {"a key for encryption", "token.key_unfit", rs(""), key_set({k.rsa.jwk(",\"use\":\"enc\"")})},
      {"a key for wrapping", "token.key_unfit", rs(""),
       key_set({k.rsa.jwk(",\"key_ops\":[\"wrapKey\"]")})},
      {"a key for another algorithm", "token.key_unfit", rs(""),
       key_set({k.rsa.jwk(",\"alg\":\"PS256\"")})},
      {"another key's signature", "token.signature",
       k.other_rsa.sign(header("RS256", "rsa"), body, "RS256"), set},
      {"no id, and the only key is not the signer's", "token.signature",
       k.other_rsa.sign("{\"alg\":\"RS256\"}", body, "RS256"), key_set({no_id(k.rsa.jwk())})},
  };
}

TEST(Jws, each_hostile_token_has_its_reason) {
  for (auto& row : hostile_rows()) {
    SCOPED_TRACE(row.name);
    auto keys = KeySet::parse(row.keys);
    ASSERT_TRUE(keys) << keys.error().why;
    auto verdict = verify_jws(row.token, *keys, algorithms({"RS256", "ES256"}));
    EXPECT_FALSE(verdict);
    if (verdict) continue;
    EXPECT_EQ(verdict.error().code, row.code) << verdict.error().why;
  }
}

TEST(Jws, an_unknown_key_asks_for_a_fresh_set) {
  auto& k = Keys::get();
  auto keys = KeySet::parse(key_set({k.p256.jwk()})).value();
  auto accepted = algorithms({"RS256", "ES256"});
  EXPECT_EQ(
      verify_jws(k.rsa.sign(header("RS256", "rsa"), "{}", "RS256"), keys, accepted).error().code,
      "token.key_unknown");
  EXPECT_EQ(
      verify_jws(k.rsa.sign("{\"alg\":\"RS256\"}", "{}", "RS256"), keys, accepted).error().code,
      "token.key_unknown");
  // An id that differs in case, or is empty, is another one.
  EXPECT_EQ(
      verify_jws(k.p256.sign(header("ES256", "P256"), "{}", "ES256"), keys, accepted).error().code,
      "token.key_unknown");
  EXPECT_EQ(
      verify_jws(k.p256.sign(header("ES256", ""), "{}", "ES256"), keys, accepted).error().code,
      "token.key_unknown");
}

TEST(Jws, what_is_not_a_token) {
  auto& k = Keys::get();
  auto keys = KeySet::parse(key_set({k.ed.jwk()})).value();
  auto good = k.ed.sign(header("EdDSA", "ed"), "{}", "EdDSA");
  ASSERT_TRUE(verify_jws(good, keys, algorithms({"EdDSA"})));
  auto with_header = [&](std::string_view text) { return k.ed.sign(text, "{}", "EdDSA"); };
  for (auto& token : std::vector<std::string>{
           "",
           ".",
           "..",
           "...",
           "a.b",
           good + ".",
           "." + good,
           good + "=",
           " " + good,
           good + "\n",
           good.substr(0, good.rfind('.')),
           "{\"payload\":\"e30\"}",
           std::string(kLongestToken + 1, 'a'),
           with_header(""),
           with_header("[]"),
           with_header("{}"),
           with_header("{\"alg\":7}"),
           with_header("{\"alg\":null,\"kid\":\"ed\"}"),
           with_header("{\"alg\":\"EdDSA\",\"kid\":7}"),
           with_header("{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\",\"kid\":\"ed\"}"),
           with_header("{\"alg\":\"EdDSA\",\"\\u0061lg\":\"none\",\"kid\":\"ed\"}"),
           with_header("{\"alg\":\"EdDSA\",\"kid\":\"ed\"} x"),
           with_header("{\"alg\":\"\xff\"}")}) {
    auto verdict = verify_jws(token, keys, algorithms({"EdDSA"}));
    ASSERT_FALSE(verdict) << token;
    EXPECT_EQ(verdict.error().code, "token.format") << token;
  }
}

TEST(Jws, none_is_never_an_algorithm) {
  auto& k = Keys::get();
  auto keys = KeySet::parse(key_set({k.rsa.jwk()})).value();
  EXPECT_FALSE(algorithm_named("none"));
  EXPECT_FALSE(algorithm_named("HS256"));
  EXPECT_FALSE(algorithm_named("rs256"));
  for (auto name : {"none", "None", "NONE", "HS256"}) {
    auto token = base64url(header(name, "rsa")) + "." + base64url("{}") + ".";
    EXPECT_FALSE(verify_jws(token, keys, algorithms({"RS256"}))) << name;
  }
}

TEST(KeySet, refuses_what_it_cannot_trust) {
  auto& k = Keys::get();
  auto rsa = k.rsa.jwk(), ec = k.p256.jwk(), ed = k.ed.jwk();
  auto replaced = [](std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
  };
  auto with = [](const std::string& jwk, const std::string& more) {
    return jwk.substr(0, jwk.size() - 1) + more + "}";
  };
  std::vector<std::string> many;
  for (std::size_t i = 0; i <= KeySet::kMostKeys; ++i) many.push_back("{\"kty\":\"X\"}");
  struct Bad {
    std::string code, text;
  };
  std::vector<Bad> rows = {
      {"keys.format", ""},
      {"keys.format", "[]"},
      {"keys.format", "{}"},
      {"keys.format", "{\"keys\":{}}"},
      {"keys.format", "{\"keys\":[7]}"},
      {"keys.format", "{\"keys\":[]} x"},
      {"keys.format", "{\"keys\":[{}]}"},
      {"keys.format", "{\"keys\":[{\"kty\":7}]}"},
      {"keys.format", "{\"keys\":[{\"kty\":\"RSA\"}]}"},
      {"keys.format", "{\"keys\":[{\"kty\":\"EC\"}]}"},
      {"keys.format", "{\"keys\":[{\"kty\":\"OKP\"}]}"},
      {"keys.format", key_set({with(rsa, ",\"use\":7")})},
      {"keys.format", key_set({with(rsa, ",\"alg\":[]")})},
      {"keys.format", key_set({with(rsa, ",\"key_ops\":\"verify\"")})},
      {"keys.format", key_set({with(rsa, ",\"key_ops\":[7]")})},
      {"keys.format", key_set({replaced(rsa, "\"kid\":\"rsa\"", "\"kid\":7")})},
      {"keys.format", key_set({replaced(rsa, "\"e\":\"AQAB\"", "\"e\":\"AQAB=\"")})},
      {"keys.format", key_set({replaced(rsa, "\"e\":\"AQAB\"", "\"e\":\"AAEAAQ\"")})},
      {"keys.format", key_set({replaced(rsa, "\"e\":\"AQAB\"", "\"e\":\"\"")})},
      {"keys.format", key_set({replaced(ec, "\"x\":\"", "\"x\":\"AAAA")})},
      {"keys.format", key_set({replaced(ec, "P-256", "P-384")})},
      {"keys.format", key_set({replaced(ed, "\"x\":\"", "\"x\":\"AAAA")})},
      {"keys.format",
       key_set({"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" + base64url(std::string(32, '\1')) +
                "\",\"y\":\"" + base64url(std::string(32, '\1')) + "\"}"})},
      {"keys.duplicate", key_set({rsa, rsa})},
      {"keys.duplicate", key_set({rsa, replaced(ec, "\"kid\":\"p256\"", "\"kid\":\"rsa\"")})},
      {"keys.duplicate", key_set({with(rsa, ",\"kid\":\"rsa\"")})},
      {"keys.duplicate", "{\"keys\":[],\"keys\":[]}"},
      {"keys.private", key_set({with(rsa, ",\"d\":\"AQ\"")})},
      {"keys.private", key_set({with(ec, ",\"d\":\"AQ\"")})},
      {"keys.private", key_set({with(ed, ",\"d\":7")})},
      {"keys.private", key_set({rsa, "{\"kty\":\"oct\",\"k\":\"AQ\"}"})},
      {"keys.many", key_set(many)},
  };
  for (auto& row : rows) {
    auto set = KeySet::parse(row.text);
    ASSERT_FALSE(set) << row.text;
    EXPECT_EQ(set.error().code, row.code) << row.text << "\n" << set.error().why;
  }
}

TEST(KeySet, keeps_what_it_cannot_use_with_its_reason) {
  auto& k = Keys::get();
  auto weak = SigningKey::make("RSA", "weak", 1024);
  auto set = KeySet::parse(
      key_set({k.rsa.jwk(), weak.jwk(), "{\"kty\":\"AKP\",\"kid\":\"pq\",\"alg\":\"ML-DSA-44\"}",
               "{\"kty\":\"EC\",\"kid\":\"k1\",\"crv\":\"secp256k1\"}",
               "{\"kty\":\"OKP\",\"kid\":\"x\",\"crv\":\"X25519\"}"}));
  ASSERT_TRUE(set) << set.error().why;
  std::vector<std::string> unusable;
  for (auto& key : set->keys())
    if (!key.unusable.empty()) unusable.push_back(key.id);
  EXPECT_EQ(unusable, (std::vector<std::string>{"weak", "pq", "k1", "x"}));
  auto token = weak.sign(header("RS256", "weak"), "{}", "RS256");
  auto verdict = verify_jws(token, *set, algorithms({"RS256"}));
  EXPECT_EQ(verdict.error().code, "token.key_unfit");
  EXPECT_NE(verdict.error().why.find("1024 bits"), std::string::npos) << verdict.error().why;
  // It is no candidate for a token without an id either.
  EXPECT_TRUE(
      verify_jws(k.rsa.sign("{\"alg\":\"RS256\"}", "{}", "RS256"), *set, algorithms({"RS256"})));
}

}  // namespace
}  // namespace knock::sso
