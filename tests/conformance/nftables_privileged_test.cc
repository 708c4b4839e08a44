// SPDX-License-Identifier: Apache-2.0
// The privileged half alone, message by message, before a kernel: fences, events, short lives, and
// what it refuses.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <thread>

#include "agents/host/elements.h"
#include "agents/host/local_channel.h"
#include "agents/host/privileged.h"
#include "agents/nftables/channel.h"
#include "schemas/role/wire.h"
#include "tests/support/netns.h"
#include "tests/support/requirement.h"

namespace knock::test {
namespace {

const OwnerId kOwner{0x0123456789abcdef};

Prefix prefix(const char* text) { return Prefix::parse_exact(text).value(); }
role::ElementChange add(const char* where, std::uint64_t left_ms = 3'600'000) {
  return {true, "ssh", prefix(where), left_ms, "knock:1:test"};
}
role::ElementChange add(const IpAddress& where, std::uint64_t left_ms = 3'600'000) {
  return {true, "ssh", Prefix::host(where), left_ms, "knock:1:test"};
}
role::ElementChange remove(const char* where) { return {false, "ssh", prefix(where), 0, ""}; }

class PrivilegedHalf : public ::testing::Test {
 protected:
  void SetUp() override {
    KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
    space = std::make_unique<Namespace>();
    channel = open();
  }

  std::unique_ptr<ApplyChannel> open() {
    return std::move(host::open_local_channel(space->path()).value());
  }

  role::FromApply call(const role::ToApply& message) { return call(*channel, message); }
  static role::FromApply call(ApplyChannel& over, const role::ToApply& message) {
    return over.call(message, Deadline::in(Duration::seconds(20))).value();
  }

  static role::Ensure table_of(std::vector<std::string> slots, std::uint32_t fence = 0) {
    role::Ensure m;
    m.table = "knock";
    m.owner = kOwner;
    m.fence = fence;
    for (auto& slot : slots) m.slots.push_back({slot, {*PortRange::parse("tcp/22")}});
    m.protect = {*PortRange::parse("tcp/22")};
    return m;
  }

  /// The fence after it was done.
  std::uint32_t done(const role::ToApply& message) {
    auto answer = call(message);
    if (const auto* failed = std::get_if<role::Failed>(&answer)) {
      ADD_FAILURE() << failed->why;
      return 0;
    }
    return std::get<role::Done>(answer).fence;
  }
  role::Failed failed(const role::ToApply& message) {
    auto answer = call(message);
    if (auto* failure = std::get_if<role::Failed>(&answer)) return *failure;
    ADD_FAILURE() << "it was not refused";
    return {};
  }
  std::uint32_t change(std::vector<role::ElementChange> changes, std::uint32_t fence = 0) {
    return done(role::ChangeElements{0, "knock", fence, std::move(changes)});
  }
  role::TableFound read() {
    auto answer = call(role::ReadBack{0, "knock"});
    if (const auto* failure = std::get_if<role::Failed>(&answer)) ADD_FAILURE() << failure->why;
    return std::get<role::TableFound>(answer);
  }
  std::string elements() {
    std::string out;
    for (const auto& slot : read().slots)
      for (const auto& element : slot.elements) out += element.prefix.to_string() + " ";
    return out;
  }

