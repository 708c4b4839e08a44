// SPDX-License-Identifier: Apache-2.0
// What every FactStore must do. A store joins by instantiating the suite with a way to open it:
//
//   INSTANTIATE_TEST_SUITE_P(Sqlite, FactStoreSuite, ::testing::Values(FactStoreKind{"sqlite",
//   open}));
//
// `open` is called several times with one folder: what was written before must be there again.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "reconciler/interfaces/fact_store.h"
#include "tests/conformance/sample_facts.h"
#include "tests/support/requirement.h"

namespace knock::test {

enum class Opening { writer, reader };

struct FactStoreKind {
  std::string name;
  std::function<Result<std::unique_ptr<FactStore>>(const std::string& folder, Opening)> open;
};

inline void PrintTo(const FactStoreKind& kind, std::ostream* out) { *out << kind.name; }

class FactStoreSuite : public ::testing::TestWithParam<FactStoreKind> {
 protected:
  void SetUp() override { reopen(); }

  void reopen() {
    store_.reset();
    auto opened = GetParam().open(folder_.path(), Opening::writer);
    ASSERT_TRUE(opened) << opened.error().text();
    store_ = *std::move(opened);
  }

  /// Appends and expects success.
  void write(Instant at, std::vector<Fact> facts) {
    auto seq = store_->append("core", at, facts);
    ASSERT_TRUE(seq) << seq.error().text();
  }

  void expect_good_chain(std::uint64_t records) {
    auto check = store_->verify({});
    ASSERT_TRUE(check) << check.error().text();
    EXPECT_TRUE(check->good) << check->broken_at << ": " << check->why;
    EXPECT_EQ(check->records, records);
  }

  std::vector<AppliedEntry> applied(const std::string& target = "edge-fw") {
    auto entries = store_->applied(TargetName(target));
    EXPECT_TRUE(entries) << entries.error().text();
    return entries ? *entries : std::vector<AppliedEntry>();
  }

  std::vector<AppliedInterval> stood_at(Instant at, const std::string& service = "payroll") {
    auto intervals = store_->applied_at(ServiceName(service), at);
    EXPECT_TRUE(intervals) << intervals.error().text();
    return intervals ? *intervals : std::vector<AppliedInterval>();
  }

  static Fact intended(std::uint64_t batch, const Change& change) {
    return ChangeIntended{batch, TargetName("edge-fw"), PolicyRevision("p1"), change};
  }
  static Fact done(std::uint64_t batch, const Change& change, const std::string& policy = "p1") {
    return ChangeApplied{batch, TargetName("edge-fw"), PolicyRevision(policy), change};
  }
  static Change add(const std::string& address, Instant until, Reason reason = Reason::sign_in) {
    return sample_change(Action::add, reason, address, "payroll", until);
  }
  static Change remove(const std::string& address, Instant until, Reason reason) {
    return sample_change(Action::remove, reason, address, "payroll", until);
  }

  TemporaryFolder folder_;
  std::unique_ptr<FactStore> store_;
};

// ---- the log ----

TEST_P(FactStoreSuite, AnEmptyStoreIsEmpty) {
  EXPECT_TRUE(store_->writable());
  EXPECT_EQ(*store_->head(), 0u);
  EXPECT_EQ(*store_->last_time(), std::nullopt);
  EXPECT_TRUE(store_->records(0, 10)->empty());
  EXPECT_TRUE(store_->live_sessions(kNoon)->empty());
  EXPECT_TRUE(applied().empty());
  EXPECT_TRUE(store_->open_intents()->empty());
  EXPECT_EQ(store_->adopted_policy()->has_value(), false);
  EXPECT_FALSE(*store_->plan_used("n"));
  expect_good_chain(0);
}

TEST_P(FactStoreSuite, KeepsEveryKindOfFactInOrder) {
  auto facts = every_fact();
  auto seq = store_->append("cli uid=0", Instant{kNoon.ms + 7}, facts);
  ASSERT_TRUE(seq) << seq.error().text();
  EXPECT_EQ(*seq, facts.size());
  reopen();
  EXPECT_EQ(*store_->head(), facts.size());
  EXPECT_EQ(*store_->last_time(), Instant{kNoon.ms + 7});
  auto records = store_->records(0, 1000);
  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), facts.size());
  Digest prev{};
  for (std::size_t i = 0; i < facts.size(); ++i) {
    const auto& record = (*records)[i];
    auto want = encode(facts[i]);
    EXPECT_EQ(record.seq, i + 1);
    EXPECT_EQ(record.actor, "cli uid=0");
    EXPECT_EQ(record.at, (Instant{kNoon.ms + 7}));
    EXPECT_EQ(record.fact.kind, want.kind);
    EXPECT_EQ(record.fact.public_json, want.public_json);
    EXPECT_EQ(record.fact.personal_json, want.personal_json);
    EXPECT_EQ(record.fact.holder, want.holder);
    EXPECT_EQ(record.commitment.empty(), want.personal_json.empty());
    EXPECT_EQ(record.prev, prev);
    EXPECT_EQ(record.hash, chain_hash(record));
    prev = record.hash;
  }
  expect_good_chain(facts.size());
  auto check = store_->verify({});
  EXPECT_EQ(check->head, prev);
}

TEST_P(FactStoreSuite, PagesThroughRecords) {
  for (int i = 0; i < 5; ++i) write(after(i), {ControllerStarted{std::to_string(i), ""}});
  auto page = store_->records(2, 2);
  ASSERT_TRUE(page);
  ASSERT_EQ(page->size(), 2u);
  EXPECT_EQ((*page)[0].seq, 3u);
  EXPECT_EQ((*page)[1].seq, 4u);
  EXPECT_EQ(store_->records(4, 100)->size(), 1u);
  EXPECT_TRUE(store_->records(5, 100)->empty());
  EXPECT_TRUE(store_->records(0, 0)->empty());
}

TEST_P(FactStoreSuite, AppendingNothingChangesNothing) {
  write(kNoon, {ControllerStarted{"1", ""}});
  auto seq = store_->append("core", kNoon, {});
  ASSERT_TRUE(seq);
  EXPECT_EQ(*seq, 1u);
  EXPECT_EQ(*store_->head(), 1u);
}

TEST_P(FactStoreSuite, AnAppendIsAllOrNothing) {
  write(kNoon, {PlanUsed{"nonce", "5be1"}});
  std::vector<Fact> facts{
      SessionOpened{sample_session("s-1", "dora", "203.0.113.7", kNoon, after(60))},
      PlanUsed{"nonce", "5be1"}};
  auto seq = store_->append("core", kNoon, facts);
  ASSERT_FALSE(seq);
  EXPECT_EQ(seq.error().kind, ErrorKind::conflict);
  EXPECT_TRUE(store_->writable()) << "a contradiction is the caller's fault, not the disk's";
  EXPECT_EQ(*store_->head(), 1u);
  EXPECT_TRUE(store_->live_sessions(kNoon)->empty());
  write(after(1), {ControllerStarted{"1", ""}});
  expect_good_chain(2);
}

TEST_P(FactStoreSuite, ReadsFromOtherThreadsWhileAppending) {
  std::atomic<bool> stop{false};
  std::atomic<int> bad{0}, reads{0};
  std::jthread reader([&] {
    while (!stop) {
      auto head = store_->head();
      auto records = store_->records(0, head ? *head : 0);
      if (!head || !records || records->size() < *head) ++bad;
      ++reads;
    }
  });
  for (int i = 0; i < 100 || reads < 3; ++i)
    write(after(i), {ControllerStarted{"1", ""}, ControllerStarted{"2", ""}});
  stop = true;
  reader.join();
  EXPECT_EQ(bad, 0);
}

