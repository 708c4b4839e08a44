// SPDX-License-Identifier: Apache-2.0
// Somebody with the file in hand changes it: verify() names the record.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>

#include "store/sqlite/sqlite_store.h"
#include "tests/conformance/sample_facts.h"
#include "tests/support/requirement.h"

namespace knock {
namespace {

using test::after;
using test::kNoon;
using ::testing::HasSubstr;

/// SQLite without any of our guards.
class Raw {
 public:
  explicit Raw(const std::string& path) {
    EXPECT_EQ(sqlite3_open(path.c_str(), &handle_), SQLITE_OK);
    EXPECT_TRUE(run("PRAGMA synchronous = OFF"));  // hundreds of copies are broken here
  }
  ~Raw() { sqlite3_close(handle_); }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;

  bool run(const std::string& sql, std::string_view blob = {}) {
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK)
        << sql << ": " << sqlite3_errmsg(handle_);
    if (!blob.empty())
      sqlite3_bind_blob(statement, 1, blob.data(), int(blob.size()), SQLITE_TRANSIENT);
    int code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW;
  }

  std::vector<std::string> column(const std::string& sql) {
    std::vector<std::string> out;
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK) << sql;
    while (sqlite3_step(statement) == SQLITE_ROW) {
      auto* data = static_cast<const char*>(sqlite3_column_blob(statement, 0));
      out.emplace_back(data == nullptr
                           ? ""
                           : std::string(data, std::size_t(sqlite3_column_bytes(statement, 0))));
    }
    sqlite3_finalize(statement);
    return out;
  }

  /// Runs `sql` as somebody who puts the triggers back afterwards.
  bool run_without_triggers(const std::string& sql, std::string_view blob = {}) {
    auto names = column("SELECT name FROM sqlite_schema WHERE type = 'trigger'");
    auto texts = column("SELECT sql FROM sqlite_schema WHERE type = 'trigger'");
    for (const auto& name : names) EXPECT_TRUE(run("DROP TRIGGER " + name));
    bool done = run(sql, blob);
    for (const auto& text : texts) EXPECT_TRUE(run(text));
    return done;
  }

 private:
  sqlite3* handle_ = nullptr;
};

class SqliteTamper : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = open_sqlite(original(), SqliteMode::create_or_open, random_);
    ASSERT_TRUE(store) << store.error().text();
    auto change =
        test::sample_change(Action::add, Reason::sign_in, "203.0.113.7", "payroll", after(60));
    auto longer = change;
    longer.action = Action::extend;
    longer.until = after(90);
    longer.causes.edit([](auto& causes) { causes[0].until = after(90); });
    const std::vector<Fact> all = test::every_fact();
    std::vector<Fact> facts(all.begin(), all.begin() + 15);  // 1 … 15
    facts.push_back(ChangeApplied{9, TargetName("edge-fw"), PolicyRevision("p1"), change});
    ASSERT_TRUE((*store)->append("core", kNoon, facts));
    std::vector<Fact> more{ChangeApplied{10, TargetName("edge-fw"), PolicyRevision("p2"), longer},
                           ChangeIntended{11, TargetName("edge-fw"), PolicyRevision("p2"), longer}};
    ASSERT_TRUE((*store)->append("core", after(1), more));
    std::vector<Fact> rest(all.begin() + 15, all.end());  // from 19 on
    ASSERT_TRUE((*store)->append("core", after(2), rest));
    records_ = *(*store)->head();
    ASSERT_EQ(check_of(**store).why, "");
  }

  std::string original() const { return folder_.path() + "/knock.db"; }
  /// A copy to break; the store is closed by now, so that one file is all of it.
  std::string copy() const {
    auto path = folder_.path() + "/copy.db";
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix);
    std::filesystem::copy_file(original(), path);
    return path;
  }

  static ChainCheck check_of(const FactStore& store) {
    auto check = store.verify({});
    EXPECT_TRUE(check) << check.error().text();
    return check ? *check : ChainCheck{};
  }
  ChainCheck verify(const std::string& path) {
    auto store = open_sqlite(path, SqliteMode::read_only, random_);
    EXPECT_TRUE(store) << store.error().text();
    return store ? check_of(**store) : ChainCheck{};
  }

  ChainCheck after_change(const std::string& sql, std::string_view blob = {}) {
    auto path = copy();
    {
      Raw raw(path);
      EXPECT_TRUE(raw.run_without_triggers(sql, blob)) << sql;
    }
    return verify(path);
  }

  void expect_found(const std::string& sql, std::uint64_t seq, std::string_view blob = {}) {
    auto check = after_change(sql, blob);
    EXPECT_FALSE(check.good) << sql;
    EXPECT_EQ(check.broken_at, seq) << sql << ": " << check.why;
    EXPECT_NE(check.why, "");
  }

  /// Flips one bit of every byte of one column of one row, a copy each time.
  void expect_each_byte_guarded(const std::string& table, const std::string& column,
                                const std::string& type, const std::string& where,
                                std::uint64_t seq) {
    auto values = Raw(original()).column("SELECT " + column + " FROM " + table + " WHERE " + where);
    ASSERT_EQ(values.size(), 1u) << table << "." << column;
    ASSERT_FALSE(values[0].empty()) << table << "." << column;
    for (std::size_t i = 0; i < values[0].size(); ++i) {
      auto flipped = values[0];
      flipped[i] = char(flipped[i] ^ 1);
      expect_found(
          "UPDATE " + table + " SET " + column + " = CAST(? AS " + type + ") WHERE " + where, seq,
          flipped);
    }
  }

  test::TemporaryFolder folder_;
  SystemRandom random_;
  std::uint64_t records_ = 0;
};

