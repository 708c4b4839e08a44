// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/guard.h"

#include <fmt/format.h>

#include "reconciler/core/order.h"
#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

Change structure(Action action, const char* text, std::vector<Prefix> keep = {},
                 std::string slot = "") {
  Change change;
  change.action = action;
  change.ports = ports(text);
  change.keep = std::move(keep);
  change.slot = std::move(slot);
  return change;
}
std::vector<Change> removals(int n, Reason reason) {
  std::vector<Change> out;
  for (int i = 0; i < n; ++i)
    out.push_back(entry(Action::remove, reason, fmt::format("192.0.2.{}", i + 1)));
  return out;
}
Observed holding(int n, int foreign = 0) {
  Observed out;
  out.exists = true;
  out.structure.slots["ssh"] = ports("tcp/22");
  out.structure.protect = ports("tcp/22");
  out.slots = {{"ssh", {}}};
  for (int i = 0; i < n + foreign; ++i) {
    ObservedItem item;
    item.prefix = prefix(fmt::format("192.0.2.{}", i + 1));
    item.ours = i < n;
    out.slots[0].items.push_back(item);
  }
  return out;
}
Guarded guarded(std::vector<Change> changes, const Observed& observed, bool grants_nothing = false,
                const std::vector<AppliedEntry>& applied = {}) {
  Capabilities capabilities;
  return guard(std::move(changes),
               {kTarget, capabilities, observed, grants_nothing, applied, kNow});
}
std::string trips_of(const Guarded& result) {
  std::string out;
  for (const GuardTrip& trip : result.trips) out += fmt::format("{} {}\n", trip.guard, trip.held);
  return out;
}

TEST(Guard, NothingToHold) {
  auto result = guarded({}, holding(0));
  EXPECT_TRUE(result.pass.empty() && result.held.empty() && result.trips.empty());
}

TEST(Guard, BecomesEmptyAtItsEdge) {
  EXPECT_EQ(trips_of(guarded(removals(5, Reason::policy), holding(5))), "becomes-empty 5\n");
  EXPECT_EQ(trips_of(guarded(removals(4, Reason::policy), holding(4))), "")
      << "few entries come and go";
  EXPECT_EQ(trips_of(guarded(removals(4, Reason::policy), holding(4), true)), "becomes-empty 4\n")
      << "but a policy that grants nothing any more is asked about";
  EXPECT_EQ(trips_of(guarded(removals(5, Reason::policy), holding(6))), "") << "one entry stays";
  EXPECT_EQ(trips_of(guarded(removals(5, Reason::policy), holding(5, 1))), "becomes-empty 5\n")
      << "a foreign entry is not one that stays";
  auto replaced = removals(5, Reason::policy);
  replaced.push_back(entry(Action::add, Reason::policy, "192.0.2.9"));
  EXPECT_EQ(trips_of(guarded(replaced, holding(5))), "") << "something comes instead";
}

TEST(Guard, BecomesEmptyCountsOnlyWhatPolicyTakes) {
  auto changes = removals(5, Reason::policy);
  changes.push_back(entry(Action::remove, Reason::expiry, "192.0.2.6"));
  auto result = guarded(changes, holding(6));
  EXPECT_EQ(trips_of(result), "becomes-empty 5\n");
  ASSERT_EQ(result.pass.size(), 1u);
  EXPECT_EQ(result.pass[0].reason, Reason::expiry);
  EXPECT_EQ(result.trips[0].figure, "5 of 6 entries go by policy");
}

TEST(Guard, WhatMustCloseIsNeverHeld) {
  for (Reason reason :
       {Reason::expiry, Reason::sign_out, Reason::revoked, Reason::denied, Reason::orphan}) {
    EXPECT_TRUE(must_not_wait(reason));
    auto result = guarded(removals(9, reason), holding(9), true);
    EXPECT_EQ(result.pass.size(), 9u) << to_string(reason);
    EXPECT_TRUE(result.trips.empty());
  }
  for (Reason reason : {Reason::sign_in, Reason::fixed, Reason::policy, Reason::drift,
                        Reason::configuration, Reason::foreign})
    EXPECT_FALSE(must_not_wait(reason)) << to_string(reason);
}