// ---- sessions ----

TEST_P(FactStoreSuite, ASessionLivesAndEnds) {
  auto session = sample_session("s-1", "dora", "2001:db8::7", kNoon, after(60));
  session.reason = "on call";
  session.claims = {{"department", {"eng", "ops"}}, {"none", {}}};
  session.acr = "urn:gold";
  session.mfa_at = kNoon - Duration::minutes(3);
  write(kNoon, {SessionOpened{session}});
  auto live = store_->live_sessions(after(59));
  ASSERT_TRUE(live);
  ASSERT_EQ(live->size(), 1u);
  const auto& got = live->front();
  EXPECT_EQ(got.id, session.id);
  EXPECT_EQ(got.principal, session.principal);
  EXPECT_EQ(got.principal.name, session.principal.name);
  EXPECT_EQ(got.source, session.source);
  EXPECT_EQ(got.proof, session.proof);
  EXPECT_EQ(got.groups, session.groups);
  EXPECT_EQ(got.address, session.address);
  EXPECT_EQ(got.created, session.created);
  EXPECT_EQ(got.expires, session.expires);
  EXPECT_EQ(got.authenticated, session.authenticated);
  EXPECT_EQ(got.reason, session.reason);
  EXPECT_EQ(got.claims, session.claims);
  EXPECT_EQ(got.acr, session.acr);
  EXPECT_EQ(got.mfa_at, session.mfa_at);
  EXPECT_EQ(got.end, std::nullopt);
  EXPECT_TRUE(store_->live_sessions(after(60))->empty()) << "the deadline itself is too late";

  write(after(10), {SessionExtended{session.id, after(90), ""}});
  EXPECT_EQ(store_->live_sessions(after(60))->size(), 1u);
  write(after(20), {SessionEnded{session.id, {after(20), EndCause::signed_out}, ""}});
  write(after(30), {SessionEnded{session.id, {after(30), EndCause::revoked}, ""}});
  write(after(40), {SessionExtended{session.id, after(900), ""}});
  EXPECT_TRUE(store_->live_sessions(after(21))->empty());
  reopen();
  auto again = store_->session(session.id);
  ASSERT_TRUE(again && *again);
  EXPECT_EQ((*again)->end, (SessionEnd{after(20), EndCause::signed_out}));
  EXPECT_EQ((*again)->expires, after(90));
  EXPECT_EQ(*store_->session(SessionId("s-2")), std::nullopt);
  expect_good_chain(5);
}

TEST_P(FactStoreSuite, SessionsAreNewestFirst) {
  for (int i = 0; i < 4; ++i)
    write(after(i), {SessionOpened{sample_session("s-" + std::to_string(i), "dora", "203.0.113.7",
                                                  after(i), after(60))}});
  write(after(5), {SessionEnded{SessionId("s-3"), {after(5), EndCause::revoked}, ""}});
  auto sessions = store_->sessions(2);
  ASSERT_TRUE(sessions);
  ASSERT_EQ(sessions->size(), 2u);
  EXPECT_EQ((*sessions)[0].id, SessionId("s-3"));
  EXPECT_EQ((*sessions)[1].id, SessionId("s-2"));
  EXPECT_EQ(store_->live_sessions(after(6))->size(), 3u);
}

TEST_P(FactStoreSuite, ASessionIdIsUsedOnce) {
  auto session = sample_session("s-1", "dora", "203.0.113.7", kNoon, after(60));
  write(kNoon, {SessionOpened{session}});
  session.principal.subject = "mallory";
  std::vector<Fact> facts{SessionOpened{session}};
  auto seq = store_->append("core", kNoon, facts);
  ASSERT_FALSE(seq);
  EXPECT_EQ(seq.error().kind, ErrorKind::conflict);
  EXPECT_EQ((**store_->session(session.id)).principal.subject, "dora");
}

// ---- intents ----

TEST_P(FactStoreSuite, AnIntentIsOpenUntilItIsAnswered) {
  auto a = add("203.0.113.7", after(60)), b = add("203.0.113.8", after(60)),
       c = add("203.0.113.9", after(60));
  write(kNoon, {intended(1, a), intended(1, b), intended(1, c), intended(2, a)});
  auto open = [&] {
    std::vector<std::pair<std::uint64_t, std::string>> out;
    auto intents = store_->open_intents();
    EXPECT_TRUE(intents) << intents.error().text();
    for (const auto& intent : *intents)
      out.emplace_back(intent.batch, intent.change.prefix.to_string());
    return out;
  };
  using Open = std::vector<std::pair<std::uint64_t, std::string>>;
  EXPECT_EQ(open(), (Open{{1, "203.0.113.7/32"},
                          {1, "203.0.113.8/32"},
                          {1, "203.0.113.9/32"},
                          {2, "203.0.113.7/32"}}));
  write(after(1), {done(1, a), ChangeRejected{1, TargetName("edge-fw"), b, "full", false},
                   ChangeRejected{1, TargetName("edge-fw"), c, "no answer", true}});
  reopen();
  EXPECT_EQ(open(), (Open{{1, "203.0.113.9/32"}, {2, "203.0.113.7/32"}}));
  write(after(2),
        {ChangeRejected{1, TargetName("edge-fw"), c, "read back: not there", false}, done(2, a)});
  EXPECT_EQ(open(), Open());
  expect_good_chain(9);
}

TEST_P(FactStoreSuite, AnOpenIntentComesBackWhole) {
  auto change = full_change();
  write(kNoon, {ChangeIntended{UINT64_MAX, TargetName("edge-fw"), PolicyRevision("p1"), change}});
  auto open = store_->open_intents();
  ASSERT_TRUE(open);
  ASSERT_EQ(open->size(), 1u);
  EXPECT_EQ(encode(open->front()).public_json,
            encode(ChangeIntended{UINT64_MAX, TargetName("edge-fw"), PolicyRevision("p1"), change})
                .public_json);
  EXPECT_EQ(open->front().change.handle, change.handle);
  EXPECT_EQ(open->front().change.prefix, change.prefix);
}

TEST_P(FactStoreSuite, AReshapeHasTwoIntentsForOneEntry) {
  auto out = remove("203.0.113.7", after(60), Reason::policy), in = add("203.0.113.7", after(60));
  write(kNoon, {intended(1, out), intended(1, in)});
  write(after(1), {done(1, in)});
  auto open = store_->open_intents();
  ASSERT_TRUE(open);
  ASSERT_EQ(open->size(), 1u);
  EXPECT_EQ(open->front().change.action, Action::remove);
}

TEST_P(FactStoreSuite, TargetsDoNotMixUp) {
  auto a = add("203.0.113.7", after(60));
  write(kNoon, {intended(1, a), done(1, a),
                ChangeIntended{1, TargetName("other-fw"), PolicyRevision("p1"), a}});
  EXPECT_EQ(applied("edge-fw").size(), 1u);
  EXPECT_EQ(applied("other-fw").size(), 0u);
  auto open = store_->open_intents();
  ASSERT_EQ(open->size(), 1u);
  EXPECT_EQ(open->front().target, TargetName("other-fw"));
}

// ---- applied entries ----

