// SPDX-License-Identifier: Apache-2.0
// What a captured front can do to a real core: misuse somebody who signs in through it, refuse, or
// fall silent. What it cannot: make a session without a fresh proof, use a state twice, guess a
// cookie, sign others out, or bring core down.
#include "tests/e2e/captured_front.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "base/random.h"
#include "base/text.h"
#include "schemas/key/api_key.h"

namespace knock::test {
namespace {

constexpr const char* kPassword = "four old words here";
const std::string kBrowser(43, 'b');  // what a front would keep in the browser's cookie
const SignInName kCorp("corp");

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }

class Captured : public ::testing::Test {
 protected:
  void SetUp() override {
    KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
    KNOCK_NEED("oidc", OidcProvider::ready(), OidcProvider::why_not());
    WorldSettings settings;
    settings.git = false;
    world_ = std::make_unique<World>(settings);
    auto added = knock().knock({"user", "add", "lena", "--group", "eng", "--password-stdin"},
                               std::string(kPassword) + "\n");
    ASSERT_EQ(added.exit_code, 0) << added.err;
    captured_ = std::make_unique<CapturedFront>(*world_);
    ASSERT_TRUE(world_->closes(kStranger, kSsh, Duration::seconds(10)));
    front_ = captured_->link();
  }
  void TearDown() override {
    if (!captured_) return;
    EXPECT_TRUE(captured_->core_runs());
    if (HasFailure()) std::fprintf(stderr, "%s\n", knock().log().c_str());
    captured_.reset();
  }

  Installation& knock() { return *world_->knock; }
  /// After core has ended the link. It waits longer before each new front, so now and then
  /// everything begins anew.
  void next_link() {
    front_.reset();
    ASSERT_TRUE(captured_->core_runs());
    if (++links_ended_ % 2 == 0) {
      captured_.reset();
      captured_ = std::make_unique<CapturedFront>(*world_);
    }
    front_ = captured_->link();
  }
  std::string sessions() { return knock().ask({"session", "list"}, "/sessions"); }
  std::size_t session_count() {
    auto all = sessions();
    std::size_t out = 0;
    for (auto at = all.find("\"id\""); at != all.npos; at = all.find("\"id\"", at + 1)) ++out;
    return out;
  }

  /// A sign-in of alice's, begun through the captured front and brought back by her browser.
  role::FinishOidc proof_of(const std::string& user, const std::string& browser = kBrowser) {
    auto go = front_->ask_for<role::GoTo>(role::StartOidc{0, kCorp, browser, address(kAlice)});
    role::FinishOidc out;
    if (!go) return out;
    std::string back, why;
    world_->server.run([&] {
      back = world_->provider->sign_in(go->url, user, world_->portal() + "/auth/callback", &why);
    });
    EXPECT_NE(back, "") << why;
    out.state = query_parameter(back, "state");
    out.code = query_parameter(back, "code");
    out.issuer = query_parameter(back, "iss");
    out.browser = browser;
    out.address = address(kAlice);
    return out;
  }
  std::string fresh_state(const std::string& browser = kBrowser) {
    auto go = front_->ask_for<role::GoTo>(role::StartOidc{0, kCorp, browser, address(kAlice)});
    return go ? query_parameter(go->url, "state") : "";
  }

