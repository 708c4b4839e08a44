// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/diff.h"

#include <fmt/format.h>

#include <map>

#include "reconciler/core/marker.h"
#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

const Duration kHour = Duration::hours(1);

Slot slot(std::vector<Item> items) { return {"ssh", ports("tcp/22"), std::move(items)}; }
Item item(const char* where, Duration left = kHour,
          std::vector<Attribution> causes = {by_session("ana")}) {
  return {prefix(where), kNow + left, std::move(causes)};
}
ObservedItem ours(const char* where, Duration left = kHour) {
  ObservedItem out;
  out.prefix = prefix(where);
  out.ours = true;
  out.until = kNow + left;
  out.left = left;
  out.handle = "7";
  return out;
}
ObservedItem theirs(const char* where) {
  ObservedItem out;
  out.prefix = prefix(where);
  return out;
}
AppliedEntry record(const char* where, Duration left = kHour,
                    std::vector<Attribution> causes = {by_session("ana")}, int readded = 0) {
  return {kTarget,           "ssh",        prefix(where),
          kNow + left,       kNow - kHour, PolicyRevision("rev"),
          std::move(causes), readded};
}

/// Everything a comparison needs, with what most rows have in common.
struct Given {
  std::vector<Item> desired;
  std::vector<ObservedItem> observed;
  std::vector<AppliedEntry> applied;
  std::optional<std::vector<Item>> in_force = std::nullopt;
  std::map<std::string, EndCause> ended = {};  // by session id
  std::vector<Prefix> denied = {};
  std::vector<std::string> denied_sessions = {};
  bool complete = true;
  bool exists = true;
  bool native_expiry = true;
  bool by_connection = true;
  std::vector<std::string> had_ticket = {};  // by session id
};

std::vector<Change> compare(const Given& given) {
  Canonical desired, in_force;
  desired.slots = {slot(given.desired)};
  desired.structure.slots["ssh"] = ports("tcp/22");
  desired.structure.protect = ports("tcp/22");
  in_force = desired;
  if (given.in_force) in_force.slots = {slot(*given.in_force)};
  Observed observed;
  observed.slots = {{"ssh", given.observed}};
  observed.structure = desired.structure;
  observed.exists = given.exists;
  observed.complete = given.complete;
  observed.at = kNow;
  Capabilities capabilities;
  capabilities.native_expiry = given.native_expiry;
  capabilities.by_connection = given.by_connection;
  DiffInput input{kTarget,  capabilities,  desired, given.in_force ? &in_force : nullptr,
                  observed, given.applied, kNow};
  input.ended = [&](const SessionId& id) -> std::optional<EndCause> {
    auto at = given.ended.find(id.value);
    return at == given.ended.end() ? std::nullopt : std::optional(at->second);
  };
  input.denied = [&](const std::string&, const Prefix& p) {
    return std::count(given.denied.begin(), given.denied.end(), p) > 0;
  };
  input.denied_session = [&](const std::string&, const SessionId& id) {
    return std::count(given.denied_sessions.begin(), given.denied_sessions.end(), id.value) > 0;
  };
  input.had_ticket = [&](const std::string&, const Prefix&, const SessionId& id) {
    return std::count(given.had_ticket.begin(), given.had_ticket.end(), id.value) > 0;
  };
  return diff(input);
}

Item for_once(const char* where, Duration left = kHour,
              std::vector<Attribution> causes = {by_session("ana")}) {
  for (auto& cause : causes) cause.lasts = Lasts::first_connection;
  Item out = item(where, left, std::move(causes));
  out.lasts = Lasts::first_connection;
  return out;
}
Item staying(const char* where, Duration come, Duration left = kHour) {
  Item out = item(where, left);
  out.lasts = Lasts::disconnect;
  out.come_by = kNow + come;
  return out;
}
/// As it stands after this was applied.
ObservedItem stands(const Item& wanted, ObservedItem::Ticket ticket = ObservedItem::Ticket::whole) {
  ObservedItem out = ours("192.0.2.1");
  out.prefix = wanted.prefix;
  out.until = wanted.until;
  out.left = wanted.until - kNow;
  out.lasts = wanted.lasts;
  out.come_by = wanted.come_by;
  out.ticket = ticket;
  return out;
}
ObservedItem broken(ObservedItem item) {
  item.broken = true;
  return item;
}
AppliedEntry recorded(const Item& wanted) {
  return record("192.0.2.1", wanted.until - kNow, wanted.causes);
}