TEST_P(FactStoreSuite, AnEntryStandsUntilItIsRemoved) {
  auto entry = add("203.0.113.7", after(60));
  write(after(1), {done(1, entry)});
  auto now = applied();
  ASSERT_EQ(now.size(), 1u);
  EXPECT_EQ(now[0].target, TargetName("edge-fw"));
  EXPECT_EQ(now[0].slot, "payroll");
  EXPECT_EQ(now[0].prefix, entry.prefix);
  EXPECT_EQ(now[0].until, after(60));
  EXPECT_EQ(now[0].since, after(1));
  EXPECT_EQ(now[0].policy, PolicyRevision("p1"));
  EXPECT_EQ(now[0].causes, entry.causes);
  EXPECT_EQ(now[0].readded, 0);

  auto longer = sample_change(Action::extend, Reason::sign_in, "203.0.113.7", "payroll", after(90));
  write(after(10), {done(2, longer, "p2")});
  now = applied();
  ASSERT_EQ(now.size(), 1u);
  EXPECT_EQ(now[0].until, after(90));
  EXPECT_EQ(now[0].since, after(1));
  EXPECT_EQ(now[0].policy, PolicyRevision("p2"));
  auto shorter =
      sample_change(Action::shorten, Reason::policy, "203.0.113.7", "payroll", after(50));
  write(after(11), {done(3, shorter, "p2")});
  EXPECT_EQ(applied()[0].until, after(50));
  write(after(20), {done(4, remove("203.0.113.7", after(50), Reason::sign_out))});
  reopen();
  EXPECT_TRUE(applied().empty());
  expect_good_chain(4);
}

TEST_P(FactStoreSuite, AnEntryThatRanOutIsGone) {
  write(kNoon, {done(1, add("203.0.113.7", after(60))), done(1, add("203.0.113.8", after(60)))});
  write(after(61),
        {EntryExpired{TargetName("edge-fw"), "payroll", *Prefix::parse("203.0.113.7"), after(60)}});
  auto now = applied();
  ASSERT_EQ(now.size(), 1u);
  EXPECT_EQ(now[0].prefix, *Prefix::parse("203.0.113.8"));
}

TEST_P(FactStoreSuite, EntriesAreSortedByAddress) {
  for (const char* address : {"203.0.113.70", "2001:db8::1", "203.0.113.8", "9.9.9.9"})
    write(kNoon, {done(1, add(address, after(60)))});
  std::vector<std::string> order;
  for (const auto& entry : applied()) order.push_back(entry.prefix.to_string());
  EXPECT_EQ(order, (std::vector<std::string>{"9.9.9.9/32", "203.0.113.8/32", "203.0.113.70/32",
                                             "2001:db8::1/128"}));
}

TEST_P(FactStoreSuite, CountsHowOftenAnEntryWasPutBack) {
  auto readded = [&] { return applied().empty() ? -1 : applied()[0].readded; };
  write(kNoon, {done(1, add("203.0.113.7", after(60)))});
  EXPECT_EQ(readded(), 0);
  write(after(1), {done(2, add("203.0.113.7", after(60), Reason::drift))});
  EXPECT_EQ(readded(), 1);
  write(after(2), {done(3, sample_change(Action::extend, Reason::sign_in, "203.0.113.7", "payroll",
                                         after(70)))});
  EXPECT_EQ(readded(), 1) << "an extension is not a coming";
  write(after(3), {done(4, remove("203.0.113.7", after(70), Reason::drift)),
                   done(5, add("203.0.113.7", after(70), Reason::drift))});
  EXPECT_EQ(readded(), 2) << "cleared and put back counts on";
  write(after(4), {done(6, add("203.0.113.7", after(80)))});
  EXPECT_EQ(readded(), 0) << "it came for another reason";
  expect_good_chain(6);
}

TEST_P(FactStoreSuite, StructureIsNoEntry) {
  Change protect;
  protect.action = Action::protect;
  protect.ports = {*PortRange::parse("tcp/22")};
  Change keep = protect;
  keep.action = Action::keep;
  keep.keep = {*Prefix::parse("198.51.100.0/24")};
  Change report = add("203.0.113.7", after(60));
  report.action = Action::report;
  write(kNoon, {intended(1, protect), intended(1, keep), done(1, protect), done(1, keep),
                done(1, report)});
  EXPECT_TRUE(applied().empty());
  EXPECT_TRUE(store_->open_intents()->empty());
}

// ---- who could reach it at T ----

TEST_P(FactStoreSuite, KnowsWhatStoodAtAnyTime) {
  write(after(1), {done(1, add("203.0.113.7", after(60)))});
  write(after(2), {done(2, add("203.0.113.8", after(60)))});
  write(after(20), {done(3, remove("203.0.113.7", after(60), Reason::sign_out))});
  write(after(70),
        {EntryExpired{TargetName("edge-fw"), "payroll", *Prefix::parse("203.0.113.8"), after(60)}});
  struct Row {
    std::int64_t at;
    std::size_t want;
  };
  for (auto [at, want] : {Row{0, 0}, Row{1, 1}, Row{2, 2}, Row{19, 2}, Row{20, 1}, Row{59, 1},
                          Row{60, 0}, Row{100, 0}})
    EXPECT_EQ(stood_at(after(at)).size(), want) << at;
  EXPECT_TRUE(stood_at(after(5), "ssh-prod").empty());
  auto both = stood_at(after(5));
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].removed, after(20));
  EXPECT_EQ(both[0].because, EndCause::signed_out);
  EXPECT_EQ(both[1].removed, after(60));
  EXPECT_EQ(both[1].because, EndCause::expired);
  EXPECT_EQ(both[1].entry.causes, add("203.0.113.8", after(60)).causes);
}

TEST_P(FactStoreSuite, AnIntervalNeverOutlivesItsDeadline) {
  write(kNoon, {done(1, add("203.0.113.7", after(60))), done(1, add("203.0.113.8", after(60)))});
  write(after(90), {done(2, remove("203.0.113.7", after(60), Reason::expiry))});
  EXPECT_TRUE(stood_at(after(61)).empty()) << "told late, or not yet: the deadline had passed";
  for (const auto& interval : stood_at(after(59)))
    if (interval.removed) {
      EXPECT_EQ(*interval.removed, after(60));
    }
}

