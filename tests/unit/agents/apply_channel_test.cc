// SPDX-License-Identifier: Apache-2.0
// The socket between core and the apply role, with the other end played by the test.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>

#include "agents/nftables/channel.h"
#include "schemas/role/wire.h"

namespace knock {
namespace {

/// The far end: reads messages, says what the test tells it to say.
class FarEnd {
 public:
  FarEnd() {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) std::abort();
    near = pair[0];
    fd = pair[1];
  }
  ~FarEnd() { hang_up(); }
  void hang_up() {
    if (fd >= 0) close(fd);
    fd = -1;
  }
  role::ToApply receive() {
    auto length = read(4);
    std::size_t n = 0;
    for (char c : length) n = n << 8 | std::uint8_t(c);
    return role::decode_to_apply(read(n)).value();
  }
  void say(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(std::size_t(n));
    }
  }
  void say(const role::FromApply& message) { say(role::encode(message)); }

  int near = -1;  // the channel closes it

 private:
  std::string read(std::size_t n) {
    std::string out(n, '\0');
    for (std::size_t at = 0; at < n;) {
      ssize_t got = recv(fd, out.data() + at, n - at, 0);
      if (got <= 0) throw std::runtime_error("the channel hung up");
      at += std::size_t(got);
    }
    return out;
  }
  int fd = -1;
};

Deadline soon() { return Deadline::in(Duration::seconds(5)); }

TEST(SocketApplyChannel, answers_reach_their_callers_in_any_order) {
  FarEnd far;
  SocketApplyChannel channel(far.near);
  auto ask = [&](const char* table) {
    return std::async(std::launch::async,
                      [&channel, table] { return channel.call(role::ReadBack{0, table}, soon()); });
  };
  auto first = ask("one");
  auto a = std::get<role::ReadBack>(far.receive());
  auto second = ask("two");
  auto b = std::get<role::ReadBack>(far.receive());
  EXPECT_NE(a.request, b.request);
  far.say(role::Done{b.request, 2});
  far.say(role::Done{a.request, 1});
  EXPECT_EQ(std::get<role::Done>(first.get().value()).fence, a.table == "one" ? 1u : 2u);
  EXPECT_EQ(std::get<role::Done>(second.get().value()).fence, 2u);
}

TEST(SocketApplyChannel, a_late_answer_is_nobodys) {
  FarEnd far;
  SocketApplyChannel channel(far.near);
  auto late = channel.call(role::ReadBack{0, "t"}, Deadline::in(Duration{20}));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::timeout);
  far.say(role::Done{role::request_of(far.receive()), 1});
  auto next =
      std::async(std::launch::async, [&] { return channel.call(role::ReadBack{0, "t"}, soon()); });
  far.say(role::Done{role::request_of(far.receive()), 7});
  EXPECT_EQ(std::get<role::Done>(next.get().value()).fence, 7u);
}

TEST(SocketApplyChannel, an_end_is_told_to_who_waits_and_who_comes_later) {
  FarEnd far;
  SocketApplyChannel channel(far.near);
  auto waiting =
      std::async(std::launch::async, [&] { return channel.call(role::ReadBack{0, "t"}, soon()); });
  far.receive();
  far.hang_up();
  auto answer = waiting.get();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::unavailable);
  auto later = channel.call(role::ReadBack{0, "t"}, soon());
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().kind, ErrorKind::unavailable);
}

TEST(SocketApplyChannel, what_is_out_of_shape_ends_the_conversation) {
  for (const std::string& bytes :
       {std::string("\xff\xff\xff\xff", 4), std::string("\0\0\0\1\x63", 5)}) {
    FarEnd far;
    SocketApplyChannel channel(far.near);
    auto waiting = std::async(std::launch::async,
                              [&] { return channel.call(role::ReadBack{0, "t"}, soon()); });
    far.receive();
    far.say(std::string_view(bytes));
    auto answer = waiting.get();
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ErrorKind::unavailable);
  }
}

TEST(SocketApplyChannel, everybody_on_a_socket_hears_of_a_moved_table) {
  FarEnd far;
  SocketApplyChannel channel(far.near);
  auto other = channel.share();
  std::promise<std::string> one, two;
  channel.on_moved([&](const std::string& table) { one.set_value(table); });
  other->on_moved([&](const std::string& table) { two.set_value(table); });
  far.say(role::TableMoved{"knock"});
  EXPECT_EQ(one.get_future().get(), "knock");
  EXPECT_EQ(two.get_future().get(), "knock");
}

TEST(SocketApplyChannel, a_channel_that_is_gone_is_not_called) {
  FarEnd far;
  SocketApplyChannel channel(far.near);
  std::atomic<int> called{0};
  auto other = channel.share();
  other->on_moved([&](const std::string&) { ++called; });
  other.reset();
  std::promise<void> heard;
  channel.on_moved([&](const std::string&) { heard.set_value(); });
  far.say(role::TableMoved{"knock"});
  heard.get_future().wait();
  EXPECT_EQ(called, 0);
}

TEST(SocketApplyChannel, who_does_not_read_is_a_timeout) {
  FarEnd far;
  SocketApplyChannel channel(far.near);
  role::ChangeElements big{0, "t", 0, {}};
  auto at = IpAddress::parse("10.0.0.0").value();
  for (int i = 0; i < 100'000; ++i, at = *at.next())
    big.changes.push_back({true, "s", Prefix::host(at), 1000, "m"});
  auto answer = channel.call(big, Deadline::in(Duration{50}));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::timeout);
}

}  // namespace
}  // namespace knock
