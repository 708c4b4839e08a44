// SPDX-License-Identifier: Apache-2.0
// Durable facts: the log and its projections. One contract for every store
// (tests/conformance/fact_store_suite.h).
//
// append() is the only way to write facts. When it returns, they are on stable storage, in the
// chain, and visible in every projection; or nothing of them is. After a failure of stable storage
// (`unavailable`), the store refuses every further append: what a disk holds after a failed fsync
// is unknown, so a new handle must be opened and verified. Thread rules: append from one thread at
// a time (the store locks); reads from any thread.
//
// An end of a session (other than by its time) that append() refuses is not lost all the same: the
// store keeps it apart where it can, shows the session as ended from then on, and the next handle
// that can write the log records it there before anything else (docs/adr/0013).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/time.h"
#include "schemas/audit/fact.h"
#include "schemas/key/api_key.h"
#include "schemas/plan/plan.h"
#include "schemas/policy/load.h"
#include "schemas/session/session.h"

namespace knock {

/// An entry that we believe stands on a target.
struct AppliedEntry {
  TargetName target;
  std::string slot;
  Prefix prefix;
  Instant until;
  Instant since;
  PolicyRevision policy;
  SharedList<Attribution> causes;
  int readded = 0;  // times it was put back after somebody else removed it
};

/// For "who could reach it at T": one entry for as long as nothing about its causes changed. An
/// entry whose causes change has several of these, one after the other, with the same `entry.since`.
struct AppliedInterval {
  AppliedEntry entry;              // policy and causes as they were then; `until` as it was at last
  std::optional<Instant> removed;  // still there when absent; never later than entry.until
  std::optional<EndCause> because;
  std::optional<Reason> reason;  // what ended the entry, in the words of changes
  Instant from, till;            // of these causes: from ≤ t < till, as far as is known now
};

/// The policy stays where somebody put it.
struct PolicyHold {
  PolicyRevision revision;
  Instant since;
  Actor by;
  std::string reason;
};

/// A policy came into force.
struct Adoption {
  PolicyRevision revision, previous;
  Instant at;
  std::string author, subject;  // of the commit
};

/// A local account. The password is an Argon2id string (libsodium's), which is a hash with its own
/// salt.
struct Account {
  std::string user;
  std::string name;
  Secret password_hash;
  std::vector<std::string> groups;  // sorted
  bool disabled = false;
};

struct AdoptedPolicy {
  PolicyRevision revision;
  Instant at;
  std::string author, subject;
  std::vector<PolicyFile> files;  // so that the last good policy outlives its source
};

struct ChainCheck {
  std::uint64_t records = 0;
  bool good = true;
  std::uint64_t broken_at = 0;  // seq of the first bad record
  std::string why;
  Digest head{};
};

/// An end of a session that the log does not hold.
struct UnwrittenEnd {
  SessionId session;
  SessionEnd end;
  Instant expires;      // of the session: when a restart could not bring it back any more
  bool kept = false;    // on stable storage beside the log: a restart does not bring it back
  std::string problem;  // why not
};

/// What became of a policy's changes on a target that asks for a confirmation. None: confirmed, or
/// never asked for.
struct Confirmation {
  enum class State { due, returned };
  TargetName target;
  PolicyRevision policy, previous;
  Instant due;
  std::string plan;  // hex
  State state = State::due;
  friend bool operator==(const Confirmation&, const Confirmation&) = default;
};

/// Nothing is granted since, and until somebody says `knock recover`.
struct RestoredStore {
  Instant since;
  Instant taken;              // when its newest record of before was written
  std::string how, evidence;  // as in StoreRestored
};

class FactStore {
 public:
  virtual ~FactStore() = default;

  /// Appends all or none, in order; returns the sequence number of the last.
  virtual Result<std::uint64_t> append(const Actor& actor, Instant at,
                                       std::span<const Fact> facts) = 0;
  /// False after a failed write to stable storage: this handle is finished.
  virtual bool writable() const = 0;
  /// Ends that append() refused and that were not appended later, expired sessions' too.
  virtual std::vector<UnwrittenEnd> unwritten_ends() const { return {}; }
  /// Tries again to keep those that are not kept. An error: one of them still is not.
  virtual Status keep_ends() { return {}; }

