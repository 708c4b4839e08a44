// SPDX-License-Identifier: Apache-2.0
// How the mirror lies on the disk: packs only, few of them, and what is torn is refused. What would
// read forever runs in a child that an alarm ends.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/log.h"
#include "store/git/git_source.h"
#include "store/git/mirror.h"
#include "store/git/packs.h"
#include "tests/unit/store/git_repository.h"

namespace knock {
namespace {

namespace fs = std::filesystem;
using git::object_files;
using test::GitRepository;

/// Ids of the lines that are logged as long as the value lives.
class Logged final : public LogSink {
 public:
  Logged() { set_log_sink(this); }
  ~Logged() override { set_log_sink(nullptr); }
  Logged(const Logged&) = delete;
  Logged& operator=(const Logged&) = delete;
  void write(LogLevel, std::string_view id, std::string_view,
             const std::vector<LogField>&) override {
    ids.emplace_back(id);
  }
  std::vector<std::string> ids;
};

class GitPacks : public testing::Test {
 protected:
  static Deadline deadline() { return Deadline::in(Duration::seconds(60)); }
  std::string mirror() const { return folder_.path() + "/state/mirror.git"; }
  std::unique_ptr<PolicySource> open() const {
    auto source = open_git_source({repository_.path(), "main", folder_.path() + "/state", ""});
    EXPECT_TRUE(source) << source.error().text();
    return source ? std::move(*source) : nullptr;
  }
  /// One more commit, fetched.
  std::string next(PolicySource& source, const std::string& content) {
    auto id = repository_.commit({{"a.yaml", content}, {"same.yaml", "same"}});
    auto got = source.poll(deadline());
    EXPECT_TRUE(got) << got.error().text();
    return id;
  }
  static std::string content(const Result<PolicySnapshot>& snapshot) {
    return snapshot ? snapshot->files.at(0).content : snapshot.error().text();
  }
  /// Of a controller that starts on what is there, and that an alarm ends.
  void expect_unreadable(const std::string& commit) const {
    auto read = [&] {
      ::alarm(30);
      auto got = open()->read(PolicyRevision(commit));
      auto text = got ? std::string("it was read") : got.error().message;
      std::fputs((text + "\n").c_str(), stderr);
      std::_Exit(text.starts_with("tree.unreadable: ") ? 0 : 1);
    };
    EXPECT_EXIT(read(), testing::ExitedWithCode(0), "");
  }
  std::vector<fs::path> packs() const {
    std::vector<fs::path> out;
    for (const auto& item : fs::directory_iterator(mirror() + "/objects/pack"))
      if (item.path().extension() == ".pack") out.push_back(item.path());
    return out;
  }
  static void halve(const fs::path& file) {
    fs::permissions(file, fs::perms(0644));
    fs::resize_file(file, fs::file_size(file) / 2);
  }