Guarded limited(std::vector<Change> changes, const Observed& observed, const GuardLimits& limits) {
  Capabilities capabilities;
  return guard(std::move(changes), {kTarget, capabilities, observed, false, {}, kNow, limits});
}
std::vector<Change> additions(int n, Reason reason, int from = 100) {
  std::vector<Change> out;
  for (int i = 0; i < n; ++i)
    out.push_back(
        entry(Action::add, reason, fmt::format("198.51.{}.{}", from + i / 200, i % 200 + 1)));
  return out;
}

TEST(Guard, EveryLimitAtItsEdge) {
  auto removed = [](unsigned percent, std::size_t entries) {
    GuardLimits limits;
    limits.removed_percent = percent;
    limits.removed_entries = entries;
    return limits;
  };
  auto added = [](unsigned percent, std::size_t entries) {
    GuardLimits limits;
    limits.added_percent = percent;
    limits.added_entries = entries;
    return limits;
  };
  struct Row {
    const char* name;
    int standing;
    std::vector<Change> changes;
    GuardLimits limits;
    const char* trips;
    const char* figure = "";
    const char* limit = "";
  };
  auto go = [](int n) { return removals(n, Reason::policy); };
  auto come = [](int n) { return additions(n, Reason::policy); };
  for (const Row& row : {
           Row{"as many as may go", 100, go(7), removed(100, 7), ""},
           Row{"one more", 100, go(8), removed(100, 7), "removals 8\n", "8 entries go by policy",
               "at most 7 (guards.removals.entries)"},
           Row{"none may go", 100, go(1), removed(100, 0), "removals 1\n", "1 entry goes by policy",
               "at most 0 (guards.removals.entries)"},
           Row{"as large a share as may go", 10, go(3), removed(30, 50), ""},
           Row{"a larger one", 10, go(4), removed(30, 50), "removals-share 4\n",
               "4 entries go by policy, and 10 stand: 40 %",
               "at most 30 % (guards.removals.percent)"},
           Row{"of few entries a share says nothing", 9, go(4), removed(30, 50), ""},
           Row{"both", 20, go(9), removed(30, 8), "removals 9\nremovals-share 9\n",
               "9 entries go by policy", "at most 8 (guards.removals.entries)"},
           Row{"the defaults", 100, go(30), GuardLimits{}, ""},
           Row{"beyond them", 100, go(31), GuardLimits{}, "removals-share 31\n",
               "31 entries go by policy, and 100 stand: 31 %",
               "at most 30 % (guards.removals.percent)"},
           Row{"as many as may come", 9, come(7), added(0, 7), ""},
           Row{"one more comes", 9, come(8), added(0, 7), "additions 8\n",
               "8 entries come by policy", "at most 7 (guards.additions.entries)"},
           Row{"as many as there are", 10, come(10), added(100, 500), ""},
           Row{"more than there are", 10, come(11), added(100, 500), "additions-share 11\n",
               "11 entries come by policy, and 10 stand: 110 %",
               "at most 100 % (guards.additions.percent)"},
           Row{"the first of all", 0, come(400), added(0, 500), ""},
       }) {
    auto result = limited(row.changes, holding(row.standing), row.limits);
    EXPECT_EQ(trips_of(result), row.trips) << row.name;
    EXPECT_EQ(result.held.size(), result.trips.empty() ? 0u : row.changes.size()) << row.name;
    if (result.trips.empty()) continue;
    EXPECT_EQ(result.trips[0].figure, row.figure) << row.name;
    EXPECT_EQ(result.trips[0].limit, row.limit) << row.name;
    EXPECT_EQ(result.trips[0].target, kTarget);
  }
}

TEST(Guard, WhatWaitedGoesOnWaitingHoweverLittleIsLeft) {
  std::vector<GuardTrip> before{{"removals-share", kTarget, "", "", 9}};
  Capabilities capabilities;
  auto observed = holding(20);
  auto again = [&](std::vector<Change> changes) {
    return guard(std::move(changes),
                 {kTarget, capabilities, observed, false, {}, kNow, GuardLimits{}, before});
  };
  auto result = again(removals(1, Reason::policy));
  EXPECT_EQ(trips_of(result), "removals-share 1\n");
  EXPECT_EQ(result.trips[0].figure, "1 entry goes by policy, and 20 stand: 5 %");
  EXPECT_EQ(trips_of(again(removals(1, Reason::revoked))), "");
  EXPECT_EQ(trips_of(again(additions(1, Reason::policy))), "") << "that was not held";
  EXPECT_EQ(trips_of(again({})), "");
}