/// "add sign-in 192.0.2.1/32 -> +3600"
std::string text_of(const std::vector<Change>& changes) {
  std::string out;
  for (const Change& change : changes) {
    out += fmt::format("{} {} {}", to_string(change.action), to_string(change.reason),
                       change.prefix.to_string());
    if (change.was_until) out += fmt::format(" {:+}", (*change.was_until - kNow).ms / 1000);
    if (change.until) out += fmt::format(" -> {:+}", (*change.until - kNow).ms / 1000);
    if (change.ticket) out += " ticket";
    out += "\n";
  }
  return out;
}

struct Row {
  const char* name;
  Given given;
  std::string want;
};

const char* const kA = "192.0.2.1";

std::vector<Row> rows() {
  auto both = std::vector{by_session("ana"), by_session("bob")};
  Duration half = Duration::minutes(30);
  return {
      // ---- nothing to do
      {"nothing anywhere", {}, ""},
      {"all three agree", {{item(kA)}, {ours(kA)}, {record(kA)}}, ""},
      {"already gone", {{}, {}, {record(kA)}}, ""},
      {"crash after the call", {{item(kA)}, {ours(kA)}, {}}, ""},
      // ---- new
      {"new, by a session", {{item(kA)}, {}, {}}, "add sign-in 192.0.2.1/32 -> +3600\n"},
      {"new, by a rule",
       {{item(kA, kHour, {by_rule("probes")})}, {}, {}},
       "add static 192.0.2.1/32 -> +3600\n"},
      {"new, by both",
       {{item(kA, kHour, {by_session("ana"), by_rule("probes")})}, {}, {}},
       "add sign-in 192.0.2.1/32 -> +3600\n"},
      {"new, because policy changed",
       {{item(kA)}, {}, {}, std::vector<Item>{}},
       "add policy 192.0.2.1/32 -> +3600\n"},
      {"new, and the policy in force wants it too",
       {{item(kA)}, {}, {}, std::vector<Item>{item(kA, half)}},
       "add sign-in 192.0.2.1/32 -> +3600\n"},
      // ---- no longer wanted
      {"policy took it", {{}, {ours(kA)}, {record(kA)}}, "remove policy 192.0.2.1/32 +3600\n"},
      {"a static rule went",
       {{}, {ours(kA)}, {record(kA, kHour, {by_rule("probes")})}},
       "remove policy 192.0.2.1/32 +3600\n"},
      {"signed out",
       {{}, {ours(kA)}, {record(kA)}, {}, {{"s-ana", EndCause::signed_out}}},
       "remove sign-out 192.0.2.1/32 +3600\n"},
      {"replaced by a newer session",
       {{}, {ours(kA)}, {record(kA)}, {}, {{"s-ana", EndCause::replaced}}},
       "remove sign-out 192.0.2.1/32 +3600\n"},
      {"revoked",
       {{}, {ours(kA)}, {record(kA)}, {}, {{"s-ana", EndCause::revoked}}},
       "remove revoked 192.0.2.1/32 +3600\n"},
      {"the session expired before the entry did",
       {{}, {ours(kA)}, {record(kA)}, {}, {{"s-ana", EndCause::expired}}},
       "remove expiry 192.0.2.1/32 +3600\n"},
      {"one signed out and one was revoked",
       {{},
        {ours(kA)},
        {record(kA, kHour, both)},
        {},
        {{"s-ana", EndCause::signed_out}, {"s-bob", EndCause::revoked}}},
       "remove revoked 192.0.2.1/32 +3600\n"},
      {"in the other order too",
       {{},
        {ours(kA)},
        {record(kA, kHour, both)},
        {},
        {{"s-ana", EndCause::revoked}, {"s-bob", EndCause::signed_out}}},
       "remove revoked 192.0.2.1/32 +3600\n"},
      {"one was revoked, the other lost it by policy",
       {{}, {ours(kA)}, {record(kA, kHour, both)}, {}, {{"s-ana", EndCause::revoked}}},
       "remove policy 192.0.2.1/32 +3600\n"},
      {"denied by network",
       {{}, {ours(kA)}, {record(kA)}, {}, {}, {prefix(kA)}},
       "remove denied 192.0.2.1/32 +3600\n"},
      {"denied by group",
       {{}, {ours(kA)}, {record(kA)}, {}, {}, {}, {"s-ana"}},
       "remove denied 192.0.2.1/32 +3600\n"},
      {"denied by group, and the other signed out",
       {{},
        {ours(kA)},
        {record(kA, kHour, both)},
        {},
        {{"s-bob", EndCause::signed_out}},
        {},
        {"s-ana"}},
       "remove denied 192.0.2.1/32 +3600\n"},
      {"one of two denied by group, the other lost it by policy",
       {{}, {ours(kA)}, {record(kA, kHour, both)}, {}, {}, {}, {"s-ana"}},
       "remove policy 192.0.2.1/32 +3600\n"},
      {"nothing explains it", {{}, {ours(kA)}, {}}, "remove orphan 192.0.2.1/32 +3600\n"},
      // ---- run out
      {"run out",
       {{}, {ours(kA, Duration{})}, {record(kA, Duration{})}},
       "remove expiry 192.0.2.1/32 +0\n"},
      {"run out and nothing explains it",
       {{}, {ours(kA, Duration{-1000})}, {}},
       "remove expiry 192.0.2.1/32 -1\n"},
      {"run out although policy would deny it",
       {{}, {ours(kA, Duration{})}, {record(kA)}, {}, {}, {prefix(kA)}},
       "remove expiry 192.0.2.1/32 +0\n"},
      {"run out and wanted again: closed, then opened anew",
       {{item(kA)}, {ours(kA, Duration{})}, {record(kA, Duration{})}},
       "remove expiry 192.0.2.1/32 +0\nadd sign-in 192.0.2.1/32 -> +3600\n"},
      {"a second to go is not run out",
       {{item(kA)}, {ours(kA, Duration{1000})}, {record(kA, Duration{1000})}},
       "extend sign-in 192.0.2.1/32 +1 -> +3600\n"},
      // ---- removed by somebody else
      {"removed out of band", {{item(kA)}, {}, {record(kA)}}, "add drift 192.0.2.1/32 -> +3600\n"},
      {"a second time it means no",
       {{item(kA)}, {}, {record(kA, kHour, {by_session("ana")}, 1)}},
       "report drift 192.0.2.1/32 -> +3600\n"},
      {"until somebody signs in anew",
       {{item(kA, kHour, {by_session("ana2")})}, {}, {record(kA, kHour, {by_session("ana")}, 1)}},
       "add sign-in 192.0.2.1/32 -> +3600\n"},
      {"the record had run out by then",
       {{item(kA)}, {}, {record(kA, Duration{})}},
       "add sign-in 192.0.2.1/32 -> +3600\n"},
      {"the whole container is gone: not one entry's drift",
       {{item(kA)}, {}, {record(kA)}, {}, {}, {}, {}, true, false},
       "add sign-in 192.0.2.1/32 -> +3600\n"},
      // ---- foreign
      {"foreign, not wanted", {{}, {theirs(kA)}, {}}, "report foreign 192.0.2.1/32\n"},
      {"foreign, wanted", {{item(kA)}, {theirs(kA)}, {}}, "report foreign 192.0.2.1/32\n"},
      {"foreign, wanted and applied once",
       {{item(kA)}, {theirs(kA)}, {record(kA)}},
       "report foreign 192.0.2.1/32\n"},
      // ---- other deadlines
      {"a later deadline",
       {{item(kA)}, {ours(kA, half)}, {record(kA, half)}},
       "extend sign-in 192.0.2.1/32 +1800 -> +3600\n"},
      {"a later deadline by policy",
       {{item(kA)}, {ours(kA, half)}, {record(kA, half)}, std::vector<Item>{item(kA, half)}},
       "extend policy 192.0.2.1/32 +1800 -> +3600\n"},
      {"a later deadline by a rule",
       {{item(kA, kHour, {by_rule("probes")})}, {ours(kA, half)}, {record(kA, half)}},
       "extend static 192.0.2.1/32 +1800 -> +3600\n"},
      {"an earlier deadline by policy",
       {{item(kA, half)}, {ours(kA)}, {record(kA)}},
       "shorten policy 192.0.2.1/32 +3600 -> +1800\n"},
      {"an earlier deadline because the longer session was revoked",
       {{item(kA, half, {by_session("bob", half)})},
        {ours(kA)},
        {record(kA, kHour, {by_session("ana"), by_session("bob", half)})},
        {},
        {{"s-ana", EndCause::revoked}}},
       "shorten revoked 192.0.2.1/32 +3600 -> +1800\n"},
      {"an earlier deadline that no record explains",
       {{item(kA, half)}, {ours(kA)}, {}},
       "shorten drift 192.0.2.1/32 +3600 -> +1800\n"},
      // ---- several at once, in the order of prefixes
      {"three side by side",
       {{item("192.0.2.1"), item("2001:db8::1")},
        {ours("192.0.2.2"), theirs("192.0.2.3")},
        {record("192.0.2.2")}},
       "add sign-in 192.0.2.1/32 -> +3600\nremove policy 192.0.2.2/32 +3600\n"
       "report foreign 192.0.2.3/32\nadd sign-in 2001:db8::1/128 -> +3600\n"},
      // ---- a partial reading
      {"partial: what was not seen may be there",
       {{item(kA)}, {}, {record(kA)}, {}, {}, {}, {}, false},
       ""},
      {"partial: policy takes nothing", {{}, {ours(kA)}, {record(kA)}, {}, {}, {}, {}, false}, ""},
      {"partial: an orphan stays", {{}, {ours(kA)}, {}, {}, {}, {}, {}, false}, ""},
      {"partial: nothing is extended",
       {{item(kA)}, {ours(kA, half)}, {record(kA, half)}, {}, {}, {}, {}, false},
       ""},
      {"partial: what has run out closes",
       {{}, {ours(kA, Duration{})}, {record(kA)}, {}, {}, {}, {}, false},
       "remove expiry 192.0.2.1/32 +0\n"},
      {"partial: what has run out closes and is not opened again",
       {{item(kA)}, {ours(kA, Duration{})}, {record(kA)}, {}, {}, {}, {}, false},
       "remove expiry 192.0.2.1/32 +0\n"},
      {"partial: who was revoked goes, seen or not",
       {{}, {}, {record(kA)}, {}, {{"s-ana", EndCause::revoked}}, {}, {}, false},
       "remove revoked 192.0.2.1/32 +3600\n"},
      {"partial: who signed out goes, seen or not",
       {{}, {}, {record(kA)}, {}, {{"s-ana", EndCause::signed_out}}, {}, {}, false},
       "remove sign-out 192.0.2.1/32 +3600\n"},
      {"partial: who is denied goes, seen or not",
       {{}, {}, {record(kA)}, {}, {}, {prefix(kA)}, {}, false},
       "remove denied 192.0.2.1/32 +3600\n"},
      {"partial: whose session is denied goes, seen or not",
       {{}, {}, {record(kA)}, {}, {}, {}, {"s-ana"}, false},
       "remove denied 192.0.2.1/32 +3600\n"},
      {"partial: what has run out goes, seen or not",
       {{item(kA)}, {}, {record(kA, Duration{})}, {}, {}, {}, {}, false},
       "remove expiry 192.0.2.1/32 +0\n"},
      {"partial: not seen, but somebody else has a right to it",
       {{item(kA, kHour, {by_session("bob")})},
        {},
        {record(kA)},
        {},
        {{"s-ana", EndCause::revoked}},
        {},
        {},
        false},
       ""},
      {"partial: not seen, and policy alone takes it",
       {{}, {}, {record(kA)}, {}, {}, {}, {}, false},
       ""},
      {"partial: somebody else's entry stands where ours did",
       {{}, {theirs(kA)}, {record(kA)}, {}, {{"s-ana", EndCause::revoked}}, {}, {}, false},
       ""},
      {"partial: who was revoked goes",
       {{}, {ours(kA)}, {record(kA)}, {}, {{"s-ana", EndCause::revoked}}, {}, {}, false},
       "remove revoked 192.0.2.1/32 +3600\n"},
      {"partial: who is still wanted stays, whoever else was revoked",
       {{item(kA, half)},
        {ours(kA)},
        {record(kA)},
        {},
        {{"s-ana", EndCause::revoked}},
        {},
        {},
        false},
       ""},
      {"partial: foreign is nobody's business", {{}, {theirs(kA)}, {}, {}, {}, {}, {}, false}, ""},
  };
}

