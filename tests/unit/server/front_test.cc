// SPDX-License-Identifier: Apache-2.0
#include "server/front/front.h"

#include <gtest/gtest.h>

#include "server/front/assets.h"
#include "server/front/html.h"
#include "server/front/same_origin.h"
#include "tests/unit/server/front_fake_core.h"

using namespace knock;
using namespace knock::server;
using namespace knock::test;

namespace {

constexpr const char* kOrigin = "https://knock.example";
const IpAddress kClient = *IpAddress::parse("198.51.100.7");

class FrontTest : public ::testing::Test {
 protected:
  net::HttpResponse ask(net::HttpRequest request) {
    Front front(core, random, settings);
    std::optional<net::HttpResponse> got;
    int answers = 0;
    if (!request.peer) request.peer = kClient;
    front.handle(std::move(request), [&](net::HttpResponse response) {
      got = std::move(response);
      ++answers;
    });
    EXPECT_EQ(answers, 1);
    return got.value_or(net::HttpResponse{0, {}, ""});
  }

  static net::HttpRequest request(std::string method, std::string target) {
    net::HttpRequest out;
    out.method = std::move(method);
    out.target = target;
    out.path = target.substr(0, target.find('?'));
    if (auto at = target.find('?'); at != std::string::npos) out.query = target.substr(at + 1);
    return out;
  }

  net::HttpResponse get(const std::string& target, const std::string& cookies = "") {
    auto out = request("GET", target);
    if (!cookies.empty()) out.headers.set("Cookie", cookies);
    return ask(std::move(out));
  }

  static net::HttpRequest form(const std::string& target, const std::string& body,
                               const std::string& cookies) {
    auto out = request("POST", target);
    out.body = body;
    out.headers.set("Content-Type", "application/x-www-form-urlencoded");
    out.headers.set("Origin", kOrigin);
    out.headers.set("Sec-Fetch-Site", "same-origin");
    if (!cookies.empty()) out.headers.set("Cookie", cookies);
    return out;
  }

  /// A sign-in form as our page would send it.
  static net::HttpRequest local(const std::string& user, const std::string& password) {
    return form("/auth/local",
                "form=" + form_token("browser") + "&user=" + user + "&password=" + password,
                "__Host-knock-signin=browser");
  }

  role::Me me() {
    role::Me out{
        0, "Ana", kClient, Instant::from_seconds(8 * 3600), Instant::from_seconds(0), "form-token",
        {}};
    auto port = *PortRange::parse("tcp/443");
    out.services.push_back(
        {ServiceName("payroll"), {port}, true, Instant::from_seconds(7800), 2, 2, ""});
    out.services.push_back(
        {ServiceName("ssh"), {port}, true, Instant::from_seconds(60), 2, 1, "edge is late"});
    out.services.push_back({ServiceName("vault"), {port}, false, {}, 1, 0, ""});
    return out;
  }

  FakeCore core;
  CountingRandom random;
  FrontSettings settings{"https://knock.example/", true, {}};
};

std::vector<std::string> cookies_of(const net::HttpResponse& response) {
  std::vector<std::string> out;
  for (auto value : response.headers.all("set-cookie")) out.emplace_back(value);
  return out;
}

bool says(const net::HttpResponse& response, std::string_view text) {
  return response.body.find(text) != std::string::npos;
}

std::string where(const net::HttpResponse& response) {
  return std::string(response.headers.one("location").value_or("(nowhere)"));
}

// ── pages

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

// ── local sign-in

TEST_F(FrontTest, LocalSignInSetsTheSession) {
  core.next = role::SignedIn{0, "new-session", *parse_instant("2026-11-21T18:00:00Z")};
  auto response = ask(local("ana", "p%C3%A4ss+word"));
  EXPECT_EQ(response.status, 303);
  EXPECT_EQ(where(response), "/");
  EXPECT_EQ(cookies_of(response),
            (std::vector<std::string>{
                "__Host-knock=new-session; Path=/; HttpOnly; SameSite=Lax; Secure; Expires=Sat, 21 "
                "Nov 2026 18:00:00 GMT",
                "__Host-knock-signin=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"}));
  auto asked = core.all<role::SignInLocal>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].user, "ana");
  EXPECT_EQ(asked[0].password, "p\xc3\xa4ss word");
  EXPECT_EQ(asked[0].address, kClient);
}

TEST_F(FrontTest, ARefusedSignInSaysSoAndKeepsTheName) {
  core.next = role::Refused{0, "local.wrong", "That name or password is not right."};
  auto response = ask(local("ana", "secret-password"));
  EXPECT_EQ(response.status, 403);
  EXPECT_TRUE(says(response, "That name or password is not right."));
  EXPECT_TRUE(says(response, "value=\"ana\""));
  EXPECT_FALSE(says(response, "secret-password"));
  EXPECT_TRUE(cookies_of(response).empty());
}

