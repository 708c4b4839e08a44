// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

namespace knock::sqlite {
namespace {

/// A reader may meet a writer's short exclusive moments (opening, recovery); this is how long it
/// waits for them.
constexpr int kBusyMs = 2000;

ErrorKind kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorKind::conflict;
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return ErrorKind::unavailable;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
      return ErrorKind::unauthorized;
    case SQLITE_CANTOPEN:
      return ErrorKind::not_found;
    case SQLITE_NOTADB:
      return ErrorKind::unsupported;
    default:
      return ErrorKind::internal;
  }
}

int flags_of(Database::Access access) {
  constexpr int kAlways = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  switch (access) {
    case Database::Access::read_write:
      return kAlways | SQLITE_OPEN_READWRITE;
    case Database::Access::read_only:
      return kAlways | SQLITE_OPEN_READONLY;
    case Database::Access::memory:
      return kAlways | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY;
  }
  return kAlways;
}

int remember_frames(void* frames, sqlite3*, const char*, int count) {
  *static_cast<int*>(frames) = count;
  return SQLITE_OK;
}

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const std::string& path, Access access,
                                                 const std::string& vfs) {
  sqlite3* handle = nullptr;
  int code = sqlite3_open_v2(access == Access::memory ? ":memory:" : path.c_str(), &handle,
                             flags_of(access), vfs.empty() ? nullptr : vfs.c_str());
  std::unique_ptr<Database> out(new Database(handle));  // owns the handle even after a failure
  if (code != SQLITE_OK) return fail(out->error(code, "open"));
  sqlite3_busy_timeout(handle, kBusyMs);
  // A file prepared by somebody else must not run anything in us.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_FKEY, 1, nullptr);
  sqlite3_wal_hook(handle, remember_frames,
                   &out->wal_frames_);  // replaces the automatic checkpoint
  return out;
}

Database::~Database() {
  for (auto& [sql, statements] : idle_)
    for (auto* statement : statements) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

Status Database::execute(const char* sql) {
  int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(error(code, sql));
  return {};
}

Result<std::int64_t> Database::integer(const char* sql, std::int64_t otherwise) {
  auto row = query(sql);
  KNOCK_ASSIGN(bool found, row.next());
  return found && !row.is_null(0) ? row.integer(0) : otherwise;
}

Status Database::checkpoint() {
  int code =
      sqlite3_wal_checkpoint_v2(handle_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY) return {};
  return fail(error(code, "copy the write-ahead log back"));
}

void Database::leave_wal_alone() {
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
}

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

sqlite3_stmt* Database::acquire(const char* sql, int& code) {
  auto& idle = idle_[sql];
  if (!idle.empty()) {
    auto* statement = idle.back();
    idle.pop_back();
    return statement;
  }
  sqlite3_stmt* statement = nullptr;
  code = sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  return statement;
}

void Database::release(const char* sql, sqlite3_stmt* statement) {
  if (statement == nullptr) return;
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  idle_[sql].push_back(statement);
}

Error Database::error(int code, std::string_view doing) const {
  auto shown = doing.substr(0, 60);
  const char* detail = handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
  return {kind_of(code),
          fmt::format("sqlite: {} (result {}) at \"{}\"", detail, code, shown),
          {},
          std::nullopt};
}

Query::Query(Database& database, const char* sql) : database_(&database), sql_(sql) {
  statement_ = database.acquire(sql, code_);
}

Query::Query(Query&& other) noexcept
    : database_(other.database_),
      sql_(other.sql_),
      statement_(other.statement_),
      code_(other.code_) {
  other.statement_ = nullptr;
}

Query::~Query() { database_->release(sql_, statement_); }

Result<bool> Query::next() {
  if (code_ != SQLITE_OK) return fail(database_->error(code_, sql_));
  int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return fail(database_->error(code, sql_));
}

Status Query::run() {
  for (;;) {
    KNOCK_ASSIGN(bool more, next());
    if (!more) return {};
  }
}

std::int64_t Query::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Query::text(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  if (data == nullptr) return {};
  return {data, std::size_t(sqlite3_column_bytes(statement_, column))};
}

bool Query::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

int Query::columns() const { return sqlite3_column_count(statement_); }

void Query::bind(int index, std::int64_t value) {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_int64(statement_, index, value);
}

void Query::bind(int index, std::string_view value) {
  const char* data = value.empty() ? "" : value.data();
  if (code_ == SQLITE_OK)
    code_ =
        sqlite3_bind_text64(statement_, index, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void Query::bind(int index, Blob value) {
  const char* data = value.bytes.empty() ? "" : value.bytes.data();
  if (code_ == SQLITE_OK)
    code_ = sqlite3_bind_blob64(statement_, index, data, value.bytes.size(), SQLITE_TRANSIENT);
}

void Query::bind(int index, std::nullptr_t) {
  if (code_ == SQLITE_OK) code_ = sqlite3_bind_null(statement_, index);
}

}  // namespace knock::sqlite
