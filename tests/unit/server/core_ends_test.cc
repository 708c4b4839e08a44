// SPDX-License-Identifier: Apache-2.0
// Ending a session when the log, or the whole disk, takes nothing: it is over, whoever asked hears
// how well that is written down, and nothing is ready meanwhile.
#include <gmock/gmock.h>

#include <algorithm>

#include "base/text.h"
#include "store/ended_ids.h"
#include "tests/support/file_limit.h"
#include "tests/unit/server/controller_fixture.h"

namespace knock::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// For FileLimit: behind 64 KiB lies the log only.
constexpr rlim_t kNoLog = EndedIds::kSize, kNothing = 0;

class EndsTest : public ControllerFixture {
 protected:
  EndsTest() { begin_with_policy(); }

  /// As after kill -9: nothing of the process is left but its files.
  void restart() {
    end_controller();
    sign_in_.reset();
    ends_.reset();
    loop_.reset();
    store_.reset();
    store_ = open_sqlite(folder_.path() + "/knock.db", SqliteMode::create_or_open, random_).value();
    begin_controller();
  }

  std::string grant(const std::string& from = "203.0.113.7") {
    auto session = controller_->grant(
        "test", {"bob", address(from), Duration::hours(1), "why", {GroupName("dba")}});
    EXPECT_TRUE(session) << session.error().text();
    return session ? session->id.value : "";
  }
  net::HttpResponse revoke(const std::string& id) {
    return call("POST", "/sessions/revoke", R"({"session":")" + id + R"("})");
  }
  bool live(const std::string& id) {
    auto session = controller_->reconciler().live_session(SessionId(id));
    EXPECT_EQ(session.has_value(), call("GET", "/sessions").body.find(id) != std::string::npos);
    return session.has_value();
  }
  role::ToFront ask_controller(role::FromFront message) {
    role::ToFront out = role::Refused{0, "no answer", ""};
    controller_->sign_in().handle(message, [&](role::ToFront answer) { out = std::move(answer); });
    return out;
  }
  std::string sign_out_remark() {
    verifier_.next = role::PasswordChecked{0, true};
    auto in = ask_controller(role::SignInLocal{1, "ana", "pw", address("203.0.113.9")});
    auto cookie = std::get<role::SignedIn>(in).cookie;
    FileLimit limit(limit_);
    auto out = ask_controller(role::SignOut{2, cookie, SignIn::form_of_cookie(cookie)});
    EXPECT_EQ(code(ask_controller(role::AskMe{3, cookie, address("203.0.113.9")})), "session.none");
    return std::get<role::Ok>(out).remark;
  }

  rlim_t limit_ = RLIM_INFINITY;
};

TEST_F(EndsTest, WhatTheLogTakesNeedsNoWord) {
  auto id = grant();
  auto answer = revoke(id);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body.find("note"), std::string::npos);
  EXPECT_FALSE(live(id));
  EXPECT_EQ(revoke(id).status, 404);
  EXPECT_EQ(sign_out_remark(), "");
}

TEST_F(EndsTest, KeptBesideTheLogItIsDoneAndSaysSo) {
  auto id = grant();
  {
    FileLimit full(kNoLog);
    auto answer = revoke(id);
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_THAT(answer.body, HasSubstr("kept beside the log"));
    EXPECT_THAT(answer.body, HasSubstr(id));
  }
  EXPECT_FALSE(live(id));
  EXPECT_THAT(controller_->not_ready(), HasSubstr("the log cannot be written"));
  EXPECT_THAT(controller_->status().remarks, Contains(HasSubstr("1 session was ended")));
  auto all = call("GET", "/sessions?all=1");
  EXPECT_THAT(all.body, HasSubstr("\"revoked\"")) << "no view shows it live";
  {
    FileLimit full(kNoLog);
    restart();
    EXPECT_FALSE(live(id)) << "the controller starts and closes, and opens nothing";
    EXPECT_THAT(controller_->not_ready(), HasSubstr("the log cannot be written"));
    EXPECT_EQ(revoke(id).status, 200) << "asked again, it is told again";
  }
  restart();
  EXPECT_FALSE(live(id));
  EXPECT_EQ(controller_->not_ready(), "");
  EXPECT_THAT(controller_->status().remarks, IsEmpty());
  EXPECT_EQ(revoke(id).status, 404);
  EXPECT_TRUE(store_->verify({})->good);
}

