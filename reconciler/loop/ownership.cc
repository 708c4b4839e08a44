// SPDX-License-Identifier: Apache-2.0
// Whose a target is, in the loop: what a reading says of it, what people say and are shown before,
// and what is done about it. The rules: reconciler/core/ownership.h.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/log.h"
#include "base/text.h"
#include "reconciler/loop/borrowed.h"
#include "reconciler/loop/custody.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {
namespace {

using Fate = OwnershipEntry::Fate;

std::size_t count_foreign(const Observed& observed) {
  std::size_t n = 0;
  for (const ObservedSlot& slot : observed.slots)
    n +=
        std::size_t(std::ranges::count_if(slot.items, [](const auto& item) { return !item.ours; }));
  return n;
}

std::size_t count_unknown(const Observed& observed) {
  std::size_t n = 0;
  for (const ObservedSlot& slot : observed.slots)
    n += std::size_t(std::ranges::count_if(
        slot.items, [](const auto& item) { return item.mark == ObservedItem::Mark::unknown; }));
  return n;
}

std::set<std::pair<std::string, Prefix>> wanted_keys(const Canonical& desired) {
  std::set<std::pair<std::string, Prefix>> out;
  for (const Slot& slot : desired.slots)
    for (const Item& item : slot.items) out.emplace(slot.name.get(), item.prefix);
  return out;
}

OwnershipEntry entry_of(const Observed& observed, const ObservedSlot& slot,
                        const ObservedItem& item, Fate fate) {
  OwnershipEntry out;
  out.fate = fate;
  out.slot = slot.name;
  if (auto at = observed.structure.slots.find(slot.name); at != observed.structure.slots.end())
    out.ports = at->second;
  out.prefix = item.prefix;
  out.comment = item.comment;
  out.left = item.left;
  return out;
}

/// What becomes of one entry that is not ours.
Fate fate_of(OwnershipAct act, const ObservedItem& item, bool wanted) {
  if (item.mark == ObservedItem::Mark::unknown) return Fate::left_alone;
  switch (act) {
    case OwnershipAct::adopt:
      return wanted ? Fate::marked : Fate::left_alone;
    case OwnershipAct::exclusive:
      return wanted ? Fate::marked : Fate::goes;
    case OwnershipAct::take_over:
      if (item.mark != ObservedItem::Mark::other_owner) return Fate::left_alone;
      return wanted ? Fate::marked : Fate::goes;
    case OwnershipAct::release:
      return Fate::left_alone;
  }
  return Fate::left_alone;
}

std::string owner_of(const Change& change) {
  std::vector<std::string> names;
  for (const Attribution& cause : change.causes)
    if (std::ranges::find(names, cause.who) == names.end()) names.push_back(cause.who);
  return join(names, ", ");
}

}  // namespace

// ---- in a run ----

bool Reconciler::observed_only(const TargetState& state) {
  return ownership_now(state.target, state.custody.stewardship(state.target, state.leaving)) ==
         Ownership::observe;
}

Status Reconciler::belongs_to_another(TargetState& state, const Run& run,
                                      const Observed& observed) {
  Lock lock(mutex_);
  state.view.reset();
  state.status.owned = 0;
  state.status.foreign = count_foreign(observed);
  state.status.findings = ownership_findings(run.target, {}, state.capabilities, observed);
  auto owner = *observed.other_owner;
  if (state.custody.alarmed_owner != owner) {
    state.custody.alarmed_owner = owner;
    log(LogLevel::error, "target.other-owner",
        "A target belongs to another installation: nothing is written there.",
        {{"target", state.name.value}, {"owner", owner.to_string()}});
  }
  return fail(ErrorKind::invalid,
              "belongs to the installation " + owner.to_string() +
                  ": nothing is written there; two controllers on one firewall undo each other's "
                  "work. Give this target a table of its own, or, when that installation is gone "
                  "for good, run `knock adopt --take-over " +
                  state.name.value + "`");
}

