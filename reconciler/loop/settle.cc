// SPDX-License-Identifier: Apache-2.0
// The log learns what a reading shows and no record says: calls whose answer was lost, entries that
// ran out or were taken away and are not wanted back, and who shares an entry by now.
#include <algorithm>

#include "base/failpoint.h"
#include "reconciler/loop/due.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {
namespace {

using Key = std::pair<std::string, Prefix>;

std::map<Key, const ObservedItem*> standing(const Observed& observed) {
  std::map<Key, const ObservedItem*> out;
  for (const ObservedSlot& slot : observed.slots)
    for (const ObservedItem& item : slot.items)
      if (item.ours) out.emplace(Key{slot.name, item.prefix}, &item);
  return out;
}

std::map<Key, const AppliedEntry*> by_key(const std::vector<AppliedEntry>& applied) {
  std::map<Key, const AppliedEntry*> out;
  for (const AppliedEntry& entry : applied) out.emplace(Key{entry.slot, entry.prefix}, &entry);
  return out;
}

bool same_cause(const Attribution& a, const Attribution& b) {
  return a.kind == b.kind && a.session == b.session && a.rule == b.rule;
}

/// True when every cause of `some` that has not ended by `now` is among `all`.
bool among(const std::vector<Attribution>& some, const std::vector<Attribution>& all, Instant now) {
  return std::all_of(some.begin(), some.end(), [&](const Attribution& one) {
    return one.until <= now || std::any_of(all.begin(), all.end(), [&](const Attribution& other) {
             return same_cause(one, other);
           });
  });
}

Change found(Action action, const Slot& slot, const Item& item, std::string detail) {
  Change change;
  change.action = action;
  bool session = std::any_of(item.causes.begin(), item.causes.end(), [](const Attribution& a) {
    return a.kind == Attribution::Kind::session;
  });
  change.reason = session ? Reason::sign_in : Reason::fixed;
  change.slot = slot.name;
  change.ports = slot.ports;
  change.prefix = item.prefix;
  change.until = item.until;
  change.causes = item.causes;
  change.lasts = item.lasts;
  change.come_by = item.come_by;
  change.detail = std::move(detail);
  return change;
}

/// True when the target looks as it does after this change.
bool happened(const ChangeIntended& intent, const Observed& observed,
              const std::map<Key, const ObservedItem*>& stands) {
  const Change& change = intent.change;
  const auto& closed = observed.structure.protect;
  auto at = stands.find({change.slot, change.prefix});
  switch (change.action) {
    case Action::add:
    case Action::extend:
    case Action::shorten:
      return at != stands.end() && at->second->until == change.until &&
             at->second->lasts == change.lasts && at->second->come_by == change.come_by;
    case Action::remove:
      return at == stands.end();
    case Action::protect:
      return subtract(change.ports, closed).empty();
    case Action::unprotect:
      return subtract(change.ports, closed) == change.ports;
    case Action::keep:
    case Action::reshape:
    case Action::report:
      return false;  // what stands now is compared anyway
  }
  return false;
}

}  // namespace

/// Before the comparison, so that it knows our own doing from other people's.
void Reconciler::settle_unanswered(TargetState& state, Run& run, const Observed& observed) {
  if (!observed.complete || run.unanswered.empty()) return;
  std::vector<Fact> facts;
  auto stands = standing(observed);
  for (const ChangeIntended& open : run.unanswered) {
    if (happened(open, observed, stands))
      facts.push_back(ChangeApplied{open.batch, open.target, open.policy, open.change});
    else
      facts.push_back(ChangeRejected{open.batch, open.target, open.change,
                                     "its answer was lost; a reading shows no effect", false});
  }
  KNOCK_FAILPOINT_SILENT("loop.before-answered");
  if (!record("core", facts)) return;
  KNOCK_FAILPOINT_SILENT("loop.after-answered");
  Lock lock(mutex_);
  for (const ChangeIntended& open : run.unanswered)
    if (happened(open, observed, stands)) note_done(state, run, open.change);
  state.unanswered.erase(state.unanswered.begin(),
                         state.unanswered.begin() + std::ptrdiff_t(run.unanswered.size()));
  run.applied = state.applied_list();
  run.tickets = state.tickets;
  run.protected_before = state.protected_before;
}

