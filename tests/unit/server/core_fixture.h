// SPDX-License-Identifier: Apache-2.0
// Core's side of signing in with a real store and loop, a verifier that says what the test told it
// to, and a clock that the test moves.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "server/core/sign_in.h"
#include "store/sqlite/sqlite_store.h"
#include "tests/support/requirement.h"

namespace knock::test {

class HandClock final : public Clock {
 public:
  Instant now() const override { return Instant::from_seconds(1'800'000'000) + Duration{passed_}; }
  MonotonicTime monotonic() const override { return MonotonicTime{} + Duration{passed_}.chrono(); }
  void advance(Duration by) { passed_ += by.ms; }

 private:
  std::atomic<std::int64_t> passed_ = Duration::hours(1).ms;  // the loop's timer reads it too
};

class FakeVerifier final : public VerifierChannel {
 public:
  void ask(role::ToVerifier question, Answer answer) override {
    asked.push_back(std::move(question));
    if (silent)
      owed.push_back(std::move(answer));
    else
      answer(next);
  }
  template <class Question>
  const Question& last() const {
    return std::get<Question>(asked.back());
  }

  std::vector<role::ToVerifier> asked;
  std::vector<Answer> owed;
  bool silent = false;
  Result<role::FromVerifier> next = role::PasswordChecked{0, true};
};

class CoreFixture : public testing::Test {
 protected:
  static constexpr const char* kIssuer = "https://idp.example";
  static constexpr const char* kHash = "$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA";

  CoreFixture() {
    config_.oidc.resize(1);
    config_.oidc[0].name = SignInName("corp");
    config_.oidc[0].issuer = kIssuer;
    store_ = open_sqlite(folder_.path() + "/knock.db", SqliteMode::create_or_open, random_).value();
    loop_ = std::make_unique<Reconciler>(
        *store_, clock_, random_,
        [](const Target&, TargetMoved) -> Result<std::unique_ptr<Provider>> {
          return fail(ErrorKind::unsupported, "no targets here");
        },
        ReconcilerSettings{});
    EXPECT_TRUE(loop_->start());
    ends_ = std::make_unique<SessionEnds>(*store_, *loop_, clock_);
    sign_in_ = make();
    save_account("ana", kHash);
  }

  std::unique_ptr<SignIn> make() {
    return std::make_unique<SignIn>(config_, "https://knock.example", *store_, *loop_, *ends_,
                                    verifier_, clock_, random_, [this] { return not_ready_; });
  }
  void save_account(const std::string& user, const std::string& hash) {
    Account account{user, "", Secret(hash), {"dba"}, false};
    EXPECT_TRUE(store_->save_account("test", clock_.now(), account, "add"));
  }

  template <class Message>
  role::ToFront ask(Message message) {
    auto out = std::make_shared<role::ToFront>(role::Refused{0, "no answer", ""});
    sign_in_->handle(message, [out](role::ToFront answer) { *out = std::move(answer); });
    return *out;
  }
  static std::string code(const role::ToFront& answer) {
    auto* refused = std::get_if<role::Refused>(&answer);
    return refused != nullptr ? refused->code : "";
  }
  static IpAddress address(const std::string& text) { return IpAddress::parse(text).value(); }

  role::ToFront local(const std::string& from = "203.0.113.7") {
    verifier_.next = role::PasswordChecked{0, true};
    return ask(role::SignInLocal{1, "ana", "pw", address(from)});
  }
  role::ToFront start(const std::string& browser, const std::string& from) {
    verifier_.next = role::UrlMade{0, "https://idp.example/authorize"};
    return ask(role::StartOidc{1, SignInName("corp"), browser, address(from)});
  }
  /// Begins at `corp`; the state the browser is sent away with.
  std::string begin(const std::string& browser, const std::string& from = "203.0.113.7") {
    EXPECT_EQ(code(start(browser, from)), "");
    return verifier_.last<role::MakeUrl>().state;
  }
  role::ToFront finish(const std::string& state, const std::string& browser,
                       const std::string& from = "203.0.113.7", const std::string& error = "") {
    return ask(role::FinishOidc{2, state, error.empty() ? "code" : "", kIssuer, error, browser,
                                address(from)});
  }
  static role::Proven proven() { return {0, kIssuer, "ana", "Ana", {"dba"}, Instant{}}; }

  knock::test::TemporaryFolder folder_;
  SystemRandom random_;
  HandClock clock_;
  Config config_;
  std::string not_ready_;
  FakeVerifier verifier_;
  std::unique_ptr<FactStore> store_;
  std::unique_ptr<Reconciler> loop_;
  std::unique_ptr<SessionEnds> ends_;
  std::unique_ptr<SignIn> sign_in_;
};

}  // namespace knock::test
