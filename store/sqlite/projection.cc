// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/projection.h"

#include <fmt/format.h>

#include <algorithm>

#include "schemas/plan/change_codec.h"
#include "store/sqlite/rows.h"

namespace knock::sqlite {
namespace {

struct Context {
  Database& database;
  std::uint64_t seq;
  Instant at;
};

// ---- sessions ----

Status project_one(Context& c, const SessionOpened& fact) {
  const auto& s = fact.session;
  auto known = c.database.query("SELECT 1 FROM sessions WHERE id = ?", s.id.value);
  KNOCK_ASSIGN(bool exists, known.next());
  if (exists)
    return fail(ErrorKind::conflict,
                fmt::format("the session {} exists already; open it under a new id", s.id.value));
  auto end_at = s.end ? std::optional(s.end->at.ms) : std::nullopt;
  auto end_cause = s.end ? std::optional(to_string(s.end->cause)) : std::nullopt;
  return c.database
      .query("INSERT INTO sessions VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", c.seq, s.id.value,
             s.principal.issuer, s.principal.subject, s.principal.name, s.source.value,
             to_string(s.proof), texts_to_json(s.groups), s.address.to_string(), s.created.ms,
             s.expires.ms, s.authenticated.ms, s.reason, end_at, end_cause,
             claims_to_json(s.claims), s.acr, s.mfa_at ? std::optional(s.mfa_at->ms) : std::nullopt)
      .run();
}

Status project_one(Context& c, const SessionExtended& fact) {
  return c.database
      .query("UPDATE sessions SET expires = ? WHERE id = ? AND end_at IS NULL", fact.expires.ms,
             fact.session.value)
      .run();
}

/// The first end counts: a session does not end twice.
Status project_one(Context& c, const SessionEnded& fact) {
  return c.database
      .query("UPDATE sessions SET end_at = ?, end_cause = ? WHERE id = ? AND end_at IS NULL",
             fact.end.at.ms, to_string(fact.end.cause), fact.session.value)
      .run();
}

// ---- intents ----

Status project_one(Context& c, const ChangeIntended& fact) {
  const auto& change = fact.change;
  return c.database
      .query("INSERT INTO intents VALUES(?,?,?,?,?,?,0)", c.seq, fact.batch, fact.target.value,
             change.slot, change.prefix.to_string(), to_string(change.action))
      .run();
}

/// The intent an answer belongs to: same batch and entry; where a reshape has two for one entry,
/// the one with the same action first. 0: none.
Result<std::uint64_t> intent_of(Context& c, std::uint64_t batch, const TargetName& target,
                                const Change& change) {
  auto row = c.database.query(
      "SELECT seq FROM intents WHERE batch = ? AND target = ? AND slot = ? AND prefix = ?"
      " ORDER BY action = ? DESC, seq LIMIT 1",
      batch, target.value, change.slot, change.prefix.to_string(), to_string(change.action));
  KNOCK_ASSIGN(bool found, row.next());
  return found ? row.number(0) : 0;
}

Status answer(Context& c, std::uint64_t batch, const TargetName& target, const Change& change,
              bool unknown) {
  KNOCK_ASSIGN(auto seq, intent_of(c, batch, target, change));
  if (seq == 0) return {};
  if (unknown) return c.database.query("UPDATE intents SET unknown = 1 WHERE seq = ?", seq).run();
  return c.database.query("DELETE FROM intents WHERE seq = ?", seq).run();
}

Status project_one(Context& c, const ChangeRejected& fact) {
  return answer(c, fact.batch, fact.target, fact.change, fact.unknown);
}

// ---- applied entries ----

/// What the table holds of an entry now.
struct Standing {
  std::uint64_t seq = 0;
  Instant until, state_since;
  std::string policy, causes;
  int readded = 0;
};

Result<std::optional<Standing>> standing(Context& c, const TargetName& target,
                                         const std::string& slot, const Prefix& prefix) {
  auto row = c.database.query(
      "SELECT seq, until, state_since, policy, causes, readded FROM applied"
      " WHERE target = ? AND removed IS NULL AND slot = ? AND prefix = ?",
      target.value, slot, prefix.to_string());
  KNOCK_ASSIGN(bool found, row.next());
  if (!found) return std::optional<Standing>();
  return std::optional(Standing{row.number(0), Instant{row.integer(1)}, Instant{row.integer(2)},
                                row.text(3), row.text(4), int(row.integer(5))});
}

/// How often an entry had been put back when it last stood.
Result<int> earlier_readded(Context& c, const TargetName& target, const Change& change) {
  auto row = c.database.query(
      "SELECT readded FROM applied WHERE target = ? AND slot = ? AND prefix = ?"
      " ORDER BY seq DESC LIMIT 1",
      target.value, change.slot, change.prefix.to_string());
  KNOCK_ASSIGN(bool found, row.next());
  return found ? int(row.integer(0)) : 0;
}

Instant deadline_of(const Change& change, Instant otherwise) {
  if (change.until) return *change.until;
  for (const auto& cause : change.causes) otherwise = std::max(otherwise, cause.until);
  return otherwise;
}

Status begin_interval(Context& c, const ChangeApplied& fact) {
  const auto& change = fact.change;
  int readded = 0;
  if (change.reason == Reason::drift) {
    KNOCK_ASSIGN(int before, earlier_readded(c, fact.target, change));
    readded = before + 1;
  }
  return c.database
      .query("INSERT INTO applied VALUES(?,?,?,?,?,?,?,?,?,?,NULL,NULL)", c.seq, fact.target.value,
             change.slot, change.prefix.to_string(), c.at.ms, deadline_of(change, c.at).ms,
             fact.policy.value, causes_to_json(change.causes), c.at.ms, readded)
      .run();
}

/// Keeps what caused the entry until now, so that a question about the past is not answered with
/// today's causes.
Status keep_state(Context& c, const Standing& was) {
  if (was.state_since >= c.at) return {};
  return c.database
      .query("INSERT INTO applied_states VALUES(?,?,?,?,?)", was.seq, was.state_since.ms, c.at.ms,
             was.policy, was.causes)
      .run();
}

Status change_interval(Context& c, const ChangeApplied& fact, const Standing& was) {
  const auto& change = fact.change;
  auto causes = causes_to_json(change.causes);
  bool same = causes == was.causes && fact.policy.value == was.policy;
  if (!same) KNOCK_CHECK(keep_state(c, was));
  int readded = was.readded;
  if (change.action == Action::add) readded = change.reason == Reason::drift ? was.readded + 1 : 0;
  return c.database
      .query(
          "UPDATE applied SET until = ?, policy = ?, causes = ?, state_since = ?, readded = ?"
          " WHERE seq = ?",
          deadline_of(change, was.until).ms, fact.policy.value, causes,
          same ? was.state_since.ms : std::max(was.state_since, c.at).ms, readded, was.seq)
      .run();
}

Status end_interval(Context& c, const Standing& was, Instant removed, std::string_view because) {
  return c.database
      .query("UPDATE applied SET removed = ?, because = ? WHERE seq = ?",
             std::min(removed, was.until).ms, because, was.seq)
      .run();
}

/// An add, an extension or a shortening. An entry whose deadline had passed was gone, told or not,
/// and stands anew; one that is shortened into the past is gone.
Status stand(Context& c, const ChangeApplied& fact, const std::optional<Standing>& was) {
  if (!was) return begin_interval(c, fact);
  if (was->until <= c.at) {
    KNOCK_CHECK(end_interval(c, *was, was->until, to_string(Reason::expiry)));
    return begin_interval(c, fact);
  }
  if (deadline_of(fact.change, was->until) <= c.at)
    return end_interval(c, *was, c.at, to_string(fact.change.reason));
  return change_interval(c, fact, *was);
}

Status project_applied(Context& c, const ChangeApplied& fact) {
  const auto& change = fact.change;
  KNOCK_ASSIGN(auto was, standing(c, fact.target, change.slot, change.prefix));
  switch (change.action) {
    case Action::add:
    case Action::extend:
    case Action::shorten:
      return stand(c, fact, was);
    case Action::remove:
      if (!was) return {};
      return end_interval(c, *was, c.at, to_string(change.reason));
    case Action::protect:
    case Action::unprotect:
    case Action::keep:
    case Action::reshape:
    case Action::report:
      return {};
  }
  return {};
}

Status project_one(Context& c, const ChangeApplied& fact) {
  KNOCK_CHECK(answer(c, fact.batch, fact.target, fact.change, false));
  return project_applied(c, fact);
}

Status project_one(Context& c, const EntryExpired& fact) {
  KNOCK_ASSIGN(auto was, standing(c, fact.target, fact.slot, fact.prefix));
  if (!was) return {};
  return end_interval(c, *was, fact.at, to_string(Reason::expiry));
}

// ---- the rest ----

Status project_one(Context& c, const PolicyAdopted& fact) {
  // A process that did not know what was in force before takes up what was: nobody asked for it.
  if (!fact.previous.empty())
    KNOCK_CHECK(c.database.query("DELETE FROM confirmations WHERE returned = 1").run());
  return c.database
      .query("INSERT INTO adoptions VALUES(?,?,?,?)", c.seq, c.at.ms, fact.revision.value,
             fact.previous.value)
      .run();
}

/// The groups of before stay to be seen: a question about the past asks for those of then.
Status project_one(Context& c, const SessionGroups& fact) {
  auto kept = fact.kept_until ? std::optional(fact.kept_until->ms) : std::nullopt;
  return c.database
      .query("INSERT INTO session_groups VALUES(?,?,?,?,?,?)", c.seq, c.at.ms, fact.session.value,
             fact.lost ? 1 : 0, kept, texts_to_json(fact.groups))
      .run();
}

Status project_one(Context& c, const ConfirmationDue& fact) {
  KNOCK_CHECK(
      c.database.query("DELETE FROM confirmations WHERE target = ?", fact.target.value).run());
  return c.database
      .query("INSERT INTO confirmations VALUES(?,?,?,?,?,?,0)", c.seq, fact.target.value,
             fact.policy.value, fact.previous.value, fact.due.ms, fact.plan)
      .run();
}

Status project_one(Context& c, const PolicyConfirmed& fact) {
  return c.database.query("DELETE FROM confirmations WHERE target = ?", fact.target.value).run();
}

Status project_one(Context& c, const PolicyReturned& fact) {
  return c.database
      .query("UPDATE confirmations SET policy = ?, previous = ?, returned = 1 WHERE target = ?",
             fact.policy.value, fact.previous.value, fact.target.value)
      .run();
}

Status project_one(Context& c, const PlanUsed& fact) {
  auto known = c.database.query("SELECT seq FROM plans WHERE nonce = ?", fact.nonce);
  KNOCK_ASSIGN(bool used, known.next());
  if (used)
    return fail(ErrorKind::conflict,
                fmt::format("this saved plan was used already (record {}); make a new one",
                            known.integer(0)));
  return c.database.query("INSERT INTO plans VALUES(?,?,?)", c.seq, fact.nonce, fact.id).run();
}

Status project_one(Context& c, const PolicyAdvanced& fact) {
  return c.database.query("INSERT INTO advances VALUES(?,?)", c.seq, fact.held ? 1 : 0).run();
}

// Told by the log alone.
Status project_one(Context&, const ControllerStarted&) { return {}; }
Status project_one(Context&, const PolicyRefused&) { return {}; }
Status project_one(Context&, const SignInRefused&) { return {}; }
Status project_one(Context&, const DriftFound&) { return {}; }
Status project_one(Context&, const AccountChanged&) { return {}; }
Status project_one(Context&, const GuardAcknowledged&) { return {}; }
Status project_one(Context&, const KeyChanged&) { return {}; }
Status project_one(Context&, const KeyRefused&) { return {}; }
Status project_one(Context&, const SourceSuspected&) { return {}; }
Status project_one(Context&, const SourceCleared&) { return {}; }
Status project_one(Context&, const OwnershipChanged&) { return {}; }
Status project_one(Context&, const TargetPaused&) { return {}; }
Status project_one(Context&, const TargetResumed&) { return {}; }
Status project_one(Context&, const StoreRestored&) { return {}; }
Status project_one(Context&, const StoreRecovered&) { return {}; }

}  // namespace

Status project(Database& database, std::uint64_t seq, Instant at, const Fact& fact) {
  Context context{database, seq, at};
  return std::visit([&](const auto& one) { return project_one(context, one); }, fact);
}

}  // namespace knock::sqlite
