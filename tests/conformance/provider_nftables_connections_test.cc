// SPDX-License-Identifier: Apache-2.0
// `connections: 1` and `until: disconnect` before a real kernel: what passes, packet by packet.
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <memory>
#include <thread>
#include <vector>

#include "tests/conformance/nftables_world.h"

namespace knock::test {
namespace {

struct Side {
  const char* name;
  const char *address, *prefix, *server, *stranger;
};
const Side kSides[] = {{"IPv4", kFriend4, "192.0.2.7/32", kServer4, kStranger4},
                       {"IPv6", kFriend6, "2001:db8::7/128", kServer6, kStranger6}};

class NftablesConnections : public Nftables, public ::testing::WithParamInterface<Side> {
 protected:
  void SetUp() override {
    Nftables::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ssh_ = std::make_unique<EchoServer>(world->server, 22);
    // As every distribution has it: what has once passed goes on, if it were for that.
    install_stateful_firewall();
  }

  AllowlistBuilder ssh() { return desired().service("ssh", "tcp/22").protect("tcp/22"); }
  Allowlist once(const std::string& session = "s1", Duration life = Duration::hours(1)) {
    return ssh().once(GetParam().prefix, in(life), session).build();
  }
  Allowlist staying(Duration come, Duration life = Duration::hours(1)) {
    return ssh().staying(GetParam().prefix, in(come), in(life)).build();
  }
  Allowlist nobody() { return ssh().build(); }

  Attempt call() { return dial(world->internet, GetParam().address, GetParam().server, 22); }
  Reached stranger() { return reach(world->internet, GetParam().stranger, GetParam().server, 22); }

  ObservedItem only_item() {
    auto observed = driver->observe();
    if (!observed || observed->slots.size() != 1 || observed->slots[0].items.size() != 1) {
      ADD_FAILURE() << "there should be exactly one entry";
      return {};
    }
    return observed->slots[0].items[0];
  }
  std::string set(char part) {
    return std::string("svc_ssh_") + part + (GetParam().address == kFriend4 ? "4" : "6");
  }
  void flush(char part) {
    world->server.nft((part == 's' ? "flush set inet knock " : "flush map inet knock ") +
                      set(part));
  }

