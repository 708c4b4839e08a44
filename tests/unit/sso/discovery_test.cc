// SPDX-License-Identifier: Apache-2.0
#include "sso/oidc/discovery.h"

#include <gtest/gtest.h>

namespace knock::sso {
namespace {

constexpr char kIssuer[] = "https://idp.example";

std::string document(const std::string& more = {}) {
  return R"({"issuer":"https://idp.example","authorization_endpoint":"https://idp.example/auth",)"
         R"("token_endpoint":"https://tokens.example/t","jwks_uri":"https://idp.example/jwks")" +
         more + "}";
}

std::string changed(const std::string& from, const std::string& to) {
  auto out = document();
  return out.replace(out.find(from), from.size(), to);
}

TEST(Discovery, reads_what_knock_needs) {
  auto about = parse_discovery(document(), kIssuer, {"RS256"});
  ASSERT_TRUE(about) << about.error().why;
  EXPECT_EQ(about->authorization_endpoint, "https://idp.example/auth");
  EXPECT_EQ(about->token_endpoint, "https://tokens.example/t");
  EXPECT_EQ(about->jwks_uri, "https://idp.example/jwks");
  EXPECT_FALSE(about->names_itself_in_callback);
  EXPECT_FALSE(about->client_secret_in_body);
  about =
      parse_discovery(document(R"(,"authorization_response_iss_parameter_supported":true,)"
                               R"("token_endpoint_auth_methods_supported":["client_secret_post"],)"
                               R"("id_token_signing_alg_values_supported":["ES256","RS256"])"),
                      kIssuer, {"RS256"});
  ASSERT_TRUE(about) << about.error().why;
  EXPECT_TRUE(about->names_itself_in_callback);
  EXPECT_TRUE(about->client_secret_in_body);
}

TEST(Discovery, each_hostile_document_has_its_reason) {
  struct Row {
    const char* code;
    std::string text;
  } rows[] = {
      {"discovery.format", ""},
      {"discovery.format", "[]"},
      {"discovery.format", "{}"},
      {"discovery.format", document() + "x"},
      {"discovery.format", document(",\"issuer\":\"https://idp.example\"")},
      {"discovery.format", changed("\"issuer\":\"https://idp.example\"", "\"issuer\":7")},
      {"discovery.format", changed("\"https://idp.example/jwks\"", "null")},
      {"discovery.format", changed("token_endpoint", "tocken_endpoint")},
      {"discovery.format",
       document(",\"authorization_response_iss_parameter_supported\":\"true\"")},
      {"discovery.format", document(",\"token_endpoint_auth_methods_supported\":\"none\"")},
      {"discovery.format", document(",\"id_token_signing_alg_values_supported\":[7]")},
      {"discovery.issuer", changed("\"https://idp.example\"", "\"https://idp.example/\"")},
      {"discovery.issuer", changed("\"https://idp.example\"", "\"https://IDP.example\"")},
      {"discovery.issuer", changed("\"https://idp.example\"", "\"https://evil.example\"")},
      {"discovery.endpoint", changed("https://idp.example/jwks", "http://idp.example/jwks")},
      {"discovery.endpoint", changed("https://idp.example/auth", "javascript:alert(1)")},
      {"discovery.endpoint", changed("https://tokens.example/t", "file:///etc/passwd")},
      {"discovery.algorithm",
       document(",\"id_token_signing_alg_values_supported\":[\"HS256\",\"none\"]")},
  };
  for (auto& row : rows) {
    auto about = parse_discovery(row.text, kIssuer, {"RS256"});
    ASSERT_FALSE(about) << row.text;
    EXPECT_EQ(about.error().code, row.code) << row.text << "\n" << about.error().why;
  }
}

TEST(Discovery, which_addresses_are_acceptable) {
  for (auto good :
       {"https://idp.example", "https://idp.example:8443/a?b=c", "http://127.0.0.1:9400",
        "http://127.255.0.1/x", "http://[::1]:80/", "http://localhost:1/x"})
    EXPECT_TRUE(is_acceptable_url(good)) << good;
  for (auto bad :
       {"", "idp.example", "http://idp.example", "http://127.0.0.1.evil.example",
        "http://localhost.evil.example", "http://127.1", "http://127.0.0.1@evil.example/",
        "https://user@idp.example", "https://", "https:///x", "https://idp.example/#x",
        "https://idp.example/a b", "https://idp.example/\n", "https://idp.example\\@x",
        "HTTPS://idp.example", "http://[::1", "http://10.0.0.1", "ftp://127.0.0.1",
        "https://idp.example/\xc3\xa9"})
    EXPECT_FALSE(is_acceptable_url(bad)) << bad;
}

TEST(Discovery, where_it_is_found) {
  EXPECT_EQ(discovery_url("https://idp.example"),
            "https://idp.example/.well-known/openid-configuration");
  EXPECT_EQ(discovery_url("https://idp.example/realms/a/"),
            "https://idp.example/realms/a/.well-known/openid-configuration");
}

}  // namespace
}  // namespace knock::sso
