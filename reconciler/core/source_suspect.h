// SPDX-License-Identifier: Apache-2.0
// What to believe of a sign-in source that says other groups of people who are signed in. Pure.
//
//   the source says                                  then
//   ----------------------------------------------   --------------------------------------------
//   other groups, or none of one person any more     at once
//   none any more, of more than 20 % of its          the source is suspect: the groups of before
//   sessions and at least 10 of them, of several     hold, nothing is prolonged, at most 15 minutes
//   people, within five minutes
//   groups again, of most of them                    the source has recovered; who is still without
//                                                    has lost them
//   nothing until the time is over                   it is believed: they have lost them
//
// What was taken before a source became suspect stays taken: nobody is let in because many others
// lost something too. So a refresh is told as a whole.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "schemas/audit/fact.h"

namespace knock {

inline constexpr Duration kRefreshWindow = Duration::minutes(5);
inline constexpr Duration kSuspectFor = Duration::minutes(15);
inline constexpr std::size_t kSuspectFrom = 10;     // sessions
inline constexpr std::size_t kSuspectPercent = 20;  // of those that had groups

/// What a source says of one session.
struct GroupsSaid {
  SessionId session;
  std::vector<std::string> groups;
};

class SourceSuspect {
 public:
  /// In the order in which they are to be written.
  struct Outcome {
    std::vector<SessionGroups> sessions;  // whose groups change, or hold for a while
    std::optional<SourceSuspected> suspected;
    std::vector<SourceCleared> cleared;
  };

  /// After a restart: sessions that live, with Session::groups_until.
  void restore(std::span<const Session> live);
  /// One refresh. `live`: the sessions of this source, all of them. A source whose word cannot be
  /// wrong (`certain`) is never suspect.
  Outcome refreshed(const SignInName& source, std::span<const Session> live,
                    std::span<const GroupsSaid> said, Instant now, bool certain = false);
  /// What time makes of it.
  Outcome at(Instant now);
  /// When at() has something to say; nothing: never.
  std::optional<Instant> next() const;
  /// Of a session that is over.
  void forget(const SessionId& session);

  struct State {
    Instant until;
    std::size_t kept = 0;  // sessions
  };
  std::map<SignInName, State> suspects() const;

 private:
  struct Loss {
    Instant at;
    SessionId session;
    std::string who;
  };
  struct Source {
    std::deque<Loss> losses;                // of all groups, within the window, believed
    std::optional<Instant> until;           // suspect
    std::map<SessionId, std::string> kept;  // whose groups hold until then, and of whom
  };
  static void believe(Source& source, const SignInName& name, const char* how, Outcome& out);
  static bool is_much(const Source& source, std::size_t sessions);

  std::map<SignInName, Source> sources_;
};

/// The groups of a session by what was written of it.
void apply_groups(Session& session, const SessionGroups& fact);

}  // namespace knock
