// SPDX-License-Identifier: Apache-2.0
// The examples people copy from load without a word, and say what their comments say.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "schemas/policy/load.h"
#include "tests/support/requirement.h"

namespace knock {
namespace {

namespace fs = std::filesystem;

std::vector<PolicyFile> files_of(const fs::path& folder) {
  std::vector<PolicyFile> files;
  for (const auto& item : fs::recursive_directory_iterator(folder))
    if (item.path().extension() == ".yaml")
      files.push_back(
          {fs::relative(item.path(), folder).string(), test::read_file(item.path().string()), ""});
  return files;
}

PolicyLoad load(const fs::path& folder) {
  return load_policy(files_of(folder), PolicyRevision("r"), {{SignInName("local")}, true});
}

fs::path examples() { return fs::path(test::source_dir()) / "examples/policies"; }

TEST(PolicyExamples, EveryFolderLoadsWithoutAWord) {
  int folders = 0;
  for (const auto& item : fs::directory_iterator(examples())) {
    if (!item.is_directory()) continue;
    SCOPED_TRACE(item.path().string());
    auto result = load(item.path());
    EXPECT_TRUE(result.policy);
    EXPECT_TRUE(result.diagnostics.empty()) << to_text(result.diagnostics);
    ++folders;
  }
  EXPECT_GE(folders, 1);
}

TEST(PolicyExamples, TheHomelabSaysWhatItsCommentsSay) {
  auto result = load(examples() / "homelab");
  ASSERT_TRUE(result.policy) << to_text(result.diagnostics);
  const auto& policy = *result.policy;
  const auto* gate = policy.target(TargetName("gate"));
  ASSERT_NE(gate, nullptr);
  EXPECT_TRUE(std::get<NftablesSettings>(gate->settings).protect);
  EXPECT_NE(policy.group(GroupName("family")), nullptr);
  EXPECT_NE(policy.group(GroupName("admins")), nullptr);
  auto reaches = [&](std::string_view group, std::string_view service) {
    return std::ranges::any_of(policy.allow, [&](const AllowRule& rule) {
      return std::ranges::count(rule.who, GroupName(group)) > 0 &&
             std::ranges::count(rule.to, ServiceName(service)) > 0;
    });
  };
  EXPECT_TRUE(reaches("admins", "ssh"));
  EXPECT_TRUE(reaches("admins", "admin-page"));
  EXPECT_TRUE(reaches("family", "photos"));
  EXPECT_FALSE(reaches("family", "ssh"));
  EXPECT_FALSE(reaches("family", "admin-page"));
  ASSERT_EQ(policy.statics.size(), 1u);
  ASSERT_EQ(policy.deny.size(), 1u);
  EXPECT_TRUE(policy.deny[0].to_all);
  EXPECT_EQ(policy.deny[0].to.size(), policy.services.size());
}

}  // namespace
}  // namespace knock
