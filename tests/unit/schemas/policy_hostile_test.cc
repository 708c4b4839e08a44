// SPDX-License-Identifier: Apache-2.0
// Every check of the policy loader has a document that only this check refuses, with its id and its
// place.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "schemas/policy/check.h"
#include "schemas/policy/load.h"
#include "tests/unit/schemas/policy_rows.h"

namespace knock {
namespace {

using test::one;
using test::Row;
using test::with;

std::string many_unknown_keys() {
  std::string text = "knock: 1\n";
  for (int i = 0; i < 300; ++i) text += fmt::format("unknown{}: 1\n", i);
  return text;
}

std::vector<Row> all_rows() {
  std::vector<Row> rows;
  for (auto more : {test::yaml_rows(), test::key_rows(), test::meaning_rows(),
                    test::condition_rows(), test::section_rows(), test::test_rows()})
    rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

bool is_warning(const std::string& id) {
  return id.starts_with("policy.unused-") || id == "policy.static-ending";
}

TEST(PolicyHostile, EveryRowGivesItsOneDiagnostic) {
  for (const auto& row : all_rows()) {
    SCOPED_TRACE(row.name);
    auto load = load_policy(row.files, PolicyRevision("r"), row.context);
    test::expect_only(load.diagnostics, row.want);
    EXPECT_EQ(load.policy.has_value(), is_warning(row.want.id));
  }
}

TEST(PolicyHostile, AFloodOfMistakesIsCutAndSaysSo) {
  auto load = load_policy(one(many_unknown_keys()), PolicyRevision("r"), {});
  ASSERT_EQ(load.diagnostics.size(), 201u);
  EXPECT_EQ(load.diagnostics.front().id, "policy.unknown-key");
  EXPECT_EQ(load.diagnostics.back().id, "policy.too-many-problems");
}

TEST(PolicyHostile, FloodsInManyFilesAreCutToo) {
  std::vector<PolicyFile> files;
  for (int i = 0; i < 50; ++i)
    files.push_back({fmt::format("p{:02}.yaml", i), many_unknown_keys(), ""});
  auto load = load_policy(files, PolicyRevision("r"), {});
  EXPECT_LT(load.diagnostics.size(), 1300u);
  ASSERT_FALSE(load.diagnostics.empty());
  EXPECT_EQ(load.diagnostics.front().id, "policy.too-many-problems");  // of the whole policy: first
  EXPECT_EQ(load.diagnostics.front().where.line, 0u);

  std::string unknown = "knock: 1\ndeny: {a: {who: [";
  for (int i = 0; i < 3000; ++i) unknown += fmt::format("g{}, ", i);
  auto merged = load_policy(one(unknown + "z], to: [s]}}\n"), PolicyRevision("r"), {});
  EXPECT_EQ(merged.diagnostics.size(), 1001u);
}

TEST(PolicyHostile, EveryIdHasARow) {
  std::set<std::string> seen{"policy.too-many-problems"};
  for (const auto& row : all_rows()) seen.insert(row.want.id);
  EXPECT_EQ(test::sorted_list(seen), policy_diagnostic_ids());
}

TEST(PolicyHostile, SuggestionsNameWhatWasMeant) {
  struct Hint {
    std::vector<PolicyFile> files;
    std::string suggestion;
  };
  const std::vector<Hint> hints{
      {one("knock: 1\ngrups: {}\n"), "did you mean `groups`?"},
      {with("deny: {a: {who: [dab], to: [ssh]}}\n"), "did you mean `dba`?"},
      {one("knock: 1\ntargets: {t: {type: nftable}}\n"), "did you mean `nftables`?"},
      {one("knock: 1\nnetworks: {n: [192.0.2.1/24]}\n"),
       "write 192.0.2.0/24 for the network, or 192.0.2.1/32 for the one host"},
      {one("knock: 1\ngroups: {a: {idp: yes}}\n"), "put it in quotes: \"yes\""},
  };
  for (const auto& hint : hints) {
    auto load = load_policy(hint.files, PolicyRevision("r"), {});
    ASSERT_EQ(load.diagnostics.size(), 1u) << to_text(load.diagnostics);
    EXPECT_EQ(load.diagnostics[0].suggestion, hint.suggestion);
  }
}

TEST(PolicyHostile, ADuplicateNameNamesBothPlaces) {
  auto load = load_policy({{"b.yaml", "knock: 1\ngroups: {a: {idp: b}}\n", ""},
                           {"a.yaml", "knock: 1\n\ngroups: {a: {idp: b}}\n", ""}},
                          PolicyRevision("r"), {});
  ASSERT_EQ(load.diagnostics.size(), 1u);
  EXPECT_EQ(load.diagnostics[0].where.to_string(), "b.yaml:2:10");
  EXPECT_NE(load.diagnostics[0].summary.find("a.yaml:3:10"), std::string::npos);
}

}  // namespace
}  // namespace knock
