// SPDX-License-Identifier: Apache-2.0
// What a captured front could ask core for, and what strangers make an honest one ask.
#include <set>

#include "tests/unit/server/core_fixture.h"

namespace knock::test {
namespace {

const std::string kBrowser(43, 'b'), kOther(43, 'o');

class SignInTest : public CoreFixture {};

TEST_F(SignInTest, a_state_serves_once_for_its_browser_and_its_time) {
  auto state = begin(kBrowser);
  auto url = verifier_.last<role::MakeUrl>();
  verifier_.next = proven();
  EXPECT_TRUE(std::holds_alternative<role::SignedIn>(finish(state, kBrowser)));
  auto exchange = verifier_.last<role::ExchangeCode>();
  EXPECT_EQ(exchange.nonce, url.nonce);
  EXPECT_EQ(base64url(as_bytes(sha256(exchange.pkce_verifier))), url.challenge);
  EXPECT_GE(exchange.pkce_verifier.size(), 43u);
  EXPECT_EQ(code(finish(state, kBrowser)), "state.unknown") << "a second time";

  EXPECT_EQ(code(finish(begin(kBrowser), kOther)), "state.other-browser");

  auto probed = begin(kBrowser);
  EXPECT_EQ(code(finish(probed, kOther)), "state.other-browser");
  verifier_.next = proven();
  EXPECT_EQ(code(finish(probed, kBrowser)), "state.unknown") << "used, whatever came of it";

  auto failed = begin(kBrowser);
  EXPECT_EQ(code(finish(failed, kBrowser, "203.0.113.7", "access_denied")), "provider.error");
  EXPECT_EQ(code(finish(failed, kBrowser)), "state.unknown");

  auto late = begin(kBrowser);
  clock_.advance(Duration::minutes(10));
  EXPECT_EQ(code(finish(late, kBrowser)), "state.unknown");
}

TEST_F(SignInTest, what_a_policy_names_is_kept_and_nothing_else) {
  auto sign_in = [&]() -> Session {
    auto state = begin(kBrowser);
    auto said = proven();
    said.claims = {{"birthday", {"1990-01-01"}}, {"department", {"ops"}}, {"site", {"berlin"}}};
    said.acr = "gold";
    said.mfa_at = clock_.now() + Duration::hours(1);  // a verifier that was taken over
    verifier_.next = said;
    auto answer = finish(state, kBrowser);
    auto* in = std::get_if<role::SignedIn>(&answer);
    EXPECT_NE(in, nullptr) << code(answer);
    return in == nullptr ? Session{} : **store_->session(SignIn::id_of_cookie(in->cookie));
  };
  auto session = sign_in();
  EXPECT_TRUE(session.claims.empty()) << "no policy, so none is asked for";
  EXPECT_TRUE(verifier_.last<role::ExchangeCode>().claims.empty());
  EXPECT_EQ(session.acr, "gold");
  EXPECT_EQ(session.mfa_at, clock_.now());

  auto load = load_policy(
      {{"p.yaml",
        "knock: 1\ngroups: {g: {idp: g}}\nservices: {ssh: {ports: [tcp/22], targets: [t]}}\n"
        "targets: {t: {type: nftables}}\nallow:\n"
        "  a: {who: [g], to: [ssh], ttl: 1h, claims: {site: [berlin], department: [ops]}}\n"
        "  b: {who: [g], to: [ssh], ttl: 1h, claims: {department: [eng]}, mfa_max_age: 1h}\n"
        "  c: {who: [g], to: [ssh], ttl: 1h, mfa_max_age: 10m}\n",
        ""}},
      PolicyRevision("r1"), {});
  ASSERT_TRUE(load.policy) << to_text(load.diagnostics);
  loop_->resume(std::make_shared<const Policy>(std::move(*load.policy)));
  session = sign_in();
  EXPECT_EQ(verifier_.last<role::ExchangeCode>().claims,
            (std::vector<std::string>{"department", "site"}));
  EXPECT_EQ(verifier_.asked[verifier_.asked.size() - 2].index(),
            role::ToVerifier(role::MakeUrl{}).index());
  EXPECT_EQ(std::get<role::MakeUrl>(verifier_.asked[verifier_.asked.size() - 2]).max_age,
            Duration::minutes(10));
  using Claims = std::map<std::string, std::vector<std::string>>;
  EXPECT_EQ(session.claims, (Claims{{"department", {"ops"}}, {"site", {"berlin"}}}));
}

TEST_F(SignInTest, no_byte_of_a_state_can_be_changed) {
  auto state = begin(kBrowser);
  verifier_.next = proven();
  for (std::size_t at = 0; at < state.size(); ++at) {
    auto changed = state;
    changed[at] = changed[at] == '1' ? '2' : '1';
    clock_.advance(Duration::seconds(1));  // within the limit of attempts
    ASSERT_EQ(code(finish(changed, kBrowser)), "state.unknown") << "byte " << at;
  }
  for (const std::string& forged : {std::string(), std::string("."), std::string("....")}) {
    clock_.advance(Duration::seconds(1));
    EXPECT_EQ(code(finish(forged, kBrowser)), "state.unknown") << forged;
  }
  EXPECT_TRUE(std::holds_alternative<role::SignedIn>(finish(state, kBrowser)));
}

TEST_F(SignInTest, states_of_another_process_are_unknown) {
  auto state = begin(kBrowser);
  sign_in_ = make();
  verifier_.next = proven();
  EXPECT_EQ(code(finish(state, kBrowser)), "state.unknown");
}

TEST_F(SignInTest, strangers_who_begin_push_out_nobody) {
  auto honest = begin(kBrowser);
  std::set<std::string> nonces;
  for (int i = 0; i < 30'000; ++i) {
    verifier_.asked.clear();
    begin(kOther, "198." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ".1");
    nonces.insert(verifier_.last<role::MakeUrl>().nonce);
  }
  EXPECT_EQ(nonces.size(), 30'000u);
  verifier_.next = proven();
  EXPECT_TRUE(std::holds_alternative<role::SignedIn>(finish(honest, kBrowser)));
}

TEST_F(SignInTest, how_many_one_address_and_one_network_begin_is_limited) {
  auto begun = [&](int count, const std::function<std::string(int)>& from) {
    int passed = 0;
    for (int i = 0; i < count; ++i) {
      auto refusal = code(start(kOther, from(i)));
      passed += refusal.empty() ? 1 : 0;
      EXPECT_TRUE(refusal.empty() || refusal == "start.too-many") << refusal;
    }
    return passed;
  };
  EXPECT_EQ(begun(1000, [](int) { return "198.51.100.9"; }), 200);
  auto asked = verifier_.asked.size();
  EXPECT_EQ(code(start(kOther, "198.51.100.9")), "start.too-many");
  EXPECT_EQ(verifier_.asked.size(), asked) << "the verifier need not know";
  EXPECT_EQ(code(start(kBrowser, "198.51.101.9")), "") << "others go on";
  clock_.advance(Duration::seconds(1));
  EXPECT_EQ(code(start(kOther, "198.51.100.9")), "") << "one more after a second";
  // One host owns a /64, one customer a /48.
  EXPECT_EQ(begun(1000, [](int i) { return "2001:db8:1:1::" + std::to_string(i); }), 200);
  EXPECT_EQ(begun(5000, [](int i) { return "2001:db8:2:" + std::to_string(i) + "::1"; }), 600);

  // Beginning is limited apart from ending: who began may come back.
  auto state = begin(kBrowser);
  begun(1000, [](int) { return "203.0.113.7"; });
  verifier_.next = proven();
  EXPECT_TRUE(std::holds_alternative<role::SignedIn>(finish(state, kBrowser)));
}

TEST_F(SignInTest, a_refused_start_is_recorded_with_its_address) {
  EXPECT_EQ(code(ask(role::StartOidc{1, SignInName("nowhere"), kBrowser, address("192.0.2.77")})),
            "source.unknown");
  auto records = store_->records(store_->head().value() - 1, 1).value();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].fact.kind, "sign-in.refused");
  EXPECT_NE(records[0].fact.personal_json.find("192.0.2.77"), std::string::npos);
}

TEST_F(SignInTest, a_phone_may_change_its_address_on_the_way) {
  auto state = begin(kBrowser, "2001:db8::7");
  verifier_.next = proven();
  EXPECT_TRUE(std::holds_alternative<role::SignedIn>(finish(state, kBrowser, "203.0.113.9")));
  EXPECT_EQ(loop_->live_sessions().at(0).address, address("203.0.113.9"));
}

TEST_F(SignInTest, what_a_verifier_says_is_kept_in_bounds) {
  struct Row {
    const char* name;
    Result<role::FromVerifier> says;
    const char* want;
  };
  auto elsewhere = proven();
  elsewhere.issuer = "local";
  auto refused = role::NotProven{0, "token.nonce", "detail"};
  const Row rows[] = {{"another issuer", elsewhere, "provider.verifier"},
                      {"a wrong kind", role::PasswordChecked{0, true}, "provider.verifier"},
                      {"a url", role::UrlMade{0, "https://x.example"}, "provider.verifier"},
                      {"no", refused, "token.nonce"},
                      {"nothing", fail(ErrorKind::unavailable, "gone"), "provider.verifier"}};
  for (const auto& row : rows) {
    auto state = begin(kBrowser);
    verifier_.next = row.says;
    EXPECT_EQ(code(finish(state, kBrowser)), row.want) << row.name;
  }
  verifier_.next = proven();
  EXPECT_EQ(code(ask(role::SignInLocal{1, "ana", "pw", address("203.0.113.7")})), "local.wrong");
  EXPECT_TRUE(loop_->live_sessions().empty());

  auto state = begin(kBrowser);
  auto early = proven();
  early.authenticated = clock_.now() + Duration::hours(100);
  verifier_.next = early;
  finish(state, kBrowser);
  ASSERT_EQ(loop_->live_sessions().size(), 1u);
  EXPECT_EQ(loop_->live_sessions()[0].authenticated, clock_.now());
  EXPECT_EQ(loop_->live_sessions()[0].expires, clock_.now() + config_.oidc[0].max_session);
}

TEST_F(SignInTest, a_cookie_is_neither_stored_nor_guessed_from_what_is) {
  auto in = std::get<role::SignedIn>(local());
  auto session = loop_->live_sessions().at(0);
  EXPECT_EQ(code(ask(role::AskMe{1, session.id.value, session.address})), "session.none");
  EXPECT_TRUE(std::holds_alternative<role::Me>(ask(role::AskMe{1, in.cookie, session.address})));
  for (const char* file : {"/knock.db", "/knock.db-wal"}) {
    auto bytes = read_file(folder_.path() + file);
    EXPECT_EQ(bytes.find(in.cookie), bytes.npos) << file;
  }
  EXPECT_EQ(code(ask(role::SignOut{1, in.cookie, "guessed"})), "form");
  EXPECT_EQ(code(ask(role::SignOut{1, session.id.value, SignIn::form_of_cookie(in.cookie)})),
            "form");
  EXPECT_EQ(loop_->live_sessions().size(), 1u);
}

TEST_F(SignInTest, passwords_are_limited_by_address_by_network_and_in_all) {
  for (int i = 0; i < 10; ++i) ASSERT_EQ(code(local()), "");
  EXPECT_EQ(code(local()), "too-many");
  EXPECT_EQ(code(local("198.51.100.1")), "") << "others go on";
  clock_.advance(Duration::seconds(5));
  EXPECT_EQ(code(local()), "") << "one more after five seconds";

  // A /48 has 65,536 networks of a /64 each; it is one customer.
  int passed = 0;
  for (int i = 0; i < 200; ++i)
    passed += code(local("2001:db8:1:" + std::to_string(i) + "::1")).empty() ? 1 : 0;
  EXPECT_EQ(passed, 60);

  // A captured front says whatever address it likes.
  passed = 0;
  for (int i = 0; i < 1000; ++i)
    passed += code(local("198.18." + std::to_string(i / 4) + "." + std::to_string(i % 4))).empty();
  EXPECT_LE(passed, 200);
  clock_.advance(Duration::seconds(60));
  EXPECT_EQ(code(local("192.0.2.1")), "");
}

TEST_F(SignInTest, a_silent_verifier_holds_a_bounded_number_of_passwords) {
  verifier_.silent = true;
  int waiting = 0;
  for (int i = 0; i < 100; ++i)
    waiting += code(local("198.18." + std::to_string(i) + ".1")) == "no answer" ? 1 : 0;
  EXPECT_EQ(waiting, 48);
  for (auto& answer : verifier_.owed)
    answer(fail(ErrorKind::unavailable, "the verifier has ended"));
  verifier_.silent = false;
  EXPECT_EQ(code(local()), "") << "each place came back";
}

TEST_F(SignInTest, an_account_that_goes_while_its_password_is_hashed_opens_nothing) {
  verifier_.silent = true;
  std::string got;
  auto check = [&](const std::function<void()>& meanwhile) {
    verifier_.owed.clear();
    sign_in_->handle(role::SignInLocal{1, "ana", "pw", address("203.0.113.7")},
                     [&](role::ToFront answer) { got = code(answer); });
    meanwhile();
    verifier_.owed.at(0)(role::FromVerifier(role::PasswordChecked{0, true}));
    return got;
  };
  EXPECT_EQ(check([&] { save_account("ana", "$argon2id$another"); }), "local.wrong");
  EXPECT_EQ(check([&] { EXPECT_TRUE(store_->remove_account("test", clock_.now(), "ana")); }),
            "local.wrong");
  EXPECT_TRUE(loop_->live_sessions().empty());
}

TEST_F(SignInTest, nothing_opens_for_what_is_no_host) {
  for (const char* text : {"0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "::", "ff02::1"})
    EXPECT_EQ(code(local(text)), "address.unusable") << text;
  EXPECT_TRUE(loop_->live_sessions().empty());
}

TEST_F(SignInTest, a_flood_of_refusals_does_not_fill_the_log) {
  auto before = store_->head().value();
  for (int i = 0; i < 3000; ++i) finish("x", kBrowser, "198.18." + std::to_string(i % 200) + ".1");
  EXPECT_LE(store_->head().value() - before, 1001u);
}

TEST_F(SignInTest, strangers_hear_that_it_is_not_ready_and_not_why) {
  not_ready_ = "no policy is in force: https://git.example/secret-repository: 403";
  auto ready = std::get<role::Ready>(ask(role::AskReady{1}));
  EXPECT_FALSE(ready.ready);
  EXPECT_EQ(ready.why, "no policy is in force");
}

}  // namespace
}  // namespace knock::test
