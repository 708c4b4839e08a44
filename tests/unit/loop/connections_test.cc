// SPDX-License-Identifier: Apache-2.0
// One connection for one sign-in, whatever happens in between.
#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

std::string text_with(const std::string& how, const std::string& more = {}) {
  auto text = policy_text(one_target("edge"), more);
  text.replace(text.find("ttl: 8h"), 7, how);
  return text;
}
const std::string kOnce = "ttl: 8h, connections: 1";
const std::string kDeny =
    "networks:\n  here: [203.0.113.0/24]\n"
    "deny:\n  d: {from: {in: [here]}, to: [ssh]}\n";
const char* const kPrefix = "203.0.113.7/32";

class Connections : public World {
 protected:
  void begin_with(const std::string& how) {
    place("edge").capabilities.by_connection = true;
    start();
    adopt(text_with(how), "r1");
  }
  void leave(const Session& session) {
    end(session);
    ASSERT_TRUE(settled());
  }
  bool knocks() { return place("edge").connect(kAna); }
  bool look_again() {
    loop_->refresh({});
    return settled();
  }
  void resume() {
    restart();
    loop_->resume(load(text_with(kOnce), "r1"));
    ASSERT_TRUE(look_again());
  }
  std::string problem_of(const Session& session) {
    auto rows = loop_->where(session);
    return rows.size() == 1 && !rows[0].open ? rows[0].problem : "it is open";
  }
};

TEST_F(Connections, TheFirstIsTheOnlyOne) {
  begin_with(kOnce);
  auto session = sign_in(kAna);
  auto rows = loop_->where(session);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].lasts, Lasts::first_connection);
  EXPECT_FALSE(rows[0].used);
  EXPECT_TRUE(knocks());
  EXPECT_FALSE(knocks());
  ASSERT_TRUE(look_again());
  EXPECT_FALSE(knocks()) << "a used ticket is no drift";
  EXPECT_TRUE(loop_->where(session)[0].used);
  EXPECT_FALSE(status("edge").drifted);
  leave(session);
  EXPECT_FALSE(place("edge").open("ssh", kPrefix));
  sign_in(kAna);
  ASSERT_TRUE(settled());
  EXPECT_TRUE(knocks()) << "a new sign-in is a new grant";
  EXPECT_FALSE(knocks());
}

TEST_F(Connections, TwoSignInsAtOneAddressHaveOneEach) {
  begin_with(kOnce);
  auto ana = sign_in(kAna);
  EXPECT_TRUE(knocks());
  sign_in(kAna, Duration::minutes(30), "ben");
  ASSERT_TRUE(settled());
  EXPECT_TRUE(knocks()) << "also where his deadline is the earlier one";
  EXPECT_FALSE(knocks());
  leave(ana);
  EXPECT_TRUE(place("edge").open("ssh", kPrefix)) << "ben's goes on";
  EXPECT_FALSE(knocks());
}

TEST_F(Connections, ARestartGivesNoSecond) {
  begin_with(kOnce);
  sign_in(kAna);
  EXPECT_TRUE(knocks());
  resume();
  EXPECT_FALSE(knocks());
  resume();
  EXPECT_FALSE(knocks());
}

TEST_F(Connections, TakenAwayByHandItIsNotPutBack) {
  begin_with(kOnce);
  auto session = sign_in(kAna);
  place("edge").take_away("ssh", kPrefix);
  place("edge").tell_moved();
  ASSERT_TRUE(settled());
  EXPECT_FALSE(knocks()) << "nobody knows whether it was used";
  EXPECT_NE(problem_of(session).find("sign in again"), std::string::npos) << problem_of(session);
  auto found = facts_of<DriftFound>();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NE(found[0].what.find("removed by somebody else"), std::string::npos) << found[0].what;
  ASSERT_TRUE(look_again());
  EXPECT_EQ(facts_of<DriftFound>().size(), 1U) << "said once";
  resume();
  EXPECT_FALSE(knocks());
  sign_in(kAna, Duration::hours(2));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(knocks());
  EXPECT_FALSE(knocks());
}

