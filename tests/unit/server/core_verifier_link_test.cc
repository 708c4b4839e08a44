// SPDX-License-Identifier: Apache-2.0
// Core's way to a verifier that hangs, floods, or dies.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "server/roles/links.h"

namespace knock::server {
namespace {

using namespace std::chrono_literals;

/// Makes socket pairs; the far ends are the test's, and nobody reads them unless it does.
class FakeParent final : public RoleSource {
 public:
  ~FakeParent() override {
    for (int end : ends) close(end);
  }
  Result<int> spawn(const role::ToParent&) override {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
      return fail(ErrorKind::internal, "socketpair");
    ends.push_back(pair[1]);
    return pair[0];
  }
  std::vector<int> ends;
};

using Got = std::future<Result<role::FromVerifier>>;

Got ask(SocketVerifier& verifier) {
  auto promise = std::make_shared<std::promise<Result<role::FromVerifier>>>();
  auto out = promise->get_future();
  verifier.ask(role::CheckPassword{0, "", "pw"},
               [promise](Result<role::FromVerifier> answer) { promise->set_value(answer); });
  return out;
}

TEST(VerifierLink, one_that_hangs_fails_its_questions_in_bounded_time_and_is_replaced) {
  FakeParent parent;
  SocketVerifier verifier(parent, Duration{200});
  auto first = ask(verifier), second = ask(verifier);
  ASSERT_EQ(first.wait_for(10s), std::future_status::ready);
  ASSERT_EQ(second.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(first.get().error().kind, ErrorKind::unavailable);
  EXPECT_EQ(parent.ends.size(), 1u);
  auto third = ask(verifier);
  EXPECT_EQ(parent.ends.size(), 2u) << "a fresh one was asked for";
  auto frame = role::encode(role::FromVerifier(role::PasswordChecked{3, true}));
  ASSERT_EQ(send(parent.ends[1], frame.data(), frame.size(), 0), ssize_t(frame.size()));
  ASSERT_EQ(third.wait_for(10s), std::future_status::ready);
  EXPECT_TRUE(third.get());
}

TEST(VerifierLink, one_that_hangs_is_found_out_before_anybody_asks) {
  FakeParent parent;
  SocketVerifier verifier(parent, Duration{200});
  ASSERT_TRUE(verifier.start());
  // What core wrote before it hung up is a ping and nothing else.
  std::string said;
  char part[256];
  for (ssize_t got; (got = recv(parent.ends.at(0), part, sizeof part, 0)) > 0;)
    said.append(part, std::size_t(got));
  auto message = role::decode_to_verifier(said.substr(4));
  ASSERT_TRUE(message);
  EXPECT_TRUE(std::holds_alternative<role::Ping>(*message));
  auto question = ask(verifier);
  EXPECT_EQ(parent.ends.size(), 2u) << "the first question goes to a fresh one";
  EXPECT_EQ(question.wait_for(0s), std::future_status::timeout);
}

TEST(VerifierLink, one_that_answers_pings_is_kept) {
  FakeParent parent;
  SocketVerifier verifier(parent, Duration{200});
  ASSERT_TRUE(verifier.start());
  std::string said;
  char part[256];
  for (int pings = 0; pings < 20;) {
    auto got = recv(parent.ends.at(0), part, sizeof part, 0);
    ASSERT_GT(got, 0) << "given up after " << pings;
    said.append(part, std::size_t(got));
    for (; said.size() >= 13; said.erase(0, 13), ++pings) {
      auto message = role::decode_to_verifier(said.substr(4, 9));
      ASSERT_TRUE(message);
      auto pong = role::encode(role::FromVerifier(role::Pong{role::request_of(*message)}));
      ASSERT_EQ(send(parent.ends[0], pong.data(), pong.size(), MSG_NOSIGNAL), ssize_t(pong.size()));
    }
  }
  EXPECT_EQ(parent.ends.size(), 1u);
}

TEST(VerifierLink, questions_under_way_are_bounded) {
  FakeParent parent;
  SocketVerifier verifier(parent, Duration::seconds(60));
  std::vector<Got> waiting;
  for (std::size_t i = 0; i < SocketVerifier::kMostWaiting; ++i) waiting.push_back(ask(verifier));
  auto refused = ask(verifier);
  ASSERT_EQ(refused.wait_for(0s), std::future_status::ready);
  EXPECT_EQ(refused.get().error().kind, ErrorKind::rate_limited);
  EXPECT_EQ(waiting.back().wait_for(0s), std::future_status::timeout);
}

TEST(VerifierLink, answers_out_of_shape_end_it_and_strange_ones_are_dropped) {
  FakeParent parent;
  SocketVerifier verifier(parent, Duration::seconds(60));
  auto question = ask(verifier);
  auto stranger = role::encode(role::FromVerifier(role::PasswordChecked{77, true}));
  ASSERT_GT(send(parent.ends[0], stranger.data(), stranger.size(), 0), 0);
  std::string nonsense("\0\0\0\1\xff", 5);
  ASSERT_GT(send(parent.ends[0], nonsense.data(), nonsense.size(), 0), 0);
  ASSERT_EQ(question.wait_for(10s), std::future_status::ready);
  EXPECT_FALSE(question.get());
}

}  // namespace
}  // namespace knock::server
