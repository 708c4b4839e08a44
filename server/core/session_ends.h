// SPDX-License-Identifier: Apache-2.0
// Ends sessions for whoever asks (portal, operators), and knows how well each end is written down:
// in the log, beside it (docs/adr/0013), or, when nothing can be written, nowhere. What is written
// nowhere is tried again until it is, and nobody is told that all is well meanwhile. Any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "reconciler/interfaces/fact_store.h"
#include "reconciler/loop/reconciler.h"

namespace knock {

/// How an end stands after a call. What the session opened is being closed in every case.
struct EndedSession {
  enum class Written {
    log,      // recorded
    beside,   // on stable storage, and in the log as soon as that can be written
    nowhere,  // a restart before `expires` would bring the session back
  };
  Written written = Written::log;
  Instant expires;      // of the session; of no meaning when it is in the log
  std::string problem;  // why it is not in the log
};

class SessionEnds {
 public:
  SessionEnds(FactStore& store, Reconciler& reconciler, const Clock& clock)
      : store_(store), reconciler_(reconciler), clock_(clock) {}
  ~SessionEnds();

  /// not_found: no such session is live. Every other outcome is a value.
  Result<EndedSession> end(const Actor& actor, const Session& session, EndCause cause,
                           const std::string& reason);
  /// An end that was asked for before and is not in the log; nothing when there is none.
  std::optional<EndedSession> unwritten(const SessionId& id) const;
  /// The same by the beginning of an id, when it names only one.
  std::optional<SessionId> find_unwritten(const std::string& beginning) const;

  /// Tries every `every` to write what is written nowhere, on a thread of its own until this dies.
  void start(Duration every = Duration::seconds(3));
  void try_again();
  /// "" or why the controller is not ready: ends are written nowhere.
  std::string not_ready() const;
  /// For `knock status`.
  std::vector<std::string> remarks() const;

 private:
  std::vector<UnwrittenEnd> still_of_interest() const;

  FactStore& store_;
  Reconciler& reconciler_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<SessionId, UnwrittenEnd> lost_;  // of stores that keep nothing
  std::atomic<bool> complained_ = false;    // of the thread, and of whoever asks it to try now
  std::condition_variable_any wake_;
  std::jthread thread_;  // last
};

/// What operators are told of an end that is not in the log; "" when it is.
std::string to_sentence(const EndedSession& ended, const SessionId& id);

}  // namespace knock
