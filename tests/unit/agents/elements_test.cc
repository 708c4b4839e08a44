// SPDX-License-Identifier: Apache-2.0
// What a change of elements becomes on the wire, without a kernel: how many messages, and that the
// last change to a key is the one that counts.
#include "agents/host/elements.h"

#include <gtest/gtest.h>

namespace knock::host {
namespace {

role::ElementChange add(const char* prefix, std::uint64_t left_ms = 60'000) {
  return {true, "ssh", Prefix::parse_exact(prefix).value(), left_ms, "knock:1:x"};
}
role::ElementChange remove(const char* prefix) {
  return {false, "ssh", Prefix::parse_exact(prefix).value(), 0, ""};
}
std::uint32_t messages(std::vector<role::ElementChange> changes,
                       const PresentKeys* present = nullptr) {
  Batch batch;
  add_elements(batch, "knock", changes, present);
  return batch.count();
}

TEST(Elements, an_addition_is_three_messages_and_a_removal_two) {
  EXPECT_EQ(messages({}), 0u);
  EXPECT_EQ(messages({add("192.0.2.7/32")}), 3u);
  EXPECT_EQ(messages({add("192.0.2.7/32"), add("192.0.2.8/32")}), 3u);
  EXPECT_EQ(messages({remove("192.0.2.7/32")}), 2u);
  EXPECT_EQ(messages({remove("192.0.2.7/32"), add("192.0.2.8/32")}), 5u);
  EXPECT_EQ(messages({add("192.0.2.7/32"), add("2001:db8::7/128")}), 6u) << "two sets";
}

TEST(Elements, the_last_change_to_a_key_counts) {
  EXPECT_EQ(messages({add("192.0.2.7/32"), remove("192.0.2.7/32")}), 2u);
  EXPECT_EQ(messages({remove("192.0.2.7/32"), add("192.0.2.7/32")}), 3u);
}

TEST(Elements, a_life_that_a_clock_tick_may_swallow_is_a_removal) {
  EXPECT_EQ(messages({add("192.0.2.7/32", kShortestLifeMs - 1)}), 2u);
  EXPECT_EQ(messages({add("192.0.2.7/32", kShortestLifeMs)}), 3u);
}

TEST(Elements, keys_known_to_be_absent_are_not_touched_in_interval_sets) {
  PresentKeys none{{"svc_ssh_n4", {}}};
  EXPECT_EQ(messages({remove("192.0.2.0/24")}, &none), 0u);
  EXPECT_EQ(messages({add("192.0.2.0/24")}, &none), 1u);
  EXPECT_EQ(messages({remove("192.0.2.7/32")}, &none), 2u) << "a hash set";
}

TEST(Elements, many_changes_are_several_messages) {
  std::vector<role::ElementChange> changes;
  auto at = IpAddress::parse("10.0.0.0").value();
  for (int i = 0; i < 5000; ++i, at = *at.next())
    changes.push_back({true, "ssh", Prefix::host(at), 60'000, std::string(52, 'm')});
  auto count = messages(changes);
  EXPECT_GT(count, 10u);
  EXPECT_LT(count, 30u) << "some 500 elements fit into one";
}

}  // namespace
}  // namespace knock::host
