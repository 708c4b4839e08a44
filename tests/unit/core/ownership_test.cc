// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/ownership.h"

#include <fmt/format.h>

#include "reconciler/core/diff.h"
#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

using Mark = ObservedItem::Mark;
const Duration kHour = Duration::hours(1);

ObservedItem theirs(const char* where, Mark mark = Mark::none) {
  ObservedItem out;
  out.prefix = prefix(where);
  out.mark = mark;
  out.handle = "theirs";
  return out;
}
ObservedItem ours(const char* where, Duration left = kHour) {
  ObservedItem out;
  out.prefix = prefix(where);
  out.ours = true;
  out.until = kNow + left;
  out.left = left;
  return out;
}
AppliedEntry record(const char* where, std::vector<Attribution> causes) {
  return {
      kTarget,           "ssh", prefix(where), kNow + kHour, kNow - kHour, PolicyRevision("rev"),
      std::move(causes), 0};
}

Observed reading(std::vector<ObservedItem> items) {
  Observed out;
  out.slots = {{"ssh", std::move(items)}};
  out.structure.slots["ssh"] = ports("tcp/22");
  out.exists = true;
  out.at = kNow;
  return out;
}

std::string text(const std::vector<Change>& changes) {
  std::string out;
  for (const Change& change : changes)
    out += fmt::format("{} {} {}{}: {}\n", to_string(change.action), to_string(change.reason),
                       change.prefix.to_string(), change.released ? " released" : "",
                       change.detail.get());
  return out;
}

// ---- what is not ours, in the comparison

struct ForeignRow {
  const char* name;
  Mark mark = Mark::none;
  bool wanted = false, owns = false, adopted = false;
  const char* change;  // action, reason and detail
};

const char* const kAlone = "report foreign 192.0.2.7/32: foreign, left alone\n";
const char* const kTomorrow =
    "report foreign 192.0.2.7/32: carries a mark of a version we do not know, left alone\n";
const char* const kOthers =
    "report foreign 192.0.2.7/32: carries the mark of another installation, left alone\n";
const char* const kWarned =
    "report foreign 192.0.2.7/32: the same address is open by somebody else's entry: its deadline "
    "is not ours to enforce\n";
const char* const kGoes = "remove drift 192.0.2.7/32: added out of band\n";
const char* const kTaken = "add sign-in 192.0.2.7/32: stood there without our mark, marked now\n";

const ForeignRow kForeignRows[] = {
    {"shared, not wanted", Mark::none, false, false, false, kAlone},
    {"shared, wanted", Mark::none, true, false, false, kWarned},
    {"shared, wanted and adopted", Mark::none, true, false, true, kTaken},
    {"shared, adopted and not wanted", Mark::none, false, false, true, kAlone},
    {"shared, another installation's", Mark::other_owner, false, false, false, kOthers},
    {"shared, another installation's, wanted", Mark::other_owner, true, false, false, kWarned},
    {"shared, of tomorrow", Mark::unknown, false, false, false, kTomorrow},
    {"shared, of tomorrow, adopted", Mark::unknown, true, false, true, kWarned},
    {"ours as a whole, not wanted", Mark::none, false, true, false, kGoes},
    {"ours as a whole, wanted", Mark::none, true, true, false, kTaken},
    {"ours as a whole, another installation's", Mark::other_owner, false, true, false, kGoes},
    {"ours as a whole, of tomorrow", Mark::unknown, false, true, false, kTomorrow},
    {"ours as a whole, of tomorrow, wanted", Mark::unknown, true, true, false, kWarned},
};

