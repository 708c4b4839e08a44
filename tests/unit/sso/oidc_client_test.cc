// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "sso/oidc/client.h"
#include "tests/unit/sso/fake_provider.h"
#include "tests/unit/sso/token_maker.h"

namespace knock::sso {
namespace {

using test::FakeProvider;
using test::SigningKey;

constexpr char kIssuer[] = "https://idp.example";
constexpr char kAbout[] = "https://idp.example/.well-known/openid-configuration";
constexpr char kJwks[] = "https://idp.example/jwks";
constexpr char kToken[] = "https://idp.example/token";
constexpr Instant kNow = Instant::from_seconds(1'800'000'000);

/// One provider, its clock, and what a client does with it.
struct World {
  World() {
    about("");
    provider.on(kJwks, test::key_set({first.jwk()}));
    give(first);
  }

  void about(const std::string& more) {
    provider.on(
        kAbout,
        R"({"issuer":"https://idp.example","authorization_endpoint":"https://idp.example/auth?p=1",)"
        R"("token_endpoint":"https://idp.example/token","jwks_uri":"https://idp.example/jwks")" +
            more + "}");
  }
  /// From now on codes are answered with a token signed by `key`.
  void give(const SigningKey& key, std::string client = "knock id") {
    provider.on(
        kToken,
        R"({"access_token":"x","token_type":"Bearer","id_token":")" +
            key.sign(R"({"alg":"ES256","kid":")" + key.id() + "\"}",
                     R"({"iss":"https://idp.example","aud":")" + client +
                         R"(","sub":"alice","exp":1800000300,"iat":1800000000,"nonce":"n-1"})",
                     "ES256") +
            "\"}");
  }
  std::unique_ptr<OidcClient> client(std::optional<Secret> secret = Secret("s e:cret"),
                                     TokenAuth auth = TokenAuth::discovered) {
    OidcSettings settings;
    settings.token_auth = auth;
    settings.name = SignInName("corp");
    settings.issuer = kIssuer;
    settings.client_id = "knock id";
    settings.algorithms = {"ES256"};
    return std::move(*OidcClient::make(settings, std::move(secret), clock));
  }
  Verdict<IdToken> exchange(OidcClient& with, CodeExchange code = {"https://knock.example/cb",
                                                                   "c&d", "v", "n-1", ""}) {
    return with.exchange(provider, code, kNow, Deadline::in(Duration::seconds(5)));
  }

  SigningKey first = SigningKey::make("P-256", "k1"), second = SigningKey::make("P-256", "k2");
  FakeProvider provider;
  test::FakeClock clock;
};
struct OidcClientTest : ::testing::Test, World {};

TEST_F(OidcClientTest, the_address_for_the_browser) {
  auto url = client()->authorization_url(provider, "https://knock.example/cb", "st", "no", "ch",
                                         std::nullopt, Deadline::in(Duration::seconds(5)));
  ASSERT_TRUE(url) << url.error().why;
  EXPECT_EQ(
      *url,
      "https://idp.example/"
      "auth?p=1&response_type=code&client_id=knock%20id&redirect_uri=https%3A%2F%2Fknock.example"
      "%2Fcb&scope=openid%20profile%20email&state=st&nonce=no&code_challenge=ch&code_challenge_"
      "method=S256");
}

TEST_F(OidcClientTest, a_fresh_sign_in_is_asked_for_where_a_rule_wants_it) {
  auto url = client()->authorization_url(provider, "https://knock.example/cb", "st", "no", "ch",
                                         Duration::minutes(15), Deadline::in(Duration::seconds(5)));
  ASSERT_TRUE(url) << url.error().why;
  EXPECT_TRUE(url->ends_with("&max_age=900")) << *url;
}

TEST_F(OidcClientTest, a_code_becomes_a_person) {
  auto one = client();
  auto who = exchange(*one);
  ASSERT_TRUE(who) << who.error().why;
  EXPECT_EQ(who->subject, "alice");
  auto& request = provider.asked.at(1);
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.body,
            "grant_type=authorization_code&code=c%26d&redirect_uri=https%3A%2F%2Fknock.example%"
            "2Fcb&code_verifier=v");
  bool basic = false;
  for (auto& [name, value] : request.headers)
    basic = basic || (name == "Authorization" && value == "Basic a25vY2slMjBpZDpzJTIwZSUzQWNyZXQ=");
  EXPECT_TRUE(basic) << "not base64 of knock%20id:s%20e%3Acret";
  ASSERT_TRUE(exchange(*one));
  EXPECT_EQ(provider.times(kAbout), 1u);
  EXPECT_EQ(provider.times(kJwks), 1u);
  clock.at = clock.at + kMetadataAge;
  ASSERT_TRUE(exchange(*one));
  EXPECT_EQ(provider.times(kAbout), 2u);
  EXPECT_EQ(provider.times(kJwks), 2u);
}

