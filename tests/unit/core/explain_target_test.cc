// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/explain_target.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace knock {
namespace {

std::string told(const Target& target, const Capabilities& can, const std::string& when,
                 std::span<const Prefix> keep = {}) {
  for (const Told& one : explain_target(target, can, keep))
    if (one.when == when) return one.what;
  return "nothing is told of it";
}

bool says(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

TEST(ExplainTarget, WhoClosesFollowsFromWhatTheTargetCan) {
  struct Row {
    bool native, comments;
    std::string ends, gone;
  };
  for (const Row& row : {
           Row{true, true, "the target itself closes it", "closes at its own deadline"},
           Row{true, false, "the target itself closes it", "closes at its own deadline"},
           Row{false, true, "`knock sweep`", "`knock sweep` runs on another machine"},
           Row{false, false, "nobody knows when it was to end", "stays open until knock is back"},
       }) {
    Capabilities can;
    can.native_expiry = row.native;
    can.comments = row.comments;
    EXPECT_TRUE(says(told({}, can, "an entry ends"), row.ends)) << row.ends;
    EXPECT_TRUE(says(told({}, can, "knock is gone"), row.gone)) << row.gone;
  }
}

TEST(ExplainTarget, OpenConnections) {
  using Cuts = Capabilities::CutsEstablished;
  Capabilities can;
  for (auto [cuts, words] : {std::pair(Cuts::always, "is cut when its entry goes."),
                             std::pair(Cuts::on_request, "because knock asks for that"),
                             std::pair(Cuts::never, "goes on when its entry goes")}) {
    can.cuts_established = cuts;
    EXPECT_TRUE(says(told({}, can, "somebody is connected"), words)) << words;
  }
}

TEST(ExplainTarget, WhatPolicySays) {
  Target target;
  Capabilities can;
  EXPECT_TRUE(says(told(target, can, "it is full"), "no limit"));
  target.capacity = 60;
  target.capacity_reserve = 4;
  EXPECT_TRUE(says(told(target, can, "it is full"), "60 entries, 4 of them kept"));
  EXPECT_TRUE(says(told(target, can, "somebody edits it"), "put back once"));
  target.heal = Heal::warn;
  EXPECT_TRUE(says(told(target, can, "somebody edits it"), "reported and left"));
  target.heal = Heal::off;
  EXPECT_TRUE(says(told(target, can, "somebody edits it"), "not even reported"));
  target.ownership = Ownership::exclusive;
  EXPECT_TRUE(says(told(target, can, "somebody edits it"), "did not make go"));
  target.ownership = Ownership::observe;
  EXPECT_TRUE(says(told(target, can, "somebody edits it"), "Nothing is ever written"));
  EXPECT_TRUE(says(told(target, can, "it leaves the policy"), "drain"));
  target.on_remove = OnRemove::orphan;
  EXPECT_TRUE(says(told(target, can, "it leaves the policy"), "orphan"));
}

TEST(ExplainTarget, EverySentenceIsOne) {
  const std::vector<Prefix> keep{*Prefix::parse("192.0.2.0/24")};
  for (bool on : {false, true}) {
    Capabilities can;
    can.native_expiry = can.comments = can.atomic = can.compare_and_swap = on;
    can.closes_by_default = can.prefixes = on;
    can.calls_per_second = on ? 20 : 0;
    for (const Told& one :
         explain_target({}, can, on ? std::span(keep) : std::span<const Prefix>())) {
      ASSERT_FALSE(one.what.empty()) << one.when;
      EXPECT_EQ(one.what.back(), '.') << one.when;
      EXPECT_FALSE(says(one.what, "  ")) << one.what;
    }
  }
}

}  // namespace
}  // namespace knock