TEST_F(SqliteTamper, UntouchedIsGood) {
  auto check = verify(copy());
  EXPECT_TRUE(check.good) << check.why;
  EXPECT_EQ(check.records, records_);
}

TEST_F(SqliteTamper, EveryByteOfARecordIsGuarded) {
  for (const char* column : {"actor", "kind", "public", "commitment"})
    expect_each_byte_guarded("events", column, "TEXT", "seq = 6", 6);
  for (const char* column : {"prev", "hash"})
    expect_each_byte_guarded("events", column, "BLOB", "seq = 6", 6);
  for (int bit = 0; bit < 63; ++bit)
    expect_found("UPDATE events SET at = at + (CASE WHEN at >> " + std::to_string(bit) +
                     " & 1 THEN -1 ELSE 1 END) * (1 << " + std::to_string(bit) + ") WHERE seq = 6",
                 6);
}

TEST_F(SqliteTamper, EveryByteOfThePersonalPartIsGuarded) {
  expect_each_byte_guarded("event_personal", "text", "TEXT", "seq = 4", 4);
  const std::string dora = "id = (SELECT person FROM event_personal WHERE seq = 4)";
  expect_each_byte_guarded("person_keys", "key", "BLOB", dora, 4);
  expect_each_byte_guarded("person_keys", "holder", "TEXT", dora, 4);
}

TEST_F(SqliteTamper, TheFirstAndTheLastRecordAreGuardedToo) {
  expect_found("UPDATE events SET actor = 'x' WHERE seq = 1", 1);
  expect_found("UPDATE events SET actor = 'x' WHERE seq = " + std::to_string(records_), records_);
  expect_found("UPDATE events SET hash = zeroblob(32) WHERE seq = " + std::to_string(records_),
               records_);
  expect_found("UPDATE events SET hash = x'00' WHERE seq = 3", 3);
}

TEST_F(SqliteTamper, RowsThatMoveAreFound) {
  expect_found("DELETE FROM events WHERE seq = 5", 5);
  expect_found("DELETE FROM events WHERE seq = 1", 1);
  expect_found("UPDATE events SET seq = 99 WHERE seq = 5", 5);
  expect_found("UPDATE events SET seq = 0 WHERE seq = 1", 1);
  expect_found(
      "INSERT INTO events SELECT 99, at, actor, kind, public, commitment, prev, hash"
      " FROM events WHERE seq = 5",
      records_ + 1);
  expect_found("UPDATE event_personal SET person = person + 1 WHERE seq = 4", 4);
  expect_found("UPDATE event_personal SET person = 999 WHERE seq = 4", 4);
  expect_found("UPDATE event_personal SET seq = 1 WHERE seq = 4", 1);
  expect_found("UPDATE event_personal SET seq = 99 WHERE seq = 4", 99);
}