TEST_P(FactStoreSuite, ThePastIsNotAnsweredWithTodaysCauses) {
  auto first = add("203.0.113.7", after(60));
  write(after(1), {done(1, first)});
  auto shared = sample_change(Action::extend, Reason::sign_in, "203.0.113.7", "payroll", after(90));
  shared.causes = {sample_cause("s-1", "dora", "payroll", after(60)),
                   sample_cause("s-2", "emil", "payroll", after(90))};
  write(after(30), {done(2, shared, "p2")});
  auto left = sample_change(Action::shorten, Reason::sign_out, "203.0.113.7", "payroll", after(60));
  left.causes = {sample_cause("s-2", "emil", "payroll", after(90))};
  write(after(40), {done(3, left, "p2")});
  auto who = [&](std::int64_t at) {
    std::vector<std::string> names;
    for (const auto& interval : stood_at(after(at)))
      for (const auto& cause : interval.entry.causes) names.push_back(cause.who);
    return names;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(who(1), Names{"dora"});
  EXPECT_EQ(who(29), Names{"dora"});
  EXPECT_EQ(who(30), (Names{"dora", "emil"}));
  EXPECT_EQ(who(39), (Names{"dora", "emil"}));
  EXPECT_EQ(who(40), Names{"emil"});
  EXPECT_EQ(stood_at(after(1))[0].entry.policy, PolicyRevision("p1"));
  EXPECT_EQ(stood_at(after(35))[0].entry.policy, PolicyRevision("p2"));
  expect_good_chain(3);
}

TEST_P(FactStoreSuite, AnotherSlotIsFoundByItsCauses) {
  auto change = add("203.0.113.7", after(60));
  change.slot = "tcp/443";
  write(kNoon, {done(1, change)});
  EXPECT_EQ(stood_at(after(1), "payroll").size(), 1u);
  EXPECT_EQ(stood_at(after(1), "ssh-prod").size(), 0u);
}

TEST_P(FactStoreSuite, AnEntryThatRanOutUnnoticedStandsAnew) {
  write(kNoon, {done(1, add("203.0.113.7", after(60)))});
  write(after(100), {done(2, sample_change(Action::extend, Reason::sign_in, "203.0.113.7",
                                           "payroll", after(200)))});
  ASSERT_EQ(applied().size(), 1u);
  EXPECT_EQ(applied()[0].since, after(100));
  EXPECT_EQ(stood_at(after(59)).size(), 1u);
  EXPECT_TRUE(stood_at(after(80)).empty())
      << "nothing was open between the deadline and the return";
  EXPECT_EQ(stood_at(after(100)).size(), 1u);
}

TEST_P(FactStoreSuite, AnEntryShortenedIntoThePastIsGone) {
  write(kNoon, {done(1, add("203.0.113.7", after(60)))});
  write(after(30), {done(2, sample_change(Action::shorten, Reason::policy, "203.0.113.7", "payroll",
                                          after(20)))});
  EXPECT_TRUE(applied().empty());
  EXPECT_EQ(stood_at(after(29)).size(), 1u) << "it did stand until it was shortened";
  EXPECT_TRUE(stood_at(after(30)).empty());
}

/// The same story kept in plain maps, as an oracle of its own.
class FactStoreModel {
 public:
  struct Entry {
    Instant until;
    std::vector<Attribution> causes;
    int readded = 0;
  };
  using Entries = std::map<std::string, Entry>;  // by prefix

  void apply(const Change& change, Instant at) {
    auto key = change.prefix.to_string();
    auto found = entries_.find(key);
    bool stands = found != entries_.end() && found->second.until > at;
    if (change.action == Action::remove || (stands && *change.until <= at)) {
      entries_.erase(key);
      return;
    }
    if (change.action == Action::add || !stands)
      readded_[key] = change.reason == Reason::drift ? readded_[key] + 1 : 0;
    entries_[key] = {*change.until, change.causes, readded_[key]};
  }
  /// True when the entry was there and had run out.
  bool expire(const std::string& key, Instant now) {
    auto found = entries_.find(key);
    if (found == entries_.end() || found->second.until > now) return false;
    entries_.erase(found);
    return true;
  }
  const Entries& entries() const { return entries_; }
  Entries open_at(Instant at) const {
    Entries out;
    for (const auto& [key, entry] : entries_)
      if (entry.until > at) out.emplace(key, entry);
    return out;
  }

 private:
  Entries entries_;
  std::map<std::string, int> readded_;
};

class FactStoreStory : public FactStoreSuite {
 protected:
  int pick(int n) { return int(random_() % unsigned(n)); }

  void tell(int step) {
    constexpr Action kActions[] = {Action::add, Action::add, Action::extend, Action::shorten,
                                   Action::remove};
    constexpr Reason kReasons[] = {Reason::sign_in, Reason::drift, Reason::policy};
    auto now = after(step * 10);
    auto address = "203.0.113." + std::to_string(pick(5));
    if (pick(8) == 0) {
      if (!model_.expire(address + "/32", now)) return;
      write(now, {EntryExpired{TargetName("edge-fw"), "payroll", *Prefix::parse(address), now}});
      written_ += 1;
      return;
    }
    auto until = after(step * 10 - 5 + pick(300));
    auto change = sample_change(kActions[pick(5)], kReasons[pick(3)], address, "payroll", until);
    change.until = until;
    change.causes.edit([&](auto& all) { all[0].who = "person " + std::to_string(pick(3)); });
    write(now, {intended(written_, change), done(written_, change)});
    model_.apply(change, now);
    written_ += 2;
  }

  void expect_now() {
    auto entries = applied();
    ASSERT_EQ(entries.size(), model_.entries().size());
    for (const auto& entry : entries) {
      auto want = model_.entries().find(entry.prefix.to_string());
      ASSERT_NE(want, model_.entries().end());
      EXPECT_EQ(entry.until, want->second.until);
      EXPECT_EQ(entry.causes, want->second.causes);
      EXPECT_EQ(entry.readded, want->second.readded);
    }
  }

  void expect_then(Instant at, const FactStoreModel::Entries& entries) {
    auto intervals = stood_at(at);
    ASSERT_EQ(intervals.size(), entries.size());
    for (const auto& interval : intervals) {
      auto want = entries.find(interval.entry.prefix.to_string());
      ASSERT_NE(want, entries.end());
      EXPECT_EQ(interval.entry.causes, want->second.causes);
      EXPECT_TRUE(!interval.removed || *interval.removed <= interval.entry.until);
    }
  }

  std::mt19937 random_;
  FactStoreModel model_;
  std::uint64_t written_ = 0;
};

TEST_P(FactStoreStory, AgreesWithAPlainModelAboutNowAndThen) {
  for (unsigned seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TemporaryFolder fresh;
    auto opened = GetParam().open(fresh.path(), Opening::writer);
    ASSERT_TRUE(opened) << opened.error().text();
    store_ = *std::move(opened);
    random_.seed(seed);
    model_ = {};
    written_ = 0;
    std::map<Instant, FactStoreModel::Entries> history;
    for (int step = 1; step <= 150; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      tell(step);
      expect_now();
      history[after(step * 10)] = model_.open_at(after(step * 10));
    }
    EXPECT_TRUE(store_->open_intents()->empty());
    for (const auto& [at, entries] : history) {
      SCOPED_TRACE("at " + to_string(at));
      expect_then(at, entries);
    }
    expect_good_chain(written_);
    store_.reset();
  }
}

/// Random histories of several people at several targets and services, compared with a list of what
/// was true at every instant.
class FactStoreHistory : public FactStoreSuite {
 protected:
  /// What stood on a target, in the words of an auditor.
  struct Row {
    std::string target, prefix, service, who, policy;
    friend auto operator<=>(const Row&, const Row&) = default;
  };
  struct Standing {
    Instant until;
    std::string policy;
    std::vector<Attribution> causes;
  };
  using Place = std::tuple<std::string, std::string, std::string>;  // target, slot, prefix

  int pick(int n) { return int(random_() % unsigned(n)); }

  std::vector<Attribution> some_causes(Instant now) {
    std::vector<Attribution> out;
    for (int i = 1 + pick(3); i > 0; --i)
      out.push_back(
          sample_cause("s-" + std::to_string(pick(6)), "person " + std::to_string(pick(4)),
                       pick(3) == 0 ? "shell" : "payroll", now + Duration::seconds(1 + pick(200))));
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

  void step(Instant now) {
    auto target = "fw-" + std::to_string(pick(2));
    auto slot = pick(4) == 0 ? std::string("tcp/22") : std::string("payroll");
    auto address = "203.0.113." + std::to_string(pick(4));
    Place place{target, slot, address + "/32"};
    auto found = standing_.find(place);
    if (found != standing_.end() && found->second.until <= now) {
      if (pick(2) == 0)
        write(now, {EntryExpired{TargetName(target), slot, *Prefix::parse(address),
                                 found->second.until}});
      standing_.erase(found);
      found = standing_.end();
      return;
    }
    constexpr Action kActions[] = {Action::add, Action::extend, Action::shorten, Action::remove};
    constexpr Reason kReasons[] = {Reason::sign_in, Reason::policy, Reason::sign_out,
                                   Reason::revoked, Reason::denied, Reason::drift};
    auto action = kActions[pick(4)];
    auto change = sample_change(action, kReasons[pick(6)], address, "payroll",
                                now + Duration::seconds(pick(150) - 10));
    change.slot = slot;
    change.causes = some_causes(now);
    auto policy = "p" + std::to_string(pick(3));
    write(now, {ChangeApplied{1, TargetName(target), PolicyRevision(policy), change}});
    if (action == Action::remove || (found != standing_.end() && *change.until <= now))
      standing_.erase(place);
    else
      standing_[place] = {*change.until, policy, change.causes};
  }

  static bool serves(const Place& place, const std::vector<Attribution>& causes,
                     const std::string& service) {
    return std::get<1>(place) == service ||
           std::any_of(causes.begin(), causes.end(),
                       [&](const Attribution& cause) { return cause.service.value == service; });
  }

  std::set<Row> rows_of_model(const std::string& service, Instant at) const {
    std::set<Row> out;
    for (const auto& [place, entry] : standing_)
      if (entry.until > at && serves(place, entry.causes, service))
        for (const auto& cause : entry.causes)
          out.insert({std::get<0>(place), std::get<2>(place), cause.service.value, cause.who,
                      entry.policy});
    return out;
  }

  static std::set<Row> rows_of(const std::vector<AppliedInterval>& intervals) {
    std::set<Row> out;
    for (const auto& one : intervals)
      for (const auto& cause : one.entry.causes)
        out.insert({one.entry.target.value, one.entry.prefix.to_string(), cause.service.value,
                    cause.who, one.entry.policy.value});
    return out;
  }

  std::mt19937 random_;
  std::map<Place, Standing> standing_;
};

TEST_P(FactStoreHistory, WhoAtAnyTimeAndInAnyRangeIsWhatAPlainModelSays) {
  std::size_t rows = 0, ranges_with_more_than_their_ends = 0;
  for (unsigned seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TemporaryFolder fresh;
    auto opened = GetParam().open(fresh.path(), Opening::writer);
    ASSERT_TRUE(opened) << opened.error().text();
    store_ = *std::move(opened);
    random_.seed(seed);
    standing_.clear();
    using Snapshot = std::map<std::string, std::set<Row>>;  // by service
    std::map<Instant, Snapshot> history;                    // every second
    for (int i = 1; i <= 200; ++i) {
      auto now = after(i * 3);
      step(now);
      for (int s = 0; s < 3; ++s)
        for (const char* service : {"payroll", "shell", "nothing"})
          history[after(i * 3 + s)][service] = rows_of_model(service, after(i * 3 + s));
    }
    for (const auto& [at, snapshot] : history)
      for (const auto& [service, want] : snapshot) {
        auto intervals = stood_at(at, service);
        ASSERT_EQ(rows_of(intervals), want) << service << " at " << to_string(at);
        rows += want.size();
        for (const auto& one : intervals) {
          EXPECT_TRUE(one.from <= at && at < one.till);
          EXPECT_TRUE(one.entry.since <= one.from);
          EXPECT_TRUE(one.till <= one.removed.value_or(one.entry.until));
        }
      }
    for (int i = 0; i < 60; ++i) {
      auto from = after(3 + pick(600)), to = from + Duration::seconds(1 + pick(120));
      std::set<Row> want;
      for (auto at = history.lower_bound(from); at != history.end() && at->first < to; ++at)
        want.insert(at->second["payroll"].begin(), at->second["payroll"].end());
      auto intervals = store_->applied_between(ServiceName("payroll"), from, to);
      ASSERT_TRUE(intervals);
      // The last instants of the history are beyond what the model was asked for.
      if (to > history.rbegin()->first) continue;
      ASSERT_EQ(rows_of(*intervals), want) << to_string(from) << " to " << to_string(to);
      ranges_with_more_than_their_ends += want.size() > history[from]["payroll"].size();
    }
    store_.reset();
  }
  EXPECT_GT(rows, 5000u);
  EXPECT_GT(ranges_with_more_than_their_ends, 100u);
}

TEST_P(FactStoreSuite, TellsWhoWasGivenATicket) {
  auto sessions = [&](Instant since) {
    auto found = store_->applied_with_tickets(TargetName("edge-fw"), since);
    EXPECT_TRUE(found);
    std::set<std::string> out;
    for (const auto& one : found.value())
      for (const auto& cause : one.entry.causes)
        if (cause.lasts == Lasts::first_connection) out.insert(cause.session.value);
    return out;
  };
  auto with_ticket = [](Change change, const std::string& session) {
    change.lasts = Lasts::first_connection;
    change.ticket = true;
    change.causes.edit([&](auto& causes) {
      for (Attribution& cause : causes) {
        cause.session = SessionId(session);
        cause.lasts = Lasts::first_connection;
      }
    });
    return change;
  };
  write(after(1), {done(1, add("203.0.113.1", after(60)))});
  EXPECT_EQ(sessions(after(0)), std::set<std::string>{});
  auto first = with_ticket(add("203.0.113.7", after(60)), "one");
  write(after(1), {done(2, first)});
  auto shared = with_ticket(
      sample_change(Action::extend, Reason::sign_in, "203.0.113.7", "payroll", after(90)), "two");
  write(after(5), {done(3, shared)});
  EXPECT_EQ(sessions(after(0)), (std::set<std::string>{"one", "two"})) << "earlier causes too";
  // What is removed, or lasts in another way by now, gave them all the same.
  auto open = add("203.0.113.7", after(95));
  open.action = Action::extend;
  write(after(6), {done(4, open)});
  write(after(7), {done(5, sample_change(Action::remove, Reason::policy, "203.0.113.7", "payroll",
                                         after(95)))});
  EXPECT_EQ(sessions(after(0)), (std::set<std::string>{"one", "two"}));
  EXPECT_EQ(sessions(after(95)), std::set<std::string>{}) << "its deadline was before that";
}

TEST_P(FactStoreSuite, ARangeListsEachStretchWithItsCauses) {
  auto first = add("203.0.113.7", after(60));
  write(after(1), {done(1, first)});
  auto shared = sample_change(Action::extend, Reason::sign_in, "203.0.113.7", "payroll", after(90));
  shared.causes = {sample_cause("s-1", "dora", "payroll", after(60)),
                   sample_cause("s-2", "emil", "payroll", after(90))};
  write(after(30), {done(2, shared, "p2")});
  write(after(50), {done(3, remove("203.0.113.7", after(90), Reason::policy), "p3")});
  auto all = store_->applied_between(ServiceName("payroll"), kNoon, after(100));
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].from, after(1));
  EXPECT_EQ((*all)[0].till, after(30));
  EXPECT_EQ((*all)[0].entry.policy, PolicyRevision("p1"));
  EXPECT_EQ((*all)[0].entry.causes.size(), 1u);
  EXPECT_EQ((*all)[1].from, after(30));
  EXPECT_EQ((*all)[1].till, after(50));
  EXPECT_EQ((*all)[1].entry.since, after(1));
  EXPECT_EQ((*all)[1].reason, Reason::policy);
  EXPECT_EQ((*all)[1].because, std::nullopt) << "no session's end says this";
  auto count = [&](std::int64_t from, std::int64_t to) {
    return store_->applied_between(ServiceName("payroll"), after(from), after(to))->size();
  };
  EXPECT_EQ(count(0, 1), 0u);
  EXPECT_EQ(count(29, 30), 1u);
  EXPECT_EQ(count(29, 31), 2u);
  EXPECT_EQ(count(50, 60), 0u);
}

