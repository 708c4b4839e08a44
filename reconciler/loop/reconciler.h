// SPDX-License-Identifier: Apache-2.0
// The loop: keeps every target as policy × sessions × now wants it.
//
// Level-triggered: events only mark a target, or one address on it, as dirty; the run then compares
// state with state. At most one verb at a time per target, on a bounded pool. A sign-in dirties one
// address: its run compares that address with what the last read and our own changes since say,
// under the target's fence; when the fence moved, the whole target is read again. Every change is
// intended in the log before the call and recorded after it.
//
// When the log cannot be written, nothing new opens; what must close is closed all the same.
//
// Thread rules: every public function may be called from any thread; none calls back while holding
// a lock.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "reconciler/core/guard.h"
#include "reconciler/core/source_suspect.h"
#include "reconciler/interfaces/fact_store.h"
#include "reconciler/loop/custody.h"
#include "reconciler/loop/meter.h"
#include "reconciler/loop/planner.h"
#include "reconciler/loop/protection.h"
#include "reconciler/loop/status.h"
#include "reconciler/loop/work_queue.h"

namespace knock {

/// Somebody who operates this installation: members of a group, or one person, as a source says it.
struct OperatorRule {
  SignInName from;
  std::string group;  // as the source names it; "": `user`
  std::string user;   // the subject
};
bool is_operator(std::span<const OperatorRule> rules, const Session& session);
/// Those who live now.
std::vector<OperatorHere> operators_among(std::span<const OperatorRule> rules,
                                          std::span<const Session> sessions, Instant now);

struct ReconcilerSettings {
  std::vector<Prefix> keep;
  Duration full_read_every = Duration::minutes(10);  // ± 5 %
  Duration verb_deadline = Duration::seconds(10);
  /// A wall clock that jumps wakes nobody: it is looked at this often at least.
  Duration look_at_clock_every = Duration::seconds(30);
  /// At the same time. 0: nothing runs by itself, see run_one().
  std::size_t workers = 16;
  /// Beside them, for targets that fail or take long (WorkQueue::Settings).
  std::size_t workers_aside = 48;
  /// Whose calls share one limit and one fate; empty: each target has an account of its own.
  std::function<std::string(const Target&)> account_of;
  std::vector<SignInName> sign_ins;  // sources that exist; empty: not known
  Meter* meter = nullptr;            // may be null; outlives the loop
  std::vector<OperatorRule> operators;
  /// For probes: good when something accepts a TCP connection there. Without one such a probe fails.
  std::function<Status(const IpAddress&, std::uint16_t port, Deadline)> connect;
};

/// Where one session stands on one target.
struct SessionOnTarget {
  TargetName target;
  ServiceName service;
  Instant until;
  bool open = false;
  std::string problem;  // why not yet
  Lasts lasts = Lasts::until_deadline;
  Instant come_by;             // disconnect
  bool given = false;          // first_connection: this sign-in was given its ticket here
  bool used = false;           // and a connection took it, as of the last reading
  bool observed_only = false;  // nothing is written there: it will not open
};

class Reconciler {
 public:
  Reconciler(FactStore& store, const Clock& clock, Random& random, ProviderFactory factory,
             ReconcilerSettings settings);
  ~Reconciler();
  Reconciler(const Reconciler&) = delete;
  Reconciler& operator=(const Reconciler&) = delete;

  /// Reads sessions and applied entries from the store and starts the pool. Without a policy
  /// nothing runs yet.
  Status start();
  void stop();

  /// The policy that the log says is in force, after a start. With `run` false nothing is done
  /// about it until adopt().
  void resume(std::shared_ptr<const Policy> policy, bool run = true);
  /// Puts a policy in force: durable first, with what is written `together` with it, then every
  /// target is dirty.
  Status adopt(const Actor& actor, const AdoptedPolicy& adopted,
               std::shared_ptr<const Policy> policy, std::vector<Fact> together = {});
  std::shared_ptr<const Policy> policy() const;

  /// `created`, and `id` when empty, are filled in. Durable when it returns; targets follow.
  Result<Session> open_session(const Actor& actor, Session session);
  Status end_session(const Actor& actor, const SessionId& id, EndCause cause,
                     const std::string& reason);
  /// A source says other groups of people who are signed in: one refresh, told as a whole. A source
  /// whose word cannot be wrong (`certain`) is never doubted. Durable when it returns; what closes
  /// does not wait for that.
  Status groups_changed(const Actor& actor, const SignInName& source,
                        std::span<const GroupsSaid> said, bool certain = false);
  std::map<SignInName, SourceSuspect::State> suspect_sources() const;
  std::vector<Session> live_sessions() const;
  std::optional<Session> live_session(const SessionId& id) const;