TEST(Diff, Table) {
  for (const Row& row : rows()) EXPECT_EQ(text_of(compare(row.given)), row.want) << row.name;
}

TEST(Diff, WhatLastsByConnection) {
  using Ticket = ObservedItem::Ticket;
  auto both = std::vector{by_session("ana"), by_session("bob")};
  Duration half = Duration::minutes(30);
  auto once = for_once(kA);
  const std::vector<Row> table = {
      {"a new one comes with a ticket",
       {.desired = {once}},
       "add sign-in 192.0.2.1/32 -> +3600 ticket\n"},
      {"it stands, used or not",
       {.desired = {once},
        .observed = {stands(once, Ticket::used)},
        .applied = {recorded(once)},
        .had_ticket = {"s-ana"}},
       ""},
      {"an earlier deadline is no new ticket",
       {.desired = {for_once(kA, half)},
        .observed = {stands(once)},
        .applied = {recorded(once)},
        .had_ticket = {"s-ana"}},
       "shorten policy 192.0.2.1/32 +3600 -> +1800\n"},
      {"somebody else signs in: one more, whatever the deadlines",
       {.desired = {for_once(kA, kHour, both)},
        .observed = {stands(once, Ticket::used)},
        .applied = {recorded(once)},
        .had_ticket = {"s-ana"}},
       "extend sign-in 192.0.2.1/32 +3600 -> +3600 ticket\n"},
      {"removed by hand",
       {.desired = {once}, .applied = {recorded(once)}, .had_ticket = {"s-ana"}},
       "report drift 192.0.2.1/32 -> +3600\n"},
      {"closed by policy and wanted again",
       {.desired = {once}, .had_ticket = {"s-ana"}},
       "report sign-in 192.0.2.1/32 -> +3600\n"},
      {"the container is gone: nobody knows what was used",
       {.desired = {once}, .applied = {recorded(once)}, .exists = false, .had_ticket = {"s-ana"}},
       "report sign-in 192.0.2.1/32 -> +3600\n"},
      {"its ticket was taken away",
       {.desired = {once},
        .observed = {stands(once, Ticket::lost)},
        .applied = {recorded(once)},
        .had_ticket = {"s-ana"}},
       "report drift 192.0.2.1/32 -> +3600\n"},
      {"nothing but its ticket is left",
       {.desired = {once},
        .observed = {broken(stands(once))},
        .applied = {recorded(once)},
        .had_ticket = {"s-ana"}},
       "remove drift 192.0.2.1/32 +3600\nreport drift 192.0.2.1/32 -> +3600\n"},
      {"nothing but its ticket is left, and somebody signs in: a new entry",
       {.desired = {for_once(kA, kHour, both)},
        .observed = {broken(stands(once))},
        .applied = {recorded(once)},
        .had_ticket = {"s-ana"}},
       "add sign-in 192.0.2.1/32 -> +3600 ticket\n"},
      {"no longer wanted",
       {.observed = {stands(once)},
        .applied = {recorded(once)},
        .ended = {{"s-ana", EndCause::signed_out}},
        .had_ticket = {"s-ana"}},
       "remove sign-out 192.0.2.1/32 +3600\n"},
      {"open to all from now on",
       {.desired = {item(kA)},
        .observed = {stands(once)},
        .applied = {recorded(once)},
        .had_ticket = {"s-ana"}},
       "extend sign-in 192.0.2.1/32 +3600 -> +3600\n"},
      {"for one connection from now on, by policy",
       {.desired = {once}, .observed = {ours(kA)}, .applied = {record(kA)}},
       "shorten policy 192.0.2.1/32 +3600 -> +3600 ticket\n"},
      {"who gave it to all signed out: that does not wait",
       {.desired = {for_once(kA, kHour, {by_session("bob")})},
        .observed = {ours(kA)},
        .applied = {record(kA)},
        .ended = {{"s-ana", EndCause::signed_out}}},
       "shorten sign-out 192.0.2.1/32 +3600 -> +3600 ticket\n"},
      {"back to one connection that was given before",
       {.desired = {once},
        .observed = {ours(kA)},
        .applied = {record(kA)},
        .had_ticket = {"s-ana"}},
       "remove policy 192.0.2.1/32 +3600\nreport sign-in 192.0.2.1/32 -> +3600\n"},
      {"more time to come",
       {.desired = {staying(kA, half)},
        .observed = {stands(staying(kA, Duration::minutes(10)))},
        .applied = {record(kA)}},
       "extend sign-in 192.0.2.1/32 +3600 -> +3600\n"},
      {"less time to come",
       {.desired = {staying(kA, Duration::minutes(10))},
        .observed = {stands(staying(kA, half))},
        .applied = {record(kA)}},
       "shorten policy 192.0.2.1/32 +3600 -> +3600\n"},
      {"a part of what stays was removed",
       {.desired = {staying(kA, half)},
        .observed = {broken(stands(staying(kA, half)))},
        .applied = {record(kA)}},
       "extend drift 192.0.2.1/32 +3600 -> +3600\n"},
      {"what stays, removed by hand, is put back once",
       {.desired = {staying(kA, half)}, .applied = {record(kA)}},
       "add drift 192.0.2.1/32 -> +3600\n"},
      {"a target that cannot",
       {.desired = {once}, .by_connection = false},
       "report sign-in 192.0.2.1/32 -> +3600\n"},
      {"and where it is open to all, that is more than policy says",
       {.desired = {staying(kA, half)},
        .observed = {ours(kA)},
        .applied = {record(kA)},
        .by_connection = false},
       "remove policy 192.0.2.1/32 +3600\nreport sign-in 192.0.2.1/32 -> +3600\n"},
  };
  for (const Row& row : table) EXPECT_EQ(text_of(compare(row.given)), row.want) << row.name;
}

