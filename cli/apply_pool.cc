// SPDX-License-Identifier: Apache-2.0
#include "cli/apply_pool.h"

namespace knock::cli {

/// The live role of each namespace. Channels share it, so that several targets of one namespace
/// have one role; it ends with the last of them, or a plan would leave one behind for each place
/// that it looked at.
struct ApplyPool::Shared {
  explicit Shared(server::Spawner& from) : spawner(from) {}
  server::Spawner& spawner;
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<SocketApplyChannel>> live;
  std::map<std::string, int> channels;  // that may ask for it

  Result<std::unique_ptr<SocketApplyChannel>> connect(const std::string& netns) {
    std::lock_guard lock(mutex);
    auto& role = live[netns];
    if (role == nullptr) {
      KNOCK_ASSIGN(int socket, spawner.spawn(role::SpawnApply{netns}));
      role = std::make_shared<SocketApplyChannel>(socket);
    }
    return role->share();
  }
  void enter(const std::string& netns) {
    std::lock_guard lock(mutex);
    ++channels[netns];
  }
  void leave(const std::string& netns) {
    std::lock_guard lock(mutex);
    if (--channels[netns] > 0) return;
    channels.erase(netns);
    live.erase(netns);
  }
  /// The role that somebody found to be gone; another may have been made meanwhile.
  void forget(const std::string& netns) {
    std::lock_guard lock(mutex);
    live.erase(netns);
  }
};

class ApplyPool::Channel final : public ApplyChannel {
 public:
  Channel(std::shared_ptr<Shared> shared, std::string netns)
      : shared_(std::move(shared)), netns_(std::move(netns)) {
    shared_->enter(netns_);
  }
  ~Channel() override {
    to_.reset();
    shared_->leave(netns_);
  }

  Result<role::FromApply> call(const role::ToApply& message, Deadline deadline) override {
    KNOCK_ASSIGN(auto to, connected());
    auto answer = to->call(message, deadline);
    // Gone, or stuck: one that never answers would keep its firewall from being changed for ever.
    // A new one is made at the next call, and the parent ends the former before.
    bool lost = !answer && (answer.error().kind == ErrorKind::unavailable ||
                            (answer.error().kind == ErrorKind::timeout && deadline.passed()));
    if (!lost) return answer;
    std::lock_guard lock(mutex_);
    if (to_ == to) {
      to_.reset();
      shared_->forget(netns_);
    }
    return answer;
  }

  void on_moved(Moved moved) override {
    std::lock_guard lock(mutex_);
    moved_ = std::move(moved);
    if (to_ != nullptr) to_->on_moved(moved_);
  }

 private:
  Result<std::shared_ptr<SocketApplyChannel>> connected() {
    std::lock_guard lock(mutex_);
    if (to_ != nullptr) return to_;
    KNOCK_ASSIGN(auto fresh, shared_->connect(netns_));
    to_ = std::move(fresh);
    if (moved_) to_->on_moved(moved_);
    return to_;
  }

  std::shared_ptr<Shared> shared_;
  std::string netns_;
  std::mutex mutex_;
  std::shared_ptr<SocketApplyChannel> to_;
  Moved moved_;
};

ApplyPool::ApplyPool(server::Spawner& spawner) : shared_(std::make_shared<Shared>(spawner)) {}

Result<std::unique_ptr<ApplyChannel>> ApplyPool::open(const std::string& netns) {
  return std::make_unique<Channel>(shared_, netns);
}

}  // namespace knock::cli
