// SPDX-License-Identifier: Apache-2.0
// The examples people copy from load without a word, and say what their comments say.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "schemas/policy/check.h"
#include "schemas/policy/load.h"
#include "store/tzdata/system_zones.h"
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
  PolicyContext context{
      {SignInName("corp"), SignInName("local"), SignInName("partners"), SignInName("vendor")},
      true};
  context.zones = system_zones();
  return load_policy(files_of(folder), PolicyRevision("r"), context);
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
  EXPECT_GE(folders, 7);
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

/// The pieces of docs/policy.md between fences.
std::vector<std::string> fenced(const std::string& page) {
  std::vector<std::string> out;
  constexpr std::string_view kOpen = "```yaml\n";
  for (auto at = page.find(kOpen); at != std::string::npos; at = page.find(kOpen, at + 1)) {
    auto begin = at + kOpen.size();
    out.push_back(page.substr(begin, page.find("```", begin) - begin));
  }
  return out;
}

std::string page() { return test::read_file(test::source_dir() + "/docs/policy.md"); }

TEST(PolicyPage, ItsPiecesTogetherAreAPolicy) {
  std::string text;
  for (const auto& piece : fenced(page())) text += piece;
  // Names that the page's rules use without declaring them.
  text += "x-end: of the page\n";
  PolicyFile rest{"rest.yaml",
                  "knock: 1\ngroups: {leavers: {idp: leavers, from: [sso]}}\n"
                  "networks: {guests: [192.0.2.0/24], blocked: [192.0.2.0/25]}\n"
                  "services: {ssh: {ports: [tcp/22], targets: [inner]}}\n"
                  "targets: {inner: {type: nftables, netns: inner}}\n",
                  ""};
  PolicyContext context{{SignInName("local"), SignInName("sso")}, true};
  context.zones = system_zones();
  auto result = load_policy({{"page.yaml", text, ""}, rest}, PolicyRevision("r"), context);
  EXPECT_TRUE(result.policy) << to_text(result.diagnostics);
}

TEST(PolicyPage, NamesEveryDiagnostic) {
  auto text = page();
  for (const auto& ids : {policy_diagnostic_ids(), config_diagnostic_ids()})
    for (const auto& id : ids) EXPECT_NE(text.find("`" + id + "`"), std::string::npos) << id;
}

}  // namespace
}  // namespace knock
