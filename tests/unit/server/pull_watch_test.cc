// SPDX-License-Identifier: Apache-2.0
// The controller looks for pull requests: a model of a forge on one side, plans that a test makes on
// the other, and a clock that it moves.
#include "server/notify/pull_watch.h"

#include <gmock/gmock.h>

#include "base/log.h"
#include "tests/unit/server/core_fixture.h"
#include "tests/unit/server/model_forge.h"

namespace knock::test {
namespace {

using namespace notify;
using Type = ForgeSettings::Type;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

std::string commit(char c) { return std::string(40, c); }

class Lines final : public LogSink {
 public:
  Lines() { set_log_sink(this); }
  ~Lines() override { set_log_sink(nullptr); }
  void write(LogLevel, std::string_view id, std::string_view,
             const std::vector<LogField>& fields) override {
    text += std::string(id);
    for (const auto& field : fields) text += " " + std::string(field.name) + "=" + field.value;
    text += "\n";
  }
  std::size_t count(std::string_view id) const {
    std::size_t out = 0;
    for (auto at = text.find(id); at != text.npos; at = text.find(id, at + 1)) ++out;
    return out;
  }
  std::string text;
};

/// The same in every run.
class HandRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (auto& byte : out) byte = std::uint8_t((state_ = state_ * 6364136223846793005u + 1) >> 56);
  }

 private:
  std::uint64_t state_ = 7;
};

class PullWatchTest : public ::testing::TestWithParam<Type> {
 protected:
  PullWatchTest() {
    settings_.type = GetParam();
    settings_.api = "https://forge.example/api";
    settings_.project = "ops/policy";
    settings_.post = settings_.watch = true;
    begin();
  }
  /// As after a restart.
  void begin() {
    auto list = std::make_unique<PullList>(settings_, "main", forge_.client(), [this] {
      return token_.empty() ? Result<Secret>(fail(ErrorKind::not_found, "no such file"))
                            : Result<Secret>(Secret(token_));
    });
    watch_ = std::make_unique<PullWatch>(PullWatchParts{
        std::move(list), clock_, random_, "forge forge.example",
        [this]() -> Result<std::string> {
          if (base_error_) return fail(base_error_());
          return base_;
        },
        [this](const CandidateName& name) { return plan(name); },
        [this](const PlannedChange& change, std::function<void(bool)> then) {
          posted_.push_back(change.commit.substr(0, 1) + change.description);
          if (holds_)
            then_ = then;
          else
            then(arrives_);
        },
        [this](const std::string&, bool arrived) { (arrived ? arrived_ : lost_)++; }});
  }
  Result<PlannedChange> plan(const CandidateName& name) {
    planned_.push_back(std::to_string(name.pull) + name.commit.substr(0, 1));
    EXPECT_EQ(name.commit.size(), 40u);
    EXPECT_EQ(name.branch, "");
    if (meanwhile_) meanwhile_();
    if (auto at = errors_.find(name.pull); at != errors_.end()) return fail(at->second);
    bool refused = refused_.contains(name.pull);
    return PlannedChange{refused ? 0 : name.pull,
                         name.commit,
                         refused ? " refused" : " planned",
                         refused ? CommitState::failure : CommitState::success,
                         "# plan",
                         refused ? "" : "<!-- knock-review: 1 -->\n"};
  }
  /// Steps for so long as the watch says, until that much time has passed.
  void pass(Duration time) {
    for (auto end = clock_.monotonic() + time.chrono(); clock_.monotonic() < end;) {
      auto pause = watch_->step();
      ASSERT_GE(pause, Duration::seconds(1)) << "it would spin";
      ASSERT_LE(pause, Duration::seconds(10));
      clock_.advance(pause);
    }
  }
  bool comes(Duration time, const std::function<bool()>& true_now) {
    for (auto end = clock_.monotonic() + time.chrono(); clock_.monotonic() < end;) {
      auto pause = watch_->step();
      if (true_now()) return true;
      clock_.advance(pause);
    }
    return false;
  }
  bool has_problem() const { return !watch_->status().problem.empty(); }
  std::string list() const {
    return GetParam() == Type::github ? "GET /pulls" : "GET /merge_requests";
  }
  Words taken() { return std::exchange(planned_, {}); }