TEST_F(EndsTest, WrittenNowhereIsNoSuccess) {
  auto id = grant();
  auto session = controller_->reconciler().live_session(SessionId(id));
  ASSERT_TRUE(session);
  {
    FileLimit broken(kNothing);
    for (int times = 0; times < 2; ++times) {
      auto answer = revoke(id);
      EXPECT_EQ(answer.status, 503) << answer.body;
      EXPECT_THAT(answer.body, HasSubstr("closed now, but not recorded"));
      EXPECT_THAT(answer.body, HasSubstr("until " + to_string(session->expires)));
      EXPECT_THAT(answer.body, HasSubstr("revoke it once more"));
    }
    EXPECT_FALSE(live(id));
    controller_->ends().try_again();
    EXPECT_THAT(controller_->not_ready(), HasSubstr("written nowhere"));
    EXPECT_THAT(controller_->not_ready(), HasSubstr(to_string(session->expires)));
    auto ready = std::get<role::Ready>(ask_controller(role::AskReady{1}));
    EXPECT_FALSE(ready.ready);
  }
  controller_->ends().try_again();
  EXPECT_EQ(controller_->not_ready().find("nowhere"), std::string::npos);
  EXPECT_EQ(revoke(id).status, 200);
  restart();
  EXPECT_FALSE(live(id));
}

/// The promise of the sentence above: only a restart brings it back, and then it can be revoked.
TEST_F(EndsTest, WrittenNowhereAndRestartedItIsLiveAsWasSaid) {
  auto id = grant();
  {
    FileLimit broken(kNothing);
    EXPECT_EQ(revoke(id).status, 503);
    end_controller();
  }
  std::filesystem::path file = folder_.path() + "/knock.db.ended";
  ASSERT_TRUE(EndedIds::read(file, getuid())->ended.empty());
  restart();
  EXPECT_TRUE(live(id));
  EXPECT_EQ(revoke(id).status, 200);
  EXPECT_FALSE(live(id));
}

TEST_F(EndsTest, ItsDeadlineEndsTheWorry) {
  auto id = grant();
  FileLimit broken(kNothing);
  EXPECT_EQ(revoke(id).status, 503);
  clock_.advance(Duration::hours(2));
  EXPECT_EQ(controller_->not_ready().find("nowhere"), std::string::npos);
  EXPECT_EQ(revoke(id).status, 404);
}

TEST_F(EndsTest, WhoSignsOutIsToldWhatIsRecorded) {
  limit_ = kNoLog;
  auto remark = sign_out_remark();
  EXPECT_THAT(remark, HasSubstr("closed now and stays closed"));
  EXPECT_THAT(remark, HasSubstr("operators are told"));
}

TEST_F(EndsTest, WhoSignsOutIsToldWhatIsRecordedNowhere) {
  limit_ = kNothing;
  auto remark = sign_out_remark();
  EXPECT_THAT(remark, HasSubstr("closed now"));
  EXPECT_THAT(remark, HasSubstr("could not be recorded"));
  EXPECT_THAT(remark, HasSubstr("operators are told"));
}

TEST_F(EndsTest, ARemovedAccountsSessionsAllEndWhateverTheDiskDoes) {
  verifier_.next = role::PasswordChecked{0, true};
  for (const char* from : {"203.0.113.1", "203.0.113.2", "203.0.113.3"})
    ASSERT_TRUE(std::holds_alternative<role::SignedIn>(
        ask_controller(role::SignInLocal{1, "ana", "pw", address(from)})));
  ASSERT_EQ(controller_->reconciler().live_sessions().size(), 3u);
  {
    FileLimit full(kNoLog);
    auto answer = call("POST", "/users/remove", R"({"user":"ana"})");
    EXPECT_EQ(answer.status, 503) << answer.body;
    EXPECT_THAT(answer.body, HasSubstr("the account is not removed"));
    EXPECT_THAT(answer.body, HasSubstr("its sessions were ended"));
  }
  EXPECT_THAT(controller_->reconciler().live_sessions(), IsEmpty());
  restart();
  EXPECT_THAT(controller_->reconciler().live_sessions(), IsEmpty());
  EXPECT_EQ(call("POST", "/users/remove", R"({"user":"ana"})").status, 200);
}

}  // namespace
}  // namespace knock::test