  /// Whether a plan may read targets that are not those in force. A role is started to read one,
  /// with what that takes of rights, in a place that the candidate names: not for whoever may only
  /// propose.
  enum class NewTargets { read, not_read };
  /// What a policy would do to the targets as they are now. Reads targets; does not write. A target
  /// that is not read is planned as if it held nothing, and a finding says so. The plan of something
  /// made up says so in its scope.
  Result<Plan> plan(const Policy& candidate, std::span<const TargetName> only = {},
                    NewTargets new_targets = NewTargets::read, const WhatIf& what_if = {});
  /// plan_of_policies() against the policy in force: reads no target and waits for nothing.
  Result<Plan> plan_shape(const Policy& candidate, std::span<const TargetName> only = {});
  /// Lets the held changes of exactly this plan go. Kind `conflict` when the plan is another by
  /// now.
  Status acknowledge(const Actor& actor, std::string_view plan_id);

  /// A policy that targets may return to, after a start and before resume().
  void know_previous(std::shared_ptr<const Policy> policy);
  /// Somebody applies the policy in force once more: targets that returned from it try it again.
  /// Durable when it returns.
  Status apply_again(const Actor& actor);
  /// Confirms what waits and is named (core/confirm.h); kind `not_found` when nothing is.
  Result<std::vector<Confirmation>> confirm(const Actor& actor, std::string_view id);

  /// What an act would do to a target of the policy in force, as that is now. Reads it.
  Result<OwnershipPlan> ownership_plan(const TargetName& name, OwnershipAct act);
  /// Does it, when it is still what `plan_id` names; kind `conflict` when it is another thing by
  /// now. Durable when it returns; the target follows.
  Status change_ownership(const Actor& actor, const TargetName& name, OwnershipAct act,
                          std::string_view plan_id);
  /// Waits until what was said is carried out, or cannot be just now; "" or why not.
  std::string wait_for_ownership(const TargetName& name, Deadline deadline) const;

  /// What this session may reach and where it is open already.
  std::vector<SessionOnTarget> where(const Session& session) const;
  /// Waits until everything the session may reach is open, or the deadline.
  std::vector<SessionOnTarget> wait_open(const Session& session, Deadline deadline) const;
  /// Waits until no target is dirty or busy; false at the deadline.
  bool wait_settled(Deadline deadline) const;

  std::vector<TargetStatus> targets() const;
  /// Marks targets for a full read now; all of them when `name` is empty.
  void refresh(const TargetName& name);

  /// What explain_target() asks for. Kinds: not_found; unavailable while the target was never
  /// reached, so that its kind is not known.
  struct TargetFacts {
    Target target;
    Capabilities capabilities;
    std::vector<Prefix> keep;
  };
  Result<TargetFacts> target_facts(const TargetName& name) const;
  /// Until then nothing is opened, prolonged or healed there; what must close is closed all the
  /// same. Durable when it returns. Kinds: not_found, invalid (an end that is past, or too far).
  Status pause(const Actor& actor, const TargetName& name, Instant until,
               const std::string& reason);
  Status resume_target(const Actor& actor, const TargetName& name, const std::string& reason);

  // For one thread that owns the time, with `workers` 0 (the simulator).
  /// Runs the most urgent target that may run; false when there is none.
  bool run_one();
  /// Does what time has brought about. To be called again at the latest then.
  MonotonicTime tick();

 private:
  struct TargetState;
  struct Run;
  struct Due;
  using Lock = std::unique_lock<std::mutex>;

  /// What a reading taught about records, until it is written.
  struct Settled {
    std::vector<Fact> facts;
    std::vector<std::pair<std::pair<std::string, Prefix>, std::optional<AppliedEntry>>> updates;
  };

  // The pool. `work` takes ready targets; one run has a target for itself (busy).
  void work(std::stop_token stop);
  std::optional<WorkQueue::Taken> take();
  void keep_up();
  void run(const WorkQueue::Taken& taken, Lock& lock);
  bool waits(const TargetState& state) const;
  bool busy(const TargetState& state) const;
  bool alone() const { return settings_.workers == 0; }
  std::string account_of(const Target& target) const;
  void enqueue(TargetState& state);
  void note_capabilities(TargetState& state, const Capabilities& capabilities);
  bool host_run(TargetState& state, const std::set<IpAddress>& hosts);
  Status full_run(TargetState& state);
  Result<Observed> read(TargetState& state);
  Run snapshot(TargetState& state, const std::set<IpAddress>* hosts);
  void forget_tickets(TargetState& state);
  static std::function<bool(const std::string&, const Prefix&, const SessionId&)> had_ticket_in(
      const Run& run);
  PlannedTarget plan_run(const TargetState& state, const Run& run, const Canonical& desired,
                         const Result<Observed>& observed) const;
  void note_reading(TargetState& state, const Run& run, const Observed& observed,
                    const PlannedTarget& planned);
  void note_failure(TargetState& state, const WorkQueue::Taken& taken, const Error& error);
  void note_plan(TargetState& state, const Run& run, const PlannedTarget& planned);
  void note_closings(TargetState& state, const TargetPlan& plan);
  std::unique_ptr<TargetState> forget_if_drained(TargetState& state, bool good);
  std::unique_ptr<Provider> change_place(TargetState& state, std::vector<Fact>& facts);
  Status make_provider(TargetState& state);

