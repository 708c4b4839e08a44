// SPDX-License-Identifier: Apache-2.0
// Ending a session when the log, or the whole disk, takes nothing: it is over, whoever asked hears
// how well that is written down, and nothing is ready meanwhile.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "base/text.h"
#include "server/admin/admin_api.h"
#include "store/directory/directory_source.h"
#include "store/ended_ids.h"
#include "tests/unit/server/core_fixture.h"

namespace knock::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// No file of this process can be written at `bytes` or beyond. Behind 64 KiB lies the log only.
class FileLimit {
 public:
  static constexpr rlim_t kNoLog = EndedIds::kSize, kNothing = 0;
  explicit FileLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    rlimit low = old_;
    low.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &low);
  }
  ~FileLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_{};
  void (*handler_)(int);
};

class EndsTest : public CoreFixture {
 protected:
  EndsTest() {
    std::filesystem::create_directory(folder_.path() + "/policy");
    write_file(folder_.path() + "/policy/main.yaml",
               "knock: 1\ngroups: {dba: {idp: dba, from: [corp]}}\n");
    source_ = open_directory_source(folder_.path() + "/policy").value();
    begin_controller();
    EXPECT_TRUE(controller_->policy_keeper().look("test"));
  }
  ~EndsTest() override { end_controller(); }

  void begin_controller() {
    auto no_targets = [](const Target&, TargetMoved) -> Result<std::unique_ptr<Provider>> {
      return fail(ErrorKind::unsupported, "no targets here");
    };
    controller_ = std::make_unique<Controller>(ControllerParts{
        config_, *store_, *source_, verifier_, wall_, random_, no_targets, nullptr, {}});
    auto started = controller_->start();
    EXPECT_TRUE(started) << started.error().text();
    api_ = std::make_unique<AdminApi>(*controller_, metrics_, 1);
  }
  void end_controller() {
    api_.reset();
    if (controller_) controller_->stop();
    controller_.reset();
  }
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

  net::HttpResponse call(const std::string& method, const std::string& path,
                         const std::string& body = "") {
    net::HttpRequest request;
    request.method = method;
    request.path = "/api/v1" + path;
    if (auto query = path.find('?'); query != path.npos) {
      request.query = request.path.substr(request.path.find('?') + 1);
      request.path.resize(request.path.find('?'));
    }
    request.body = body;
    return api_->answer(request);
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
  SteadyWall wall_{clock_, Instant{}};
  std::unique_ptr<PolicySource> source_;
  std::unique_ptr<Controller> controller_;
  Metrics metrics_;
  std::unique_ptr<AdminApi> api_;
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
    FileLimit full(FileLimit::kNoLog);
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
    FileLimit full(FileLimit::kNoLog);
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
    FileLimit broken(FileLimit::kNothing);
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
    FileLimit broken(FileLimit::kNothing);
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
  FileLimit broken(FileLimit::kNothing);
  EXPECT_EQ(revoke(id).status, 503);
  clock_.advance(Duration::hours(2));
  EXPECT_EQ(controller_->not_ready().find("nowhere"), std::string::npos);
  EXPECT_EQ(revoke(id).status, 404);
}

TEST_F(EndsTest, WhoSignsOutIsToldWhatIsRecorded) {
  limit_ = FileLimit::kNoLog;
  auto remark = sign_out_remark();
  EXPECT_THAT(remark, HasSubstr("closed now and stays closed"));
  EXPECT_THAT(remark, HasSubstr("operators are told"));
}

TEST_F(EndsTest, WhoSignsOutIsToldWhatIsRecordedNowhere) {
  limit_ = FileLimit::kNothing;
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
    FileLimit full(FileLimit::kNoLog);
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
