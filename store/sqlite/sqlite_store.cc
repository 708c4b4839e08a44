// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/sqlite_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "base/failpoint.h"
#include "base/text.h"
#include "store/sqlite/database.h"
#include "store/sqlite/lock.h"
#include "store/sqlite/projection.h"
#include "store/sqlite/reserve.h"
#include "store/sqlite/rows.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/verify.h"

namespace knock {
namespace {

using sqlite::Blob;
using sqlite::Database;

/// As SQLite's own default: about 4 MiB of log before it is copied back.
constexpr int kCheckpointFrames = 1000;

/// A fact ready to be written, and the fact as a reader of the log will see it: projections are
/// made from that one, so that a replay gives the same.
struct Prepared {
  EncodedFact encoded;
  Fact fact;
};

Result<Prepared> prepare(const Fact& fact) {
  auto encoded = encode(fact);
  auto read_back = decode(encoded);
  if (!read_back)
    return fail(ErrorKind::internal,
                fmt::format("a fact of kind {} would not be readable again: {}", encoded.kind,
                            read_back.error().text()));
  return Prepared{std::move(encoded), *std::move(read_back)};
}

class SqliteFactStore final : public FactStore {
 public:
  SqliteFactStore(std::string path, std::string vfs, Random& random)
      : path_(std::move(path)), vfs_(std::move(vfs)), random_(random), reserve_(path_ + ".ended") {}
  ~SqliteFactStore() override;
  SqliteFactStore(const SqliteFactStore&) = delete;
  SqliteFactStore& operator=(const SqliteFactStore&) = delete;

  Status open(SqliteMode mode);

  Result<std::uint64_t> append(const Actor& actor, Instant at,
                               std::span<const Fact> facts) override;
  bool writable() const override { return writable_.load(); }
  std::vector<UnwrittenEnd> unwritten_ends() const override { return reserve_.unwritten(); }
  Status keep_ends() override { return reserve_.try_again(); }
  Result<std::uint64_t> head() const override;
  Result<std::optional<Instant>> last_time() const override;
  Result<std::vector<Record>> records(std::uint64_t after, std::size_t limit) const override;
  Result<ChainCheck> verify(const sqlite::Progress& progress) const override;
  Result<std::vector<Session>> live_sessions(Instant now) const override;
  Result<std::vector<Session>> sessions(std::size_t limit) const override;
  Result<std::optional<Session>> session(const SessionId& id) const override;
  Result<std::vector<AppliedEntry>> applied(const TargetName& target) const override;
  Result<std::vector<ChangeIntended>> open_intents() const override;
  Result<std::vector<AppliedInterval>> applied_with_tickets(const TargetName& target,
                                                            Instant since) const override;
  Result<std::vector<AppliedInterval>> applied_at(const ServiceName& service,
                                                  Instant at) const override;
  Result<std::optional<Instant>> first_time() const override;
  Result<std::vector<Session>> sessions_at(Instant at) const override;
  Result<std::vector<AppliedInterval>> applied_between(const ServiceName& service, Instant from,
                                                       Instant to) const override;
  Result<std::vector<AppliedInterval>> entry_history(const EntryId& entry) const override;
  Result<std::optional<Adoption>> adoption_at(Instant at) const override;
  Result<std::optional<Adoption>> adoption_of(const PolicyRevision& revision) const override;
  Result<std::optional<PolicyHold>> policy_hold() const override;
  Result<std::optional<RestoredStore>> restored() const override;
  Result<std::vector<Confirmation>> confirmations() const override;
  Result<std::optional<AdoptedPolicy>> kept_policy(const PolicyRevision& revision) const override;
  Result<std::optional<AdoptedPolicy>> adopted_policy() const override;
  Status save_policy(const AdoptedPolicy& policy) override;
  Result<std::vector<Account>> accounts() const override;
  Result<std::optional<Account>> account(const std::string& user) const override;
  Status save_account(const Actor& actor, Instant at, const Account& account,
                      const std::string& what) override;
  Status remove_account(const Actor& actor, Instant at, const std::string& user) override;
  Result<std::vector<ApiKey>> keys() const override;
  Status save_key(const Actor& actor, Instant at, const ApiKey& key,
                  const std::string& what) override;
  Status remove_key(const Actor& actor, Instant at, const std::string& name) override;
  Status note_key_used(const std::string& name, Instant at) override;
  Result<bool> plan_used(const std::string& nonce) const override;

