// SPDX-License-Identifier: Apache-2.0
// How one target is run: what is dirty is taken, compared, written, recorded. Docs:
// docs/life-of-a-session.md.
#include <algorithm>

#include "base/log.h"
#include "reconciler/core/guard.h"
#include "reconciler/core/order.h"
#include "reconciler/loop/backoff.h"
#include "reconciler/loop/due.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {

/// Everything a run needs of the shared state, taken at once.
struct Reconciler::Run {
  std::shared_ptr<const Policy> policy;
  std::shared_ptr<const Policy> in_force;  // on this target
  std::vector<Session> sessions;
  std::vector<AppliedEntry> applied;
  bool acknowledged = false;
  bool leaving = false;
  Instant now;
};

void Reconciler::work(std::stop_token stop) {
  Lock lock(mutex_);
  while (!stop.stop_requested()) {
    TargetState* state = next_ready();
    if (state == nullptr) {
      work_ready_.wait(lock, stop, [&] { return (state = next_ready()) != nullptr; });
      if (state == nullptr) return;
    }
    run(*state, lock);
  }
}

/// Of the targets that wait and are free, the one that only a few addresses wait on comes first:
/// that is a person.
Reconciler::TargetState* Reconciler::next_ready() {
  if (policy_ == nullptr || stopping_) return nullptr;
  TargetState* found = nullptr;
  for (auto& [name, state] : targets_) {
    if (state->busy || !state->waits() || state->not_before) continue;
    if (!state->dirty) return state.get();
    if (found == nullptr) found = state.get();
  }
  return found;
}

void Reconciler::run(TargetState& state, Lock& lock) {
  state.busy = true;
  auto generation = state.status.generation;
  state.run_since = state.dirty_since;
  bool full = std::exchange(state.dirty, false);
  auto hosts = std::exchange(state.dirty_hosts, {});
  lock.unlock();

  Status result;
  if (!full && !host_run(state, hosts)) full = true;
  if (full) {
    result = full_run(state);
    // Somebody changed it while we looked: once more at once, then with a pause.
    if (!result && result.error().kind == ErrorKind::conflict) result = full_run(state);
  }

  lock.lock();
  if (result) {
    state.failures = 0;
    state.status.ready = state.status.synced = true;
    state.status.observed_generation = generation;
    state.status.problem.clear();
  } else {
    note_failure(state, result.error());
  }
  state.busy = false;
  bool gone = state.leaving && result && state.status.owned == 0 && state.status.held == 0;
  if (gone)
    targets_.erase(state.target.name);
  else if (state.waits() && !state.not_before)
    work_ready_.notify_one();
  settled_.notify_all();
}

void Reconciler::note_failure(TargetState& state, const Error& error) {
  bool closing_waits =
      std::any_of(state.applied.begin(), state.applied.end(),
                  [&](const auto& pair) { return pair.second.until <= clock_.now(); });
  ++state.failures;
  state.status.ready = state.status.synced = false;
  state.status.problem = error.text();
  state.view.reset();
  state.dirty = true;
  Duration wait =
      error.retry_after ? *error.retry_after : backoff(state.failures, closing_waits, random_);
  state.not_before = clock_.monotonic() + wait.chrono();
  wake_timer();
  log(LogLevel::warning, "target.failed",
      "A target could not be brought up to date; it is tried again.",
      {{"target", state.target.name.value},
       {"problem", error.text()},
       {"again_in", to_string(wait)}});
}

Reconciler::Run Reconciler::snapshot(TargetState& state, const std::set<IpAddress>* hosts) {
  Lock lock(mutex_);
  Run run;
  run.policy = policy_;
  run.in_force = state.in_force;
  run.leaving = state.leaving;
  run.acknowledged = !state.acknowledged.empty() && state.acknowledged == policy_->revision;
  run.now = clock_.now();
  if (hosts == nullptr) {
    for (const auto& [id, session] : live_) run.sessions.push_back(session);
    run.applied = state.applied_list();
    return run;
  }
  for (const IpAddress& address : *hosts) {
    auto [first, last] = by_address_.equal_range(address);
    for (auto it = first; it != last; ++it) run.sessions.push_back(live_.at(it->second));
    for (const Service& service : policy_->services) {
      auto entry = state.applied.find({service.name.value, Prefix::host(address)});
      if (entry != state.applied.end()) run.applied.push_back(entry->second);
    }
  }
  return run;
}

