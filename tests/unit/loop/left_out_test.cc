// SPDX-License-Identifier: Apache-2.0
// What a run leaves out while the rest goes on: pauses, entries that the target refuses, calls that
// nobody pays for, places that are taken, drift that policy says to leave.
#include <algorithm>

#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

std::string edge_with(const std::string& settings) {
  return "  edge: {type: nftables, table: edge, " + settings + "}\n";
}

class LeftOut : public World {
 protected:
  bool open(const std::string& address) { return place("edge").open("ssh", address + "/32"); }
  std::string problem(const Session& session) {
    auto rows = loop_->where(session);
    return rows.empty() ? "nowhere" : rows[0].problem;
  }
  Session ask(const std::string& address, const std::string& user = "ana") {
    auto session = sign_in_result(address, Duration::hours(1), user);
    EXPECT_TRUE(session);
    EXPECT_TRUE(settled());
    return *session;
  }
  void by_hand(const std::string& address) {
    place("edge").take_away("ssh", address + "/32");
    place("edge").tell_moved();
    ASSERT_TRUE(settled());
  }
  Status pause(Duration length, const std::string& why = "maintenance") {
    return loop_->pause("ops", TargetName("edge"), clock_.now() + length, why);
  }
};

// ---- pause ----

TEST_F(LeftOut, APausedTargetOpensNothingAndClosesEverythingThatMustClose) {
  begin();
  auto ana = sign_in(kAna);
  ASSERT_TRUE(pause(Duration::minutes(30)));
  auto ben = ask(kBen, "ben");
  EXPECT_FALSE(open(kBen));
  EXPECT_EQ(problem(ben), "paused by ops until 2027-01-15T08:30:00Z: maintenance");
  end(ana, EndCause::revoked);
  ASSERT_TRUE(settled());
  EXPECT_FALSE(open(kAna)) << "a pause keeps no door open";
  pass_time(Duration::minutes(30));
  EXPECT_TRUE(soon([&] { return open(kBen); })) << "it ends by itself";
}

TEST_F(LeftOut, APauseOutlivesARestartAndNotItsTime) {
  begin();
  ASSERT_TRUE(pause(Duration::minutes(30)));
  restart();
  loop_->resume(load(policy_text(one_target("edge")), "r1"));
  auto ana = ask(kAna);
  EXPECT_FALSE(open(kAna));
  pass_time(Duration::minutes(31));
  EXPECT_TRUE(soon([&] { return open(kAna); }));
  restart();
  loop_->resume(load(policy_text(one_target("edge")), "r1"));
  auto ben = ask(kBen, "ben");
  EXPECT_TRUE(open(kBen));
}

/// Policy gives neither of the two anything any more, and that waits: for the end of a pause, or for
/// somebody's yes. Who is revoked meanwhile leaves nothing behind that the other has no right to.
class WhatWaits : public LeftOut, public testing::WithParamInterface<bool> {};

TEST_P(WhatWaits, LendsNobodyAnothersTime) {
  bool paused = GetParam();
  begin();
  auto ana = sign_in(kAna, Duration::hours(1), "ana");
  auto ben = sign_in(kAna, Duration::hours(2), "ben");
  auto until = [&] { return place("edge").until("ssh", "203.0.113.7/32"); };
  ASSERT_TRUE(soon([&] { return until() == ben.expires; }));
  if (paused) ASSERT_TRUE(pause(Duration::hours(5)));
  ASSERT_TRUE(adopt_only("knock: 1\ntargets:\n" + one_target("edge") +
                             "services:\n  ssh: {ports: [tcp/22], targets: [edge]}\n"
                             "groups:\n  none: {idp: none}\n"
                             "guards: {removals: {entries: 0}}\n"
                             "allow:\n  a: {who: [none], to: [ssh], ttl: 8h}\n",
                         "r2"));
  ASSERT_TRUE(settled());
  ASSERT_TRUE(open(kAna)) << "it waits";
  end(ben, EndCause::revoked);
  EXPECT_TRUE(soon([&] { return until() == ana.expires; }));
  end(ana, EndCause::revoked);
  EXPECT_TRUE(soon([&] { return !open(kAna); }));
}

INSTANTIATE_TEST_SUITE_P(LeftOut, WhatWaits, testing::Bool());

