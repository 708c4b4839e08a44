// SPDX-License-Identifier: Apache-2.0
// Notifications: what is told, in which words of which API, and what becomes of it when the other
// side is slow, angry or away. The other side is a server on loopback that answers as the forges do.
#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <condition_variable>
#include <future>

#include "base/log.h"
#include "base/sha256.h"
#include "server/notify/notifier.h"
#include "tests/unit/net/http_client_server.h"
#include "tests/unit/server/controller_fixture.h"
#include "tests/unit/server/model_forge.h"

namespace knock::test {
namespace {

using namespace notify;
using net::test::TinyServer;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kCommit(40, 'c');

Notice notice(const std::string& event = "policy.adopted") {
  return {event,
          Instant::from_seconds(1'700'000'000),
          "The policy is in force.",
          kCommit,
          "",
          CommitState::success};
}

std::string header(const net::OutgoingRequest& request, const std::string& name) {
  for (const auto& [key, value] : request.headers)
    if (key == name) return value;
  return "";
}
ForgeSettings forge(ForgeSettings::Type type) {
  ForgeSettings out;
  out.type = type;
  out.api = "https://forge.example/api";
  out.project = "ops/policy";
  return out;
}

// ---- words ----

TEST(NotifyMessage, AWebhookIsSignedOverItsBody) {
  WebhookSettings hook;
  hook.url = "https://hooks.example/x";
  auto message = webhook_message(hook, notice(), *OwnerId::parse("0badc0ffee15dead"), "d-1");
  sign(message, Secret("It's a Secret to Everybody"));
  auto body = boost::json::parse(message.body).as_object();
  EXPECT_EQ(body.at("event").as_string(), "policy.adopted");
  EXPECT_EQ(body.at("at").as_string(), "2023-11-14T22:13:20Z");
  EXPECT_EQ(body.at("owner").as_string(), "0badc0ffee15dead");
  EXPECT_EQ(body.at("revision").as_string(), kCommit.c_str());
  EXPECT_FALSE(body.contains("target"));
  EXPECT_EQ(header(message, "X-Knock-Delivery"), "d-1");
  EXPECT_EQ(header(message, "X-Knock-Signature-256"),
            "sha256=" + to_hex(hmac_sha256("It's a Secret to Everybody", message.body)));
  // GitHub's own example of this signature: the scheme is the same.
  net::OutgoingRequest example;
  example.body = "Hello, World!";
  sign(example, Secret("It's a Secret to Everybody"));
  EXPECT_EQ(header(example, "X-Knock-Signature-256"),
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
}

TEST(NotifyMessage, AWebhookIsToldWhatItAskedFor) {
  WebhookSettings all, some;
  some.events = {"guard", "target"};
  for (const char* event : {"policy.adopted", "guard.held", "target.recovered"})
    EXPECT_TRUE(wants(all, notice(event)));
  EXPECT_FALSE(wants(some, notice("policy.refused")));
  EXPECT_TRUE(wants(some, notice("guard.held")));
}

TEST(NotifyMessage, StatusesInTheWordsOfEachForge) {
  struct Row {
    ForgeSettings::Type type;
    CommitState state;
    const char *url, *word, *context;
  };
  using Type = ForgeSettings::Type;
  const char *github = "https://forge.example/api/repos/ops/policy/statuses/",
             *gitlab = "https://forge.example/api/projects/ops%2Fpolicy/statuses/";
  for (const auto& row : {Row{Type::github, CommitState::pending, github, "pending", "context"},
                          Row{Type::github, CommitState::success, github, "success", "context"},
                          Row{Type::github, CommitState::failure, github, "failure", "context"},
                          Row{Type::gitlab, CommitState::pending, gitlab, "pending", "name"},
                          Row{Type::gitlab, CommitState::success, gitlab, "success", "name"},
                          Row{Type::gitlab, CommitState::failure, gitlab, "failed", "name"}}) {
    auto message = status_message(
        forge(row.type), {kCommit, "knock/policy", row.state, std::string(200, 'x') + "\xc3\xa4"},
        "https://knock.example");
    EXPECT_EQ(message.method, "POST");
    EXPECT_EQ(message.url, row.url + kCommit);
    auto body = boost::json::parse(message.body).as_object();
    EXPECT_EQ(body.at("state").as_string(), row.word);
    EXPECT_EQ(body.at(row.context).as_string(), "knock/policy");
    EXPECT_EQ(body.at("target_url").as_string(), "https://knock.example");
    EXPECT_EQ(body.at("description").as_string().size(), 140u);
  }
}

TEST(NotifyMessage, CommentsKeepTheirReviewHash) {
  auto github = forge(ForgeSettings::Type::github), gitlab = forge(ForgeSettings::Type::gitlab);
  EXPECT_EQ(comment_message(github, 7, "plan").url,
            "https://forge.example/api/repos/ops/policy/issues/7/comments");
  EXPECT_EQ(comment_message(gitlab, 7, "plan").url,
            "https://forge.example/api/projects/ops%2Fpolicy/merge_requests/7/notes");
  auto huge = comment_message(
      github, 7, comment_text(std::string(200'000, 'x'), "<!-- knock-review: 1 -->\n"));
  EXPECT_EQ(edit_message(github, 7, 55, "plan").url,
            "https://forge.example/api/repos/ops/policy/issues/comments/55");
  EXPECT_EQ(edit_message(github, 7, 55, "plan").method, "PATCH");
  EXPECT_EQ(edit_message(gitlab, 7, 55, "plan").url,
            "https://forge.example/api/projects/ops%2Fpolicy/merge_requests/7/notes/55");
  EXPECT_EQ(edit_message(gitlab, 7, 55, "plan").method, "PUT");
  auto body = std::string(boost::json::parse(huge.body).at("body").as_string());
  EXPECT_LT(body.size(), 65'536u);
  EXPECT_TRUE(body.ends_with("<!-- knock-review: 1 -->\n"));
}

TEST(NotifyMessage, ListsAreOfTheBranchAloneAndNewestFirst) {
  EXPECT_EQ(list_pulls(forge(ForgeSettings::Type::github), "rel/1 2", {2, 100}).url,
            "https://forge.example/api/repos/ops/policy/pulls?state=open&base=rel%2F1%202&sort="
            "updated&direction=desc&per_page=100&page=2");
  EXPECT_EQ(list_pulls(forge(ForgeSettings::Type::gitlab), "main", {1, 20}).url,
            "https://forge.example/api/projects/ops%2Fpolicy/merge_requests?state=opened&target_"
            "branch=main&order_by=updated_at&sort=desc&per_page=20&page=1");
}

TEST(NotifyMessage, TokensGoWhereEachForgeLooksForThem) {
  net::OutgoingRequest github, gitlab;
  authorize(github, forge(ForgeSettings::Type::github), Secret("t1"));
  authorize(gitlab, forge(ForgeSettings::Type::gitlab), Secret("t2"));
  EXPECT_EQ(header(github, "Authorization"), "Bearer t1");
  EXPECT_EQ(header(gitlab, "PRIVATE-TOKEN"), "t2");
  EXPECT_EQ(header(gitlab, "Authorization"), "");
}

// ---- what is told ----

std::vector<std::string> events(const std::vector<Notice>& notices) {
  std::vector<std::string> out;
  for (const Notice& one : notices)
    out.push_back(one.event + (one.target.empty() ? "" : " " + one.target));
  return out;
}
using Events = std::vector<std::string>;

TEST(NotifyWatch, TellsEachChangeOnce) {
  Watch watch;
  ControllerStatus status;
  EXPECT_EQ(events(watch.look(status, {})), Events{});
  status.policy.waiting = WaitingPolicy{PolicyRevision(kCommit), "Ana <ana@example.org>", "subject",
                                        Instant{}, "somebody's word"};
  auto waiting = watch.look(status, {});
  EXPECT_EQ(events(waiting), Events{"policy.waiting"});
  EXPECT_EQ(waiting[0].state, CommitState::pending);
  EXPECT_EQ(waiting[0].revision, kCommit);
  EXPECT_THAT(waiting[0].sentence, Not(HasSubstr("Ana"))) << "no names of people";
  EXPECT_EQ(events(watch.look(status, {})), Events{});
  status.policy.waiting.reset();
  EXPECT_EQ(events(watch.look(status, {})), Events{});
}

TEST(NotifyWatch, ReadsTheRecordsOfTheLog) {
  auto record = [](Fact fact) {
    Record out;
    out.at = Instant::from_seconds(1'700'000'000);
    out.actor = "cli uid=1000";
    out.fact = encode(fact);
    return out;
  };
  PolicyRevision revision(kCommit);
  const Record records[] = {
      record(PolicyAdopted{revision}),
      record(PolicyRefused{revision, "main.yaml:2:1: \x1b[31m"}),
      record(PolicyRefused{revision, "commit.not-allowed: ana.pub must sign it"}),
      record(PolicyRefused{revision, std::string(995, 'x') + " 203.0.113.77"}),
      record(PolicyAdvanced{revision, revision, true, "hold", "because of ana"}),
      record(PolicyAdvanced{revision, revision, false, "newest", ""}),
      record(PlanUsed{"nonce", "id"})};
  Watch watch;
  auto told = watch.look({}, records);
  EXPECT_EQ(events(told), (Events{"policy.adopted", "policy.refused", "policy.refused",
                                  "policy.refused", "policy.held"}));
  EXPECT_EQ(told[0].at, Instant::from_seconds(1'700'000'000));
  EXPECT_EQ(told[1].state, CommitState::failure);
  EXPECT_THAT(told[1].sentence, HasSubstr("main.yaml:2:1"));
  EXPECT_THAT(told[1].sentence, Not(HasSubstr("\x1b")));
  EXPECT_THAT(told[2].sentence, HasSubstr("commit.not-allowed"));
  EXPECT_THAT(told[2].sentence, Not(HasSubstr("ana")));
  EXPECT_THAT(told[3].sentence, Not(HasSubstr("203"))) << "half an address is one as well";
  EXPECT_THAT(told[4].sentence, Not(HasSubstr("ana")));
}

TEST(NotifyWatch, TellsOfConfirmationsAndSuspectSources) {
  auto record = [](Fact fact) {
    Record out;
    out.fact = encode(fact);
    return out;
  };
  PolicyRevision revision(kCommit), before("9a3cb70");
  TargetName edge("edge");
  const Record records[] = {
      record(ConfirmationDue{edge, revision, before, Instant::from_seconds(1'700'000'300), "5be1"}),
      record(PolicyConfirmed{edge, revision, "probe"}),
      record(PolicyReturned{edge, revision, before}),
      record(SourceSuspected{SignInName("sso"), 812, 1000, Instant::from_seconds(1'700'000'900)}),
      record(SourceCleared{SignInName("sso"), "recovered"}),
      record(SourceCleared{SignInName("sso"), "believed"})};
  Watch watch;
  auto told = watch.look({}, records);
  ASSERT_EQ(told.size(), 6u);
  EXPECT_EQ(told[0].event, "policy.confirmation-due");
  EXPECT_EQ(told[0].state, CommitState::pending);
  EXPECT_EQ(told[0].target, "edge");
  EXPECT_EQ(told[0].revision, kCommit);
  EXPECT_EQ(told[1].state, CommitState::success);
  EXPECT_EQ(told[2].event, "policy.returned");
  EXPECT_EQ(told[2].state, CommitState::failure);
  EXPECT_THAT(told[2].sentence, HasSubstr("9a3cb70 holds there again"));
  EXPECT_THAT(told[3].sentence, HasSubstr("812 of 1000 sessions"));
  EXPECT_EQ(told[5].event, "source.cleared");
  EXPECT_THAT(told[5].sentence, HasSubstr("closed out"));
}

TEST(NotifyWatch, TellsOfTargetsWithoutAddresses) {
  Watch watch;
  ControllerStatus status;
  status.targets.push_back(TargetStatus{TargetName("edge")});
  EXPECT_EQ(events(watch.look(status, {})), Events{}) << "not looked at yet";
  status.targets[0].problem = "connect to 203.0.113.9: refused";
  auto gone = watch.look(status, {});
  EXPECT_EQ(events(gone), Events{"target.unreachable edge"});
  EXPECT_THAT(gone[0].sentence, Not(HasSubstr("203.0.113.9")));
  EXPECT_EQ(events(watch.look(status, {})), Events{});
  status.targets[0].ready = true, status.targets[0].problem.clear();
  EXPECT_EQ(events(watch.look(status, {})), Events{"target.recovered edge"});
  status.targets[0].held = 5;
  status.targets[0].guards = {{"becomes-empty", TargetName("edge")}};
  auto held = watch.look(status, {});
  EXPECT_EQ(events(held), Events{"guard.held edge"});
  EXPECT_THAT(held[0].sentence, HasSubstr("5 changes are held back by becomes-empty"));
  status.targets[0].held = 0;
  EXPECT_EQ(events(watch.look(status, {})), Events{"guard.released edge"});
}

// ---- the way there ----

class Lines final : public LogSink {
 public:
  void write(LogLevel, std::string_view id, std::string_view sentence,
             const std::vector<LogField>& fields) override {
    std::lock_guard lock(mutex_);
    text_ += std::string(id) + " " + std::string(sentence);
    for (const auto& field : fields) text_ += " " + std::string(field.name) + "=" + field.value;
    text_ += "\n";
  }
  std::string text() const {
    std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

class NotifyTest : public ControllerFixture {
 protected:
  NotifyTest() {
    set_log_sink(&lines_);
    begin_controller();
  }
  ~NotifyTest() override {
    notifier_.reset();
    // Its threads log until they have ended, and the lines go with this.
    end_controller();
    set_log_sink(nullptr);
  }
  WebhookSettings hook(const TinyServer& server) {
    WebhookSettings out;
    out.url = server.url("/secret-path");
    out.allow_networks = {Prefix::of(address("127.0.0.0"), 8)};
    return out;
  }
  void tell_forge(const TinyServer& server, ForgeSettings::Type type, bool post) {
    auto settings = forge(type);
    settings.api = server.url("");
    settings.post = post;
    settings.allow_networks = {Prefix::of(address("127.0.0.0"), 8)};
    settings_.forge = settings;
  }
  Notifier& notifier() {
    if (notifier_) return *notifier_;
    NotifierParts parts{
        settings_,
        config_.owner,
        "https://knock.example",
        *store_,
        random_,
        [this] { return controller_->status(); },
        [](const SecretReference&) { return Secret("s3cret-value"); },
        [this](const std::string& name, bool arrived) {
          std::lock_guard lock(mutex_);
          done_.push_back(name.substr(0, name.find(' ')) + (arrived ? " arrived" : " failed"));
          changed_.notify_all();
        }};
    parts.first_pause = std::chrono::milliseconds(1);
    notifier_ = std::make_unique<Notifier>(std::move(parts));
    return *notifier_;
  }
  /// Of the first so many messages.
  Events outcomes(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(30), [&] { return done_.size() >= count; }))
        << "only " << done_.size() << " outcomes";
    return done_;
  }
  void adopt() { ASSERT_TRUE(controller_->policy_keeper().look("test")); }

  Lines lines_;
  NotifySettings settings_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Events done_;
  std::unique_ptr<Notifier> notifier_;
};

std::string answer(int status, const std::string& more = "") {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nConnection: close\r\nContent-Length: 0\r\n" +
         more + "\r\n";
}

TEST_F(NotifyTest, WhatHappensArrivesSigned) {
  TinyServer server([](const std::string&) { return answer(204); });
  settings_.webhooks = {hook(server)};
  notifier();
  adopt();
  notifier().look();
  EXPECT_EQ(outcomes(1), Events{"webhook arrived"});
  auto request = server.requests().at(0);
  auto body = request.substr(request.find("\r\n\r\n") + 4);
  EXPECT_THAT(request, HasSubstr("POST /secret-path"));
  EXPECT_THAT(request, HasSubstr("sha256=" + to_hex(hmac_sha256("s3cret-value", body))));
  EXPECT_EQ(boost::json::parse(body).at("event").as_string(), "policy.adopted");
  notifier().look();
  set_policy("knock: 1\ngrups: {}\n");
  EXPECT_FALSE(controller_->policy_keeper().look("test"));
  notifier().look();
  EXPECT_EQ(outcomes(2).size(), 2u);
  EXPECT_THAT(server.requests().at(1), HasSubstr("policy.refused"));
  EXPECT_THAT(lines_.text(), Not(HasSubstr("notify.failed")));
}

TEST_F(NotifyTest, WhatPassesIsTriedAgainAndWhatDoesNotIsNot) {
  struct Row {
    std::vector<int> answers;
    const char* outcome;
    std::size_t tries;
    const char* said;
  };
  for (const auto& row :
       {Row{{500, 503, 429, 200}, "webhook arrived", 4, ""},
        Row{{401}, "webhook failed", 1, "HTTP 401"}, Row{{404}, "webhook failed", 1, "HTTP 404"},
        Row{{302}, "webhook failed", 1, "redirects are not followed"},
        Row{{500, 500, 500, 500, 500, 500}, "webhook failed", 6, "HTTP 500"}}) {
    std::atomic<std::size_t> at = 0;
    TinyServer server([&](const std::string&) {
      auto status = row.answers[std::min(at++, row.answers.size() - 1)];
      return answer(status, status == 302 ? "Location: http://127.0.0.1:1/\r\n" : "");
    });
    done_.clear();
    settings_.webhooks = {hook(server)};
    notifier();
    adopt();
    notifier().tell({"guard.held", Instant{}, "held", "", "edge", CommitState::pending});
    EXPECT_EQ(outcomes(1), Events{row.outcome});
    EXPECT_EQ(server.requests().size(), row.tries);
    EXPECT_THAT(lines_.text(), HasSubstr(row.said));
    notifier_.reset();
  }
  // What was said about it names the place, and nothing that could be a secret.
  EXPECT_THAT(lines_.text(), HasSubstr("notify.failed"));
  EXPECT_THAT(lines_.text(), HasSubstr("destination=webhook 127.0.0.1:"));
  EXPECT_THAT(lines_.text(), Not(HasSubstr("secret-path")));
  EXPECT_THAT(lines_.text(), Not(HasSubstr("s3cret-value")));
}

TEST_F(NotifyTest, APrivateAddressIsNotConnectedToUnlessItIsAllowed) {
  TinyServer server([](const std::string&) { return answer(200); });
  settings_.webhooks = {hook(server)};
  settings_.webhooks[0].allow_networks.clear();
  notifier().tell(notice());
  EXPECT_EQ(outcomes(1), Events{"webhook failed"});
  EXPECT_EQ(server.connections(), 0);
  EXPECT_THAT(lines_.text(), HasSubstr("allow_networks"));
}

TEST_F(NotifyTest, ASlowOneHoldsNobodyUp) {
  TinyServer slow([](const std::string&) { return std::string(TinyServer::kHold); });
  TinyServer quick([](const std::string&) { return answer(200); });
  settings_.webhooks = {hook(slow), hook(quick)};
  // Each arrives at the quick one while the slow one still has the first.
  constexpr std::ptrdiff_t kAll = 105;
  for (std::ptrdiff_t i = 1; i <= kAll; ++i) {
    notifier().tell(notice());
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(30), [&] {
      return std::count(done_.begin(), done_.end(), "webhook arrived") == i;
    }));
  }
  auto seen = outcomes(kAll + 3);
  EXPECT_GE(std::count(seen.begin(), seen.end(), "webhook failed"), 3)
      << "100 wait, one is on its way, and what is beyond that is counted";
  EXPECT_THAT(lines_.text(), HasSubstr("too many wait already"));
}

const std::string kReview = "<!-- knock-review: " + std::string(64, '1') + " -->\n";

PlannedChange plan_of(std::uint64_t pull, const std::string& markdown = "# plan\n") {
  return {pull, kCommit, "3 policy changes.", CommitState::success, markdown, kReview};
}

class EachForge : public NotifyTest, public ::testing::WithParamInterface<ForgeSettings::Type> {
 protected:
  EachForge() { tell_forge(server_, GetParam(), true); }
  /// Whether all of it arrived, once that is known.
  bool post(const PlannedChange& change) {
    auto said = std::make_shared<std::promise<bool>>();
    auto coming = said->get_future();
    notifier().planned(change, [said](bool arrived) { said->set_value(arrived); });
    EXPECT_EQ(coming.wait_for(std::chrono::seconds(30)), std::future_status::ready);
    return coming.get();
  }
  void restart() { notifier_.reset(); }
  std::string add() const {
    return GetParam() == ForgeSettings::Type::github ? "POST /issues/" : "POST /merge_requests/";
  }
  std::string edit() const {
    return GetParam() == ForgeSettings::Type::github ? "PATCH /issues/" : "PUT /merge_requests/";
  }

  ModelForge model_{GetParam()};
  TinyServer server_{[this](const std::string& request) { return model_.answer_bytes(request); }};
};

TEST_P(EachForge, IsToldOfCommitsAndPlans) {
  notifier().tell(notice());
  notifier().tell(notice());  // the same state of the same commit
  EXPECT_TRUE(post(plan_of(7)));
  EXPECT_TRUE(post(plan_of(7)));
  auto statuses = model_.statuses();
  ASSERT_EQ(statuses.size(), 2u);
  EXPECT_EQ(statuses[0].context, "knock/policy");
  EXPECT_EQ(statuses[1].context, "knock/plan");
  EXPECT_EQ(statuses[1].commit, kCommit);
  auto comments = model_.comments(7);
  ASSERT_EQ(comments.size(), 1u);
  EXPECT_THAT(comments[0].body, HasSubstr("knock-review: 1"));
  // A folder is no commit.
  auto folder = notice();
  folder.revision = "sha256:" + std::string(64, 'a');
  notifier().tell(folder);
  EXPECT_TRUE(post(plan_of(8)));
  EXPECT_EQ(model_.statuses().size(), 2u);
  EXPECT_EQ(model_.comments(8).size(), 1u);
}

TEST_P(EachForge, HasOneCommentThatIsWrittenOver) {
  EXPECT_TRUE(post(plan_of(7, "# first\n")));
  auto second = plan_of(7, "# second\n");
  second.commit = std::string(40, 'd');
  EXPECT_TRUE(post(second));
  ASSERT_EQ(model_.comments(7).size(), 1u);
  EXPECT_THAT(model_.comments(7)[0].body, HasSubstr("# second"));
  restart();
  auto third = plan_of(7, "# third\n| as of | `2026-11-21T10:04:11Z` |\n");
  EXPECT_TRUE(post(third));
  ASSERT_EQ(model_.comments(7).size(), 1u);
  EXPECT_THAT(model_.comments(7)[0].body, HasSubstr("# third"));
  EXPECT_EQ(model_.count(edit()), 2u);
  // The same but for its time is not written again.
  restart();
  third.markdown = "# third\n| as of | `2026-11-21T11:00:00Z` |\n";
  EXPECT_TRUE(post(third));
  EXPECT_EQ(model_.count(edit()), 2u);
  EXPECT_EQ(model_.count(add()), 1u);
}

TEST_P(EachForge, DoesNotLetAStrangersCommentCountAsOurs) {
  for (int i = 0; i < 150; ++i) model_.comment(7, ModelForge::kStranger, "# plan\n" + kReview);
  model_.comment(7, ModelForge::kOurUser, "somebody wrote this with our user, and no hash");
  EXPECT_TRUE(post(plan_of(7)));
  EXPECT_EQ(model_.count(edit()), 0u);
  for (int i = 0; i < 150; ++i) model_.comment(7, ModelForge::kStranger, "# plan\n" + kReview);
  restart();
  EXPECT_TRUE(post(plan_of(7, "# another\n")));
  auto comments = model_.comments(7);
  ASSERT_EQ(comments.size(), 302u);
  EXPECT_THAT(comments[151].body, HasSubstr("# another")) << "found between those of strangers";
  EXPECT_EQ(comments[0].body, "# plan\n" + kReview);
}

TEST_P(EachForge, AnAnswerThatIsLostMakesNoSecondComment) {
  model_.lose_answer_to(add());
  EXPECT_TRUE(post(plan_of(7)));
  EXPECT_EQ(model_.comments(7).size(), 1u);
  EXPECT_EQ(model_.count(add()), 1u) << "it looked before it wrote again";
  EXPECT_THAT(lines_.text(), Not(HasSubstr("notify.failed")));
}

TEST_P(EachForge, ACommentThatSomebodyTookAwayIsWrittenAnew) {
  EXPECT_TRUE(post(plan_of(7)));
  model_.answer_next(edit(), {404, {}, "{}"});
  auto second = plan_of(7, "# second\n");
  second.commit = std::string(40, 'd');
  EXPECT_TRUE(post(second));
  EXPECT_THAT(model_.comments(7).back().body, HasSubstr("# second"));
}

TEST_P(EachForge, ATokenOfNobodyWritesAsBefore) {
  model_.forget_user();
  EXPECT_TRUE(post(plan_of(7)));
  auto second = plan_of(7, "# second\n");
  second.commit = std::string(40, 'd');
  EXPECT_TRUE(post(second));
  EXPECT_EQ(model_.comments(7).size(), 1u) << "what was written in this life is known";
}

TEST_P(EachForge, WhatDidNotArriveMayBeSaidAgain) {
  model_.answer_next("POST /statuses/", {404, {}, ""});
  EXPECT_FALSE(post(plan_of(7)));
  EXPECT_THAT(lines_.text(), HasSubstr("notify.failed"));
  EXPECT_TRUE(post(plan_of(7)));
  EXPECT_EQ(model_.statuses().size(), 1u);
  EXPECT_EQ(model_.count(add()), 1u) << "the comment had arrived";
}

TEST_P(EachForge, AskedForSilenceItIsSilentAndTriesAgain) {
  model_.answer_next("POST /statuses/", {403, {{"retry-after", "0"}}, ""});
  model_.answer_next("GET /user", {429, {{"retry-after", "0"}}, ""});
  EXPECT_TRUE(post(plan_of(7)));
  EXPECT_EQ(model_.comments(7).size(), 1u);
  EXPECT_THAT(lines_.text(), Not(HasSubstr("notify.failed")));
}

/// GitLab's notes of 1,000,000 characters: together, and one that nothing would take.
TEST_P(EachForge, OursIsFoundBetweenWhatIsTooLarge) {
  for (int i = 0; i < 3; ++i) model_.comment(7, ModelForge::kStranger, std::string(6'000'000, 'x'));
  model_.comment(7, ModelForge::kStranger, std::string(17u << 20, 'x'));
  EXPECT_TRUE(post(plan_of(7)));
  ASSERT_EQ(model_.comments(7).size(), 5u);
  restart();
  EXPECT_TRUE(post(plan_of(7, "# another\n")));
  ASSERT_EQ(model_.comments(7).size(), 5u) << "no second one";
  EXPECT_THAT(model_.comments(7)[4].body, HasSubstr("# another"));
  EXPECT_THAT(lines_.text(), Not(HasSubstr("notify.failed")));
}

/// However many plans strangers cause, what is in force is said first.
TEST_P(EachForge, WhatIsInForceIsSaidBeforePlans) {
  std::promise<void> begun, go_on;
  auto may_go_on = go_on.get_future().share();
  std::atomic<bool> first = true;
  TinyServer slow([&](const std::string& request) {
    if (first.exchange(false)) {
      begun.set_value();
      may_go_on.wait();
    }
    return model_.answer_bytes(request);
  });
  tell_forge(slow, GetParam(), true);
  notifier().planned(plan_of(7));
  begun.get_future().wait();
  auto other = plan_of(8);
  other.commit = std::string(40, 'd');
  notifier().planned(other);
  notifier().tell(notice());
  go_on.set_value();
  EXPECT_EQ(outcomes(5).size(), 5u);
  auto statuses = model_.statuses();
  ASSERT_EQ(statuses.size(), 3u);
  EXPECT_EQ(statuses[1].context, "knock/policy");
  restart();
}

TEST_P(EachForge, HostileListsOfCommentsAreRefused) {
  std::string list =
      GetParam() == ForgeSettings::Type::github ? "GET /issues/" : "GET /merge_requests/";
  model_.answer_next(list, {200, {}, R"([{"id":-1}])"});
  EXPECT_FALSE(post(plan_of(7)));
  EXPECT_EQ(model_.count(add()), 0u) << "who cannot look does not write a second one";
  EXPECT_THAT(lines_.text(), HasSubstr("plan of pull request 7"));
  for (const auto& line : {lines_.text()}) EXPECT_THAT(line, Not(HasSubstr("s3cret-value")));
}

INSTANTIATE_TEST_SUITE_P(Notify, EachForge,
                         ::testing::Values(ForgeSettings::Type::github,
                                           ForgeSettings::Type::gitlab),
                         [](const auto& info) {
                           return info.param == ForgeSettings::Type::github ? "github" : "gitlab";
                         });

TEST_F(NotifyTest, WithoutPostNoCommentIsWritten) {
  TinyServer server([](const std::string&) { return answer(201); });
  tell_forge(server, ForgeSettings::Type::github, false);
  notifier().planned({7, kCommit, "3 changes", CommitState::success, "# plan\n", ""});
  notifier().planned({7, kCommit, "4 changes", CommitState::success, "# plan\n", ""});
  EXPECT_EQ(outcomes(2).size(), 2u);
  for (const auto& request : server.requests()) EXPECT_THAT(request, HasSubstr("/statuses/"));
}

}  // namespace
}  // namespace knock::test
