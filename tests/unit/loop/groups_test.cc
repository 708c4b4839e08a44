// SPDX-License-Identifier: Apache-2.0
// Groups of people who are signed in: what is lost closes at once, but for a source that suddenly
// says nobody has any. And operators, whom no policy cuts unseen.
#include <fmt/format.h>

#include <algorithm>

#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

const SignInName kLocal("local"), kCorp("corp");

class Groups : public World {
 protected:
  /// Ana, Ben … of `corp`, at 203.0.x.y.
  std::vector<Session> crowd(int n) {
    std::vector<Session> out;
    for (int i = 0; i < n; ++i) {
      Session session;
      auto user = fmt::format("p{}", i);
      session.principal = {"https://idp.example", user, user};
      session.source = kCorp;
      session.proof = Proof::oidc;
      session.groups = {"admins"};
      session.address = *IpAddress::parse(fmt::format("203.0.{}.{}", i / 250, i % 250 + 1));
      session.authenticated = clock_.now();
      session.expires = clock_.now() + Duration::hours(1);
      auto opened = loop_->open_session("test", session);
      EXPECT_TRUE(opened);
      out.push_back(*opened);
    }
    EXPECT_TRUE(settled());
    return out;
  }
  void say(const std::vector<Session>& sessions, std::vector<std::string> groups,
           const SignInName& source = kCorp) {
    std::vector<GroupsSaid> said;
    for (const Session& session : sessions) said.push_back({session.id, groups});
    auto done = loop_->groups_changed("test", source, said);
    EXPECT_TRUE(done) << done.error().text();
    EXPECT_TRUE(settled());
  }
  std::size_t entries() { return place("edge").entries(); }
};

TEST_F(Groups, OnePersonsLossClosesAtOnceWhateverTheGuards) {
  start();
  adopt(policy_text(one_target("edge"), "guards: {removals: {entries: 0, percent: 0}}\n"), "r1");
  auto people = crowd(3);
  ASSERT_EQ(entries(), 3u);
  say({people[1]}, {});
  EXPECT_EQ(entries(), 2u);
  EXPECT_EQ(status("edge").held, 0u);
  EXPECT_EQ(place("edge").changes().back().reason, Reason::revoked);
  auto facts = facts_of<SessionGroups>();
  ASSERT_EQ(facts.size(), 1u);
  EXPECT_TRUE(facts[0].lost);
  say({people[1]}, {"admins"});
  EXPECT_EQ(entries(), 3u) << "and what is given again opens again";
}

TEST_F(Groups, LossAndTimeAreNotForgottenByARestart) {
  begin();
  auto people = crowd(3);
  say({people[0]}, {});
  ASSERT_EQ(entries(), 2u);
  restart();
  loop_->resume(load(policy_text(one_target("edge")), "r1"));
  ASSERT_TRUE(settled());
  EXPECT_EQ(entries(), 2u);
}

TEST_F(Groups, ASourceThatSaysNobodyHasAnyIsKeptWaiting) {
  begin();
  auto people = crowd(1000);
  ASSERT_EQ(entries(), 1000u);
  auto nine = clock_.now();
  say(people, {});
  EXPECT_EQ(entries(), 1000u) << "kept";
  ASSERT_EQ(loop_->suspect_sources().size(), 1u);
  EXPECT_EQ(loop_->suspect_sources().at(kCorp).until, nine + Duration::minutes(15));
  ASSERT_EQ(facts_of<SourceSuspected>().size(), 1u);
  EXPECT_EQ(facts_of<SourceSuspected>()[0].lost, 1000u);
  for (const Session& session : people)
    EXPECT_LE(place("edge").until("ssh", session.address.to_string() + "/32"),
              nine + Duration::minutes(15))
        << "the target itself closes then";
  pass_time(Duration::minutes(14));
  ASSERT_TRUE(settled());
  EXPECT_EQ(entries(), 1000u);
  pass_time(Duration::minutes(1));
  ASSERT_TRUE(soon([&] { return facts_of<SourceCleared>().size() == 1; }));
  ASSERT_TRUE(settled());
  EXPECT_EQ(entries(), 0u) << "closed at a quarter past nine";
  EXPECT_EQ(facts_of<SourceCleared>()[0].how, "believed");
  EXPECT_EQ(status("edge").held, 0u);
}

TEST_F(Groups, ASourceThatRecoversKeepsEverybody) {
  begin();
  auto people = crowd(100);
  say(people, {});
  pass_time(Duration::minutes(5));
  say(people, {"admins"});
  EXPECT_TRUE(loop_->suspect_sources().empty());
  EXPECT_EQ(facts_of<SourceCleared>().at(0).how, "recovered");
  pass_time(Duration::minutes(30));
  ASSERT_TRUE(settled());
  EXPECT_EQ(entries(), 100u) << "as long as they were signed in for";
}

TEST_F(Groups, TenOfAThousandAreBelievedAtOnce) {
  begin();
  auto people = crowd(200);
  say({people.begin(), people.begin() + 10}, {});
  EXPECT_EQ(entries(), 190u);
  EXPECT_TRUE(loop_->suspect_sources().empty());
}

