// SPDX-License-Identifier: Apache-2.0
// Facts are what the log holds: each is written before what it tells of can be seen from outside. The log is one totally
// ordered, append-only chain of records; everything else in a store is a projection of it.
//
// A record has a public part and a personal part. The chain covers the public part and a commitment to the personal one
// (HMAC-SHA-256 under a random key kept per person), so that erasing a person's key and text later leaves a chain that
// still verifies. Names and addresses of people belong into the personal part, always.
//
//   hash = SHA-256( prev (32 bytes) ‖ canonical JSON of {seq, at, kind, actor, public, commitment} )
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/prefix.h"
#include "base/result.h"
#include "base/sha256.h"
#include "base/time.h"
#include "schemas/plan/plan.h"
#include "schemas/session/session.h"

namespace knock {

/// Who did it, as far as the controller can know: "core", "cli uid=0", "front", "apply edge-fw".
using Actor = std::string;

struct ControllerStarted {
  std::string version;
  std::string roles;
};
struct PolicyAdopted {
  PolicyRevision revision;
  PolicyRevision previous;
  std::string author;
  std::string subject;
  std::string acknowledged_plan;
};
struct PolicyRefused {
  PolicyRevision revision;
  std::string why;
};
/// Somebody said which revision is to be in force, or that the source may say so again.
struct PolicyAdvanced {
  PolicyRevision revision;
  PolicyRevision previous;
  bool held = false;  // nothing newer comes into force until somebody says so
  std::string how;    // "newest", "forward", "back", "hold", "resume", "history-replaced"
  std::string reason;
};
struct SessionOpened {
  Session session;
};
struct SessionExtended {
  SessionId session;
  Instant expires;
  std::string reason;
};
struct SessionEnded {
  SessionId session;
  SessionEnd end;
  std::string reason;
};
/// A proof that was not accepted. `code` is a stable reason ("token.signature"); never the proof itself.
struct SignInRefused {
  SignInName source;
  std::string code;
  std::string claimed;
  std::string address;
};
/// Written before the call that changes the target. `batch` joins it to what became of it.
struct ChangeIntended {
  std::uint64_t batch = 0;
  TargetName target;
  PolicyRevision policy;
  Change change;
};
struct ChangeApplied {
  std::uint64_t batch = 0;
  TargetName target;
  PolicyRevision policy;
  Change change;
};
struct ChangeRejected {
  std::uint64_t batch = 0;
  TargetName target;
  Change change;
  std::string why;
  bool unknown = false;
};
/// The entry ran out on the target by itself at its deadline.
struct EntryExpired {
  TargetName target;
  std::string slot;
  Prefix prefix;
  Instant at;
};
struct DriftFound {
  TargetName target;
  std::string slot;
  Prefix prefix;
  std::string what;
};
struct AccountChanged {
  std::string user;
  std::string what;
};  // never the password
/// An API key was added, rotated or revoked; never the token, and no hash of it.
struct KeyChanged {
  std::string key;
  std::string what;  // added, rotated, revoked
  std::vector<std::string> scopes;
  Instant expires;
  std::vector<Prefix> from;
};
/// A token was shown and not accepted. `key` is "" when nobody knows whose it is.
struct KeyRefused {
  std::string key;
  std::string code;
  std::string address;
};
struct PlanUsed {
  std::string nonce;
  std::string id;
};
struct GuardAcknowledged {
  std::string plan;
  TargetName target;
};
/// The store is an older one than the targets were changed from: it says nothing of what came after
/// `taken`. From here to StoreRecovered nobody is granted anything.
struct StoreRestored {
  Instant taken;           // of the newest record it held then
  std::uint64_t head = 0;  // and that record's number
  std::string how;         // "restore", "older-than-targets"
  std::string evidence;    // older-than-targets: what shows it; no names and no addresses
};
/// Somebody said that work goes on.
struct StoreRecovered {
  std::uint64_t sessions = 0;  // that were ended
  std::string reason;
};

/// What knock may do with a target's container changed, by somebody's word or because nothing stood
/// against it.
struct OwnershipChanged {
  TargetName target;
  std::string what;           // a word of docs/events.md: "exclusive", "released"
  std::string place;          // which container: another one at the same name is not meant
  OwnerId former;             // taken-over: whose it was
  std::string plan;           // what was shown before; "" where nobody was asked
  std::uint64_t entries = 0;  // that it concerns: foreign ones that go, or ours that stay
};
/// The sign-in source says other groups of somebody who is signed in.
struct SessionGroups {
  SessionId session;
  bool lost = false;  // some of those before are not among them
  /// The source is suspect, and the groups of before hold until then; from then on these do.
  std::optional<Instant> kept_until;
  std::vector<std::string> groups;  // sorted
};
/// A source says of many at once that they have no groups any more: nobody believes it yet.
struct SourceSuspected {
  SignInName source;
  std::uint64_t lost = 0, of = 0;  // sessions without groups, among those that had some
  Instant until;                   // then it is believed
};
struct SourceCleared {
  SignInName source;
  std::string how;  // "recovered", "believed": what it said was taken for true at last
};
/// What policy changes on a target is about to be applied, and is taken back unless it is confirmed.
struct ConfirmationDue {
  TargetName target;
  PolicyRevision policy, previous;  // previous: what is returned to
  Instant due;
  std::string plan;  // names it for `knock confirm`; hex
};
struct PolicyConfirmed {
  TargetName target;
  PolicyRevision policy;
  std::string how;  // "probe", "operator"
};
/// It was not confirmed in time: `previous` is in force on this target, with the sessions of now,
/// until another revision is adopted or somebody applies this one again.
struct PolicyReturned {
  TargetName target;
  PolicyRevision policy, previous;
};
/// Somebody stopped the work at a target for a time. What must close is closed all the same.
struct TargetPaused {
  TargetName target;
  Instant until;
  std::string reason;
};
/// Before its time. That a pause has ended by itself is no fact.
struct TargetResumed {
  TargetName target;
  std::string reason;
};

using Fact =
    std::variant<ControllerStarted, PolicyAdopted, PolicyRefused, SessionOpened, SessionExtended,
                 SessionEnded, SignInRefused, ChangeIntended, ChangeApplied, ChangeRejected,
                 EntryExpired, DriftFound, AccountChanged, PlanUsed, GuardAcknowledged, KeyChanged,
                 KeyRefused, PolicyAdvanced, StoreRestored, StoreRecovered, OwnershipChanged,
                 SessionGroups, SourceSuspected, SourceCleared, ConfirmationDue, PolicyConfirmed,
                 PolicyReturned, TargetPaused, TargetResumed>;

/// The stable id of a fact's kind, as docs/events.md lists it: "session.opened".
std::string_view kind_of(const Fact& fact);

/// A fact as text, ready for the log: canonical JSON objects with sorted keys and no white space.
struct EncodedFact {
  std::string kind;
  std::string public_json;
  // Whose key commits the personal part; "" when nobody is concerned. Principal::key(); "address 203.0.113.7/32" for
  // records of an entry (one entry may serve several people); "session <id>" where a fact names a session only;
  // "author <name>" of a commit; "key <name>" of an API key's networks; "standing" for operators' keep lists. Erasing a person means erasing all of theirs.
  std::string holder;
  std::string personal_json;  // "" when nobody is concerned
};
EncodedFact encode(const Fact& fact);
/// The exact inverse; strict. `personal_json` may be "" for an erased person: personal members come back empty.
Result<Fact> decode(const EncodedFact& encoded);

struct Record {
  std::uint64_t seq = 0;
  Instant at;
  Actor actor;
  EncodedFact fact;
  std::string commitment;  // hex; "" when nobody is concerned
  Digest prev{};
  Digest hash{};
};

/// The text that is hashed after `prev`.
std::string chain_text(const Record& record);
Digest chain_hash(const Record& record);

}  // namespace knock
