// SPDX-License-Identifier: Apache-2.0
// The whole code flow against a real provider over loopback: browser, redirects, token endpoint,
// keys.
#include <gtest/gtest.h>

#include "base/random.h"
#include "base/sha256.h"
#include "sso/oidc/client.h"
#include "tests/support/oidc_provider.h"
#include "tests/support/requirement.h"

namespace knock::sso {
namespace {

using knock::test::OidcProvider;
using knock::test::query_parameter;

constexpr char kCallback[] = "http://127.0.0.1:8400/auth/callback";

Deadline soon() { return Deadline::in(Duration::seconds(20)); }

struct ProviderFlow : ::testing::Test {
  static void SetUpTestSuite() {
    if (OidcProvider::ready()) provider = new OidcProvider;
  }
  static void TearDownTestSuite() {
    delete provider;
    provider = nullptr;
  }
  void SetUp() override {
    KNOCK_NEED("oidc", OidcProvider::ready(), OidcProvider::why_not());
    provider->control("reset");
  }

  std::unique_ptr<OidcClient> client(const std::string& id, const std::string& algorithm,
                                     bool confidential = true,
                                     TokenAuth auth = TokenAuth::discovered) {
    OidcSettings settings;
    settings.token_auth = auth;
    settings.name = SignInName("lab");
    settings.issuer = provider->issuer();
    settings.client_id = id;
    settings.algorithms = {algorithm};
    settings.scopes = {"openid", "profile", "email", "groups"};
    std::optional<Secret> secret;
    if (confidential) secret = Secret(OidcProvider::secret_of(id));
    return std::move(*OidcClient::make(settings, std::move(secret), clock));
  }

  /// The address the browser comes back with, and what we must remember meanwhile.
  struct Visit {
    std::string callback;
    CodeExchange code;
  };
  Visit visit(OidcClient& with, const std::string& user, const std::string& redirect = kCallback) {
    Visit out;
    out.code.redirect_uri = redirect;
    out.code.pkce_verifier = random.token(32);
    out.code.nonce = random.token(16);
    auto state = random.token(16);
    auto challenge = base64url(as_bytes(sha256(out.code.pkce_verifier)));
    auto url = with.authorization_url(*http, redirect, state, out.code.nonce, challenge,
                                      std::nullopt, soon());
    if (!url) {
      ADD_FAILURE() << url.error().why;
      return out;
    }
    std::string why;
    out.callback = provider->sign_in(*url, user, redirect, &why);
    EXPECT_FALSE(out.callback.empty()) << why;
    EXPECT_EQ(query_parameter(out.callback, "state"), state);
    out.code.code = query_parameter(out.callback, "code");
    out.code.issuer = query_parameter(out.callback, "iss");
    return out;
  }
  Verdict<IdToken> exchange(OidcClient& with, const CodeExchange& code) {
    return with.exchange(*http, code, clock.now(), soon());
  }

  inline static OidcProvider* provider = nullptr;
  SystemClock clock;
  SystemRandom random;
  std::unique_ptr<net::HttpClient> http =
      net::make_http_client({{Prefix::parse("127.0.0.0/8").value()}});
};

TEST_F(ProviderFlow, every_algorithm_the_provider_signs_with) {
  for (auto& [id, algorithm] : {std::pair{"knock", "RS256"},
                                {"knock-es256", "ES256"},
                                {"knock-ps256", "PS256"},
                                {"knock-eddsa", "EdDSA"}}) {
    auto one = client(id, algorithm);
    auto who = exchange(*one, visit(*one, "alice").code);
    ASSERT_TRUE(who) << algorithm << ": " << who.error().code << " " << who.error().why;
    EXPECT_EQ(who->subject, "alice");
    EXPECT_EQ(who->name, "alice");
    EXPECT_EQ(who->issuer, provider->issuer());
    EXPECT_EQ(who->groups, (std::vector<std::string>{"eng", "knock-admins", "sre"}));
  }
}

TEST_F(ProviderFlow, many_groups_and_other_alphabets) {
  auto one = client("knock", "RS256");
  auto many = exchange(*one, visit(*one, "many").code);
  ASSERT_TRUE(many) << many.error().why;
  EXPECT_EQ(many->groups.size(), 301u);
  auto zoe = exchange(*one, visit(*one, "zoe").code);
  ASSERT_TRUE(zoe) << zoe.error().why;
  EXPECT_EQ(zoe->groups, (std::vector<std::string>{"eng", "\xc3\xa9quipe r\xc3\xa9seau"}));
  auto none = exchange(*one, visit(*one, "nogroup").code);
  ASSERT_TRUE(none) << none.error().why;
  EXPECT_TRUE(none->groups.empty());
}

TEST_F(ProviderFlow, a_client_whose_secret_is_sent_in_the_body) {
  auto post = client("knock-post", "RS256", true, TokenAuth::post);
  auto who = exchange(*post, visit(*post, "alice").code);
  ASSERT_TRUE(who) << who.error().code << " " << who.error().why;
  EXPECT_EQ(who->subject, "alice");
}

TEST_F(ProviderFlow, a_public_client) {
  auto open = client("knock-cli", "RS256", false);
  auto who = exchange(*open, visit(*open, "bob", "http://127.0.0.1/callback").code);
  ASSERT_TRUE(who) << who.error().why;
  EXPECT_EQ(who->subject, "bob");
}

TEST_F(ProviderFlow, a_code_is_good_once) {
  auto one = client("knock", "RS256");
  auto code = visit(*one, "alice").code;
  ASSERT_TRUE(exchange(*one, code));
  EXPECT_EQ(exchange(*one, code).error().code, "code.refused");
}

TEST_F(ProviderFlow, a_code_is_for_who_asked) {
  auto one = client("knock", "RS256");
  auto code = visit(*one, "alice").code;
  auto stolen = code;
  stolen.pkce_verifier = random.token(32);
  EXPECT_EQ(exchange(*one, stolen).error().code, "code.refused");
  code = visit(*one, "alice").code;
  code.nonce = random.token(16);
  EXPECT_EQ(exchange(*one, code).error().code, "token.nonce");
  code = visit(*one, "alice").code;
  code.issuer = "http://127.0.0.1:1";
  EXPECT_EQ(exchange(*one, code).error().code, "callback.issuer");
  code = visit(*one, "alice").code;
  code.issuer = "";
  EXPECT_EQ(exchange(*one, code).error().code, "callback.issuer")
      << "the provider advertises RFC 9207";
}

TEST_F(ProviderFlow, another_applications_code_is_refused) {
  auto other = client("other-app", "RS256"), ours = client("knock", "RS256");
  auto code = visit(*other, "alice", "http://127.0.0.1:8499/cb").code;
  EXPECT_EQ(exchange(*ours, code).error().code, "code.refused");
}

/// Keeps the provider's last answer to a code, and can give it instead of the next.
class Swapper final : public net::HttpClient {
 public:
  explicit Swapper(net::HttpClient& real) : real_(real) {}
  Result<net::IncomingResponse> send(const net::OutgoingRequest& request,
                                     Deadline deadline) override {
    if (!request.url.ends_with("/token")) return real_.send(request, deadline);
    if (swap) return last_;
    auto answer = real_.send(request, deadline);
    if (answer) last_ = *answer;
    return answer;
  }
  bool swap = false;

