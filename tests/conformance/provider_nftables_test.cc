// SPDX-License-Identifier: Apache-2.0
// The nftables provider on a real kernel, judged by packets: doors that open for one address, close
// on time, cut what is open, and stand again after somebody tampered with them.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "tests/conformance/nftables_world.h"

namespace knock::test {
namespace {

// ---------------------------------------------------------------- datagrams

sockaddr_in udp_address(const char* address, int port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(std::uint16_t(port));
  inet_pton(AF_INET, address, &out.sin_addr);
  return out;
}

int udp_socket(const Namespace& where, const char* address, int port) {
  int fd = -1;
  where.run([&] {
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    auto at = udp_address(address, port);
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  });
  return fd;
}

void send_udp(int fd, const char* address, int port, std::string_view text) {
  auto to = udp_address(address, port);
  EXPECT_EQ(sendto(fd, text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to),
            ssize_t(text.size()));
}

std::string receive_udp(int fd) {
  pollfd wait{fd, POLLIN, 0};
  if (poll(&wait, 1, 2000) <= 0) return "nothing";
  char buffer[100];
  ssize_t got = recv(fd, buffer, sizeof buffer, 0);
  return {buffer, std::size_t(std::max<ssize_t>(got, 0))};
}

// ---------------------------------------------------------------- opening and closing

TEST_F(Nftables, opens_a_port_for_one_address_and_closes_it) {
  EchoServer ssh(world->server, 22);
  EXPECT_EQ(from(kFriend4), Reached::open) << "before anything is protected";

  driver->converge(ssh_for({}));
  EXPECT_EQ(from(kFriend4), Reached::timeout);
  EXPECT_EQ(from(kFriend6), Reached::timeout);

  auto open = ssh_for({"192.0.2.7/32", "2001:db8::7/128"});
  driver->converge(open);
  EXPECT_EQ(from(kFriend4), Reached::open);
  EXPECT_EQ(from(kFriend6), Reached::open);
  EXPECT_EQ(from(kStranger4), Reached::timeout);
  EXPECT_EQ(from(kStranger6), Reached::timeout);
  EXPECT_EQ(from(kFriend4, 80), Reached::refused) << "a port that is not protected is not touched";
  EXPECT_EQ(ProviderDriver::describe(driver->plan(open)), "");

  driver->converge(ssh_for({}));
  EXPECT_EQ(from(kFriend4), Reached::timeout);
  EXPECT_EQ(from(kFriend6), Reached::timeout);
}

TEST_F(Nftables, the_host_reaches_itself) {
  EchoServer ssh(world->server, 22);
  driver->converge(ssh_for({}));
  EXPECT_EQ(reach(world->server, "", "127.0.0.1", 22), Reached::open);
  EXPECT_EQ(reach(world->server, "", "::1", 22), Reached::open);
  EXPECT_EQ(reach(world->server, "", kServer4, 22), Reached::open);
}

TEST_F(Nftables, without_protect_nothing_is_closed) {
  EchoServer ssh(world->server, 22);
  driver->converge(
      desired().service("ssh", "tcp/22").entry("192.0.2.7/32", in(Duration::hours(1))).build());
  EXPECT_EQ(from(kFriend4), Reached::open);
  EXPECT_EQ(from(kStranger4), Reached::open);
}

TEST_F(Nftables, a_removal_cuts_what_is_open_even_behind_an_established_rule) {
  install_stateful_firewall();
  EchoServer ssh(world->server, 22);
  driver->converge(ssh_for({"192.0.2.7/32", "2001:db8::7/128"}));
  auto four = dial(world->internet, kFriend4, kServer4, 22);
  auto six = dial(world->internet, kFriend6, kServer6, 22);
  ASSERT_EQ(four.reached, Reached::open);
  ASSERT_EQ(six.reached, Reached::open);
  ASSERT_TRUE(four.connection->echoes());
  ASSERT_TRUE(six.connection->echoes());
  driver->converge(ssh_for({"192.0.2.7/32"}));
  EXPECT_TRUE(four.connection->echoes());
  EXPECT_FALSE(six.connection->echoes(Duration{400}));
  driver->converge(ssh_for({}));
  EXPECT_FALSE(four.connection->echoes(Duration{400}));
}

TEST_F(Nftables, an_entry_ends_on_time_without_any_controller) {
  install_stateful_firewall();
  EchoServer ssh(world->server, 22);
  auto until = in(Duration::seconds(4));
  driver->converge(desired()
                       .service("ssh", "tcp/22")
                       .entry("192.0.2.7/32", until)
                       .entry("2001:db8::/125", until)
                       .protect("tcp/22")
                       .build());
  auto host = dial(world->internet, kFriend4, kServer4, 22);
  auto range = dial(world->internet, kFriend6, kServer6, 22);
  ASSERT_EQ(host.reached, Reached::open);
  ASSERT_EQ(range.reached, Reached::open);
  EXPECT_TRUE(host.connection->echoes());
  driver.reset();
  provider.reset();  // nobody is left who could close it
  EXPECT_TRUE(range.connection->echoes());
  EXPECT_TRUE(
      eventually([&] { return from(kFriend4) == Reached::timeout; }, Duration::seconds(10)));
  EXPECT_LT(now(), until + Duration::seconds(2));
  EXPECT_GE(now(), until) << "closed before its time";
  EXPECT_FALSE(host.connection->echoes(Duration{400}));
  EXPECT_FALSE(range.connection->echoes(Duration{400}));
  EXPECT_EQ(from(kFriend6), Reached::timeout);
}

TEST_F(Nftables, nobody_who_may_pass_is_cut_when_a_port_is_protected) {
  EchoServer ssh(world->server, 22);
  auto operators = dial(world->internet, kOperator4, kServer4, 22);
  auto users = dial(world->internet, kFriend4, kServer4, 22);
  auto strangers = dial(world->internet, kStranger4, kServer4, 22);
  ASSERT_EQ(strangers.reached, Reached::open);
  ASSERT_TRUE(strangers.connection->echoes());
  std::atomic<bool> stop{false};
  std::atomic<int> echoes{0}, cut{0};
  // A dropped packet comes through in a later attempt; that it was sent again tells of it, on a busy machine too.
  std::thread talking([&] {
    while (!stop) {
      for (auto* who : {&operators, &users})
        who->connection->echoes(Duration::seconds(5)) ? ++echoes : ++cut;
    }
  });
  auto list = desired()
                  .service("ssh", "tcp/22")
                  .entry("192.0.2.7/32", in(Duration::hours(1)))
                  .protect("tcp/22")
                  .keep("192.0.2.9/32")
                  .build();
  driver->converge(list);
  // And while the structure is turned over again and again.
  for (int i = 0; i < 20; ++i) {
    auto other = list;
    other.services.push_back({ServiceName("web"), ports("tcp/443"), {}});
    other.protect = ports("tcp/22 tcp/443");
    driver->converge(other);
    driver->converge(list);
  }
  stop = true;
  talking.join();
  EXPECT_EQ(cut, 0);
  EXPECT_TRUE(operators.connection->lost_nothing());
  EXPECT_TRUE(users.connection->lost_nothing());
  EXPECT_GT(echoes, 20);
  EXPECT_FALSE(strangers.connection->echoes(Duration{400}));
  EXPECT_EQ(from(kOperator4), Reached::open) << "a keep prefix needs no entry";
}

TEST_F(Nftables, who_is_let_in_by_another_service_meanwhile_is_not_cut) {
  EchoServer ssh(world->server, 22);
  auto named = [&](const char* service) {
    return desired()
        .service(service, "tcp/22")
        .entry("192.0.2.7/32", in(Duration::hours(1)))
        .protect("tcp/22")
        .build();
  };
  driver->converge(named("ops"));
  auto user = dial(world->internet, kFriend4, kServer4, 22);
  ASSERT_EQ(user.reached, Reached::open);
  std::atomic<bool> stop{false};
  std::atomic<int> echoes{0}, cut{0};
  std::thread talking([&] {
    while (!stop) user.connection->echoes(Duration::seconds(5)) ? ++echoes : ++cut;
  });
  for (int i = 0; i < 20 || echoes < 200; ++i) {
    driver->converge(named("ssh"));
    driver->converge(named("ops"));
    if (HasFailure() || cut > 0) break;
  }
  stop = true;
  talking.join();
  EXPECT_EQ(cut, 0);
  EXPECT_TRUE(user.connection->lost_nothing());
}

TEST_F(Nftables, udp_is_protected_like_tcp) {
  int server = udp_socket(world->server, "192.0.2.1", 5353);
  int friends = udp_socket(world->internet, kFriend4, 4000);
  int strangers = udp_socket(world->internet, kStranger4, 4000);
  driver->converge(desired()
                       .service("dns", "udp/5353")
                       .entry("192.0.2.7/32", in(Duration::hours(1)))
                       .protect("udp/5353")
                       .build());
  send_udp(strangers, kServer4, 5353, "stranger");
  send_udp(friends, kServer4, 5353, "friend");
  EXPECT_EQ(receive_udp(server), "friend") << "the stranger's packet was sent first";
  for (int fd : {server, friends, strangers}) close(fd);
}

// ---------------------------------------------------------------- shapes

TEST_F(Nftables, two_services_on_one_port_open_it_each_for_its_own) {
  EchoServer ssh(world->server, 22);
  auto until = in(Duration::hours(1));
  auto both = desired()
                  .service("ops", "tcp/22")
                  .entry("192.0.2.7/32", until)
                  .service("ssh", "tcp/22 tcp/2222")
                  .entry("192.0.2.7/32", until)
                  .entry("192.0.2.8/32", until)
                  .protect("tcp/22 tcp/2222");
  driver->converge(both.build());
  EXPECT_EQ(from(kFriend4), Reached::open);
  EXPECT_EQ(from(kStranger4), Reached::open);
  EXPECT_EQ(from(kOperator4), Reached::timeout);
  driver->converge(desired()
                       .service("ops", "tcp/22")
                       .entry("192.0.2.7/32", until)
                       .service("ssh", "tcp/22 tcp/2222")
                       .protect("tcp/22 tcp/2222")
                       .build());
  EXPECT_EQ(from(kFriend4), Reached::open) << "the other service still lets it in";
  EXPECT_EQ(from(kStranger4), Reached::timeout);
}

TEST_F(Nftables, port_ranges_and_their_edges) {
  EchoServer below(world->server, 7999), first(world->server, 8000), last(world->server, 8010),
      above(world->server, 8011);
  driver->converge(desired()
                       .service("apps", "tcp/8000-8010")
                       .entry("192.0.2.7/32", in(Duration::hours(1)))
                       .protect("tcp/8000-8010")
                       .build());
  for (int port : {8000, 8010}) {
    EXPECT_EQ(from(kFriend4, port), Reached::open) << port;
    EXPECT_EQ(from(kStranger4, port), Reached::timeout) << port;
  }
  for (int port : {7999, 8011}) EXPECT_EQ(from(kStranger4, port), Reached::open) << port;
}

TEST_F(Nftables, overlapping_ranges_each_close_at_their_own_time) {
  EchoServer ssh(world->server, 22);
  auto soon = in(Duration::seconds(5));
  auto later = in(Duration::hours(1));
  // .7 and .8 are in the wide range; .8/31 (.8 and .9) lasts longer.
  auto list = desired()
                  .service("ssh", "tcp/22")
                  .entry("192.0.2.0/28", soon)
                  .entry("192.0.2.8/31", later)
                  .entry("2001:db8::/125", soon)
                  .protect("tcp/22")
                  .build();
  driver->converge(list);
  for (const char* who : {kFriend4, kStranger4, kOperator4, kFriend6})
    EXPECT_EQ(from(who), Reached::open) << who;
  EXPECT_EQ(from(kStranger6), Reached::timeout) << "::8 is outside of ::/125";
  EXPECT_TRUE(
      eventually([&] { return from(kFriend4) == Reached::timeout; }, Duration::seconds(10)));
  EXPECT_GE(now(), soon);
  EXPECT_EQ(from(kStranger4), Reached::open);
  EXPECT_EQ(from(kOperator4), Reached::open);
  EXPECT_EQ(from(kFriend6), Reached::timeout);
}

TEST_F(Nftables, ranges_at_the_ends_of_the_address_space) {
  auto list = desired()
                  .service("ssh", "tcp/22")
                  .entry("0.0.0.0/8", in(Duration::hours(1)))
                  .entry("128.0.0.0/1", in(Duration::hours(1)))
                  .entry("::/16", in(Duration::hours(1)))
                  .entry("8000::/1", in(Duration::hours(1)))
                  .protect("tcp/22")
                  .build();
  EchoServer ssh(world->server, 22);
  driver->converge(list);
  EXPECT_EQ(ProviderDriver::describe(driver->plan(list)), "");
  EXPECT_EQ(from(kFriend4), Reached::open);
  EXPECT_EQ(from(kFriend6), Reached::timeout);
}

TEST_F(Nftables, what_is_forwarded_is_protected_too) {
  // internet ── server (now a router) ── inside
  Namespace inside;
  join(world->server, "lan", inside, "lan");
  add_address(world->server, "lan", "198.51.100.1/24");
  add_address(inside, "lan", "198.51.100.2/24");
  inside.command({"ip", "route", "add", "default", "via", "198.51.100.1"});
  world->internet.command({"ip", "route", "add", "default", "via", kServer4});
  world->server.run([] {
    // Not `sysctl`: minimal systems lack it.
    std::FILE* file = std::fopen("/proc/sys/net/ipv4/ip_forward", "w");
    ASSERT_NE(file, nullptr);
    std::fputs("1", file);
    std::fclose(file);
  });
  EchoServer ssh(inside, 22);
  auto reached = [&](const char* who) { return reach(world->internet, who, "198.51.100.2", 22); };
  ASSERT_EQ(reached(kFriend4), Reached::open);
  driver->converge(ssh_for({"192.0.2.7/32"}));
  EXPECT_EQ(reached(kFriend4), Reached::open);
  EXPECT_EQ(reached(kStranger4), Reached::timeout);
  auto talk = dial(world->internet, kFriend4, "198.51.100.2", 22);
  ASSERT_TRUE(talk.connection->echoes());
  driver->converge(ssh_for({}));
  EXPECT_FALSE(talk.connection->echoes(Duration{400}));
}

TEST_F(Nftables, ten_thousand_entries_do_not_slow_down_the_last_one) {
  EchoServer ssh(world->server, 22);
  auto until = in(Duration::hours(1));
  auto list = desired().service("ssh", "tcp/22").protect("tcp/22");
  auto at = IpAddress::parse("10.0.0.0").value();
  for (int i = 0; i < 10'000; ++i, at = *at.next()) list.entry(at.to_string() + "/32", until);
  driver->converge(list.build());
  EXPECT_EQ(from(kFriend4), Reached::timeout);
  list.entry("192.0.2.7/32", until);
  auto plan = driver->converge(list.build());
  EXPECT_EQ(plan.changes.size(), 1u);
  EXPECT_EQ(from(kFriend4), Reached::open);
  EXPECT_EQ(ProviderDriver::describe(driver->plan(list.build())), "");
}

// ---------------------------------------------------------------- what people see

TEST_F(Nftables, nft_shows_the_table_in_plain_words_and_can_load_what_it_shows) {
  driver->converge(desired()
                       .service("shop-admin.v2", "tcp/443 udp/60000-61000")
                       .entry("192.0.2.7/32", in(Duration::hours(1)))
                       .entry("255.255.255.0/24", in(Duration::hours(1)))
                       .entry("2001:db8::/48", in(Duration::hours(1)))
                       .protect("tcp/443")
                       .keep("192.0.2.9/32")
                       .build());
  auto text = world->server.command({"nft", "list", "table", "inet", "knock"});
  for (const char* line :
       {"comment \"knock:1:0123456789abcdef\"", "set svc_shop-admin.v2_h4 {",
        "elements = { 192.0.2.7 timeout ", "elements = { 255.255.255.0/24 timeout ",
        "elements = { 2001:db8::/48 timeout ",
        "type filter hook input priority filter - 5; policy accept;",
        "type filter hook forward priority filter - 5; policy accept;", "iif \"lo\" accept",
        "ip saddr @keep4 accept comment \"keep\"",
        "tcp dport 443 jump svc_shop-admin.v2 comment \"slot tcp/443 shop-admin.v2\"",
        "udp dport 60000-61000 jump svc_shop-admin.v2",
        "tcp dport 443 drop comment \"protect tcp/443\"", "ip6 saddr @svc_shop-admin.v2_n6 accept"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nis not in\n" << text;
  Namespace elsewhere;
  elsewhere.nft(text);
}

}  // namespace
}  // namespace knock::test
