// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/source_suspect.h"

#include <fmt/format.h>

#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

const SignInName kCorp("corp");

/// A source with people of one session each.
class Source {
 public:
  explicit Source(int people) {
    for (int i = 0; i < people; ++i) {
      live.push_back(SessionOf{.who = fmt::format("p{}", i)});
      live.back().id = SessionId(fmt::format("s{:04}", i));
    }
  }
  /// As core does it: what comes out is written, and then so.
  SourceSuspect::Outcome take(SourceSuspect::Outcome outcome) {
    for (const SessionGroups& fact : outcome.sessions)
      for (Session& session : live)
        if (session.id == fact.session) apply_groups(session, fact);
    return outcome;
  }
  SourceSuspect::Outcome say(int from, int to, std::vector<std::string> groups, Instant now,
                             bool certain = false) {
    std::vector<GroupsSaid> said;
    for (int i = from; i < to; ++i) said.push_back({live[std::size_t(i)].id, groups});
    return take(suspect.refreshed(kCorp, live, said, now, certain));
  }
  SourceSuspect::Outcome wait(Instant now) { return take(suspect.at(now)); }
  std::size_t with_groups() const {
    return std::size_t(std::count_if(
        live.begin(), live.end(), [](const Session& session) { return !session.groups.empty(); }));
  }
  std::size_t kept() const {
    return std::size_t(std::count_if(live.begin(), live.end(), [](const Session& session) {
      return session.groups_until.has_value();
    }));
  }

  SourceSuspect suspect;
  std::vector<Session> live;
};

const Instant kNine = kNow;
Instant nine(int minutes) { return kNine + Duration::minutes(minutes); }

TEST(SourceSuspect, OnePersonLosesEverythingAtOnce) {
  Source source(1000);
  auto out = source.say(7, 8, {}, kNine);
  ASSERT_EQ(out.sessions.size(), 1u);
  EXPECT_TRUE(out.sessions[0].lost);
  EXPECT_FALSE(out.sessions[0].kept_until);
  EXPECT_FALSE(out.suspected);
  EXPECT_TRUE(source.live[7].groups.empty() && source.live[7].groups_lost);
  EXPECT_FALSE(source.suspect.next());
}

TEST(SourceSuspect, TenOfAThousandLoseEverythingAtOnce) {
  Source source(1000);
  auto out = source.say(0, 10, {}, kNine);
  EXPECT_EQ(out.sessions.size(), 10u);
  EXPECT_FALSE(out.suspected);
  EXPECT_EQ(source.with_groups(), 990u);
}

TEST(SourceSuspect, AThousandAtNineAreKeptUntilAQuarterPast) {
  Source source(1000);
  auto out = source.say(0, 1000, {}, kNine);
  ASSERT_TRUE(out.suspected);
  EXPECT_EQ(out.suspected->lost, 1000u);
  EXPECT_EQ(out.suspected->of, 1000u);
  EXPECT_EQ(out.suspected->until, nine(15));
  EXPECT_EQ(source.kept(), 1000u);
  EXPECT_EQ(source.with_groups(), 1000u);
  EXPECT_EQ(source.suspect.next(), nine(15));
  for (int minute = 1; minute < 15; ++minute) {
    auto again = source.say(0, 1000, {}, nine(minute));
    EXPECT_TRUE(again.sessions.empty() && !again.suspected) << "said again, and nothing is longer";
    EXPECT_TRUE(source.wait(nine(minute)).sessions.empty());
  }
  EXPECT_EQ(source.live[0].groups_until, nine(15));
  out = source.wait(nine(15));
  EXPECT_EQ(out.sessions.size(), 1000u);
  ASSERT_EQ(out.cleared.size(), 1u);
  EXPECT_EQ(out.cleared[0].how, "believed");
  EXPECT_EQ(source.with_groups(), 0u);
  EXPECT_EQ(source.kept(), 0u);
  EXPECT_FALSE(source.suspect.next());
  EXPECT_TRUE(source.suspect.suspects().empty());
}

TEST(SourceSuspect, ARefreshThatComesFirstClosesAsWell) {
  Source source(100);
  source.say(0, 100, {}, kNine);
  auto out = source.say(0, 100, {}, nine(20));
  EXPECT_EQ(out.sessions.size(), 100u);
  EXPECT_EQ(source.with_groups(), 0u) << "a timer that is late makes nothing longer";
}