TEST(Diff, ChangesSayWhatTheyAreAbout) {
  Given given{{item("192.0.2.1", kHour, {by_session("ana"), by_session("bob")})},
              {ours("192.0.2.2")},
              {record("192.0.2.2")}};
  auto changes = compare(given);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].slot, "ssh");
  EXPECT_EQ(changes[0].ports, ports("tcp/22"));
  EXPECT_EQ(changes[0].entry, entry_id(kTarget, prefix("192.0.2.1"), "ssh"));
  EXPECT_EQ(changes[0].causes, given.desired[0].causes);
  EXPECT_EQ(changes[1].handle, "7");
  EXPECT_EQ(changes[1].causes, given.applied[0].causes) << "whose it was";
}

TEST(Diff, AppliedEntriesMayComeInAnyOrder) {
  Given given{
      {}, {ours("192.0.2.1"), ours("192.0.2.2")}, {record("192.0.2.2"), record("192.0.2.1")}};
  auto want = text_of(compare(given));
  std::swap(given.applied[0], given.applied[1]);
  EXPECT_EQ(text_of(compare(given)), want);
  EXPECT_EQ(want, "remove policy 192.0.2.1/32 +3600\nremove policy 192.0.2.2/32 +3600\n");
}

TEST(Diff, TheTargetsOwnTimer) {
  struct TimerRow {
    const char* name;
    std::optional<Duration> left;
    bool native_expiry;
    std::string want;
  };
  auto three = kLifeTolerance;
  for (auto [name, left, native, want] :
       {TimerRow{"right", kHour, true, ""},
        TimerRow{"three seconds too long", kHour + three, true, ""},
        TimerRow{"more than that", kHour + three + Duration{1}, true,
                 "shorten drift 192.0.2.1/32 +3603 -> +3600\n"},
        TimerRow{"three seconds too short", kHour - three, true, ""},
        TimerRow{"less than that", kHour - three - Duration{1}, true,
                 "extend drift 192.0.2.1/32 +3596 -> +3600\n"},
        TimerRow{"never ends", std::nullopt, true, "shorten drift 192.0.2.1/32 -> +3600\n"},
        TimerRow{"a target without timers", std::nullopt, false, ""}}) {
    Given given{{item(kA)}, {ours(kA)}, {record(kA)}};
    given.native_expiry = native;
    given.observed[0].left = left;
    EXPECT_EQ(text_of(compare(given)), want) << name;
  }
}

