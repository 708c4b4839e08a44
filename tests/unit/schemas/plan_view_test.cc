// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "schemas/plan/view.h"
#include "tests/unit/schemas/plan_samples.h"

namespace knock {
namespace {

TEST(View, Words) {
  for (View view : {View::shape, View::people, View::full})
    EXPECT_EQ(view_from(to_string(view)), view);
  EXPECT_EQ(view_from("all"), std::nullopt);
}

TEST(WithoutAddresses, HidesThemWhereverTheyStand) {
  struct Row {
    const char* text;
    const char* want;
  };
  for (auto [text, want] : {
           Row{"", ""},
           Row{"192.0.2.1", "(address)"},
           Row{"192.0.2.1/32 and 10.0.0.0/8.", "(address) and (address)."},
           Row{"from 192.0.2.1: no answer", "from (address): no answer"},
           Row{"edge192.0.2.1", "edge(address)"},
           Row{"x=192.0.2.1,y", "x=(address),y"},
           Row{"1.192.0.2.1", "(address).1"},
           Row{"2001:db8::1", "(address)"},
           Row{"2001:db8::/64 is wide", "(address) is wide"},
           Row{"[2001:db8::1]:443", "[(address)]:443"},
           Row{"at ::1.", "at (address)."},
           Row{"at ::1: no answer", "at (address): no answer"},
           Row{"fe80::1%eth0", "(address)%eth0"},
           Row{"::ffff:192.0.2.1", "(address)"},
           Row{"1:2:3:4:5:6:7:8", "(address)"},
           Row{"02:00:5e:00:53:01", "(address)"},
           Row{"until 17:30 → 18:04", "until 17:30 → 18:04"},
           Row{"2026-11-21T10:04:11Z", "2026-11-21T10:04:11Z"},
           Row{"a.yaml:15:3: odd", "a.yaml:15:3: odd"},
           Row{"at:2001:db8::1", "at:(address)"},
           Row{"policy.yaml:15: a", "policy.yaml:15: a"},
           Row{"tcp/443,8443 and face: beef", "tcp/443,8443 and face: beef"},
           Row{"wider than /24 or /48", "wider than /24 or /48"},
           Row{"version 1.2.3", "version 1.2.3"},
       })
    EXPECT_EQ(without_addresses(text), want) << text;
}

TEST(WithoutAddresses, NoWrittenAddressIsLeft) {
  for (const char* text : {"203.0.113.7", "255.255.255.255", "2001:db8:1:2:3:4:5:6", "::", "::2",
                           "fe80::", "1::8", "2001:db8::192.0.2.33", "2001:DB8::A"})
    for (const char* around :
         {"{}", "a{}", "9{}", "({})", "{}/24", "{}.", "{}:", "by {} at", "-{}-"}) {
      std::string sentence = around;
      sentence.replace(sentence.find("{}"), 2, text);
      EXPECT_EQ(without_addresses(sentence).find(text), std::string::npos) << sentence;
    }
}

TEST(KindOf, SaysFamilyAndWidth) {
  EXPECT_EQ(kind_of(*Prefix::parse("192.0.2.1")), "IPv4 host");
  EXPECT_EQ(kind_of(*Prefix::parse("10.0.0.0/8")), "IPv4 /8");
  EXPECT_EQ(kind_of(*Prefix::parse("2001:db8::1")), "IPv6 host");
  EXPECT_EQ(kind_of(*Prefix::parse("2001:db8::/64")), "IPv6 /64");
}

TEST(CountsOf, ChangesOfOneKindAreOneRow) {
  auto plan = test::rich_plan();
  TargetPlan& target = plan.targets[0];
  std::size_t all = 0;
  for (const auto& [kind, count] : counts_of(target)) all += count.count;
  EXPECT_EQ(all, target.changes.size() + target.held.size());
  Change change = test::full_change();
  target.held.clear();
  target.changes.assign(3, change);
  target.changes[1].causes.edit([](auto& causes) { causes[0].rule = RuleName("another"); });
  auto counts = counts_of(target);
  ASSERT_EQ(counts.size(), 1u);
  EXPECT_EQ(counts.begin()->second.count, 3u);
  const auto& rules = counts.begin()->second.rules;
  EXPECT_TRUE(std::is_sorted(rules.begin(), rules.end()));
  EXPECT_NE(std::find(rules.begin(), rules.end(), RuleName("another")), rules.end());
  target.changes[2].ports = {};
  target.held = {change};
  EXPECT_EQ(counts_of(target).size(), 3u);
}

TEST(ShapeSentence, IsClosedByDefault) {
  EXPECT_EQ(shape_sentence("plan.of-tomorrow"), "this view does not say what was found");
  // Whoever may only propose sees the shape, and is told why a target of theirs looks empty.
  EXPECT_NE(shape_sentence("target.not-read").find("was not read"), std::string::npos);
  Finding finding{Finding::Level::note, "plan.of-tomorrow", TargetName(), "dora at 192.0.2.1"};
  EXPECT_EQ(sentence_text(finding, View::shape), shape_sentence("plan.of-tomorrow"));
  EXPECT_EQ(sentence_text(finding, View::people), "dora at (address)");
  EXPECT_EQ(sentence_text(finding, View::full), finding.sentence);
}

}  // namespace
}  // namespace knock