TEST_P(FactStoreSuite, AnEntryIsFoundByItsId) {
  auto one = add("203.0.113.7", after(60)), other = add("203.0.113.8", after(60));
  one.entry = EntryId{0xaa};
  other.entry = EntryId{0xbb};
  other.detail = "\"entry\":\"" + EntryId{0xcc}.to_string() + "\"";
  auto gone = remove("203.0.113.7", after(60), Reason::sign_out);
  gone.entry = one.entry;
  write(kNoon, {done(1, one), done(2, other)});
  write(after(10), {done(3, gone)});
  one.until = after(90);
  write(after(20), {done(4, one)});
  auto history = store_->entry_history(EntryId{0xaa});
  ASSERT_TRUE(history);
  ASSERT_EQ(history->size(), 2u);
  EXPECT_EQ((*history)[0].reason, Reason::sign_out);
  EXPECT_EQ((*history)[0].removed, after(10));
  EXPECT_EQ((*history)[1].entry.prefix, *Prefix::parse("203.0.113.7"));
  EXPECT_FALSE((*history)[1].removed);
  EXPECT_TRUE(store_->entry_history(EntryId{0xcc})->empty()) << "a text that reads like a member";
  EXPECT_TRUE(store_->entry_history(EntryId{0xdd})->empty());
}