TEST(Guard, OnlyWhatPolicyDoesIsCounted) {
  GuardLimits none;
  none.removed_entries = none.added_entries = 0;
  none.removed_percent = none.added_percent = 0;
  for (Reason reason : {Reason::sign_in, Reason::fixed, Reason::drift}) {
    EXPECT_EQ(trips_of(limited(additions(20, reason), holding(20), none)), "") << to_string(reason);
  }
  for (Reason reason : {Reason::expiry, Reason::sign_out, Reason::revoked, Reason::denied,
                        Reason::limited, Reason::orphan, Reason::drift}) {
    EXPECT_EQ(trips_of(limited(removals(19, reason), holding(20), none)), "") << to_string(reason);
  }
  auto mixed = removals(3, Reason::policy);
  mixed.push_back(entry(Action::remove, Reason::revoked, "192.0.2.9"));
  auto result = limited(mixed, holding(20), none);
  ASSERT_EQ(result.pass.size(), 1u) << "a revocation goes on while policy's part waits";
  EXPECT_EQ(result.pass[0].reason, Reason::revoked);
}

TEST(Guard, WhoGetsTheSameElsewhereLosesNothing) {
  GuardLimits limits;
  limits.removed_entries = 0;
  auto removal = entry(Action::remove, Reason::policy, "192.0.2.1");
  removal.ports = ports("tcp/22");
  struct Row {
    const char* name;
    const char* where;
    const char* ports;
    Reason reason;
    bool held;
  };
  for (auto [name, where, allowed, reason, held] :
       {Row{"the same in another slot", "192.0.2.1", "tcp/22", Reason::policy, false},
        Row{"by a sign-in", "192.0.2.1", "tcp/22", Reason::sign_in, false},
        Row{"more ports", "192.0.2.1", "tcp/20-30", Reason::policy, false},
        Row{"a wider prefix", "192.0.2.0/24", "tcp/22", Reason::policy, false},
        Row{"other ports", "192.0.2.1", "tcp/23", Reason::policy, true},
        Row{"another address", "192.0.2.2", "tcp/22", Reason::policy, true}}) {
    auto other = entry(Action::add, reason, where, "web");
    other.ports = ports(allowed);
    for (bool first : {true, false}) {
      std::vector<Change> changes =
          first ? std::vector<Change>{other, removal} : std::vector<Change>{removal, other};
      EXPECT_EQ(!limited(changes, holding(20), limits).trips.empty(), held) << name;
    }
  }
  GuardLimits growth;
  growth.added_entries = 0;
  auto fewer = entry(Action::add, Reason::policy, "192.0.2.1", "web");
  fewer.ports = ports("tcp/22");
  EXPECT_EQ(trips_of(limited({removal, fewer}, holding(20), growth)), "") << "nobody gains";
  fewer.ports = ports("tcp/22-23");
  EXPECT_EQ(trips_of(limited({removal, fewer}, holding(20), growth)), "additions 1\n");
}

TEST(Guard, WidthIsMeasuredByThePolicysOwnLimit) {
  GuardLimits narrow, wide;
  narrow.widest_v4 = 28;
  narrow.widest_v6 = 64;
  wide.widest_v4 = 16;
  wide.widest_v6 = 32;
  auto trips = [](const char* where, const GuardLimits& limits) {
    return trips_of(limited({entry(Action::add, Reason::sign_in, where)}, holding(0), limits));
  };
  EXPECT_EQ(trips("192.0.2.0/28", narrow), "");
  EXPECT_EQ(trips("192.0.2.0/27", narrow), "any 1\n");
  EXPECT_EQ(trips("2001:db8::/63", narrow), "any 1\n");
  EXPECT_EQ(trips("10.0.0.0/16", wide), "");
  EXPECT_EQ(trips("10.0.0.0/15", wide), "any 1\n");
  EXPECT_EQ(trips("2001:db8::/32", wide), "");
  auto result = limited({entry(Action::add, Reason::fixed, "192.0.2.0/27")}, holding(0), narrow);
  EXPECT_EQ(result.trips.at(0).figure, "1 prefix wider than /28 or /64");
}