TEST_F(SqliteTamper, EqualPersonalPartsCannotBeSwapped) {
  // 16 and 17 are of one address and thus of one key.
  auto texts = Raw(original()).column("SELECT text FROM event_personal WHERE seq IN (16, 17)");
  ASSERT_EQ(texts.size(), 2u);
  ASSERT_EQ(texts[0], texts[1]);
  auto commitments = Raw(original()).column("SELECT commitment FROM events WHERE seq IN (16, 17)");
  EXPECT_NE(commitments[0], commitments[1]) << "equal texts must not look equal in the chain";
}

TEST_F(SqliteTamper, ACutTailShowsInItsProjections) {
  auto path = copy();
  {
    Raw raw(path);
    EXPECT_TRUE(raw.run_without_triggers("DELETE FROM event_personal WHERE seq = 18"));
    EXPECT_TRUE(raw.run_without_triggers("DELETE FROM events WHERE seq = 18"));
  }
  auto check = verify(path);
  EXPECT_FALSE(check.good);
  EXPECT_EQ(check.broken_at, 18u);
}

TEST_F(SqliteTamper, ProjectionsMustBeAReplayOfTheLog) {
  struct Row {
    const char* sql;
    std::uint64_t seq;
  };
  const Row rows[] = {
      {"UPDATE sessions SET expires = expires + 1 WHERE seq = 4", 4},
      {"UPDATE sessions SET address = '203.0.113.8' WHERE seq = 4", 4},
      {"UPDATE sessions SET end_at = NULL, end_cause = NULL WHERE seq = 4", 4},
      {"UPDATE sessions SET groups = '[\"root\"]' WHERE seq = 4", 4},
      {"DELETE FROM sessions WHERE seq = 4", 4},
      {"INSERT INTO sessions SELECT 99, 's-99', issuer, subject, name, source, proof, groups, "
       "address,"
       " created, expires, authenticated, reason, end_at, end_cause, claims, acr, mfa_at FROM "
       "sessions"
       " WHERE seq = 4",
       99},
      {"DELETE FROM intents", 18},
      {"UPDATE applied SET until = until + 1 WHERE seq = 16", 16},
      {"UPDATE applied SET removed = 5 WHERE seq = 16", 16},
      {"UPDATE applied SET causes = '[]' WHERE seq = 16", 16},
      {"UPDATE applied_states SET causes = '[]'", 16},
      {"UPDATE adoptions SET revision = 'evil'", 2},
      {"DELETE FROM plans", 14},
  };
  for (const auto& row : rows) expect_found(row.sql, row.seq);
}

TEST_F(SqliteTamper, ADroppedTriggerIsFound) {
  auto path = copy();
  {
    EXPECT_TRUE(Raw(path).run("DROP TRIGGER events_are_never_changed"));
  }
  auto check = verify(path);
  EXPECT_FALSE(check.good);
  EXPECT_THAT(check.why, HasSubstr("events_are_never_changed"));
}

TEST_F(SqliteTamper, TheTriggersRefuse) {
  auto path = copy();
  Raw raw(path);
  EXPECT_FALSE(raw.run("UPDATE events SET actor = 'x' WHERE seq = 5"));
  EXPECT_FALSE(raw.run("DELETE FROM events WHERE seq = 5"));
  EXPECT_FALSE(raw.run("DELETE FROM events"));
  EXPECT_FALSE(raw.run("UPDATE event_personal SET text = '{}' WHERE seq = 4"));
  EXPECT_FALSE(raw.run("UPDATE person_keys SET key = zeroblob(32)"));
  EXPECT_TRUE(raw.run("DELETE FROM event_personal WHERE seq = 4")) << "a person can be erased";
}

TEST_F(SqliteTamper, AnErasedPersonLeavesAChainThatVerifies) {
  auto path = copy();
  {
    Raw raw(path);
    EXPECT_TRUE(raw.run("DELETE FROM event_personal"));
    EXPECT_TRUE(raw.run("DELETE FROM person_keys"));
    for (const char* table : {"applied_states", "applied", "sessions", "intents"})
      EXPECT_TRUE(raw.run(std::string("DELETE FROM ") + table));
  }
  auto check = verify(path);
  EXPECT_TRUE(check.good) << check.broken_at << ": " << check.why;
  EXPECT_EQ(check.records, records_);
  auto store = open_sqlite(path, SqliteMode::read_only, random_);
  ASSERT_TRUE(store);
  auto records = (*store)->records(3, 1);
  ASSERT_TRUE(records && records->size() == 1);
  EXPECT_EQ(records->front().fact.personal_json, "");
  EXPECT_EQ(records->front().fact.holder, "");
  auto fact = decode(records->front().fact);
  ASSERT_TRUE(fact);
  EXPECT_EQ(std::get<SessionOpened>(*fact).session.principal.subject, "");
  EXPECT_EQ(std::get<SessionOpened>(*fact).session.id, SessionId("s-1"));
}

