// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_paths.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/support/requirement.h"

namespace knock::cli {
namespace {

namespace fs = std::filesystem;
using Paths = std::vector<std::string>;

class PolicyPaths : public testing::Test {
 protected:
  std::string at(const std::string& name) const { return folder_.path() + "/" + name; }
  void write(const std::string& name, const std::string& content = "knock: 1\n") const {
    fs::create_directories(fs::path(at(name)).parent_path());
    test::write_file(at(name), content);
  }
  Paths found(const Paths& paths) const {
    auto out = policy_paths(paths);
    if (!out) return {out.error().text()};
    for (auto& path : *out) path = fs::relative(path, folder_.path()).string();
    return *out;
  }
  test::TemporaryFolder folder_;
};

TEST_F(PolicyPaths, FilesBelowAFolderAndNothingElse) {
  write("b.yaml"), write("a.yml"), write("deep/er/c.yaml");
  write("schema.json"), write("yaml"), write(".hidden.yaml"), write(".github/workflows/x.yml");
  fs::create_directories(at("folder.yaml"));
  fs::create_symlink(at("b.yaml"), at("link.yaml"));
  test::TemporaryFolder other;
  test::write_file(other.path() + "/o.yaml", "");
  fs::create_directory_symlink(other.path(), at("elsewhere"));
  EXPECT_EQ(found({folder_.path()}), (Paths{"a.yml", "b.yaml", "deep/er/c.yaml"}));
  EXPECT_EQ(found({at("b.yaml"), folder_.path(), at("deep")}),
            (Paths{"a.yml", "b.yaml", "deep/er/c.yaml"}));
  EXPECT_EQ(found({at("deep/../b.yaml")}), Paths{"b.yaml"});
}

TEST_F(PolicyPaths, WhatIsRefused) {
  write("b.yaml"), write("x.json");
  fs::create_symlink("b.yaml", at("link.yaml"));
  fs::create_directories(at("empty"));
  fs::create_directory_symlink(folder_.path(), at("empty/loop"));
  EXPECT_EQ(
      found({at("link.yaml")}),
      Paths{at("link.yaml") + " is a link, and links are not followed; name what it leads to"});
  EXPECT_EQ(found({at("x.json")}),
            Paths{at("x.json") + " is no policy file; those are called *.yaml or *.yml"});
  EXPECT_EQ(found({at("none")}),
            Paths{"cannot find " + at("none") + ": No such file or directory"});
  EXPECT_EQ(found({at("empty")}), Paths{"there is no *.yaml or *.yml file in " + at("empty")});
}

TEST_F(PolicyPaths, ReplacingKeepsTheModeAndLeavesNothingBehind) {
  write("p.yaml", "old");
  ASSERT_EQ(chmod(at("p.yaml").c_str(), 0640), 0);
  ASSERT_TRUE(replace_policy_file(at("p.yaml"), "old", "new"));
  EXPECT_EQ(test::read_file(at("p.yaml")), "new");
  struct stat info{};
  ASSERT_EQ(stat(at("p.yaml").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, mode_t(0640));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()), 1);
}

TEST_F(PolicyPaths, WhatChangedMeanwhileIsNotOverwritten) {
  write("p.yaml", "somebody else's");
  auto out = replace_policy_file(at("p.yaml"), "old", "new");
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().kind, ErrorKind::conflict);
  EXPECT_EQ(test::read_file(at("p.yaml")), "somebody else's");
  fs::rename(at("p.yaml"), at("q.yaml"));
  fs::create_symlink("q.yaml", at("p.yaml"));
  EXPECT_FALSE(replace_policy_file(at("p.yaml"), "somebody else's", "new"));
  EXPECT_TRUE(fs::is_symlink(at("p.yaml")));
  EXPECT_EQ(test::read_file(at("q.yaml")), "somebody else's");
}

TEST_F(PolicyPaths, AReaderSeesTheOldFileOrTheNewOne) {
  write("p.yaml", "old");
  auto* before = std::fopen(at("p.yaml").c_str(), "r");
  ASSERT_NE(before, nullptr);
  ASSERT_TRUE(replace_policy_file(at("p.yaml"), "old", "longer than before"));
  char text[64] = {};
  EXPECT_EQ(std::fread(text, 1, sizeof text, before), 3u);
  EXPECT_STREQ(text, "old");
  std::fclose(before);
}

TEST_F(PolicyPaths, WithoutTheRightToWriteTheFolderNothingChanges) {
  if (geteuid() == 0) {
    // root may write everywhere but into a folder that is gone.
    write("gone/p.yaml", "old");
    fs::remove_all(at("gone"));
    EXPECT_FALSE(replace_policy_file(at("gone/p.yaml"), "old", "new"));
    return;
  }
  write("p.yaml", "old");
  ASSERT_EQ(chmod(folder_.path().c_str(), 0555), 0);
  EXPECT_FALSE(replace_policy_file(at("p.yaml"), "old", "new"));
  EXPECT_EQ(test::read_file(at("p.yaml")), "old");
  ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
}

TEST_F(PolicyPaths, AFileThatIsTooLargeIsRefused) {
  write("p.yaml", std::string(1 << 20, 'x'));
  EXPECT_TRUE(read_policy_path(at("p.yaml")));
  write("p.yaml", std::string((1 << 20) + 1, 'x'));
  auto content = read_policy_path(at("p.yaml"));
  ASSERT_FALSE(content);
  EXPECT_EQ(content.error().kind, ErrorKind::invalid);
}

}  // namespace
}  // namespace knock::cli