TEST_F(Groups, ASuspectSourceSurvivesARestartAndASilentController) {
  begin();
  auto people = crowd(20);
  say(people, {});
  restart();
  loop_->resume(load(policy_text(one_target("edge")), "r1"));
  ASSERT_TRUE(settled());
  EXPECT_EQ(entries(), 20u);
  EXPECT_EQ(loop_->suspect_sources().at(kCorp).kept, 20u);
  stop();
  clock_.advance(Duration::minutes(16));
  restart();
  loop_->resume(load(policy_text(one_target("edge")), "r1"));
  ASSERT_TRUE(soon([&] { return facts_of<SourceCleared>().size() == 1; }));
  ASSERT_TRUE(settled());
  EXPECT_EQ(entries(), 0u);
  EXPECT_TRUE(loop_->suspect_sources().empty());
}

TEST_F(Groups, WhatCannotBeWrittenClosesAllTheSame) {
  begin();
  auto people = crowd(3);
  store_->mode = BrittleStore::Mode::locked;
  std::vector<GroupsSaid> said{{people[0].id, {}}};
  EXPECT_FALSE(loop_->groups_changed("test", kCorp, said));
  ASSERT_TRUE(soon([&] { return entries() == 2; }));
  store_->mode = BrittleStore::Mode::good;
  pass_time(Duration::seconds(1));
  ASSERT_TRUE(soon([&] { return facts_of<SessionGroups>().size() == 1; })) << "written later";
}

TEST_F(Groups, AnotherSourceAndAGrantAreNotConcerned) {
  begin();
  auto people = crowd(3);
  say(people, {}, kLocal);
  EXPECT_EQ(entries(), 3u);
  EXPECT_TRUE(facts_of<SessionGroups>().empty());
}

TEST_F(Groups, ACrowdAtOnceIsAnAlarm) {
  begin();
  place("edge").observing.close();
  loop_->refresh({});
  ASSERT_TRUE(place("edge").observing.wait_for_caller());
  for (int i = 0; i < 501; ++i) {
    auto opened = sign_in_result(fmt::format("203.0.{}.{}", i / 250, i % 250 + 1),
                                 Duration::hours(1), fmt::format("p{}", i));
    ASSERT_TRUE(opened);
  }
  place("edge").observing.open();
  ASSERT_TRUE(settled());
  EXPECT_EQ(entries(), 501u) << "nobody waits";
  auto told = [&] {
    auto findings = status("edge").findings;
    return std::any_of(findings.begin(), findings.end(),
                       [](const Finding& finding) { return finding.id == kSurge; });
  };
  EXPECT_TRUE(told());
  loop_->refresh({});
  ASSERT_TRUE(settled());
  EXPECT_TRUE(told()) << "for a while";
  pass_time(Duration::hours(2));
  loop_->refresh({});
  ASSERT_TRUE(settled());
  EXPECT_FALSE(told());
}

class Operators : public Groups {
 protected:
  Operators() { settings_.operators = {{kLocal, "admins", ""}}; }
  static std::string without_rules() {
    return "knock: 1\ntargets:\n" + one_target("edge") +
           "services:\n  ssh: {ports: [tcp/22], targets: [edge]}\n"
           "guards: {removals: {percent: 100}}\n"
           "static:\n  m: {cidr: [198.51.100.9], to: [ssh], owner: ana, reason: probe, until: "
           "2027-06-01}\n";
  }
};

TEST_F(Operators, WhoOperatesIsNotCutUnseen) {
  begin();
  auto ana = sign_in(kAna);
  adopt(without_rules(), "r2");
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.7/32")) << "held";
  ASSERT_EQ(status("edge").guards.size(), 1u);
  EXPECT_EQ(status("edge").guards[0].guard, "operator");
  EXPECT_EQ(status("edge").guards[0].figure,
            "this would cut 203.0.113.7 of ana, who is signed in now, from tcp/22");
  auto plan = loop_->plan(*loop_->policy());
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->guards.size(), 1u);
  ASSERT_TRUE(loop_->acknowledge("test", to_hex(plan->id)));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", "203.0.113.7/32")) << "never left out, only asked about";
}

TEST_F(Operators, WhoSignsOutOrIsRevokedIsKeptByNothing) {
  begin();
  auto ana = sign_in(kAna);
  sign_in(kBen, Duration::hours(1), "ben");
  adopt(without_rules(), "r2");
  end(ana, EndCause::revoked);
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", "203.0.113.7/32"));
  EXPECT_TRUE(place("edge").open("ssh", "203.0.113.8/32")) << "ben is asked about still";
}

TEST_F(Operators, AKeepPrefixHoldsNobodysEntryAfterTheEnd) {
  settings_.keep = {*Prefix::parse("203.0.113.0/24")};
  begin();
  auto ana = sign_in(kAna);
  end(ana, EndCause::revoked);
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", "203.0.113.7/32"));
}

}  // namespace
}  // namespace knock::test
