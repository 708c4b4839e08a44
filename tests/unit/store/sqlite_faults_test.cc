// SPDX-License-Identifier: Apache-2.0
// A disk that fails: the handle is finished, reads go on, and what a new handle finds is whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "store/sqlite/sqlite_store.h"
#include "tests/conformance/sample_facts.h"
#include "tests/support/requirement.h"
#include "tests/unit/store/faulty_vfs.h"

namespace knock {
namespace {

using test::after;
using test::faults;
using test::kNoon;
using ::testing::HasSubstr;

class SqliteFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    test::register_faulty_vfs();
    faults().heal();
  }
  void TearDown() override {
    store_.reset();
    faults().heal();
  }

  void open() {
    store_.reset();
    auto opened = open_sqlite(path(), SqliteMode::create_or_open, random_, {test::kFaultyVfs});
    ASSERT_TRUE(opened) << opened.error().text();
    store_ = *std::move(opened);
  }
  std::string path() const { return folder_.path() + "/knock.db"; }

  /// Two facts that belong together.
  Result<std::uint64_t> append() {
    auto id = "s-" + std::to_string(++n_);
    std::vector<Fact> facts{
        SessionOpened{test::sample_session(id, "dora", "203.0.113.7", kNoon, after(60))},
        ControllerStarted{id, std::string(500, 'x')}};
    return store_->append("core", after(n_), facts);
  }

  void expect_finished(std::uint64_t written) {
    EXPECT_FALSE(store_->writable());
    auto touched = faults().log_writes + faults().log_syncs + faults().file_writes;
    auto again = append();
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().kind, ErrorKind::unavailable);
    EXPECT_THAT(again.error().text(), HasSubstr("restart the controller"));
    auto account =
        store_->save_account("core", kNoon, {"dora", "", Secret("h"), {}, false}, "created");
    EXPECT_FALSE(account);
    EXPECT_EQ(faults().log_writes + faults().log_syncs + faults().file_writes, touched)
        << "a finished handle must not touch the disk";
    EXPECT_EQ(*store_->head(), written);
    EXPECT_EQ(store_->live_sessions(kNoon)->size(), written / 2);
  }

  /// A new handle on the mended disk finds whole appends, at least those that returned.
  void expect_whole_after_mending(std::uint64_t written) {
    store_.reset();
    faults().heal();
    open();
    auto head = store_->head();
    ASSERT_TRUE(head);
    EXPECT_GE(*head, written);
    EXPECT_EQ(*head % 2, 0u);
    auto check = store_->verify({});
    ASSERT_TRUE(check) << check.error().text();
    EXPECT_TRUE(check->good) << check->why;
    EXPECT_EQ(store_->live_sessions(kNoon)->size(), *head / 2);
    n_ = int(*head);
    EXPECT_TRUE(append());
  }

  /// Appends until one fails; how many records were written.
  std::uint64_t append_until_failure(int at_most) {
    std::uint64_t written = *store_->head();
    for (int i = 0; i < at_most; ++i) {
      auto seq = append();
      if (!seq) {
        EXPECT_EQ(seq.error().kind, ErrorKind::unavailable);
        EXPECT_THAT(seq.error().text(), HasSubstr("mend or free the disk"));
        return written;
      }
      written = *seq;
    }
    return written;
  }

  test::TemporaryFolder folder_;
  SystemRandom random_;
  std::unique_ptr<FactStore> store_;
  int n_ = 0;
};

TEST_F(SqliteFaults, AFailedSyncOfTheLogEndsTheHandle) {
  for (int nth = 1; nth <= 6; ++nth) {
    open();
    ASSERT_TRUE(append());
    faults().log_sync = nth;
    auto written = append_until_failure(20);
    ASSERT_EQ(faults().log_sync, 0) << "the fault never struck";
    expect_finished(written);
    expect_whole_after_mending(written);
  }
}

TEST_F(SqliteFaults, AFullDiskEndsTheHandle) {
  for (int nth = 1; nth <= 40; nth += 3) {
    open();
    ASSERT_TRUE(append());
    faults().log_write = nth;
    auto written = append_until_failure(40);
    ASSERT_EQ(faults().log_write, 0);
    expect_finished(written);
    expect_whole_after_mending(written);
  }
}

TEST_F(SqliteFaults, AFailedCopyBackEndsTheHandleButLosesNothing) {
  for (auto* fault : {&faults().file_sync, &faults().file_write}) {
    open();
    *fault = 1;
    std::uint64_t written = 0;
    for (int i = 0; i < 2000 && store_->writable(); ++i) {
      auto seq = append();
      ASSERT_TRUE(seq) << "the log itself is durable: " << seq.error().text();
      written = *seq;
    }
    ASSERT_EQ(*fault, 0) << "no checkpoint came";
    expect_finished(written);
    auto file_writes = faults().file_writes.load();
    store_.reset();
    EXPECT_EQ(faults().file_writes, file_writes) << "closing must leave the file alone too";
    expect_whole_after_mending(written);
  }
}

TEST_F(SqliteFaults, AnUnreadableStoreIsAnErrorNotEmpty) {
  open();
  ASSERT_TRUE(append());
  store_.reset();
  open();
  faults().read = 1;
  EXPECT_FALSE(store_->live_sessions(kNoon));
  EXPECT_FALSE(store_->sessions(10));
  EXPECT_FALSE(store_->records(0, 10));
  EXPECT_FALSE(store_->head());
  faults().heal();
  EXPECT_EQ(store_->live_sessions(kNoon)->size(), 1u);
}

/// The real file system's refusal, by a limit on file sizes (write gives EFBIG).
TEST_F(SqliteFaults, ALimitOfTheMachineEndsTheHandle) {
  open();
  ASSERT_TRUE(append());
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  auto handler = signal(SIGXFSZ, SIG_IGN);
  rlimit low = old;
  low.rlim_cur = 512 * 1024;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  auto written = append_until_failure(2000);
  setrlimit(RLIMIT_FSIZE, &old);
  signal(SIGXFSZ, handler);
  EXPECT_LT(written, 4000u) << "the limit was never met";
  expect_finished(written);
  expect_whole_after_mending(written);
}

TEST_F(SqliteFaults, EveryAppendIsSyncedOnce) {
  open();
  ASSERT_TRUE(append());
  faults().heal();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(append());
  EXPECT_EQ(faults().log_syncs, 10);
}

TEST_F(SqliteFaults, TheFilesAreTheirOwnersAlone) {
  auto old = umask(0);
  open();
  ASSERT_TRUE(append());
  umask(old);
  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
    struct stat info{};
    ASSERT_EQ(stat((path() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << suffix;
  }
}

}  // namespace
}  // namespace knock