TEST_F(LeftOut, ResumingDoesWhatWaited) {
  begin();
  ASSERT_TRUE(pause(Duration::hours(2)));
  ask(kAna);
  by_hand(kBen);
  EXPECT_FALSE(open(kAna));
  ASSERT_TRUE(loop_->resume_target("ops", TargetName("edge"), "done"));
  EXPECT_TRUE(soon([&] { return open(kAna); }));
  EXPECT_EQ(facts_of<TargetPaused>().size(), 1u);
  EXPECT_EQ(facts_of<TargetResumed>().size(), 1u);
}

TEST_F(LeftOut, APauseNeedsAnEndAndATarget) {
  begin();
  struct Row {
    std::string target;
    Duration length;
    ErrorKind want;
  };
  for (const Row& row : {Row{"edge", Duration{0}, ErrorKind::invalid},
                         Row{"edge", Duration::hours(24 * 31), ErrorKind::invalid},
                         Row{"nowhere", Duration::hours(1), ErrorKind::not_found}}) {
    auto done = loop_->pause("ops", TargetName(row.target), clock_.now() + row.length, "");
    ASSERT_FALSE(done) << row.target;
    EXPECT_EQ(done.error().kind, row.want);
  }
  auto resumed = loop_->resume_target("ops", TargetName("edge"), "");
  ASSERT_FALSE(resumed);
  EXPECT_EQ(resumed.error().kind, ErrorKind::not_found);
  EXPECT_TRUE(facts_of<TargetPaused>().empty());
}

// ---- what the target refuses ----

TEST_F(LeftOut, OnePoisonedEntryDoesNotKeepTheOthersOut) {
  start();
  place("edge").poison = [](const Change& change) {
    return change.action == Action::add && change.prefix == *Prefix::parse("203.0.113.100/32");
  };
  std::vector<Session> sessions;
  for (int i = 97; i < 113; ++i) {
    auto session = sign_in_result("203.0.113." + std::to_string(i), Duration::hours(1),
                                  "u" + std::to_string(i));
    ASSERT_TRUE(session);
    sessions.push_back(*session);
  }
  adopt(policy_text(one_target("edge")), "r1");
  for (int i = 97; i < 113; ++i) EXPECT_EQ(open("203.0.113." + std::to_string(i)), i != 100) << i;
  EXPECT_EQ(problem(sessions[3]),
            "the target refuses this entry (the request is malformed); it is tried again");
  EXPECT_EQ(problem(sessions[4]), "");
  EXPECT_TRUE(status("edge").ready);
  EXPECT_LE(place("edge").applies(), 12) << "halves, not one by one";

  // Removals go on.
  end(sessions[0]);
  ASSERT_TRUE(settled());
  EXPECT_FALSE(open("203.0.113.97"));
  {
    auto lock = place("edge").lock();
    place("edge").poison = nullptr;
  }
  loop_->refresh({});
  EXPECT_TRUE(soon([&] { return open("203.0.113.100"); })) << "whoever asks is heard";
}

TEST_F(LeftOut, AStepThatIsRefusedAloneIsLeftOutToo) {
  begin();
  place("edge").step_fault = [](const Change& change) -> std::optional<StepOutcome::Kind> {
    if (change.action == Action::add && change.prefix == *Prefix::parse("203.0.113.7/32"))
      return StepOutcome::Kind::rejected;
    return std::nullopt;
  };
  auto ana = ask(kAna);
  EXPECT_FALSE(open(kAna));
  EXPECT_NE(problem(ana).find("refuses this entry"), std::string::npos) << problem(ana);
  ask(kBen, "ben");
  EXPECT_TRUE(open(kBen));
  EXPECT_TRUE(status("edge").ready);
}

TEST_F(LeftOut, WhatMustCloseIsNeverLeftOut) {
  begin();
  place("edge").capabilities.native_expiry = false;
  auto ana = sign_in(kAna);
  place("edge").poison = [](const Change& change) { return change.action == Action::remove; };
  auto before = place("edge").applies();
  end(ana);
  ASSERT_TRUE(soon([&] { return place("edge").applies() >= before + 3; }))
      << "it is tried again and again";
  EXPECT_FALSE(status("edge").ready);
  EXPECT_NE(status("edge").problem.find("malformed"), std::string::npos);
  {
    auto lock = place("edge").lock();
    place("edge").poison = nullptr;
  }
  loop_->refresh({});
  EXPECT_TRUE(soon([&] { return !open(kAna); }));
}

