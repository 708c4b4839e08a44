// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/schema.h"

#include <fmt/format.h>

#include <array>

namespace knock::sqlite {
namespace {

constexpr std::int64_t kApplicationId = 0x6b6e6f6b;  // "knok", so that file(1) and we know the file

struct Migration {
  const char* name;
  const char* sql;
};

constexpr const char* kFirst = R"sql(
PRAGMA application_id = 1802399595;
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE migrations(version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;

CREATE TABLE events(
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL,
  public TEXT NOT NULL, commitment TEXT NOT NULL, prev BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
  BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
  BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

CREATE TABLE person_keys(id INTEGER PRIMARY KEY, holder TEXT NOT NULL UNIQUE, key BLOB NOT NULL) STRICT;
CREATE TABLE event_personal(
  seq INTEGER PRIMARY KEY REFERENCES events(seq), person INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
CREATE TRIGGER keys_are_never_changed BEFORE UPDATE ON person_keys
  BEGIN SELECT RAISE(ABORT, 'keys are made once and deleted, never changed'); END;
CREATE TRIGGER personal_parts_are_never_changed BEFORE UPDATE ON event_personal
  BEGIN SELECT RAISE(ABORT, 'personal parts are written once and deleted, never changed'); END;

CREATE TABLE sessions(
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, issuer TEXT NOT NULL, subject TEXT NOT NULL,
  name TEXT NOT NULL, source TEXT NOT NULL, proof TEXT NOT NULL, groups TEXT NOT NULL,
  address TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL,
  authenticated INTEGER NOT NULL, reason TEXT NOT NULL, end_at INTEGER, end_cause TEXT) STRICT;
CREATE INDEX sessions_live ON sessions(expires) WHERE end_at IS NULL;

CREATE TABLE intents(
  seq INTEGER PRIMARY KEY, batch INTEGER NOT NULL, target TEXT NOT NULL, slot TEXT NOT NULL,
  prefix TEXT NOT NULL, action TEXT NOT NULL, unknown INTEGER NOT NULL) STRICT;

CREATE TABLE applied(
  seq INTEGER PRIMARY KEY, target TEXT NOT NULL, slot TEXT NOT NULL, prefix TEXT NOT NULL,
  since INTEGER NOT NULL, until INTEGER NOT NULL, policy TEXT NOT NULL, causes TEXT NOT NULL,
  state_since INTEGER NOT NULL, readded INTEGER NOT NULL, removed INTEGER, because TEXT) STRICT;
CREATE INDEX applied_by_entry ON applied(target, removed, slot, prefix);
CREATE TABLE applied_states(
  entry INTEGER NOT NULL REFERENCES applied(seq), since INTEGER NOT NULL, till INTEGER NOT NULL,
  policy TEXT NOT NULL, causes TEXT NOT NULL, PRIMARY KEY(entry, since)) STRICT, WITHOUT ROWID;

CREATE TABLE adoptions(
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, revision TEXT NOT NULL, previous TEXT NOT NULL) STRICT;
CREATE TABLE plans(seq INTEGER PRIMARY KEY, nonce TEXT NOT NULL UNIQUE, plan TEXT NOT NULL) STRICT;

CREATE TABLE policies(
  revision TEXT PRIMARY KEY, at INTEGER NOT NULL, author TEXT NOT NULL, subject TEXT NOT NULL) STRICT;
CREATE TABLE policy_files(
  revision TEXT NOT NULL REFERENCES policies(revision) ON DELETE CASCADE, path TEXT NOT NULL,
  content BLOB NOT NULL, blob_id TEXT NOT NULL, PRIMARY KEY(revision, path)) STRICT;
CREATE TABLE accounts(
  user TEXT PRIMARY KEY, name TEXT NOT NULL, password_hash TEXT NOT NULL, groups TEXT NOT NULL,
  disabled INTEGER NOT NULL) STRICT;

INSERT INTO meta VALUES('format', 'knock facts'), ('created_by', ')sql" KNOCK_VERSION R"sql(');
)sql";

constexpr const char* kApiKeys = R"sql(
CREATE TABLE api_keys(
  name TEXT PRIMARY KEY, scopes TEXT NOT NULL, networks TEXT NOT NULL, created INTEGER NOT NULL,
  expires INTEGER NOT NULL, hash BLOB NOT NULL, last_used INTEGER) STRICT;
)sql";

constexpr const char* kAdvances = R"sql(
CREATE TABLE advances(seq INTEGER PRIMARY KEY, held INTEGER NOT NULL) STRICT;
)sql";

// What older records do not say was not said: a replay of them gives these values too.
constexpr const char* kSaidAtSignIn = R"sql(
ALTER TABLE sessions ADD COLUMN claims TEXT NOT NULL DEFAULT '{}';
ALTER TABLE sessions ADD COLUMN acr TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN mfa_at INTEGER;
)sql";

// Asked at every start, among all entries that ever stood: nearly none of them has a ticket.
constexpr const char* kTickets = R"sql(
CREATE INDEX applied_tickets ON applied(target, until)
  WHERE instr(causes, '"lasts":"first-connection"') > 0;
CREATE INDEX applied_states_tickets ON applied_states(entry)
  WHERE instr(causes, '"lasts":"first-connection"') > 0;
)sql";

