// SPDX-License-Identifier: Apache-2.0
// Signing in at a provider: the way there, and what comes back.
#include "tests/unit/server/front_fixture.h"

namespace knock::test {
namespace {

using namespace server;

TEST_F(FrontTest, StartLeadsToTheProvider) {
  core.next = role::GoTo{0, "https://idp.example/authorize?client_id=k&state=s"};
  const std::string token = "form=" + form_token("browser");
  for (const auto& response :
       {get("/auth/start/corp?" + token, "__Host-knock-signin=browser"),
        ask(form("/auth/start/corp", token, "__Host-knock-signin=browser"))}) {
    EXPECT_EQ(response.status, 303);
    EXPECT_EQ(where(response), "https://idp.example/authorize?client_id=k&state=s");
  }
  auto asked = core.all<role::StartOidc>();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[0].source, SignInName("corp"));
  EXPECT_EQ(asked[0].browser, "browser");
}

TEST_F(FrontTest, StartRefusesStrangeNamesAndDestinations) {
  const std::string query = "?form=" + form_token("browser");
  core.next = role::GoTo{0, "https://idp.example/"};
  for (auto name : {std::string(), std::string("a/b"), std::string("a b"), std::string("<x>"),
                    std::string("a\r\nb"), std::string(65, 'n')})
    EXPECT_EQ(get("/auth/start/" + name + query, "__Host-knock-signin=browser").status, 404)
        << name;
  EXPECT_TRUE(core.asked.empty());
  for (const char* url : {"javascript:alert(1)", "/somewhere", "//idp.example/",
                          "https://idp.example/\r\nSet-Cookie: a=b", "https://idp.example/a b", "",
                          "https://user@idp.example/"}) {
    core.next = role::GoTo{0, url};
    auto response = get("/auth/start/corp" + query, "__Host-knock-signin=browser");
    EXPECT_EQ(response.status, 503) << url;
    EXPECT_EQ(where(response), "(nowhere)") << url;
  }
  core.next = role::Refused{0, "provider.unreachable", "The provider does not answer."};
  auto response = get("/auth/start/corp" + query, "__Host-knock-signin=browser");
  EXPECT_EQ(response.status, 403);
  EXPECT_TRUE(says(response, "provider.unreachable"));
}

TEST_F(FrontTest, CallbackSignsIn) {
  core.next = role::SignedIn{0, "new-session", Instant{0}};
  auto response =
      get("/auth/callback?code=c%2F1&state=s+1&iss=https%3A%2F%2Fidp.example&session_state=x",
          "__Host-knock-signin=browser");
  EXPECT_EQ(response.status, 303);
  EXPECT_EQ(where(response), "/");
  auto cookies = cookies_of(response);
  ASSERT_EQ(cookies.size(), 2u);
  EXPECT_TRUE(cookies[0].starts_with("__Host-knock=new-session; "));
  EXPECT_TRUE(cookies[1].starts_with("__Host-knock-signin=; ")) << "used up";
  auto asked = core.all<role::FinishOidc>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].code, "c/1");
  EXPECT_EQ(asked[0].state, "s 1");
  EXPECT_EQ(asked[0].issuer, "https://idp.example");
  EXPECT_EQ(asked[0].error, "");
  EXPECT_EQ(asked[0].browser, "browser");
  EXPECT_EQ(asked[0].address, kClient);
}

TEST_F(FrontTest, CallbackWithoutTheCookieStillReachesCoreSoThatItIsLogged) {
  core.next = role::Refused{0, "state.browser", "This sign-in was begun in another browser."};
  auto response = get("/auth/callback?code=c&state=s");
  EXPECT_EQ(response.status, 403);
  EXPECT_TRUE(says(response, "This sign-in was begun in another browser."));
  EXPECT_TRUE(says(response, "state.browser"));
  EXPECT_TRUE(cookies_of(response).empty());
  ASSERT_EQ(core.all<role::FinishOidc>().size(), 1u);
  EXPECT_EQ(core.all<role::FinishOidc>()[0].browser, "");
}

TEST_F(FrontTest, CallbackWithAnErrorIsAFriendlyPage) {
  core.next = role::Refused{0, "oidc.denied", "You declined at your provider."};
  auto response = get("/auth/callback?error=access_denied&error_description=%3Cb%3E&state=s",
                      "__Host-knock-signin=browser");
  EXPECT_EQ(response.status, 403);
  EXPECT_TRUE(says(response, "You declined at your provider."));
  EXPECT_TRUE(says(response, "Back to the start"));
  EXPECT_FALSE(says(response, "<b>"));
  EXPECT_EQ(core.all<role::FinishOidc>()[0].error, "access_denied");
}

TEST_F(FrontTest, MalformedCallbacksDoNotReachCore) {
  const std::string long_text(4097, 'x');
  for (const auto& query :
       {std::string(), std::string("?"), std::string("?code=c"), std::string("?state=s"),
        std::string("?state=&code=c"), std::string("?state=s&code="),
        std::string("?state=s&state=s&code=c"), std::string("?state=s&code=a&code=b"),
        std::string("?state=s&code=c&iss=a&iss=a"), std::string("?state=s&error=a&error=b"),
        std::string("?state=s&code=%zz"), "?state=s&code=" + long_text,
        "?code=c&state=" + long_text, "?code=c&state=s&iss=" + long_text}) {
    auto response = get("/auth/callback" + query, "__Host-knock-signin=browser");
    EXPECT_EQ(response.status, 400) << query;
    EXPECT_TRUE(says(response, "callback.malformed")) << query;
  }
  EXPECT_TRUE(core.asked.empty());
}

TEST_F(FrontTest, ACookieThatCoreCouldNotHaveMeantIsNeverSet) {
  for (const char* bad : {"", "a b", "a;b", "a\r\nSet-Cookie: x=y", "a,b", "\"a\""}) {
    core.next = role::SignedIn{0, bad, Instant{0}};
    auto response = ask(local("ana", "p"));
    EXPECT_EQ(response.status, 503) << bad;
    EXPECT_TRUE(cookies_of(response).empty()) << bad;
  }
}

}  // namespace
}  // namespace knock::test
