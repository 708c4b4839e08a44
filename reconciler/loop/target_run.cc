// SPDX-License-Identifier: Apache-2.0
// How one target is run: what is dirty is taken, compared, written (execute.cc), recorded. Docs:
// docs/life-of-a-session.md.
#include <algorithm>
#include <tuple>

#include "base/failpoint.h"
#include "base/log.h"
#include "reconciler/core/capacity.h"
#include "reconciler/core/cost.h"
#include "reconciler/core/order.h"
#include "reconciler/loop/backoff.h"
#include "reconciler/loop/due.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {

std::string Reconciler::account_of(const Target& target) const {
  return settings_.account_of ? settings_.account_of(target) : "target " + target.name.value;
}

/// Gives a target its place in the queue. With the mutex.
void Reconciler::enqueue(TargetState& state) {
  state.key = queue_.add(account_of(state.target), {}, clock_.monotonic());
  if (by_key_.size() <= state.key) by_key_.resize(state.key + 1);
  by_key_[state.key] = &state;
}

/// With the mutex.
void Reconciler::note_capabilities(TargetState& state, const Capabilities& capabilities) {
  state.capabilities = capabilities;
  queue_.move(state.key, account_of(state.made_for),
              {capabilities.calls_per_second, capabilities.burst}, clock_.monotonic());
}

std::optional<WorkQueue::Taken> Reconciler::take() {
  if (policy_ == nullptr || stopping_) return std::nullopt;
  return queue_.take(clock_.monotonic());
}

/// After anything that may have made a target ready: workers and timer must know. With the mutex.
void Reconciler::keep_up() {
  auto now = clock_.monotonic();
  queue_.advance(now);
  if (auto next = queue_.next_at(now); next && *next < timer_wakes_) wake_timer();
  if (!queue_.ready(now)) return;
  if (idle_ == 0 && !alone() && !stopping_ &&
      threads_.size() < 1 + settings_.workers + settings_.workers_aside)
    threads_.emplace_back([this](std::stop_token stop) { work(stop); });
  work_ready_.notify_one();
}

void Reconciler::work(std::stop_token stop) {
  Lock lock(mutex_);
  while (!stop.stop_requested()) {
    auto taken = take();
    if (!taken) {
      ++idle_;
      work_ready_.wait(lock, stop, [&] { return (taken = take()).has_value(); });
      --idle_;
      if (!taken) return;
    }
    keep_up();  // somebody else may take the next
    run(*taken, lock);
  }
}

bool Reconciler::run_one() {
  Lock lock(mutex_);
  auto taken = take();
  if (taken) run(*taken, lock);
  return taken.has_value();
}

namespace {

/// The account's doing rather than this target's.
WorkQueue::End end_of(const Status& result) {
  if (result) return {};
  WorkQueue::End end{false, false, {}};
  switch (result.error().kind) {
    case ErrorKind::unauthorized:
    case ErrorKind::unavailable:
    case ErrorKind::timeout:
      end.of_account = true;
      break;
    case ErrorKind::rate_limited:
      end.of_account = true;
      if (result.error().retry_after)
        end.retry_after = std::min(*result.error().retry_after, kLongestRetryAfter);
      break;
    case ErrorKind::invalid:
    case ErrorKind::not_found:
    case ErrorKind::conflict:
    case ErrorKind::unsupported:
    case ErrorKind::internal:
      break;
  }
  return end;
}

}  // namespace

void Reconciler::run(const WorkQueue::Taken& taken, Lock& lock) {
  TargetState& state = *by_key_[taken.key];
  auto generation = state.status.generation;
  state.run_since = taken.since;
  bool full = std::exchange(state.dirty, false);
  auto hosts = std::exchange(state.dirty_hosts, {});
  std::vector<Fact> moved;
  auto old_provider = change_place(state, moved);
  lock.unlock();
  old_provider.reset();  // before there is another one for the same place
  if (!moved.empty()) {
    KNOCK_FAILPOINT_SILENT("loop.before-moved");
    (void)record("core", moved);
    KNOCK_FAILPOINT_SILENT("loop.after-moved");
  }

  Status result;
  if (full || !host_run(state, hosts)) {
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
    note_failure(state, taken, result.error());
  }
  queue_.done(taken.key, end_of(result), clock_.monotonic(), random_);
  auto gone = forget_if_drained(state, result.has_value());
  keep_up();
  settled_.notify_all();
  if (!gone) return;
  lock.unlock();
  gone.reset();  // its provider may have a thread that is calling us just now
  lock.lock();
}

