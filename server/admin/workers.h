// SPDX-License-Identifier: Apache-2.0
// Threads that do jobs in the order in which they came. What waits when this dies is still done:
// somebody waits for each answer.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace knock {

class Workers {
 public:
  /// Beyond `most_waiting` jobs no more are taken.
  explicit Workers(std::size_t threads, std::size_t most_waiting = std::size_t(-1));
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Any thread. False, and `job` is not taken, when too many wait.
  [[nodiscard]] bool take(std::function<void()> job);

 private:
  void work(const std::stop_token& stop);

  const std::size_t most_waiting_;
  std::mutex mutex_;
  std::condition_variable_any ready_;
  std::deque<std::function<void()>> waiting_;
  std::vector<std::jthread> threads_;  // last
};

}  // namespace knock