  virtual Result<std::uint64_t> head() const = 0;  // 0: empty
  virtual Result<std::optional<Instant>> last_time() const = 0;
  /// Of the oldest record: the log says nothing about what was before.
  virtual Result<std::optional<Instant>> first_time() const = 0;
  /// Records with seq > after, at most `limit`, in order.
  virtual Result<std::vector<Record>> records(std::uint64_t after, std::size_t limit) const = 0;
  /// Walks the whole chain and checks every hash, commitment and projection digest. `progress(done,
  /// all)` may be empty.
  virtual Result<ChainCheck> verify(
      const std::function<void(std::uint64_t, std::uint64_t)>& progress) const = 0;

  virtual Result<std::vector<Session>> live_sessions(Instant now) const = 0;
  /// Newest first; ended ones too.
  virtual Result<std::vector<Session>> sessions(std::size_t limit) const = 0;
  virtual Result<std::optional<Session>> session(const SessionId& id) const = 0;
  /// Those that lived at `at`, whatever became of them since; sorted by when they were opened.
  virtual Result<std::vector<Session>> sessions_at(Instant at) const = 0;

  virtual Result<std::vector<AppliedEntry>> applied(const TargetName& target) const = 0;
  /// Changes that were intended and never answered: must be read back before anything is written to
  /// that target.
  virtual Result<std::vector<ChangeIntended>> open_intents() const = 0;
  /// Entries of this service that stood on some target at `at`.
  virtual Result<std::vector<AppliedInterval>> applied_at(const ServiceName& service,
                                                          Instant at) const = 0;
  /// Those that stood at some time t with from ≤ t < to, in the order of target, slot, entry and
  /// time.
  virtual Result<std::vector<AppliedInterval>> applied_between(const ServiceName& service,
                                                               Instant from, Instant to) const = 0;
  /// Entries of this target that gave somebody a ticket for one connection, in every stretch with a
  /// deadline after `since`; those that are gone too.
  virtual Result<std::vector<AppliedInterval>> applied_with_tickets(const TargetName& target,
                                                                    Instant since) const = 0;
  /// Every time an entry of this id stood, as its marker names it; in order. Empty: the log knows
  /// of none. Walks the log.
  virtual Result<std::vector<AppliedInterval>> entry_history(const EntryId& entry) const = 0;

  virtual Result<std::optional<AdoptedPolicy>> adopted_policy() const = 0;
  /// What the newest PolicyAdvanced says: held, or nothing.
  virtual Result<std::optional<PolicyHold>> policy_hold() const = 0;
  /// What was in force at `at`, and since when; nothing: no policy was.
  virtual Result<std::optional<Adoption>> adoption_at(Instant at) const = 0;
  /// When this revision came into force last.
  virtual Result<std::optional<Adoption>> adoption_of(const PolicyRevision& revision) const = 0;
  /// The files of the policy whose PolicyAdopted is appended next; stored apart because they are
  /// large.
  virtual Status save_policy(const AdoptedPolicy& policy) = 0;

  virtual Result<std::vector<Account>> accounts() const = 0;
  virtual Result<std::optional<Account>> account(const std::string& user) const = 0;
  /// Writes or replaces the account and the fact together.
  virtual Status save_account(const Actor& actor, Instant at, const Account& account,
                              const std::string& what) = 0;
  virtual Status remove_account(const Actor& actor, Instant at, const std::string& user) = 0;

  virtual Result<std::vector<ApiKey>> keys() const = 0;  // by name
  /// Writes or replaces the key and the fact together. `what`: added, rotated.
  virtual Status save_key(const Actor& actor, Instant at, const ApiKey& key,
                          const std::string& what) = 0;
  /// Forgets the key; the fact says "revoked".
  virtual Status remove_key(const Actor& actor, Instant at, const std::string& name) = 0;
  /// No fact: a use is not worth a record. Unknown names are not an error.
  virtual Status note_key_used(const std::string& name, Instant at) = 0;

  /// What the newest StoreRestored says, unless a StoreRecovered came after it. May walk the log.
  virtual Result<std::optional<RestoredStore>> restored() const { return std::nullopt; }

  /// Those that are due or returned, one for each target, by its name. That a revision came into
  /// force again ends what was returned from any.
  virtual Result<std::vector<Confirmation>> confirmations() const = 0;
  /// A policy whose files are kept: the one in force, those before it for a while, and what a target
  /// may return to. Nothing: not this one.
  virtual Result<std::optional<AdoptedPolicy>> kept_policy(
      const PolicyRevision& revision) const = 0;

  virtual Result<bool> plan_used(const std::string& nonce) const = 0;
};

}  // namespace knock
