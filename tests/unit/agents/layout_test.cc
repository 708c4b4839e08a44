// SPDX-License-Identifier: Apache-2.0
#include "agents/host/layout.h"

#include <gtest/gtest.h>

#include <set>

namespace knock::host {
namespace {

TEST(Layout, set_names_lead_back_to_their_slot) {
  std::set<std::string> names;
  // Names that would meet if suffixes and separators were careless.
  for (const char* slot : {"a", "a_h4", "a_h", "h4", "a.b", "a-b", "a_b", "svc_a", "0", "a_n6_h4"})
    for (auto kind : kSetKinds) {
      auto name = slot_set(slot, kind);
      EXPECT_TRUE(names.insert(name).second) << name;
      auto back = parse_slot_set(name);
      ASSERT_TRUE(back) << name;
      EXPECT_EQ(back->slot, slot);
      EXPECT_TRUE(back->kind == kind) << name;
    }
  EXPECT_EQ(slot_set("ssh", {Family::v6, true}), "svc_ssh_n6");
}

TEST(Layout, other_sets_are_no_slots) {
  for (const char* name :
       {"", "keep4", "svc_", "svc__h4", "svc_A_h4", "ssh_h4", "svc_ssh", "svc_ssh_h5"})
    EXPECT_FALSE(parse_slot_set(name)) << name;
}

TEST(Layout, comments_lead_back_to_what_they_say) {
  auto range = PortRange::parse("udp/60000-61000").value();
  auto slot = parse_rule_comment(slot_comment("shop-admin.v2", range));
  ASSERT_TRUE(slot);
  EXPECT_EQ(slot->slot, "shop-admin.v2");
  EXPECT_EQ(slot->ports, range);
  auto protect = parse_rule_comment(protect_comment(range));
  ASSERT_TRUE(protect);
  EXPECT_EQ(protect->slot, "");
  EXPECT_EQ(protect->ports, range);
  for (const char* text :
       {"", "keep", "slot", "slot tcp/22", "slot tcp/22 A", "protect 22", "drop tcp/22"})
    EXPECT_FALSE(parse_rule_comment(text)) << text;
}

TEST(Layout, the_owner_is_read_from_its_mark) {
  OwnerId owner{0x0123456789abcdef};
  EXPECT_EQ(owner_mark(owner), "knock:1:0123456789abcdef");
  EXPECT_EQ(parse_owner_mark(owner_mark(owner)), owner);
  for (const char* text : {"", "knock:2:0123456789abcdef", "knock:1:0123", "my table"})
    EXPECT_FALSE(parse_owner_mark(text)) << text;
}

}  // namespace
}  // namespace knock::host
