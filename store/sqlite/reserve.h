// SPDX-License-Identifier: Apache-2.0
// Ends of sessions that the log does not hold: what the file beside the store kept for an earlier
// process, and what the log refused in this one. Whoever asks the store for sessions sees them
// ended. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "reconciler/interfaces/fact_store.h"
#include "store/ended_ids.h"

namespace knock::sqlite {

class Reserve {
 public:
  explicit Reserve(std::string path) : path_(std::move(path)) {}

  /// Reads the file. `mark` is the one the store remembers ("": it never had a file), `open` are the
  /// sessions that the log knows no end of, `last` its newest record's time. A file that is gone,
  /// damaged or another store's counts as one in which all of them stood.
  Status read(uid_t owner, const std::string& mark, const std::vector<Session>& open, Instant last);
  /// The ends that read() found, for the log.
  std::vector<Fact> found() const;
  /// The log holds all of those: makes the file (again) or frees its records. The mark it has.
  Result<std::string> begin(const std::string& mark);
  /// The log could not take them: they stay where they are.
  Status begin_unwritten();

  /// The log refused `facts`; the ends of sessions among them are kept. `sessions` tells until when
  /// they would live.
  void refused(std::span<const Fact> facts,
               const std::function<std::optional<Session>(const SessionId&)>& sessions);
  /// The log took `facts` after all.
  void written(std::span<const Fact> facts);
  Status try_again();
  std::vector<UnwrittenEnd> unwritten() const;

  // Views.
  void apply(Session& session) const;
  void drop_ended(std::vector<Session>& sessions) const;

 private:
  struct End {
    SessionEnd end;
    Instant expires;
    bool kept = false;
    std::string problem;
  };
  void keep(const SessionId& id, End& end);

  const std::string path_;
  mutable std::mutex mutex_;
  EndedIdsFound file_;
  std::string damage_;             // of the file that read() found
  std::unique_ptr<EndedIds> ids_;  // absent: nothing can be kept
  std::map<SessionId, End> ends_;
};

}  // namespace knock::sqlite