TEST(SourceSuspect, ASourceThatRecoversKeepsEverybody) {
  Source source(1000);
  source.say(0, 1000, {}, kNine);
  auto out = source.say(0, 1000, {"staff"}, nine(5));
  ASSERT_EQ(out.cleared.size(), 1u);
  EXPECT_EQ(out.cleared[0].how, "recovered");
  EXPECT_EQ(out.sessions.size(), 1000u);
  EXPECT_EQ(source.with_groups(), 1000u);
  EXPECT_EQ(source.kept(), 0u);
  for (const Session& session : source.live) EXPECT_FALSE(session.groups_lost);
}

TEST(SourceSuspect, WhoIsStillWithoutWhenItRecoversHasLostThem) {
  Source source(1000);
  source.say(0, 1000, {}, kNine);
  auto out = source.say(0, 950, {"staff"}, nine(5));
  ASSERT_EQ(out.cleared.size(), 1u);
  EXPECT_EQ(source.with_groups(), 950u);
  EXPECT_TRUE(source.live[960].groups_lost);
}

TEST(SourceSuspect, AtTheEdges) {
  struct Row {
    int people, lose;
    bool suspect;
  };
  for (const auto& row : {Row{50, 10, false}, Row{49, 10, true}, Row{9, 9, false},
                          Row{10, 10, true}, Row{1000, 200, false}, Row{1000, 201, true}}) {
    Source source(row.people);
    EXPECT_EQ(source.say(0, row.lose, {}, kNine).suspected.has_value(), row.suspect)
        << row.lose << " of " << row.people;
  }
}

TEST(SourceSuspect, OnePersonWithManySessionsIsOnePerson) {
  Source source(20);
  for (Session& session : source.live) session.principal.subject = "p0";
  auto out = source.say(0, 20, {}, kNine);
  EXPECT_FALSE(out.suspected);
  EXPECT_EQ(source.with_groups(), 0u);
}

TEST(SourceSuspect, LossesOfSeveralRefreshesCountTogetherForFiveMinutes) {
  Source source(100);
  EXPECT_FALSE(source.say(0, 15, {}, kNine).suspected);
  auto out = source.say(15, 30, {}, nine(4));
  ASSERT_TRUE(out.suspected) << "30 of 100 within the window";
  EXPECT_EQ(source.kept(), 15u) << "what was taken before stays taken";
  EXPECT_EQ(source.with_groups(), 85u);

  Source slow(100);
  EXPECT_FALSE(slow.say(0, 15, {}, kNine).suspected);
  EXPECT_FALSE(slow.say(15, 30, {}, nine(5)).suspected) << "15 of 85 by then";
  EXPECT_EQ(slow.with_groups(), 70u);
}

TEST(SourceSuspect, WhoLosesSomeOfTheirGroupsLosesThemAtOnce) {
  Source source(100);
  for (Session& session : source.live) session.groups = {"admins", "staff"};
  auto out = source.say(0, 100, {"staff"}, kNine);
  EXPECT_FALSE(out.suspected) << "the source speaks of people it knows";
  EXPECT_EQ(out.sessions.size(), 100u);
  EXPECT_TRUE(out.sessions[0].lost);
  EXPECT_EQ(source.live[0].groups, std::vector<std::string>{"staff"});
  out = source.say(0, 1, {"staff", "dba"}, nine(1));
  ASSERT_EQ(out.sessions.size(), 1u);
  EXPECT_FALSE(out.sessions[0].lost);
  EXPECT_EQ(source.live[0].groups, (std::vector<std::string>{"dba", "staff"}));
}

TEST(SourceSuspect, WhatIsCertainIsBelieved) {
  Source source(100);
  EXPECT_FALSE(source.say(0, 100, {}, kNine, true).suspected);
  EXPECT_EQ(source.with_groups(), 0u);
}

TEST(SourceSuspect, SurvivesARestart) {
  Source source(100);
  source.say(0, 100, {}, kNine);
  SourceSuspect restarted;
  restarted.restore(source.live);
  EXPECT_EQ(restarted.next(), nine(15));
  EXPECT_EQ(restarted.suspects().at(kCorp).kept, 100u);
  restarted.forget(source.live[0].id);
  EXPECT_EQ(restarted.at(nine(15)).sessions.size(), 99u);
}

TEST(SourceSuspect, SaysNothingOfSessionsItDoesNotKnow) {
  Source source(3);
  std::vector<GroupsSaid> said{{SessionId("gone"), {}}, {source.live[0].id, {"staff"}}};
  auto out = source.suspect.refreshed(kCorp, source.live, said, kNine);
  EXPECT_TRUE(out.sessions.empty() && out.cleared.empty() && !out.suspected);
}

}  // namespace
}  // namespace knock::test
