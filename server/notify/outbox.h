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
  std::chrono::milliseconds first_pause{1000}, longest_pause{300'000};
  int tries = 6;
  Duration time_limit = Duration::seconds(5);  // of one try
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

  /// Any thread, at once. Beyond `most_waiting` the message is given up, and counted as such.
  void put(std::string what, net::OutgoingRequest message);
  const std::string& name() const { return settings_.name; }

 private:
  struct Message {
    std::string what;
    net::OutgoingRequest request;
  };
  enum class Outcome { arrived, later, never };
  void work(const std::stop_token& stop);
  void deliver(const Message& message, const std::stop_token& stop);
  /// `why` is in words of ours: those of the other side may repeat what we sent.
  Outcome attempt(const Message& message, std::string& why);
  void give_up(const std::string& what, const std::string& why);

  OutboxSettings settings_;
  std::unique_ptr<net::HttpClient> client_;
  Authorize authorize_;
  Done done_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Message> waiting_;
  std::jthread thread_;  // last
};

}  // namespace knock::notify
