// SPDX-License-Identifier: Apache-2.0
// Cases of bad luck that somebody thought up who wanted the loop to fail.
#include <algorithm>

#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

std::string edge_with(const std::string& settings) {
  return "  edge: {type: nftables, table: edge, " + settings + "}\n";
}

const TargetName kEdge("edge");

class BadLuck : public World {
 protected:
  bool open(const std::string& address) { return place("edge").open("ssh", address + "/32"); }
  bool conn(const std::string& address) { return place("edge").connect(address); }
  Session in(const std::string& address, const std::string& user) {
    auto session = sign_in_result(address, Duration::hours(1), user);
    EXPECT_TRUE(session);
    EXPECT_TRUE(settled());
    return *session;
  }
  Status pause(Duration length) { return loop_->pause("ops", kEdge, clock_.now() + length, "m"); }
  Status say(OwnershipAct act) {
    auto plan = loop_->ownership_plan(kEdge, act);
    if (!plan) return fail(std::move(plan.error()));
    return loop_->change_ownership("t", kEdge, act, to_hex(plan->id));
  }
};

TEST_F(BadLuck, JoinedSignOutIsMissed) {
  place("edge").capabilities.atomic = true;
  start();
  adopt(policy_text(edge_with("capacity: {entries: 4, reserve: 0}")), "r1");
  std::vector<Session> s;
  for (auto a : {"10", "11", "8", "9", "20"}) {
    auto x = std::string("203.0.113.") + a;
    s.push_back(in(x, "u" + std::string(a)));
  }
  ASSERT_TRUE(conn("203.0.113.10"));
  end(s[0], EndCause::revoked);
  ASSERT_TRUE(settled());
  EXPECT_FALSE(conn("203.0.113.10")) << "revoked, and still in";
}

TEST_F(BadLuck, CapacityOfManyServices) {
  start();
  adopt("knock: 1\ntargets:\n" + edge_with("capacity: {entries: 2, reserve: 0}") +
            "services:\n  s1: {ports: [tcp/22], targets: [edge]}\n  s2: {ports: [tcp/23], targets: "
            "[edge]}\n  s3: {ports: [tcp/24], targets: [edge]}\n  s4: {ports: [tcp/25], targets: "
            "[edge]}\ngroups:\n  admins: {idp: admins}\nallow:\n  a: {who: [admins], to: "
            "[s1,s2,s3,s4], ttl: 8h}\n",
        "r1");
  in("203.0.113.10", "a");
  EXPECT_LE(place("edge").entries(), 2u);
}

TEST_F(BadLuck, AWidthIsLeftAndNewcomersGetIt) {
  start();
  std::string r1 =
      "knock: 1\ntargets:\n" + one_target("edge") +
      "services:\n  web: {ports: [tcp/22, tcp/443], targets: [edge]}\ngroups:\n  admins: {idp: "
      "admins}\n  staff: {idp: staff}\nallow:\n  a: {who: [admins], to: [web], ttl: 8h}\n";
  std::string r2 =
      "knock: 1\ntargets:\n" + one_target("edge") +
      "services:\n  web: {ports: [tcp/443], targets: [edge]}\n  shell: {ports: [tcp/22], targets: "
      "[edge]}\ngroups:\n  admins: {idp: admins}\n  staff: {idp: staff}\nguards: {removals: "
      "{percent: 100}, additions: {percent: 1000}}\nallow:\n  a: {who: [admins], to: [web, shell], "
      "ttl: 8h}\n  b: {who: [staff], to: [web], ttl: 8h}\n";
  adopt(r1, "r1");
  in(kAna, "ana");
  ASSERT_TRUE(conn(kAna));
  {
    auto l = place("edge").lock();
    place("edge").poison = [](const Change& c) {
      return c.action == Action::add && c.slot.get() == "shell";
    };
  }
  ASSERT_TRUE(adopt_only(r2, "r2"));
  ASSERT_TRUE(settled());
  Session b;
  b.principal = {"local", "ben", "ben"};
  b.source = SignInName("local");
  b.groups = {"staff"};
  b.address = *IpAddress::parse(kBen);
  b.authenticated = clock_.now();
  b.expires = clock_.now() + Duration::hours(1);
  ASSERT_TRUE(loop_->open_session("t", b));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(conn(kBen)) << "staff may never pass tcp/22";
}

