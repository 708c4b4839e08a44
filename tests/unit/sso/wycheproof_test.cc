// SPDX-License-Identifier: Apache-2.0
// Project Wycheproof's token and key vectors. Where knock differs from a file, the case is listed
// here with its reason, and the list is asserted exactly: one more difference, or one less, fails.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <set>

#include "sso/jose/jws.h"
#include "tests/support/requirement.h"

namespace knock::sso {
namespace {

namespace json = boost::json;
using Ids = std::set<std::int64_t>;

std::string folder() { return knock::test::source_dir() + "/../shared/vectors"; }

json::value load(const std::string& name) {
  return json::parse(knock::test::read_file(folder() + "/wycheproof-" + name + ".json"));
}

std::vector<Algorithm> every_algorithm() {
  std::vector<Algorithm> out;
  for (auto name :
       {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
    out.push_back(algorithm_named(name).value());
  return out;
}

const json::value& key_of(const json::value& group) {
  auto* key = group.as_object().if_contains("public");
  return key != nullptr ? *key : group.at("private");
}

std::string token_of(const json::value& row) {
  auto& token = row.at("jws");
  return token.is_string() ? std::string(token.as_string()) : json::serialize(token);
}

std::string as_set(const json::value& key) {
  return key.as_object().contains("keys") ? json::serialize(key)
                                          : "{\"keys\":[" + json::serialize(key) + "]}";
}

bool accepts(const json::value& group, const json::value& row) {
  auto keys = KeySet::parse(as_set(key_of(group)));
  return keys && verify_jws(token_of(row), *keys, every_algorithm()).has_value();
}

/// HMAC keys, which knock has none of on purpose.
bool symmetric(const json::value& group) {
  return json::serialize(key_of(group)).find("\"kty\":\"oct\"") != std::string::npos;
}

struct Count {
  std::size_t all = 0, valid = 0;
  Ids differ, symmetric_valid;
};

Count run(const std::string& name) {
  Count out;
  auto document = load(name);
  for (auto& group : document.at("testGroups").as_array()) {
    for (auto& row : group.at("tests").as_array()) {
      if (!row.as_object().contains("jws")) continue;  // encryption is not supported
      bool want = row.at("result").as_string() == "valid";
      auto id = row.at("tcId").as_int64();
      ++out.all;
      out.valid += want;
      if (symmetric(group)) {
        EXPECT_FALSE(accepts(group, row)) << name << " " << id;
        if (want) out.symmetric_valid.insert(id);
      } else if (accepts(group, row) != want) {
        out.differ.insert(id);
      }
    }
  }
  return out;
}

bool present() { return std::filesystem::exists(folder() + "/wycheproof-json_web_signature.json"); }
constexpr char kMissing[] = "the vectors are not beside the repository (../shared/vectors)";

TEST(Wycheproof, signatures) {
  KNOCK_NEED("shared", present(), kMissing);
  auto count = run("json_web_signature");
  EXPECT_EQ(count.all, 401u);
  EXPECT_EQ(count.valid, 46u);
  // Valid only for who lets a key published for PS256 (or "ES521") verify PS384 (or ES512).
  EXPECT_EQ(count.differ, (Ids{346, 347, 350, 351}));
  EXPECT_EQ(count.symmetric_valid, (Ids{1, 348, 352, 357, 358, 359, 372, 373, 376, 377}));
}

TEST(Wycheproof, encoding) {
  KNOCK_NEED("shared", present(), kMissing);
  Ids differ;
  auto keys = KeySet::parse("{\"keys\":[]}").value();
  auto document = load("json_web_signature");
  for (auto& group : document.at("testGroups").as_array()) {
    if (group.at("comment").as_string() != "base64") continue;
    for (auto& row : group.at("tests").as_array()) {
      // The key is symmetric, so the token goes no further than its algorithm; but only if it can
      // be read.
      auto code = verify_jws(token_of(row), keys, every_algorithm()).error().code;
      ASSERT_TRUE(code == "token.format" || code == "token.algorithm") << code;
      if ((code == "token.algorithm") != (row.at("result").as_string() == "valid"))
        differ.insert(row.at("tcId").as_int64());
    }
  }
  // 367 and 370 are a valid token's text: the padding they are about was lost. 372 and 373 hold
  // '?', which base64url has not, and are marked valid.
  EXPECT_EQ(differ, (Ids{367, 370, 372, 373}));
}

TEST(Wycheproof, keys) {
  KNOCK_NEED("shared", present(), kMissing);
  auto count = run("json_web_key");
  EXPECT_EQ(count.all, 26u);
  EXPECT_EQ(count.differ, Ids{});  // the ROCA key too
  EXPECT_EQ(count.symmetric_valid, (Ids{2, 13, 14, 15}));
}

TEST(Wycheproof, crypto) {
  KNOCK_NEED("shared", present(), kMissing);
  auto count = run("json_web_crypto");
  EXPECT_EQ(count.all, 49u);
  EXPECT_EQ(count.differ, Ids{});
  EXPECT_EQ(count.symmetric_valid, (Ids{1, 48}));
}

}  // namespace
}  // namespace knock::sso
