// SPDX-License-Identifier: Apache-2.0
// A plan is data: printable, hashable, storable, reviewable. It is binding: a provider may stop
// early and say why, it never improvises. Words: docs/glossary.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/ip.h"
#include "base/port_range.h"
#include "base/prefix.h"
#include "base/sha256.h"
#include "base/shared.h"
#include "base/time.h"
#include "schemas/diagnostic.h"
#include "schemas/lasts.h"

namespace knock {

/// What caused an entry: a session or a static rule, and the policy rule that let it.
struct Attribution {
  enum class Kind { session, fixed };  // fixed: a `static:` rule
  Kind kind = Kind::session;
  SessionId session;  // kind session
  std::string who;    // the principal's name, or the static rule's owner: for people
  ServiceName service;
  RuleName rule;
  Instant until;  // the deadline this cause alone would give
  /// first_connection: it gave, or gives, a ticket for one connection. Any other than
  /// until_deadline stands only where the entry itself lasts so.
  Lasts lasts = Lasts::until_deadline;
  friend auto operator<=>(const Attribution&, const Attribution&) = default;
};

enum class Action : std::uint8_t {
  protect,    // start default-dropping ports: can lock people out
  unprotect,  // stop default-dropping: opens ports to everybody
  keep,       // the standing accepts for operators change
  reshape,    // a slot appears, goes, or lets other ports through
  add,
  extend,   // a later deadline
  shorten,  // an earlier deadline
  remove,
  report,  // nothing is done; a person should know
};
std::string_view to_string(Action action);
std::optional<Action> action_from(std::string_view text);

/// Why. The list is open: readers must accept a word they do not know.
enum class Reason : std::uint8_t {
  sign_in,  // a session gives it
  fixed,    // a static rule gives it
  policy,   // a policy commit changed what it allows
  expiry,
  sign_out,
  revoked,
  denied,         // a deny rule covers it
  limited,        // a rule that counts addresses or people gives it no longer
  no_room,        // the target is full: it waits for a place
  drift,          // the target differs from what was applied, and it was not us
  orphan,         // ours by its marker, but nothing in the log explains it
  configuration,  // knock.yaml changed (keep)
  foreign,        // not ours: left alone
};
std::string_view to_string(Reason reason);
std::optional<Reason> reason_from(std::string_view text);
/// Which of the three groups of a plan it belongs to: "policy", "session" or "drift".
std::string_view group_of(Reason reason);

/// Steps of one apply, in this order (reconciler/core/order.h says why): close what must not wait;
/// make room (keep, reshape); open; prolong; then close what policy no longer wants, `protect`
/// included.
enum class Step : std::uint8_t {
  close_now = 1,
  structure = 2,
  open = 3,
  prolong = 4,
  close_by_policy = 5
};

/// A plan may hold millions: what changes have in common, or mostly lack, is shared.
struct Change {
  Action action = Action::report;
  Reason reason = Reason::policy;
  Step step = Step::open;
  Lasts lasts = Lasts::until_deadline;  // add extend shorten
  /// lasts first_connection: a new ticket for one connection; else what is left of the old one.
  bool ticket = false;
  /// remove: only our mark goes. What the entry lets in stays until `until`, and is ours no more. A
  /// target that cannot do that removes it.
  bool released = false;
  Prefix prefix;                     // add extend shorten remove report
  std::optional<Instant> until;      // add extend shorten: new deadline
  std::optional<Instant> was_until;  // extend shorten remove
  Instant come_by;                   // lasts disconnect: no new connection from then on
  EntryId entry;
  SharedText slot;  // where in the target: for nftables the service's name
  /// What the slot lets through; for protect/unprotect the ports themselves.
  SharedList<PortRange> ports;
  SharedList<Prefix> keep;         // protect, keep: the whole standing list afterwards
  SharedText handle;               // the provider's own name for the entry; "" where there is none
  SharedList<Attribution> causes;  // sorted
  SharedText detail;               // one sentence more, where it helps
};

/// A remark in a plan. Stable id, like "target.widens".
struct Finding {
  enum class Level { note, warning };
  Level level = Level::note;
  std::string id;
  TargetName target;  // empty: the whole plan
  std::string sentence;
};

/// A guard that holds changes back until somebody acknowledges the plan's id.
struct GuardTrip {
  std::string guard;  // "becomes-empty", "protect", "unprotect", "any"
  TargetName target;
  std::string figure;    // "41 of 41 entries"
  std::string limit;     // "at least one entry stays"
  std::size_t held = 0;  // changes held back
};

struct TargetPlan {
  TargetName target;
  std::string type;
  std::string fence;  // of the observation the changes were computed from
  std::size_t owned = 0, foreign = 0;
  bool readable = true;  // false: nothing is planned but closing what has expired
  std::string unreadable_because;
  std::vector<Change> changes;  // ordered: applying any prefix of the list is safe
  std::vector<Change> held;     // waiting for an acknowledgement; not applied
  std::vector<Finding> findings;
  std::size_t writes = 0;            // of `changes`: those that change something
  std::optional<std::size_t> calls;  // what they take at this target; nothing: not known
  /// What they would take at least, in whatever order. More than that is the price of an order in
  /// which nobody is cut.
  std::optional<std::size_t> least_calls;
  /// Of what stood there and no session moves: structure and foreign entries (state_of in
  /// reconciler/core/plan.h). Nothing: it was not read as a whole.
  std::optional<Digest> state;
  /// Somebody said that the container of this installation is ours from now on; apply() makes it so
  /// first. Of the moment: in no file.
  std::optional<OwnerId> take_over;
};

/// How somebody's groups are known.
enum class Known : std::uint8_t {
  directory,  // a list of everybody, read for this plan: the local accounts
  seen,       // said at a sign-in, some time ago
  named,      // the rule names them, and nothing else is known of them
};
std::string_view to_string(Known known);
std::optional<Known> known_from(std::string_view text);

/// Somebody who gains or loses a service by the policy change, among those that are known.
struct PersonChange {
  bool gains = false;
  std::string who;
  ServiceName service;
  RuleName rule;  // gains: by which; loses: which gave it until now
  SourceRange origin;
  std::optional<Instant> live_until;  // loses: a live session would have had it until then
  std::string key;                    // "subject@issuer"; several people may share a name
  Known known = Known::seen;
  std::optional<Instant> seen;  // the sign-in that said it
};

/// How many gain or lose one service by one rule, and how well that is known.
struct PeopleFigure {
  bool gains = false;
  ServiceName service;
  RuleName rule;
  SourceRange origin;
  std::size_t directory = 0, seen = 0, named = 0;  // people in Plan::people, by how they are known
  std::optional<Instant> oldest;                   // of the sign-ins behind `seen`
  std::size_t sessions = 0;                        // in Plan::cuts
  /// Groups of the rule that no directory lists: others may gain or lose as well. Sorted.
  std::vector<GroupName> unlisted;
  std::size_t known() const { return directory + seen + named; }
  bool complete() const { return unlisted.empty(); }
};

/// A live session that loses a service by the policy change, at once.
struct SessionCut {
  SessionId session;
  std::string who;
  std::string key;  // "subject@issuer"
  std::optional<IpAddress> address;
  ServiceName service;
  RuleName rule;       // which gave it until now
  RuleName denied_by;  // empty: nothing gives it any more
  Instant until;       // when it would have ended
};

/// One element of the policy that differs between the two revisions.
struct PolicyEdit {
  enum class Kind : std::uint8_t { added, removed, changed };
  Kind kind = Kind::changed;
  std::string section;        // the top-level key: "allow", "networks"
  std::string name;           // "" where the section is one element
  SourceRange origin;         // where it stands, or stood
  std::string before, after;  // canonical YAML of the element, on one line
};
std::string_view to_string(PolicyEdit::Kind kind);
std::optional<PolicyEdit::Kind> edit_kind_from(std::string_view text);

/// What a plan leaves out or makes up. Only a plan without any of it is what an apply would do.
struct Scope {
  bool refresh_only = false;        // what differs on the targets, and nothing else
  bool what_if = false;             // sessions or the time were made up
  std::vector<TargetName> targets;  // these alone, sorted; empty: all of them
  bool whole() const { return !refresh_only && !what_if && targets.empty(); }
};

struct Plan {
  PolicyRevision from;  // what is in force; empty at first
  PolicyRevision to;
  std::uint64_t sequence = 0;  // of the log, when the plan was made
  Instant as_of;
  Scope scope;
  std::vector<PolicyEdit> edits;      // in the order of a policy's sections, then by name
  std::vector<PeopleFigure> figures;  // gains first, then by service and rule
  std::vector<PersonChange> people;   // losses first, then by service and name
  Duration seen_within;               // how old a sign-in may be that counts; 0: none was looked at
  std::vector<SessionCut> cuts;       // sorted by service and name
  std::vector<TargetPlan> targets;    // sorted by name
  std::vector<Finding> findings;
  std::vector<GuardTrip> guards;  // tripped ones
  Digest id{};  // over revision and policy-caused changes: see plan_id in reconciler/core/plan.h
  bool empty() const;  // nothing to do and nothing held
};

}  // namespace knock