 private:
  net::HttpClient& real_;
  net::IncomingResponse last_;
};

TEST_F(ProviderFlow, another_applications_token_is_refused) {
  auto other = client("other-app", "RS256"), ours = client("knock", "RS256");
  auto code = visit(*other, "alice", "http://127.0.0.1:8499/cb").code;
  Swapper swapper(*http);
  auto theirs = other->exchange(swapper, code, clock.now(), soon());
  ASSERT_TRUE(theirs) << theirs.error().why;
  // Good in every other respect: the provider's signature, fresh, and the very nonce.
  swapper.swap = true;
  auto verdict = ours->exchange(swapper, code, clock.now(), soon());
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code, "token.audience") << verdict.error().why;
}

TEST_F(ProviderFlow, a_wrong_secret_is_told_apart) {
  OidcSettings settings;
  settings.issuer = provider->issuer();
  settings.client_id = "knock";
  auto one = std::move(*OidcClient::make(settings, Secret("wrong"), clock));
  EXPECT_EQ(exchange(*one, visit(*one, "alice").code).error().code, "provider.client");
}

TEST_F(ProviderFlow, an_algorithm_we_did_not_configure) {
  auto one = client("knock-es256", "RS256");
  EXPECT_EQ(exchange(*one, visit(*one, "alice").code).error().code, "token.algorithm");
}

TEST_F(ProviderFlow, keys_turn_over_under_a_running_client) {
  auto one = client("knock", "RS256");
  ASSERT_TRUE(exchange(*one, visit(*one, "alice").code));
  auto before = provider->times_asked("/jwks");
  ASSERT_TRUE(exchange(*one, visit(*one, "bob").code));
  EXPECT_EQ(provider->times_asked("/jwks"), before) << "one fetch serves many";
  provider->control("rotate?keep=0");
  auto who = exchange(*one, visit(*one, "carol").code);
  ASSERT_TRUE(who) << who.error().why;
  EXPECT_EQ(provider->times_asked("/jwks"), before + 1);
}

TEST_F(ProviderFlow, a_provider_that_fails) {
  auto one = client("knock", "RS256");
  auto code = visit(*one, "alice").code;
  provider->control("fault?path=/token&status=503&times=1");
  EXPECT_EQ(exchange(*one, code).error().code, "provider.status");
  provider->control("fault?path=/token&delayMs=30000&times=1");
  auto late = one->exchange(*http, code, clock.now(), Deadline::in(Duration{300}));
  EXPECT_EQ(late.error().code, "provider.unreachable");
  auto guarded = net::make_http_client({});
  EXPECT_EQ(one->exchange(*guarded, code, clock.now(), soon()).error().code, "provider.address");
}

TEST_F(ProviderFlow, somebody_who_left_cannot_sign_in) {
  auto one = client("knock", "RS256");
  auto url = one->authorization_url(*http, kCallback, "s", "n", base64url(as_bytes(sha256("v"))),
                                    std::nullopt, soon());
  ASSERT_TRUE(url);
  auto back = provider->sign_in(*url, "leaver", kCallback);
  EXPECT_TRUE(query_parameter(back, "code").empty()) << back;
}

}  // namespace
}  // namespace knock::sso
