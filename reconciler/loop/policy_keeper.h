// SPDX-License-Identifier: Apache-2.0
// Watches the policy source and puts in force what is sound. Whatever goes wrong (source away,
// emptied, rewritten; files that do not load; a policy whose own tests fail), the last good policy
// stays, and the status says since when and why.
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

namespace knock {

/// What a source holds: read, loaded, and found sound.
struct SoundSnapshot {
  PolicySnapshot snapshot;
  std::shared_ptr<const Policy> policy;
};

class PolicyKeeper {
 public:
  PolicyKeeper(PolicySource& source, PolicyContext context, FactStore& store,
               Reconciler& reconciler, const Clock& clock, Duration every);
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
  /// From within `use` alone.
  Status put_in_force(const Actor& actor, const SoundSnapshot& chosen);
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
  };

  Status look_locked(const Actor& actor);
  Result<SoundSnapshot> newest_locked(Diagnostics& problems);
  Status refuse(const Actor& actor, Refusal refusal);
  /// What was said of this revision lately; nothing: it is to be judged.
  std::optional<Refusal> refused_lately(const PolicyRevision& revision) const;

  PolicySource& source_;
  const PolicyContext context_;
  FactStore& store_;
  Reconciler& reconciler_;
  const Clock& clock_;
  const Duration every_;
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
