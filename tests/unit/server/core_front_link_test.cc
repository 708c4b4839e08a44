// SPDX-License-Identifier: Apache-2.0
// Core's way to a front that hangs, and front's word that it does not.
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "server/roles/links.h"
#include "tests/unit/server/core_fixture.h"

namespace knock::server {
namespace {

using namespace std::chrono_literals;

constexpr Duration kPatience{500};

class FrontLinkTest : public test::CoreFixture {
 protected:
  FrontLinkTest() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_), 0); }
  std::unique_ptr<FrontLink> link() {
    return std::make_unique<FrontLink>(
        ends_[0], *sign_in_, [this] { gone_.set_value(); }, kPatience);
  }
  bool gone_within(std::chrono::milliseconds time) {
    if (!gone_future_.valid()) gone_future_ = gone_.get_future();
    return gone_future_.wait_for(time) == std::future_status::ready;
  }
  int ends_[2];
  std::promise<void> gone_;
  std::future<void> gone_future_;
};

TEST_F(FrontLinkTest, one_that_answers_no_ping_is_given_up) {
  auto core = link();
  auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(gone_within(10s));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 400ms) << "it had less time than promised";
  core.reset();
  close(ends_[1]);
}

TEST_F(FrontLinkTest, one_that_answers_is_kept) {
  auto core = link();
  SocketCore front(ends_[1], [] {});
  EXPECT_FALSE(gone_within(std::chrono::milliseconds(4 * kPatience.ms)));
  std::promise<bool> answered;
  front.ask(role::AskSignIns{}, [&](Result<role::ToFront> got) {
    answered.set_value(got && std::holds_alternative<role::SignIns>(*got));
  });
  EXPECT_TRUE(answered.get_future().get());
  core.reset();
}

TEST_F(FrontLinkTest, one_whose_working_thread_hangs_is_given_up_though_it_reads) {
  auto core = link();
  std::mutex mutex;
  std::vector<std::function<void()>> never;  // the thread that would say it
  SocketCore front(
      ends_[1], [] {},
      [&](std::function<void()> pong) {
        std::lock_guard lock(mutex);
        never.push_back(std::move(pong));
      });
  EXPECT_TRUE(gone_within(10s));
  std::lock_guard lock(mutex);
  EXPECT_EQ(never.size(), 1u) << "it was asked again before it had answered";
  core.reset();
}

TEST_F(FrontLinkTest, questions_alone_are_no_sign_of_life) {
  // A front that is taken over may go on asking; a ping that it does not answer still ends it.
  auto core = link();
  std::jthread asking([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      auto frame = role::encode(role::FromFront(role::AskSignIns{1}));
      if (send(ends_[1], frame.data(), frame.size(), MSG_NOSIGNAL) < 0) return;
      char answers[4096];
      if (recv(ends_[1], answers, sizeof answers, 0) <= 0) return;
    }
  });
  EXPECT_TRUE(gone_within(10s));
  asking.request_stop();
  core.reset();
  asking.join();
  close(ends_[1]);
}

TEST_F(FrontLinkTest, a_pong_for_another_ping_is_no_answer) {
  auto core = link();
  auto frame = role::encode(role::FromFront(role::Pong{77}));
  ASSERT_EQ(send(ends_[1], frame.data(), frame.size(), 0), ssize_t(frame.size()));
  EXPECT_TRUE(gone_within(10s));
  core.reset();
  close(ends_[1]);
}

}  // namespace
}  // namespace knock::server