TEST_F(BadLuck, AnUnrelatedRefusalKeepsPolicyRemovalsOpen) {
  start();
  std::string head = "knock: 1\ntargets:\n" + one_target("edge") +
                     "services:\n  ssh: {ports: [tcp/22], targets: [edge]}\n  web: {ports: "
                     "[tcp/443], targets: [edge]}\ngroups:\n  admins: {idp: admins}\n  x: {idp: "
                     "x}\nguards: {removals: {percent: 100}, additions: {percent: 1000}}\n";
  adopt(head + "allow:\n  a: {who: [admins], to: [ssh, web], ttl: 8h}\n", "r1");
  in(kAna, "ana");
  in(kBen, "ben");
  {
    auto l = place("edge").lock();
    place("edge").poison = [](const Change& c) {
      return c.action == Action::add && c.slot.get() == "web2";
    };
  }
  // policy takes ssh from everybody; a new service on another port is refused by the target
  std::string h2 =
      "knock: 1\ntargets:\n" + one_target("edge") +
      "services:\n  ssh: {ports: [tcp/22], targets: [edge]}\n  web: {ports: [tcp/443], targets: "
      "[edge]}\n  web2: {ports: [tcp/8443], targets: [edge]}\ngroups:\n  admins: {idp: admins}\n  "
      "x: {idp: x}\nguards: {removals: {percent: 100}, additions: {percent: 1000}}\n";
  ASSERT_TRUE(adopt_only(h2 + "allow:\n  a: {who: [admins], to: [web, web2], ttl: 8h}\n  b: {who: "
                              "[x], to: [ssh], ttl: 8h}\n",
                         "r2"));
  ASSERT_TRUE(settled());
  for (int i = 0; i < 3; ++i) {
    loop_->refresh({});
    ASSERT_TRUE(settled());
  }
  EXPECT_FALSE(conn(kAna)) << "policy took ssh away";
  EXPECT_FALSE(conn(kBen));
}

TEST_F(BadLuck, ARemovalThatIsRefusedAloneStopsTheOthers) {
  place("edge").capabilities.native_expiry = false;
  begin();
  in(kAna, "ana");
  in(kBen, "ben");
  {
    auto l = place("edge").lock();
    auto stopped = std::make_shared<bool>(false);
    place("edge").step_fault = [stopped](const Change& c) -> std::optional<StepOutcome::Kind> {
      if (c.action == Action::remove && c.prefix == *Prefix::parse("203.0.113.7/32"))
        return StepOutcome::Kind::rejected;
      if (c.action == Action::remove && c.prefix == *Prefix::parse("203.0.113.8/32"))
        return *stopped ? std::optional<StepOutcome::Kind>() : std::nullopt;
      return std::nullopt;
    };
    // a provider that goes entry by entry and stops at the first one that is refused
    auto last = std::make_shared<int>(0);
    place("edge").step_fault = [last, this](const Change& c) -> std::optional<StepOutcome::Kind> {
      int call = place("edge").applies();
      if (*last == call) return StepOutcome::Kind::not_tried;
      if (c.action == Action::remove && c.prefix == *Prefix::parse("203.0.113.7/32")) {
        *last = call;
        return StepOutcome::Kind::rejected;
      }
      return std::nullopt;
    };
  }
  pass_time(Duration::hours(1));
  bool ok = false;
  for (int i = 0; i < 15 && !ok; ++i) {
    loop_->refresh({});
    settled();
    ok = !open(kBen);
  }
  EXPECT_TRUE(ok) << "Ben's time is over; only Ana's removal is refused";
}

TEST_F(BadLuck, ReleasedWhilePaused) {
  begin();
  auto s = sign_in(kAna);
  ASSERT_TRUE(pause(Duration::minutes(10)));
  ASSERT_TRUE(say(OwnershipAct::release));
  ASSERT_TRUE(settled());
  ASSERT_TRUE(loop_->resume_target("ops", kEdge, ""));
  ASSERT_TRUE(settled());
  loop_->refresh({});
  ASSERT_TRUE(settled());
  EXPECT_FALSE(conn(kAna)) << "what sessions opened is closed by a release";
  end(s, EndCause::revoked);
  ASSERT_TRUE(settled());
  loop_->refresh({});
  ASSERT_TRUE(settled());
  EXPECT_FALSE(conn(kAna)) << "revoked";
}

