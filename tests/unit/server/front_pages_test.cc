// SPDX-License-Identifier: Apache-2.0
// What people see: pages and their fields, and what stands in them.
#include "server/front/assets.h"
#include "server/front/html.h"
#include "tests/unit/server/front_fixture.h"

namespace knock::test {
namespace {

using namespace server;

TEST_F(FrontTest, SignedOutHomeOffersEveryWayIn) {
  auto response = get("/");
  EXPECT_EQ(response.status, 200);
  auto cookies = cookies_of(response);
  ASSERT_EQ(cookies.size(), 1u);
  auto token = cookies[0].substr(0, cookies[0].find(';'));
  EXPECT_EQ(cookies[0], token + "; Path=/; HttpOnly; SameSite=Lax; Secure");
  ASSERT_TRUE(token.starts_with("__Host-knock-signin="));
  EXPECT_EQ(token.size(), 20u + 43u);
  auto expected = form_token(token.substr(20));
  EXPECT_TRUE(says(response, "href=\"/auth/start/corp?form=" + expected + "\""));
  EXPECT_TRUE(says(response, "name=\"form\" value=\"" + expected + "\""));
  EXPECT_TRUE(says(response, "action=\"/auth/local\""));
  EXPECT_TRUE(says(response, "Continue with Corp &lt;SSO&gt;"));
  EXPECT_TRUE(says(response, "198.51.100.7"));
  EXPECT_FALSE(says(response, token.substr(20))) << "the cookie itself stays out of the page";
}

TEST_F(FrontTest, ABrowserKeepsItsSignInToken) {
  auto response = get("/", "__Host-knock-signin=browser");
  EXPECT_TRUE(cookies_of(response).empty());
  EXPECT_TRUE(says(response, form_token("browser")));
}

TEST_F(FrontTest, OnlyWhatExistsIsOffered) {
  core.sign_ins = role::SignIns{0, {{SignInName("corp"), "", false}}};
  auto response = get("/");
  EXPECT_FALSE(says(response, "/auth/local"));
  EXPECT_TRUE(says(response, "Continue with corp")) << "the name when there is no title";
  core.sign_ins = role::SignIns{0, {{SignInName("local"), "", true}}};
  response = get("/");
  EXPECT_TRUE(says(response, "/auth/local"));
  EXPECT_FALSE(says(response, "/auth/start/"));
  core.sign_ins = role::SignIns{};
  EXPECT_TRUE(says(get("/"), "No way to sign in"));
}

TEST_F(FrontTest, SignedInHomeShowsWhatIsOpen) {
  core.me = me();
  auto response = get("/", "__Host-knock=session");
  EXPECT_EQ(response.status, 200);
  auto asked = core.all<role::AskMe>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].cookie, "session");
  EXPECT_EQ(asked[0].address, kClient);
  EXPECT_TRUE(says(response, "<p class=\"address mono v4\">198.51.100.7</p>"));
  EXPECT_TRUE(says(response, "1 of 3 open"));
  EXPECT_TRUE(says(response, "<li class=\"service open\">"));
  EXPECT_TRUE(says(response, "<li class=\"service opening\">"));
  EXPECT_TRUE(says(response, "<li class=\"service closed\">"));
  EXPECT_TRUE(says(response, "2 h 10 min"));
  EXPECT_TRUE(says(response, "02:10 UTC"));
  EXPECT_TRUE(says(response, "edge is late"));
  EXPECT_TRUE(says(response, "name=\"form\" value=\"form-token\""));
  EXPECT_FALSE(says(response, "You are now at"));
}

TEST_F(FrontTest, SaysHowADoorLasts) {
  auto doors = me();
  role::MyService& door = doors.services[0];
  door.lasts = Lasts::first_connection;
  auto page = [&] {
    core.me = doors;
    return get("/", "__Host-knock=session");
  };
  EXPECT_TRUE(says(page(), "One connection, to be made by <time "));
  door.used = true;
  EXPECT_TRUE(says(page(), "Its one connection was made; for another, sign in again."));
  door.lasts = Lasts::disconnect;
  door.come_by = Instant::from_seconds(300);
  EXPECT_TRUE(says(page(), "; it is open until it disconnects, at the latest <time "));
  EXPECT_TRUE(says(page(), "00:05 UTC")) << "when to come";
  EXPECT_TRUE(says(page(), "02:10 UTC")) << "when to go";
  door.come_by = Instant{};
  EXPECT_TRUE(says(page(), "stays until it disconnects, at the latest <time "));
}

