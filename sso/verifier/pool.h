// SPDX-License-Identifier: Apache-2.0
// A fixed number of threads behind one bounded queue. Each thread owns an HttpClient (or none),
// because those serve one thread at a time.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "net/http_client.h"

namespace knock::sso {

class Pool {
 public:
  /// Must not throw. The client may be null, as the factory made it.
  using Job = std::function<void(net::HttpClient*)>;
  Pool(std::size_t threads, std::size_t most_waiting,
       std::function<std::unique_ptr<net::HttpClient>()> make_http);
  /// Runs what is queued, then ends the threads.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// False when the queue is full. Any thread.
  bool add(Job job);

 private:
  void run(net::HttpClient* http);

  const std::size_t most_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> waiting_;
  bool ending_ = false;
  std::vector<std::unique_ptr<net::HttpClient>> clients_;
  std::vector<std::thread> threads_;
};

}  // namespace knock::sso