/// A target that left the policy is forgotten when nothing of ours stands there any more, or when it
/// never worked and no record knows of anything.
std::unique_ptr<Reconciler::TargetState> Reconciler::forget_if_drained(TargetState& state,
                                                                       bool good) {
  if (!state.leaving) return nullptr;
  bool drained = false;
  if (good && state.view && state.status.held == 0) {
    state.view->count(state.status);
    drained = state.status.owned == 0 || (state.target.on_remove == OnRemove::orphan &&
                                          state.whole && state.unanswered.empty());
  }
  // Nothing of another installation's is ours to drain.
  drained = drained || state.custody.alarmed_owner;
  bool never = state.provider == nullptr && state.applied.empty() && state.unanswered.empty();
  if (!drained && !never) return nullptr;
  protection_[state.name] = state.protected_before;
  custody_[state.name] = state.custody;
  queue_.remove(state.key);
  return std::move(targets_.extract(TargetName(state.name)).mapped());
}

/// Policy wants this target elsewhere, or with other settings: it gets a new provider. What stands
/// at another place becomes a target of its own, that is leaving. Returns the provider that is not
/// needed any more.
std::unique_ptr<Provider> Reconciler::change_place(TargetState& state, std::vector<Fact>& facts) {
  if (state.leaving || same_settings(state.made_for, state.target)) return nullptr;
  Target before = std::exchange(state.made_for, state.target);
  state.view.reset();
  state.refused.clear();
  if (same_place(before, state.target)) return std::move(state.provider);
  auto in_force = std::exchange(state.in_force, nullptr);
  for (const ChangeIntended& open : std::exchange(state.unanswered, {}))
    facts.push_back(ChangeRejected{open.batch, open.target, open.change,
                                   "the target stands elsewhere from now on", false});
  if (auto ports = std::exchange(state.protected_before, {}); !ports.empty())
    facts.push_back(no_longer_known(state.name, policy_->revision, ports));
  if (state.provider == nullptr && state.applied.empty()) return nullptr;

  TargetName name(state.name.value + " (former place)");
  for (int i = 2; targets_.contains(name); ++i)
    name = TargetName(state.name.value + " (former place " + std::to_string(i) + ")");
  before.name = name;
  before.on_remove = OnRemove::drain;  // it does not leave the policy
  auto former = std::make_unique<TargetState>(name, before);
  former->leaving = true;
  former->provider = std::move(state.provider);
  enqueue(*former);
  note_capabilities(*former, state.capabilities);
  former->in_force = in_force;
  former->tickets = std::exchange(state.tickets, {});
  for (auto& [key, entry] : std::exchange(state.applied, {})) {
    Change change;
    change.reason = Reason::policy;
    change.slot = entry.slot;
    change.prefix = entry.prefix;
    change.causes = entry.causes;
    change.detail = "the target stands elsewhere from now on";
    change.action = Action::remove;
    change.was_until = entry.until;
    facts.push_back(ChangeApplied{0, state.name, policy_->revision, change});
    change.action = Action::add;
    change.was_until.reset();
    change.until = entry.until;
    facts.push_back(ChangeApplied{0, name, policy_->revision, change});
    due_at({entry.until, {}, name, entry.slot, entry.prefix});
    AppliedEntry there = entry;
    there.target = name;
    former->applied.emplace(key, std::move(there));
  }
  log(LogLevel::warning, "target.place-changed",
      "A target stands elsewhere from now on; what it has at its former place is drained.",
      {{"target", state.name.value}, {"former", name.value}});
  mark(*targets_.emplace(name, std::move(former)).first->second, std::nullopt, Urgency::policy);
  return nullptr;
}

