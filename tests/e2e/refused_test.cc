// SPDX-License-Identifier: Apache-2.0
// Proofs of identity that are wrong in one respect each, through browser, portal, roles and a real
// provider: no session, one record with its reason code, and no secret anywhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

#include "base/text.h"
#include "tests/e2e/world.h"

namespace knock::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPassword = "planted horse battery staple";
constexpr const char* kWrongPassword = "planted wrong horse battery";

std::string with_parameter(const std::string& url, const std::string& name,
                           const std::string& value) {
  auto at = url.find(name + "=");
  if (at == url.npos) return url + "&" + name + "=" + value;
  at += name.size() + 1;
  return url.substr(0, at) + value + url.substr(std::min(url.find('&', at), url.size()));
}

class Refused : public ::testing::Test {
 protected:
  void SetUp() override {
    KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
    KNOCK_NEED("oidc", OidcProvider::ready(), OidcProvider::why_not());
    wrong("");
    write_file(wrong_file() + ".seen", "");
    WorldSettings settings;
    settings.git = false;
    settings.provider = {{"IDP_PLUGIN", source_dir() + "/tests/e2e/wrong_token.mjs"},
                         {"WRONG_TOKEN", wrong_file()}};
    world_ = std::make_unique<World>(settings);
    auto added = knock().knock({"user", "add", "lena", "--group", "eng", "--password-stdin"},
                               std::string(kPassword) + "\n");
    ASSERT_EQ(added.exit_code, 0) << added.err;
    knock().start();
    ASSERT_TRUE(world_->closes(kStranger, kSsh, Duration::seconds(10)));
    secrets_ = {OidcProvider::secret_of("knock"), kPassword, kWrongPassword};
  }

  void TearDown() override {
    if (world_ && HasFailure()) std::fprintf(stderr, "%s\n", world_->knock->log().c_str());
  }

  Installation& knock() { return *world_->knock; }
  std::string wrong_file() const { return folder_.path() + "/wrong"; }
  void wrong(const std::string& what) { write_file(wrong_file(), what); }
  Browser fresh(const char* address = kAlice) {
    return world_->browser("browser" + std::to_string(++browsers_), address);
  }

  void keep_secrets_of(const Browser& browser) {
    for (const char* name : {"__Host-knock", "__Host-knock-signin"})
      if (auto value = browser.cookie(name); !value.empty()) secrets_.insert(value);
  }

  /// Alice at the provider; what she brings back is a secret.
  std::string callback(Browser& browser, const std::string& user = "alice") {
    auto url = browser.callback(*world_->provider, world_->server, "corp", user);
    keep_secrets_of(browser);
    for (const char* name : {"code", "state"}) secrets_.insert(query_parameter(url, name));
    return url;
  }
  /// A callback as the portal expects it, but for the code, which no provider gave.
  std::string made_up(Browser& browser) {
    auto state = query_parameter(browser.start("corp"), "state");
    keep_secrets_of(browser);
    secrets_.insert(state);
    return "/auth/callback?state=" + state +
           "&code=planted-code-0123456789&iss=" + world_->provider->issuer();
  }
  Page with_wrong(const std::string& what) {
    auto browser = fresh();
    auto url = callback(browser);
    wrong(what);
    auto page = browser.get(url);
    wrong("");
    return page;
  }
  Page local(const std::string& user, const std::string& password) {
    auto browser = fresh();
    auto form = browser.form();
    keep_secrets_of(browser);
    return browser.post("/auth/local", {{"user", user}, {"password", password}, {"form", form}});
  }

  std::vector<std::string> refusals() {
    std::vector<std::string> out;
    auto text = world_->records("sign-in.refused");
    for (auto line : split(text, '\n'))
      if (!line.empty()) out.push_back(json_at(line, "/public/code"));
    return out;
  }

  void expect_refused(const std::string& what, const std::string& code,
                      const std::function<Page()>& act) {
    SCOPED_TRACE(what);
    auto before = refusals().size();
    auto page = act();
    EXPECT_EQ(page.status, 403) << page.all;
    EXPECT_EQ(page.all.find("__Host-knock="), std::string::npos) << page.all;
    auto after = refusals();
    ASSERT_EQ(after.size(), before + 1);
    EXPECT_EQ(after.back(), code);
    EXPECT_EQ(knock().ask({"session", "list"}, "/sessions"), "[]");
    for (const std::string& secret : secrets_)
      EXPECT_EQ(page.body.find(secret), std::string::npos) << secret;
  }

  void expect_no_secret_in(const std::string& where, const std::string& text) {
    for (const std::string& secret : secrets_)
      EXPECT_EQ(text.find(secret), std::string::npos) << where << " holds " << secret;
  }

  /// Everything that outlives a sign-in, and everything that somebody may be shown.
  void expect_no_secret_anywhere() {
    auto seen = read_file(wrong_file() + ".seen");
    for (auto line : split(seen, '\n'))
      if (!line.empty()) secrets_.insert(std::string(line));
    ASSERT_GT(secrets_.size(), 20u);
    for (const auto& secret : secrets_) ASSERT_GT(secret.size(), 15u);
    expect_no_secret_in("the log of serve", knock().log());
    for (std::vector<std::string> words : {std::vector<std::string>{"audit", "tail", "-n", "1000"},
                                           {"status"},
                                           {"session", "list"},
                                           {"session", "list", "--all"},
                                           {"user", "list"},
                                           {"why", "alice", "ssh"},
                                           {"plan"},
                                           {"who", "--service", "ssh"}})
      for (bool json : {false, true}) {
        auto all = words;
        if (json) all.insert(all.begin(), "--json");
        auto done = knock().knock(all);
        expect_no_secret_in("knock " + knock::join(all, " "), done.out + done.err);
      }
    for (const auto& [name, pid] : knock().roles())
      for (const char* file : {"/cmdline", "/environ"})
        expect_no_secret_in(name + file, read_file("/proc/" + std::to_string(pid) + file));
    bool looked = false;  // where the records really are
    for (const auto& each : fs::directory_iterator(knock().state_folder())) {
      if (!each.is_regular_file()) continue;
      auto content = read_file(each.path());
      expect_no_secret_in(each.path(), content);
      looked = looked || content.find("sign-in.refused") != content.npos;
    }
    EXPECT_TRUE(looked);
    expect_no_secret_in("the firewall", world_->table());
  }