TEST_F(LeftOut, NothingClosesBehindAStandInThatWasRefused) {
  begin();
  auto ana = sign_in(kAna);
  // The service takes another port: its entry is built anew, the old one goes after that.
  place("edge").poison = [](const Change& change) { return change.action == Action::add; };
  ASSERT_TRUE(adopt_only("knock: 1\ntargets:\n" + one_target("edge") +
                             "services:\n  shell: {ports: [tcp/22], targets: [edge]}\n"
                             "groups:\n  admins: {idp: admins}\n"
                             "guards: {removals: {percent: 100}}\n"
                             "allow:\n  a: {who: [admins], to: [shell], ttl: 8h}\n",
                         "r2"));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(place("edge").connect(kAna)) << "what takes over was refused, so the old one stays";
}

// ---- calls ----

TEST_F(LeftOut, ALargePlanIsDoneInPartsAndWhatClosesComesFirst) {
  place("edge").capabilities.batch = 1;
  place("edge").capabilities.calls_per_second = 40;
  place("edge").capabilities.burst = 10;
  start();
  for (int i = 0; i < 60; ++i)
    ASSERT_TRUE(sign_in_result("203.0.113." + std::to_string(i + 100), Duration::hours(1),
                               "u" + std::to_string(i)));
  ASSERT_TRUE(adopt_only(policy_text(one_target("edge")), "r1"));
  EXPECT_TRUE(soon([&] { return place("edge").entries() == 60; }));
  EXPECT_GE(place("edge").applies(), 4) << "not more calls at once than the provider lets us";
  EXPECT_EQ(place("edge").observes(), 1) << "what was read is not read, and paid for, again";
  EXPECT_EQ(facts_of<ChangeRejected>().size(), 0u);
}

// ---- room ----

TEST_F(LeftOut, WhoFindsNoRoomWaitsAndIsTold) {
  start();
  adopt(policy_text(edge_with("capacity: {entries: 3, reserve: 1}")), "r1");
  auto a = ask("203.0.113.10", "a"), b = ask("203.0.113.20", "b"), c = ask("203.0.113.30", "c"),
       d = ask("203.0.113.40", "d");
  EXPECT_TRUE(open("203.0.113.10"));
  EXPECT_TRUE(open("203.0.113.20"));
  EXPECT_FALSE(open("203.0.113.30"));
  EXPECT_EQ(problem(c), "the target has no room; it opens as soon as a place is free");
  EXPECT_EQ(place("edge").entries(), 2u) << "one place is kept";
  end(a);
  EXPECT_TRUE(soon([&] { return open("203.0.113.30"); })) << "who came first";
  EXPECT_FALSE(open("203.0.113.40"));
  end(c);
  EXPECT_TRUE(soon([&] { return open("203.0.113.40"); }));
  EXPECT_EQ(problem(d), "");
}

// ---- drift ----

TEST_F(LeftOut, WarnedDriftIsReportedAndNotHealed) {
  start();
  adopt(policy_text(edge_with("heal: warn")), "r1");
  auto ana = sign_in(kAna);
  by_hand(kAna);
  EXPECT_FALSE(open(kAna));
  EXPECT_EQ(facts_of<DriftFound>().size(), 1u);
  place("edge").unprotect();
  place("edge").tell_moved();
  ASSERT_TRUE(settled());
  EXPECT_TRUE(place("edge").structure().protect.empty()) << "policy says: only warn";
  auto findings = status("edge").findings;
  EXPECT_TRUE(std::any_of(findings.begin(), findings.end(),
                          [](const Finding& one) { return one.id == "target.drift-left"; }));
  auto again = ask(kAna, "ben");
  EXPECT_TRUE(open(kAna)) << "a sign-in is no drift";
  end(again);
  end(ana);
  ASSERT_TRUE(settled());
  EXPECT_FALSE(open(kAna));
}

TEST_F(LeftOut, AWarUsesUpItsPatience) {
  begin();
  for (int i = 0; i < 8; ++i) {
    place("edge").unprotect();
    place("edge").tell_moved();
    if (!soon([&] { return !place("edge").structure().protect.empty() || i >= 5; })) break;
  }
  ASSERT_TRUE(soon([&] { return status("edge").flapping; }));
  // What must close is not delayed by it.
  auto ana = sign_in(kAna);
  end(ana);
  EXPECT_TRUE(soon([&] { return !open(kAna); }));
}

}  // namespace
}  // namespace knock::test
