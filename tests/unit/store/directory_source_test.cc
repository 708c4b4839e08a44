// SPDX-License-Identifier: Apache-2.0
#include "store/directory/directory_source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include "base/sha256.h"
#include "store/policy_files.h"
#include "tests/support/requirement.h"

namespace knock {
namespace {

namespace fs = std::filesystem;

/// Takes this thread's capabilities away for a while, so that root too is refused what its mode
/// bits say.
class Powerless {
 public:
  Powerless() {
    __user_cap_data_struct none[2] = {};
    ::syscall(SYS_capget, &header_, before_);
    for (int i = 0; i < 2; ++i) none[i] = {0, before_[i].permitted, before_[i].inheritable};
    worked = ::syscall(SYS_capset, &header_, none) == 0;
  }
  ~Powerless() { ::syscall(SYS_capset, &header_, before_); }
  bool worked = false;

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before_[2] = {};
};

class DirectorySourceTest : public testing::Test {
 protected:
  void write(const std::string& path, std::string_view content) {
    test::write_file(root() + "/" + path, content);
  }
  std::string root() const { return folder_.path() + "/policies"; }
  std::unique_ptr<PolicySource> open() const { return std::move(*open_directory_source(root())); }

  static Result<PolicyRevision> poll(PolicySource& source) {
    return source.poll(Deadline::in(Duration::seconds(60)));
  }
  PolicyRevision revision() {
    auto source = open();
    auto result = poll(*source);
    EXPECT_TRUE(result) << result.error().text();
    return result ? *result : PolicyRevision();
  }
  std::vector<PolicyFile> files() {
    auto source = open();
    auto result = poll(*source);
    EXPECT_TRUE(result) << result.error().text();
    return result ? source->read(*result)->files : std::vector<PolicyFile>();
  }
  void expect_refused(ErrorKind kind, const std::string& part) {
    auto source = open();
    auto result = poll(*source);
    ASSERT_FALSE(result) << "accepted: " << part;
    EXPECT_EQ(result.error().kind, kind) << result.error().text();
    EXPECT_NE(result.error().text().find(part), std::string::npos) << result.error().text();
    EXPECT_NE(result.error().text().find(root()), std::string::npos) << "says where";
  }