TEST_F(BadLuck, OrphanedWithFewCallsStandsForEver) {
  place("edge").capabilities.native_expiry = false;
  place("edge").capabilities.batch = 1;
  place("edge").capabilities.calls_per_second = 1000;
  place("edge").capabilities.burst = 4;
  start();
  adopt(policy_text(edge_with("on_remove: orphan") + one_target("other"),
                    "guards: {removals: {percent: 100}}\n"),
        "r1");
  for (int i = 0; i < 12; ++i)
    sign_in_result("203.0.113." + std::to_string(100 + i), Duration::hours(1),
                   "u" + std::to_string(i));
  ASSERT_TRUE(soon([&] { return place("edge").entries() == 12; }));
  ASSERT_TRUE(settled());
  adopt(policy_text(one_target("other"), "guards: {removals: {percent: 100}}\n"), "r2");
  ASSERT_TRUE(settled());
  pass_time(Duration::hours(2));
  EXPECT_TRUE(soon([&] { return place("edge").entries() == 0; }))
      << "sessions are over, nothing closes them";
}

TEST_F(BadLuck, AHumansEditIsNotLookedAt) {
  // a target with a fence that nobody compares: compare_and_swap=false
  place("edge").capabilities.batch = 1;
  place("edge").capabilities.calls_per_second = 2;
  place("edge").capabilities.burst = 3;
  start();
  for (int i = 0; i < 8; ++i)
    sign_in_result("203.0.113." + std::to_string(100 + i), Duration::hours(1),
                   "u" + std::to_string(i));
  ASSERT_TRUE(adopt_only(policy_text(one_target("edge")), "r1"));
  ASSERT_TRUE(soon([&] { return place("edge").entries() >= 1; }));
  auto before = place("edge").observes();
  loop_->refresh({});  // an operator asks for a reading
  ASSERT_TRUE(soon([&] { return place("edge").entries() == 8; }));
  ASSERT_TRUE(settled());
  EXPECT_GE(place("edge").observes() - before, 1);
}

TEST_F(BadLuck, PausedAdoptIsForgotten) {
  begin();
  place("edge").put_foreign("ssh", "203.0.113.7/32");
  place("edge").tell_moved();
  settled();
  auto s = sign_in_result(kAna);
  settled();
  place("edge").owned_as_a_whole();
  ASSERT_TRUE(pause(Duration::minutes(10)));
  ASSERT_TRUE(say(OwnershipAct::adopt));
  ASSERT_TRUE(settled());
  ASSERT_TRUE(loop_->resume_target("ops", kEdge, ""));
  ASSERT_TRUE(settled());
  loop_->refresh({});
  ASSERT_TRUE(settled());
  EXPECT_TRUE(open(kAna)) << "adopted, durable, and never marked";
}

TEST_F(BadLuck, ReleaseCutByBudget) {
  place("edge").capabilities.batch = 1;
  place("edge").capabilities.calls_per_second = 1000;
  place("edge").capabilities.burst = 4;
  start();
  adopt(policy_text(one_target("edge")), "r1");
  for (int i = 0; i < 12; ++i)
    sign_in_result("203.0.113." + std::to_string(100 + i), Duration::hours(1),
                   "u" + std::to_string(i));
  ASSERT_TRUE(soon([&] { return place("edge").entries() == 12; }));
  ASSERT_TRUE(settled());
  ASSERT_TRUE(say(OwnershipAct::release));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(soon([&] { return place("edge").entries() == 0; }))
      << "what sessions opened is closed by a release";
}

TEST_F(BadLuck, HeldRemovalsMakeNoRoom) {
  place("edge").capabilities.atomic = true;
  start();
  std::string head =
      "knock: 1\ntargets:\n" + edge_with("capacity: {entries: 10, reserve: 0}") +
      "services:\n  ssh: {ports: [tcp/22], targets: [edge]}\ngroups:\n  admins: {idp: admins}\n  "
      "x: {idp: x}\nguards: {removals: {entries: 5, percent: 10}}\n";
  adopt(head + "allow:\n  a: {who: [admins], to: [ssh], ttl: 8h}\n", "r1");
  for (int i = 0; i < 10; ++i)
    in("203.0.113." + std::to_string(10 + 3 * i), "u" + std::to_string(i));
  for (int i = 0; i < 3; ++i) {
    Session b;
    b.principal = {"local", "x" + std::to_string(i), "x"};
    b.source = SignInName("local");
    b.groups = {"x"};
    b.address = *IpAddress::parse("198.51.100." + std::to_string(10 + 5 * i));
    b.authenticated = clock_.now();
    b.expires = clock_.now() + Duration::hours(1);
    ASSERT_TRUE(loop_->open_session("t", b));
  }
  ASSERT_TRUE(settled());
  EXPECT_EQ(place("edge").entries(), 10u);
  adopt_only(head + "allow:\n  a: {who: [x], to: [ssh], ttl: 8h}\n", "r2");
  ASSERT_TRUE(settled());
  EXPECT_LE(place("edge").entries(), 10u);
}