// ---- structure

struct Shape {
  std::map<std::string, const char*> slots;
  const char* protect = "";
  std::vector<Prefix> keep = {};
  Structure structure() const {
    Structure out;
    for (const auto& [name, text] : slots) out.slots[name] = ports(text);
    out.protect = ports(protect);
    out.keep = keep;
    return out;
  }
};

/// `in_force`: what the policy in force wants; nothing when that is the planned one.
std::string shape_changes(const Shape& have, const Shape& want, std::vector<ObservedSlot> entries,
                          std::optional<Shape> in_force, const char* protected_before = "",
                          bool differs = false) {
  Canonical desired, before;
  desired.structure = want.structure();
  if (in_force) before.structure = in_force->structure();
  Observed observed;
  observed.structure = have.structure();
  observed.slots = std::move(entries);
  observed.exists = true;
  observed.structure_differs = differs;
  Capabilities capabilities;
  auto recorded = ports(protected_before);
  DiffInput input{kTarget, capabilities, desired, in_force ? &before : nullptr, observed, {}, kNow};
  input.protected_before = recorded;
  std::string out;
  for (const Change& change : diff(input)) {
    if (change.action == Action::report) continue;
    out += fmt::format("{} {} {}[{}]", to_string(change.action), to_string(change.reason),
                       change.slot, to_string(change.ports));
    for (const Prefix& prefix : change.keep) out += " " + prefix.to_string();
    out += "\n";
  }
  return out;
}

