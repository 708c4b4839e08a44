// SPDX-License-Identifier: Apache-2.0
// SQLite's C API with owners: a connection, and one execution of a prepared statement. A connection
// and its queries are for one thread at a time; the store above holds a mutex for each.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/shared.h"

struct sqlite3;
struct sqlite3_stmt;

namespace knock::sqlite {

/// Bound as a blob instead of text.
struct Blob {
  std::string_view bytes;
};

class Query;

class Database {
 public:
  enum class Access { read_write, read_only, memory };
  /// Never creates a file. `vfs` "" = the machine's.
  static Result<std::unique_ptr<Database>> open(const std::string& path, Access access,
                                                const std::string& vfs);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Several statements without results.
  Status execute(const char* sql);
  /// `sql` is a string literal: statements are kept by its address and used again.
  template <class... Values>
  Query query(const char* sql, const Values&... values);
  /// The first column of the first row as an integer; `otherwise` when there is no row or it is
  /// NULL.
  Result<std::int64_t> integer(const char* sql, std::int64_t otherwise = 0);

  /// Frames in the write-ahead log after the last commit of this connection; the store decides when
  /// to copy them back, because SQLite's own automatic checkpoint drops its errors.
  int wal_frames() const { return wal_frames_; }
  /// Copies the log back into the file as far as readers allow. An error means the file could not
  /// be made durable.
  Status checkpoint();
  /// After a failed write: closing must not touch the file any more.
  void leave_wal_alone();
  bool in_transaction() const;

 private:
  friend class Query;
  explicit Database(sqlite3* handle) : handle_(handle) {}
  sqlite3_stmt* acquire(const char* sql, int& code);
  void release(const char* sql, sqlite3_stmt* statement);
  Error error(int code, std::string_view doing) const;

  sqlite3* handle_;
  std::map<const char*, std::vector<sqlite3_stmt*>> idle_;
  int wal_frames_ = 0;
};

/// One execution. An error while binding comes out of next() or run(). Rows' texts are copied.
class Query {
 public:
  Query(Database& database, const char* sql);
  Query(Query&& other) noexcept;
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  Query& operator=(Query&&) = delete;
  ~Query();

  /// True: a row is there to be read. False: the end.
  Result<bool> next();
  /// Runs to the end; for statements without rows.
  Status run();

  std::int64_t integer(int column) const;
  /// 64 bits stored as SQLite's signed integer.
  std::uint64_t number(int column) const { return std::uint64_t(integer(column)); }
  std::string text(int column) const;  // text or blob
  bool is_null(int column) const;
  int columns() const;

  void bind(int index, std::int64_t value);
  void bind(int index, std::uint64_t value) { bind(index, std::int64_t(value)); }
  void bind(int index, bool value) { bind(index, std::int64_t(value)); }
  void bind(int index, int value) { bind(index, std::int64_t(value)); }
  void bind(int index, std::string_view value);
  void bind(int index, const std::string& value) { bind(index, std::string_view(value)); }
  void bind(int index, const char* value) { bind(index, std::string_view(value)); }
  void bind(int index, const SharedText& value) { bind(index, value.get()); }
  void bind(int index, Blob value);
  void bind(int index, std::nullptr_t);
  template <class T>
  void bind(int index, const std::optional<T>& value) {
    if (value)
      bind(index, *value);
    else
      bind(index, nullptr);
  }

 private:
  Database* database_;
  const char* sql_;
  sqlite3_stmt* statement_;
  int code_ = 0;  // first failure
};

template <class... Values>
Query Database::query(const char* sql, const Values&... values) {
  Query out(*this, sql);
  int index = 0;
  (out.bind(++index, values), ...);
  return out;
}

}  // namespace knock::sqlite
