// SPDX-License-Identifier: Apache-2.0
#include "net/frame_link.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace knock::net {
namespace {

using namespace std::chrono_literals;

std::string framed(std::string_view body) {
  std::string out(4, '\0');
  for (int i = 0; i < 4; ++i) out[std::size_t(i)] = char(body.size() >> (24 - 8 * i));
  return out + std::string(body);
}

/// A link at one end of a socket pair; the other end is the test's.
class Fixture : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    peer_ = ends[1];
    link_ =
        std::make_unique<FrameLink>(ends[0], FrameLink::Events{[this](std::string_view body) {
                                                                 std::lock_guard lock(mutex_);
                                                                 got_.emplace_back(body);
                                                                 if (got_.size() == wanted_)
                                                                   enough_.set_value();
                                                                 return body != "bad";
                                                               },
                                                               [this] { closed_.set_value(); }});
  }
  void TearDown() override {
    link_.reset();
    close(peer_);
  }
  void say(std::string_view bytes) {
    ASSERT_EQ(send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL), ssize_t(bytes.size()));
  }
  bool closes() { return closed_.get_future().wait_for(10s) == std::future_status::ready; }

  int peer_ = -1;
  std::mutex mutex_;
  std::vector<std::string> got_;
  std::size_t wanted_ = 0;
  std::promise<void> enough_, closed_;
  std::unique_ptr<FrameLink> link_;
};

TEST_F(Fixture, frames_come_whole_however_they_are_cut) {
  {
    std::lock_guard lock(mutex_);
    wanted_ = 3;
  }
  auto bytes = framed("one") + framed("") + framed(std::string(100'000, 'x'));
  for (std::size_t at = 0; at < 20; ++at) say(bytes.substr(at, 1));
  say(bytes.substr(20));
  ASSERT_EQ(enough_.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_EQ(got_[0], "one");
  EXPECT_EQ(got_[1], "");
  EXPECT_EQ(got_[2].size(), 100'000u);
}

TEST_F(Fixture, a_frame_that_is_refused_ends_the_link_and_nothing_after_it_is_read) {
  say(framed("good") + framed("bad") + framed("late"));
  ASSERT_TRUE(closes());
  EXPECT_EQ(got_, (std::vector<std::string>{"good", "bad"}));
}

TEST_F(Fixture, a_length_beyond_the_limit_ends_the_link_at_once) {
  std::string length("\x01\x00\x00\x01", 4);  // 16 MiB and one byte
  say(length);
  EXPECT_TRUE(closes());
  EXPECT_TRUE(got_.empty());
}

TEST_F(Fixture, half_a_frame_and_then_the_end) {
  say(framed("whole") + framed("cut").substr(0, 5));
  shutdown(peer_, SHUT_WR);
  ASSERT_TRUE(closes());
  EXPECT_EQ(got_, std::vector<std::string>{"whole"});
}

TEST_F(Fixture, whoever_does_not_read_is_given_up_in_bounded_time) {
  std::string large(1 << 20, 'x');
  auto begun = std::chrono::steady_clock::now();
  auto sent = link_->send(framed(large), Deadline::in(Duration{100}));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind, ErrorKind::timeout);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
  EXPECT_TRUE(closes()) << "half a frame went out, so the stream cannot go on";
  auto again = link_->send(framed("x"), Deadline::in(Duration{100}));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::unavailable);
}

/// Not even the first byte went out: to go on would make every later answer wait as long.
TEST_F(Fixture, a_full_socket_ends_the_link_too) {
  while (link_->send(framed("x"), Deadline::in(Duration{1}))) continue;
  EXPECT_TRUE(closes());
}

TEST_F(Fixture, frames_of_several_threads_do_not_mix) {
  constexpr std::size_t kEach = 200;
  std::vector<std::thread> threads;
  for (char c : {'a', 'b', 'c'})
    threads.emplace_back([this, c] {
      auto frame = framed(std::string(5000, c));
      for (std::size_t i = 0; i < kEach; ++i)
        ASSERT_TRUE(link_->send(frame, Deadline::in(Duration::seconds(20))));
    });
  std::size_t frames = 0;
  auto read = std::thread([&] {
    (void)read_frames(peer_, [&](std::string_view body) {
      EXPECT_EQ(body.size(), 5000u);
      EXPECT_EQ(body.find_first_not_of(body[0]), std::string_view::npos);
      return ++frames < 3 * kEach;
    });
  });
  for (auto& thread : threads) thread.join();
  read.join();
  EXPECT_EQ(frames, 3 * kEach);
}

}  // namespace
}  // namespace knock::net