std::string shape_changes(const Shape& have, const Shape& want,
                          std::vector<ObservedSlot> entries = {}) {
  return shape_changes(have, want, std::move(entries), have);
}

TEST(Diff, Structure) {
  EXPECT_EQ(shape_changes({}, {{{"ssh", "tcp/22"}}, "tcp/22", prefixes({"192.0.2.0/24"})}),
            "protect policy [tcp/22] 192.0.2.0/24\n"
            "keep configuration [] 192.0.2.0/24\n"
            "reshape policy ssh[tcp/22]\n");
  EXPECT_EQ(shape_changes({{{"ssh", "tcp/22"}}, "tcp/22 tcp/80"}, {{{"ssh", "tcp/22"}}, "tcp/22"}),
            "unprotect policy [tcp/80]\n");
  EXPECT_EQ(shape_changes({{{"ssh", "tcp/22"}}, ""}, {}), "reshape policy ssh[]\n");
  EXPECT_EQ(shape_changes({{{"ssh", "tcp/22"}}}, {{{"ssh", "tcp/22"}}}), "");
}

TEST(Diff, PortsAreNeverMissingBetween) {
  EXPECT_EQ(shape_changes({{{"ssh", "tcp/22"}}}, {{{"ssh", "tcp/22 tcp/80"}}}),
            "reshape policy ssh[tcp/22,80]\n");
  EXPECT_EQ(shape_changes({{{"ssh", "tcp/22 tcp/80"}}}, {{{"ssh", "tcp/22"}}}),
            "reshape policy ssh[tcp/22]\n");
  EXPECT_EQ(shape_changes({{{"ssh", "tcp/22 tcp/80"}}}, {{{"ssh", "tcp/22 tcp/443"}}}),
            "reshape policy ssh[tcp/22,80,443]\nreshape policy ssh[tcp/22,443]\n");
}