 private:
  struct Head {
    std::uint64_t seq = 0;
    Digest hash{};
  };
  struct Person {
    std::int64_t id = 0;
    std::string key;
  };

  Status open_writer();
  Status load_head();
  Status read_reserve(Database& database);
  Status begin_reserve();
  /// Runs `work` in one transaction: all of it is on stable storage afterwards, or nothing.
  template <class Work>
  Status transaction(Work work);
  Status begin();
  Status commit();
  Status checkpoint();
  Status commit_or_undo(Status status);
  void copy_back();
  Error finish(Error cause);
  Result<Person> person(const std::string& holder);
  Status append_one(const Actor& actor, Instant at, const Prepared& prepared, Head& head);
  Status append_all(const Actor& actor, Instant at, std::span<const Prepared> facts);
  Result<std::uint64_t> append_now(const Actor& actor, Instant at, std::span<const Fact> facts);
  /// The fact and what `work` writes beside the log, together or not at all.
  template <class Work>
  Status with_fact(const Actor& actor, Instant at, const Fact& fact, Work work);
  /// Runs `question` on the reading connection.
  template <class Question>
  auto ask(Question question) const;
  tl::unexpected<Error> named(Error error) const {
    return fail(std::move(error).within("store " + path_));
  }

  const std::string path_, vfs_;
  Random& random_;
  sqlite::Lock lock_;
  std::atomic<bool> writable_{false};
  std::string finished_because_;  // under write_mutex_

  std::mutex write_mutex_;
  std::unique_ptr<Database> writer_;  // absent in read_only
  Head head_;                         // of the last commit

  sqlite::Reserve reserve_;
  std::string mark_;  // of the file of ended sessions, as the store remembers it