/// What a reading says about whose the target is, before anything is compared. May read again.
Status Reconciler::settle_custody(TargetState& state, Run& run, Result<Observed>& observed) {
  if (!observed || !observed->complete) return {};
  if (observed->other_owner && run.custody.taking == observed->other_owner) {
    TargetPlan plan;
    plan.target = state.name;
    plan.type = run.target.type;
    plan.fence = observed->fence;
    plan.take_over = observed->other_owner;
    auto deadline = Deadline::in(settings_.verb_deadline);
    auto taken = state.provider->apply(plan, observed->structure, clock_.now(), deadline);
    if (!taken) return fail_within("take over", taken);
    observed = state.provider->observe(Deadline::in(settings_.verb_deadline));
    if (!observed) return fail_within("observe", observed);
  }
  if (observed->other_owner) return belongs_to_another(state, run, *observed);
  alarm_marks(state, *observed);
  return settle_exclusive(state, run, *observed);
}

void Reconciler::alarm_marks(TargetState& state, const Observed& observed) {
  Lock lock(mutex_);
  state.custody.alarmed_owner.reset();
  auto unknown = count_unknown(observed);
  if (unknown > state.custody.alarmed_marks)
    log(LogLevel::error, "target.unknown-mark",
        "Entries carry a mark of a version that this knock does not know; they are left alone.",
        {{"target", state.name.value}, {"entries", std::to_string(unknown)}});
  state.custody.alarmed_marks = unknown;
}

/// A container that policy calls exclusive is ours as a whole once nothing foreign is in it, and no
/// more when policy says something else.
Status Reconciler::settle_exclusive(TargetState& state, Run& run, const Observed& observed) {
  auto place = place_of(state.made_for);
  bool here = run.custody.place == place;
  bool wanted = !run.leaving && run.target.ownership == Ownership::exclusive &&
                !(here && run.custody.released);
  bool is = here && run.custody.exclusive;
  if (wanted == is || (wanted && count_foreign(observed) > 0)) return {};
  OwnershipChanged said{state.name, wanted ? "exclusive" : "shared", place, {}, "", 0};
  if (!record("core", {said})) return {};
  Lock lock(mutex_);
  note_ownership(state.custody, said);
  run.custody = state.custody;
  return {};
}

PlannedTarget Reconciler::plan_release(const TargetState& state, const Run& run,
                                       const Observed& observed) const {
  PlannedTarget out;
  out.plan.target = state.name;
  out.plan.type = run.target.type;
  out.plan.fence = observed.fence;
  out.plan.changes = release_changes(state.name, observed, run.applied, run.now);
  out.plan.writes = out.plan.changes.size();
  return out;
}

/// What was said is carried out. With the mutex.
void Reconciler::finish_custody(TargetState& state, const Run& run) {
  if (!run.custody.pending()) return;
  for (const auto& key : run.custody.adopting) state.custody.adopting.erase(key);
  if (state.custody.taking == run.custody.taking) state.custody.taking.reset();
  if (!run.custody.releasing) return;
  state.custody.releasing = false;
  state.view.reset();
  mark(state, std::nullopt, Urgency::policy);
}

// ---- what people say ----

Result<OwnershipPlan> Reconciler::ownership_plan(const TargetName& name, OwnershipAct act) {
  auto policy = this->policy();
  if (policy == nullptr) return fail(ErrorKind::not_found, "no policy is in force");
  const Target* target = policy->target(name);
  if (target == nullptr) {
    std::vector<std::string> names;
    for (const Target& one : policy->targets) names.push_back(one.name.value);
    auto meant = did_you_mean(name.value, names);
    return fail(ErrorKind::not_found, "the policy in force has no target " + printable(name.value) +
                                          (meant ? "; did you mean " + *meant + "?" : ""));
  }
  if (act == OwnershipAct::exclusive && target->ownership != Ownership::exclusive)
    return fail(ErrorKind::invalid,
                "the policy in force says ownership: " + std::string(to_string(target->ownership)) +
                    " of " + name.value + "; have it say `ownership: exclusive` first");
  Borrowed borrowed{*this, NewTargets::read, {}, {}, {}};
  auto observed = observe_for_plan(*target, borrowed);
  if (!observed) return fail_within("target " + name.value, observed);
  if (!observed->complete)
    return fail(ErrorKind::unavailable, "only a part of " + name.value + " could be read");
  Provider& provider = *borrowed.provider(name);
  OwnershipPlan out;
  out.target = name;
  out.act = act;
  out.place = place_of(*target);
  out.type = target->type;
  out.closes_by_itself = provider.capabilities().native_expiry;
  if (act == OwnershipAct::take_over) {
    if (!observed->other_owner)
      return fail(ErrorKind::invalid, name.value + " belongs to no other installation");
    out.former = *observed->other_owner;
  } else if (observed->other_owner) {
    return fail(ErrorKind::invalid,
                name.value + " belongs to the installation " + observed->other_owner->to_string() +
                    "; when that one is gone for good, run `knock adopt --take-over " + name.value +
                    "`");
  }
  auto lists = evaluate({*policy, live_sessions(), clock_.now(), settings_.keep});
  auto wanted = wanted_keys(provider.canonicalize(list_for(lists, name)));
  for (const ObservedSlot& slot : observed->slots)
    for (const ObservedItem& item : slot.items)
      if (!item.ours)
        out.entries.push_back(
            entry_of(*observed, slot, item,
                     fate_of(act, item, wanted.contains({slot.name.get(), item.prefix}))));
  if (act == OwnershipAct::release) KNOCK_CHECK(add_released(*observed, out));
  std::ranges::sort(out.entries, {}, [](const OwnershipEntry& one) {
    return std::tie(one.fate, one.slot, one.prefix);
  });
  out.id = ownership_id(out);
  return out;
}

