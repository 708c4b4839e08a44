// SPDX-License-Identifier: Apache-2.0
// The key that signs saved plans: made once, found again, and never taken from a file that others
// could have written or read.
#include "store/plan_key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/support/requirement.h"

namespace knock::test {
namespace {

namespace fs = std::filesystem;

class PlanKey : public ::testing::Test {
 protected:
  std::string path() const { return folder_.path() + "/plan-key"; }
  Result<Ed25519Key> key() { return plan_key(folder_.path(), random_); }
  /// "" when there is a key.
  std::string why_not(ErrorKind kind) {
    auto made = key();
    if (made) return "";
    EXPECT_EQ(made.error().kind, kind) << made.error().text();
    return made.error().message;
  }

  TemporaryFolder folder_;
  SystemRandom random_;
};

TEST_F(PlanKey, IsMadeOnceAndFoundAgain) {
  EXPECT_FALSE(known_plan_key(folder_.path()).value());
  auto made = key();
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_EQ(key()->public_key(), made->public_key());
  EXPECT_EQ(known_plan_key(folder_.path()).value()->public_key(), made->public_key());
  EXPECT_TRUE(verify(made->public_key(), "plan", key()->sign("plan")));
  struct stat info{};
  ASSERT_EQ(stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  auto files = fs::directory_iterator(folder_.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "something is left beside it";
  fs::remove(path());
  EXPECT_NE(key()->public_key(), made->public_key());
}

TEST_F(PlanKey, IsNotTakenFromWhereOthersWere) {
  ASSERT_TRUE(key());
  fs::permissions(path(), fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
  EXPECT_NE(why_not(ErrorKind::unauthorized).find("mode 640"), std::string::npos);
  fs::rename(path(), folder_.path() + "/elsewhere");
  fs::permissions(folder_.path() + "/elsewhere", fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink(folder_.path() + "/elsewhere", path());
  EXPECT_NE(why_not(ErrorKind::invalid).find("is a link"), std::string::npos);
  fs::remove(path());
  fs::create_directory(path());
  EXPECT_NE(why_not(ErrorKind::invalid).find("is no file"), std::string::npos);
}

TEST_F(PlanKey, WhatIsNoKeyIsNotReplacedInSilence) {
  const std::string good = "knock plan key 1 " + std::string(43, 'A') + "\n";
  struct Row {
    const char* name;
    std::string content;
  };
  const Row rows[] = {{"empty", ""},
                      {"another file", "hello\n"},
                      {"another version", "knock plan key 2" + good.substr(16)},
                      {"cut", good.substr(0, good.size() - 1)},
                      {"too short", "knock plan key 1 AAAA\n"},
                      {"more behind it", good + "x"},
                      {"too long", "knock plan key 1 " + std::string(400, 'A') + "\n"}};
  auto write = [&](const std::string& content) {
    write_file(path(), content);
    fs::permissions(path(), fs::perms::owner_read | fs::perms::owner_write);
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    write(row.content);
    EXPECT_NE(why_not(ErrorKind::invalid).find("remove it"), std::string::npos);
    EXPECT_EQ(read_file(path()), row.content);
  }
  write(good);
  EXPECT_EQ(why_not(ErrorKind::invalid), "");
}

TEST_F(PlanKey, AFolderThatIsNotThereIsAnError) {
  auto made = plan_key(folder_.path() + "/nowhere", random_);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::unavailable);
}

}  // namespace
}  // namespace knock::test
