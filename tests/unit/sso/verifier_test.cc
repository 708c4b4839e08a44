// SPDX-License-Identifier: Apache-2.0
#include "sso/verifier/verifier.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "sso/password.h"
#include "sso/verifier/run.h"
#include "tests/unit/sso/fake_provider.h"
#include "tests/unit/sso/token_maker.h"

namespace knock::sso {
namespace {

constexpr Instant kNow = Instant::from_seconds(1'800'000'000);

/// Holds threads until it opens; counts who waits.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  bool wait_for(std::size_t waiting) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return waiting_ >= waiting; });
  }
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t waiting_ = 0;
  bool open_ = false;
};

/// Collects answers from any thread.
class Answers {
 public:
  Verifier::Answer take() {
    return [this](role::FromVerifier answer) {
      std::lock_guard lock(mutex_);
      got_.push_back(std::move(answer));
      changed_.notify_all();
    };
  }
  std::vector<role::FromVerifier> wait_for(std::size_t n) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(20), [&] { return got_.size() >= n; }));
    return got_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<role::FromVerifier> got_;
};

const test::SigningKey& key() {
  static const auto key = test::SigningKey::make("P-256", "k1");
  return key;
}

std::unique_ptr<net::HttpClient> working_provider() {
  auto out = std::make_unique<test::FakeProvider>();
  out->on("https://idp.example/.well-known/openid-configuration",
          R"({"issuer":"https://idp.example","authorization_endpoint":"https://idp.example/auth",)"
          R"("token_endpoint":"https://idp.example/token","jwks_uri":"https://idp.example/jwks"})");
  out->on("https://idp.example/jwks", test::key_set({key().jwk()}));
  out->on(
      "https://idp.example/token",
      R"({"id_token":")" +
          key().sign(R"({"alg":"ES256","kid":"k1"})",
                     R"({"iss":"https://idp.example","aud":"knock","sub":"alice","exp":1800000300,)"
                     R"("iat":1800000000,"nonce":"n-1","groups":["sre","eng"]})",
                     "ES256") +
          "\"}");
  return out;
}

/// Waits at the gate whatever it is asked.
std::unique_ptr<net::HttpClient> slow_provider(Gate& gate) {
  auto out = std::make_unique<test::FakeProvider>();
  out->on("https://idp.example/.well-known/openid-configuration",
          [&gate](auto&) -> Result<net::IncomingResponse> {
            gate.pass();
            return fail(ErrorKind::unavailable, "slow and then gone");
          });
  return out;
}

std::vector<OidcSource> sources() {
  OidcSource out;
  out.settings.name = SignInName("corp");
  out.settings.issuer = "https://idp.example";
  out.settings.client_id = "knock";
  out.settings.algorithms = {"ES256"};
  return {out};
}

VerifierOptions with(std::function<std::unique_ptr<net::HttpClient>()> make) {
  VerifierOptions out;
  out.make_http = [=](const net::ConnectGuard&) { return make(); };
  return out;
}

role::ExchangeCode code(std::uint64_t request) {
  return {request, SignInName("corp"), "https://knock.example/cb", "c", "v", "n-1", "", kNow};
}
role::MakeUrl url(std::uint64_t request) {
  return {request, SignInName("corp"), "https://knock.example/cb", "s", "n", "c"};
}

TEST(Verifier, answers_each_kind_of_message) {
  SystemClock clock;
  auto hash = hash_password(Secret("pw")).value();
  auto verifier = std::move(Verifier::make(sources(), clock, with(working_provider)).value());
  Answers answers;
  verifier->handle(role::CheckPassword{1, hash, "pw"}, answers.take());
  verifier->handle(role::CheckPassword{2, hash, "no"}, answers.take());
  verifier->handle(role::CheckPassword{3, "", "pw"}, answers.take());
  verifier->handle(url(4), answers.take());
  verifier->handle(code(5), answers.take());
  auto wrong = code(6);
  wrong.nonce = "n-2";
  verifier->handle(wrong, answers.take());
  auto unknown = code(7);
  unknown.source = SignInName("nowhere");
  verifier->handle(unknown, answers.take());
  std::map<std::uint64_t, role::FromVerifier> by_request;
  for (auto& answer : answers.wait_for(7)) by_request[role::request_of(answer)] = answer;
  ASSERT_EQ(by_request.size(), 7u);
  EXPECT_TRUE(std::get<role::PasswordChecked>(by_request[1]).good);
  EXPECT_FALSE(std::get<role::PasswordChecked>(by_request[2]).good);
  EXPECT_FALSE(std::get<role::PasswordChecked>(by_request[3]).good);
  EXPECT_TRUE(std::get<role::UrlMade>(by_request[4])
                  .url.starts_with("https://idp.example/auth?response_type=code&"));
  auto& proven = std::get<role::Proven>(by_request[5]);
  EXPECT_EQ(proven.issuer, "https://idp.example");
  EXPECT_EQ(proven.subject, "alice");
  EXPECT_EQ(proven.groups, (std::vector<std::string>{"eng", "sre"}));
  EXPECT_EQ(proven.authenticated, kNow);
  EXPECT_EQ(std::get<role::NotProven>(by_request[6]).code, "token.nonce");
  EXPECT_EQ(std::get<role::NotProven>(by_request[7]).code, "verifier.source");
}

