// SPDX-License-Identifier: Apache-2.0
// A session that ended is over, also when its end could not be written: after the next start, with
// the disk still broken, and whatever became of the file that keeps ends beside the log.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "store/ended_ids.h"
#include "store/sqlite/sqlite_store.h"
#include "tests/conformance/sample_facts.h"
#include "tests/support/file_limit.h"
#include "tests/support/requirement.h"
#include "tests/unit/store/faulty_vfs.h"

namespace knock {
namespace {

namespace fs = std::filesystem;
using test::after;
using test::faults;
using test::FileLimit;
using test::kNoon;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A foreign connection, as `sqlite3` on the command line has one.
class SqlShell {
 public:
  explicit SqlShell(const std::string& path) {
    EXPECT_EQ(sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK);
  }
  ~SqlShell() { sqlite3_close(handle_); }
  SqlShell(const SqlShell&) = delete;
  SqlShell& operator=(const SqlShell&) = delete;
  void run(const char* sql) {
    EXPECT_EQ(sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sql;
  }

 private:
  sqlite3* handle_ = nullptr;
};

class SqliteEnded : public ::testing::Test {
 protected:
  void SetUp() override {
    test::register_faulty_vfs();
    faults().heal();
  }
  void TearDown() override {
    store_.reset();
    faults().heal();
  }

  std::string path() const { return folder_.path() + "/knock.db"; }
  std::string file() const { return path() + ".ended"; }
  Result<std::unique_ptr<FactStore>> try_open(SqliteMode mode = SqliteMode::create_or_open) {
    store_.reset();
    return open_sqlite(path(), mode, random_, {test::kFaultyVfs});
  }
  void open(SqliteMode mode = SqliteMode::create_or_open) {
    auto opened = try_open(mode);
    ASSERT_TRUE(opened) << opened.error().text();
    store_ = *std::move(opened);
  }
  void begin(const std::string& id) {
    std::vector<Fact> facts{
        SessionOpened{test::sample_session(id, "dora", "203.0.113.7", kNoon, after(60))}};
    ASSERT_TRUE(store_->append("front", kNoon, facts));
  }
  Status end(const std::string& id, EndCause cause = EndCause::revoked) {
    std::vector<Fact> facts{SessionEnded{SessionId(id), {after(5), cause}, "why"}};
    auto done = store_->append("cli", after(5), facts);
    return done ? Status() : Status(fail(done.error()));
  }
  void break_log() { faults().log_write = 1; }
  std::vector<std::string> live() {
    std::vector<std::string> out;
    auto sessions = store_->live_sessions(after(6));
    EXPECT_TRUE(sessions) << sessions.error().text();
    for (const Session& session : *sessions) out.push_back(session.id.value);
    std::sort(out.begin(), out.end());
    return out;
  }
  /// Records of ends in the log, and a chain that holds.
  std::size_t ends_in_log() {
    auto records = store_->records(0, 1000);
    EXPECT_TRUE(records);
    auto check = store_->verify({});
    EXPECT_TRUE(check && check->good) << (check ? check->why : check.error().text());
    return std::size_t(std::count_if(records->begin(), records->end(), [](const Record& record) {
      return record.fact.kind == "session.ended";
    }));
  }
  /// Two sessions are open, the first was ended while nothing could be written, and the process is
  /// gone.
  void end_one_unwritten() {
    open();
    begin("a");
    begin("b");
    break_log();
    ASSERT_FALSE(end("a"));
    store_.reset();
  }
  std::string bytes() const { return test::read_file(file()); }

