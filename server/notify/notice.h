// SPDX-License-Identifier: Apache-2.0
// What somebody is told, before anybody knows by which way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace knock::notify {

/// Of a commit, as forges know it.
enum class CommitState : std::uint8_t { pending, success, failure };

/// No names and no addresses of people: what is told leaves the machine.
struct Notice {
  std::string event;  // "policy.adopted"; its first word is what `events` of a webhook names
  Instant at;
  std::string sentence;                      // printable
  std::string revision;                      // it is about; "": of none
  std::string target;                        // the same
  CommitState state = CommitState::pending;  // of `revision`
};

/// A change that was fetched and planned.
struct PlannedChange {
  std::uint64_t pull = 0;  // 0: a branch
  std::string commit;
  std::string description;  // one line
  CommitState state = CommitState::success;
  std::string markdown;  // the plan in the view `shape`
  std::string footer;    // review_footer()
};

}  // namespace knock::notify