TEST_P(FactStoreSuite, KnowsWhoWasSignedInAtAnyTime) {
  EXPECT_EQ(*store_->first_time(), std::nullopt);
  write(kNoon, {SessionOpened{sample_session("s-1", "dora", "203.0.113.7", kNoon, after(60))}});
  write(after(10),
        {SessionOpened{sample_session("s-2", "emil", "203.0.113.8", after(10), after(60))}});
  write(after(20), {SessionEnded{SessionId("s-1"), {after(20), EndCause::signed_out}, ""}});
  auto who = [&](std::int64_t at) {
    std::vector<std::string> out;
    auto sessions = store_->sessions_at(after(at));
    EXPECT_TRUE(sessions);
    for (const auto& session : *sessions) out.push_back(session.id.value);
    return out;
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(who(-1), Ids{});
  EXPECT_EQ(who(0), Ids{"s-1"});
  EXPECT_EQ(who(19), (Ids{"s-1", "s-2"}));
  EXPECT_EQ(who(20), Ids{"s-2"});
  EXPECT_EQ(who(60), Ids{});
  EXPECT_EQ(*store_->first_time(), kNoon);
}

TEST_P(FactStoreSuite, KnowsWhichPolicyWasInForceAtAnyTime) {
  auto adopt = [&](std::int64_t at, const std::string& revision, const std::string& author) {
    write(after(at), {PolicyAdopted{PolicyRevision(revision), PolicyRevision("p0"), author,
                                    "about " + revision, ""}});
  };
  EXPECT_FALSE(store_->adoption_at(kNoon)->has_value());
  adopt(10, "p1", "ana");
  adopt(20, "p2", "bob");
  adopt(30, "p1", "cyd");
  EXPECT_FALSE(store_->adoption_at(after(9))->has_value());
  auto first = store_->adoption_at(after(19));
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->revision, PolicyRevision("p1"));
  EXPECT_EQ((*first)->previous, PolicyRevision("p0"));
  EXPECT_EQ((*first)->author, "ana");
  EXPECT_EQ((*first)->subject, "about p1");
  EXPECT_EQ((*first)->at, after(10));
  EXPECT_EQ((*store_->adoption_at(after(20)))->author, "bob");
  EXPECT_EQ((*store_->adoption_of(PolicyRevision("p1")))->author, "cyd");
  EXPECT_FALSE(store_->adoption_of(PolicyRevision("p9"))->has_value());
}

// ---- policy, accounts, plans ----

inline AdoptedPolicy sample_policy(const std::string& revision, const std::string& text) {
  return {PolicyRevision(revision),
          kNoon,
          "ana <ana@example.org>",
          "payroll: add contractors",
          {{"a.yaml", text, "b1"}, {"sub/b.yaml", std::string("\xff\0x", 3), ""}}};
}

TEST_P(FactStoreSuite, WhatATargetMayReturnToIsKept) {
  auto adopt = [&](const std::string& revision, const std::string& previous) {
    ASSERT_TRUE(store_->save_policy(sample_policy(revision, revision)));
    write(kNoon,
          {PolicyAdopted{PolicyRevision(revision), PolicyRevision(previous), "ana", "x", ""}});
  };
  auto due = [](const std::string& target, const std::string& policy, const std::string& previous) {
    return ConfirmationDue{TargetName(target), PolicyRevision(policy), PolicyRevision(previous),
                           after(300), "5be1"};
  };
  EXPECT_TRUE(store_->confirmations()->empty());
  adopt("p0", "");
  adopt("p1", "p0");
  write(kNoon, {due("edge", "p1", "p0"), due("core", "p1", "p0"), due("b", "p1", "p0")});
  write(kNoon, {PolicyConfirmed{TargetName("b"), PolicyRevision("p1"), "probe"}});
  for (int i = 2; i < 9; ++i) {
    adopt("p" + std::to_string(i), "p" + std::to_string(i - 1));
  }
  reopen();
  auto waiting = store_->confirmations();
  ASSERT_TRUE(waiting) << waiting.error().text();
  ASSERT_EQ(waiting->size(), 2u);
  EXPECT_EQ(waiting->at(0),
            (Confirmation{TargetName("core"), PolicyRevision("p1"), PolicyRevision("p0"),
                          after(300), "5be1", Confirmation::State::due}));
  EXPECT_EQ(waiting->at(1).target, TargetName("edge"));
  auto kept = store_->kept_policy(PolicyRevision("p0"));
  ASSERT_TRUE(kept && *kept) << "two targets may return to it";
  EXPECT_EQ((*kept)->files.at(0).content, "p0");
  EXPECT_FALSE(*store_->kept_policy(PolicyRevision("p2"))) << "nobody asks for this one any more";
  EXPECT_TRUE(*store_->kept_policy(PolicyRevision("p7")));

  write(kNoon, {PolicyReturned{TargetName("core"), PolicyRevision("p8"), PolicyRevision("p0")}});
  ASSERT_EQ(store_->confirmations()->size(), 2u);
  EXPECT_EQ(store_->confirmations()->at(0).state, Confirmation::State::returned);
  EXPECT_EQ(store_->confirmations()->at(0).policy, PolicyRevision("p8"));
  write(kNoon, {PolicyAdopted{PolicyRevision("p8"), PolicyRevision(), "ana", "x", ""}});
  EXPECT_EQ(store_->confirmations()->size(), 2u) << "a process took up what was in force already";
  adopt("p9", "p8");
  ASSERT_EQ(store_->confirmations()->size(), 1u) << "a new revision is tried everywhere";
  EXPECT_EQ(store_->confirmations()->at(0).target, TargetName("edge"))
      << "and that one still waits";
  write(kNoon, {PolicyConfirmed{TargetName("edge"), PolicyRevision("p9"), "operator"}});
  EXPECT_TRUE(store_->confirmations()->empty());
  adopt("p10", "p9");
  EXPECT_FALSE(*store_->kept_policy(PolicyRevision("p0")));
}

