// SPDX-License-Identifier: Apache-2.0
// What others do to our table and beside it, by `nft` as people do it: seen within a second, undone
// where it is ours, left alone where it is theirs.
#include <gtest/gtest.h>

#include <cstdio>
#include <thread>

#include "tests/conformance/nftables_world.h"

namespace knock::test {
namespace {

TEST_F(Nftables, sees_an_entry_added_by_hand_within_a_second) {
  driver->converge(ssh_for({}));
  world->moved = 0;
  world->server.nft("add element inet knock svc_ssh_h4 { 192.0.2.8 timeout 1h comment \"ana\" }");
  EXPECT_TRUE(eventually([&] { return world->moved > 0; }, Duration::seconds(1)));
  auto observed = driver->observe();
  ASSERT_TRUE(observed);
  ASSERT_EQ(observed->slots.at(0).items.size(), 1u);
  const auto& item = observed->slots[0].items[0];
  EXPECT_FALSE(item.ours);
  EXPECT_EQ(item.comment, "ana");
  EXPECT_FALSE(item.until);
  ASSERT_TRUE(item.left);
  EXPECT_GT(*item.left, Duration::minutes(59));
}

TEST_F(Nftables, sees_ranges_added_by_hand_as_the_prefixes_they_are_made_of) {
  driver->converge(ssh_for({}));
  world->server.nft("add element inet knock svc_ssh_n4 { 192.0.2.5-192.0.2.8 comment \"ana\" }");
  auto observed = driver->observe();
  ASSERT_TRUE(observed);
  std::string text;
  for (const auto& item : observed->slots.at(0).items) {
    text += item.prefix.to_string() + " ";
    EXPECT_FALSE(item.left);
    EXPECT_EQ(item.comment, "ana");
  }
  EXPECT_EQ(text, "192.0.2.5/32 192.0.2.6/31 192.0.2.8/32 ");
}

TEST_F(Nftables, does_not_hear_itself) {
  driver->converge(ssh_for({}));
  auto others = world->make_provider();  // makes sure that events had time to arrive
  world->moved = 0;
  for (int i = 0; i < 5; ++i) {
    driver->converge(ssh_for({"192.0.2.7/32"}));
    driver->converge(ssh_for({}));
  }
  world->server.nft("add table inet other");
  ASSERT_TRUE(driver->observe());  // reads all events first
  EXPECT_EQ(world->moved, 0);
  world->server.nft("add element inet knock svc_ssh_h4 { 192.0.2.8 }");
  EXPECT_TRUE(eventually([&] { return world->moved > 0; }, Duration::seconds(1)));
}

TEST_F(Nftables, comes_back_after_flush_ruleset) {
  EchoServer ssh(world->server, 22);
  auto list = ssh_for({"192.0.2.7/32"});
  driver->converge(list);
  world->moved = 0;
  world->server.nft("flush ruleset");
  EXPECT_EQ(from(kStranger4), Reached::open) << "this is what a flush does";
  EXPECT_TRUE(eventually([&] { return world->moved > 0; }, Duration::seconds(1)));
  driver->converge(list);
  EXPECT_EQ(from(kStranger4), Reached::timeout);
  EXPECT_EQ(from(kFriend4), Reached::open);
}

struct Tampering {
  const char* name;
  const char* nft;
};

class NftablesTampering : public Nftables, public ::testing::WithParamInterface<Tampering> {};

TEST_P(NftablesTampering, is_seen_and_undone) {
  EchoServer ssh(world->server, 22);
  auto list = desired()
                  .service("ssh", "tcp/22")
                  .entry("192.0.2.7/32", in(Duration::hours(1)))
                  .service("web", "tcp/443")
                  .protect("tcp/22 tcp/443")
                  .keep("192.0.2.9/32")
                  .build();
  driver->converge(list);
  auto before = world->server.command({"nft", "-s", "list", "table", "inet", "knock"});
  world->moved = 0;
  world->server.nft(GetParam().nft);
  EXPECT_TRUE(eventually([&] { return world->moved > 0; }, Duration::seconds(1)));
  EXPECT_NE(ProviderDriver::describe(driver->plan(list)), "");
  driver->converge(list);
  EXPECT_EQ(ProviderDriver::describe(driver->plan(list)), "");
  EXPECT_EQ(from(kFriend4), Reached::open);
  EXPECT_EQ(from(kStranger4), Reached::timeout);
  EXPECT_EQ(from(kOperator4), Reached::open);
  // As before, but for how long an entry lasts.
  auto without_times = [](std::string text) {
    for (const char* word : {"timeout ", "expires "})
      for (auto at = text.find(word); at != text.npos; at = text.find(word, at)) {
        auto end = text.find(' ', at + std::string_view(word).size());
        text.erase(at, end == text.npos ? text.npos : end + 1 - at);
      }
    return text;
  };
  EXPECT_EQ(without_times(world->server.command({"nft", "-s", "list", "table", "inet", "knock"})),
            without_times(before));
}

INSTANTIATE_TEST_SUITE_P(
    Ways, NftablesTampering,
    ::testing::Values(
        Tampering{"accept_all", "insert rule inet knock guard accept"},
        Tampering{"accept_stranger", "insert rule inet knock svc_ssh ip saddr 192.0.2.8 accept"},
        Tampering{"flush_guard", "flush chain inet knock guard"},
        Tampering{"flush_table", "flush table inet knock"},
        Tampering{"flush_input", "flush chain inet knock input"},
        Tampering{"flush_mark", "flush chain inet knock knock_mark"},
        Tampering{"forge_mark",
                  "flush chain inet knock knock_mark; add rule inet knock knock_mark "
                  "return comment \"knock:1:0123456789abcdef:00\""},
        Tampering{"policy_drop", "chain inet knock input { policy drop; }"},
        Tampering{"delete_input", "delete chain inet knock input"},
        Tampering{"foreign_chain",
                  "add chain inet knock early { type filter hook input priority -300; }"},
        Tampering{"foreign_set", "add set inet knock mine { type ipv4_addr; }"},
        Tampering{"used_foreign_set",
                  "add set inet knock mine { type ipv4_addr; }; "
                  "add rule inet knock guard ip saddr @mine accept"},
        Tampering{"anonymous_set", "insert rule inet knock guard tcp dport { 22, 23 } accept"},
        Tampering{"keep", "add element inet knock keep4 { 192.0.2.8 }"},
        Tampering{"keep_removed", "flush set inet knock keep4"},
        Tampering{"entry_removed", "delete element inet knock svc_ssh_h4 { 192.0.2.7 }"},
        Tampering{"delete_table", "delete table inet knock"}),
    [](const auto& info) { return info.param.name; });

TEST_F(Nftables, a_set_deleted_by_hand_does_not_stop_a_removal) {
  EchoServer ssh(world->server, 22);
  driver->converge(ssh_for({"192.0.2.7/32", "2001:db8::7/128"}));
  world->server.nft("flush chain inet knock svc_ssh; delete set inet knock svc_ssh_h4");
  driver->converge(ssh_for({}));
  EXPECT_EQ(ProviderDriver::describe(driver->plan(ssh_for({}))), "");
  EXPECT_EQ(from(kFriend4), Reached::timeout);
  EXPECT_EQ(from(kFriend6), Reached::timeout);
}

TEST_F(Nftables, an_entry_made_permanent_by_hand_gets_its_life_back) {
  auto list = ssh_for({"192.0.2.7/32"});
  driver->converge(list);
  auto comment = driver->observe()->slots.at(0).items.at(0);
  world->server.nft("delete element inet knock svc_ssh_h4 { 192.0.2.7 }");
  std::string marker = "knock:1:" + kOwner.to_string();
  auto applied = driver->applied().at(0);
  char deadline[11];
  std::snprintf(deadline, sizeof deadline, "%010llx",
                static_cast<unsigned long long>(applied.until.seconds()));
  world->server.nft("add element inet knock svc_ssh_h4 { 192.0.2.7 comment \"" + marker + ":" +
                    deadline + ":0123456789abcdef\" }");
  auto observed = driver->observe();
  ASSERT_TRUE(observed);
  EXPECT_TRUE(observed->slots.at(0).items.at(0).ours);
  EXPECT_FALSE(observed->slots[0].items[0].left) << "it never ends";
  driver->converge(list);
  EXPECT_TRUE(driver->observe()->slots.at(0).items.at(0).left);
}

TEST_F(Nftables, other_tables_may_move_as_they_like) {
  driver->converge(ssh_for({}));
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    world->server.nft("add table inet busy; add set inet busy s { type ipv4_addr; }");
    for (int i = 0; !stop; ++i)
      world->server.nft((i % 2 == 0 ? "add" : "delete") +
                        std::string(" element inet busy s { 10.0.0.1 }"));
  });
  for (int i = 0; i < 30; ++i) {
    driver->converge(ssh_for({"192.0.2.7/32"}));
    driver->converge(ssh_for({}));
  }
  stop = true;
  busy.join();
}

TEST_F(Nftables, another_installations_table_is_left_alone) {
  driver->converge(ssh_for({"192.0.2.7/32"}));
  auto before = world->server.command({"nft", "list", "table", "inet", "knock"});
  auto other = world->make_provider(OwnerId{42});
  auto observed = other->observe(Deadline::in(Duration::seconds(5)));
  ASSERT_TRUE(observed);
  EXPECT_EQ(observed->other_owner, kOwner);
  TargetPlan plan;
  auto refused = other->apply(plan, {}, now(), Deadline::in(Duration::seconds(5)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unauthorized);
  EXPECT_NE(refused.error().text().find(kOwner.to_string()), std::string::npos)
      << refused.error().text();
  EXPECT_EQ(world->server.command({"nft", "list", "table", "inet", "knock"}).substr(0, 60),
            before.substr(0, 60));

  world->server.nft("flush ruleset; add table inet knock { comment \"mine\"; }");
  observed = driver->observe();
  ASSERT_FALSE(observed);
  EXPECT_NE(observed.error().text().find("not made by knock"), std::string::npos);
}

}  // namespace
}  // namespace knock::test
