// SPDX-License-Identifier: Apache-2.0
#include "cli/migration.h"

#include <gtest/gtest.h>

namespace knock::cli {
namespace {

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  auto at = text.find(what);
  if (at != std::string::npos) text.replace(at, what.size(), with);
  return text;
}

/// Two versions that do not exist: 2 renames a key, 3 changes nothing but the number.
std::vector<MigrationStep> two_steps() {
  return {{"`people` is called `groups`",
           [](std::string_view text) -> Result<std::string> {
             return replaced(replaced(std::string(text), "knock: 1", "knock: 2"),
                             "people:", "groups:");
           }},
          {"only the number", [](std::string_view text) -> Result<std::string> {
             return replaced(std::string(text), "knock: 2", "knock: 3");
           }}};
}

TEST(Migration, VersionOneIsTheNewest) {
  EXPECT_TRUE(migration_steps().empty());
  auto out = migrate_policy_file("p.yaml", "# note\nknock: 1\n", migration_steps());
  ASSERT_TRUE(out);
  EXPECT_EQ(out->text, "# note\nknock: 1\n");
  EXPECT_EQ(out->from, 1);
  EXPECT_TRUE(out->done.empty());
}

TEST(Migration, ANewerHeaderIsRefusedAsTheLoaderDoes) {
  auto out = migrate_policy_file("p.yaml", "knock: 2\n", migration_steps());
  ASSERT_TRUE(out);
  EXPECT_FALSE(out->text);
  ASSERT_EQ(out->diagnostics.size(), 1u);
  EXPECT_EQ(out->diagnostics[0].id, "policy.header-version");
  EXPECT_EQ(out->diagnostics[0].where.to_string(), "p.yaml:1:8");
}

TEST(Migration, WhatHasNoVersionIsRefused) {
  for (const auto& [text, id] : std::vector<std::pair<std::string, std::string>>{
           {"groups: {}\n", "policy.header-missing"},
           {"knock: one\n", "policy.header-version"},
           {"knock: \"1\"\n", "policy.header-version"},
           {"knock: 0\n", "policy.header-version"},
           {"knock: 99999999999999999999\n", "policy.header-version"},
           {"knock: 1\nknock: 1\n", "yaml.duplicate-key"},
           {"knock: [\n", "yaml.syntax"},
           {"", "yaml.empty"}}) {
    SCOPED_TRACE(text);
    auto out = migrate_policy_file("p.yaml", text, two_steps());
    ASSERT_TRUE(out);
    EXPECT_FALSE(out->text);
    ASSERT_FALSE(out->diagnostics.empty());
    EXPECT_EQ(out->diagnostics[0].id, id);
  }
}

TEST(Migration, StepsFollowEachOther) {
  auto out = migrate_policy_file("p.yaml", "knock: 1\npeople: {}\n", two_steps());
  ASSERT_TRUE(out);
  EXPECT_EQ(out->text, "knock: 3\ngroups: {}\n");
  EXPECT_EQ(out->done,
            (std::vector<std::string>{"`people` is called `groups`", "only the number"}));
}

TEST(Migration, BeginsAtTheVersionOfTheFile) {
  auto out = migrate_policy_file("p.yaml", "knock: 2\npeople: {}\n", two_steps());
  ASSERT_TRUE(out);
  EXPECT_EQ(out->text, "knock: 3\npeople: {}\n");
  EXPECT_EQ(out->from, 2);
  auto newest = migrate_policy_file("p.yaml", "knock: 3\n", two_steps());
  ASSERT_TRUE(newest);
  EXPECT_EQ(newest->text, "knock: 3\n");
  auto newer = migrate_policy_file("p.yaml", "knock: 4\n", two_steps());
  ASSERT_TRUE(newer);
  EXPECT_FALSE(newer->text);
}

TEST(Migration, AStepThatFailsOrForgetsTheHeaderIsAnError) {
  std::vector<MigrationStep> forgets{
      {"nothing", [](std::string_view text) -> Result<std::string> { return std::string(text); }}};
  auto out = migrate_policy_file("p.yaml", "knock: 1\n", forgets);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().kind, ErrorKind::internal);
  std::vector<MigrationStep> fails{{"nothing", [](std::string_view) -> Result<std::string> {
                                      return fail(ErrorKind::invalid, "two keys are meant");
                                    }}};
  out = migrate_policy_file("p.yaml", "knock: 1\n", fails);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().text(), "p.yaml: from version 1: two keys are meant");
}

}  // namespace
}  // namespace knock::cli