  test::TemporaryFolder folder_;
  SystemRandom random_;
  std::unique_ptr<FactStore> store_;
};

TEST_F(SqliteEnded, AnEndTheLogRefusesIsAnEndAtOnce) {
  open();
  begin("a");
  begin("b");
  break_log();
  auto refused = end("a");
  ASSERT_FALSE(refused) << "it is not in the log, and whoever asked is told";
  EXPECT_THAT(live(), ElementsAre("b"));
  EXPECT_EQ((*store_->session(SessionId("a")))->end, (SessionEnd{after(5), EndCause::revoked}));
  auto all = store_->sessions(10);
  EXPECT_EQ(std::count_if(all->begin(), all->end(), [](const auto& s) { return s.end; }), 1);
  auto unwritten = store_->unwritten_ends();
  ASSERT_EQ(unwritten.size(), 1u);
  EXPECT_EQ(unwritten[0].session, SessionId("a"));
  EXPECT_EQ(unwritten[0].expires, after(60));
  EXPECT_TRUE(unwritten[0].kept) << unwritten[0].problem;
}

TEST_F(SqliteEnded, ItStaysOverWithTheDiskStillFullAndIsWrittenWhenThereIsRoom) {
  end_one_unwritten();
  for (int starts = 0; starts < 3; ++starts) {
    open();  // still broken
    EXPECT_THAT(live(), ElementsAre("b"));
    EXPECT_FALSE(store_->writable());
    ASSERT_EQ(store_->unwritten_ends().size(), 1u);
    EXPECT_TRUE(store_->unwritten_ends()[0].kept);
    EXPECT_EQ(ends_in_log(), 0u);
  }
  open(SqliteMode::read_only);
  EXPECT_THAT(live(), ElementsAre("b")) << "`knock plan` beside no controller sees it too";
  store_.reset();

  faults().heal();
  open();
  EXPECT_THAT(live(), ElementsAre("b"));
  EXPECT_THAT(store_->unwritten_ends(), IsEmpty());
  EXPECT_EQ((*store_->session(SessionId("a")))->end, (SessionEnd{after(5), EndCause::revoked}));
  EXPECT_EQ(ends_in_log(), 1u);
  auto left = EndedIds::read(file(), getuid());
  EXPECT_TRUE(left && left->ended.empty()) << "what the log holds is free again";
  open();
  EXPECT_EQ(ends_in_log(), 1u) << "once";
}

TEST_F(SqliteEnded, AnotherEndWhileTheDiskIsStillFullIsKeptToo) {
  end_one_unwritten();
  open();
  EXPECT_FALSE(end("b", EndCause::signed_out));
  EXPECT_THAT(live(), IsEmpty());
  open();
  EXPECT_THAT(live(), IsEmpty());
  faults().heal();
  open();
  EXPECT_EQ(ends_in_log(), 2u);
  EXPECT_EQ((*store_->session(SessionId("b")))->end->cause, EndCause::signed_out);
}

TEST_F(SqliteEnded, WhatTheLogTakesInTheEndNeedsNoKeeping) {
  open();
  begin("a");
  {
    // Somebody's shell holds the file's lock: this handle goes on afterwards.
    SqlShell shell(path());
    shell.run("BEGIN IMMEDIATE");
    auto refused = end("a");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
    EXPECT_TRUE(store_->unwritten_ends().at(0).kept);
    EXPECT_EQ(EndedIds::read(file(), getuid())->ended.size(), 1u);
  }
  EXPECT_THAT(live(), IsEmpty());
  EXPECT_TRUE(end("a"));
  EXPECT_THAT(store_->unwritten_ends(), IsEmpty());
  EXPECT_TRUE(EndedIds::read(file(), getuid())->ended.empty());
  EXPECT_EQ(ends_in_log(), 1u);
}

TEST_F(SqliteEnded, WhereNothingAtAllCanBeWrittenItIsSaidAndTriedAgain) {
  open();
  begin("a");
  break_log();
  {
    FileLimit nothing(0);
    EXPECT_FALSE(end("a"));
    EXPECT_THAT(live(), IsEmpty()) << "for this process it is over all the same";
    auto unwritten = store_->unwritten_ends();
    ASSERT_EQ(unwritten.size(), 1u);
    EXPECT_FALSE(unwritten[0].kept);
    EXPECT_THAT(unwritten[0].problem, HasSubstr(file()));
    auto again = store_->keep_ends();
    ASSERT_FALSE(again);
    EXPECT_THAT(again.error().text(), HasSubstr("cannot write"));
  }
  EXPECT_TRUE(store_->keep_ends());
  EXPECT_TRUE(store_->unwritten_ends().at(0).kept);
  open();
  EXPECT_THAT(live(), IsEmpty());
}

TEST_F(SqliteEnded, AFullFileIsNoSilentOne) {
  open();
  auto found = EndedIds::read(file(), getuid());
  ASSERT_TRUE(found);
  store_.reset();
  {
    auto ids = EndedIds::open(file(), *found);
    ASSERT_TRUE(ids) << ids.error().text();
    for (std::size_t i = 0; i < EndedIds::kMost; ++i)
      ASSERT_TRUE((*ids)->keep(SessionId(std::to_string(i)), {after(1), EndCause::revoked})) << i;
    auto full = (*ids)->keep(SessionId("one more"), {after(1), EndCause::revoked});
    ASSERT_FALSE(full);
    EXPECT_THAT(full.error().text(), HasSubstr("full"));
    EXPECT_TRUE((*ids)->keep(SessionId("7"), {after(2), EndCause::revoked})) << "that one is there";
    EXPECT_TRUE((*ids)->forget(ended_id_of(SessionId("7"))));
    EXPECT_TRUE((*ids)->keep(SessionId("one more"), {after(1), EndCause::revoked}));
  }
  EXPECT_EQ(fs::file_size(file()), EndedIds::kSize);
  found = EndedIds::read(file(), getuid());
  EXPECT_EQ(found->damage, "");
  EXPECT_EQ(found->ended.size(), EndedIds::kMost);
  // They name nobody's session any more, so the next start throws them out.
  open();
  EXPECT_TRUE(EndedIds::read(file(), getuid())->ended.empty());
}

TEST_F(SqliteEnded, TheFileIsWholeFromTheStartAndItsOwnersAlone) {
  auto old = umask(0);
  open();
  umask(old);
  struct stat about{};
  ASSERT_EQ(stat(file().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600u);
  EXPECT_EQ(std::size_t(about.st_size), EndedIds::kSize);
  EXPECT_GE(std::size_t(about.st_blocks) * 512, EndedIds::kSize) << "it has holes";
  begin("its-id-in-plain");
  break_log();
  EXPECT_FALSE(end("its-id-in-plain"));
  EXPECT_EQ(bytes().find("its-id"), std::string::npos);
  EXPECT_EQ(bytes().size(), EndedIds::kSize) << "written in place";
}

TEST_F(SqliteEnded, ExpiryNeedsNoKeeping) {
  open();
  begin("a");
  break_log();
  EXPECT_FALSE(end("a", EndCause::expired));
  EXPECT_THAT(store_->unwritten_ends(), IsEmpty());
}

// ---- what may have happened to the file between two processes ----

struct Hostile {
  const char* name;
  std::function<void(const std::string& file)> change;
  bool known;  // the one that ended is still recognised; else all are over
};

void overwrite(const std::string& file, std::size_t at, const std::string& with) {
  auto bytes = test::read_file(file);
  bytes.replace(at, with.size(), with);
  test::write_file(file, bytes);
}

const std::size_t kFirst = EndedIds::kRecord;

const Hostile kHostile[] = {
    {"untouched", [](const std::string&) {}, true},
    {"a torn record: its first half",
     [](const std::string& f) { overwrite(f, kFirst + 32, std::string(32, '\0')); }, false},
    {"a torn record: its last bytes",
     [](const std::string& f) { overwrite(f, kFirst, std::string(56, '\0')); }, false},
    {"one bit of the checksum",
     [](const std::string& f) {
       overwrite(f, kFirst + 63, std::string(1, char(test::read_file(f)[kFirst + 63] ^ 1)));
     },
     false},
    {"one bit of the id",
     [](const std::string& f) {
       overwrite(f, kFirst, std::string(1, char(test::read_file(f)[kFirst] ^ 1)));
     },
     false},
    {"one bit of the time",
     [](const std::string& f) {
       overwrite(f, kFirst + 39, std::string(1, char(test::read_file(f)[kFirst + 39] ^ 1)));
     },
     false},
    {"garbage in a free place",
     [](const std::string& f) { overwrite(f, EndedIds::kSize - 5, "xxxxx"); }, false},
    {"no header", [](const std::string& f) { overwrite(f, 0, std::string(64, '\0')); }, false},
    {"another format", [](const std::string& f) { overwrite(f, 16, "2"); }, false},
    {"all zeros", [](const std::string& f) { overwrite(f, 0, std::string(EndedIds::kSize, '\0')); },
     false},
    {"truncated within a record", [](const std::string& f) { fs::resize_file(f, 100); }, false},
    {"truncated behind all records", [](const std::string& f) { fs::resize_file(f, 4096); }, false},
    {"empty", [](const std::string& f) { fs::resize_file(f, 0); }, false},
    {"grown", [](const std::string& f) { fs::resize_file(f, EndedIds::kSize + 1); }, false},
    {"gone", [](const std::string& f) { fs::remove(f); }, false},
    {"made anew by another store",
     [](const std::string& f) { ASSERT_TRUE(EndedIds::make(f, "0123456789abcdef")); }, false},
};

/// Unreadable is not empty: what cannot be known is over, and everybody signs in again.
TEST_F(SqliteEnded, AFileThatCannotBeTrustedBringsNobodyBack) {
  for (const Hostile& row : kHostile)
    for (bool healed : {false, true}) {
      SCOPED_TRACE(std::string(row.name) + (healed ? ", room again" : ", still full"));
      store_.reset();
      faults().heal();
      for (const auto& each : fs::directory_iterator(folder_.path())) fs::remove(each.path());
      end_one_unwritten();
      row.change(file());
      if (healed) faults().heal();
      open();
      if (row.known)
        EXPECT_THAT(live(), ElementsAre("b"));
      else
        EXPECT_THAT(live(), IsEmpty());
      open(SqliteMode::read_only);
      EXPECT_EQ(live().size(), row.known ? 1u : 0u);
      faults().heal();
      open();
      EXPECT_EQ(live().size(), row.known ? 1u : 0u);
      EXPECT_EQ(ends_in_log(), row.known ? 1u : 2u);
      // From here on all is as it was: nobody is thrown out twice.
      begin("c");
      open();
      EXPECT_EQ(live().size(), row.known ? 2u : 1u);
      EXPECT_THAT(live(), ::testing::Contains("c"));
      EXPECT_EQ(EndedIds::read(file(), getuid())->damage, "");
    }
}

TEST_F(SqliteEnded, AFileThatOthersMayWriteIsNotRead) {
  end_one_unwritten();
  struct Row {
    const char* name;
    std::function<void()> change;
    const char* want;
  };
  const Row rows[] = {
      {"writable by others", [&] { ::chmod(file().c_str(), 0602); }, "chmod 600"},
      {"writable by its group", [&] { ::chmod(file().c_str(), 0620); }, "chmod 600"},
      {"a link",
       [&] {
         fs::rename(file(), file() + ".real");
         fs::create_symlink(file() + ".real", file());
       },
       "cannot open"},
      {"a folder",
       [&] {
         fs::remove(file());
         fs::create_directory(file());
       },
       "is no file"},
      {"a pipe",
       [&] {
         fs::remove(file());
         mkfifo(file().c_str(), 0600);
       },
       "is no file"},
  };
  for (const Row& row : rows)
    for (auto mode : {SqliteMode::create_or_open, SqliteMode::read_only}) {
      SCOPED_TRACE(row.name);
      if (mode == SqliteMode::create_or_open) row.change();
      auto opened = try_open(mode);
      ASSERT_FALSE(opened);
      EXPECT_THAT(opened.error().text(), HasSubstr(row.want));
      EXPECT_THAT(opened.error().text(), HasSubstr(file()));
    }
}

TEST_F(SqliteEnded, AnothersFileIsNotRead) {
  if (getuid() != 0) GTEST_SKIP() << "only root gives files away";
  end_one_unwritten();
  ASSERT_EQ(chown(file().c_str(), 12345, gid_t(-1)), 0);
  auto opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().text(), HasSubstr("belongs to user 12345"));
  ASSERT_EQ(chown(file().c_str(), 0, gid_t(-1)), 0);
  ASSERT_EQ(::chmod(file().c_str(), 0644), 0);
  open();
  struct stat about{};
  ASSERT_EQ(stat(file().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600u) << "readable by others harms nobody, but need not be";
}

/// The first start of a version that has such a file must not throw everybody out.
TEST_F(SqliteEnded, AStoreThatNeverHadAFileGetsOne) {
  open();
  begin("a");
  store_.reset();
  fs::remove(file());
  SqlShell(path()).run("DELETE FROM meta WHERE key = 'ended_ids'");
  open();
  EXPECT_THAT(live(), ElementsAre("a"));
  EXPECT_EQ(bytes().size(), EndedIds::kSize);
}

/// A backup of the store alone may be older than somebody's sign-out.
TEST_F(SqliteEnded, ACopyOfTheStoreAloneBringsNobodyBack) {
  open();
  begin("a");
  store_.reset();
  test::TemporaryFolder elsewhere;
  fs::copy(path(), elsewhere.path() + "/knock.db");
  auto restored = open_sqlite(elsewhere.path() + "/knock.db", SqliteMode::create_or_open, random_);
  ASSERT_TRUE(restored) << restored.error().text();
  EXPECT_TRUE((*restored)->live_sessions(after(6))->empty());
}

TEST_F(SqliteEnded, WithoutRoomForTheFileThereIsNoStore) {
  FileLimit small(EndedIds::kSize - 1);
  auto opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_FALSE(fs::exists(file()));
}

}  // namespace
}  // namespace knock