  std::unique_ptr<World> world_;
  std::unique_ptr<CapturedFront> captured_;
  std::unique_ptr<FrontEnd> front_;
  int links_ended_ = 0;
};

TEST_F(Captured, MakesNoSessionWithoutAFreshProof) {
  // Nothing, and made up.
  role::FinishOidc invented;
  invented.address = address(kStranger);
  invented.browser = kBrowser;
  EXPECT_EQ(front_->refusal(invented), "state.unknown");
  invented.state = invented.code = std::string(43, 'A');
  EXPECT_EQ(front_->refusal(invented), "state.unknown");
  invented.state = fresh_state();
  ASSERT_FALSE(invented.state.empty());
  invented.issuer = world_->provider->issuer();
  EXPECT_EQ(front_->refusal(invented), "code.refused");
  EXPECT_EQ(front_->refusal(invented), "state.unknown") << "a state can be tried more than once";
  invented.state = fresh_state();
  invented.browser = std::string(43, 'c');
  EXPECT_EQ(front_->refusal(invented), "state.other-browser");
  EXPECT_EQ(front_->refusal(role::StartOidc{0, kCorp, "short", address(kAlice)}), "source.unknown");
  EXPECT_EQ(front_->refusal(role::StartOidc{0, SignInName("grant"), kBrowser, address(kAlice)}),
            "source.unknown");
  EXPECT_EQ(front_->refusal(role::SignInLocal{0, "lena", "not her password", address(kStranger)}),
            "local.wrong");
  EXPECT_EQ(front_->refusal(role::SignInLocal{0, "", "", address(kStranger)}), "local.wrong");
  EXPECT_EQ(sessions(), "[]");

  // Somebody's proof, used as it should be: that is what is left to a captured front.
  auto proof = proof_of("alice");
  auto in = front_->ask_for<role::SignedIn>(proof);
  ASSERT_TRUE(in);
  EXPECT_EQ(session_count(), 1u);
  EXPECT_TRUE(world_->opens(kAlice, kSsh));

  // Not twice, neither as it was nor in parts.
  proof.address = address(kStranger);
  EXPECT_EQ(front_->refusal(proof), "state.unknown");
  auto again = proof;
  again.state = fresh_state();
  EXPECT_EQ(front_->refusal(again), "code.refused") << "a code was taken twice";
  auto other = proof_of("alice");  // a fresh code, with the state of another sign-in
  other.state = fresh_state();
  other.address = address(kStranger);
  EXPECT_EQ(front_->refusal(other), "code.refused") << "a code is not bound to its sign-in";
  // Nor does a cookie make anything but its own page.
  auto me = front_->ask_for<role::Me>(role::AskMe{0, in->cookie, address(kStranger)});
  ASSERT_TRUE(me);
  EXPECT_EQ(me->address, address(kAlice));
  EXPECT_EQ(session_count(), 1u);
  EXPECT_EQ(world_->reach(kStranger, kSsh), Reached::timeout);
  EXPECT_EQ(knock().knock({"audit", "verify"}).exit_code, 0);
}

TEST_F(Captured, GuessesNoCookieAndSignsNobodyOut) {
  auto in = front_->ask_for<role::SignedIn>(proof_of("alice"));
  ASSERT_TRUE(in);
  Held ssh(world_->outside, kAlice, kSsh);
  ASSERT_TRUE(ssh.open());
  auto id = json_at(sessions(), "/0/id");
  auto me = front_->ask_for<role::Me>(role::AskMe{0, in->cookie, address(kAlice)});
  ASSERT_TRUE(me);

  std::vector<std::string> guesses{"",
                                   id,
                                   me->form,
                                   in->cookie.substr(1),
                                   in->cookie + "A",
                                   std::string(43, 'A'),
                                   "knock session\n" + in->cookie};
  for (int i = 0; i < 200; ++i) {
    auto near = in->cookie;
    near[std::size_t(i) % near.size()] ^= char(1 + i / int(near.size()));
    guesses.push_back(near);
  }
  for (const auto& guess : guesses) {
    EXPECT_EQ(front_->refusal(role::AskMe{0, guess, address(kAlice)}), "session.none") << guess;
    EXPECT_EQ(front_->refusal(role::SignOut{0, guess, me->form}), "form") << guess;
    if (guess != me->form)
      EXPECT_EQ(front_->refusal(role::SignOut{0, in->cookie, guess}), "form") << guess;
  }
  EXPECT_EQ(session_count(), 1u);
  EXPECT_TRUE(ssh.answers());

  // With both, which only her browser has, she is signed out.
  EXPECT_TRUE(front_->ask_for<role::Ok>(role::SignOut{0, in->cookie, me->form}));
  EXPECT_TRUE(world_->closes(kAlice, kSsh));
  EXPECT_EQ(front_->refusal(role::AskMe{0, in->cookie, address(kAlice)}), "session.none");
}

TEST_F(Captured, InventsNoTokenAndUsesAStolenOneOnlyForItsScope) {
  auto call = [&](const std::string& token, const std::string& method, const std::string& path,
                  const char* from = kAlice, const std::string& body = "") {
    auto answer = front_->ask_for<role::ApiAnswer>(
        role::ApiCall{0, method, path, "", token, address(from), body});
    return answer ? int(answer->status) : 0;
  };
  const std::string grant = R"({"user":"mallory","from":"198.51.100.13","ttl":"1h",)"
                            R"("reason":"x","groups":["admins"]})";
  // Nothing, made up, and shaped like a real one.
  SystemRandom random;
  for (const std::string& token :
       {std::string(), std::string("knock_"), std::string("cli uid=0"), std::string(256, 'k'),
        std::string(make_token(random).token.reveal())})
    for (const char* path : {"/api/v1/status", "/api/v1/keys", "/api/v1/sessions", "/metrics", ""})
      EXPECT_EQ(call(token, "POST", path, kAlice, grant), 401) << path;

  // A real one passes through front, which is captured: then it is worth its scope, from anywhere
  // that front says, and not a bit more.
  auto made = knock().knock({"-q", "key", "add", "ci", "--scope", "plan:read", "--from", kAlice});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  auto token = made.out.substr(0, kTokenLength);
  EXPECT_EQ(call(token, "GET", "/api/v1/status"), 200);
  EXPECT_EQ(call(token, "GET", "/api/v1/status", kStranger), 403);
  EXPECT_EQ(call(token, "POST", "/api/v1/sessions", kAlice, grant), 403);
  EXPECT_EQ(call(token, "POST", "/api/v1/apply", kAlice, "{}"), 403);
  EXPECT_EQ(call(token, "GET", "/api/v1/records"), 403);
  for (const char* path : {"/api/v1/keys", "/api/v1/users", "/api/v1/policy/look", "/metrics"})
    EXPECT_EQ(call(token, "POST", path, kAlice, "{}"), 404) << path;
  EXPECT_EQ(knock().knock({"key", "revoke", "ci"}).exit_code, 0);
  EXPECT_EQ(call(token, "GET", "/api/v1/status"), 401);

  // Too large for the wire: the end of the link, and not of core.
  front_->send(role::encode(
      role::FromFront(role::ApiCall{1, "POST", "/api/v1/plan", "", token, address(kAlice),
                                    std::string(role::kLongestApiBody + 1, ' ')})));
  EXPECT_TRUE(front_->ended());
  next_link();
  EXPECT_EQ(sessions(), "[]");
  EXPECT_EQ(world_->reach(kStranger, kSsh), Reached::timeout);
  EXPECT_EQ(knock().knock({"audit", "verify"}).exit_code, 0);
}

std::string framed(std::string_view body) {
  std::string out;
  for (int shift : {24, 16, 8, 0}) out += char(body.size() >> shift);
  return out + std::string(body);
}

TEST_F(Captured, WhatIsOutOfShapeEndsTheLinkAndNothingElse) {
  auto in = front_->ask_for<role::SignedIn>(proof_of("alice"));
  ASSERT_TRUE(in);
  Held ssh(world_->outside, kAlice, kSsh);
  ASSERT_TRUE(ssh.open());

  auto good = role::encode(role::FromFront(role::AskMe{1, in->cookie, address(kAlice)}));
  auto body = good.substr(4);
  auto with = [](std::string text, std::size_t at, char value) {
    text[at] = value;
    return text;
  };
  std::string long_text = role::encode(
      role::FromFront(role::AskMe{1, std::string(role::kLongestToken + 1, 'x'), address(kAlice)}));
  const std::pair<const char*, std::string> kBad[] = {
      {"an empty frame", framed("")},
      {"a kind nobody knows", framed(with(body, 0, '\xee'))},
      {"a kind that only core sends", framed(with(body, 0, 33))},
      {"cut short", framed(body.substr(0, body.size() - 1))},
      {"bytes left over", framed(body + "x")},
      {"a text beyond its limit", long_text},
      {"a text longer than the frame", framed(with(body, 10, '\x7f'))},
      {"a frame beyond every limit", std::string("\xff\xff\xff\xff") + body},
      {"another protocol", "GET / HTTP/1.1\r\nHost: core\r\n\r\n"},
  };
  for (const auto& [what, bytes] : kBad) {
    SCOPED_TRACE(what);
    ASSERT_TRUE(front_->ask_for<role::SignIns>(role::AskSignIns{}));
    front_->send(bytes);
    EXPECT_TRUE(front_->ended());
    next_link();
  }

  // Whole frames, a byte changed in each: answered, or the end of the link.
  std::mt19937_64 random(20260701);
  const role::FromFront kinds[] = {
      role::AskSignIns{},
      role::StartOidc{0, kCorp, kBrowser, address(kAlice)},
      role::FinishOidc{0, "state", "code", "issuer", "error", kBrowser, address(kStranger)},
      role::AskMe{0, in->cookie, address(kAlice)},
      role::SignOut{0, in->cookie, std::string(43, 'f')},
      role::AskReady{},
      role::ApiCall{0, "POST", "/api/v1/plan", "a=b", "knock_", address(kAlice), "{}"}};
  int ended = 0;
  for (int i = 0; i < 400 && ended < 6; ++i) {
    auto frame = role::encode(kinds[random() % std::size(kinds)]);
    auto at = 4 + random() % (frame.size() - 4);
    frame[at] = char(random());
    front_->send(frame);
    if (i % 20 == 19 && !front_->ask_for<role::SignIns>(role::AskSignIns{})) {
      ++ended;
      next_link();
    }
  }
  EXPECT_GT(ended, 0) << "the changes changed nothing";

  EXPECT_TRUE(captured_->core_runs());
  EXPECT_TRUE(front_->ask_for<role::Me>(role::AskMe{0, in->cookie, address(kAlice)}));
  EXPECT_TRUE(ssh.answers());
  EXPECT_EQ(session_count(), 1u);
  EXPECT_EQ(world_->reach(kStranger, kSsh), Reached::timeout);
}

TEST_F(Captured, AFloodThatNobodyReadsDelaysNobodyElse) {
  // More sign-ins begun than core remembers, and not one answer read.
  std::string flood;
  for (std::uint64_t i = 1; i <= 12'000; ++i)
    flood += role::encode(role::FromFront(role::AskMe{i, kBrowser, address(kStranger)}));
  std::thread sender([&] { front_->send(flood); });
  auto begun = std::chrono::steady_clock::now();
  world_->grant("bob", kBob, "1h", "engineers");
  EXPECT_TRUE(world_->opens(kBob, kApp));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(3));
  front_->hang_up();
  sender.join();
  front_ = captured_->link();
  EXPECT_TRUE(front_->ask_for<role::SignIns>(role::AskSignIns{}));
  auto in = front_->ask_for<role::SignedIn>(proof_of("alice"));
  EXPECT_TRUE(in);
  EXPECT_TRUE(world_->opens(kAlice, kSsh));
}

}  // namespace
}  // namespace knock::test