TEST(Guard, ACommitIsJudgedByTheStricterOfItsLimitsAndThoseBefore) {
  GuardLimits before, after;
  before.removed_percent = 10;
  before.added_entries = 3;
  before.widest_v4 = 28;
  after.removed_entries = 5;
  after.added_percent = 7;
  after.widest_v6 = 56;
  for (auto both : {stricter(before, after), stricter(after, before)}) {
    EXPECT_EQ(both.removed_percent, 10u);
    EXPECT_EQ(both.removed_entries, 5u);
    EXPECT_EQ(both.added_percent, 7u);
    EXPECT_EQ(both.added_entries, 3u);
    EXPECT_EQ(both.widest_v4, 28);
    EXPECT_EQ(both.widest_v6, 56);
  }
}

TEST(Guard, WidePrefixesWhateverTheirCause) {
  struct Row {
    const char* where;
    Reason reason;
    bool held;
  };
  for (auto [where, reason, held] :
       {Row{"192.0.2.0/24", Reason::policy, false}, Row{"192.0.2.0/23", Reason::policy, true},
        Row{"0.0.0.0/0", Reason::policy, true}, Row{"2001:db8::/48", Reason::policy, false},
        Row{"2001:db8::/47", Reason::policy, true}, Row{"10.0.0.0/8", Reason::fixed, true},
        Row{"10.0.0.0/8", Reason::sign_in, true}, Row{"198.51.100.0/24", Reason::fixed, false},
        Row{"10.0.0.0/8", Reason::drift, false}}) {
    auto result = guarded({entry(Action::add, reason, where)}, holding(0));
    EXPECT_EQ(trips_of(result), held ? "any 1\n" : "") << where << " " << to_string(reason);
  }
}

TEST(Guard, AWidePrefixThatStoodIsPutBack) {
  struct Row {
    const char* name;
    const char* slot;
    const char* recorded;
    Duration left;
    bool held;
  };
  for (auto [name, slot, recorded, left, held] :
       {Row{"itself", "ssh", "10.0.0.0/8", Duration::hours(1), false},
        Row{"a wider one", "ssh", "10.0.0.0/7", Duration::hours(1), false},
        Row{"a part of it", "ssh", "10.0.0.0/9", Duration::hours(1), true},
        Row{"of another service", "web", "10.0.0.0/8", Duration::hours(1), true},
        Row{"that has ended", "ssh", "10.0.0.0/8", Duration::hours(0), true}}) {
    AppliedEntry record{kTarget, slot, prefix(recorded), kNow + left, kNow, {}, {}, 0};
    auto result =
        guarded({entry(Action::add, Reason::fixed, "10.0.0.0/8")}, holding(0), false, {record});
    EXPECT_EQ(trips_of(result), held ? "any 1\n" : "") << name;
  }
}

TEST(Guard, APartOfWhatGoesIsNotWider) {
  Observed observed = holding(0);
  std::vector<Change> changes{entry(Action::remove, Reason::policy, "10.0.0.0/8"),
                              entry(Action::add, Reason::policy, "10.0.0.0/9")};
  EXPECT_EQ(trips_of(guarded(changes, observed)), "") << "a deny rule cut a half out of it";
  changes[0].reason = Reason::expiry;
  EXPECT_EQ(trips_of(guarded(changes, observed)), "any 1\n") << "what had ended gives no right";
  changes[0].reason = Reason::policy;
  changes[0].slot = "web";
  EXPECT_EQ(trips_of(guarded(changes, observed)), "any 1\n") << "another service";
  changes[0].slot = "ssh";
  changes[1].prefix = prefix("8.0.0.0/5");
  EXPECT_EQ(trips_of(guarded(changes, observed)), "any 2\n");
}

TEST(Guard, ProtectWithoutKeep) {
  auto bare = guarded({structure(Action::protect, "tcp/22")}, holding(0));
  EXPECT_EQ(trips_of(bare), "protect 1\n");
  EXPECT_EQ(bare.trips[0].figure, "tcp/22 would be closed to everybody without an entry");
  auto kept =
      guarded({structure(Action::protect, "tcp/22", prefixes({"192.0.2.0/28"}))}, holding(0));
  EXPECT_EQ(trips_of(kept), "");
}