TEST_F(OidcClientTest, a_public_client_sends_its_id_and_no_secret) {
  ASSERT_TRUE(exchange(*client(std::nullopt)));
  auto& request = provider.asked.at(1);
  EXPECT_NE(request.body.find("&client_id=knock%20id"), std::string::npos);
  for (auto& [name, value] : request.headers) EXPECT_NE(name, "Authorization");
}

TEST_F(OidcClientTest, a_provider_that_wants_the_secret_in_the_body) {
  about(R"(,"token_endpoint_auth_methods_supported":["client_secret_post"])");
  ASSERT_TRUE(exchange(*client()));
  auto& request = provider.asked.at(1);
  EXPECT_NE(request.body.find("&client_id=knock%20id&client_secret=s%20e%3Acret"),
            std::string::npos);
  for (auto& [name, value] : request.headers) EXPECT_NE(name, "Authorization");
}

TEST_F(OidcClientTest, the_secret_goes_as_the_setting_says_or_else_as_the_provider_takes_it) {
  struct Row {
    const char *name, *takes;
    TokenAuth auth;
    bool in_body;
  };
  const Row rows[] = {
      {"it says nothing", "", TokenAuth::discovered, false},
      {"it takes both", R"("client_secret_post","client_secret_basic")", TokenAuth::discovered,
       false},
      {"it takes the body only", R"("client_secret_post")", TokenAuth::discovered, true},
      {"it takes neither", R"("private_key_jwt")", TokenAuth::discovered, false},
      {"both, and the setting says body", R"("client_secret_post","client_secret_basic")",
       TokenAuth::post, true},
      {"both, and the setting says basic", R"("client_secret_post","client_secret_basic")",
       TokenAuth::basic, false},
      {"the setting against the description", R"("client_secret_post")", TokenAuth::basic, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    std::string takes = row.takes;
    about(takes.empty() ? "" : ",\"token_endpoint_auth_methods_supported\":[" + takes + "]");
    provider.asked.clear();
    ASSERT_TRUE(exchange(*client(Secret("s e:cret"), row.auth)));
    auto& request = provider.asked.at(1);
    bool basic = false;
    for (auto& [name, value] : request.headers) basic = basic || name == "Authorization";
    EXPECT_EQ(basic, !row.in_body);
    EXPECT_EQ(request.body.find("client_secret=") != std::string::npos, row.in_body);
  }
}

TEST_F(OidcClientTest, keys_turn_over) {
  auto one = client();
  ASSERT_TRUE(exchange(*one));
  provider.on(kJwks, test::key_set({second.jwk(), first.jwk()}));
  give(second);
  ASSERT_TRUE(exchange(*one));
  EXPECT_EQ(provider.times(kJwks), 2u);
  ASSERT_TRUE(exchange(*one));
  EXPECT_EQ(provider.times(kJwks), 2u);
}

TEST_F(OidcClientTest, unknown_keys_do_not_hammer_the_provider) {
  auto one = client();
  ASSERT_TRUE(exchange(*one));
  give(second);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(exchange(*one).error().code, "token.key_unknown");
  EXPECT_EQ(provider.times(kJwks), 2u);
  clock.at = clock.at + kKeyRefetch;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(exchange(*one).error().code, "token.key_unknown");
  EXPECT_EQ(provider.times(kJwks), 3u);
  give(first);
  EXPECT_TRUE(exchange(*one));
}

TEST_F(OidcClientTest, the_callback_must_come_from_this_provider) {
  CodeExchange code{"https://knock.example/cb", "c", "v", "n-1", ""};
  auto with_issuer = [&](std::string issuer) {
    code.issuer = std::move(issuer);
    return code;
  };
  auto silent = client();
  EXPECT_TRUE(exchange(*silent, with_issuer("")));
  EXPECT_TRUE(exchange(*silent, with_issuer(kIssuer)));
  EXPECT_EQ(exchange(*silent, with_issuer("https://evil.example")).error().code, "callback.issuer");
  about(",\"authorization_response_iss_parameter_supported\":true");
  auto speaking = client();
  auto before = provider.times(kToken);
  EXPECT_EQ(exchange(*speaking, with_issuer("")).error().code, "callback.issuer");
  EXPECT_EQ(exchange(*speaking, with_issuer("https://idp.example/")).error().code,
            "callback.issuer");
  EXPECT_EQ(provider.times(kToken), before) << "a foreign code was spent";
  EXPECT_TRUE(exchange(*speaking, with_issuer(kIssuer)));
}

TEST_F(OidcClientTest, each_failure_has_its_reason) {
  auto answer = [](int status, std::string body) {
    return [=](const net::OutgoingRequest&) -> Result<net::IncomingResponse> {
      return net::IncomingResponse{status, {}, body};
    };
  };
  auto error = [](ErrorKind kind) {
    return [=](const net::OutgoingRequest&) -> Result<net::IncomingResponse> {
      return fail(kind, "x");
    };
  };
  struct Row {
    const char* code;
    const char* url;
    FakeProvider::Answer answer;
  } rows[] = {
      {"provider.unreachable", kAbout, error(ErrorKind::unavailable)},
      {"provider.unreachable", kJwks, error(ErrorKind::timeout)},
      {"provider.address", kToken, error(ErrorKind::unauthorized)},
      {"provider.answer", kJwks, error(ErrorKind::invalid)},
      {"provider.status", kAbout, answer(302, "")},
      {"provider.status", kJwks, answer(503, "")},
      {"provider.status", kToken, answer(500, "<html>")},
      {"provider.client", kToken, answer(401, "{\"error\":\"invalid_client\"}")},
      {"provider.client", kToken, answer(400, "{\"error\":\"invalid_client\"}")},
      {"code.refused", kToken,
       answer(400, "{\"error\":\"invalid_grant\",\"error_description\":\"code c&d\"}")},
      {"provider.answer", kToken, answer(200, "{}")},
      {"provider.answer", kToken, answer(200, "{\"id_token\":7}")},
      {"provider.answer", kToken, answer(200, "{\"id_token\":\"a\",\"id_token\":\"b\"}")},
      {"token.format", kToken, answer(200, "{\"id_token\":\"x\"}")},
      {"discovery.format", kAbout, answer(200, "{}")},
      {"keys.format", kJwks, answer(200, "{}")},
  };
  for (auto& row : rows) {
    World fresh_world;
    fresh_world.provider.on(row.url, row.answer);
    auto verdict = fresh_world.exchange(*fresh_world.client());
    ASSERT_FALSE(verdict) << row.url;
    EXPECT_EQ(verdict.error().code, row.code) << row.url << ": " << verdict.error().why;
    EXPECT_EQ(verdict.error().why.find("c&d"), std::string::npos) << verdict.error().why;
    EXPECT_EQ(verdict.error().why.find("e:cret"), std::string::npos) << verdict.error().why;
  }
}

TEST_F(OidcClientTest, a_token_for_another_application_is_refused) {
  give(first, "other-app");
  EXPECT_EQ(exchange(*client()).error().code, "token.audience");
}

TEST_F(OidcClientTest, nothing_to_exchange) {
  auto one = client();
  EXPECT_EQ(exchange(*one, {"https://knock.example/cb", "", "v", "n-1", ""}).error().code,
            "code.missing");
  EXPECT_EQ(exchange(*one, {"https://knock.example/cb", "c", "v", "", ""}).error().code,
            "code.missing");
  EXPECT_EQ(provider.times(kToken), 0u);
}

TEST_F(OidcClientTest, settings_that_cannot_work) {
  OidcSettings settings;
  settings.issuer = "http://idp.example";
  EXPECT_EQ(OidcClient::make(settings, std::nullopt, clock).error().code, "settings.issuer");
  settings.issuer = kIssuer;
  for (auto name : {"none", "HS256", "rs256", ""}) {
    settings.algorithms = {"RS256", name};
    EXPECT_EQ(OidcClient::make(settings, std::nullopt, clock).error().code, "settings.algorithm")
        << name;
  }
}

}  // namespace
}  // namespace knock::sso