TEST(Ownership, WhatBecomesOfForeignEntries) {
  for (const ForeignRow& row : kForeignRows) {
    SCOPED_TRACE(row.name);
    Canonical desired;
    desired.slots = {{"ssh", ports("tcp/22"), {}}};
    if (row.wanted)
      desired.slots[0].items = {
          {prefix("192.0.2.7"), kNow + kHour, std::vector{by_session("ana")}}};
    desired.structure.slots["ssh"] = ports("tcp/22");
    auto observed = reading({theirs("192.0.2.7", row.mark)});
    Capabilities capabilities;
    DiffInput input{kTarget, capabilities, desired, nullptr, observed, {}, kNow, {}, {}, {}};
    input.owns_container = row.owns;
    std::set<std::pair<std::string, Prefix>> adopted{{"ssh", prefix("192.0.2.7")}};
    if (row.adopted) input.adopted = &adopted;
    auto changes = diff(input);
    EXPECT_EQ(text(changes), row.change);
    for (const Change& change : changes)
      if (change.action != Action::report)
        EXPECT_EQ(change.handle.get(), "theirs") << "by its own name, or a twin would go";
  }
}

TEST(Ownership, ASlotWithForeignEntriesGoesOnlyFromAContainerThatIsOurs) {
  for (bool owns : {false, true})
    for (auto mark : {Mark::none, Mark::unknown}) {
      Canonical desired;
      auto observed = reading({theirs("192.0.2.7", mark)});
      Capabilities capabilities;
      DiffInput input{kTarget, capabilities, desired, nullptr, observed, {}, kNow, {}, {}, {}};
      input.owns_container = owns;
      bool goes = false;
      for (const Change& change : diff(input)) goes = goes || change.action == Action::reshape;
      EXPECT_EQ(goes, owns && mark == Mark::none);
    }
}

// ---- observe

TEST(Ownership, NothingIsDoneToWhatIsObserved) {
  std::vector<Change> changes{entry(Action::add, Reason::sign_in, "192.0.2.1"),
                              entry(Action::extend, Reason::fixed, "192.0.2.2"),
                              entry(Action::shorten, Reason::policy, "192.0.2.3"),
                              entry(Action::remove, Reason::drift, "192.0.2.4"),
                              entry(Action::remove, Reason::expiry, "192.0.2.5"),
                              entry(Action::remove, Reason::revoked, "192.0.2.6"),
                              entry(Action::protect, Reason::policy, "0.0.0.0/0"),
                              entry(Action::report, Reason::foreign, "192.0.2.7")};
  auto endless = ours("192.0.2.5");
  endless.left.reset();
  auto longer = ours("192.0.2.6");
  longer.left = kHour + kHour;
  Capabilities counts;
  counts.native_expiry = true;
  auto observed = changes;
  only_observe(
      observed, counts,
      reading({ours("192.0.2.3"), ours("192.0.2.4"), ours("192.0.2.5"), ours("192.0.2.6")}));
  for (const Change& change : observed) EXPECT_EQ(change.action, Action::report);
  EXPECT_EQ(observed[0].detail.get(), "observed only: would be added");
  EXPECT_EQ(observed[7].detail.get(), "");
  auto meddled = changes;
  only_observe(meddled, counts, reading({ours("192.0.2.4"), endless, longer}));
  EXPECT_EQ(meddled[4].action, Action::remove) << "somebody took its timer away";
  EXPECT_EQ(meddled[5].action, Action::remove) << "somebody made its timer longer";
  EXPECT_EQ(meddled[3].action, Action::report);
  auto unread = changes;
  only_observe(unread, counts, Observed());
  EXPECT_EQ(unread[4].action, Action::remove) << "nobody knows that anything else closes it";
  EXPECT_EQ(unread[0].action, Action::report);
  auto uncounted = changes;
  only_observe(uncounted, Capabilities(), reading({ours("192.0.2.5")}));
  EXPECT_EQ(uncounted[4].action, Action::remove) << "whatever a marker says";
}

// ---- what leaves the policy

