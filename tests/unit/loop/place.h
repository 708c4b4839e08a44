// SPDX-License-Identifier: Apache-2.0
// An enforcement point in memory, with a provider for it: holds entries as a firewall would, says
// no, is slow, loses answers and is edited by others when a test wants that.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconciler/interfaces/provider.h"
#include "tests/support/model_target.h"

namespace knock::test {

/// How long a test waits for what must come. Far more than it takes, so that a busy machine does
/// not matter.
inline constexpr Duration kPatience = Duration::seconds(20);

/// A wall clock that stands still until told; monotonic time is real. Any thread.
class TestClock final : public Clock {
 public:
  Instant now() const override {
    ++looks_;
    return {ms_.load()};
  }
  MonotonicTime monotonic() const override { return std::chrono::steady_clock::now(); }
  void advance(Duration by) { ms_ += by.ms; }
  int looks() const { return looks_; }

 private:
  mutable std::atomic<int> looks_{0};
  std::atomic<std::int64_t> ms_{Instant::from_seconds(1'800'000'000).ms};
};

/// Lets a call in and holds it there until the test opens. Closed gates open after kPatience, so
/// that a failing test ends.
class Gate {
 public:
  void close();
  void open();
  /// True when a call stood in the closed gate in time.
  bool wait_for_caller();
  void pass();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
  int inside_ = 0;
};

/// How one call of apply goes wrong.
struct ApplyFault {
  ErrorKind kind = ErrorKind::unavailable;
  bool after_the_effect = false;  // everything was done, only the answer is lost
  std::optional<Duration> retry_after;
};

class Place {
 public:
  explicit Place(const Clock& clock) : clock_(clock) {}

  // What it is.
  Capabilities capabilities;  // native_expiry and so on; set before use
  bool knows_fence = true;    // false: apply answers without a fence

  // Faults. Guarded by `mutex`; use lock() around changes while a loop runs.
  std::optional<ErrorKind> observe_error;
  std::deque<ApplyFault> apply_faults;
  std::function<std::optional<StepOutcome::Kind>(const Change&)> step_fault;
  /// All or nothing: a call with such a change in it is refused as a whole.
  std::function<bool(const Change&)> poison;
  std::optional<Prefix> hidden;  // not seen by a reading, which then is partial
  bool drops_untried = false;    // what was not tried is missing from the outcome
  int edits_before_apply = 0;    // somebody else is faster that many times
  bool moves_when_destroyed = false;
  std::optional<OwnerId> other_owner;  // whose it is, when not ours
  Gate observing, applying;

  std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }

  // For the test.
  bool open(const std::string& slot, const std::string& prefix) const;
  /// Somebody at this address begins a connection to tcp/22.
  bool connect(const std::string& address);
  std::optional<Instant> until(const std::string& slot, const std::string& prefix) const;
  std::size_t entries() const;
  /// Somebody else's hand.
  void take_away(const std::string& slot, const std::string& prefix);
  void put_foreign(const std::string& slot, const std::string& prefix,
                   ObservedItem::Mark mark = ObservedItem::Mark::none);
  /// What is foreign may be written over.
  void owned_as_a_whole();
  /// Its ports are open to everybody; with `everything`, the container is gone with all it held.
  void unprotect(bool everything = false);
  bool has_foreign(const std::string& slot, const std::string& prefix) const;
  /// Calls the provider's callback, from this thread.
  void tell_moved();
  std::vector<Change> changes() const;  // all that were done, in order
  int observes() const { return observes_; }
  int applies() const { return applies_; }
  int providers() const { return providers_; }  // that live now
  int made() const { return made_; }            // ever
  bool overlapped() const { return overlapped_; }
  Structure structure() const;
  bool exists() const;
  std::vector<std::string> order() const;  // "observe", "apply" as they came

  std::unique_ptr<Provider> provider(const TargetName& name, TargetMoved moved);

 private:
  friend class PlaceProvider;
  void expire();  // with the mutex

  const Clock& clock_;
  mutable std::mutex mutex_;
  ModelTarget model_;
  std::uint64_t generation_ = 1;
  std::vector<Change> changes_;
  std::vector<std::string> order_;
  std::map<const void*, std::function<void()>> moved_;
  std::atomic<int> observes_{0}, applies_{0}, providers_{0}, made_{0};
  std::atomic<bool> overlapped_{false};
};

}  // namespace knock::test
