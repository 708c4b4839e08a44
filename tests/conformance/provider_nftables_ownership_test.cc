// SPDX-License-Identifier: Apache-2.0
// Whose the table's entries are, on a real kernel: hands, ranges that are no prefixes, marks of
// tomorrow, and a table that changes its owner under traffic.
#include <gtest/gtest.h>

#include "reconciler/core/marker.h"
#include "tests/conformance/nftables_world.h"

namespace knock::test {
namespace {

std::string table_of(Namespace& server) {
  return server.command({"nft", "list", "table", "inet", "knock"});
}

class NftablesOwnership : public Nftables {
 protected:
  void SetUp() override {
    Nftables::SetUp();
    driver->converge(ssh_for({"192.0.2.7/32"}));
  }
  void own_all() {
    driver->ownership() = Ownership::exclusive;
    driver->stewardship().exclusive = true;
  }
  void by_hand(const std::string& set, const std::string& element) {
    world->server.nft("add element inet knock svc_ssh_" + set + " { " + element + " }");
  }
};

TEST_F(NftablesOwnership, an_exclusive_table_is_rid_of_all_that_hands_put_there) {
  EchoServer ssh(world->server, 22);
  by_hand("h4", "192.0.2.8 comment \"ana's\"");
  by_hand("n4", "192.0.2.16/28");
  by_hand("n4", "192.0.2.33-192.0.2.44 comment \"a range\"");
  by_hand("h6", "2001:db8::8 timeout 1h");
  EXPECT_EQ(from(kStranger4), Reached::open);
  auto wanted = ssh_for({"192.0.2.7/32"});
  EXPECT_TRUE(driver->converge(wanted).changes.empty());
  EXPECT_EQ(from(kStranger4), Reached::open) << "a shared table leaves it";
  own_all();
  driver->converge(wanted);
  EXPECT_NE(from(kStranger4), Reached::open);
  EXPECT_EQ(from(kFriend4), Reached::open);
  auto observed = driver->observe();
  ASSERT_TRUE(observed);
  ASSERT_EQ(observed->slots.size(), 1u);
  EXPECT_EQ(observed->slots[0].items.size(), 1u);
  EXPECT_TRUE(driver->converge(wanted).changes.empty());
}

TEST_F(NftablesOwnership, a_range_by_hand_makes_room_for_what_is_wanted_within_it) {
  by_hand("n4", "10.0.0.5-10.0.0.77");
  own_all();
  auto wanted = ssh_for({"192.0.2.7/32", "10.0.0.8/29"});
  driver->converge(wanted);
  auto observed = driver->observe();
  ASSERT_TRUE(observed);
  ASSERT_EQ(observed->slots.size(), 1u);
  ASSERT_EQ(observed->slots[0].items.size(), 2u);
  for (const auto& item : observed->slots[0].items)
    EXPECT_TRUE(item.ours) << item.prefix.to_string();
}

TEST_F(NftablesOwnership, an_entry_for_everybody_goes_too) {
  EchoServer ssh(world->server, 22);
  by_hand("n4", "0.0.0.0/0");
  by_hand("n6", "::/0 comment \"all of them\"");
  EXPECT_EQ(from(kStranger4), Reached::open);
  own_all();
  auto wanted = ssh_for({"192.0.2.7/32"});
  driver->converge(wanted);
  EXPECT_NE(from(kStranger4), Reached::open);
  EXPECT_NE(from(kStranger6), Reached::open);
  EXPECT_EQ(from(kFriend4), Reached::open);
  EXPECT_TRUE(driver->converge(wanted).changes.empty());
}

TEST_F(NftablesOwnership, a_part_of_somebodys_range_is_not_taken_from_a_shared_table) {
  by_hand("n4", "10.0.0.5-10.0.0.77");
  auto before = table_of(world->server);
  std::set<std::pair<std::string, Prefix>> adopted{{"ssh", prefix("10.0.0.8/29")}};
  driver->stewardship().adopted = &adopted;
  auto wanted = ssh_for({"192.0.2.7/32", "10.0.0.8/29"});
  auto plan = driver->plan(wanted);
  ASSERT_EQ(ProviderDriver::describe(plan), "add ssh 10.0.0.8/29\n");
  auto outcome = driver->apply(plan, wanted);
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_EQ(outcome->steps[0].kind, StepOutcome::Kind::rejected);
  EXPECT_NE(outcome->steps[0].why.find("10.0.0.5-10.0.0.77"), std::string::npos)
      << outcome->steps[0].why;
  auto observed = driver->observe();
  ASSERT_TRUE(observed);
  std::size_t foreign = 0;
  for (const auto& item : observed->slots.at(0).items) foreign += !item.ours;
  EXPECT_EQ(foreign, 8u) << "the range as the prefixes it is made of";
}

TEST_F(NftablesOwnership, a_mark_of_a_version_we_do_not_know_is_never_touched) {
  by_hand("h4", "192.0.2.8 comment \"knock:2:whatever-that-means\"");
  own_all();
  auto wanted = ssh_for({"192.0.2.7/32", "192.0.2.8/32"});
  auto plan = driver->whole_plan(wanted);
  EXPECT_TRUE(std::any_of(plan.findings.begin(), plan.findings.end(),
                          [](const Finding& f) { return f.id == "target.unknown-mark"; }));
  EXPECT_TRUE(driver->converge(wanted).changes.empty());
  driver->converge(ssh_for({"192.0.2.7/32"}));
  EXPECT_NE(table_of(world->server).find("knock:2:whatever"), std::string::npos);
}

TEST_F(NftablesOwnership, an_observed_table_is_the_same_byte_by_byte) {
  by_hand("h4", "192.0.2.8 comment \"ana's\"");
  auto without_time = [&] {
    auto text = world->server.command({"nft", "-s", "list", "table", "inet", "knock"});
    for (auto at = text.find(" expires "); at != text.npos; at = text.find(" expires ", at))
      text.erase(at, text.find_first_of(",} ", at + 9) - at);
    return text;
  };
  auto before = without_time();
  driver->ownership() = Ownership::observe;
  for (const auto& who : {std::vector<std::string>{}, {"192.0.2.9/32"}, {"192.0.2.8/32"}}) {
    auto plan = driver->whole_plan(ssh_for(who));
    EXPECT_TRUE(std::all_of(plan.changes.begin(), plan.changes.end(),
                            [](const Change& c) { return c.action == Action::report; }));
    EXPECT_TRUE(driver->converge(ssh_for(who)).changes.empty());
  }
  EXPECT_EQ(without_time(), before);
}

TEST_F(NftablesOwnership, a_table_that_is_taken_over_keeps_who_is_in) {
  EchoServer ssh(world->server, 22);
  by_hand("h4", "192.0.2.8 comment \"ana's\"");
  auto provider = world->make_provider(OwnerId{42});
  ProviderDriver other(*provider, world->target);
  TargetPlan plan;
  plan.target = world->target;
  plan.take_over = kOwner;
  auto wanted = ssh_for({"192.0.2.7/32"});
  ASSERT_TRUE(other.apply(plan, wanted));
  auto text = table_of(world->server);
  EXPECT_NE(text.find(OwnerId{42}.to_string()), std::string::npos);
  EXPECT_EQ(text.find(kOwner.to_string()), std::string::npos) << text;
  EXPECT_EQ(from(kFriend4), Reached::open);
  EXPECT_EQ(from(kStranger4), Reached::open);
  EXPECT_NE(from(kOperator4), Reached::open);
  auto observed = other.observe();
  ASSERT_TRUE(observed);
  EXPECT_FALSE(observed->structure_differs);
  ASSERT_EQ(observed->slots.at(0).items.size(), 2u);
  const auto& ours = observed->slots[0].items[0];
  EXPECT_TRUE(ours.ours);
  ASSERT_TRUE(ours.left);
  EXPECT_GT(*ours.left, Duration::minutes(55));
  EXPECT_FALSE(observed->slots[0].items[1].left) << "somebody's entry had no end, and has none";
  // Asked again, because the answer was lost.
  ASSERT_TRUE(other.apply(plan, wanted));
}

TEST_F(NftablesOwnership, somebody_who_took_the_table_between_is_not_written_over) {
  // This provider knows the table as its own, and plans without a fence, as after a lost reading.
  ASSERT_TRUE(driver->observe());
  auto provider = world->make_provider(OwnerId{42});
  ProviderDriver other(*provider, world->target);
  TargetPlan taking;
  taking.target = world->target;
  taking.take_over = kOwner;
  ASSERT_TRUE(other.apply(taking, ssh_for({})));
  auto before = table_of(world->server);
  auto wanted = ssh_for({"192.0.2.9/32"});
  TargetPlan plan;
  plan.target = world->target;
  Change change;
  change.action = Action::remove;
  change.reason = Reason::expiry;
  change.slot = "ssh";
  change.prefix = prefix("192.0.2.7/32");
  plan.changes = {change};
  auto refused = driver->apply(plan, wanted);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unauthorized);
  EXPECT_NE(table_of(world->server).find("192.0.2.7"), std::string::npos);
}

}  // namespace
}  // namespace knock::test