TEST_F(SqliteTamper, OtherFilesAreRefused) {
  auto path = folder_.path() + "/other.db";
  {
    EXPECT_TRUE(Raw(path).run("CREATE TABLE x(y)"));
  }
  auto before = test::read_file(path);
  std::filesystem::permissions(path, std::filesystem::perms(0644));
  for (auto mode : {SqliteMode::create_or_open, SqliteMode::read_only}) {
    auto store = open_sqlite(path, mode, random_);
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().kind, ErrorKind::unsupported) << store.error().text();
  }
  EXPECT_EQ(test::read_file(path), before) << "what is not ours is not touched";
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0644));
  test::write_file(path, std::string(5000, 'x'));
  auto store = open_sqlite(path, SqliteMode::create_or_open, random_);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().kind, ErrorKind::unsupported) << store.error().text();
  EXPECT_EQ(test::read_file(path), std::string(5000, 'x'));
}

TEST_F(SqliteTamper, ANewerFormatIsRefused) {
  auto path = copy();
  {
    EXPECT_TRUE(Raw(path).run("INSERT INTO migrations VALUES(999, 'future')"));
  }
  for (auto mode : {SqliteMode::create_or_open, SqliteMode::read_only}) {
    auto store = open_sqlite(path, mode, random_);
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().kind, ErrorKind::unsupported);
    EXPECT_THAT(store.error().text(), HasSubstr("999"));
  }
}

/// As the first version wrote it: a session of that time says nothing about claims and factors.
TEST_F(SqliteTamper, AnOlderFormatIsBroughtUpToDateAndIsStillWhole) {
  auto path = folder_.path() + "/older.db";
  {
    auto store = open_sqlite(path, SqliteMode::create_or_open, random_);
    ASSERT_TRUE(store) << store.error().text();
    std::vector<Fact> facts{
        SessionOpened{test::sample_session("s-1", "dora", "203.0.113.7", kNoon, kNoon)}};
    ASSERT_TRUE((*store)->append("core", kNoon, facts));
  }
  {
    Raw old(path);
    for (const char* step :
         {"DROP TABLE IF EXISTS api_keys", "DROP TABLE IF EXISTS advances",
          "DROP TABLE session_groups", "DROP TABLE confirmations", "DROP INDEX applied_tickets",
          "DROP INDEX applied_states_tickets", "ALTER TABLE sessions DROP COLUMN claims",
          "ALTER TABLE sessions DROP COLUMN acr", "ALTER TABLE sessions DROP COLUMN mfa_at",
          "DELETE FROM migrations WHERE version > 1"})
      EXPECT_TRUE(old.run(step)) << step;
  }
  EXPECT_FALSE(open_sqlite(path, SqliteMode::read_only, random_)) << "a reader changes nothing";
  auto store = open_sqlite(path, SqliteMode::create_or_open, random_);
  ASSERT_TRUE(store) << store.error().text();
  EXPECT_TRUE(check_of(**store).good) << check_of(**store).why;
  auto sessions = (*store)->sessions(100);
  ASSERT_TRUE(sessions) << sessions.error().text();
  EXPECT_FALSE(sessions->empty());
}

TEST_F(SqliteTamper, AForeignLockIsAConflictNotTheEnd) {
  auto path = copy();
  auto store = open_sqlite(path, SqliteMode::create_or_open, random_);
  ASSERT_TRUE(store) << store.error().text();
  std::vector<Fact> facts{ControllerStarted{"1", ""}};
  {
    Raw shell(path);
    ASSERT_TRUE(shell.run("BEGIN IMMEDIATE"));
    auto seq = (*store)->append("core", kNoon, facts);
    ASSERT_FALSE(seq);
    EXPECT_EQ(seq.error().kind, ErrorKind::conflict);
    EXPECT_TRUE((*store)->writable());
  }
  EXPECT_TRUE((*store)->append("core", kNoon, facts));
}

}  // namespace
}  // namespace knock