void Reconciler::note_failure(TargetState& state, const WorkQueue::Taken& taken,
                              const Error& error) {
  // What was to be closed has not been.
  bool closes = taken.closing || queue_.closing(state.key) || state.must_close;
  if (!state.capabilities.native_expiry)
    closes =
        closes || std::any_of(state.applied.begin(), state.applied.end(),
                              [&](const auto& pair) { return pair.second.until <= clock_.now(); });
  ++state.failures;
  state.half_done = false;
  state.status.ready = state.status.synced = false;
  state.status.problem = error.text();
  if (state.view) state.view->count(state.status);
  state.view.reset();
  state.dirty = true;
  queue_.mark(state.key, closes ? Urgency::close : taken.urgency, taken.since);
  Duration wait = backoff(state.failures, closes, random_);
  if (error.retry_after)
    wait = std::clamp(*error.retry_after, wait, std::max(wait, kLongestRetryAfter));
  queue_.not_before(state.key, clock_.monotonic() + wait.chrono());
  if (stopping_) return;
  log(LogLevel::warning, "target.failed",
      "A target could not be brought up to date; it is tried again.",
      {{"target", state.name.value}, {"problem", error.text()}, {"again_in", to_string(wait)}});
}

/// Of sessions that are over: they are wanted nowhere. With the mutex.
void Reconciler::forget_tickets(TargetState& state) {
  auto over = [&](const SessionId& id) { return !live_.contains(id); };
  for (auto& [key, sessions] : state.tickets.given) std::erase_if(sessions, over);
  std::erase_if(state.tickets.given, [](const auto& pair) { return pair.second.empty(); });
  std::erase_if(state.tickets.perhaps, over);
}

Reconciler::Run Reconciler::snapshot(TargetState& state, const std::set<IpAddress>* hosts) {
  Lock lock(mutex_);
  Run run;
  run.target = state.target;
  run.misplaced = !state.leaving && !same_settings(state.made_for, state.target);
  run.policy = policy_on(state);
  run.in_force = state.in_force;
  run.returning = run.policy != policy_ && run.in_force != run.policy;
  run.adopted = state.adopted;
  if (state.tripped_for == run.policy) run.tripped = state.status.guards;
  run.leaving = state.leaving;
  run.custody = state.custody;
  run.stopping = stopping_;
  run.paused = pause_of(state.name) != nullptr;
  if (state.acknowledged_for == run.policy) run.acknowledged = state.acknowledged;
  run.now = clock_.now();
  if (hosts == nullptr) {
    for (const auto& [id, session] : live_) run.sessions.push_back(session);
    run.operators = operators_among(settings_.operators, run.sessions, run.now);
    run.applied = state.applied_list();
    run.protected_before = state.protected_before;
    run.unanswered = state.unanswered;
    forget_tickets(state);
    run.tickets = state.tickets;
    return run;
  }
  run.tickets.perhaps = state.tickets.perhaps;
  std::set<SessionId> ids;
  for (const IpAddress& address : *hosts) {
    ids.merge(near(address));
    for (const Service& service : run.policy->services) {
      auto entry = state.applied.find({service.name.value, Prefix::host(address)});
      if (entry != state.applied.end()) run.applied.push_back(entry->second);
      auto had = state.tickets.given.find({service.name.value, Prefix::host(address)});
      if (had != state.tickets.given.end()) run.tickets.given.insert(*had);
    }
  }
  run.sessions = sessions_of(ids);
  return run;
}

std::function<bool(const std::string&, const Prefix&, const SessionId&)> Reconciler::had_ticket_in(
    const Run& run) {
  return [&run](const std::string& slot, const Prefix& prefix, const SessionId& session) {
    return run.tickets.had(slot, prefix, session);
  };
}