TEST(Ownership, WhatIsLeftBehindEndsByItselfOrIsOfStaticEntriesAlone) {
  auto left = [](std::vector<Attribution> causes, Reason reason, bool native) {
    auto change = entry(Action::remove, reason, "192.0.2.1");
    change.causes = std::move(causes);
    std::vector<Change> changes{change};
    auto item = ours("192.0.2.1");
    if (!native) item.left.reset();
    Capabilities counts;
    counts.native_expiry = true;
    leave_standing(changes, counts, reading({item}));
    return changes[0].action;
  };
  for (bool native : {false, true}) {
    EXPECT_EQ(left({by_session("ana")}, Reason::revoked, native), Action::remove);
    EXPECT_EQ(left({by_rule("probes")}, Reason::expiry, native), Action::remove);
    EXPECT_EQ(left({}, Reason::orphan, native), Action::remove);
    EXPECT_EQ(left({by_rule("probes")}, Reason::policy, native), Action::report);
  }
  EXPECT_EQ(left({by_session("ana")}, Reason::policy, true), Action::report);
  EXPECT_EQ(left({by_session("ana")}, Reason::policy, false), Action::remove);
  EXPECT_EQ(left({by_session("ana"), by_rule("probes")}, Reason::policy, false), Action::remove);
  EXPECT_EQ(left({}, Reason::policy, false), Action::remove) << "nobody knows whose it is";
}

TEST(Ownership, AReleaseKeepsWhatStaticEntriesCauseAndNothingElse) {
  auto observed = reading({ours("192.0.2.1"), ours("192.0.2.2"), ours("192.0.2.3"),
                           ours("192.0.2.4"), theirs("192.0.2.5")});
  std::vector<AppliedEntry> applied{
      record("192.0.2.1", {by_session("ana")}),
      record("192.0.2.2", {by_rule("probes", Duration::minutes(30))}),
      record("192.0.2.3", {by_session("ana"), by_rule("probes", Duration::minutes(30))})};
  auto changes = release_changes(kTarget, observed, applied, kNow);
  std::map<std::string, std::string> fate;
  for (const Change& change : changes)
    fate[change.prefix.to_string()] =
        change.released ? "stays " + to_string(*change.until - kNow) : "goes";
  EXPECT_EQ(fate, (std::map<std::string, std::string>{{"192.0.2.1/32", "goes"},
                                                      {"192.0.2.2/32", "stays 30m"},
                                                      {"192.0.2.3/32", "stays 30m"},
                                                      {"192.0.2.4/32", "goes"}}));
}

// ---- what is said

std::string ids(const Target& target, const Stewardship& stewardship, const Observed& observed,
                bool native = true) {
  Capabilities capabilities;
  capabilities.native_expiry = native;
  std::string out;
  for (const Finding& finding : ownership_findings(target, stewardship, capabilities, observed))
    out += finding.id + " ";
  return out;
}

TEST(Ownership, WhatAPersonIsTold) {
  Target target;
  target.name = kTarget;
  auto both = reading({ours("192.0.2.1"), theirs("192.0.2.2")});
  EXPECT_EQ(ids(target, {}, both), "");
  target.ownership = Ownership::exclusive;
  EXPECT_EQ(ids(target, {}, both), "target.not-adopted ");
  EXPECT_EQ(ids(target, {}, reading({ours("192.0.2.1")})), "");
  Stewardship whole;
  whole.exclusive = true;
  EXPECT_EQ(ids(target, whole, both), "");
  target.ownership = Ownership::observe;
  EXPECT_EQ(ids(target, {}, both), "target.observed target.observed-own ");
  EXPECT_EQ(ids(target, {}, reading({theirs("192.0.2.2")})), "target.observed ");
  target.ownership = Ownership::shared;
  Stewardship released;
  released.released = true;
  EXPECT_EQ(ids(target, released, reading({})), "target.observed ");
  Stewardship orphaned;
  orphaned.orphaned = true;
  EXPECT_EQ(ids(target, orphaned, both), "target.orphaned ");
  EXPECT_EQ(ids(target, orphaned, reading({})), "");
  EXPECT_EQ(
      ids(target, {},
          reading({theirs("192.0.2.2", Mark::unknown), theirs("192.0.2.3", Mark::other_owner)})),
      "target.unknown-mark target.other-mark ");
  auto others = both;
  others.other_owner = OwnerId{7};
  EXPECT_EQ(ids(target, whole, others), "target.other-owner ");
}

}  // namespace
}  // namespace knock::test