Status Reconciler::add_released(const Observed& observed, OwnershipPlan& out) const {
  KNOCK_ASSIGN(auto applied, store_.applied(out.target));
  for (const Change& change : release_changes(out.target, observed, applied, clock_.now())) {
    OwnershipEntry entry;
    entry.fate = change.released ? Fate::stays : Fate::goes;
    entry.slot = change.slot;
    entry.ports = change.ports;
    entry.prefix = change.prefix;
    entry.until = change.until;
    entry.who = owner_of(change);
    for (const ObservedSlot& slot : observed.slots)
      if (slot.name == change.slot)
        for (const ObservedItem& item : slot.items)
          if (item.prefix == change.prefix) entry.left = item.left;
    out.entries.push_back(std::move(entry));
  }
  return {};
}

Status Reconciler::change_ownership(const Actor& actor, const TargetName& name, OwnershipAct act,
                                    std::string_view plan_id) {
  KNOCK_ASSIGN(auto plan, ownership_plan(name, act));
  if (plan_id.size() < 12 || !to_hex(plan.id).starts_with(plan_id))
    return fail(ErrorKind::conflict, "that names another plan than what would be done now (" +
                                         to_hex(plan.id).substr(0, 16) + "); look at it again");
  static constexpr std::string_view kWords[] = {"adopted", "exclusive", "taken-over", "released"};
  auto fate = act == OwnershipAct::release     ? Fate::stays
              : act == OwnershipAct::exclusive ? Fate::goes
                                               : Fate::marked;
  OwnershipChanged said{name,
                        std::string(kWords[std::size_t(act)]),
                        plan.place,
                        plan.former,
                        to_hex(plan.id),
                        plan.count(fate)};
  KNOCK_CHECK(record(actor, {said}));
  log(LogLevel::warning, "target.ownership", "Somebody said what may be done with a target.",
      {{"actor", actor}, {"target", name.value}, {"what", said.what}});
  Lock lock(mutex_);
  auto at = targets_.find(name);
  if (at == targets_.end()) return fail(ErrorKind::not_found, "the target is gone meanwhile");
  Custody& custody = at->second->custody;
  note_ownership(custody, said);
  if (act == OwnershipAct::take_over) custody.taking = plan.former;
  custody.releasing = act == OwnershipAct::release;
  for (const OwnershipEntry& entry : plan.entries)
    if (act == OwnershipAct::adopt && entry.fate == Fate::marked)
      custody.adopting.emplace(entry.slot, entry.prefix);
  mark_at_once(*at->second, Urgency::policy);
  return {};
}

std::string Reconciler::wait_for_ownership(const TargetName& name, Deadline deadline) const {
  Lock lock(mutex_);
  auto over = [&] {
    auto at = targets_.find(name);
    if (stopping_ || at == targets_.end()) return true;
    return still(*at->second) && (!at->second->custody.pending() || at->second->failures > 0);
  };
  bool done = settled_.wait_until(lock, deadline.at, over);
  auto at = targets_.find(name);
  if (at == targets_.end()) return "";
  if (!at->second->status.problem.empty()) return at->second->status.problem;
  return done ? "" : "it is not done yet; look at `knock status`";
}

}  // namespace knock