TEST_F(BadLuck, AReturnWaitsForThePause) {
  start();
  std::string g =
      "guards:\n  removals: {entries: 50, percent: 100}\n  confirm: {targets: [edge], within: "
      "5m}\n";
  adopt(policy_text(one_target("edge"), g), "r1");
  adopt(policy_text(one_target("edge"), g + "static:\n  m: {cidr: [198.51.100.9/32], to: [ssh], "
                                            "owner: a, reason: p, until: 2027-06-01}\n"),
        "r2-0123456");
  ASSERT_TRUE(pause(Duration::hours(5)));
  pass_time(Duration::minutes(6));
  ASSERT_TRUE(soon([&] {
    auto c = status("edge").confirmation;
    return c && c->what.state == Confirmation::State::returned;
  }));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(place("edge").open("ssh", "198.51.100.9/32")) << "said to be returned";
}

TEST_F(BadLuck, ConfirmedByReachWhileNothingWasApplied) {
  start();
  std::string g =
      "guards:\n  removals: {entries: 50, percent: 100}\n  confirm: {targets: [edge], within: "
      "5m}\n";
  adopt(policy_text(one_target("edge"), g), "r1");
  ASSERT_TRUE(pause(Duration::minutes(30)));
  adopt(policy_text(one_target("edge"), g + "static:\n  m: {cidr: [198.51.100.9/32], to: [ssh], "
                                            "owner: a, reason: p, until: 2027-06-01}\n"),
        "r2-0123456");
  pass_time(Duration::minutes(10));
  settled();
  settled();
  pass_time(Duration::minutes(25));
  settled();
  settled();
  auto c = status("edge").confirmation;
  EXPECT_TRUE(soon([&] { return place("edge").open("ssh", "198.51.100.9/32"); }))
      << "taken back before it was ever there";
}

TEST_F(BadLuck, BisectDelaysWhatMustClose) {
  start();
  adopt(policy_text(one_target("edge")), "r1");
  auto ana = sign_in(kAna);
  stop();
  start();  // no policy: sign-ins gather
  for (int i = 0; i < 128; ++i)
    sign_in_result("198.51.100." + std::to_string(i), Duration::hours(1), "u" + std::to_string(i));
  auto ended = std::make_shared<int>(0);
  auto calls_after = std::make_shared<int>(-1);
  {
    auto l = place("edge").lock();
    place("edge").poison = [=, this](const Change& c) {
      if (*ended == 0 && place("edge").applies() >= 2) {
        *ended = place("edge").applies();
        (void)loop_->end_session("t", ana.id, EndCause::revoked, "");
      }
      if (*ended && c.action == Action::remove && *calls_after < 0)
        *calls_after = place("edge").applies() - *ended;
      if (c.action != Action::add) return false;
      auto t = c.prefix.to_string();
      auto n = std::stoi(t.substr(11));
      return t.starts_with("198.51.100.") && n % 8 == 3;
    };
  }
  adopt(policy_text(one_target("edge")), "r1");
  ASSERT_TRUE(soon([&] { return !open(kAna); }));
  EXPECT_LE(*calls_after, 4);
}

TEST_F(BadLuck, ARefusedReshapeAndWhatClosesBehindIt) {
  start();
  std::string g =
      "guards: {removals: {percent: 100}, additions: {percent: 1000, new_port: allow}}\n";
  std::string tail = "groups:\n  admins: {idp: admins}\n" + g;
  adopt("knock: 1\ntargets:\n" + one_target("edge") +
            "services:\n  web: {ports: [tcp/22], targets: [edge]}\n  adm: {ports: [tcp/443], "
            "targets: [edge]}\n" +
            tail + "allow:\n  a: {who: [admins], to: [web, adm], ttl: 8h}\n",
        "r1");
  in(kAna, "ana");
  ASSERT_TRUE(conn(kAna));
  {
    auto l = place("edge").lock();
    place("edge").poison = [](const Change& c) {
      return c.action == Action::reshape && c.slot.get() == "adm";
    };
  }
  ASSERT_TRUE(adopt_only("knock: 1\ntargets:\n" + one_target("edge") +
                             "services:\n  adm: {ports: [tcp/22, tcp/443], targets: [edge]}\n" +
                             tail + "allow:\n  a: {who: [admins], to: [adm], ttl: 8h}\n",
                         "r2"));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(conn(kAna)) << "may pass tcp/22 before and after: what takes over was refused";
}