  Lines lines_;
  ForgeSettings settings_;
  ModelForge forge_{GetParam()};
  HandClock clock_;
  HandRandom random_;
  std::string token_ = ModelForge::kToken, base_ = "b1";
  std::map<std::uint64_t, Error> errors_;
  std::map<std::uint64_t, bool> refused_;
  std::function<void()> meanwhile_;
  std::function<Error()> base_error_;
  bool arrives_ = true, holds_ = false;
  std::function<void(bool)> then_;
  int arrived_ = 0, lost_ = 0;
  Words planned_, posted_;
  std::unique_ptr<PullWatch> watch_;
};

TEST_P(PullWatchTest, EachHeadIsPlannedOnceForWhatIsInForce) {
  forge_.push(7, commit('a'));
  forge_.push(8, commit('b'));
  forge_.push(9, commit('c'), "release");  // to another branch
  pass(Duration::seconds(30));
  EXPECT_THAT(taken(), ElementsAre("7a", "8b"));
  EXPECT_THAT(posted_, ElementsAre("a planned", "b planned"));
  pass(Duration::minutes(10));
  EXPECT_THAT(taken(), ElementsAre());
  EXPECT_GE(forge_.count(list()), 9u) << "once a minute";
  EXPECT_LE(forge_.count(list()), 13u);
  forge_.push(7, commit('d'));
  pass(Duration::minutes(2));
  EXPECT_THAT(taken(), ElementsAre("7d"));
  base_ = "b2";
  pass(Duration::seconds(30));
  EXPECT_THAT(taken(), ElementsAre("8b", "7d")) << "whoever waits longest first";
  auto status = watch_->status();
  EXPECT_EQ(status.open, 2u);
  EXPECT_EQ(status.planned, 2u);
  EXPECT_EQ(status.problem, "");
  EXPECT_TRUE(status.last_look);
  EXPECT_EQ(lost_, 0);
  EXPECT_EQ(arrived_, int(forge_.count(list())));
}

TEST_P(PullWatchTest, WhatDidNotChangeIsNotSentAgain) {
  forge_.push(7, commit('a'));
  pass(Duration::minutes(5));
  auto all = forge_.requests();
  ASSERT_GE(all.size(), 3u);
  EXPECT_THAT(all[0], Not(HasSubstr("304")));
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_THAT(all[i], HasSubstr("304"));
  forge_.push(7, commit('b'));
  pass(Duration::minutes(2));
  EXPECT_THAT(taken(), ElementsAre("7a", "7b"));
}

TEST_P(PullWatchTest, NothingIsLookedForWhileNothingIsInForce) {
  base_ = "";
  forge_.push(7, commit('a'));
  pass(Duration::minutes(5));
  EXPECT_TRUE(forge_.requests().empty());
  base_ = "b1";
  pass(Duration::seconds(3));
  EXPECT_THAT(taken(), ElementsAre("7a"));
}

/// What was merged is open no more: its old head would be refused, in sight of everybody.
TEST_P(PullWatchTest, WhatWasMergedIsNotPlannedAgainstItself) {
  forge_.push(7, commit('a'));
  forge_.push(8, commit('b'));
  pass(Duration::seconds(20));
  taken();
  forge_.close(7);
  base_ = "a";
  pass(Duration::seconds(20));
  EXPECT_THAT(taken(), ElementsAre("8b"));
}