  test::TemporaryFolder folder_;
};

TEST_F(DirectorySourceTest, ReadsYamlRecursivelySortedByPath) {
  write("b.yaml", "knock: 1\n");
  write("a/z.yml", "x: 1\n");
  write("a.yaml", "");
  write("a/deep/er/q.yaml", "bytes \xff and \r\n stay");
  write("README.md", "not policy");
  write("a/notes.yaml.bak", "not policy");
  write(".git/config.yaml", "other");
  write(".github/workflows/ci.yaml", "other");
  write("a/.travis.yml", "other");
  auto got = files();
  std::vector<std::string> paths;
  for (const auto& file : got) {
    paths.push_back(file.path);
    EXPECT_EQ(file.blob_id, to_hex(sha256(file.content)));
  }
  EXPECT_EQ(paths, (std::vector<std::string>{"a.yaml", "a/deep/er/q.yaml", "a/z.yml", "b.yaml"}));
  EXPECT_EQ(got.at(1).content, "bytes \xff and \r\n stay");
  EXPECT_EQ(got.at(0).content, "");
}

TEST_F(DirectorySourceTest, RevisionFollowsPathsAndContentsAndNothingElse) {
  write("a.yaml", "1");
  write("b.yaml", "2");
  auto first = revision();
  EXPECT_EQ(first.value.size(), 7u + 64u);
  EXPECT_TRUE(first.value.starts_with("sha256:"));
  write("a.yaml", "1");  // same bytes, new time
  write("README.md", "unread");
  EXPECT_EQ(revision(), first);
  write("a.yaml", "3");
  auto changed = revision();
  EXPECT_NE(changed, first);
  write("a.yaml", "1");
  EXPECT_EQ(revision(), first);
  fs::rename(root() + "/a.yaml", root() + "/c.yaml");
  auto renamed = revision();
  EXPECT_NE(renamed, first);
  fs::rename(root() + "/c.yaml", root() + "/a.yaml");
  write("a.yaml", "2");
  write("b.yaml", "1");
  EXPECT_NE(revision(), first) << "contents swapped";
}

TEST_F(DirectorySourceTest, OneSourceSeesChangesOfTheSameSizeWithinOneTick) {
  write("a.yaml", "0");
  write("b.yaml", "same");
  auto source = open();
  std::set<std::string> seen;
  for (char c = '0'; c <= '9'; ++c) {
    write("a.yaml", std::string(1, c));
    auto result = poll(*source);
    ASSERT_TRUE(result) << result.error().text();
    EXPECT_TRUE(seen.insert(result->value).second) << c;
    EXPECT_EQ(source->read(*result)->files.at(0).content, std::string(1, c));
  }
}

TEST_F(DirectorySourceTest, SettledFilesAreNotReadAgainAndStillRight) {
  write("a.yaml", "old");
  timespec long_ago[2] = {{1'600'000'000, 0}, {1'600'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (root() + "/a.yaml").c_str(), long_ago, 0), 0);
  auto source = open();
  auto first = poll(*source);
  ASSERT_TRUE(first);
  EXPECT_EQ(source->read(*first)->committed, Instant::from_seconds(1'600'000'000));
  // Back-dated by hand to the same size and time: the change time gives it away.
  write("a.yaml", "new");
  ASSERT_EQ(::utimensat(AT_FDCWD, (root() + "/a.yaml").c_str(), long_ago, 0), 0);
  auto second = poll(*source);
  ASSERT_TRUE(second);
  EXPECT_EQ(source->read(*second)->files.at(0).content, "new");
}

TEST_F(DirectorySourceTest, ReadGivesOnlyTheStateOfTheLastPoll) {
  write("a.yaml", "1");
  auto source = open();
  EXPECT_FALSE(source->read(PolicyRevision()));
  auto first = poll(*source);
  ASSERT_TRUE(first);
  write("a.yaml", "2");
  EXPECT_EQ(source->read(*first)->files.at(0).content, "1") << "a snapshot does not move";
  auto second = poll(*source);
  ASSERT_TRUE(second);
  auto gone = source->read(*first);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, ErrorKind::not_found);
}

TEST_F(DirectorySourceTest, AFailedPollLeavesTheLastState) {
  write("a.yaml", "1");
  auto source = open();
  auto first = poll(*source);
  ASSERT_TRUE(first);
  fs::rename(root(), root() + ".away");
  auto gone = poll(*source);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, ErrorKind::not_found);
  ASSERT_TRUE(source->read(*first));
  EXPECT_EQ(source->read(*first)->files.at(0).content, "1");
}

TEST_F(DirectorySourceTest, UnreadableIsNotEmptyAndEmptyIsAnError) {
  expect_refused(ErrorKind::not_found, "No such file");
  fs::create_directories(root() + "/sub");
  expect_refused(ErrorKind::not_found, "knock: 1");
  write("README.md", "still no policy");
  write(".hidden.yaml", "still no policy");
  expect_refused(ErrorKind::not_found, "knock: 1");
  fs::remove_all(root());
  test::write_file(root(), "a file");
  expect_refused(ErrorKind::not_found, "Not a directory");
}

TEST_F(DirectorySourceTest, UnreadableParts) {
  write("a.yaml", "1");
  write("secret/b.yaml", "1");
  Powerless powerless;
  ASSERT_TRUE(powerless.worked);
  ASSERT_EQ(::chmod((root() + "/secret").c_str(), 0), 0);
  expect_refused(ErrorKind::unauthorized, "secret");
  ASSERT_EQ(::chmod((root() + "/secret").c_str(), 0700), 0);
  ASSERT_EQ(::chmod((root() + "/a.yaml").c_str(), 0), 0);
  expect_refused(ErrorKind::unauthorized, "a.yaml");
  ASSERT_EQ(::chmod(root().c_str(), 0), 0);
  expect_refused(ErrorKind::unauthorized, "Permission denied");
  ASSERT_EQ(::chmod(root().c_str(), 0700), 0);
}

TEST_F(DirectorySourceTest, LinksInsideAreFilesLikeAnyOther) {
  // The shape of a Kubernetes ConfigMap.
  write("..2026_11_21/a.yaml", "from the map");
  fs::create_directory_symlink("..2026_11_21", root() + "/..data");
  fs::create_symlink("..data/a.yaml", root() + "/a.yaml");
  auto got = files();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].path, "a.yaml");
  EXPECT_EQ(got[0].content, "from the map");
}

TEST_F(DirectorySourceTest, LinksThatLeaveAreRefused) {
  test::write_file(folder_.path() + "/outside.yaml", "secret");
  struct {
    const char* name;
    std::string target;
    const char* part;
  } rows[] = {
      {"relative", "../outside.yaml", "leaves the policy folder"},
      {"absolute", folder_.path() + "/outside.yaml", "leaves the policy folder"},
      {"absolute, inside", root() + "/a.yaml", "leaves the policy folder"},
      {"through /proc", "/proc/self/root/etc/passwd", "leaves the policy folder"},
      {"circle", "link.yaml", "leads in a circle"},
      {"dangling", "nothing.yaml", "No such file"},
      {"folder inside", "sub", "link to a folder"},
      {"folder outside", "..", "link to a folder"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    write("a.yaml", "1");
    fs::create_directories(root() + "/sub");
    fs::create_symlink(row.target, root() + "/link.yaml");
    auto source = open();
    auto result = poll(*source);
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().text().find(row.part), std::string::npos) << result.error().text();
    fs::remove_all(root());
  }
}

TEST_F(DirectorySourceTest, ALinkedFolderIsRefusedWhateverItsName) {
  write("a.yaml", "1");
  test::write_file(folder_.path() + "/elsewhere/deny.yaml", "1");
  fs::create_directory_symlink("../elsewhere", root() + "/more");
  expect_refused(ErrorKind::invalid, "more is a link to a folder");
}

TEST_F(DirectorySourceTest, OddLinksThatAreNotPolicyAreNoMatter) {
  write("a.yaml", "1");
  fs::create_symlink("../nowhere", root() + "/README");
  fs::create_symlink("nobody@host:1", root() + "/.#a.yaml");  // an editor's lock
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(DirectorySourceTest, WhatIsNoPlainFileIsRefusedWithoutHanging) {
  write("a.yaml", "1");
  ASSERT_EQ(::mkfifo((root() + "/pipe.yaml").c_str(), 0600), 0);
  expect_refused(ErrorKind::invalid, "pipe.yaml is named like a policy file");
  fs::remove(root() + "/pipe.yaml");
  sockaddr_un address{AF_UNIX, {}};
  auto path = root() + "/s.yaml";
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(fd);
  expect_refused(ErrorKind::invalid, "s.yaml is named like a policy file");
  fs::remove(path);
  fs::create_directories(root() + "/folder.yaml");  // a folder may be called anything
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(DirectorySourceTest, HostileNamesAreRefusedAndShownEscaped) {
  for (const char* name : {"a\nb.yaml", "a\x1b[31m.yaml", "a\\b.yaml", "\xff.yaml",
                           "\xe2\x80\xae.yaml", "bad\nfolder/a.yaml"}) {
    write(name, "1");
    auto source = open();
    auto result = poll(*source);
    ASSERT_FALSE(result) << name;
    EXPECT_EQ(result.error().kind, ErrorKind::invalid);
    for (char c : result.error().text()) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
    fs::remove_all(root());
  }
  write("A.yaml", "1");
  write("a.yaml", "1");
  expect_refused(ErrorKind::invalid, "differ only in the case");
}

TEST_F(DirectorySourceTest, Limits) {
  write("a.yaml", std::string(1 << 20, 'x'));
  EXPECT_EQ(files().size(), 1u) << "exactly 1 MiB is allowed";
  write("a.yaml", std::string((1 << 20) + 1, 'x'));
  expect_refused(ErrorKind::invalid, "1 MiB");
  fs::remove(root() + "/a.yaml");

  for (int i = 0; i < 65; ++i) write(std::to_string(i) + ".yaml", "");
  for (int i = 0; i < 65; ++i) fs::resize_file(root() + "/" + std::to_string(i) + ".yaml", 1 << 20);
  expect_refused(ErrorKind::invalid, "64 MiB");
  fs::remove_all(root());

  std::string deep;
  for (int i = 0; i < 65; ++i) deep += "d/";
  write(deep + "a.yaml", "1");
  expect_refused(ErrorKind::invalid, "64 folders");
}

TEST(PolicyBudget, CountsFilesAndEntries) {
  PolicyBudget budget;
  for (std::size_t i = 0; i < kMaxPolicyFiles; ++i) ASSERT_TRUE(budget.file("a", 1));
  EXPECT_FALSE(budget.file("a", 1));
  PolicyBudget other;
  for (std::size_t i = 0; i < kMaxPolicyEntries; ++i) ASSERT_TRUE(other.entry());
  EXPECT_FALSE(other.entry());
}

TEST_F(DirectorySourceTest, WritersAtWorkNeverShowHalfAFile) {
  std::string ones(200'000, '1'), twos(300'000, '2');
  write("a.yaml", ones);
  std::atomic<bool> stop = false;
  std::jthread writer([&] {
    for (int i = 0; !stop; ++i) {
      test::write_file(folder_.path() + "/new", i % 2 ? ones : twos);
      if (i % 3 == 0)
        write("a.yaml", i % 2 ? ones : twos);  // in place: may be caught half-way
      else
        fs::rename(folder_.path() + "/new", root() + "/a.yaml");
    }
  });
  auto source = open();
  int good = 0;
  auto deadline = Deadline::in(Duration::seconds(30));
  while (good < 20 && !deadline.passed()) {
    auto result = poll(*source);
    if (!result) {
      ASSERT_EQ(result.error().kind, ErrorKind::unavailable) << result.error().text();
      continue;
    }
    ++good;
    auto content = source->read(*result)->files.at(0).content;
    // Writing in place truncates first; a reader may see a prefix, but never a mixture.
    ASSERT_EQ(content.find_first_not_of(content.empty() ? '1' : content[0]), std::string::npos);
  }
  stop = true;
  writer.join();
  EXPECT_EQ(good, 20);
}

TEST_F(DirectorySourceTest, TimeIsUp) {
  write("a.yaml", "1");
  auto result = open()->poll(Deadline::in({0}));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::timeout);
}

TEST(DirectorySource, NeedsAName) {
  EXPECT_FALSE(open_directory_source(""));
  EXPECT_FALSE(open_directory_source(std::string("a\0b", 3)));
}

}  // namespace
}  // namespace knock