TEST(Guard, ToProtectAgainIsNotHeld) {
  auto again = structure(Action::protect, "tcp/22"), fresh = structure(Action::protect, "tcp/80");
  again.reason = Reason::drift;
  EXPECT_EQ(trips_of(guarded({again}, holding(0))), "");
  for (auto changes : {std::vector{again, fresh}, std::vector{fresh, again}}) {
    auto both = guarded(changes, holding(0));
    EXPECT_EQ(trips_of(both), "protect 1\n");
    EXPECT_EQ(both.trips[0].figure, "tcp/80 would be closed to everybody without an entry");
    ASSERT_EQ(both.pass.size(), 1u);
    EXPECT_EQ(both.pass[0].ports, ports("tcp/22"));
  }
  // Nor does it wait for an entry that waits: strangers pass meanwhile.
  auto result = guarded({entry(Action::add, Reason::policy, "10.0.0.0/8"), again}, holding(0));
  EXPECT_EQ(trips_of(result), "any 1\n");
  ASSERT_EQ(result.pass.size(), 1u);
  EXPECT_EQ(result.pass[0].action, Action::protect);
}

TEST(Guard, Unprotect) {
  auto result = guarded({structure(Action::unprotect, "tcp/22")}, holding(0));
  EXPECT_EQ(trips_of(result), "unprotect 1\n");
  EXPECT_EQ(result.trips[0].target, kTarget);
}

TEST(Guard, WhatNeedsAHeldChangeIsHeldWithIt) {
  // Entries that would go stay, so their slot neither goes nor gets new ports.
  auto changes = removals(5, Reason::policy);
  changes.push_back(structure(Action::reshape, "tcp/22 tcp/80", {}, "ssh"));
  Observed observed = holding(5);
  observed.structure.protect = ports("tcp/22 tcp/80");
  auto result = guarded(changes, observed);
  EXPECT_EQ(trips_of(result), "becomes-empty 6\n");
  EXPECT_EQ(result.held.size(), 6u);
  changes.back() = structure(Action::reshape, "", {}, "ssh");
  EXPECT_EQ(trips_of(guarded(changes, observed)), "becomes-empty 6\n");
}

TEST(Guard, NobodyIsCutByWaiting) {
  // While the wide entry waits, the narrow one that it replaces stays.
  std::vector<Change> changes{entry(Action::remove, Reason::policy, "10.1.0.0/24"),
                              entry(Action::add, Reason::policy, "10.0.0.0/8")};
  Observed observed = holding(1);
  auto result = guarded(changes, observed);
  EXPECT_EQ(trips_of(result), "any 2\n");
  // While a port that everybody will pass is still closed, nobody loses it.
  changes = {entry(Action::remove, Reason::policy, "192.0.2.1"),
             entry(Action::remove, Reason::revoked, "192.0.2.2"),
             structure(Action::unprotect, "tcp/22")};
  result = guarded(changes, holding(3));
  EXPECT_EQ(trips_of(result), "unprotect 2\n");
  ASSERT_EQ(result.pass.size(), 1u);
  EXPECT_EQ(result.pass[0].reason, Reason::revoked);
}

TEST(Guard, ProtectWaitsForEntriesThatWait) {
  std::vector<Change> changes{structure(Action::reshape, "tcp/80", {}, "web"),
                              entry(Action::add, Reason::policy, "10.0.0.0/8", "web"),
                              structure(Action::protect, "tcp/80", prefixes({"192.0.2.0/28"}))};
  auto result = guarded(changes, holding(1));
  EXPECT_EQ(trips_of(result), "any 2\n");
  ASSERT_EQ(result.pass.size(), 1u);
  EXPECT_EQ(result.pass[0].action, Action::reshape);
}

TEST(StructureAfter, AppliesInOrder) {
  Structure have;
  have.slots["ssh"] = ports("tcp/22");
  have.slots["old"] = ports("tcp/1");
  have.protect = ports("tcp/22 tcp/80");
  auto keep = prefixes({"192.0.2.0/28"});
  auto after = structure_after(
      have,
      {structure(Action::reshape, "tcp/22 tcp/443", {}, "ssh"),
       structure(Action::reshape, "tcp/443", {}, "ssh"), structure(Action::reshape, "", {}, "old"),
       structure(Action::reshape, "tcp/53", {}, "dns"), structure(Action::unprotect, "tcp/80"),
       structure(Action::protect, "tcp/443", keep),
       entry(Action::add, Reason::sign_in, "192.0.2.1")});
  EXPECT_EQ(after.slots, (std::map<std::string, std::vector<PortRange>>{
                             {"dns", ports("tcp/53")}, {"ssh", ports("tcp/443")}}));
  EXPECT_EQ(after.protect, ports("tcp/22 tcp/443"));
  EXPECT_EQ(after.keep, keep);
  EXPECT_EQ(structure_after(have, {structure(Action::keep, "", keep)}).keep, keep);
}