namespace {

/// What policy wants on one target; of a target that left the policy: nothing but the protection it
/// has.
Allowlist wanted(const std::vector<Allowlist>& lists, const TargetName& target, bool leaving,
                 const Structure& have) {
  if (!leaving)
    for (const Allowlist& list : lists)
      if (list.target == target) return list;
  Allowlist list;
  list.target = target;
  list.protect = have.protect;
  list.keep = have.keep;
  for (const auto& [slot, ports] : have.slots)
    list.services.push_back({ServiceName(slot), ports, {}});
  return list;
}

}  // namespace

/// Only some addresses, against what we know to stand there. False: read everything instead.
bool Reconciler::host_run(TargetState& state, const std::set<IpAddress>& hosts) {
  if (!state.provider || !state.view || state.leaving || hosts.size() > 64) return false;
  Run run = snapshot(state, &hosts);
  if (state.in_force != run.policy) return false;
  TargetPlan all;
  all.target = state.target.name;
  all.type = state.target.type;
  all.fence = state.view->fence;
  for (const IpAddress& address : hosts) {
    Prefix host = Prefix::host(address);
    auto lists = evaluate_host({*run.policy, run.sessions, run.now, settings_.keep}, address);
    auto desired = state.provider->canonicalize(
        wanted(lists, state.target.name, false, state.view->structure));
    Result<Observed> observed = state.view->host(host, run.now);
    std::vector<AppliedEntry> applied;
    for (const AppliedEntry& entry : run.applied)
      if (entry.prefix == host) applied.push_back(entry);
    auto planned = plan_target({state.target, *run.policy, state.capabilities, desired, nullptr,
                                observed, applied, run.now,
                                [this](const SessionId& id) { return ended(id); }, false, host});
    if (!planned.plan.held.empty()) return false;
    for (Change& change : planned.plan.changes) all.changes.push_back(std::move(change));
  }
  order(all.changes, state.view->structure);
  auto done = execute(state, run, all);
  return done.has_value();
}

void Reconciler::make_provider(TargetState& state) {
  auto made = factory_(state.target, [this](const TargetName& name) { target_moved(name); });
  Lock lock(mutex_);
  if (!made) {
    state.status.problem = made.error().text();
    return;
  }
  state.provider = std::move(*made);
  state.capabilities = state.provider->capabilities();
}

Status Reconciler::full_run(TargetState& state) {
  if (!state.provider) make_provider(state);
  if (!state.provider) return fail(ErrorKind::unavailable, state.status.problem);
  auto observed = state.provider->observe(Deadline::in(settings_.verb_deadline));
  // After the reading, so that a session that ended meanwhile is not opened again.
  Run run = snapshot(state, nullptr);
  if (observed) observed->at = run.now;  // lives are compared on one clock: ours
  Structure have = observed ? observed->structure : Structure();
  auto lists = evaluate({*run.policy, run.sessions, run.now, settings_.keep});
  auto desired = state.provider->canonicalize(wanted(lists, state.target.name, run.leaving, have));
  std::optional<Canonical> before;
  if (run.in_force != nullptr && run.in_force != run.policy)
    before = desired_on(*state.provider, state.target, *run.in_force, run.sessions, settings_.keep,
                        run.now);
  auto planned = plan_target({state.target, *run.policy, state.capabilities, desired,
                              before ? &*before : nullptr, observed, run.applied, run.now,
                              [this](const SessionId& id) { return ended(id); }, run.acknowledged,
                              std::nullopt});
  if (observed) settle_records(state, run, desired, *observed);
  {
    Lock lock(mutex_);
    if (observed) {
      state.view = TargetView::of(*observed);
      state.status.last_full_read = run.now;
      // ± 5 %, so that targets do not read in step.
      auto period = settings_.full_read_every.ms;
      auto jitter = std::int64_t(random_.next_u64() % std::uint64_t(period / 10 + 1)) - period / 20;
      state.next_full_read = clock_.monotonic() + std::chrono::milliseconds(period + jitter);
    }
    state.status.held = planned.plan.held.size();
    state.status.guards = planned.trips;
    state.status.findings = planned.plan.findings;
    state.status.drifted =
        std::any_of(planned.plan.changes.begin(), planned.plan.changes.end(),
                    [](const Change& change) { return change.reason == Reason::drift; });
  }
  auto done = execute(state, run, planned.plan);
  if (!observed) return fail_within("observe", observed);
  if (!done) return done;
  Lock lock(mutex_);
  state.in_force = run.policy;
  if (run.acknowledged) state.acknowledged = PolicyRevision();
  return {};
}