  std::unique_ptr<Namespace> space;
  std::unique_ptr<ApplyChannel> channel;
};

// ---------------------------------------------------------------- fences

TEST_F(PrivilegedHalf, every_change_gives_the_fence_of_what_it_left) {
  auto fence = done(table_of({"ssh"}));
  EXPECT_NE(fence, 0u);
  EXPECT_EQ(read().fence, fence);
  for (int i = 0; i < 5; ++i) {
    auto next = change({i % 2 == 0 ? add("192.0.2.7/32") : remove("192.0.2.7/32")}, fence);
    EXPECT_EQ(next, fence + 1);
    EXPECT_EQ(read().fence, next);
    fence = next;
  }
  auto built = done(table_of({"ssh", "web"}, fence));
  EXPECT_GT(built, fence);
  change({add("192.0.2.8/32")}, built);
}

TEST_F(PrivilegedHalf, our_table_changed_by_others_is_a_conflict) {
  auto fence = done(table_of({"ssh"}));
  space->nft("add element inet knock svc_ssh_h4 { 192.0.2.8 }");
  auto failure = failed(role::ChangeElements{0, "knock", fence, {add("192.0.2.7/32")}});
  EXPECT_EQ(failure.kind, ErrorKind::conflict);
  EXPECT_EQ(failed(table_of({"ssh"}, fence)).kind, ErrorKind::conflict);
  EXPECT_EQ(elements(), "192.0.2.8/32 ") << "nothing of it was done";
  change({add("192.0.2.7/32")}, read().fence);
}

TEST_F(PrivilegedHalf, a_fence_from_before_our_own_change_is_a_conflict) {
  auto fence = done(table_of({"ssh"}));
  change({add("192.0.2.7/32")}, fence);
  EXPECT_EQ(failed(role::ChangeElements{0, "knock", fence, {add("192.0.2.8/32")}}).kind,
            ErrorKind::conflict);
}

TEST_F(PrivilegedHalf, another_controllers_change_is_a_conflict) {
  auto fence = done(table_of({"ssh"}));
  auto other = open();
  call(*other, role::ChangeElements{0, "knock", 0, {add("192.0.2.8/32")}});
  EXPECT_EQ(failed(role::ChangeElements{0, "knock", fence, {add("192.0.2.7/32")}}).kind,
            ErrorKind::conflict);
}

TEST_F(PrivilegedHalf, other_tables_changes_are_no_conflict) {
  auto fence = done(table_of({"ssh"}));
  space->nft("add table inet other; add table ip knock");  // ours by name, but of another family
  fence = change({add("192.0.2.7/32")}, fence);
  space->nft("delete table inet other");
  EXPECT_EQ(read().fence, fence + 1);
  change({add("192.0.2.8/32")}, fence);
}

TEST_F(PrivilegedHalf, constant_churn_beside_us_neither_conflicts_nor_starves) {
  auto fence = done(table_of({"ssh"}));
  std::atomic<bool> stop{false};
  std::atomic<unsigned> commits{0};
  auto beside = open();
  role::Ensure other = table_of({"a"});
  other.table = "other";
  call(*beside, other);
  std::thread churn([&] {
    while (!stop) {
      call(*beside,
           role::ChangeElements{0, "other", 0, {{true, "a", prefix("10.0.0.1/32"), 5000, "m"}}});
      ++commits;
    }
  });
  for (int i = 0; i < 300 || commits < 200; ++i) {
    fence = change({i % 2 == 0 ? add("192.0.2.7/32") : remove("192.0.2.7/32")}, fence);
    if (i % 10 == 0) {
      auto found = read();
      EXPECT_TRUE(found.intact);
      fence = found.fence;
    }
    if (i % 50 == 0) fence = done(table_of({"ssh", "web"}, fence));
  }
  stop = true;
  churn.join();
}

TEST_F(PrivilegedHalf, two_that_write_the_same_table_never_both_win) {
  done(table_of({"ssh"}));
  auto other = open();
  std::atomic<int> won{0}, lost{0};
  auto writer = [&](ApplyChannel& over, const char* where) {
    for (int i = 0; i < 100; ++i) {
      auto found = std::get<role::TableFound>(call(over, role::ReadBack{0, "knock"}));
      // The number of elements grows by one with each win and with nothing else.
      auto size = found.slots.at(0).elements.size();
      auto at = Prefix::of(IpAddress::v4(0x0a000000u + std::uint32_t(size)), 32);
      auto answer = call(over, role::ChangeElements{
                                   0, "knock", found.fence, {{true, "ssh", at, 3'600'000, where}}});
      std::get_if<role::Done>(&answer) != nullptr ? ++won : ++lost;
    }
  };
  std::thread second([&] { writer(*other, "b"); });
  writer(*channel, "a");
  second.join();
  EXPECT_EQ(won + lost, 200);
  EXPECT_EQ(read().slots.at(0).elements.size(), std::size_t(won)) << "a write was lost";
}

TEST_F(PrivilegedHalf, lost_events_are_a_conflict_not_a_guess) {
  auto beside = open();
  auto fence = done(table_of({"ssh"}));
  auto signal = std::get<role::TableFound>(call(role::ReadBack{0, "signal"}));
  auto quiet = std::get<role::TableFound>(call(role::ReadBack{0, "quiet"}));
  // Blind: its thread is held in the callback that a change of "signal" causes.
  std::promise<void> held, release;
  auto released = release.get_future().share();
  std::atomic<bool> first{true};
  channel->on_moved([&](const std::string&) {
    if (!first.exchange(false)) return;
    held.set_value();
    released.wait();
  });
  space->nft("add table inet signal");
  held.get_future().wait();
  // More events than the buffer holds, and the one that matters is the last.
  role::Ensure big = table_of({"ssh"});
  big.table = "big";
  call(*beside, big);
  std::vector<role::ElementChange> many;
  auto at = IpAddress::parse("10.0.0.0").value();
  for (int i = 0; i < 60'000; ++i, at = *at.next())
    many.push_back({true, "ssh", Prefix::host(at), 600'000, std::string(52, 'm')});
  auto flooded = call(*beside, role::ChangeElements{0, "big", 0, std::move(many)});
  ASSERT_NE(std::get_if<role::Done>(&flooded), nullptr);
  space->nft("add element inet knock svc_ssh_h4 { 192.0.2.9 }");
  release.set_value();

  EXPECT_EQ(failed(role::ChangeElements{0, "knock", fence, {add("192.0.2.7/32")}}).kind,
            ErrorKind::conflict);
  auto untouched = table_of({}, quiet.fence);
  untouched.table = "quiet";
  EXPECT_EQ(failed(untouched).kind, ErrorKind::conflict)
      << "nothing was lost, so this test has shown nothing";
  EXPECT_TRUE(eventually([&] { return !first; }));
  // And on from there.
  fence = change({add("192.0.2.7/32")}, read().fence);
  space->nft("delete table inet big");
  change({add("192.0.2.8/32")}, fence);
}

// ---------------------------------------------------------------- elements

TEST_F(PrivilegedHalf, all_of_a_message_or_nothing) {
  done(table_of({"ssh"}));
  change({add("10.0.0.0/16")});
  auto failure = failed(role::ChangeElements{
      0, "knock", 0, {add("192.0.2.7/32"), add("10.0.7.0/24"), remove("10.9.0.0/16")}});
  EXPECT_EQ(failure.kind, ErrorKind::invalid);
  EXPECT_NE(failure.why.find("overlaps"), std::string::npos) << failure.why;
  EXPECT_EQ(elements(), "10.0.0.0/16 ");
}

TEST_F(PrivilegedHalf, removing_what_is_not_there_is_done) {
  done(table_of({"ssh"}));
  change({remove("192.0.2.7/32"), remove("10.0.0.0/24"), remove("2001:db8::/64")});
  // Where another range covers the key, an attempt to touch it would overlap.
  space->nft("add element inet knock svc_ssh_n4 { 10.0.0.0/16 comment \"ana\" }");
  change({remove("10.0.7.0/24"), add("192.0.2.7/32")});
  EXPECT_EQ(elements(), "10.0.0.0/16 192.0.2.7/32 ");
}

TEST_F(PrivilegedHalf, neighbours_are_not_joined_and_cuts_are_exact) {
  done(table_of({"ssh"}));
  change({add("10.0.0.0/25", 10'000), add("10.0.0.128/25", 3'600'000)});
  EXPECT_EQ(elements(), "10.0.0.0/25 10.0.0.128/25 ");
  auto found = read();
  EXPECT_LE(found.slots[0].elements[0].left_ms, 10'000u);
  EXPECT_GT(found.slots[0].elements[1].left_ms, 3'500'000u);
  change({remove("10.0.0.0/25"), remove("10.0.0.128/25"), add("10.0.0.0/24", 20'000)});
  EXPECT_EQ(elements(), "10.0.0.0/24 ");
  change({add("10.0.0.0/26", 30'000), add("10.0.0.64/26", 40'000), add("10.0.0.128/25", 20'000),
          remove("10.0.0.0/24")});
  EXPECT_EQ(elements(), "10.0.0.0/26 10.0.0.64/26 10.0.0.128/25 ");
}

TEST_F(PrivilegedHalf, a_life_is_replaced_never_added_to) {
  done(table_of({"ssh"}));
  for (const char* where : {"192.0.2.7/32", "10.0.0.0/24", "2001:db8::7/128", "2001:db8::/64"})
    for (std::uint64_t life : {3'600'000u, 7'200'000u, 60'000u}) {
      change({add(where, life)});
      auto found = read();
      for (const auto& element : found.slots[0].elements) {
        if (element.prefix != prefix(where)) continue;
        EXPECT_TRUE(element.timed);
        EXPECT_LE(element.left_ms, life);
        EXPECT_GT(element.left_ms, life - 5'000);
        EXPECT_EQ(element.comment, "knock:1:test");
      }
    }
}

TEST_F(PrivilegedHalf, a_life_too_short_to_count_is_none) {
  done(table_of({"ssh"}));
  change({add("192.0.2.7/32"), add("10.0.0.0/24")});
  change({add("192.0.2.7/32", 1), add("10.0.0.0/24", 1), add("192.0.2.8/32", 3)});
  EXPECT_EQ(elements(), "") << "a life that rounds to nothing would be for ever";
}

TEST_F(PrivilegedHalf, a_very_long_life_is_capped_at_a_year) {
  done(table_of({"ssh"}));
  change({add("192.0.2.7/32", UINT64_MAX), add("10.0.0.0/24", UINT64_MAX)});
  auto found = read();
  for (const auto& element : found.slots.at(0).elements) {
    EXPECT_TRUE(element.timed);
    EXPECT_LE(element.left_ms, role::kLongestLifeMs);
    EXPECT_GT(element.left_ms, role::kLongestLifeMs - 60'000);
  }
}

TEST_F(PrivilegedHalf, changes_at_the_moment_of_expiry_never_fail) {
  done(table_of({"ssh"}));
  const std::vector<const char*> hosts{"192.0.2.1/32", "192.0.2.2/32", "2001:db8::1/128"};
  const std::vector<const char*> ranges{"10.0.0.0/24", "10.0.1.0/24", "2001:db8::/64"};
  auto count = [&] { return std::ranges::count(elements(), ' '); };
  auto end = Deadline::in(Duration::seconds(4));
  unsigned rounds = 0;
  while (!end.passed()) {
    std::vector<role::ElementChange> changes;
    for (const auto* list : {&hosts, &ranges})
      for (std::size_t i = 0; i < list->size(); ++i)
        changes.push_back((rounds + i) % 4 == 3
                              ? remove((*list)[i])
                              : add((*list)[i], 100 + (rounds * 7 + i * 13) % 60));
    auto added = std::ranges::count(changes, true, &role::ElementChange::add);
    change(std::move(changes));
    if (HasFailure()) return;
    ++rounds;
    // The next round meets elements a few milliseconds before, at and after their end.
    ASSERT_TRUE(eventually([&] { return count() < added; }));
  }
  EXPECT_GT(rounds, 15u);
  EXPECT_TRUE(eventually([&] { return elements().empty(); }));
}

// A kernel that collects expired elements during a dump of a hash set leaves out thousands of live
// ones, and does not say so (seen on 6.18: 11,457 of 20,000).
TEST_F(PrivilegedHalf, what_lives_is_seen_while_others_expire_around_it) {
  done(table_of({"ssh"}));
  constexpr unsigned kMany = 20'000;
  const auto long_ones = IpAddress::parse("11.0.0.0").value();
  auto fill = [&](IpAddress at, auto life_of) {
    std::vector<role::ElementChange> changes;
    for (unsigned i = 0; i < kMany; ++i, at = *at.next()) changes.push_back(add(at, life_of(i)));
    change(std::move(changes));
  };
  fill(long_ones, [](unsigned) { return 3'600'000u; });
  for (int round = 0; round < 3; ++round) {
    fill(IpAddress::parse("10.0.0.0").value(), [](unsigned i) { return 300u + i / 20; });
    std::size_t all = 2 * kMany;
    while (all > kMany) {
      auto found = read();
      const auto& elements = found.slots.at(0).elements;
      all = elements.size();
      auto living = std::count_if(elements.begin(), elements.end(), [&](const auto& element) {
        return long_ones <= element.prefix.network();
      });
      ASSERT_EQ(living, kMany) << "in round " << round << ", of " << all;
    }
  }
}

TEST_F(PrivilegedHalf, changing_structure_keeps_the_elements_of_what_stays) {
  done(table_of({"db", "ssh"}));
  change({add("192.0.2.7/32"),
          add("10.0.0.0/24"),
          add("2001:db8::/64"),
          {true, "db", prefix("192.0.2.9/32"), 60'000, "m"}});
  done(table_of({"ssh", "web"}));
  auto found = read();
  ASSERT_EQ(found.slots.size(), 2u);
  EXPECT_EQ(found.slots[0].name, "ssh");
  EXPECT_EQ(found.slots[0].elements.size(), 3u);
  EXPECT_TRUE(found.slots[1].elements.empty());
  EXPECT_TRUE(found.intact);
}

TEST_F(PrivilegedHalf, structure_and_elements_are_one_transaction) {
  auto message = table_of({"ssh", "web"});
  message.changes = {add("192.0.2.7/32"), {true, "web", prefix("10.0.0.0/24"), 60'000, "m"}};
  done(message);
  EXPECT_EQ(elements(), "192.0.2.7/32 10.0.0.0/24 ");
  // One of them cannot be: nothing changes, neither rules nor entries.
  space->nft("add element inet knock svc_web_n4 { 10.1.0.0/16 }");
  auto both = table_of({"db", "web"});
  both.changes = {{true, "db", prefix("192.0.2.8/32"), 60'000, "m"},
                  {true, "web", prefix("10.1.7.0/24"), 60'000, "m"}};
  EXPECT_EQ(failed(both).kind, ErrorKind::invalid);
  EXPECT_EQ(elements(), "192.0.2.7/32 10.0.0.0/24 10.1.0.0/16 ");
  EXPECT_EQ(read().slots.at(0).name, "ssh");
  EXPECT_TRUE(read().intact);
  // A removal of a range that is not there, in a set made in the same transaction.
  both.changes = {{false, "db", prefix("10.1.7.0/24"), 0, ""},
                  {false, "web", prefix("10.1.7.0/24"), 0, ""},
                  {true, "db", prefix("192.0.2.8/32"), 60'000, "m"}};
  done(both);
  EXPECT_EQ(elements(), "192.0.2.8/32 10.0.0.0/24 10.1.0.0/16 ");
}

TEST_F(PrivilegedHalf, hooks_come_and_go) {
  auto message = table_of({"ssh"});
  for (bool input : {true, false})
    for (bool forward : {false, true}) {
      message.input = input;
      message.forward = forward;
      done(message);
      auto found = read();
      EXPECT_EQ(found.input, input);
      EXPECT_EQ(found.forward, forward);
      EXPECT_TRUE(found.intact);
      auto text = space->command({"nft", "list", "table", "inet", "knock"});
      EXPECT_EQ(text.find("hook input") != text.npos, input);
      EXPECT_EQ(text.find("hook forward") != text.npos, forward);
    }
}

TEST_F(PrivilegedHalf, a_set_of_another_shape_under_our_name_is_made_anew) {
  done(table_of({"ssh"}));
  space->nft(
      "flush chain inet knock svc_ssh; delete set inet knock svc_ssh_h4; "
      "add set inet knock svc_ssh_h4 { type inet_service; }");
  EXPECT_FALSE(read().intact);
  done(table_of({"ssh"}));
  EXPECT_TRUE(read().intact);
  change({add("192.0.2.7/32")});
}

// ---------------------------------------------------------------- refusals

TEST_F(PrivilegedHalf, an_unmarked_or_foreign_table_is_not_touched) {
  space->nft("add table inet knock; add chain inet knock mine");
  auto failure = failed(table_of({"ssh"}));
  EXPECT_EQ(failure.kind, ErrorKind::unauthorized);
  EXPECT_NE(failure.why.find("not made by knock"), std::string::npos) << failure.why;
  EXPECT_FALSE(read().intact);
  EXPECT_EQ(read().owner, OwnerId{});

  space->nft("delete table inet knock");
  done(table_of({"ssh"}));
  auto other = table_of({"ssh"});
  other.owner = OwnerId{9};
  failure = failed(other);
  EXPECT_EQ(failure.kind, ErrorKind::unauthorized);
  EXPECT_NE(failure.why.find("0123456789abcdef"), std::string::npos) << failure.why;
  EXPECT_EQ(read().owner, kOwner);
}

TEST_F(PrivilegedHalf, without_a_table_there_is_nothing_to_change) {
  EXPECT_FALSE(read().exists);
  auto failure = failed(role::ChangeElements{0, "knock", 0, {add("192.0.2.7/32")}});
  EXPECT_EQ(failure.kind, ErrorKind::not_found);
}

TEST_F(PrivilegedHalf, a_table_that_appears_after_the_read_is_a_conflict) {
  auto fence = read().fence;
  space->nft("add table inet knock");
  EXPECT_EQ(failed(table_of({"ssh"}, fence)).kind, ErrorKind::conflict);
}

TEST_F(PrivilegedHalf, says_which_right_is_missing) {
  space->run([] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    ASSERT_EQ(syscall(SYS_capset, &header, none), 0);
    auto opened = host::Privileged::open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::unauthorized);
    EXPECT_NE(opened.error().text().find("CAP_NET_ADMIN"), std::string::npos)
        << opened.error().text();
  });
}

TEST(LocalChannel, says_which_namespace_is_not_there) {
  auto opened = host::open_local_channel("no-such-namespace");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::not_found);
  EXPECT_NE(opened.error().text().find("/run/netns/no-such-namespace"), std::string::npos);
}

// ---------------------------------------------------------------- over a socket

class ApplyRole : public PrivilegedHalf {
 protected:
  void SetUp() override {
    PrivilegedHalf::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    near = pair[0];
    role = std::async(std::launch::async, [this, fd = pair[1]] {
      Status served;
      space->run([&] { served = host::run_privileged(fd); });
      close(fd);
      return served;
    });
  }

  int near = -1;
  std::future<Status> role;
};

TEST_F(ApplyRole, serves_and_ends_with_its_core) {
  {
    SocketApplyChannel core(near);
    std::promise<std::string> moved;
    core.on_moved([&](const std::string& table) { moved.set_value(table); });
    auto built = call(core, table_of({"ssh"}));
    ASSERT_NE(std::get_if<role::Done>(&built), nullptr);
    auto fence = std::get<role::Done>(built).fence;
    std::vector<role::ElementChange> many;
    auto at = IpAddress::parse("10.0.0.0").value();
    for (int i = 0; i < 20'000; ++i, at = *at.next())
      many.push_back({true, "ssh", Prefix::host(at), 60'000, std::string(52, 'm')});
    auto changed = call(core, role::ChangeElements{0, "knock", fence, many});
    ASSERT_NE(std::get_if<role::Done>(&changed), nullptr);
    auto found = std::get<role::TableFound>(call(core, role::ReadBack{0, "knock"}));
    EXPECT_EQ(found.slots.at(0).elements.size(), 20'000u);
    EXPECT_EQ(found.fence, std::get<role::Done>(changed).fence);
    space->nft("add chain inet knock more");
    auto heard = moved.get_future();
    ASSERT_EQ(heard.wait_for(std::chrono::seconds(1)), std::future_status::ready);
    EXPECT_EQ(heard.get(), "knock");
  }
  EXPECT_TRUE(role.get());
}

TEST_F(ApplyRole, ends_at_a_frame_out_of_shape) {
  std::string frame("\0\0\0\2\x63\x00", 6);
  ASSERT_EQ(send(near, frame.data(), frame.size(), MSG_NOSIGNAL), ssize_t(frame.size()));
  auto served = role.get();
  ASSERT_FALSE(served);
  EXPECT_EQ(served.error().kind, ErrorKind::invalid);
  close(near);
}

}  // namespace
}  // namespace knock::test