  std::unique_ptr<EchoServer> ssh_;
};

// ---------------------------------------------------------------- one connection

TEST_P(NftablesConnections, the_first_connection_passes_and_closes_the_door_behind_itself) {
  auto list = once();
  driver->converge(list);
  EXPECT_EQ(only_item().ticket, ObservedItem::Ticket::whole);
  EXPECT_EQ(stranger(), Reached::timeout);
  auto first = call();
  ASSERT_EQ(first.reached, Reached::open);
  EXPECT_TRUE(first.connection->echoes());
  EXPECT_EQ(call().reached, Reached::timeout);
  EXPECT_EQ(stranger(), Reached::timeout);
  EXPECT_TRUE(first.connection->echoes()) << "the first goes on";
  auto item = only_item();
  EXPECT_EQ(item.lasts, Lasts::first_connection);
  EXPECT_EQ(item.ticket, ObservedItem::Ticket::used);
  EXPECT_FALSE(item.broken);
  EXPECT_EQ(ProviderDriver::describe(driver->plan(list)), "") << "a used ticket is no drift";
}

TEST_P(NftablesConnections, when_the_first_has_ended_there_is_no_second) {
  driver->converge(once());
  ASSERT_EQ(call().reached, Reached::open);
  EXPECT_EQ(call().reached, Reached::timeout);
  EXPECT_EQ(call().reached, Reached::timeout);
}

TEST_P(NftablesConnections, of_many_at_the_same_time_exactly_one_passes) {
  constexpr int kRounds = 25, kAtOnce = 12;
  for (int round = 0; round < kRounds; ++round) {
    driver->converge(once("round " + std::to_string(round)));
    std::atomic<int> open{0};
    std::barrier start(kAtOnce);
    std::vector<std::thread> all;
    for (int i = 0; i < kAtOnce; ++i)
      all.emplace_back([&] {
        start.arrive_and_wait();
        if (call().reached == Reached::open) ++open;
      });
    for (auto& one : all) one.join();
    ASSERT_EQ(open, 1) << "round " << round;
    driver->converge(nobody());
  }
}

TEST_P(NftablesConnections, what_is_sent_again_on_the_way_in_is_the_same_connection) {
  driver->converge(once());
  // The answer is lost, so the first packet comes a second time, of the same connection.
  world->server.nft(
      "table inet loss { chain out { type filter hook output priority 0;"
      " tcp sport 22 tcp flags & (syn|ack) == syn|ack limit rate over 1/day burst 1"
      " packets accept\n tcp sport 22 tcp flags & (syn|ack) == syn|ack drop\n }\n }");
  auto first =
      dial(world->internet, GetParam().address, GetParam().server, 22, Duration::seconds(5));
  ASSERT_EQ(first.reached, Reached::open);
  EXPECT_TRUE(first.connection->echoes());
  EXPECT_EQ(call().reached, Reached::timeout);
}

TEST_P(NftablesConnections, the_deadline_cuts_it_without_any_controller) {
  driver->converge(once("s1", Duration::seconds(3)));
  auto first = call();
  ASSERT_EQ(first.reached, Reached::open);
  ASSERT_TRUE(first.connection->echoes());
  driver.reset();
  provider.reset();
  EXPECT_TRUE(eventually([&] { return !first.connection->echoes(Duration{300}); }));
  EXPECT_EQ(call().reached, Reached::timeout);
}

TEST_P(NftablesConnections, a_ticket_that_nobody_used_ends_with_its_deadline) {
  auto until = in(Duration::seconds(2));
  driver->converge(ssh().once(GetParam().prefix, until, "s1").build());
  ASSERT_TRUE(eventually([&] { return now() > until + Duration{200}; }));
  EXPECT_EQ(call().reached, Reached::timeout);
}

TEST_P(NftablesConnections, a_removal_cuts_it_at_once) {
  driver->converge(once());
  auto first = call();
  ASSERT_EQ(first.reached, Reached::open);
  driver->converge(nobody());
  EXPECT_FALSE(first.connection->echoes(Duration{400}));
  EXPECT_EQ(call().reached, Reached::timeout);
  auto observed = driver->observe();
  ASSERT_TRUE(observed);
  EXPECT_TRUE(observed->slots.at(0).items.empty()) << "nothing is left behind";
}

TEST_P(NftablesConnections, a_new_sign_in_gives_one_more_and_no_more) {
  driver->converge(once("s1"));
  auto first = call();
  ASSERT_EQ(first.reached, Reached::open);
  auto both = ssh().once(GetParam().prefix, in(Duration::hours(1)), "s1").build();
  auto& entry = both.services[0].entries[0];
  entry.causes.edit([](auto& causes) {
    causes.push_back(causes[0]);
    causes[1].session = SessionId("s2");
  });
  driver->converge(both);
  EXPECT_TRUE(first.connection->echoes()) << "the older connection goes on";
  auto second = call();
  ASSERT_EQ(second.reached, Reached::open);
  EXPECT_EQ(call().reached, Reached::timeout);
  EXPECT_TRUE(first.connection->echoes());
  EXPECT_TRUE(second.connection->echoes());
}

TEST_P(NftablesConnections, an_older_connection_does_not_come_back_with_a_new_sign_in) {
  driver->converge(once("s1"));
  auto first = call();
  ASSERT_EQ(first.reached, Reached::open);
  driver->converge(nobody());
  EXPECT_FALSE(first.connection->echoes(Duration{400}));
  driver->converge(once("s2"));
  EXPECT_FALSE(first.connection->echoes(Duration{1200})) << "it sends again, in vain";
  EXPECT_EQ(only_item().ticket, ObservedItem::Ticket::whole) << "it took nothing away";
  EXPECT_EQ(call().reached, Reached::open);
}

TEST_P(NftablesConnections, what_is_left_of_an_entry_brings_no_connection_back) {
  driver->converge(once("s1"));
  auto first = call();
  ASSERT_EQ(first.reached, Reached::open);
  driver->converge(once("s1", Duration::seconds(2)));
  ASSERT_TRUE(eventually([&] { return !first.connection->echoes(Duration{300}); }));
  EXPECT_TRUE(only_item().broken) << "its ticket was made for an hour";
  driver->converge(once("s2"));
  EXPECT_FALSE(first.connection->echoes(Duration{1200}));
  EXPECT_EQ(call().reached, Reached::open);
  EXPECT_EQ(call().reached, Reached::timeout);
}

TEST_P(NftablesConnections, another_deadline_gives_no_second_connection) {
  for (auto life : {Duration::hours(1), Duration::minutes(30), Duration::hours(2)}) {
    driver->converge(once("s1", life));
    if (life == Duration::hours(1)) {
      ASSERT_EQ(call().reached, Reached::open);
    }
    EXPECT_EQ(call().reached, Reached::timeout);
    EXPECT_EQ(only_item().ticket, ObservedItem::Ticket::used);
  }
}

TEST_P(NftablesConnections, a_new_deadline_leaves_an_unused_ticket_alone) {
  driver->converge(once("s1", Duration::hours(1)));
  driver->converge(once("s1", Duration::minutes(30)));
  EXPECT_EQ(only_item().ticket, ObservedItem::Ticket::whole);
  EXPECT_EQ(call().reached, Reached::open);
  EXPECT_EQ(call().reached, Reached::timeout);
}

TEST_P(NftablesConnections, another_controller_gives_no_second_connection) {
  auto list = once();
  driver->converge(list);
  auto first = call();
  ASSERT_EQ(first.reached, Reached::open);
  driver.reset();
  provider = world->make_provider();
  auto observed = provider->observe(Deadline::in(Duration::seconds(5)));
  ASSERT_TRUE(observed);
  ASSERT_EQ(observed->slots.at(0).items.size(), 1U);
  EXPECT_EQ(observed->slots[0].items[0].ticket, ObservedItem::Ticket::used);
  // It writes everything anew, rules included; what was used stays used.
  TargetPlan plan;
  plan.target = world->target;
  Change reshape;
  reshape.action = Action::reshape;
  plan.changes.push_back(reshape);
  ASSERT_TRUE(provider->apply(plan, {}, now(), Deadline::in(Duration::seconds(5))));
  EXPECT_EQ(call().reached, Reached::timeout);
  EXPECT_TRUE(first.connection->echoes());
}

TEST_P(NftablesConnections, what_was_taken_away_by_hand_is_not_put_back) {
  auto list = once();
  driver->converge(list);
  flush('s');
  flush('o');
  EXPECT_EQ(call().reached, Reached::timeout);
  driver->converge(list);
  EXPECT_EQ(call().reached, Reached::timeout);
  auto reports = driver->reports(list);
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_NE(reports[0].find("removed by somebody else"), std::string::npos) << reports[0];
  EXPECT_NE(reports[0].find("next sign-in"), std::string::npos) << reports[0];
  driver->converge(once("s2"));
  EXPECT_EQ(call().reached, Reached::open) << "a new sign-in is a new grant";
}

TEST_P(NftablesConnections, half_of_it_taken_away_by_hand_opens_nothing) {
  auto list = once();
  driver->converge(list);
  flush('s');
  EXPECT_EQ(call().reached, Reached::timeout) << "a ticket alone";
  EXPECT_TRUE(only_item().broken);
  EXPECT_EQ(ProviderDriver::describe(driver->converge(list)),
            "remove ssh " + std::string(GetParam().prefix) + "\n");
  EXPECT_EQ(call().reached, Reached::timeout);
  auto again = once("s2");
  driver->converge(again);
  flush('o');
  EXPECT_EQ(call().reached, Reached::timeout) << "without its ticket";
  EXPECT_EQ(only_item().ticket, ObservedItem::Ticket::lost);
  EXPECT_EQ(ProviderDriver::describe(driver->plan(again)), "");
  EXPECT_EQ(driver->reports(again).size(), 1U);
}

TEST_P(NftablesConnections, it_becomes_an_entry_for_all_and_back_again) {
  driver->converge(once("s1"));
  auto list = ssh().entry(GetParam().prefix, in(Duration::hours(1))).build();
  driver->converge(list);
  EXPECT_EQ(ProviderDriver::describe(driver->plan(list)), "");
  EXPECT_EQ(call().reached, Reached::open);
  auto open = call();
  ASSERT_EQ(open.reached, Reached::open);
  driver->converge(once("s2"));
  EXPECT_FALSE(open.connection->echoes(Duration{400})) << "it came without a ticket";
  EXPECT_EQ(call().reached, Reached::open);
  EXPECT_EQ(call().reached, Reached::timeout);
  EXPECT_EQ(ProviderDriver::describe(driver->plan(once("s2"))).find("add"), std::string::npos);
}

TEST_P(NftablesConnections, nft_shows_it) {
  driver->converge(once());
  auto shown = world->server.command({"nft", "list", "table", "inet", "knock"});
  EXPECT_NE(shown.find(GetParam().address), std::string::npos) << shown;
  EXPECT_NE(shown.find("ct label set"), std::string::npos) << shown;
  EXPECT_NE(shown.find(set('s')), std::string::npos) << shown;
}

// ---------------------------------------------------------------- until it disconnects

TEST_P(NftablesConnections, what_came_in_time_stays_and_nothing_comes_after) {
  auto list = staying(Duration::seconds(3));
  driver->converge(list);
  auto come_by = list.services[0].entries[0].come_by;
  auto one = call();
  auto other = call();
  ASSERT_EQ(one.reached, Reached::open);
  ASSERT_EQ(other.reached, Reached::open) << "as many as come in time";
  EXPECT_EQ(stranger(), Reached::timeout);
  ASSERT_TRUE(eventually([&] { return now() > come_by + Duration{200}; }));
  EXPECT_EQ(call().reached, Reached::timeout);
  EXPECT_TRUE(one.connection->echoes());
  EXPECT_TRUE(other.connection->echoes());
  EXPECT_EQ(ProviderDriver::describe(driver->plan(list)), "");
  auto item = only_item();
  EXPECT_EQ(item.lasts, Lasts::disconnect);
  EXPECT_EQ(item.come_by, come_by);
  EXPECT_FALSE(item.broken);
  one.connection.reset();
  EXPECT_EQ(call().reached, Reached::timeout) << "what has gone stays out";
  EXPECT_TRUE(other.connection->echoes());
  driver->converge(nobody());
  EXPECT_FALSE(other.connection->echoes(Duration{400})) << "a removal cuts it at once";
}

TEST_P(NftablesConnections, what_stays_ends_with_the_last_deadline) {
  driver->converge(staying(Duration::seconds(2), Duration::seconds(4)));
  auto one = call();
  ASSERT_EQ(one.reached, Reached::open);
  driver.reset();
  provider.reset();
  EXPECT_TRUE(eventually([&] { return !one.connection->echoes(Duration{300}); }));
}

TEST_P(NftablesConnections, a_part_of_what_stays_is_put_back) {
  auto list = staying(Duration::minutes(5));
  driver->converge(list);
  flush('c');
  EXPECT_EQ(call().reached, Reached::timeout);
  EXPECT_TRUE(only_item().broken);
  driver->converge(list);
  EXPECT_EQ(call().reached, Reached::open);
  EXPECT_EQ(ProviderDriver::describe(driver->plan(list)), "");
}

INSTANTIATE_TEST_SUITE_P(Families, NftablesConnections, ::testing::ValuesIn(kSides),
                         [](const auto& info) { return std::string(info.param.name); });

// ---------------------------------------------------------------- both together

TEST_F(Nftables, a_slot_without_tickets_asks_nothing_of_connections) {
  driver->converge(ssh_for({"192.0.2.7/32"}));
  auto shown = world->server.command({"nft", "list", "table", "inet", "knock"});
  EXPECT_EQ(shown.find(" ct "), std::string::npos) << shown;
  driver->converge(desired()
                       .service("db", "tcp/5432")
                       .once("192.0.2.7/32", in(Duration::hours(1)), "s1")
                       .service("ssh", "tcp/22")
                       .entry("192.0.2.7/32", in(Duration::hours(1)))
                       .protect("tcp/22 tcp/5432")
                       .build());
  shown = world->server.command({"nft", "list", "chain", "inet", "knock", "svc_ssh"});
  EXPECT_EQ(shown.find(" ct "), std::string::npos) << shown;
}

TEST_F(Nftables, a_ticket_of_udp_is_for_one_pair_of_ports) {
  driver->converge(desired()
                       .service("voip", "udp/5060")
                       .once("192.0.2.7/32", in(Duration::hours(1)), "s1")
                       .protect("udp/5060")
                       .build());
  // Nobody listens: what arrives is answered by "unreachable", what does not by nothing.
  auto arrives = [&](int from_port) {
    auto text = world->internet.command({"python3", "-c",
                                         "import socket\n"
                                         "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
                                         "s.bind(('192.0.2.7'," +
                                             std::to_string(from_port) +
                                             "))\n"
                                             "s.connect(('192.0.2.1',5060))\n"
                                             "s.settimeout(0.5)\n"
                                             "s.send(b'x')\n"
                                             "try:\n s.recv(1)\n"
                                             "except ConnectionRefusedError: print('refused')\n"
                                             "except TimeoutError: print('nothing')\n"});
    return text.starts_with("refused");
  };
  EXPECT_TRUE(arrives(4001));
  EXPECT_FALSE(arrives(4002));
  EXPECT_TRUE(arrives(4001)) << "the same one again";
}

}  // namespace
}  // namespace knock::test