  mutable std::mutex read_mutex_;
  std::unique_ptr<Database> reader_;
};

// ---- opening ----

template <class Question>
auto SqliteFactStore::ask(Question question) const {
  std::lock_guard guard(read_mutex_);
  auto answer = question(*reader_);
  if (!answer) answer = named(std::move(answer.error()));
  return answer;
}

tl::unexpected<Error> cannot(std::string_view what, const std::string& path) {
  int code = errno;
  return fail(code == EACCES || code == EPERM ? ErrorKind::unauthorized : ErrorKind::unavailable,
              fmt::format("cannot {} {}: {}", what, path, std::strerror(code)));
}

/// The folder's own record of a new file must be durable too.
Status sync_folder(const std::string& path) {
  auto folder = std::filesystem::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return cannot("open the folder", folder);
  int code = fsync(fd);
  close(fd);
  if (code != 0) return cannot("make the new file durable in", folder);
  return {};
}

/// Creates the file for its owner alone: SQLite would create with the umask, and its -wal and -shm
/// files copy the mode. An existing file is not opened here, because closing it would drop the
/// POSIX locks of any connection this process has.
Status create_file(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno == EEXIST ? Status() : cannot("create", path);
  close(fd);
  KNOCK_FAILPOINT("store.after-create");
  return sync_folder(path);
}

Status use_wal(Database& database) {
  auto mode = database.query("PRAGMA journal_mode = WAL");
  KNOCK_ASSIGN(bool answered, mode.next());
  if (answered && mode.text(0) == "wal") return {};
  return fail(ErrorKind::unsupported,
              "this file system cannot hold the write-ahead log; use a local one");
}

Status SqliteFactStore::open_writer() {
  KNOCK_ASSIGN(lock_, sqlite::Lock::take(path_));
  KNOCK_CHECK(create_file(path_));
  KNOCK_ASSIGN(writer_, Database::open(path_, Database::Access::read_write, vfs_));
  KNOCK_CHECK(sqlite::check_ours(*writer_));
  if (chmod(path_.c_str(), 0600) != 0) return cannot("make private", path_);
  KNOCK_CHECK(use_wal(*writer_));
  KNOCK_CHECK(writer_->execute("PRAGMA synchronous = FULL"));
  KNOCK_FAILPOINT("store.before-migrate");
  KNOCK_CHECK(sqlite::migrate(*writer_));
  KNOCK_FAILPOINT("store.after-migrate");
  return {};
}

Status SqliteFactStore::load_head() {
  auto row = writer_->query("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1");
  KNOCK_ASSIGN(bool any, row.next());
  if (!any) return {};
  head_.seq = row.number(0);
  auto hash = row.text(1);
  if (hash.size() != head_.hash.size())
    return fail(ErrorKind::internal, fmt::format("the newest record ({}) has no proper hash; run "
                                                 "`knock audit verify`",
                                                 head_.seq));
  std::copy(hash.begin(), hash.end(), head_.hash.begin());
  return {};
}

Status SqliteFactStore::open(SqliteMode mode) {
  if (mode == SqliteMode::create_or_open) {
    KNOCK_CHECK(open_writer());
    KNOCK_CHECK(load_head());
  } else if (access(path_.c_str(), F_OK) != 0) {
    return fail(ErrorKind::not_found,
                "there is no such file; start the controller once, or name "
                "the store of knock.yaml");
  }
  KNOCK_ASSIGN(reader_, Database::open(path_, Database::Access::read_only, vfs_));
  KNOCK_CHECK(sqlite::check_version(*reader_));
  writable_ = writer_ != nullptr;
  KNOCK_CHECK(read_reserve(writer_ != nullptr ? *writer_ : *reader_));
  return writer_ != nullptr ? begin_reserve() : Status();
}

// ---- ends that the log does not hold ----

Status SqliteFactStore::read_reserve(Database& database) {
  struct stat about{};
  if (stat(path_.c_str(), &about) != 0) return cannot("examine", path_);
  {
    auto row = database.query("SELECT value FROM meta WHERE key = 'ended_ids'");
    KNOCK_ASSIGN(bool known, row.next());
    if (known) mark_ = row.text(0);
  }
  KNOCK_ASSIGN(auto last, database.integer("SELECT at FROM events ORDER BY seq DESC LIMIT 1"));
  KNOCK_ASSIGN(auto open, sqlite::read_live_sessions(database, Instant{}));
  return reserve_.read(about.st_uid, mark_, open, Instant{last});
}

/// Before anybody asks: what an earlier process could not write. A log that cannot be written yet is
/// no reason to stop here, for what was kept counts all the same.
Status SqliteFactStore::begin_reserve() {
  if (auto facts = reserve_.found(); !facts.empty()) {
    KNOCK_ASSIGN(auto last, last_time());
    auto at = last.value_or(Instant{});
    for (const Fact& fact : facts) at = std::max(at, std::get<SessionEnded>(fact).end.at);
    if (auto written = append_now("core", at, facts); !written) {
      if (written.error().kind == ErrorKind::conflict) return fail(std::move(written.error()));
      return reserve_.begin_unwritten();
    }
  }
  auto mark = mark_;
  if (mark.empty()) {
    std::array<std::uint8_t, EndedIds::kMark / 2> bytes;
    random_.fill(bytes);
    mark = hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  KNOCK_ASSIGN(auto now, reserve_.begin(mark));
  if (now == mark_) return {};
  std::lock_guard guard(write_mutex_);
  KNOCK_CHECK(transaction([&] {
    return writer_->query("INSERT OR REPLACE INTO meta VALUES('ended_ids', ?)", now).run();
  }));
  mark_ = now;
  return {};
}

SqliteFactStore::~SqliteFactStore() {
  reader_.reset();  // first, so that the writer is the last one out and leaves one clean file
}

// ---- writing ----

Error SqliteFactStore::finish(Error cause) {
  writable_ = false;
  writer_->leave_wal_alone();
  finished_because_ = cause.text();
  return {
      ErrorKind::unavailable,
      fmt::format("the log could not be written to stable storage ({}). Nothing more is written "
                  "through this handle, because what the disk holds now is unknown: mend or "
                  "free the disk, then restart the controller, which verifies the log first",
                  finished_because_),
      {},
      std::nullopt};
}

Status SqliteFactStore::commit() {
  KNOCK_FAILPOINT("store.before-commit");
  KNOCK_CHECK(writer_->execute("COMMIT"));
  KNOCK_FAILPOINT("store.after-commit");
  return {};
}

Status SqliteFactStore::commit_or_undo(Status status) {
  if (status) {
    status = commit();
  } else if (status.error().kind == ErrorKind::conflict) {
    auto undone = writer_->execute("ROLLBACK");
    return undone ? status : Status(fail(finish(std::move(undone.error()))));
  }
  if (status) return {};
  auto error = finish(std::move(status.error()));
  // Best effort: the handle is finished either way.
  if (writer_->in_transaction()) (void)writer_->execute("ROLLBACK");
  return fail(std::move(error));
}

/// The facts are durable already when this runs; a failure here ends the handle before anything is
/// lost.
void SqliteFactStore::copy_back() {
  if (writer_->wal_frames() < kCheckpointFrames) return;
  if (auto status = checkpoint(); !status) finish(std::move(status.error()));
}

Status SqliteFactStore::checkpoint() {
  KNOCK_FAILPOINT("store.before-checkpoint");
  KNOCK_CHECK(writer_->checkpoint());
  KNOCK_FAILPOINT("store.after-checkpoint");
  return {};
}

Status SqliteFactStore::begin() {
  KNOCK_FAILPOINT("store.before-begin");
  return writer_->execute("BEGIN IMMEDIATE");
}

template <class Work>
Status SqliteFactStore::transaction(Work work) {
  if (!writer_)
    return named({ErrorKind::unsupported, "it was opened for reading only", {}, std::nullopt});
  if (!writable_)
    return named(
        {ErrorKind::unavailable,
         fmt::format("closed for writing since a write failed ({}); restart the controller",
                     finished_because_),
         {},
         std::nullopt});
  if (auto begun = begin(); !begun) {
    if (begun.error().kind != ErrorKind::conflict) return named(finish(std::move(begun.error())));
    // A foreign process that holds SQLite's own lock harms nothing.
    return named({ErrorKind::conflict,
                  "another process holds the file's lock although it is not its writer (a shell, a "
                  "backup?); end that and try again",
                  {},
                  std::nullopt});
  }
  auto status = commit_or_undo(work());
  if (!status) return named(std::move(status.error()));
  copy_back();
  return {};
}

Result<SqliteFactStore::Person> SqliteFactStore::person(const std::string& holder) {
  auto row = writer_->query("SELECT id, key FROM person_keys WHERE holder = ?", holder);
  KNOCK_ASSIGN(bool known, row.next());
  if (known) return Person{row.integer(0), row.text(1)};
  std::array<std::uint8_t, 32> bytes;
  random_.fill(bytes);
  Person made{0, std::string(bytes.begin(), bytes.end())};
  auto insert = writer_->query("INSERT INTO person_keys(holder, key) VALUES(?, ?) RETURNING id",
                               holder, Blob{made.key});
  KNOCK_ASSIGN(bool returned, insert.next());
  if (returned) made.id = insert.integer(0);
  KNOCK_CHECK(insert.run());
  return made;
}

Status SqliteFactStore::append_one(const Actor& actor, Instant at, const Prepared& prepared,
                                   Head& head) {
  Record record{head.seq + 1, at, actor, prepared.encoded, "", head.hash, {}};
  const auto& fact = record.fact;
  Person person;
  if (!fact.personal_json.empty()) {
    KNOCK_ASSIGN(person, this->person(fact.holder));
    record.commitment =
        sqlite::commitment_of(person.key, record.seq, fact.holder, fact.personal_json);
  }
  record.hash = chain_hash(record);
  KNOCK_CHECK(writer_
                  ->query("INSERT INTO events VALUES(?,?,?,?,?,?,?,?)", record.seq, at.ms, actor,
                          fact.kind, fact.public_json, record.commitment,
                          Blob{as_bytes(record.prev)}, Blob{as_bytes(record.hash)})
                  .run());
  if (!fact.personal_json.empty())
    KNOCK_CHECK(writer_
                    ->query("INSERT INTO event_personal VALUES(?,?,?)", record.seq, person.id,
                            fact.personal_json)
                    .run());
  head = {record.seq, record.hash};
  return sqlite::project(*writer_, record.seq, at, prepared.fact);
}

Status SqliteFactStore::append_all(const Actor& actor, Instant at,
                                   std::span<const Prepared> facts) {
  Head head = head_;
  for (const auto& fact : facts) KNOCK_CHECK(append_one(actor, at, fact, head));
  head_ = head;
  return {};
}

Result<std::uint64_t> SqliteFactStore::append(const Actor& actor, Instant at,
                                              std::span<const Fact> facts) {
  auto done = append_now(actor, at, facts);
  if (done) {
    reserve_.written(facts);
    return done;
  }
  reserve_.refused(facts, [this](const SessionId& id) {
    auto session = ask([&](Database& db) { return sqlite::read_session(db, id); });
    return session ? *session : std::nullopt;
  });
  return done;
}

Result<std::uint64_t> SqliteFactStore::append_now(const Actor& actor, Instant at,
                                                  std::span<const Fact> facts) {
  std::vector<Prepared> prepared;
  for (const auto& fact : facts) {
    auto one = prepare(fact);
    if (!one) return named(std::move(one.error()));
    prepared.push_back(*std::move(one));
  }
  std::lock_guard guard(write_mutex_);
  Head before = head_;
  auto status = transaction([&] { return append_all(actor, at, prepared); });
  if (!status) {
    head_ = before;
    return fail(std::move(status.error()));
  }
  return head_.seq;
}

template <class Work>
Status SqliteFactStore::with_fact(const Actor& actor, Instant at, const Fact& fact, Work work) {
  auto prepared = prepare(fact);
  if (!prepared) return named(std::move(prepared.error()));
  std::lock_guard guard(write_mutex_);
  Head before = head_;
  auto status = transaction([&]() -> Status {
    KNOCK_CHECK(append_all(actor, at, {&*prepared, 1}));
    return work();
  });
  if (!status) head_ = before;
  return status;
}

Status SqliteFactStore::save_policy(const AdoptedPolicy& policy) {
  std::lock_guard guard(write_mutex_);
  return transaction([&] { return sqlite::write_policy(*writer_, policy); });
}

Status SqliteFactStore::save_account(const Actor& actor, Instant at, const Account& account,
                                     const std::string& what) {
  return with_fact(actor, at, AccountChanged{account.user, what},
                   [&] { return sqlite::write_account(*writer_, account); });
}

Status SqliteFactStore::remove_account(const Actor& actor, Instant at, const std::string& user) {
  KNOCK_ASSIGN(auto known, account(user));
  if (!known)
    return fail(ErrorKind::not_found, fmt::format("there is no local account \"{}\"", user));
  return with_fact(actor, at, AccountChanged{user, "removed"}, [&] {
    return writer_->query("DELETE FROM accounts WHERE user = ?", user).run();
  });
}

Status SqliteFactStore::save_key(const Actor& actor, Instant at, const ApiKey& key,
                                 const std::string& what) {
  KeyChanged fact{key.name, what, to_words(key.scopes), key.expires, key.from};
  return with_fact(actor, at, fact, [&] { return sqlite::write_key(*writer_, key); });
}

Status SqliteFactStore::remove_key(const Actor& actor, Instant at, const std::string& name) {
  KNOCK_ASSIGN(auto known, keys());
  auto key =
      std::find_if(known.begin(), known.end(), [&](const ApiKey& one) { return one.name == name; });
  if (key == known.end())
    return fail(ErrorKind::not_found, fmt::format("there is no API key \"{}\"", name));
  KeyChanged fact{name, "revoked", to_words(key->scopes), key->expires, key->from};
  return with_fact(actor, at, fact, [&] {
    return writer_->query("DELETE FROM api_keys WHERE name = ?", name).run();
  });
}

Status SqliteFactStore::note_key_used(const std::string& name, Instant at) {
  std::lock_guard guard(write_mutex_);
  return transaction([&] {
    return writer_->query("UPDATE api_keys SET last_used = ? WHERE name = ?", at.ms, name).run();
  });
}

// ---- reading ----

Result<std::uint64_t> SqliteFactStore::head() const {
  return ask([](Database& db) -> Result<std::uint64_t> {
    KNOCK_ASSIGN(auto seq, db.integer("SELECT max(seq) FROM events"));
    return std::uint64_t(seq);
  });
}

Result<std::optional<Instant>> SqliteFactStore::last_time() const {
  return ask([](Database& db) -> Result<std::optional<Instant>> {
    auto row = db.query("SELECT at FROM events ORDER BY seq DESC LIMIT 1");
    KNOCK_ASSIGN(bool any, row.next());
    return any ? std::optional(Instant{row.integer(0)}) : std::nullopt;
  });
}

Result<std::optional<Instant>> SqliteFactStore::first_time() const {
  return ask([](Database& db) -> Result<std::optional<Instant>> {
    auto row = db.query("SELECT at FROM events ORDER BY seq LIMIT 1");
    KNOCK_ASSIGN(bool any, row.next());
    return any ? std::optional(Instant{row.integer(0)}) : std::nullopt;
  });
}

Result<std::vector<Record>> SqliteFactStore::records(std::uint64_t after, std::size_t limit) const {
  return ask([&](Database& db) { return sqlite::read_records(db, after, limit); });
}

Result<ChainCheck> SqliteFactStore::verify(const sqlite::Progress& progress) const {
  auto own = Database::open(path_, Database::Access::read_only, vfs_);
  if (!own) return named(std::move(own.error()));
  auto check = sqlite::verify_chain(**own, progress);
  if (!check) return named(std::move(check.error()));
  return check;
}

Result<std::vector<Session>> SqliteFactStore::live_sessions(Instant now) const {
  auto sessions = ask([&](Database& db) { return sqlite::read_live_sessions(db, now); });
  if (sessions) reserve_.drop_ended(*sessions);
  return sessions;
}

Result<std::vector<Session>> SqliteFactStore::sessions(std::size_t limit) const {
  auto sessions = ask([&](Database& db) { return sqlite::read_newest_sessions(db, limit); });
  if (sessions)
    for (Session& session : *sessions) reserve_.apply(session);
  return sessions;
}

Result<std::optional<Session>> SqliteFactStore::session(const SessionId& id) const {
  auto session = ask([&](Database& db) { return sqlite::read_session(db, id); });
  if (session && *session) reserve_.apply(**session);
  return session;
}

Result<std::vector<AppliedEntry>> SqliteFactStore::applied(const TargetName& target) const {
  return ask([&](Database& db) { return sqlite::read_applied(db, target); });
}

Result<std::vector<ChangeIntended>> SqliteFactStore::open_intents() const {
  return ask([](Database& db) { return sqlite::read_open_intents(db); });
}

Result<std::vector<AppliedInterval>> SqliteFactStore::applied_with_tickets(const TargetName& target,
                                                                           Instant since) const {
  return ask([&](Database& db) { return sqlite::read_applied_with_tickets(db, target, since); });
}

Result<std::vector<AppliedInterval>> SqliteFactStore::applied_at(const ServiceName& service,
                                                                 Instant at) const {
  return ask([&](Database& db) { return sqlite::read_applied_at(db, service, at); });
}

Result<std::vector<AppliedInterval>> SqliteFactStore::applied_between(const ServiceName& service,
                                                                      Instant from,
                                                                      Instant to) const {
  return ask([&](Database& db) { return sqlite::read_applied_between(db, service, from, to); });
}

Result<std::vector<AppliedInterval>> SqliteFactStore::entry_history(const EntryId& entry) const {
  return ask([&](Database& db) { return sqlite::read_entry_history(db, entry); });
}

/// An end that is kept beside the log counts from when it was.
Result<std::vector<Session>> SqliteFactStore::sessions_at(Instant at) const {
  auto sessions = ask([&](Database& db) { return sqlite::read_sessions_at(db, at); });
  if (!sessions) return sessions;
  for (Session& session : *sessions) reserve_.apply(session);
  std::erase_if(*sessions,
                [&](const Session& session) { return session.end && session.end->at <= at; });
  return sessions;
}

Result<std::optional<Adoption>> SqliteFactStore::adoption_at(Instant at) const {
  return ask([&](Database& db) { return sqlite::read_adoption_at(db, at); });
}

Result<std::optional<Adoption>> SqliteFactStore::adoption_of(const PolicyRevision& revision) const {
  return ask([&](Database& db) { return sqlite::read_adoption_of(db, revision); });
}

Result<std::optional<PolicyHold>> SqliteFactStore::policy_hold() const {
  return ask([](Database& db) { return sqlite::read_policy_hold(db); });
}

Result<std::optional<RestoredStore>> SqliteFactStore::restored() const {
  return ask([](Database& db) { return sqlite::read_restored(db); });
}

Result<std::vector<Confirmation>> SqliteFactStore::confirmations() const {
  return ask([](Database& db) { return sqlite::read_confirmations(db); });
}

Result<std::optional<AdoptedPolicy>> SqliteFactStore::kept_policy(
    const PolicyRevision& revision) const {
  return ask([&](Database& db) { return sqlite::read_kept_policy(db, revision); });
}

Result<std::optional<AdoptedPolicy>> SqliteFactStore::adopted_policy() const {
  return ask([](Database& db) { return sqlite::read_adopted_policy(db); });
}

Result<std::vector<Account>> SqliteFactStore::accounts() const {
  return ask([](Database& db) { return sqlite::read_accounts(db); });
}

Result<std::optional<Account>> SqliteFactStore::account(const std::string& user) const {
  return ask([&](Database& db) { return sqlite::read_account(db, user); });
}

Result<std::vector<ApiKey>> SqliteFactStore::keys() const {
  return ask([](Database& db) { return sqlite::read_keys(db); });
}

Result<bool> SqliteFactStore::plan_used(const std::string& nonce) const {
  return ask(
      [&](Database& db) { return db.query("SELECT 1 FROM plans WHERE nonce = ?", nonce).next(); });
}

}  // namespace

Result<std::unique_ptr<FactStore>> open_sqlite(const std::string& path, SqliteMode mode,
                                               Random& random, const SqliteOptions& options) {
  auto store = std::make_unique<SqliteFactStore>(path, options.vfs, random);
  if (auto status = store->open(mode); !status)
    return fail(std::move(status.error()).within("store " + path));
  return std::unique_ptr<FactStore>(std::move(store));
}

}  // namespace knock