  TemporaryFolder folder_;
  std::unique_ptr<World> world_;
  std::set<std::string> secrets_;
  int browsers_ = 0;
};

TEST_F(Refused, EachWrongProofLeavesOneReasonAndNoSession) {
  expect_refused("a state nobody made", "state.unknown", [&] {
    auto browser = fresh();
    return browser.get(with_parameter(made_up(browser), "state", "c3RhdGUgdGhhdCBub2JvZHkgbWFkZQ"));
  });
  expect_refused("another browser", "state.other-browser", [&] {
    auto alice = fresh(), mallory = fresh(kStranger);
    auto url = made_up(alice);
    (void)mallory.form();
    keep_secrets_of(mallory);
    return mallory.get(url);
  });
  expect_refused("a browser without cookies", "state.other-browser", [&] {
    auto alice = fresh(), mallory = fresh(kStranger);
    return mallory.get(made_up(alice));
  });
  expect_refused("the provider's error", "provider.error", [&] {
    auto browser = fresh();
    auto state = query_parameter(browser.start("corp"), "state");
    return browser.get("/auth/callback?error=access_denied&error_description=<b>no</b>&state=" +
                       state);
  });
  expect_refused("a code nobody gave", "code.refused", [&] {
    auto browser = fresh();
    return browser.get(made_up(browser));
  });
  expect_refused("another provider", "callback.issuer", [&] {
    auto browser = fresh();
    return browser.get(with_parameter(made_up(browser), "iss", "http://127.0.0.1:1"));
  });
  expect_refused("a sign-in that does not exist", "source.unknown", [&] {
    auto browser = fresh();
    return browser.post("/auth/start/nowhere", {{"form", browser.form()}});
  });
  auto twice = fresh();
  auto url = made_up(twice);
  expect_refused("a state used once", "code.refused", [&] { return twice.get(url); });
  expect_refused("a state used twice", "state.unknown", [&] { return twice.get(url); });
  expect_refused("a code given to another application", "code.refused", [&] {
    auto browser = fresh();
    auto to = made_up(browser);
    std::string given, why;
    world_->server.run([&] {
      given = world_->provider->sign_in(
          world_->provider->issuer() +
              "/auth?client_id=other-app&response_type=code&scope=openid&state=s&"
              "redirect_uri=http%3A%2F%2F127.0.0.1%3A8499%2Fcb&code_challenge_method=S256&"
              "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
          "alice", "http://127.0.0.1:8499/cb", &why);
    });
    auto code = query_parameter(given, "code");
    EXPECT_FALSE(code.empty()) << why;
    secrets_.insert(code);
    return browser.get(with_parameter(to, "code", code));
  });
  expect_refused("somebody who was disabled at the provider meanwhile", "code.refused", [&] {
    auto browser = fresh();
    auto url = callback(browser, "carol");
    world_->server.run([&] { world_->provider->control("user?sub=carol&disabled=1"); });
    return browser.get(url);
  });
  expect_refused("a wrong password", "local.wrong", [&] { return local("lena", kWrongPassword); });
  expect_refused("nobody's password", "local.wrong", [&] { return local("nobody", kPassword); });
  EXPECT_EQ(world_->reach(kAlice, kSsh), Reached::timeout);
  EXPECT_EQ(world_->reach(kStranger, kSsh), Reached::timeout);
  expect_refused("a client secret that has changed", "provider.client", [&] {
    world_->server.run([&] { world_->provider->control("fault?path=/token&status=401&body=1"); });
    auto browser = fresh();
    return browser.get(made_up(browser));
  });
  expect_no_secret_anywhere();
}

TEST_F(Refused, EachWrongTokenLeavesOneReasonAndNoSecret) {
  struct Row {
    const char *what, *code;
  };
  for (const Row& row : std::initializer_list<Row>{{"nonce", "token.nonce"},
                                                   {"no nonce", "token.nonce"},
                                                   {"audience", "token.audience"},
                                                   {"issuer", "token.issuer"},
                                                   {"expired", "token.expired"},
                                                   {"key", "token.signature"},
                                                   {"no signature", "token.algorithm"},
                                                   {"groups", "token.groups"}})
    expect_refused(row.what, row.code, [&] { return with_wrong(row.what); });
  EXPECT_EQ(world_->reach(kAlice, kSsh), Reached::timeout);

  // And one that is right, so that the above was refused for the reason given.
  auto alice = fresh();
  auto url = callback(alice);
  EXPECT_EQ(alice.get(url).status, 303);
  keep_secrets_of(alice);
  EXPECT_TRUE(world_->opens(kAlice, kSsh));
  EXPECT_EQ(local("lena", kPassword).status, 303);
  // Her callback once more, from another address: used up.
  auto mallory = fresh(kStranger);
  auto before = refusals().size();
  EXPECT_EQ(mallory.get(url).status, 403);
  EXPECT_EQ(refusals().size(), before + 1);
  EXPECT_EQ(world_->reach(kStranger, kSsh), Reached::timeout);
  expect_no_secret_anywhere();
  EXPECT_EQ(knock().knock({"audit", "verify"}).exit_code, 0);
}

}  // namespace
}  // namespace knock::test