/// Only some addresses, against what we know to stand there. False: read everything instead.
bool Reconciler::host_run(TargetState& state, const std::set<IpAddress>& hosts) {
  if (!state.provider || !state.view || hosts.size() > 64) return false;
  // Where there is little room, one address is not judged alone.
  auto room = room_of(state.target, state.capabilities);
  if (room.limited() && !state.no_room.empty()) return false;
  Run run = snapshot(state, &hosts);
  if (run.leaving || run.stopping || run.misplaced || run.in_force != run.policy || run.adopted ||
      run.custody.pending())
    return false;
  TargetPlan all;
  all.target = state.name;
  all.type = run.target.type;
  all.fence = state.view->fence;
  Settled settled;
  std::size_t additions = 0;
  for (const IpAddress& address : hosts) {
    Prefix host = Prefix::host(address);
    auto lists = evaluate_host({*run.policy, run.sessions, run.now, settings_.keep}, address);
    auto desired = state.provider->canonicalize(list_for(lists, state.name));
    Result<Observed> observed = state.view->host(host, run.now, state.capabilities.native_expiry);
    std::vector<AppliedEntry> applied;
    for (const AppliedEntry& entry : run.applied)
      if (entry.prefix == host) applied.push_back(entry);
    TargetPlanInput input{
        run.target, *run.policy, state.capabilities,
        desired,    nullptr,     observed,
        applied,    run.now,     [this](const SessionId& id) { return ended(id); },
        false,      host,        run.sessions};
    input.had_ticket = had_ticket_in(run);
    input.paused = run.paused;
    input.stewardship = run.custody.stewardship(run.target, run.leaving);
    auto planned = plan_target(input);
    if (!planned.plan.held.empty()) return false;
    additions += std::size_t(
        std::count_if(planned.plan.changes.begin(), planned.plan.changes.end(),
                      [](const Change& change) { return change.action == Action::add; }));
    settle_standing(run, applied, desired, *observed, settled);
    for (Change& change : planned.plan.changes) all.changes.push_back(std::move(change));
  }
  if (room.limited() && additions > 0 && state.view->entries() + additions > room.sessions)
    return false;
  order(all.changes, state.view->structure);
  auto done = execute(state, run, all);
  write_settled(state, std::move(settled));
  if (done) state.whole = *done == Done::all;
  return done.has_value();
}

Status Reconciler::make_provider(TargetState& state) {
  Target target;
  {
    Lock lock(mutex_);
    target = state.made_for;
  }
  auto made =
      factory_(target, [this, name = state.name](const TargetName&) { target_moved(name); });
  if (!made) return fail_within("target " + state.name.value, made);
  auto capabilities = (*made)->capabilities();
  Lock lock(mutex_);
  state.provider = std::move(*made);
  note_capabilities(state, capabilities);
  return {};
}

namespace {

/// A yes covers what it was said to, and no more.
bool covered(const std::set<std::string>& acknowledged, const std::vector<Change>& held) {
  return !acknowledged.empty() && std::all_of(held.begin(), held.end(), [&](const Change& change) {
    return acknowledged.contains(held_line(change));
  });
}

}  // namespace

PlannedTarget Reconciler::plan_run(const TargetState& state, const Run& run,
                                   const Canonical& desired,
                                   const Result<Observed>& observed) const {
  std::optional<Canonical> before;
  bool another = run.in_force != nullptr && run.in_force != run.policy;
  if (!run.leaving) {
    std::vector<Allowlist> other;
    if (another) other = evaluate({*run.in_force, run.sessions, run.now, settings_.keep});
    before = desired_before(*state.provider, state.name, another ? &other : nullptr, desired,
                            run.applied, observed, {run.policy->guards, run.adopted, run.sessions});
  }
  auto plan = [&](bool acknowledged) {
    TargetPlanInput input{run.target,
                          *run.policy,
                          state.capabilities,
                          desired,
                          before ? &*before : nullptr,
                          observed,
                          run.applied,
                          run.now,
                          [this](const SessionId& id) { return ended(id); },
                          acknowledged,
                          std::nullopt,
                          run.sessions,
                          run.protected_before,
                          {},
                          another ? &run.in_force->guards : nullptr,
                          run.tripped};
    input.had_ticket = had_ticket_in(run);
    // Going back is what a confirmation that did not come means: nobody's pause keeps it.
    input.paused = run.paused && !run.returning;
    input.stewardship = run.custody.stewardship(run.target, run.leaving);
    input.operators = run.operators;
    input.returning = run.returning;
    return plan_target(input);
  };
  auto planned = plan(false);
  if (!planned.plan.held.empty() && covered(run.acknowledged, planned.plan.held)) return plan(true);
  return planned;
}

/// What a run that stopped for want of calls has read is not read, and paid for, again.
Result<Observed> Reconciler::read(TargetState& state) {
  {
    Lock lock(mutex_);
    state.from_memory = std::exchange(state.half_done, false) && state.view;
    if (state.from_memory) return state.view->whole(clock_.now(), state.capabilities.native_expiry);
    auto calls = calls_to_read(state.capabilities, state.status.owned + state.status.foreign);
    queue_.spend(state.key, calls, clock_.monotonic());
  }
  KNOCK_FAILPOINT("loop.before-observe");
  auto found = state.provider->observe(Deadline::in(settings_.verb_deadline));
  KNOCK_FAILPOINT("loop.after-observe");
  return found;
}