TEST_P(PullWatchTest, ManyAreTakenSlowlyAndNoMoreThanSoMany) {
  for (std::uint64_t i = 1; i <= 301; ++i) forge_.push(i, commit("0123456789abcdef"[i % 16]));
  pass(Duration::seconds(60));
  EXPECT_GE(planned_.size(), 13u);
  EXPECT_LE(planned_.size(), 17u) << "five at once, and one in six seconds";
  EXPECT_EQ(planned_[0].substr(0, 3), "102") << "of the 200 that were updated last, the oldest";
  pass(Duration::minutes(70));
  auto all = taken();
  EXPECT_EQ(all.size(), 200u);
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), 200u);
  EXPECT_EQ(forge_.count(list() + " page=3"), 0u);
  EXPECT_TRUE(watch_->status().more);
  EXPECT_EQ(lines_.count("pull.too-many"), 1u) << lines_.text;
}

TEST_P(PullWatchTest, WhatIsRefusedIsToldOnceUntilSomethingMoves) {
  refused_[7] = true;
  forge_.push(7, commit('a'));
  pass(Duration::hours(1));
  EXPECT_THAT(posted_, ElementsAre("a refused"));
  EXPECT_EQ(watch_->status().refused, 1u);
  forge_.push(7, commit('b'));
  pass(Duration::minutes(2));
  base_ = "b2";
  pass(Duration::minutes(2));
  EXPECT_THAT(posted_, ElementsAre("a refused", "b refused", "b refused"));
}

TEST_P(PullWatchTest, WhatMayPassIsTriedAgainAndSaidOnce) {
  errors_[7] = Error{ErrorKind::unavailable, "git fetch: the remote hung up", {}, {}};
  forge_.push(7, commit('a'));
  forge_.push(8, commit('b'));
  pass(Duration::minutes(30));
  auto tries = std::ranges::count(planned_, "7a");
  EXPECT_GE(tries, 5);
  EXPECT_LE(tries, 40) << "later and later";
  EXPECT_EQ(std::ranges::count(planned_, "8b"), 1) << "it holds nobody up";
  EXPECT_EQ(lines_.count("pull.not-planned"), 1u) << lines_.text;
  EXPECT_THAT(watch_->status().problem, HasSubstr("pull request 7: it cannot be planned"));
  errors_.clear();
  pass(Duration::minutes(11));
  EXPECT_EQ(watch_->status().problem, "");
  EXPECT_EQ(watch_->status().planned, 2u);
}

TEST_P(PullWatchTest, SomebodyElsesFetchIsWaitedFor) {
  errors_[7] = Error{ErrorKind::rate_limited, "another change is being fetched", {}, {}};
  forge_.push(7, commit('a'));
  pass(Duration::seconds(20));
  EXPECT_GE(planned_.size(), 2u);
  EXPECT_EQ(watch_->status().problem, "") << "nothing is wrong";
  errors_.clear();
  pass(Duration::seconds(10));
  EXPECT_EQ(watch_->status().planned, 1u);
}

TEST_P(PullWatchTest, APushBetweenTheListAndTheFetch) {
  forge_.push(7, commit('a'));
  errors_[7] = Error{ErrorKind::invalid, "git.head-moved: it ends in bbb by now", {}, {}};
  meanwhile_ = [this] { forge_.push(7, commit('b')); };
  pass(Duration::seconds(30));
  EXPECT_THAT(taken(), ElementsAre("7a"));
  EXPECT_THAT(posted_, ElementsAre());
  EXPECT_EQ(watch_->status().problem, "");
  errors_.clear();
  meanwhile_ = {};
  pass(Duration::minutes(2));
  EXPECT_THAT(taken(), ElementsAre("7b"));
  EXPECT_THAT(posted_, ElementsAre("b planned"));
}

TEST_P(PullWatchTest, ClosedBetweenTheListAndThePlan) {
  forge_.push(7, commit('a'));
  errors_[7] = Error{ErrorKind::not_found, "git.no-ref: the ref is not there", {}, {}};
  meanwhile_ = [this] { forge_.close(7); };
  EXPECT_TRUE(comes(Duration::minutes(1), [&] { return has_problem(); }));
  pass(Duration::seconds(75));
  taken();
  pass(Duration::minutes(20));
  EXPECT_THAT(taken(), ElementsAre()) << "it is not in the list any more";
  EXPECT_EQ(watch_->status().problem, "");
  EXPECT_THAT(posted_, ElementsAre());
}