TEST_F(FrontTest, WarnsWhenTheAddressIsAnother) {
  auto elsewhere = me();
  elsewhere.address = *IpAddress::parse("203.0.113.5");
  core.me = elsewhere;
  auto response = get("/", "__Host-knock=session");
  EXPECT_TRUE(says(response, "<p class=\"address mono v4\">203.0.113.5</p>"));
  EXPECT_TRUE(says(response, "You are now at <b class=\"mono\">198.51.100.7</b>"));
}

TEST_F(FrontTest, AnEndedSessionLosesItsCookieAndSeesTheSignInPage) {
  auto response = get("/", "__Host-knock=old; __Host-knock-signin=browser");
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(says(response, "/auth/local"));
  EXPECT_EQ(
      cookies_of(response),
      std::vector<std::string>{"__Host-knock=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"});
}

TEST_F(FrontTest, EscapesEveryNameFromOutside) {
  const std::string evil = "<script>alert('x')</script>\"&\x1b[31m\xe2\x80\xae";
  auto nasty = me();
  nasty.name = nasty.form = nasty.services[0].service.value = nasty.services[1].problem = evil;
  core.me = nasty;
  core.sign_ins =
      role::SignIns{0, {{SignInName(evil), evil, false}, {SignInName("local"), "", true}}};
  core.next = role::Refused{0, evil, evil};
  auto callback = request("GET", "/auth/callback?state=s&code=c");
  for (const auto& response : {get("/", "__Host-knock=session"), get("/"), ask(callback),
                               ask(local("%3Cscript%3E", "p"))}) {
    EXPECT_FALSE(says(response, "<script>alert"));
    EXPECT_FALSE(says(response, "\x1b"));
    EXPECT_FALSE(says(response, "\xe2\x80\xae")) << "no reordering";
    EXPECT_TRUE(says(response, "&lt;script&gt;"));
  }
}

TEST_F(FrontTest, EveryPageCarriesTheDefensiveFields) {
  core.me = me();
  for (const auto& response :
       {get("/"), get("/", "__Host-knock=session"), get("/nothing"), get("/health"),
        ask(request("GET", "/auth/callback")), ask(request("DELETE", "/"))}) {
    auto policy = std::string(response.headers.one("content-security-policy").value_or(""));
    EXPECT_TRUE(policy.starts_with("default-src 'none';"));
    EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos);
    EXPECT_NE(policy.find("form-action 'self'"), std::string::npos);
    EXPECT_EQ(policy.find("unsafe"), std::string::npos);
    EXPECT_EQ(response.headers.one("x-content-type-options"), "nosniff");
    EXPECT_EQ(response.headers.one("referrer-policy"), "same-origin");
    EXPECT_EQ(response.headers.one("cache-control"), "no-store");
    EXPECT_EQ(response.headers.one("x-frame-options"), "DENY");
    EXPECT_EQ(response.headers.one("strict-transport-security"), "max-age=31536000");
  }
}

TEST_F(FrontTest, PagesObeyTheirOwnPolicy) {
  core.me = me();
  for (const auto& response : {get("/"), get("/", "__Host-knock=session"), get("/nothing")}) {
    EXPECT_FALSE(says(response, " style=")) << "inline styles would be blocked";
    EXPECT_FALSE(says(response, "<style"));
    EXPECT_FALSE(says(response, "<script>"));
    EXPECT_FALSE(says(response, " onclick"));
    EXPECT_FALSE(says(response, "http://"));
    EXPECT_FALSE(says(response, "https://"));
  }
}

TEST_F(FrontTest, WithoutTlsCookiesAreNotSecure) {
  settings = {"http://127.0.0.1:8080", false, {}};
  auto response = get("/");
  ASSERT_EQ(cookies_of(response).size(), 1u);
  EXPECT_TRUE(cookies_of(response)[0].starts_with("knock-signin="));
  EXPECT_EQ(cookies_of(response)[0].find("Secure"), std::string::npos);
  EXPECT_EQ(response.headers.one("strict-transport-security"), std::nullopt);
  core.me = me();
  EXPECT_TRUE(says(get("/", "knock=session"), "Sign out"));
  EXPECT_FALSE(says(get("/", "__Host-knock=session"), "Sign out")) << "the other name is not read";
}

TEST_F(FrontTest, MeLeadsHome) {
  auto response = get("/me");
  EXPECT_EQ(response.status, 303);
  EXPECT_EQ(where(response), "/");
}

TEST(Html, EscapesTextAndKeepsHtml) {
  EXPECT_EQ(html("<p title=\"{}\">{}</p>", "\"><x>", html("<b>{}</b>", 3)).text(),
            "<p title=\"&quot;&gt;&lt;x&gt;\"><b>3</b></p>");
  EXPECT_EQ(html("{}", std::string("{}")).text(), "{}") << "values are not templates";
  EXPECT_EQ(html("{}{}", "{}", "'").text(), "{}&#39;");
}

}  // namespace
}  // namespace knock::test