// Unreadable is not empty: nobody knows who had theirs, so nobody who is signed in gets one.
TEST_F(Connections, RecordsThatCannotBeReadGiveNoSecond) {
  begin_with(kOnce);
  sign_in(kAna);
  EXPECT_TRUE(knocks());
  place("edge").take_away("ssh", kPrefix);
  restart();
  store_->tickets_unreadable = true;
  loop_->resume(load(text_with(kOnce), "r1"));
  ASSERT_TRUE(look_again());
  EXPECT_FALSE(knocks());
  sign_in(kAna, Duration::hours(2));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(knocks()) << "a new sign-in is a new grant";
  EXPECT_FALSE(knocks());
}

TEST_F(Connections, TheWholeTableTakenAwayGivesNoSecond) {
  begin_with(kOnce);
  sign_in(kAna);
  EXPECT_TRUE(knocks());
  place("edge").unprotect(true);
  place("edge").tell_moved();
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", kPrefix));
  EXPECT_FALSE(knocks());
}

TEST_F(Connections, APolicyThatClosesAndOpensAgainGivesNoSecond) {
  begin_with(kOnce);
  auto session = sign_in(kAna);
  EXPECT_TRUE(knocks());
  adopt(text_with(kOnce, kDeny), "r2");
  EXPECT_FALSE(place("edge").open("ssh", kPrefix));
  adopt(text_with(kOnce), "r3");
  EXPECT_FALSE(knocks());
  EXPECT_NE(problem_of(session).find("one connection"), std::string::npos) << problem_of(session);
  adopt(text_with(kOnce, kDeny), "r4");
  restart();
  loop_->resume(load(text_with(kOnce), "r3"));
  ASSERT_TRUE(look_again());
  EXPECT_FALSE(knocks()) << "the log remembers what is gone from the target";
}

TEST_F(Connections, ALostAnswerGivesNoSecond) {
  begin_with(kOnce);
  {
    auto lock = place("edge").lock();
    place("edge").apply_faults.push_back({ErrorKind::timeout, true, {}});
  }
  auto session = sign_in_result(kAna);
  ASSERT_TRUE(session);
  ASSERT_TRUE(soon([&] { return knocks(); }));
  resume();
  EXPECT_FALSE(knocks());
  EXPECT_TRUE(place("edge").open("ssh", kPrefix));
}

TEST_F(Connections, AnotherWayToLastIsAnotherEntry) {
  begin_with("ttl: 8h");
  sign_in(kAna);
  EXPECT_TRUE(knocks());
  EXPECT_TRUE(knocks());
  adopt(text_with(kOnce), "r2");
  EXPECT_TRUE(knocks());
  EXPECT_FALSE(knocks());
  adopt(text_with("ttl: 8h"), "r3");
  EXPECT_TRUE(knocks());
  EXPECT_TRUE(knocks());
  adopt(text_with(kOnce), "r4");
  EXPECT_FALSE(knocks()) << "its one connection was given under the second policy";
}

TEST_F(Connections, WhatStaysTakesNobodyAfterItsTime) {
  begin_with("ttl: 10m, until: disconnect");
  auto session = sign_in(kAna, Duration::hours(4));
  EXPECT_TRUE(knocks());
  EXPECT_TRUE(knocks());
  auto rows = loop_->where(session);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].lasts, Lasts::disconnect);
  EXPECT_EQ(rows[0].come_by, (session.created + Duration::minutes(10)).floor_to_second());
  EXPECT_EQ(rows[0].until, session.expires);
  pass_time(Duration::minutes(11));
  ASSERT_TRUE(look_again());
  EXPECT_FALSE(knocks());
  EXPECT_TRUE(place("edge").open("ssh", kPrefix)) << "what came in time stays";
  EXPECT_FALSE(status("edge").drifted);
  leave(session);
  EXPECT_FALSE(place("edge").open("ssh", kPrefix)) << "to sign out is to go";
}

TEST_F(Connections, ATargetThatCannotOpensNothing) {
  place("edge").capabilities.by_connection = false;
  start();
  adopt(text_with(kOnce), "r1");
  ASSERT_TRUE(sign_in_result(kAna));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", kPrefix));
  EXPECT_FALSE(knocks());
}

}  // namespace
}  // namespace knock::test
