// SPDX-License-Identifier: Apache-2.0
// Watches the policy source and puts in force what is sound. Whatever goes wrong (source away,
// emptied, rewritten; files that do not load; a policy whose own tests fail), the last good policy
// stays, and the status says since when and why. When something sound comes into force is
// configured (at once, when somebody says so, within a weekly window), and whoever is on call may
// say otherwise (docs/git-as-law.md).
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "reconciler/interfaces/policy_source.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/sound_policy.h"
#include "schemas/config/policy_location.h"

namespace knock {

/// What a source holds: read, loaded, and found sound.
struct SoundSnapshot {
  PolicySnapshot snapshot;
  std::shared_ptr<const Policy> policy;
};

/// What somebody says about which revision is to be in force.
struct AdvanceRequest {
  std::string commit;   // an id or its beginning; "": the newest
  bool resume = false;  // what holds the policy ends; the source is followed as configured
  bool history_replaced = false;  // takes what was refused because it does not follow
  std::string reason;
};

struct Advanced {
  PolicyRevision revision, previous;
  std::string how;      // as PolicyAdvanced::how
  bool held = false;    // stays there until somebody says so
  Diagnostics remarks;  // of a policy that is put back: tests that fail by now
};

/// Loads what targets may return to, before the loop resumes. Judged by nobody again: it was in
/// force.
void tell_previous(Reconciler& reconciler, const FactStore& store, const PolicyContext& context,
                   PolicyCache* cache = nullptr);

class PolicyKeeper {
 public:
  PolicyKeeper(PolicySource& source, PolicyContext context, FactStore& store,
               Reconciler& reconciler, const Clock& clock, Duration every, Advance advance = {});
  ~PolicyKeeper();

  /// Puts the last adopted policy of the store back in force, without the source. Nothing adopted
  /// yet is fine.
  Status restore();
  /// One look at the source, now. Any thread; looks do not overlap.
  Status look(const Actor& actor);
  /// What the source holds now, in force or not; looked at, and nothing is done about it.
  Result<SoundSnapshot> newest(Diagnostics& problems);
  /// The same, handed to `use` while nobody else looks: what `use` says about it stays true until it
  /// returns. The only caller of put_in_force().
  Status with_newest(Diagnostics& problems, const std::function<Status(const SoundSnapshot&)>& use);
  /// From within `use`: the files of an older revision of the same history.
  Result<PolicySnapshot> read(const PolicyRevision& revision) { return source_.read(revision); }
  /// `conflict` while somebody holds the policy where it is; within `use` it stays true.
  Status not_held() const;
  /// From within `use` alone. `conflict` while somebody holds the policy where it is. `together`
  /// is written with the adoption: all of it, or nothing.
  Status put_in_force(const Actor& actor, const SoundSnapshot& chosen,
                      std::vector<Fact> together = {});
  /// Puts in force what somebody names, recorded with the actor: something newer, whatever the
  /// configuration says about when, or an older revision, which is evaluated with the sessions and
  /// the time of now. A revision that is named and is not the newest is held until somebody says
  /// `resume` or takes the newest, over a restart too. Going back works without the source.
  Result<Advanced> advance(const Actor& actor, const AdvanceRequest& request,
                           Diagnostics& problems);
  /// Looks every now and then on a thread of its own, until this dies.
  void start();
  PolicyStatus status() const;
  /// The problems of the newest revision that was refused; empty when there is none.
  Diagnostics refused() const;

 private:
  /// A revision that was judged and not adopted.
  struct Refusal {
    PolicyRevision revision;
    Instant at;
    std::string why;
    Diagnostics problems;
    bool unread = false;  // what was wrong may lie beside the revision, so it is read again
  };
  struct Step {
    PolicyRevision revision;
    std::string how;
    bool held = false;
  };

  Status look_locked(const Actor& actor);
  Result<SoundSnapshot> newest_locked(Diagnostics& problems);
  Status refuse(const Actor& actor, Refusal refusal);
  Status refuse_reading(const Actor& actor, const PolicyRevision& revision, Error error);
  /// Why something newer waits, and what it needs; "" when it need not.
  std::string waits_for() const;
  Status wait(const PolicySnapshot& snapshot, std::string needs);
  Status adopt(const Actor& actor, const SoundSnapshot& chosen, std::vector<Fact> together = {});
  Result<Step> step_for(const AdvanceRequest& request, const PolicyRevision& now);
  Result<SoundSnapshot> sound_at(const Step& step, Diagnostics& problems, Diagnostics& remarks);
  Status record_step(const Actor& actor, const Step& step, const PolicyRevision& now,
                     const std::string& reason);
  void note_problem(const Error& error);
  /// What was said of this revision lately; nothing: it is to be judged.
  std::optional<Refusal> refused_lately(const PolicyRevision& revision) const;

  PolicySource& source_;
  const PolicyContext context_;
  FactStore& store_;
  Reconciler& reconciler_;
  const Clock& clock_;
  const Duration every_;
  const Advance advance_;
  Zones zones_;
  PolicyCache cache_;
  std::mutex looking_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  PolicyStatus status_;
  Diagnostics refused_;
  std::optional<Refusal> last_refusal_;
  std::jthread thread_;
};

}  // namespace knock