Status Reconciler::full_run(TargetState& state) {
  if (stopping()) return fail(ErrorKind::unavailable, "the controller is stopping");
  if (!state.provider) KNOCK_CHECK(make_provider(state));
  Instant asked = clock_.now();
  auto observed = read(state);
  // After the reading, so that a session that ended meanwhile is not opened again.
  Run run = snapshot(state, nullptr);
  if (run.stopping) return fail(ErrorKind::unavailable, "the controller is stopping");
  if (run.misplaced) return {};
  // Lives are compared on one clock: ours. A slow reading counted them somewhere between.
  if (observed) observed->at = std::clamp(observed->at, asked, std::max(asked, run.now));
  KNOCK_CHECK(settle_custody(state, run, observed));
  if (observed) settle_unanswered(state, run, *observed);
  std::vector<Allowlist> lists;
  if (!run.leaving) lists = evaluate({*run.policy, run.sessions, run.now, settings_.keep});
  Structure have = observed ? observed->structure : Structure();
  auto desired = state.provider->canonicalize(run.leaving ? leaving_list(state.name, have)
                                                          : list_for(lists, state.name));
  bool whole = observed && observed->complete;
  auto planned = whole && run.custody.releasing ? plan_release(state, run, *observed)
                                                : plan_run(state, run, desired, observed);
  if (whole) {
    settle_records(state, run, desired, *observed);
    note_reading(state, run, *observed, planned);
  } else {
    Lock lock(mutex_);
    state.view.reset();
  }
  note_reports(state, planned.plan);
  note_closings(state, planned.plan);
  Status asked_for;  // of what a pause puts off nothing is applied yet
  if (planned.postponed == 0) asked_for = ask_confirmation(state, run, planned.plan);
  auto done = execute(state, run, planned.plan);
  if (!observed) return fail_within("observe", observed);
  KNOCK_CHECK(done);
  note_done_with(state, *done);
  KNOCK_CHECK(asked_for);
  if (!whole)
    return fail(ErrorKind::unavailable,
                "observe: only a part could be read; what was not seen may be open");
  look_for_confirmation(state);
  Lock lock(mutex_);
  if (planned.plan.held.empty() && planned.postponed == 0 && *done == Done::all) {
    state.in_force = run.policy;
    state.adopted.reset();
  }
  if (run.acknowledged == state.acknowledged) state.acknowledged.clear();
  if (*done == Done::all && planned.postponed == 0) finish_custody(state, run);
  return {};
}

/// What the plan wants closed at once: until that is done a failure is tried again soon.
void Reconciler::note_closings(TargetState& state, const TargetPlan& plan) {
  Lock lock(mutex_);
  state.whole = false;
  state.must_close =
      std::any_of(plan.changes.begin(), plan.changes.end(), [](const Change& change) {
        return change.step == Step::close_now && change.action != Action::report;
      });
}

void Reconciler::note_done_with(TargetState& state, Done done) {
  Lock lock(mutex_);
  state.whole = done == Done::all;
  if (state.whole) state.must_close = false;
}

/// What a whole reading says about the target.
void Reconciler::note_reading(TargetState& state, const Run& run, const Observed& observed,
                              const PlannedTarget& planned) {
  Lock lock(mutex_);
  state.view = TargetView::of(observed);
  if (state.from_memory) return note_plan(state, run, planned);
  state.status.last_full_read = run.now;
  // ± 5 %, so that targets do not read in step.
  auto period = settings_.full_read_every.ms;
  auto jitter = std::int64_t(random_.next_u64() % std::uint64_t(period / 10 + 1)) - period / 20;
  state.next_full_read = clock_.monotonic() + std::chrono::milliseconds(period + jitter);
  wake_timer();
  note_plan(state, run, planned);
}

/// With the mutex.
void Reconciler::note_plan(TargetState& state, const Run& run, const PlannedTarget& planned) {
  state.status.held = planned.plan.held.size();
  state.status.guards = planned.trips;
  state.tripped_for = planned.trips.empty() ? nullptr : run.policy;
  state.status.findings = planned.plan.findings;
  alarm_surge(state, planned.plan, run.now);
  state.status.drifted =
      std::any_of(planned.plan.changes.begin(), planned.plan.changes.end(),
                  [](const Change& change) { return change.reason == Reason::drift; });
}

}  // namespace knock