TEST_P(FactStoreSuite, ASessionsGroupsAreThoseOfTheTimeThatIsAskedFor) {
  auto dora = sample_session("s-1", "dora", "203.0.113.7", kNoon, after(10'000));
  auto emil = sample_session("s-2", "emil", "203.0.113.8", kNoon, after(10'000));
  write(kNoon, {SessionOpened{dora}, SessionOpened{emil}});
  SessionId id("s-1");
  write(after(100), {SessionGroups{id, true, std::nullopt, {"dba"}}});
  write(after(200), {SessionGroups{id, true, after(900), {}}});
  reopen();
  auto at = [&](int seconds) {
    auto sessions = store_->sessions_at(after(seconds));
    EXPECT_TRUE(sessions);
    return sessions->at(0);
  };
  EXPECT_EQ(at(50).groups, dora.groups);
  EXPECT_FALSE(at(50).groups_lost);
  EXPECT_EQ(at(150).groups, std::vector<std::string>{"dba"});
  EXPECT_TRUE(at(150).groups_lost);
  EXPECT_EQ(at(250).groups, std::vector<std::string>{"dba"}) << "kept while the source is suspect";
  EXPECT_EQ(at(250).groups_until, after(900));
  write(after(300), {SessionGroups{id, false, std::nullopt, {"dba", "web"}}});
  auto live = store_->live_sessions(after(310));
  ASSERT_EQ(live->size(), 2u);
  EXPECT_EQ(live->at(0).groups, (std::vector<std::string>{"dba", "web"}));
  EXPECT_FALSE(live->at(0).groups_until);
  EXPECT_TRUE(live->at(0).groups_lost) << "what was lost once may still stand somewhere";
  EXPECT_EQ(live->at(1).groups, emil.groups);
  EXPECT_FALSE(live->at(1).groups_lost);
  EXPECT_EQ((*store_->session(id))->groups, live->at(0).groups);
  EXPECT_EQ(store_->sessions(10)->at(1).groups, live->at(0).groups);
}

TEST_P(FactStoreSuite, TheAdoptedPolicyKeepsItsFiles) {
  auto adopt = [&](const std::string& revision, const std::string& previous) {
    write(kNoon,
          {PolicyAdopted{PolicyRevision(revision), PolicyRevision(previous), "ana", "x", ""}});
  };
  ASSERT_TRUE(store_->save_policy(sample_policy("p1", "one")));
  EXPECT_FALSE(store_->adopted_policy()->has_value()) << "saved is not adopted";
  adopt("p1", "");
  ASSERT_TRUE(store_->save_policy(sample_policy("p2", "two")));
  ASSERT_TRUE(store_->save_policy(sample_policy("p3", "three")));
  ASSERT_TRUE(store_->save_policy(sample_policy("p3", "three again")));
  reopen();
  auto policy = store_->adopted_policy();
  ASSERT_TRUE(policy && *policy);
  EXPECT_EQ((*policy)->revision, PolicyRevision("p1"));
  EXPECT_EQ((*policy)->at, kNoon);
  EXPECT_EQ((*policy)->author, "ana <ana@example.org>");
  EXPECT_EQ((*policy)->subject, "payroll: add contractors");
  ASSERT_EQ((*policy)->files.size(), 2u);
  EXPECT_EQ((*policy)->files[0].path, "a.yaml");
  EXPECT_EQ((*policy)->files[0].content, "one");
  EXPECT_EQ((*policy)->files[0].blob_id, "b1");
  EXPECT_EQ((*policy)->files[1].content, std::string("\xff\0x", 3));
  adopt("p3", "p1");
  policy = store_->adopted_policy();
  ASSERT_TRUE(policy && *policy);
  EXPECT_EQ((*policy)->files[0].content, "three again");
}

TEST_P(FactStoreSuite, ARevisionWithoutFilesIsAnErrorNotNothing) {
  write(kNoon, {PolicyAdopted{PolicyRevision("p9"), PolicyRevision(""), "", "", ""}});
  auto policy = store_->adopted_policy();
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().kind, ErrorKind::not_found);
}

TEST_P(FactStoreSuite, AccountsComeWithTheirFact) {
  Account account{"dora", "Dora \xE2\x80\xAE", Secret("$argon2id$v=19$x"), {"ops", "dba"}, false};
  ASSERT_TRUE(store_->save_account("cli uid=0", kNoon, account, "created"));
  account.groups = {"dba"};
  account.disabled = true;
  ASSERT_TRUE(store_->save_account("cli uid=0", after(1), account, "disabled"));
  ASSERT_TRUE(
      store_->save_account("cli uid=0", after(1), {"ana", "", Secret("h"), {}, false}, "created"));
  reopen();
  auto got = store_->account("dora");
  ASSERT_TRUE(got && *got);
  EXPECT_EQ((*got)->name, account.name);
  EXPECT_EQ((*got)->password_hash.reveal(), "$argon2id$v=19$x");
  EXPECT_EQ((*got)->groups, std::vector<std::string>{"dba"});
  EXPECT_TRUE((*got)->disabled);
  auto all = store_->accounts();
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].user, "ana");
  ASSERT_TRUE(store_->remove_account("cli uid=0", after(2), "dora"));
  EXPECT_EQ(*store_->account("dora") == std::nullopt, true);
  auto again = store_->remove_account("cli uid=0", after(3), "dora");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::not_found);

  auto records = store_->records(0, 10);
  ASSERT_EQ(records->size(), 4u);
  for (const auto& record : *records) {
    EXPECT_EQ(record.fact.kind, "account.changed");
    EXPECT_EQ(record.actor, "cli uid=0");
    EXPECT_EQ((record.fact.public_json + record.fact.personal_json).find("argon2"),
              std::string::npos);
  }
  auto last = decode(records->back().fact);
  ASSERT_TRUE(last);
  EXPECT_EQ(std::get<AccountChanged>(*last).what, "removed");
  EXPECT_EQ(std::get<AccountChanged>(*last).user, "dora");
  expect_good_chain(4);
}

ApiKey sample_key(const std::string& name, const std::string& secret) {
  ApiKey key;
  key.name = name;
  key.scopes = {KeyScope::plan_read, KeyScope::audit_read};
  key.from = {*Prefix::parse("198.51.100.0/24"), *Prefix::parse("2001:db8::/48")};
  key.created = kNoon;
  key.expires = after(60);
  key.hash = sha256(secret);
  return key;
}

TEST_P(FactStoreSuite, ApiKeysComeWithTheirFact) {
  auto key = sample_key("ci-plan", "one");
  ASSERT_TRUE(store_->save_key("cli uid=0", kNoon, key, "added"));
  key.hash = sha256("two");
  key.created = after(1);
  key.from.clear();
  ASSERT_TRUE(store_->save_key("cli uid=0", after(1), key, "rotated"));
  ASSERT_TRUE(store_->save_key("cli uid=0", after(1), sample_key("a-key", "three"), "added"));
  reopen();
  auto keys = store_->keys();
  ASSERT_TRUE(keys) << keys.error().text();
  ASSERT_EQ(keys->size(), 2u);
  EXPECT_EQ((*keys)[0].name, "a-key");
  EXPECT_EQ((*keys)[0].from, sample_key("", "").from);
  EXPECT_EQ((*keys)[1].name, "ci-plan");
  EXPECT_EQ((*keys)[1].scopes, key.scopes);
  EXPECT_TRUE((*keys)[1].from.empty());
  EXPECT_EQ((*keys)[1].created, after(1));
  EXPECT_EQ((*keys)[1].expires, after(60));
  EXPECT_EQ((*keys)[1].hash, sha256("two"));
  EXPECT_FALSE((*keys)[1].last_used);
  ASSERT_TRUE(store_->remove_key("cli uid=0", after(2), "ci-plan"));
  auto again = store_->remove_key("cli uid=0", after(3), "ci-plan");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::not_found);
  EXPECT_EQ(store_->keys()->size(), 1u);

  std::string what;
  auto records = store_->records(0, 10);
  for (const auto& record : *records) {
    auto fact = decode(record.fact);
    ASSERT_TRUE(fact);
    what += std::get<KeyChanged>(*fact).key + " " + std::get<KeyChanged>(*fact).what + ", ";
    EXPECT_EQ((record.fact.public_json + record.fact.personal_json).find(to_hex(sha256("two"))),
              std::string::npos);
  }
  EXPECT_EQ(what, "ci-plan added, ci-plan rotated, a-key added, ci-plan revoked, ");
  expect_good_chain(4);
}

