// SPDX-License-Identifier: Apache-2.0
// Signing out, where requests come from, and what is asked by machines.
#include "server/front/assets.h"
#include "tests/unit/server/front_fixture.h"

namespace knock::test {
namespace {

using namespace server;

TEST_F(FrontTest, SignOutEndsTheSession) {
  auto response = ask(form("/auth/sign-out", "form=form-token", "__Host-knock=session"));
  EXPECT_EQ(response.status, 303);
  EXPECT_EQ(where(response), "/");
  EXPECT_EQ(
      cookies_of(response),
      std::vector<std::string>{"__Host-knock=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"});
  auto asked = core.all<role::SignOut>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].cookie, "session");
  EXPECT_EQ(asked[0].form, "form-token");
}

TEST_F(FrontTest, ASignOutThatIsNotRecordedSaysSo) {
  core.next = role::Ok{0, "Closed now. <b>Not</b> recorded until 10:00."};
  auto response = ask(form("/auth/sign-out", "form=form-token", "__Host-knock=session"));
  EXPECT_EQ(response.status, 200);
  for (const char* part :
       {"You are signed out", "Closed now. &lt;b&gt;Not&lt;/b&gt; recorded", "sign-out.unrecorded"})
    EXPECT_NE(response.body.find(part), std::string::npos) << part << response.body;
  EXPECT_EQ(
      cookies_of(response),
      std::vector<std::string>{"__Host-knock=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"});
}

TEST_F(FrontTest, SignOutNeedsItsFormToken) {
  for (auto body : {std::string(), std::string("form="), std::string("form=a&form=a"),
                    "form=" + std::string(257, 'f'), std::string("x")}) {
    auto response = ask(form("/auth/sign-out", body, "__Host-knock=session"));
    EXPECT_EQ(response.status, 403) << body;
    EXPECT_TRUE(cookies_of(response).empty());
  }
  EXPECT_TRUE(core.asked.empty());
  core.next = role::Refused{0, "form.wrong", "That page was too old."};
  auto response = ask(form("/auth/sign-out", "form=other", "__Host-knock=session"));
  EXPECT_EQ(response.status, 403);
  EXPECT_TRUE(cookies_of(response).empty()) << "still signed in";
}

TEST_F(FrontTest, SignOutWithoutASessionJustGoesHome) {
  EXPECT_EQ(ask(form("/auth/sign-out", "form=x", "")).status, 303);
  EXPECT_TRUE(core.asked.empty());
}

TEST_F(FrontTest, BehindAProxyTheClientIsNamedByIt) {
  settings.trusted_proxies = {*Prefix::parse("10.0.0.0/8")};
  core.next = role::SignedIn{0, "s", Instant{0}};
  auto request = local("ana", "p");
  request.peer = IpAddress::parse("10.0.0.1");
  request.headers.fields.emplace_back("X-Forwarded-For", "203.0.113.1, 203.0.113.9");
  EXPECT_EQ(ask(request).status, 303);
  EXPECT_EQ(core.all<role::SignInLocal>()[0].address.to_string(), "203.0.113.9");
}

TEST_F(FrontTest, WithoutAClientAddressNobodySignsIn) {
  settings.trusted_proxies = {*Prefix::parse("10.0.0.0/8")};
  core.me = me();
  core.next = role::SignedIn{0, "s", Instant{0}};
  auto callback = request("GET", "/auth/callback?code=c&state=s");
  auto home = request("GET", "/");
  home.headers.set("Cookie", "__Host-knock=session");
  const std::pair<const char*, const char*> rows[] = {{"", "forwarded.missing"},
                                                      {"unknown", "forwarded.malformed"},
                                                      {"10.0.0.2", "forwarded.all-trusted"}};
  for (auto [value, code] : rows)
    for (auto request : {local("ana", "p"), callback, home}) {
      request.peer = IpAddress::parse("10.0.0.1");
      request.headers.set("X-Forwarded-For", value);
      auto response = ask(request);
      EXPECT_EQ(response.status, 400) << request.path;
      EXPECT_TRUE(says(response, code)) << request.path << " " << code;
      EXPECT_TRUE(cookies_of(response).empty());
    }
  EXPECT_TRUE(core.asked.empty());
  auto signed_out = request("GET", "/");
  signed_out.peer = IpAddress::parse("10.0.0.1");
  auto response = ask(signed_out);
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(says(response, "forwarded.missing"))
      << "the page says beforehand that it would not work";
}