TEST(Verifier, a_slow_provider_does_not_hold_passwords_up) {
  SystemClock clock;
  Gate gate;
  Answers slow, quick;
  auto verifier = std::move(
      Verifier::make(sources(), clock, with([&] { return slow_provider(gate); })).value());
  for (std::uint64_t i = 0; i < 20; ++i) verifier->handle(code(i), slow.take());
  ASSERT_TRUE(gate.wait_for(1));
  verifier->handle(role::CheckPassword{100, "", "pw"}, quick.take());
  EXPECT_EQ(role::request_of(quick.wait_for(1).at(0)), 100u);
  gate.open();
  for (auto& answer : slow.wait_for(20))
    EXPECT_EQ(std::get<role::NotProven>(answer).code, "provider.unreachable");
}

TEST(Verifier, a_full_queue_is_said_at_once) {
  SystemClock clock;
  Gate gate;
  Answers answers, refused;
  auto options = with([&] { return slow_provider(gate); });
  options.threads_per_provider = 1;
  options.queue = 3;
  auto verifier = std::move(Verifier::make(sources(), clock, options).value());
  verifier->handle(code(1), answers.take());
  ASSERT_TRUE(gate.wait_for(1));
  for (std::uint64_t i = 2; i < 5; ++i) verifier->handle(code(i), answers.take());
  verifier->handle(code(5), refused.take());
  EXPECT_EQ(std::get<role::NotProven>(refused.wait_for(1).at(0)).code, "verifier.busy");
  gate.open();
  answers.wait_for(4);
}

TEST(Verifier, waiting_in_the_queue_counts) {
  SystemClock clock;
  Gate gate;
  Answers answers;
  auto options = with([&] { return slow_provider(gate); });
  options.threads_per_provider = 1;
  options.patience = Duration{0};
  auto verifier = std::move(Verifier::make(sources(), clock, options).value());
  verifier->handle(code(1), answers.take());
  EXPECT_EQ(std::get<role::NotProven>(answers.wait_for(1).at(0)).code, "provider.unreachable");
  gate.open();
}

/// A provider at whose description our own memory ends.
std::unique_ptr<test::FakeProvider> out_of_memory() {
  auto out = std::make_unique<test::FakeProvider>();
  out->on("https://idp.example/.well-known/openid-configuration",
          [](auto&) -> Result<net::IncomingResponse> { throw std::bad_alloc(); });
  return out;
}

TEST(Verifier, an_exception_is_an_answer) {
  SystemClock clock;
  Answers answers;
  auto verifier = std::move(Verifier::make(sources(), clock, with(out_of_memory)).value());
  verifier->handle(url(1), answers.take());
  EXPECT_EQ(std::get<role::NotProven>(answers.wait_for(1).at(0)).code, "verifier.internal");
}

TEST(Verifier, settings_that_cannot_work_are_named) {
  SystemClock clock;
  auto bad = sources();
  bad[0].settings.algorithms = {"none"};
  auto made = Verifier::make(bad, clock);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().kind, ErrorKind::invalid);
  EXPECT_NE(made.error().text().find("corp"), std::string::npos);
  auto twice = sources();
  twice.push_back(twice[0]);
  EXPECT_FALSE(Verifier::make(twice, clock));
}

