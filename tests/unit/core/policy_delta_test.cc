// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/policy_delta.h"

#include <fmt/format.h>

#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

const std::string kPolicy = R"(
groups: {staff: {idp: staff}}
networks: {office: [198.51.100.0/24]}
services: {ssh: {ports: [tcp/22], targets: [edge]}}
targets: {edge: {type: nftables}}
allow:
  staff: {who: [staff], to: [ssh], ttl: 1h}
)";

std::string delta(const std::string& before, const std::string& after) {
  auto old_policy = policy_of(before);
  std::string out;
  for (const PolicyEdit& edit : policy_delta(&old_policy, policy_of(after)))
    out += fmt::format("{} {} {} line {}: {} -> {}\n", to_string(edit.kind), edit.section,
                       edit.name, edit.origin.line, edit.before, edit.after);
  return out;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(PolicyDelta, NothingBefore) {
  EXPECT_TRUE(policy_delta(nullptr, policy_of(kPolicy)).empty());
  EXPECT_EQ(delta(kPolicy, "# words\n" + kPolicy), "");
}

TEST(PolicyDelta, OneElementChanged) {
  EXPECT_EQ(delta(kPolicy, replaced(kPolicy, "ttl: 1h", "ttl: 2h")),
            "changed allow staff line 8: {who: [staff], to: [ssh], ttl: 1h} -> "
            "{who: [staff], to: [ssh], ttl: 2h}\n");
}

TEST(PolicyDelta, AddedAndRemovedStandWhereTheyStandOrStood) {
  auto after = replaced(replaced(kPolicy, "  staff: {who", "  everyone: {who"), "office", "home");
  EXPECT_EQ(delta(kPolicy, after),
            "added networks home line 4:  -> [198.51.100.0/24]\n"
            "removed networks office line 4: [198.51.100.0/24] -> \n"
            "added allow everyone line 8:  -> {who: [staff], to: [ssh], ttl: 1h}\n"
            "removed allow staff line 8: {who: [staff], to: [ssh], ttl: 1h} -> \n");
}

TEST(PolicyDelta, ASectionThatComesOrGoesKeepsItsPlace) {
  auto more = kPolicy + "deny: {out: {from: {in: [office]}, to: [ssh]}}\n";
  EXPECT_EQ(delta(kPolicy, more), "added deny out line 9:  -> {from: {in: [office]}, to: [ssh]}\n");
  EXPECT_EQ(delta(more, kPolicy),
            "removed deny out line 9: {from: {in: [office]}, to: [ssh]} -> \n");
  auto bare = replaced(more, "networks: {office: [198.51.100.0/24]}\n",
                       "networks: {a: [192.0.2.0/24], office: [198.51.100.0/24]}\n");
  EXPECT_EQ(delta(more, bare), "added networks a line 4:  -> [192.0.2.0/24]\n");
}

TEST(PolicyDelta, WhatHasNoNameOfItsOwn) {
  auto strict = kPolicy + "behaviour: {preset: strict}\n";
  EXPECT_EQ(delta(kPolicy, strict), "added behaviour  line 0:  -> {preset: strict}\n");
  auto tested = kPolicy + "tests:\n  - {as: {groups: [staff]}, can: [ssh]}\n";
  auto text = delta(kPolicy, tested);
  EXPECT_TRUE(text.starts_with("added tests  line 0:  -> {as: {groups: [staff]}")) << text;
  auto both = tested + "  - {as: {groups: [staff]}, can: [\"*\"]}\n";
  EXPECT_TRUE(delta(tested, both)
                  .starts_with("added tests  line 0:  -> {as: {groups: [staff]}, can: [\"*\"]}"))
      << delta(tested, both);
}

}  // namespace
}  // namespace knock::test
