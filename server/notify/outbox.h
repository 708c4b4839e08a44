// SPDX-License-Identifier: Apache-2.0
// What is to be sent to one place, in order, by a thread of its own: nobody ever waits for it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "net/http_client.h"

namespace knock::notify {

struct OutboxSettings {
  std::string name;  // for log and metrics: "webhook hooks.example.org"; no path, it may be secret
  std::chrono::milliseconds first_pause{1000}, longest_pause{600'000};
  int tries = 6;
  Duration time_limit = Duration::seconds(5);  // of one request
  std::size_t most_waiting = 100;
};

class Outbox {
 public:
  /// Puts the secret into a request that is about to be sent; read anew each time, so that a new one
  /// needs no restart.
  using Authorize = std::function<Status(net::OutgoingRequest&)>;
  /// Once for each message: whether it arrived.
  using Done = std::function<void(const std::string& name, bool arrived)>;
  Outbox(OutboxSettings settings, std::unique_ptr<net::HttpClient> client, Authorize authorize,
         Done done);
  /// Ends what is being sent within its time limit; what waits is not sent.
  ~Outbox();

  using Send = std::function<Result<net::IncomingResponse>(net::OutgoingRequest)>;
  /// One try to tell it, by as many requests as that takes, on the outbox's thread. The answer that
  /// is returned decides.
  using Try = std::function<Result<net::IncomingResponse>(const Send&)>;
  /// Whether it arrived; not called when the outbox ends before. On any thread.
  using Then = std::function<void(bool arrived)>;

  /// Whether it comes before what waits in order. Strangers can cause many of the latter.
  enum class Turn : std::uint8_t { in_order, first };
  /// Any thread, at once. Beyond `most_waiting` of its turn the message is given up, and counted as
  /// such.
  void put(std::string what, Try one_try, Then then = {}, Turn turn = Turn::in_order);
  void put(std::string what, net::OutgoingRequest message, Then then = {},
           Turn turn = Turn::in_order);
  const std::string& name() const { return settings_.name; }

 private:
  struct Message {
    std::string what;
    Try one_try;
    Then then;
  };
  enum class Outcome { arrived, later, never };
  struct Attempt {
    Outcome outcome = Outcome::never;
    std::string why;  // in words of ours: those of the other side may repeat what we sent
    std::chrono::milliseconds wait{0};  // that it asked for
  };
  void work(const std::stop_token& stop);
  void deliver(const Message& message, const std::stop_token& stop);
  Attempt attempt(const Message& message);
  void give_up(const Message& message, const std::string& why);

  OutboxSettings settings_;
  std::unique_ptr<net::HttpClient> client_;
  Authorize authorize_;
  Done done_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Message> first_, waiting_;
  std::jthread thread_;  // last
};

/// Why an answer, or none, is not what was hoped for. No word of the other side is in it.
std::string words_for(const Error& error);
std::string words_for(const net::IncomingResponse& answer);

}  // namespace knock::notify