/// A verifier process's loop in a thread, and the parent's end of its socket.
class Process {
 public:
  explicit Process(Verifier& verifier, std::size_t proofs = kProofsPerVerifier) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    parent_ = ends[0];
    timeval patience{20, 0};
    setsockopt(parent_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    thread_ = std::thread([this, child = ends[1], &verifier, proofs] {
      code_ = run_verifier(child, verifier, proofs);
      close(child);
    });
  }
  ~Process() {
    leave();
    if (thread_.joinable()) thread_.join();
    close(parent_);
  }
  void leave() { shutdown(parent_, SHUT_WR); }
  void send_bytes(std::string_view bytes) {
    ASSERT_EQ(send(parent_, bytes.data(), bytes.size(), MSG_NOSIGNAL), ssize_t(bytes.size()));
  }
  void send_message(const role::ToVerifier& message) { send_bytes(role::encode(message)); }
  /// Nothing when the verifier has closed.
  std::optional<role::FromVerifier> receive() {
    unsigned char head[4];
    if (recv(parent_, head, 4, MSG_WAITALL) != 4) return std::nullopt;
    std::string body(std::size_t(head[0]) << 24 | std::size_t(head[1]) << 16 |
                         std::size_t(head[2]) << 8 | head[3],
                     '\0');
    if (recv(parent_, body.data(), body.size(), MSG_WAITALL) != ssize_t(body.size()))
      return std::nullopt;
    return role::decode_from_verifier(body).value();
  }
  int exit_code() {
    thread_.join();
    return code_;
  }

 private:
  int parent_ = -1;
  int code_ = -1;
  std::thread thread_;
};

struct RunVerifier : ::testing::Test {
  SystemClock clock;
  std::unique_ptr<Verifier> verifier =
      std::move(Verifier::make(sources(), clock, with(working_provider)).value());
};

TEST_F(RunVerifier, serves_until_the_parent_leaves) {
  Process process(*verifier);
  process.send_message(code(7));
  auto answer = process.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(std::get<role::Proven>(*answer).subject, "alice");
  // Two in one piece, one in many.
  auto one = role::encode(role::ToVerifier(url(8))), two = role::encode(role::ToVerifier(url(9)));
  process.send_bytes(one + two.substr(0, 3));
  for (char byte : two.substr(3)) process.send_bytes(std::string(1, byte));
  std::set<std::uint64_t> requests;
  for (int i = 0; i < 2; ++i) requests.insert(role::request_of(process.receive().value()));
  EXPECT_EQ(requests, (std::set<std::uint64_t>{8, 9}));
  process.leave();
  EXPECT_FALSE(process.receive());
  EXPECT_EQ(process.exit_code(), 0);
}

TEST_F(RunVerifier, ends_after_its_proofs_and_answers_them_first) {
  Process process(*verifier, 3);
  process.send_message(url(1));  // an address is no proof
  std::string three;
  for (std::uint64_t i = 2; i < 5; ++i) three += role::encode(role::ToVerifier(code(i)));
  process.send_bytes(three + role::encode(role::ToVerifier(code(5))));
  std::set<std::uint64_t> requests;
  while (auto answer = process.receive()) requests.insert(role::request_of(*answer));
  EXPECT_EQ(requests, (std::set<std::uint64_t>{1, 2, 3, 4}))
      << "what was not read is for the next verifier";
  EXPECT_EQ(process.exit_code(), 0);
}

TEST_F(RunVerifier, ends_on_what_it_cannot_read) {
  for (auto& bytes :
       std::vector<std::string>{std::string(4, '\0'), "\xff\xff\xff\xff",
                                std::string("\0\0\0\2xy", 6), std::string("\0\1\0\1", 4)}) {
    Process process(*verifier);
    process.send_bytes(bytes);
    EXPECT_FALSE(process.receive());
    EXPECT_EQ(process.exit_code(), 1);
  }
}

TEST(RunVerifierBroken, ends_after_a_fault_of_its_own) {
  SystemClock clock;
  auto verifier = std::move(Verifier::make(sources(), clock, with(out_of_memory)).value());
  Process process(*verifier);
  process.send_message(url(1));
  EXPECT_EQ(std::get<role::NotProven>(process.receive().value()).code, "verifier.internal");
  EXPECT_FALSE(process.receive());
  EXPECT_EQ(process.exit_code(), 1);
}

}  // namespace
}  // namespace knock::sso