  // ownership.cc
  static bool observed_only(const TargetState& state);
  Status settle_custody(TargetState& state, Run& run, Result<Observed>& observed);
  Status belongs_to_another(TargetState& state, const Run& run, const Observed& observed);
  void alarm_marks(TargetState& state, const Observed& observed);
  Status settle_exclusive(TargetState& state, Run& run, const Observed& observed);
  PlannedTarget plan_release(const TargetState& state, const Run& run,
                             const Observed& observed) const;
  void finish_custody(TargetState& state, const Run& run);
  Status add_released(const Observed& observed, OwnershipPlan& out) const;

  // confirm.cc
  void restore_confirmation(TargetState& state);
  void go_back(TargetState& state) const;
  static void try_again(TargetState& state);
  std::shared_ptr<const Policy> policy_on(const TargetState& state) const;
  Status ask_confirmation(TargetState& state, const Run& run, TargetPlan& plan);
  void look_for_confirmation(TargetState& state);
  Status confirmed(const Actor& actor, const Confirmation& asked, const char* how);
  MonotonicTime end_confirmations(Lock& lock);

  // groups.cc
  std::vector<Fact> take_groups(const SourceSuspect::Outcome& outcome);
  Status record_groups(const Actor& actor, std::vector<Fact> facts);
  MonotonicTime end_suspicion(Lock& lock);
  void alarm_surge(TargetState& state, const TargetPlan& plan, Instant now) const;

  // execute.cc
  /// How far a plan came. An error: something failed, and what it was is tried again.
  enum class Done { all, in_part };
  Result<Done> execute(TargetState& state, const Run& run, const TargetPlan& plan);
  void note_done_with(TargetState& state, Done done);
  Result<Done> apply(TargetState& state, const Run& run, TargetPlan plan, std::uint64_t batch,
                     bool intended);
  bool must_stop_searching(const TargetState& state, MonotonicTime began) const;
  void put_off(TargetState& state);
  Result<Outcome> call(TargetState& state, TargetPlan& part);
  void spend(const TargetState& state, std::size_t calls);
  void give_up(TargetState& state, const Run& run, const std::vector<Change>& changes,
               std::uint64_t batch, const std::string& why, bool unknown, bool intended);

  // left_out.cc
  std::size_t leave_out_rejected(const TargetState& state, std::vector<Change>& changes) const;
  std::size_t leave_out_unpaid(TargetState& state, std::vector<Change>& changes);
  bool reject(TargetState& state, const Change& change, const std::string& why);
  void note_reports(TargetState& state, const TargetPlan& plan);
  void note_drift(TargetState& state, bool found);
  std::string why_left_out(const TargetState& state, const std::string& slot,
                           const Prefix& prefix) const;
  static Status note_pause(std::map<TargetName, TargetPause>& pauses, const Record& record);
  const TargetPause* pause_of(const TargetName& name) const;
  void end_pause(const TargetName& name);
  std::vector<Fact> drift_facts(TargetState& state, const TargetPlan& plan);
  void remember_unanswered(TargetState& state, const Run& run, const std::vector<Change>& changes,
                           std::uint64_t batch);
  void note_outcome(TargetState& state, const Run& run, const TargetPlan& plan, std::uint64_t batch,
                    const Outcome& outcome, bool refused);
  void note_done(TargetState& state, const Run& run, const Change& change);
  static void note_tickets(TargetState& state, const Change& change);
  void measure(const TargetState& state, const Change& change) const;

  // settle.cc
  void settle_unanswered(TargetState& state, Run& run, const Observed& observed);
  static bool wants_ticket(const Run& run, const std::string& slot, const Item& item);
  static void settle_standing(const Run& run, const std::vector<AppliedEntry>& applied,
                              const Canonical& desired, const Observed& observed, Settled& out);
  void settle_records(TargetState& state, const Run& run, const Canonical& desired,
                      const Observed& observed);
  void write_settled(TargetState& state, Settled settled);

  // corridor.cc
  bool stands_on(const TargetName& name, const std::string& slot, const Prefix& prefix) const;
  void leave_out_what_waits(const TargetState& state, const Run& run,
                            std::vector<Change>& changes) const;
  void let_outer_close_first(const TargetState& state, const Run& run,
                             const std::vector<Change>& changes) const;
  void wake_outer(const TargetState& state, const Change& change);
  static bool foreign_at(const TargetState& state, const std::string& slot, const Prefix& prefix);
  std::string why_not_open(const TargetState& state, const Service& service,
                           const Prefix& prefix) const;
  std::vector<Finding> half_open_at(const TargetState& state) const;