TEST_F(BadLuck, DenyOfAPolicyOnAFailingTargetWaitsFiveMinutes) {
  begin();
  in(kAna, "ana");
  {
    auto l = place("edge").lock();
    for (int i = 0; i < 1000; ++i)
      place("edge").apply_faults.push_back({ErrorKind::unavailable, false, {}});
  }
  ASSERT_TRUE(adopt_only(
      policy_text(
          one_target("edge"),
          "networks: {bad: [203.0.113.0/24]}\ndeny:\n  d: {from: {in: [bad]}, to: [\"*\"]}\n"),
      "r2"));
  settled();
  std::int64_t most = 0;
  for (int i = 0; i < 14; ++i) {
    loop_->refresh({});
    settled();
    auto st = status("edge");
    if (st.next_try) most = std::max(most, (*st.next_try - clock_.now()).ms);
  }
  EXPECT_TRUE(conn(kAna));
  EXPECT_LE(most, 30'000);
}

TEST_F(BadLuck, OrphanedWhilePausedStandsForEver) {
  place("edge").capabilities.native_expiry = false;
  start();
  adopt(policy_text(edge_with("on_remove: orphan") + one_target("other")), "r1");
  auto s = sign_in(kAna);
  ASSERT_TRUE(conn(kAna));
  ASSERT_TRUE(pause(Duration::minutes(10)));
  adopt(policy_text(one_target("other")), "r2");
  ASSERT_TRUE(settled());
  pass_time(Duration::hours(2));
  settled();
  EXPECT_TRUE(soon([&] { return !conn(kAna); }))
      << "its hour is over, and nobody knows of it any more";
}

TEST_F(BadLuck, ATargetThatLeftIsDrainedAfterARestartToo) {
  const std::string guards = "guards: {removals: {percent: 100}}\n";
  place("edge").capabilities.native_expiry = false;
  start();
  adopt(policy_text(one_target("edge") + one_target("other"), guards), "r1");
  auto ana = sign_in(kAna);
  {
    auto lock = place("edge").lock();
    place("edge").observe_error = ErrorKind::unavailable;
  }
  ASSERT_TRUE(adopt_only(policy_text(one_target("other"), guards), "r2"));
  ASSERT_TRUE(settled());
  ASSERT_TRUE(open(kAna)) << "it cannot be reached";
  restart();
  loop_->resume(load(policy_text(one_target("other"), guards), "r2"));
  {
    auto lock = place("edge").lock();
    place("edge").observe_error.reset();
  }
  end(ana, EndCause::revoked);
  loop_->refresh({});
  EXPECT_TRUE(soon([&] { return !open(kAna); }));
  EXPECT_TRUE(soon([&] { return loop_->targets().size() == 1; })) << "and then forgotten";
}

TEST_F(BadLuck, ATargetThatStandsElsewhereIsDrainedAfterARestartToo) {
  place("old").capabilities.native_expiry = place("new").capabilities.native_expiry = false;
  start();
  adopt(policy_text(one_target("edge", "old")), "r1");
  auto ana = sign_in(kAna);
  {
    auto lock = place("old").lock();
    place("old").observe_error = ErrorKind::unavailable;
  }
  ASSERT_TRUE(adopt_only(policy_text(one_target("edge", "new")), "r2"));
  ASSERT_TRUE(settled());
  restart();
  loop_->resume(load(policy_text(one_target("edge", "new")), "r2"));
  {
    auto lock = place("old").lock();
    place("old").observe_error.reset();
  }
  end(ana, EndCause::revoked);
  loop_->refresh({});
  EXPECT_TRUE(soon([&] { return !place("old").open("ssh", "203.0.113.7/32"); }));
}

}  // namespace
}  // namespace knock::test