TEST(Diff, KeepIsNeverMissingBetween) {
  auto change = [](std::vector<Prefix> have, std::vector<Prefix> want) {
    return shape_changes({{}, "", have}, {{}, "", want});
  };
  auto a = prefixes({"192.0.2.0/24"}), b = prefixes({"198.51.100.0/24"}),
       both = prefixes({"192.0.2.0/24", "198.51.100.0/24"}), part = prefixes({"192.0.2.0/25"});
  EXPECT_EQ(change(a, both), "keep configuration [] 192.0.2.0/24 198.51.100.0/24\n");
  EXPECT_EQ(change(both, a), "keep configuration [] 192.0.2.0/24\n");
  EXPECT_EQ(change(a, b),
            "keep configuration [] 192.0.2.0/24 198.51.100.0/24\n"
            "keep configuration [] 198.51.100.0/24\n");
  EXPECT_EQ(change(a, part), "keep configuration [] 192.0.2.0/25\n");
  EXPECT_EQ(change(part, a), "keep configuration [] 192.0.2.0/24\n");
  EXPECT_EQ(change(a, a), "");
}

TEST(Diff, ASlotWithForeignEntriesStays) {
  std::vector<ObservedSlot> foreign{{"ssh", {theirs(kA)}}}, own{{"ssh", {ours(kA)}}};
  EXPECT_EQ(shape_changes({{{"ssh", "tcp/22"}}}, {}, foreign), "");
  EXPECT_EQ(shape_changes({{{"ssh", "tcp/22"}}}, {}, own),
            "reshape policy ssh[]\nremove orphan ssh[tcp/22]\n");
}