  // The timer.
  void keep_time(std::stop_token stop);
  MonotonicTime look_at_clock(Lock& lock);
  void end_what_is_due(Lock& lock);
  void write_what_is_left(Lock& lock);
  void due_at(Due due);
  bool is_stale(const Due& due) const;
  void wake_timer();

  // live.cc
  void add_live(const Session& session);
  Session drop_live(std::map<SessionId, Session>::iterator at);
  void add_around(const IpAddress& address, std::set<SessionId>& out) const;
  void add_person(const Principal& who, std::set<SessionId>& out) const;
  std::set<SessionId> near(const IpAddress& address) const;
  std::vector<Session> sessions_of(const std::set<SessionId>& ids) const;
  void policy_changed();
  void mark_touched(const Session& session, bool closing);
  void open_what_is_due();

  Status record(const Actor& actor, const std::vector<Fact>& facts);
  void make_targets(const Policy& policy);

  // leaving.cc
  static Status note_target(std::set<TargetName>& targets, const Record& record);
  std::optional<Target> target_then(const PolicyRevision& revision, const TargetName& name) const;
  std::optional<Target> former_target(const TargetName& name) const;
  void take_up_leaving();

  void stays_in_force(TargetState& state, std::optional<Instant> adopted);
  std::vector<Fact> forget_protection(const Policy& policy);
  void read_records(TargetState& state);
  void read_tickets(TargetState& state);
  void give_no_tickets(TargetState& state);
  void note_ended(const SessionId& id, EndCause cause);
  void mark(TargetState& state, const std::optional<IpAddress>& host, Urgency urgency,
            Duration gather = {});
  void mark_at_once(TargetState& state, Urgency urgency);
  bool still(const TargetState& state) const;
  void target_moved(const TargetName& name);
  bool stopping() const;
  std::optional<EndCause> ended(const SessionId& id) const;
  std::vector<SessionOnTarget> where_locked(const Session& session) const;
  static void note_ticket(const TargetState& state, const Session& session, const Reach& reach,
                          SessionOnTarget& row);

  // Providers for a plan: the loop's own, taken from the pool meanwhile, or others.
  struct Borrowed;
  Result<Observed> observe_for_plan(const Target& target, Borrowed& borrowed);
  void give_back(TargetState& state);

  FactStore& store_;
  const Clock& clock_;
  Random& random_;
  ProviderFactory factory_;
  ReconcilerSettings settings_;

  mutable std::mutex mutex_;
  mutable std::condition_variable_any work_ready_;    // for the pool
  mutable std::condition_variable_any time_changed_;  // for the timer
  mutable std::condition_variable_any settled_;       // for those who wait
  std::shared_ptr<const Policy> policy_;
  std::map<SessionId, Session> live_;
  std::multimap<IpAddress, SessionId> by_address_;
  std::map<Principal, std::set<SessionId>> by_person_;
  Coupling coupling_;                // of `policy_`
  std::optional<Instant> opens_at_;  // the next schedule of `policy_` that opens
  /// For the reason of a removal, newest at the back of `ended_order_`; older ones are in the store.
  std::map<SessionId, EndCause> ended_;
  std::deque<SessionId> ended_order_;
  std::vector<std::pair<Actor, Fact>> unwritten_;  // ends that the log did not take yet
  SourceSuspect suspects_;
  std::map<TargetName, Confirmation> confirmations_;  // of targets that are not in `targets_` (yet)
  std::map<PolicyRevision, std::shared_ptr<const Policy>> previous_;
  std::set<TargetName> unconfirmed_;
  std::vector<ChangeIntended> open_intents_;  // of an earlier process
  std::map<TargetName, Custody> custody_;     // of targets that are not in `targets_` (yet)
  Protection protection_;  // by the log, of targets that are not in `targets_` (yet)
  std::map<TargetName, std::unique_ptr<TargetState>> targets_;
  std::map<TargetName, TargetPause> pauses_;
  std::set<TargetName> known_by_log_;  // until the first policy is in force
  WorkQueue queue_;
  std::vector<TargetState*> by_key_;  // of the queue's keys
  std::vector<Due> due_;          // a heap, soonest first; stale ones are skipped when they come up
  std::size_t due_limit_ = 1024;  // then stale ones are thrown out
  bool sooner_ = false;           // the timer must look again
  MonotonicTime timer_wakes_{};   // when it does so by itself
  std::uint64_t next_batch_ = 1;
  std::uint64_t generation_ = 0;
  bool stopping_ = false;
  std::vector<std::jthread> threads_;
  std::size_t idle_ = 0;  // workers without work
};

}  // namespace knock
