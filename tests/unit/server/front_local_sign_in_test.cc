// SPDX-License-Identifier: Apache-2.0
// Signing in with a local account, and forms that somebody else sends in a person's name.
#include "tests/unit/server/front_fixture.h"

namespace knock::test {
namespace {

using namespace server;

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

}  // namespace
}  // namespace knock::test
