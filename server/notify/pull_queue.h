// SPDX-License-Identifier: Apache-2.0
// Which open pull request is planned next. Pure: it is given the list, what is in force, what became
// of each, and the time. Not thread-safe.
//
// Fair to everybody who waits: whoever was tried least recently is next, of several that never were
// the one that was updated longest ago. So neither somebody who pushes every second nor a change that
// cannot be planned comes before the others a second time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/notify/forge_replies.h"

namespace knock::notify {

/// The longest of pauses that double from `first` to `longest`, and of it a share that is as good as
/// random: who failed at one moment does not come back at one moment. `tries` from 1.
Duration back_off(Duration first, Duration longest, int tries, std::uint64_t dice);

class PullQueue {
 public:
  static constexpr std::size_t kMost = 200;  // of those that were updated last
  static constexpr Duration kFirstPause = Duration::seconds(10),
                            kLongestPause = Duration::minutes(10);

  enum class Answer : std::uint8_t { planned, refused };
  struct Counts {
    std::size_t open = 0, planned = 0, refused = 0;  // the rest waits
  };

  /// All that are open now; what is not there any more is forgotten.
  void listed(std::vector<OpenPull> open);
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
    MonotonicTime again{};                // of no answer
    std::optional<MonotonicTime> last{};  // of any head
  };
  struct Entry {
    OpenPull pull;
    Tried tried;
  };
  static bool is_answered(const Entry& entry, const std::string& base);
  static MonotonicTime due(const Entry& entry, const std::string& base);
  Tried* try_of(const OpenPull& pull, const std::string& base, MonotonicTime now);

  std::map<std::uint64_t, Entry> open_;  // by number
};

}  // namespace knock::notify