TEST_F(FrontTest, HealthAsksNobody) {
  core.failure = Error{ErrorKind::unavailable, "away", {}, {}};
  auto response = get("/health");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "ok\n");
  EXPECT_TRUE(core.asked.empty());
}

TEST_F(FrontTest, ReadyIsCoresWord) {
  EXPECT_EQ(get("/ready").status, 200);
  core.ready = role::Ready{0, false, "log unwritable\n\x1b[31m"};
  auto response = get("/ready");
  EXPECT_EQ(response.status, 503);
  EXPECT_TRUE(says(response, "log unwritable"));
  EXPECT_FALSE(says(response, "\x1b"));
  core.failure = Error{ErrorKind::unavailable, "away", {}, {}};
  EXPECT_EQ(get("/ready").status, 503);
}

TEST_F(FrontTest, WhenCoreIsAwayPagesSaySo) {
  for (auto [kind, code] : {std::pair(ErrorKind::unavailable, "core.unavailable"),
                            std::pair(ErrorKind::timeout, "core.timeout")}) {
    core.failure = Error{kind, "path /secret/of/ours", {}, {}};
    const std::string token = form_token("browser");
    for (const auto& response :
         {get("/"), get("/", "__Host-knock=session"), ask(local("ana", "p")),
          get("/auth/callback?code=c&state=s"),
          get("/auth/start/corp?form=" + token, "__Host-knock-signin=browser"),
          ask(form("/auth/sign-out", "form=f", "__Host-knock=session"))}) {
      EXPECT_EQ(response.status, 503);
      EXPECT_TRUE(says(response, code));
      EXPECT_FALSE(says(response, "/secret"));
    }
  }
}

TEST_F(FrontTest, AnAnswerOfTheWrongKindIsNotMistakenForAnother) {
  core.sign_ins = core.me = core.ready = core.next = role::Ok{};
  const std::string token = form_token("browser");
  EXPECT_EQ(get("/").status, 503);
  EXPECT_EQ(get("/", "__Host-knock=session").status, 503);
  EXPECT_EQ(get("/ready").status, 503);
  EXPECT_EQ(get("/auth/callback?code=c&state=s").status, 503);
  EXPECT_EQ(get("/auth/start/corp?form=" + token, "__Host-knock-signin=browser").status, 503);
  core.next = role::SignedIn{0, "s", Instant{0}};
  auto response = ask(form("/auth/sign-out", "form=f", "__Host-knock=session"));
  EXPECT_EQ(response.status, 503);
  EXPECT_TRUE(cookies_of(response).empty());
}

TEST_F(FrontTest, UnknownPathsAndMethodsAreSaid) {
  for (const char* path :
       {"/nothing", "/auth", "/auth/", "/auth/local/", "/auth/callback/x", "/healthz", "/assets/",
        "/assets/knock.css", "/assets/../front.cc", "/admin", "//", ""})
    EXPECT_EQ(get(path).status, 404) << path;
  const std::tuple<const char*, const char*, const char*> rows[] = {
      {"POST", "/", "GET, HEAD"},
      {"PUT", "/me", "GET, HEAD"},
      {"GET", "/auth/local", "POST"},
      {"GET", "/auth/sign-out", "POST"},
      {"POST", "/auth/callback", "GET"},
      {"HEAD", "/auth/callback", "GET"},
      {"DELETE", "/auth/start/corp", "GET, POST"},
      {"POST", "/health", "GET, HEAD"},
      {"OPTIONS", "/ready", "GET, HEAD"},
      {"get", "/", "GET, HEAD"},
      {"GET, HEAD", "/", "GET, HEAD"}};
  for (auto [method, path, allow] : rows) {
    auto response = ask(request(method, path));
    EXPECT_EQ(response.status, 405) << method << path;
    EXPECT_EQ(response.headers.one("allow"), allow) << method << path;
  }
  EXPECT_TRUE(core.asked.empty());
}

TEST_F(FrontTest, AssetsAreKeptForEver) {
  auto page = get("/");
  for (const auto& one : assets()) {
    auto response = get(one.url);
    EXPECT_EQ(response.status, 200) << one.url;
    EXPECT_EQ(response.headers.one("content-type"), one.content_type);
    EXPECT_EQ(response.headers.one("cache-control"), "public, max-age=31536000, immutable");
    EXPECT_EQ(response.body, one.content);
    EXPECT_GT(one.content.size(), 100u);
  }
  EXPECT_TRUE(says(page, asset("knock.css").url));
  EXPECT_TRUE(asset("knock.svg").content.starts_with("<svg"));
}

}  // namespace
}  // namespace knock::test