bool Reconciler::wants_ticket(const Run& run, const std::string& slot, const Item& item) {
  return std::any_of(item.causes.begin(), item.causes.end(), [&](const Attribution& cause) {
    return cause.lasts == Lasts::first_connection &&
           !run.tickets.had(slot, item.prefix, cause.session);
  });
}

/// What stands as it is wanted, while the records say something else or nothing.
void Reconciler::settle_standing(const Run& run, const std::vector<AppliedEntry>& applied,
                                 const Canonical& desired, const Observed& observed, Settled& out) {
  auto stands = standing(observed);
  auto known = by_key(applied);
  for (const Slot& slot : desired.slots)
    for (const Item& item : slot.items) {
      Key key{slot.name, item.prefix};
      auto at = stands.find(key);
      if (at == stands.end() || at->second->until != item.until ||
          at->second->lasts != item.lasts || at->second->come_by != item.come_by)
        continue;
      // Who shares it with a ticket of their own is given that by a change.
      if (item.lasts == Lasts::first_connection && wants_ticket(run, slot.name, item)) continue;
      auto record = known.find(key);
      bool fresh = record == known.end();
      if (!fresh && record->second->until == item.until &&
          among(item.causes, record->second->causes, run.now) &&
          among(record->second->causes, item.causes, run.now))
        continue;
      auto change = fresh
                        ? found(Action::add, slot, item, "found in place")
                        : found(Action::extend, slot, item, "found in place, or shared by others");
      out.facts.push_back(ChangeApplied{0, run.target.name, run.policy->revision, change});
      AppliedEntry entry{run.target.name, slot.name, item.prefix,
                         item.until,      run.now,   run.policy->revision,
                         item.causes,     0};
      if (!fresh) {
        entry.since = record->second->since;
        entry.readded = record->second->readded;
      }
      out.updates.emplace_back(std::move(key), std::move(entry));
    }
}

void Reconciler::settle_records(TargetState& state, const Run& run, const Canonical& desired,
                                const Observed& observed) {
  Settled out;
  settle_standing(run, run.applied, desired, observed, out);
  auto stands = standing(observed);
  std::set<Key> want;
  for (const Slot& slot : desired.slots)
    for (const Item& item : slot.items) want.emplace(slot.name, item.prefix);
  for (const AppliedEntry& entry : run.applied) {
    Key key{entry.slot, entry.prefix};
    if (stands.contains(key) || want.contains(key)) continue;
    if (entry.until <= run.now) {
      out.facts.push_back(EntryExpired{state.name, entry.slot, entry.prefix, entry.until});
    } else {
      out.facts.push_back(DriftFound{state.name, entry.slot, entry.prefix,
                                     "gone without a record of ours, and no longer wanted"});
      Change change;
      change.action = Action::remove;
      change.reason = Reason::drift;
      change.slot = entry.slot;
      change.prefix = entry.prefix;
      change.was_until = entry.until;
      change.causes = entry.causes;
      out.facts.push_back(ChangeApplied{0, state.name, run.policy->revision, change});
    }
    out.updates.emplace_back(std::move(key), std::nullopt);
  }
  write_settled(state, std::move(out));
}

void Reconciler::write_settled(TargetState& state, Settled settled) {
  if (settled.facts.empty()) return;
  KNOCK_FAILPOINT_SILENT("loop.before-settle");
  if (!record("core", settled.facts)) return;
  KNOCK_FAILPOINT_SILENT("loop.after-settle");
  Lock lock(mutex_);
  for (auto& [key, entry] : settled.updates) {
    if (!entry) {
      state.applied.erase(key);
      state.refused.erase(key);
      continue;
    }
    due_at({entry->until, {}, state.name, entry->slot, entry->prefix});
    state.applied[key] = std::move(*entry);
  }
}

}  // namespace knock