// Each change of a session's groups since it began, and what asks to be confirmed.
constexpr const char* kGroupsAndConfirmations = R"sql(
CREATE TABLE session_groups(
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, session TEXT NOT NULL, lost INTEGER NOT NULL,
  kept_until INTEGER, groups TEXT NOT NULL) STRICT;
CREATE TABLE confirmations(
  seq INTEGER PRIMARY KEY, target TEXT NOT NULL UNIQUE, policy TEXT NOT NULL,
  previous TEXT NOT NULL, due INTEGER NOT NULL, plan TEXT NOT NULL, returned INTEGER NOT NULL)
  STRICT;
)sql";

constexpr std::array kMigrations{Migration{"first", kFirst},
                                 Migration{"api keys", kApiKeys},
                                 Migration{"advances", kAdvances},
                                 Migration{"said at sign-in", kSaidAtSignIn},
                                 Migration{"tickets", kTickets},
                                 Migration{"groups and confirmations", kGroupsAndConfirmations}};

Result<std::int64_t> version_of(Database& database) {
  KNOCK_ASSIGN(auto tables, database.integer("SELECT count(*) FROM sqlite_schema"));
  if (tables == 0) return 0;
  KNOCK_ASSIGN(auto id, database.integer("PRAGMA application_id"));
  if (id != kApplicationId)
    return fail(ErrorKind::unsupported,
                "this is an SQLite file, but not a store of knock's; name another path");
  return database.integer("SELECT max(version) FROM migrations");
}

tl::unexpected<Error> too_new(std::int64_t version) {
  return fail(ErrorKind::unsupported,
              fmt::format("this store has format {}, and knock {} knows up to {}; use the newer "
                          "knock that wrote it",
                          version, KNOCK_VERSION, kMigrations.size()));
}

Status take_steps(Database& database, std::int64_t from) {
  for (auto i = std::size_t(from); i < kMigrations.size(); ++i) {
    KNOCK_CHECK(database.execute(kMigrations[i].sql));
    KNOCK_CHECK(
        database
            .query("INSERT INTO migrations VALUES(?, ?)", std::int64_t(i + 1), kMigrations[i].name)
            .run());
  }
  return {};
}

}  // namespace

Status check_ours(Database& database) {
  KNOCK_ASSIGN(auto version, version_of(database));
  if (version > std::int64_t(kMigrations.size())) return too_new(version);
  return {};
}

Status migrate(Database& database) {
  KNOCK_ASSIGN(auto version, version_of(database));
  if (version == std::int64_t(kMigrations.size())) return {};
  KNOCK_CHECK(database.execute("BEGIN IMMEDIATE"));
  auto status = take_steps(database, version);
  if (status) status = database.execute("COMMIT");
  if (!status && database.in_transaction()) {
    auto undone = database.execute("ROLLBACK");
    if (!undone) return undone;
  }
  return status;
}

Status check_version(Database& database) {
  KNOCK_ASSIGN(auto version, version_of(database));
  if (version == 0)
    return fail(ErrorKind::not_found, "the store is still empty; start the controller once");
  if (version > std::int64_t(kMigrations.size())) return too_new(version);
  if (version < std::int64_t(kMigrations.size()))
    return fail(ErrorKind::unsupported,
                fmt::format("this store has the older format {}; start the controller of this "
                            "version once, which brings it up to {}",
                            version, kMigrations.size()));
  return {};
}

}  // namespace knock::sqlite