TEST_P(PullWatchTest, APlanThatDidNotArriveIsMadeAndPostedAgain) {
  arrives_ = false;
  forge_.push(7, commit('a'));
  pass(Duration::seconds(40));
  EXPECT_GE(posted_.size(), 2u);
  EXPECT_THAT(watch_->status().problem, HasSubstr("cannot be posted"));
  arrives_ = true;
  pass(Duration::minutes(11));
  auto all = posted_.size();
  pass(Duration::hours(1));
  EXPECT_EQ(posted_.size(), all);
  EXPECT_EQ(watch_->status().problem, "");
}

TEST_P(PullWatchTest, WhatBecameOfAPostMayBeToldAfterTheEnd) {
  holds_ = true;
  forge_.push(7, commit('a'));
  pass(Duration::seconds(5));
  ASSERT_TRUE(then_);
  watch_.reset();
  then_(false);
  SUCCEED();
}

TEST_P(PullWatchTest, AForgeThatAsksForSilenceGetsIt) {
  forge_.push(7, commit('a'));
  auto in = [&](int seconds) { return std::to_string(clock_.now().seconds() + seconds); };
  for (int seconds : {300, 600}) {
    if (seconds == 300)
      forge_.answer_next(list(), {429, {{"retry-after", "300"}}, ""});
    else
      forge_.answer_next(
          list(), {403, {{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", in(660)}}, ""});
    ASSERT_TRUE(comes(Duration::seconds(70), [&] { return has_problem(); }));
    auto before = forge_.count(list());
    pass(Duration::seconds(seconds - 10));
    EXPECT_EQ(forge_.count(list()), before);
    EXPECT_TRUE(comes(Duration::seconds(100), [&] { return !has_problem(); }));
    EXPECT_EQ(forge_.count(list()), before + 1);
  }
  EXPECT_EQ(lines_.count("notify.failed"), 2u) << lines_.text;
}

TEST_P(PullWatchTest, AForgeThatIsAwayIsAskedLessAndLess) {
  for (int i = 0; i < 1000; ++i) forge_.answer_next(list(), {502, {}, "<html>"});
  pass(Duration::hours(2));
  EXPECT_GE(forge_.count(list()), 12u) << "ten minutes at most";
  EXPECT_LE(forge_.count(list()), 100u);
  EXPECT_EQ(lines_.count("notify.failed"), 1u) << "however long it lasts";
  EXPECT_EQ(lost_, int(forge_.count(list())));
  EXPECT_THAT(watch_->status().problem, HasSubstr("HTTP 502"));
}

TEST_P(PullWatchTest, HostileAnswersAreRefusedAndWhatWasKnownStays) {
  forge_.push(7, commit('a'));
  pass(Duration::seconds(30));
  taken();
  for (std::string body :
       {std::string("[") + std::string(50'000, '['), std::string("{}"),
        "[" + std::string(200'000, ' ') + "0" + std::string(",0").append(2000, ' ') + "]",
        std::string(R"([{"number":-7,"iid":-7}])")}) {
    forge_.answer_next(list(), {200, {{"etag", "x\r\ny"}}, body});
    EXPECT_TRUE(comes(Duration::seconds(70), [&] { return has_problem(); })) << body.substr(0, 40);
    EXPECT_EQ(watch_->status().open, 1u) << "no list is no empty list";
    EXPECT_TRUE(comes(Duration::minutes(10), [&] { return !has_problem(); }));
  }
  EXPECT_THAT(taken(), ElementsAre());
  EXPECT_THAT(lines_.text, Not(HasSubstr("[[[[")));
}

/// Each alone fits, and no two of them do.
TEST_P(PullWatchTest, APageThatIsTooLargeIsAskedForInPieces) {
  for (std::uint64_t i = 1; i <= 60; ++i) forge_.push(i, commit('a'));
  for (std::uint64_t i = 31; i <= 39; ++i) forge_.describe(i, 6u << 20);
  pass(Duration::seconds(2));
  EXPECT_EQ(watch_->status().open, 60u);
  EXPECT_EQ(watch_->status().problem, "");
  EXPECT_FALSE(watch_->status().more);
  auto asked = forge_.count(list());
  pass(Duration::seconds(70));
  EXPECT_LE(forge_.count(list()), asked + 20) << "not what was too large the last time";
  auto all = forge_.requests();
  for (auto i = asked; i < all.size(); ++i) EXPECT_THAT(all[i], HasSubstr("304"));
}

TEST_P(PullWatchTest, WhatIsTooLargeAloneIsLeftOutAndSaid) {
  for (std::uint64_t i = 1; i <= 40; ++i) forge_.push(i, commit('a'));
  forge_.describe(33, 17u << 20);
  forge_.describe(1, 17u << 20);  // the last of the list
  pass(Duration::seconds(2));
  EXPECT_EQ(watch_->status().open, 38u);
  EXPECT_THAT(watch_->status().problem, HasSubstr("2 open pull requests are too large"));
  EXPECT_THAT(watch_->status().problem, Not(HasSubstr("certificate")));
  EXPECT_EQ(lines_.count("pull.too-large"), 1u) << lines_.text;
  EXPECT_EQ(lost_, 0);
  forge_.describe(33, 0);
  forge_.describe(1, 0);
  pass(Duration::minutes(12));
  EXPECT_EQ(watch_->status().open, 40u);
  EXPECT_EQ(watch_->status().problem, "");
  EXPECT_EQ(forge_.requests().back(), list() + " page=1 304") << "in one piece again";
}

TEST(Pages, EndAndAreBounded) {
  // The worst: each element alone is as large as is taken, or larger.
  for (bool too_large : {false, true}) {
    Pages walk(200);
    std::size_t requests = 0, bytes = 0;
    for (; auto page = walk.next(); ++requests) {
      ASSERT_LT(requests, 1000u);
      if (page->elements > 1 || too_large) {
        walk.too_large();
      } else {
        walk.read(kLargestElement, true);
      }
      bytes += largest_page(page->elements);
    }
    EXPECT_TRUE(walk.more());
    EXPECT_LE(bytes, Pages::kMostBytes + kLargestElement);
  }
  // Nothing is asked for twice, and nothing is passed over.
  for (std::size_t large = 0; large < 200; ++large) {
    Pages walk(200);
    std::vector<int> seen(200);
    while (auto page = walk.next()) {
      auto first = (page->number - 1) * page->elements;
      if (page->elements > 1 && large >= first && large < first + page->elements) {
        walk.too_large();
        continue;
      }
      for (std::size_t i = 0; i < page->elements; ++i) ++seen.at(first + i);
      walk.read(1, first + page->elements < 200);
    }
    EXPECT_EQ(seen, std::vector<int>(200, 1)) << large;
  }
}

TEST_P(PullWatchTest, WhatThrowsIsATryThatFailed) {
  forge_.push(7, commit('a'));
  forge_.push(8, commit('b'));
  meanwhile_ = [this] {
    if (planned_.back() == "7a") throw std::bad_alloc();
  };
  watch_->start();
  for (auto end = Deadline::in(Duration::seconds(30));
       (watch_->status().planned == 0 || watch_->status().problem.empty()) && !end.passed();)
    std::this_thread::yield();
  watch_->stop();
  EXPECT_EQ(watch_->status().planned, 1u) << "the other one";
  EXPECT_THAT(watch_->status().problem, HasSubstr("pull request 7: it cannot be planned"));
  EXPECT_EQ(lines_.count("pull.not-planned"), 1u) << lines_.text;
  taken();
  clock_.advance(Duration::minutes(1));
  meanwhile_ = [] { throw std::runtime_error("anything\n"); };
  pass(Duration::minutes(30));
  EXPECT_LE(planned_.size(), 40u) << "later and later";
  EXPECT_THAT(posted_, ElementsAre("b planned"));
  meanwhile_ = {};
  pass(Duration::minutes(11));
  EXPECT_EQ(watch_->status().planned, 2u);
  EXPECT_EQ(watch_->status().problem, "");
}

TEST_P(PullWatchTest, WhatThrowsElsewhereEndsNothing) {
  base_error_ = []() -> Error { throw std::bad_alloc(); };
  for (int i = 0; i < 3; ++i) EXPECT_GE(watch_->step(), Duration::seconds(1));
  EXPECT_THAT(watch_->status().problem, HasSubstr("cannot be looked at"));
  EXPECT_EQ(lines_.count("pull.watch-failed"), 1u) << lines_.text;
  base_error_ = {};
  forge_.push(7, commit('a'));
  pass(Duration::minutes(11));
  EXPECT_THAT(taken(), ElementsAre("7a"));
  EXPECT_EQ(watch_->status().problem, "");
}

TEST_P(PullWatchTest, WhatCannotBeReadOfWhatIsInForceIsSaid) {
  forge_.push(7, commit('a'));
  base_error_ = [] { return Error{ErrorKind::unavailable, "the store is locked", {}, {}}; };
  pass(Duration::seconds(10));
  EXPECT_EQ(watch_->status().problem, "what is in force cannot be read: the store is locked");
  EXPECT_TRUE(watch_->status().problem_since);
  base_error_ = {};
  pass(Duration::seconds(10));
  EXPECT_EQ(watch_->status().problem, "");
  EXPECT_THAT(taken(), ElementsAre("7a"));
}

TEST_P(PullWatchTest, StatusIsTrueWhileAPlanIsMade) {
  forge_.push(7, commit('a'));
  std::size_t open = 0;
  meanwhile_ = [&] { open = watch_->status().open; };
  pass(Duration::seconds(5));
  EXPECT_EQ(open, 1u);
}

/// With everything stale all the time, as when many push or much comes into force.
TEST_P(PullWatchTest, NoHourHasMorePlansThanForgesTakeWrites) {
  for (std::uint64_t i = 1; i <= 150; ++i) forge_.push(i, commit('a'));
  for (int half = 0; half < 6; ++half) {
    std::size_t before = planned_.size();
    for (int k = 0; k < 6; ++k) {
      base_ += "x";
      pass(Duration::minutes(10));
    }
    EXPECT_LE(planned_.size() - before, 200u);
    EXPECT_GE(planned_.size() - before, 140u);
  }
}

TEST_P(PullWatchTest, TheTokenIsReadAnewAndNeverSaid) {
  forge_.push(7, commit('a'));
  token_ = "an-old-0ne";
  pass(Duration::seconds(2));
  EXPECT_THAT(watch_->status().problem, HasSubstr("401"));
  token_ = "";
  pass(Duration::minutes(10));
  EXPECT_THAT(watch_->status().problem, HasSubstr("its token cannot be read"));
  token_ = ModelForge::kToken;
  pass(Duration::minutes(11));
  EXPECT_THAT(taken(), ElementsAre("7a"));
  for (const char* secret : {"an-old-0ne", ModelForge::kToken})
    EXPECT_THAT(lines_.text, Not(HasSubstr(secret)));
}

TEST_P(PullWatchTest, WorksOnAThreadOfItsOwnUntilItIsStopped) {
  forge_.push(7, commit('a'));
  watch_->start();
  for (auto end = Deadline::in(Duration::seconds(30));
       watch_->status().planned == 0 && !end.passed();)
    std::this_thread::yield();
  watch_->stop();
  EXPECT_THAT(taken(), ElementsAre("7a"));
  watch_->stop();
}

INSTANTIATE_TEST_SUITE_P(EachForge, PullWatchTest, ::testing::Values(Type::github, Type::gitlab),
                         [](const auto& info) {
                           return info.param == Type::github ? "github" : "gitlab";
                         });

}  // namespace
}  // namespace knock::test
