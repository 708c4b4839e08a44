// SPDX-License-Identifier: Apache-2.0
#include "server/admin/workers.h"

#include <utility>

namespace knock {

Workers::Workers(std::size_t threads, std::size_t most_waiting) : most_waiting_(most_waiting) {
  for (std::size_t i = 0; i < threads; ++i)
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
}

Workers::~Workers() = default;

bool Workers::take(std::function<void()> job) {
  std::lock_guard lock(mutex_);
  if (waiting_.size() >= most_waiting_) return false;
  waiting_.push_back(std::move(job));
  ready_.notify_one();
  return true;
}

void Workers::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (ready_.wait(lock, stop, [&] { return !waiting_.empty(); })) {
    auto job = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    job();
    job = nullptr;  // what it holds ends before the next wait, and without the lock
    lock.lock();
  }
}

}  // namespace knock