TEST(Guard, PortsThatAServiceGainsAreAskedAbout) {
  auto change = structure(Action::reshape, "tcp/22 tcp/2222", {}, "ssh");
  auto result = guarded({change}, holding(3));
  EXPECT_EQ(trips_of(result), "new-port 1\n");
  EXPECT_EQ(result.trips.at(0).figure, "tcp/2222 at 1 service");
  EXPECT_EQ(trips_of(guarded({change}, holding(0))), "") << "nobody would get it now";
  EXPECT_EQ(trips_of(guarded({change}, holding(0, 2))), "") << "foreign entries are not ours";
  EXPECT_EQ(trips_of(guarded({structure(Action::reshape, "tcp/22", {}, "ssh")}, holding(3))), "");
  EXPECT_EQ(trips_of(guarded({structure(Action::reshape, "tcp/80", {}, "web")}, holding(3))), "")
      << "a new service opens by sign-ins";
  auto healed = change;
  healed.reason = Reason::drift;
  EXPECT_EQ(trips_of(guarded({healed}, holding(3))), "");
  GuardLimits limits;
  limits.ask_new_ports = false;
  EXPECT_EQ(trips_of(limited({change}, holding(3), limits)), "");
  EXPECT_TRUE(stricter(limits, GuardLimits()).ask_new_ports);
  EXPECT_TRUE(stricter(GuardLimits(), limits).ask_new_ports);
}

TEST(Guard, SignInsGoOnWhileANewPortWaits) {
  auto result = guarded({structure(Action::reshape, "tcp/22 tcp/2222", {}, "ssh"),
                         entry(Action::add, Reason::sign_in, "192.0.2.99"),
                         entry(Action::remove, Reason::revoked, "192.0.2.1")},
                        holding(3));
  EXPECT_EQ(trips_of(result), "new-port 1\n");
  EXPECT_EQ(result.pass.size(), 2u);
}

Guarded with_operator(std::vector<Change> changes, const Observed& observed,
                      std::vector<OperatorHere> operators) {
  Capabilities capabilities;
  GuardInput input{kTarget, capabilities, observed, false, {}, kNow, {}};
  input.operators = operators;
  return guard(std::move(changes), input);
}

TEST(Guard, AnOperatorsAddressIsCutAfterAnAcknowledgement) {
  std::vector<OperatorHere> alice{{address("192.0.2.2"), SessionId("s"), "alice"}};
  auto cut = with_operator({entry(Action::remove, Reason::policy, "192.0.2.1"),
                            entry(Action::remove, Reason::policy, "192.0.2.2")},
                           holding(9), alice);
  EXPECT_EQ(trips_of(cut), "operator 1\n");
  EXPECT_EQ(cut.trips.at(0).figure,
            "this would cut 192.0.2.2 of alice, who is signed in now, from tcp/22");
  ASSERT_EQ(cut.held.size(), 1u);
  EXPECT_EQ(cut.held[0].prefix, prefix("192.0.2.2")) << "what concerns others goes on";
  for (Reason reason :
       {Reason::expiry, Reason::sign_out, Reason::revoked, Reason::denied, Reason::limited}) {
    auto closed = with_operator({entry(Action::remove, reason, "192.0.2.2")}, holding(9), alice);
    EXPECT_EQ(closed.pass.size(), 1u) << to_string(reason) << ": nobody is kept in by this";
    EXPECT_TRUE(closed.trips.empty());
  }
  EXPECT_EQ(trips_of(with_operator({entry(Action::remove, Reason::policy, "192.0.2.1")}, holding(9),
                                   alice)),
            "");
}

