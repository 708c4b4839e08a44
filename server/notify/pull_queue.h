// SPDX-License-Identifier: Apache-2.0
// Which open pull request is planned next. Pure: it is given the list, what is in force, what became
// of each, and the time. Not thread-safe.
//
// Fair to everybody who waits: turns go from author to author, and the author who had none for the
// longest is next, with the change of theirs that had none for the longest. Being seen for the first
// time counts as a turn: otherwise whoever closes changes, and opens them or others again, would
// always come before people who had one turn. So what is forgotten only ever comes later.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/notify/forge_replies.h"

namespace knock::notify {

/// The longest of pauses that double from `first` to `longest`, and of it a share that is as good as
/// random: who failed at one moment does not come back at one moment. `tries` from 1.
Duration back_off(Duration first, Duration longest, int tries, std::uint64_t dice);

class PullQueue {
 public:
  static constexpr std::size_t kMost = 200;  // of those that were updated last
  /// What became of those that are not open, in case they are opened again.
  static constexpr std::size_t kMostClosed = 1000;
  static constexpr Duration kKeepsClosed = Duration::hours(24);
  static constexpr Duration kFirstPause = Duration::seconds(10),
                            kLongestPause = Duration::minutes(10);

  enum class Answer : std::uint8_t { planned, refused };
  struct Counts {
    std::size_t open = 0, planned = 0, refused = 0;  // the rest waits
  };

  /// All that are open now.
  void listed(std::vector<OpenPull> open, MonotonicTime now);
  /// To be planned against `base` now.
  std::optional<OpenPull> next(const std::string& base, MonotonicTime now) const;
  /// When next() says something, if nothing else happens before; nothing: never.
  std::optional<MonotonicTime> next_time(const std::string& base) const;

  /// Not again before the head or what is in force moves.
  void answered(const OpenPull& pull, const std::string& base, MonotonicTime now, Answer answer);
  /// Again at `again`, and not because of anything that counts.
  void put_off(const OpenPull& pull, const std::string& base, MonotonicTime now,
               MonotonicTime again);
  /// Again after a pause. Says how many times in a row that was so.
  int failed(const OpenPull& pull, const std::string& base, MonotonicTime now, std::uint64_t dice);
  /// The same of an answer that reached nobody, unless another was given since: 0 then.
  int lost(const OpenPull& pull, const std::string& base, MonotonicTime now, std::uint64_t dice);

  Counts counts(const std::string& base) const;

 private:
  struct Tried {
    std::string head, base;
    std::optional<Answer> answer;
    int failures = 0;
    MonotonicTime again{};  // of no answer
    MonotonicTime last{};   // of any head; at first when it was seen
  };
  struct Entry {
    OpenPull pull;
    Tried tried;
  };
  struct Closed {
    Entry entry;
    MonotonicTime since;
  };
  /// One of nobody is of an author of its own: by number, and the others by account.
  using Author = std::pair<bool, std::uint64_t>;
  static Author author_of(const OpenPull& pull);
  Tried known_of(std::uint64_t number, MonotonicTime now);
  void close(Entry entry, MonotonicTime now);
  void forget(MonotonicTime now);
  static bool is_answered(const Entry& entry, const std::string& base);
  static MonotonicTime due(const Entry& entry, const std::string& base);
  Tried* try_of(const OpenPull& pull, const std::string& base, MonotonicTime now);

  std::map<std::uint64_t, Entry> open_;     // by number
  std::map<std::uint64_t, Closed> closed_;  // the same
  std::map<Author, MonotonicTime> turns_;   // the last of each author of those
};

}  // namespace knock::notify
