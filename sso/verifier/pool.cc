// SPDX-License-Identifier: Apache-2.0
#include "sso/verifier/pool.h"

namespace knock::sso {

Pool::Pool(std::size_t threads, std::size_t most_waiting,
           std::function<std::unique_ptr<net::HttpClient>()> make_http)
    : most_waiting_(most_waiting) {
  for (std::size_t i = 0; i < threads; ++i) clients_.push_back(make_http());
  for (auto& client : clients_) threads_.emplace_back([this, http = client.get()] { run(http); });
}

Pool::~Pool() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

bool Pool::add(Job job) {
  {
    std::lock_guard lock(mutex_);
    if (waiting_.size() >= most_waiting_) return false;
    waiting_.push_back(std::move(job));
  }
  changed_.notify_one();
  return true;
}

void Pool::run(net::HttpClient* http) {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      job = std::move(waiting_.front());
      waiting_.pop_front();
    }
    job(http);
  }
}

}  // namespace knock::sso