/// The log learns what a reading shows and no record says: a call that worked although its answer
/// was lost, an entry that ran out or was taken away and is not wanted back.
void Reconciler::settle_records(TargetState& state, const Run& run, const Canonical& desired,
                                const Observed& observed) {
  if (!observed.complete) return;
  std::vector<Fact> facts;
  std::vector<std::pair<TargetState::Key, std::optional<AppliedEntry>>> updates;
  std::map<TargetState::Key, const ObservedItem*> stands;
  for (const ObservedSlot& slot : observed.slots)
    for (const ObservedItem& item : slot.items)
      if (item.ours) stands.emplace(TargetState::Key{slot.name, item.prefix}, &item);
  std::map<TargetState::Key, const AppliedEntry*> known;
  for (const AppliedEntry& entry : run.applied)
    known.emplace(TargetState::Key{entry.slot, entry.prefix}, &entry);
  std::set<TargetState::Key> want;
  for (const Slot& slot : desired.slots)
    for (const Item& item : slot.items) {
      TargetState::Key key{slot.name, item.prefix};
      want.insert(key);
      auto at = stands.find(key);
      if (at == stands.end() || known.contains(key) || at->second->until != item.until) continue;
      Change change;
      change.action = Action::add;
      change.reason = Reason::sign_in;
      change.slot = slot.name;
      change.ports = slot.ports;
      change.prefix = item.prefix;
      change.until = item.until;
      change.causes = item.causes;
      change.detail = "found in place";
      facts.push_back(ChangeApplied{0, state.target.name, run.policy->revision, change});
      updates.push_back({key, AppliedEntry{state.target.name, slot.name, item.prefix, item.until,
                                           run.now, run.policy->revision, item.causes, 0}});
    }
  for (const auto& [key, entry] : known) {
    if (stands.contains(key) || want.contains(key)) continue;
    if (entry->until <= run.now) {
      facts.push_back(EntryExpired{state.target.name, entry->slot, entry->prefix, entry->until});
    } else {
      facts.push_back(DriftFound{state.target.name, entry->slot, entry->prefix,
                                 "removed by somebody else, and no longer wanted"});
      Change change;
      change.action = Action::remove;
      change.reason = Reason::drift;
      change.slot = entry->slot;
      change.prefix = entry->prefix;
      change.was_until = entry->until;
      change.causes = entry->causes;
      facts.push_back(ChangeApplied{0, state.target.name, run.policy->revision, change});
    }
    updates.push_back({key, std::nullopt});
  }
  if (facts.empty() || !record("core", facts)) return;
  Lock lock(mutex_);
  for (auto& [key, entry] : updates) {
    if (!entry)
      state.applied.erase(key);
    else {
      due_at({entry->until, {}, state.target.name, entry->slot, entry->prefix});
      state.applied[key] = std::move(*entry);
    }
  }
}

namespace {

bool opens(const Change& change) {
  return change.action == Action::add || change.action == Action::extend ||
         change.action == Action::unprotect;
}

std::vector<Fact> drift_facts(const TargetPlan& plan) {
  std::vector<Fact> facts;
  for (const Change& change : plan.changes)
    if (change.reason == Reason::drift || change.reason == Reason::orphan)
      facts.push_back(DriftFound{
          plan.target, change.slot, change.prefix,
          change.detail.empty() ? std::string(to_string(change.reason)) : change.detail});
  return facts;
}

}  // namespace