TEST_P(FactStoreSuite, AUseOfAnApiKeyIsNotedWithoutARecord) {
  ASSERT_TRUE(store_->save_key("cli uid=0", kNoon, sample_key("ci-plan", "one"), "added"));
  ASSERT_TRUE(store_->note_key_used("ci-plan", after(5)));
  EXPECT_TRUE(store_->note_key_used("unknown", after(5)));
  reopen();
  auto keys = store_->keys();
  ASSERT_TRUE(keys);
  ASSERT_EQ(keys->size(), 1u);
  EXPECT_EQ((*keys)[0].last_used, after(5));
  expect_good_chain(1);
}

TEST_P(FactStoreSuite, APlanIsUsedOnce) {
  EXPECT_FALSE(*store_->plan_used("n1"));
  write(kNoon, {PlanUsed{"n1", "5be1"}});
  reopen();
  EXPECT_TRUE(*store_->plan_used("n1"));
  EXPECT_FALSE(*store_->plan_used("n2"));
}

// ---- one writer, many readers ----

TEST_P(FactStoreSuite, ASecondWriterIsRefusedAndTheHolderNamed) {
  auto second = GetParam().open(folder_.path(), Opening::writer);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::conflict);
  EXPECT_THAT(second.error().text(), ::testing::HasSubstr(std::to_string(getpid())));
  store_.reset();
  auto third = GetParam().open(folder_.path(), Opening::writer);
  EXPECT_TRUE(third);
}

TEST_P(FactStoreSuite, IsRestoredUntilSomebodySaysThatWorkGoesOn) {
  EXPECT_EQ(store_->restored()->has_value(), false);
  write(kNoon, {StoreRestored{after(-60), 41, "restore", ""}});
  write(after(1), {ControllerStarted{"1", ""}});
  reopen();
  auto restored = store_->restored();
  ASSERT_TRUE(restored && *restored);
  EXPECT_EQ((*restored)->since, kNoon);
  EXPECT_EQ((*restored)->taken, after(-60));
  EXPECT_EQ((*restored)->how, "restore");
  write(after(2), {StoreRecovered{3, "the disk was replaced"}});
  EXPECT_FALSE(*store_->restored());
  write(after(3), {StoreRestored{after(2), 44, "older-than-targets", "edge-fw: 2 entries"}});
  ASSERT_TRUE(*store_->restored());
  EXPECT_EQ((*store_->restored())->evidence, "edge-fw: 2 entries");
  expect_good_chain(4);
}

TEST_P(FactStoreSuite, AReaderSeesTheWriterAndCannotWrite) {
  write(kNoon, {ControllerStarted{"1", ""}});
  auto reader = GetParam().open(folder_.path(), Opening::reader);
  ASSERT_TRUE(reader) << reader.error().text();
  EXPECT_EQ(*(*reader)->head(), 1u);
  write(after(1), {SessionOpened{sample_session("s-1", "dora", "203.0.113.7", kNoon, after(60))}});
  EXPECT_EQ(*(*reader)->head(), 2u);
  EXPECT_EQ((*reader)->live_sessions(kNoon)->size(), 1u);
  EXPECT_TRUE((*reader)->verify({})->good);
  EXPECT_FALSE((*reader)->writable());
  std::vector<Fact> facts{ControllerStarted{"2", ""}};
  auto seq = (*reader)->append("cli", kNoon, facts);
  ASSERT_FALSE(seq);
  EXPECT_EQ(seq.error().kind, ErrorKind::unsupported);
  auto account =
      (*reader)->save_account("cli", kNoon, {"a", "", Secret("h"), {}, false}, "created");
  EXPECT_FALSE(account);
  EXPECT_FALSE((*reader)->save_key("cli", kNoon, sample_key("k", "s"), "added"));
  EXPECT_FALSE((*reader)->note_key_used("k", kNoon));
  EXPECT_FALSE((*reader)->save_policy(sample_policy("p1", "one")));
  EXPECT_EQ(*store_->head(), 2u);
}

TEST_P(FactStoreSuite, AReaderWorksWithoutAWriter) {
  write(kNoon, {ControllerStarted{"1", ""}});
  store_.reset();
  auto reader = GetParam().open(folder_.path(), Opening::reader);
  ASSERT_TRUE(reader) << reader.error().text();
  EXPECT_EQ(*(*reader)->head(), 1u);
}

TEST_P(FactStoreSuite, AReaderDoesNotMakeAStore) {
  TemporaryFolder empty;
  auto reader = GetParam().open(empty.path(), Opening::reader);
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().kind, ErrorKind::not_found);
}

// ---- kill -9 ----

/// What the child appends each time: four facts that belong together.
inline std::vector<Fact> one_story(std::uint64_t n) {
  auto id = "s-" + std::to_string(n);
  auto address = "10.0." + std::to_string(n / 250) + "." + std::to_string(n % 250);
  auto change = sample_change(Action::add, Reason::sign_in, address, "payroll", after(100'000));
  return {SessionOpened{sample_session(id, "dora", address, kNoon, after(100'000))},
          ChangeIntended{n, TargetName("edge-fw"), PolicyRevision("p1"), change},
          ChangeApplied{n, TargetName("edge-fw"), PolicyRevision("p1"), change},
          ControllerStarted{std::to_string(n), ""}};
}

/// Appends stories for ever; writes one byte to `out` after each append that returned.
[[noreturn]] inline void tell_stories(const FactStoreKind& kind, const std::string& folder,
                                      int out) {
  auto store = kind.open(folder, Opening::writer);
  if (!store) _exit(2);
  for (std::uint64_t n = *(*store)->head() / 4;; ++n) {
    auto facts = one_story(n);
    if (!(*store)->append("core", kNoon, facts)) _exit(3);
    if (::write(out, "x", 1) != 1) _exit(4);
  }
}

/// For stores that outlive the process that writes them.
class FactStoreDurability : public FactStoreSuite {};

TEST_P(FactStoreDurability, KilledAtAnyMomentItHoldsWholeAppendsOnly) {
  store_.reset();
  std::uint64_t told = 0;  // appends that returned, over all children
  for (int round = 0; round < 12; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(ends[0]);
      tell_stories(GetParam(), folder_.path(), ends[1]);
    }
    close(ends[1]);
    char byte;
    for (int i = 0; i < 1 + round * 7; ++i) {
      ASSERT_EQ(read(ends[0], &byte, 1), 1) << "the child could not append";
      ++told;
    }
    kill(child, SIGKILL);
    while (read(ends[0], &byte, 1) == 1) ++told;
    close(ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);

    {
      auto reader =
          GetParam().open(folder_.path(), Opening::reader);  // with nobody to tidy up first
      ASSERT_TRUE(reader) << reader.error().text();
      EXPECT_GE(*(*reader)->head() / 4, told);
    }
    reopen();
    auto head = store_->head();
    ASSERT_TRUE(head);
    EXPECT_EQ(*head % 4, 0u) << "half an append";
    EXPECT_GE(*head / 4, told) << "an append that returned is lost";
    EXPECT_EQ(store_->live_sessions(kNoon)->size(), *head / 4);
    EXPECT_EQ(applied().size(), *head / 4);
    EXPECT_TRUE(store_->open_intents()->empty());
    told = *head / 4;  // the last append may have been durable before it was told
    expect_good_chain(*head);
    store_.reset();
  }
}

}  // namespace knock::test