  test::TemporaryFolder folder_;
  GitRepository repository_{folder_.path() + "/policy.git"};
};

TEST_F(GitPacks, StayFewAndKeepEverything) {
  auto source = open();
  std::vector<std::string> commits;
  std::size_t most = 0;
  for (int i = 0; i < 40; ++i) commits.push_back(next(*source, std::to_string(i)));
  ASSERT_EQ(object_files(mirror()), (git::ObjectFiles{0, 40}));
  source->in_force(PolicyRevision(commits[39]));

  // Replaced behind the tenth: what is in force is refused to be left, then left on purpose.
  repository_.point("refs/heads/main", commits[10]);
  auto other = repository_.commit({{"a.yaml", "other"}});
  EXPECT_EQ(source->poll(deadline()).error().kind, ErrorKind::conflict);
  EXPECT_EQ(content(source->read(PolicyRevision(commits[39]))), "39");
  ASSERT_EQ(source->start_anew()->value, other);

  std::vector<std::string> after{other};
  for (int i = 0; i < 20; ++i) {
    after.push_back(next(*source, fmt::format("after {}", i)));
    auto files = object_files(mirror());
    EXPECT_EQ(files.loose, 0u);
    most = std::max(most, files.packs);
  }
  EXPECT_EQ(most, 50u) << "as many as there may be";
  EXPECT_LT(object_files(mirror()).packs, 20u) << "and then they were one";
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(content(open()->read(PolicyRevision(after[std::size_t(i) + 1]))),
              fmt::format("after {}", i));
  auto direct = git::Mirror::open(mirror());
  ASSERT_TRUE(direct);
  for (std::size_t i = 0; i < commits.size(); ++i)
    EXPECT_EQ(content(direct->snapshot(commits[i], "", {})), std::to_string(i))
        << "no ref leads there any more";
}

TEST_F(GitPacks, LooseObjectsOfBeforeArePacked) {
  auto source = open();
  auto first = next(*source, "first");
  auto second = next(*source, "second");
  GitRepository(mirror()).make_loose();
  ASSERT_EQ(object_files(mirror()), (git::ObjectFiles{7, 0}));
  ASSERT_EQ(source->poll(deadline())->value, second) << "that brings nothing";
  EXPECT_EQ(object_files(mirror()), (git::ObjectFiles{0, 1}));
  EXPECT_EQ(content(open()->read(PolicyRevision(first))), "first");
  EXPECT_EQ(content(open()->read(PolicyRevision(second))), "second");
}

TEST_F(GitPacks, WhoReadsMeanwhileFindsTheNewPack) {
  auto source = open();
  std::vector<std::string> commits;
  for (int i = 0; i < 8; ++i) commits.push_back(next(*source, std::to_string(i)));
  auto untouched = git::Mirror::open(mirror()), used = git::Mirror::open(mirror());
  ASSERT_TRUE(untouched && used);
  ASSERT_EQ(content(used->snapshot(commits[3], "", {})), "3");
  auto packed =
      git::pack({mirror(), folder_.path() + "/state/home", std::uint64_t{1} << 20}, deadline());
  ASSERT_TRUE(packed) << packed.error().text();
  ASSERT_EQ(object_files(mirror()), (git::ObjectFiles{0, 1}));
  for (std::size_t i = 0; i < commits.size(); ++i) {
    EXPECT_EQ(content(used->snapshot(commits[i], "", {})), std::to_string(i));
    EXPECT_EQ(content(untouched->snapshot(commits[i], "", {})), std::to_string(i));
  }
  EXPECT_TRUE(*used->leads_to(commits.front(), commits.back()));
}

TEST_F(GitPacks, WhatCannotBePackedIsFetchedAllTheSame) {
  auto source = open();
  next(*source, "first");
  GitRepository lying(mirror());
  lying.make_loose();
  ASSERT_TRUE(fs::remove(lying.object_file(repository_.blob("first"))));
  Logged logged;
  auto second = next(*source, "second");
  EXPECT_EQ(logged.ids, std::vector<std::string>{"policy.mirror-not-packed"});
  EXPECT_EQ(content(source->read(PolicyRevision(second))), "second");
  ASSERT_TRUE(source->poll(deadline()));
  EXPECT_EQ(logged.ids.size(), 1u) << "not tried again before something changes";
}

TEST_F(GitPacks, ATornPack) {
  auto commit = next(*open(), std::string(2000, 'x'));
  ASSERT_EQ(packs().size(), 1u);
  halve(packs().front());
  expect_unreadable(commit);
}

TEST_F(GitPacks, ATornPackOfAnOlderFile) {
  auto source = open();
  next(*source, "first");
  auto older = packs().front();
  auto second = next(*source, "second");
  halve(older);
  expect_unreadable(second);
}

TEST_F(GitPacks, ATornLooseObject) {
  std::string noise;
  std::uint32_t state = 1;
  for (int i = 0; i < 200'000; ++i)
    noise += char('a' + ((state = state * 1664525 + 1013904223) >> 24) % 26);
  auto commit = next(*open(), noise);
  GitRepository lying(mirror());
  lying.make_loose();
  halve(lying.object_file(repository_.blob(noise)));
  expect_unreadable(commit);
}

TEST_F(GitPacks, APackKeptByAKilledFetchIsPackedToo) {
  auto source = open();
  next(*source, "first");
  auto keep = packs().front().replace_extension(".keep");
  test::write_file(keep.string(), "fetch-pack 1 on here\n");
  next(*source, "second");
  EXPECT_FALSE(fs::exists(keep));
}

}  // namespace
}  // namespace knock