Status Reconciler::execute(TargetState& state, const Run& run, const TargetPlan& planned) {
  TargetPlan plan = planned;
  std::vector<Fact> facts = drift_facts(plan);
  std::erase_if(plan.changes, [](const Change& c) { return c.action == Action::report; });
  std::uint64_t batch;
  {
    Lock lock(mutex_);
    batch = next_batch_++;
  }
  for (const Change& change : plan.changes)
    facts.push_back(ChangeIntended{batch, plan.target, run.policy->revision, change});
  if (!record("core", facts))
    std::erase_if(plan.changes, opens);  // no record, no opening; closing goes on
  Structure structure =
      structure_after(state.view ? state.view->structure : Structure(), plan.changes);
  if (!plan.changes.empty()) {
    auto outcome =
        state.provider->apply(plan, structure, clock_.now(), Deadline::in(settings_.verb_deadline));
    if (!outcome) {
      std::vector<Fact> rejected;
      bool unknown = outcome.error().kind == ErrorKind::timeout;
      for (const Change& change : plan.changes)
        rejected.push_back(
            ChangeRejected{batch, plan.target, change, outcome.error().text(), unknown});
      (void)record("core", rejected);
      return fail_within("apply", outcome);
    }
    note_outcome(state, run, plan, batch, *outcome);
    for (std::size_t i = 0; i < outcome->steps.size(); ++i)
      if (outcome->steps[i].kind != StepOutcome::Kind::done)
        return fail(ErrorKind::unavailable, "apply: " + outcome->steps[i].why);
  }
  Lock lock(mutex_);
  if (!state.view) return {};
  state.status.owned = state.status.foreign = 0;
  for (const auto& [name, items] : state.view->slots)
    for (const auto& [prefix, item] : items)
      ++(item.ours ? state.status.owned : state.status.foreign);
  return {};
}

void Reconciler::measure(const TargetState& state, const Change& change) const {
  if (settings_.meter == nullptr) return;
  double seconds = std::chrono::duration<double>(clock_.monotonic() - state.run_since).count();
  if (change.action == Action::add && change.reason == Reason::sign_in)
    settings_.meter->granted(state.target.name, seconds);
  if (change.action == Action::remove &&
      (change.reason == Reason::sign_out || change.reason == Reason::revoked))
    settings_.meter->revoked(state.target.name, seconds);
}

void Reconciler::note_outcome(TargetState& state, const Run& run, const TargetPlan& plan,
                              std::uint64_t batch, const Outcome& outcome) {
  std::vector<Fact> facts;
  {
    Lock lock(mutex_);
    if (state.view) state.view->structure = structure_after(state.view->structure, plan.changes);
    for (std::size_t i = 0; i < plan.changes.size(); ++i) {
      const Change& change = plan.changes[i];
      StepOutcome step = i < outcome.steps.size() ? outcome.steps[i] : StepOutcome{};
      if (step.kind != StepOutcome::Kind::done) {
        facts.push_back(ChangeRejected{batch, plan.target, change, step.why,
                                       step.kind == StepOutcome::Kind::unknown});
        continue;
      }
      facts.push_back(ChangeApplied{batch, plan.target, run.policy->revision, change});
      measure(state, change);
      TargetState::Key key{change.slot, change.prefix};
      switch (change.action) {
        case Action::add:
        case Action::extend:
        case Action::shorten: {
          auto& entry = state.applied[key];
          bool again = change.action == Action::add && change.reason == Reason::drift;
          entry = {plan.target, change.slot,          change.prefix, *change.until,
                   run.now,     run.policy->revision, change.causes, again ? entry.readded + 1 : 0};
          due_at({*change.until, {}, plan.target, change.slot, change.prefix});
          if (state.view) {
            ObservedItem item;
            item.prefix = change.prefix;
            item.ours = true;
            item.until = change.until;
            state.view->slots[change.slot][change.prefix] = std::move(item);
          }
          break;
        }
        case Action::remove:
          state.applied.erase(key);
          if (state.view) state.view->slots[change.slot].erase(change.prefix);
          break;
        case Action::protect:
        case Action::unprotect:
        case Action::keep:
        case Action::reshape:
          if (state.view) state.view->exists = true;
          break;
        case Action::report:
          break;
      }
    }
    if (outcome.fence.empty())
      state.view.reset();
    else if (state.view)
      state.view->fence = outcome.fence;
    settled_.notify_all();
  }
  (void)record("core", facts);
}

}  // namespace knock