TEST(Guard, AnOperatorWhoPassesAnywayIsNotCut) {
  std::vector<OperatorHere> alice{{address("192.0.2.2"), SessionId("s"), "alice"}};
  auto gone = entry(Action::remove, Reason::policy, "192.0.2.2");
  auto trips = [&](std::vector<Change> changes, const Observed& observed) {
    return trips_of(with_operator(std::move(changes), observed, alice));
  };
  auto kept = holding(9);
  kept.structure.keep = prefixes({"192.0.2.0/24"});
  EXPECT_EQ(trips({gone}, kept), "") << "a keep prefix lets her in";
  auto wider = entry(Action::add, Reason::policy, "192.0.2.0/28");
  EXPECT_EQ(trips({gone, wider}, holding(9)), "") << "another entry takes over";
  auto open = holding(9);
  open.structure.protect.clear();
  EXPECT_EQ(trips({gone}, open), "") << "everybody passes there";
  auto both = holding(9);
  both.structure.slots["shell"] = ports("tcp/22");
  both.slots.push_back({"shell", {both.slots[0].items[1]}});
  EXPECT_EQ(trips({gone}, both), "") << "another service has the port";
  EXPECT_EQ(trips({gone, entry(Action::remove, Reason::revoked, "192.0.2.2", "shell")}, both),
            "operator 1\n")
      << "but what must close is no way in";
}

TEST(Guard, AnOperatorIsCutByStructureToo) {
  std::vector<OperatorHere> alice{{address("192.0.2.2"), SessionId("s"), "alice"},
                                  {address("203.0.113.1"), SessionId("t"), "bob"}};
  auto narrowed =
      with_operator({structure(Action::reshape, "tcp/80", {}, "ssh")}, holding(9), alice);
  EXPECT_EQ(trips_of(narrowed), "new-port 1\n") << "it waits already";
  auto two = holding(9);
  two.structure.slots["ssh"] = ports("tcp/22 tcp/80");
  two.structure.protect = ports("tcp/22 tcp/80");
  narrowed = with_operator({structure(Action::reshape, "tcp/80", {}, "ssh")}, two, alice);
  EXPECT_EQ(trips_of(narrowed), "operator 1\n");
  auto protects = structure(Action::protect, "tcp/443", prefixes({"198.51.100.0/24"}));
  auto result = with_operator({protects}, holding(9), alice);
  ASSERT_EQ(trips_of(result), "operator 1\n");
  EXPECT_EQ(result.trips[0].figure,
            "this would cut 192.0.2.2 of alice, who is signed in now, from tcp/443, and 1 more");
  auto unkept = holding(9);
  unkept.structure.keep = prefixes({"203.0.113.0/24"});
  auto drops = structure(Action::keep, "", prefixes({"198.51.100.0/24"}));
  drops.reason = Reason::configuration;
  EXPECT_EQ(trips_of(with_operator({drops}, unkept, alice)), "operator 1\n") << "bob";
}

TEST(Guard, ManySignInsAtOnceAreAnAlarmAndNoTrip) {
  auto surge = [](std::size_t n, const Observed& observed) {
    auto result = guarded(additions(int(n), Reason::sign_in), observed);
    EXPECT_TRUE(result.trips.empty());
    EXPECT_EQ(result.pass.size(), n);
    return result.surge.has_value();
  };
  EXPECT_FALSE(surge(500, holding(0)));
  EXPECT_TRUE(surge(501, holding(0))) << "guards.additions.entries";
  EXPECT_FALSE(surge(49, holding(10))) << "few people come in the morning too";
  EXPECT_TRUE(surge(50, holding(10))) << "guards.additions.percent";
  EXPECT_FALSE(surge(50, holding(50)));
  auto policy = guarded(additions(400, Reason::policy), holding(0));
  EXPECT_FALSE(policy.surge) << "what policy adds is another matter";
  auto result = guarded(additions(1000, Reason::sign_in), holding(20));
  ASSERT_TRUE(result.surge);
  EXPECT_EQ(result.surge->id, kSurge);
  EXPECT_EQ(result.surge->target, kTarget);
  EXPECT_NE(result.surge->sentence.find("1000 entries open by sign-ins at once, where 20 stand"),
            std::string::npos)
      << result.surge->sentence;
}

TEST(Guard, ASignInThatOpensAWidePrefixWaits) {
  auto wide = entry(Action::add, Reason::sign_in, "198.51.0.0/16");
  auto result = guarded({wide, entry(Action::add, Reason::sign_in, "192.0.2.200")}, holding(3));
  EXPECT_EQ(trips_of(result), "any 1\n");
  EXPECT_EQ(result.pass.size(), 1u);
}

}  // namespace
}  // namespace knock::test
