// SPDX-License-Identifier: Apache-2.0
// Sessions, policy and the pool. How one target is run: target_run.cc; what time ends: timer.cc.
#include "reconciler/loop/reconciler.h"

#include <algorithm>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/sha256.h"
#include "reconciler/loop/backoff.h"
#include "reconciler/loop/due.h"
#include "reconciler/loop/target_state.h"

namespace knock {

Reconciler::Reconciler(FactStore& store, const Clock& clock, Random& random,
                       ProviderFactory factory, ReconcilerSettings settings)
    : store_(store),
      clock_(clock),
      random_(random),
      factory_(std::move(factory)),
      settings_(std::move(settings)),
      queue_({settings_.workers > 0 ? settings_.workers : WorkQueue::Settings().workers,
              settings_.workers_aside}) {}

Reconciler::~Reconciler() { stop(); }

Status Reconciler::start() {
  KNOCK_ASSIGN(auto head, store_.head());
  KNOCK_ASSIGN(auto sessions, store_.live_sessions(clock_.now()));
  KNOCK_ASSIGN(auto open, store_.open_intents());
  KNOCK_ASSIGN(auto confirmations, store_.confirmations());
  std::map<TargetName, Custody> custody;
  std::map<TargetName, TargetPause> pauses;
  std::set<TargetName> known_by_log;
  KNOCK_ASSIGN(auto protection, protection_by_log(store_, [&](const Record& record) -> Status {
                 KNOCK_CHECK(note_pause(pauses, record));
                 KNOCK_CHECK(note_target(known_by_log, record));
                 return note_ownership(custody, record);
               }));
  Lock lock(mutex_);
  // A batch writes at least one record, so numbers are never used twice.
  next_batch_ = head + 1;
  for (const ChangeIntended& intent : open) next_batch_ = std::max(next_batch_, intent.batch + 1);
  open_intents_ = std::move(open);
  protection_ = std::move(protection);
  custody_ = std::move(custody);
  for (Confirmation& one : confirmations) confirmations_.emplace(one.target, one);
  suspects_.restore(sessions);
  pauses_ = std::move(pauses);
  known_by_log_ = std::move(known_by_log);
  for (const auto& [name, pause] : pauses_) due_at({pause.until, {}, name, "", {}});
  for (Session& session : sessions) {
    due_at({session.expires, session.id, {}, {}, {}});
    add_live(session);
  }
  for (std::size_t i = 0; i < settings_.workers; ++i)
    threads_.emplace_back([this](std::stop_token stop) { work(stop); });
  if (!alone()) threads_.emplace_back([this](std::stop_token stop) { keep_time(stop); });
  return {};
}

void Reconciler::stop() {
  {
    Lock lock(mutex_);
    stopping_ = true;
    for (auto& thread : threads_) thread.request_stop();
    work_ready_.notify_all();
    time_changed_.notify_all();
    settled_.notify_all();
  }
  threads_.clear();  // joins; nobody adds one from now on
  std::map<TargetName, std::unique_ptr<TargetState>> targets;
  {
    Lock lock(mutex_);
    // A plan may still be reading.
    settled_.wait(lock, [&] {
      return alone() || std::none_of(targets_.begin(), targets_.end(),
                                     [&](const auto& pair) { return busy(*pair.second); });
    });
    targets.swap(targets_);
  }
  // Here, without the mutex, providers are destroyed: one may be calling back just now.
}

bool Reconciler::stopping() const {
  Lock lock(mutex_);
  return stopping_;
}

// ---- policy ----

void Reconciler::resume(std::shared_ptr<const Policy> policy, bool run) {
  auto adopted = replaced_another(store_, policy->revision);
  Lock lock(mutex_);
  policy_ = std::move(policy);
  policy_changed();
  make_targets(*policy_);
  for (auto& [name, state] : targets_) {
    stays_in_force(*state, adopted);
    if (run) mark_at_once(*state, Urgency::policy);
  }
  take_up_leaving();
}

Status Reconciler::adopt(const Actor& actor, const AdoptedPolicy& adopted,
                         std::shared_ptr<const Policy> policy, std::vector<Fact> together) {
  auto before = this->policy();
  KNOCK_ASSIGN(auto stored, store_.adopted_policy());
  if (stopping()) return fail(ErrorKind::unavailable, "the controller is stopping");
  KNOCK_FAILPOINT("policy.before-save");
  KNOCK_CHECK(store_.save_policy(adopted));
  KNOCK_FAILPOINT("policy.after-save");
  // Adopted by an earlier process already: what that one held back is no first adoption's.
  bool again = before == nullptr && stored && stored->revision == adopted.revision;
  std::vector<Fact> facts{PolicyAdopted{adopted.revision,
                                        before ? before->revision : PolicyRevision(),
                                        adopted.author, adopted.subject, ""}};
  for (Fact& fact : together) facts.push_back(std::move(fact));
  auto replaced = again ? replaced_another(store_, adopted.revision) : std::nullopt;
  if (!again)
    for (Fact& fact : forget_protection(*policy)) facts.push_back(std::move(fact));
  KNOCK_CHECK(record(actor, facts));
  KNOCK_FAILPOINT("policy.after-adopt");
  Lock lock(mutex_);
  policy_ = std::move(policy);
  policy_changed();
  make_targets(*policy_);
  for (auto& [name, state] : targets_) {
    if (again)
      stays_in_force(*state, replaced);
    else
      try_again(*state);
    mark_at_once(*state, Urgency::policy);
  }
  take_up_leaving();
  return {};
}

std::shared_ptr<const Policy> Reconciler::policy() const {
  Lock lock(mutex_);
  return policy_;
}

/// An earlier process had this target under the same policy.
void Reconciler::stays_in_force(TargetState& state, std::optional<Instant> adopted) {
  state.in_force = policy_;
  state.adopted = adopted;
  if (auto known = protection_.extract(state.name)) state.protected_before = known.mapped();
}

/// Of a name that is new to the policy the log tells of an earlier life, perhaps at another place.
std::vector<Fact> Reconciler::forget_protection(const Policy& policy) {
  Lock lock(mutex_);
  std::vector<Fact> facts;
  for (const Target& target : policy.targets)
    if (!targets_.contains(target.name))
      if (auto known = protection_.extract(target.name); known && !known.mapped().empty())
        facts.push_back(no_longer_known(target.name, policy.revision, known.mapped()));
  return facts;
}

void Reconciler::make_targets(const Policy& policy) {
  for (auto& [name, state] : targets_)
    if (policy.target(name) == nullptr) state->leaving = true;
  for (const Target& target : policy.targets) {
    auto& state = targets_[target.name];
    if (state == nullptr) {
      state = std::make_unique<TargetState>(target.name, target);
      enqueue(*state);
      if (auto known = custody_.extract(target.name)) state->custody = std::move(known.mapped());
      restore_confirmation(*state);
      read_records(*state);
    }
    state->leaving = false;
    state->target = target;
    state->status.type = target.type;
  }
}

void Reconciler::read_records(TargetState& state) {
  for (const ChangeIntended& intent : open_intents_)
    if (intent.target == state.name) state.unanswered.push_back(intent);
  std::erase_if(open_intents_,
                [&](const ChangeIntended& intent) { return intent.target == state.name; });
  auto applied = store_.applied(state.name);
  if (!applied) {
    log(LogLevel::error, "loop.records-unreadable", "The records of a target cannot be read.",
        {{"target", state.name.value}, {"problem", applied.error().text()}});
    give_no_tickets(state);
    return;
  }
  for (AppliedEntry& entry : *applied) {
    due_at({entry.until, {}, state.name, entry.slot, entry.prefix});
    state.applied.emplace(TargetState::Key{entry.slot, entry.prefix}, std::move(entry));
  }
  read_tickets(state);
}

/// Of sessions that live: what they were given is not given again.
void Reconciler::read_tickets(TargetState& state) {
  if (live_.empty()) return;
  Instant since = Instant::max();
  for (const auto& [id, session] : live_) since = std::min(since, session.created);
  auto tickets = tickets_given(store_, state.name, since);
  if (tickets) {
    state.tickets = std::move(*tickets);
    return;
  }
  log(LogLevel::error, "loop.records-unreadable", "The records of a target cannot be read.",
      {{"target", state.name.value}, {"problem", tickets.error().text()}});
  give_no_tickets(state);
}

/// Whoever is signed in may have had theirs; who signs in from now on has not.
void Reconciler::give_no_tickets(TargetState& state) {
  for (const auto& [id, session] : live_) state.tickets.perhaps.insert(id);
}

// ---- sessions ----

Result<Session> Reconciler::open_session(const Actor& actor, Session session) {
  // Hexadecimal: people type ids, and one that begins with '-' reads as a flag.
  if (session.id.empty()) session.id = SessionId(to_hex(sha256(random_.token(32))).substr(0, 32));
  session.created = clock_.now();
  session.expires = session.expires.floor_to_second();
  std::sort(session.groups.begin(), session.groups.end());
  session.groups.erase(std::unique(session.groups.begin(), session.groups.end()),
                       session.groups.end());
  if (session.expires <= session.created)
    return fail(ErrorKind::invalid, "a session must end after it begins");
  KNOCK_FAILPOINT("session.before-open");
  KNOCK_CHECK(record(actor, {SessionOpened{session}}));
  KNOCK_FAILPOINT_SILENT("session.after-open");
  Lock lock(mutex_);
  add_live(session);
  due_at({session.expires, session.id, {}, {}, {}});
  mark_touched(session, false);
  return session;
}

Status Reconciler::end_session(const Actor& actor, const SessionId& id, EndCause cause,
                               const std::string& reason) {
  SessionEnd end{clock_.now(), cause};
  {
    Lock lock(mutex_);
    auto at = live_.find(id);
    if (at == live_.end()) return fail(ErrorKind::not_found, "no live session " + id.value);
    Session session = drop_live(at);
    note_ended(id, cause);
    mark_touched(session, true);  // closing does not wait for the record
  }
  Fact fact = SessionEnded{id, end, reason};
  auto written = [&]() -> Status {
    KNOCK_FAILPOINT("session.before-end");
    KNOCK_CHECK(record(actor, {fact}));
    KNOCK_FAILPOINT_SILENT("session.after-end");
    return {};
  }();
  if (written) return {};
  Lock lock(mutex_);
  unwritten_.emplace_back(actor, std::move(fact));
  return written;
}

void Reconciler::note_ended(const SessionId& id, EndCause cause) {
  constexpr std::size_t most = 65'536;
  if (!ended_.emplace(id, cause).second) return;
  ended_order_.push_back(id);
  if (ended_order_.size() <= most) return;
  ended_.erase(ended_order_.front());
  ended_order_.pop_front();
}

std::vector<Session> Reconciler::live_sessions() const {
  Lock lock(mutex_);
  std::vector<Session> out;
  Instant now = clock_.now();
  for (const auto& [id, session] : live_)
    if (session.live_at(now)) out.push_back(session);
  return out;
}

std::optional<Session> Reconciler::live_session(const SessionId& id) const {
  Lock lock(mutex_);
  auto at = live_.find(id);
  if (at == live_.end() || !at->second.live_at(clock_.now())) return std::nullopt;
  return at->second;
}

std::optional<EndCause> Reconciler::ended(const SessionId& id) const {
  {
    Lock lock(mutex_);
    if (live_.contains(id)) return std::nullopt;
    if (auto at = ended_.find(id); at != ended_.end()) return at->second;
  }
  auto session = store_.session(id);
  if (!session || !*session) return std::nullopt;
  if ((*session)->end) return (*session)->end->cause;
  if ((*session)->expires <= clock_.now()) return EndCause::expired;
  return std::nullopt;
}

// ---- views ----

void Reconciler::note_ticket(const TargetState& state, const Session& session, const Reach& reach,
                             SessionOnTarget& row) {
  if (reach.lasts != Lasts::first_connection) return;
  row.given = state.tickets.had(reach.service.value, reach.prefix, session.id);
  if (!row.given || !state.view) return;
  auto slot = state.view->slots.find(reach.service.value);
  if (slot == state.view->slots.end()) return;
  auto item = slot->second.find(reach.prefix);
  row.used = item != slot->second.end() && item->second.ticket == ObservedItem::Ticket::used;
}

std::vector<SessionOnTarget> Reconciler::where_locked(const Session& session) const {
  std::vector<SessionOnTarget> out;
  if (policy_ == nullptr) return out;
  std::vector<Session> others;
  if (coupling_.by_person || coupling_.by_address) {
    std::set<SessionId> ids = near(session.address);
    add_person(session.principal, ids);
    others = sessions_of(ids);
  }
  for (const Reach& reach : reach_of(*policy_, session, {clock_.now(), others, {}})) {
    const Service* service = policy_->service(reach.service);
    for (const TargetName& name : service->targets) {
      SessionOnTarget row{name, reach.service, reach.until, false, "", reach.lasts, reach.come_by};
      auto at = targets_.find(name);
      if (at != targets_.end()) {
        const TargetState& state = *at->second;
        auto entry = state.entry_around(reach.service.value, session.address, reach.prefix);
        bool refused = state.refused.contains({reach.service.value, reach.prefix});
        note_ticket(state, session, reach, row);
        row.observed_only = observed_only(state);
        row.open = !refused && entry != state.applied.end() && entry->second.until > clock_.now();
        if (row.open)
          row.until = std::min(row.until, entry->second.until);
        else
          row.problem = row.given && !waits(state) && !busy(state)
                            ? "its one connection was given already; for another, sign in again"
                        : row.observed_only
                            ? "this target is observed only: nothing is opened there"
                        : refused ? "closed by the firewall's administrator; to ask for it again, "
                                    "sign in again"
                                  : why_not_open(state, *service, reach.prefix);
      }
      out.push_back(std::move(row));
    }
  }
  return out;
}

std::vector<SessionOnTarget> Reconciler::where(const Session& session) const {
  Lock lock(mutex_);
  return where_locked(session);
}

std::vector<SessionOnTarget> Reconciler::wait_open(const Session& session,
                                                   Deadline deadline) const {
  Lock lock(mutex_);
  auto all_open = [&] {
    auto rows = where_locked(session);
    return stopping_ || std::all_of(rows.begin(), rows.end(), [](const SessionOnTarget& r) {
             return r.open || r.observed_only;
           });
  };
  settled_.wait_until(lock, deadline.at, all_open);
  return where_locked(session);
}

bool Reconciler::wait_settled(Deadline deadline) const {
  Lock lock(mutex_);
  return settled_.wait_until(lock, deadline.at, [&] {
    return stopping_ || std::all_of(targets_.begin(), targets_.end(),
                                    [&](const auto& pair) { return still(*pair.second); });
  });
}

std::vector<TargetStatus> Reconciler::targets() const {
  Lock lock(mutex_);
  std::vector<TargetStatus> out;
  for (const auto& [name, state] : targets_) {
    TargetStatus status = state->status;
    if (state->view) state->view->count(status);
    for (Finding& finding : half_open_at(*state)) status.findings.push_back(std::move(finding));
    status.synced = status.synced && !waits(*state);
    if (const TargetConfirm& confirm = state->confirm; confirm.now)
      status.confirmation =
          ConfirmationStatus{*confirm.now, confirm.probe.has_value(), confirm.problem};
    auto monotonic = clock_.monotonic();
    if (auto at = queue_.waits_until(state->key, monotonic)) {
      auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(*at - monotonic);
      status.next_try = clock_.now() + Duration{std::max<std::int64_t>(0, wait.count())};
    }
    if (auto at = queue_.account_waits_until(state->key, monotonic)) {
      auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(*at - monotonic);
      status.account_waits_until = clock_.now() + Duration{wait.count()};
    }
    status.flapping = state->flapping;
    // One reading may fail; two in a row are news.
    status.stale = !status.last_full_read ? state->failures > 0
                                          : clock_.now() - *status.last_full_read >
                                                Duration{2 * settings_.full_read_every.ms + 60'000};
    status.rejected = state->rejected.size();
    if (!state->rejected.empty()) status.rejected_why = state->rejected.begin()->second.why;
    status.no_room = state->no_room.size();
    if (const TargetPause* pause = pause_of(name)) status.pause = *pause;
    out.push_back(std::move(status));
  }
  return out;
}

Result<Reconciler::TargetFacts> Reconciler::target_facts(const TargetName& name) const {
  Lock lock(mutex_);
  auto at = targets_.find(name);
  if (at == targets_.end()) return fail(ErrorKind::not_found, "no target " + name.value);
  const TargetState& state = *at->second;
  if (state.provider == nullptr)
    return fail(ErrorKind::unavailable,
                "target " + name.value + " was not reached yet: " +
                    (state.status.problem.empty() ? "try again" : state.status.problem));
  return TargetFacts{state.target, state.capabilities, settings_.keep};
}

// ---- dirt ----

/// Of a target that failed, this alone does not hurry the next try; what must close does.
void Reconciler::mark(TargetState& state, const std::optional<IpAddress>& host, Urgency urgency,
                      Duration gather) {
  if (host)
    state.dirty_hosts.insert(*host);
  else
    state.dirty = true;
  if (!host) state.half_done = false;  // somebody asks for a look at the target itself
  queue_.mark(state.key, urgency, clock_.monotonic(), std::max(gather, state.capabilities.gather));
  state.status.generation = {++generation_};
  keep_up();
}

/// All of it, and a target that failed is not waited for: what was in its way may be gone.
void Reconciler::mark_at_once(TargetState& state, Urgency urgency) {
  for (auto& [key, refusal] : state.rejected) refusal.again = MonotonicTime::min();
  mark(state, std::nullopt, urgency);
  queue_.at_once(state.key);
  keep_up();
}

bool Reconciler::waits(const TargetState& state) const { return queue_.waits(state.key); }
bool Reconciler::busy(const TargetState& state) const { return queue_.busy(state.key); }

/// Nothing is about to change there. With the mutex.
bool Reconciler::still(const TargetState& state) const {
  return !busy(state) &&
         (!waits(state) || queue_.waits_until(state.key, clock_.monotonic()).has_value());
}

void Reconciler::target_moved(const TargetName& name) {
  Lock lock(mutex_);
  auto at = targets_.find(name);
  if (at == targets_.end()) return;
  // News is a reason to try sooner, but a target that fails and tells of it is not tried in a ring.
  TargetState& state = *at->second;
  // In a war of two tools this one waits; a sign-in or a removal meanwhile does not.
  mark(state, std::nullopt, Urgency::drift, state.flapping ? kFlappingWaits : Duration{0});
  if (!state.flapping) queue_.no_later_than(state.key, clock_.monotonic() + kNewsWait.chrono());
  keep_up();
}

void Reconciler::refresh(const TargetName& name) {
  Lock lock(mutex_);
  for (auto& [target, state] : targets_)
    if (name.empty() || target == name) mark_at_once(*state, Urgency::policy);
}

Status Reconciler::record(const Actor& actor, const std::vector<Fact>& facts) {
  if (facts.empty()) return {};
  auto written = store_.append(actor, clock_.now(), facts);
  if (written) return {};
  log(LogLevel::error, "log.unwritable",
      "The log cannot be written: nothing new opens until the controller is started again.",
      {{"problem", written.error().text()}});
  return fail_within("log", written);
}

}  // namespace knock