TEST_F(FrontTest, LocalSignInFieldsHaveLimits) {
  EXPECT_EQ(ask(local(std::string(128, 'u'), std::string(1024, 'p'))).status, 503)
      << "asked: core said Ok, which is no answer";
  EXPECT_EQ(core.all<role::SignInLocal>().size(), 1u);
  struct Row {
    const char* name;
    std::string body;
    int status;
  };
  const std::string token = "form=" + form_token("browser");
  const Row rows[] = {
      {"long user", token + "&password=p&user=" + std::string(129, 'u'), 400},
      {"long password", token + "&user=u&password=" + std::string(1025, 'p'), 400},
      {"empty user", token + "&user=&password=p", 400},
      {"empty password", token + "&user=u&password=", 400},
      {"no user", token + "&password=p", 400},
      {"two users", token + "&user=a&user=b&password=p", 400},
      {"two passwords", token + "&user=a&password=p&password=q", 400},
      {"not a form", "{\"user\":1}", 400},
      {"empty", "", 400},
  };
  for (const auto& row : rows)
    EXPECT_EQ(ask(form("/auth/local", row.body, "__Host-knock-signin=browser")).status, row.status)
        << row.name;
  auto json = local("ana", "p");
  json.headers.set("Content-Type", "application/json");
  EXPECT_EQ(ask(json).status, 400) << "another content type";
  EXPECT_EQ(core.all<role::SignInLocal>().size(), 1u) << "none of them reached core";
}

// ── cross-site requests: one row for each check

struct Forgery {
  const char* name;
  std::function<void(net::HttpRequest&)> change;
  const char* code;  // "" = accepted
};

void drop(net::HttpRequest& request, const std::string& name) {
  request.headers.set(name, "");
  std::erase_if(request.headers.fields, [&](const auto& field) { return field.first == name; });
}

const std::vector<Forgery>& forgeries() {
  static const std::vector<Forgery> rows{
      {"as it should be", [](auto&) {}, ""},
      {"Origin alone", [](auto& r) { drop(r, "Sec-Fetch-Site"); }, ""},
      {"Sec-Fetch-Site alone", [](auto& r) { drop(r, "Origin"); }, ""},
      {"neither", [](auto& r) { drop(r, "Origin"), drop(r, "Sec-Fetch-Site"); }, "csrf.no-origin"},
      {"two Origins", [](auto& r) { r.headers.fields.emplace_back("Origin", kOrigin); },
       "csrf.no-origin"},
      {"two Sec-Fetch-Sites",
       [](auto& r) { r.headers.fields.emplace_back("Sec-Fetch-Site", "same-origin"); },
       "csrf.no-origin"},
      {"another origin", [](auto& r) { r.headers.set("Origin", "https://evil.example"); },
       "csrf.cross-site"},
      {"another scheme", [](auto& r) { r.headers.set("Origin", "http://knock.example"); },
       "csrf.cross-site"},
      {"another port", [](auto& r) { r.headers.set("Origin", "https://knock.example:8443"); },
       "csrf.cross-site"},
      {"a longer host", [](auto& r) { r.headers.set("Origin", "https://knock.example.evil"); },
       "csrf.cross-site"},
      {"a host below", [](auto& r) { r.headers.set("Origin", "https://a.knock.example"); },
       "csrf.cross-site"},
      {"null origin", [](auto& r) { r.headers.set("Origin", "null"); }, "csrf.cross-site"},
      {"empty origin", [](auto& r) { r.headers.set("Origin", ""); }, "csrf.cross-site"},
      {"another site", [](auto& r) { r.headers.set("Sec-Fetch-Site", "cross-site"); },
       "csrf.cross-site"},
      {"a sibling site", [](auto& r) { r.headers.set("Sec-Fetch-Site", "same-site"); },
       "csrf.cross-site"},
      {"typed by hand", [](auto& r) { r.headers.set("Sec-Fetch-Site", "none"); },
       "csrf.cross-site"},
      {"our origin, another site",
       [](auto& r) { drop(r, "Origin"), r.headers.set("Sec-Fetch-Site", "cross-site"); },
       "csrf.cross-site"},
  };
  return rows;
}