TEST(Diff, WhoChangedTheStructure) {
  Shape have{{{"ssh", "tcp/22"}}, "", {}}, want{{{"ssh", "tcp/22"}}, "tcp/22", {}};
  EXPECT_EQ(shape_changes(have, want, {}, have), "protect policy [tcp/22]\n");
  EXPECT_EQ(shape_changes(have, want, {}, want), "protect policy [tcp/22]\n")
      << "no record knows that it was protected: the target alone is not believed";
  EXPECT_EQ(shape_changes(have, want, {}, std::nullopt), "protect policy [tcp/22]\n");
  EXPECT_EQ(shape_changes(have, want, {}, want, "tcp/22"), "protect drift [tcp/22]\n");
  EXPECT_EQ(shape_changes(have, want, {}, std::nullopt, "tcp/22"), "protect drift [tcp/22]\n");
  EXPECT_EQ(shape_changes(have, want, {}, have, "tcp/22"), "protect drift [tcp/22]\n")
      << "whatever else a commit changes";
}

TEST(Diff, WhatWeProtectedIsToldFromWhatIsNew) {
  Shape have{{{"ssh", "tcp/22"}}, "tcp/443", {}},
      want{{{"ssh", "tcp/22"}}, "tcp/22 tcp/80-90 tcp/443", {}};
  EXPECT_EQ(shape_changes(have, want, {}, want, "tcp/85-100 tcp/443"),
            "protect drift [tcp/85-90]\nprotect policy [tcp/22,80-84]\n");
  EXPECT_EQ(shape_changes(want, want, {}, want, "tcp/85-100 tcp/443"), "");
}

TEST(Diff, WhatAStructureCannotTellIsBuiltAgain) {
  Shape same{{{"ssh", "tcp/22"}}, "tcp/22", {}};
  EXPECT_EQ(shape_changes(same, same, {}, same, "", true), "reshape drift []\n");
  EXPECT_EQ(shape_changes(same, same, {}, std::nullopt, "", true), "reshape drift []\n");
  EXPECT_EQ(shape_changes(same, {{{"ssh", "tcp/22"}}, "", {}}, {}, same, "", true),
            "unprotect policy [tcp/22]\nreshape drift []\n");
}

TEST(Diff, OfOneHostOnlyItsEntries) {
  Canonical desired;
  desired.slots = {slot({item(kA)})};
  desired.structure.slots["ssh"] = ports("tcp/22");
  Observed observed;
  observed.exists = true;
  DiffInput input{kTarget, {}, desired, nullptr, observed, {}, kNow};
  input.only = prefix(kA);
  EXPECT_EQ(text_of(diff(input)), "add sign-in 192.0.2.1/32 -> +3600\n");
  input.only.reset();
  EXPECT_EQ(diff(input).size(), 2u) << "and otherwise the slot";
}

}  // namespace
}  // namespace knock::test