TEST_F(FrontTest, EveryChangingRequestMustComeFromOurPages) {
  const std::string token = "form=" + form_token("browser");
  const net::HttpRequest requests[] = {
      local("ana", "p"),
      form("/auth/start/corp", token, "__Host-knock-signin=browser"),
      form("/auth/sign-out", "form=form-token", "__Host-knock=session"),
  };
  const role::ToFront answers[] = {role::SignedIn{0, "s", Instant{0}},
                                   role::GoTo{0, "https://idp.example/"}, role::Ok{}};
  for (std::size_t i = 0; i < 3; ++i)
    for (const auto& row : forgeries()) {
      core.asked.clear();
      core.next = answers[i];
      auto bent = requests[i];
      row.change(bent);
      auto response = ask(bent);
      if (*row.code == 0) {
        EXPECT_EQ(response.status, 303) << bent.path << ": " << row.name;
        EXPECT_EQ(core.asked.size(), 1u);
      } else {
        EXPECT_EQ(response.status, 403) << bent.path << ": " << row.name;
        EXPECT_TRUE(says(response, row.code)) << bent.path << ": " << row.name;
        EXPECT_TRUE(core.asked.empty()) << bent.path << ": " << row.name;
      }
    }
}

TEST_F(FrontTest, SigningInNeedsTheTokenOfThisBrowser) {
  core.next = role::SignedIn{0, "s", Instant{0}};
  struct Row {
    const char* name;
    std::string token, cookies;
  };
  const Row rows[] = {
      {"no cookie", form_token("browser"), ""},
      {"another browser's cookie", form_token("browser"), "__Host-knock-signin=other"},
      {"another browser's token", form_token("other"), "__Host-knock-signin=browser"},
      {"the cookie as token", "browser", "__Host-knock-signin=browser"},
      {"empty token", "", "__Host-knock-signin=browser"},
      {"repeated cookie", form_token("browser"),
       "__Host-knock-signin=browser; __Host-knock-signin=browser"},
      {"cookie under the name without prefix", form_token("browser"), "knock-signin=browser"},
      {"cookie with strange characters", form_token("br<wser"), "__Host-knock-signin=br<wser"},
      {"endless cookie", form_token(std::string(257, 'b')),
       "__Host-knock-signin=" + std::string(257, 'b')},
  };
  for (const auto& row : rows) {
    auto post = ask(form("/auth/local", "user=u&password=p&form=" + row.token, row.cookies));
    EXPECT_EQ(post.status, 403) << row.name;
    EXPECT_TRUE(says(post, "csrf.form")) << row.name;
    auto link = get("/auth/start/corp?form=" + row.token, row.cookies);
    EXPECT_EQ(link.status, 403) << row.name;
    EXPECT_TRUE(says(link, "csrf.form")) << row.name;
  }
  EXPECT_EQ(get("/auth/start/corp", "__Host-knock-signin=browser").status, 403);
  EXPECT_EQ(get("/auth/start/corp?form=a&form=a", "__Host-knock-signin=browser").status, 403);
  EXPECT_TRUE(core.asked.empty());
}

TEST_F(FrontTest, WithAMalformedPublicUrlEveryPostIsRefused) {
  for (const char* url :
       {"", "knock.example", "ftp://knock.example", "https://", "https://u@knock.example"}) {
    settings.public_url = url;
    auto request = local("ana", "p");
    EXPECT_EQ(ask(request).status, 403) << url;
    request.headers.set("Origin", "");
    EXPECT_EQ(ask(request).status, 403) << url;
  }
  EXPECT_TRUE(core.asked.empty());
}

TEST(Origin, IsWrittenAsBrowsersWriteIt) {
  EXPECT_EQ(origin_of("https://Knock.Example:443/a?b"), "https://knock.example");
  EXPECT_EQ(origin_of("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
  EXPECT_EQ(origin_of("http://[::1]:80/"), "http://[::1]");
  EXPECT_EQ(origin_of("https://k:8443#x"), "https://k:8443");
  EXPECT_EQ(origin_of("HTTPS://k?x"), "https://k");
  EXPECT_EQ(origin_of("javascript:alert(1)"), std::nullopt);
  EXPECT_EQ(origin_of("https:///"), std::nullopt);
  EXPECT_EQ(origin_of("https://a b/"), std::nullopt);
}

// ── sign-in at a provider

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

// ── signing out

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

// ── addresses

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

// ── machines, and what is not there

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

// ── templates

TEST(Html, EscapesTextAndKeepsHtml) {
  EXPECT_EQ(html("<p title=\"{}\">{}</p>", "\"><x>", html("<b>{}</b>", 3)).text(),
            "<p title=\"&quot;&gt;&lt;x&gt;\"><b>3</b></p>");
  EXPECT_EQ(html("{}", std::string("{}")).text(), "{}") << "values are not templates";
  EXPECT_EQ(html("{}{}", "{}", "'").text(), "{}&#39;");
}

}  // namespace
