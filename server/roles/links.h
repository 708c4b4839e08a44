// SPDX-License-Identifier: Apache-2.0
// The roles' ends of the sockets between them: front asks core; core asks its verifier and, through
// the parent, for fresh roles. Each is the interface that the in-process version implements too, so
// neither side can tell.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "net/frame_link.h"
#include "schemas/role/spawn.h"
#include "server/core/sign_in.h"
#include "server/core/verifier_channel.h"
#include "server/front/core_channel.h"

namespace knock::server {

/// Front's way to core. When core is gone every question fails with `unavailable`, and `gone` is
/// called once.
class SocketCore final : public CoreChannel {
 public:
  /// Given what answers core's ping; whoever runs it there says that the calling thread works.
  using OnPing = std::function<void(std::function<void()> pong)>;
  SocketCore(
      int socket, std::function<void()> gone,
      OnPing on_ping = [](const std::function<void()>& pong) { pong(); });
  void ask(role::FromFront question, std::function<void(Result<role::ToFront>)> then) override;

 private:
  bool answered(std::string_view body);
  void closed();
  void pong(std::uint64_t request);

  std::mutex mutex_;
  std::map<std::uint64_t, std::function<void(Result<role::ToFront>)>> waiting_;
  std::uint64_t last_ = 0;
  bool closed_ = false;
  std::function<void()> gone_;
  OnPing on_ping_;
  net::FrameLink link_;  // last: its thread uses the rest
};

/// Core's end: front's questions go to SignIn, answers go back. A question that is out of shape
/// ends the link: front is not what it was. `gone` is called once when that happens or front ends.
/// So does a ping that is not answered within `patience`: front hangs, and whoever made the link
/// asks for another. Without `api`, machines are told that there is none.
class FrontLink {
 public:
  /// Calls back once, on any thread.
  using Api = std::function<void(role::ApiCall, std::function<void(role::ToFront)>)>;
  FrontLink(int socket, SignIn& sign_in, std::function<void()> gone,
            Duration patience = Duration::seconds(10), Api api = {});
  ~FrontLink();

 private:
  struct Shared;
  void watch(const std::stop_token& stop, Duration beat);

  std::shared_ptr<Shared> shared_;
  std::mutex beating_;
  std::condition_variable_any stopping_;
  std::jthread watching_;  // last
};

/// Where fresh roles come from.
class RoleSource {
 public:
  virtual ~RoleSource() = default;
  /// The new role's socket, which becomes the caller's. Any thread.
  virtual Result<int> spawn(const role::ToParent& what) = 0;
};

/// Asks the parent for roles, one question at a time.
class Spawner final : public RoleSource {
 public:
  explicit Spawner(int socket) : socket_(socket) {}
  Result<int> spawn(const role::ToParent& what) override;
  /// Some role could not become another user.
  bool users_shared() const { return user_kept_; }

 private:
  std::mutex mutex_;
  int socket_;
  std::atomic<bool> user_kept_{false};
};

/// Core's way to its verifier. A verifier that ends (as it does after 1,000 proofs, or after any
/// error) is replaced by the parent at the next question; what it owed fails with `unavailable`. So
/// is one that owes an answer for longer than `patience`: it hangs. When nobody asks, a ping does, so
/// that the next sign-in need not find out. Beyond kMostWaiting questions under way the next fail at
/// once with `rate_limited`.
class SocketVerifier final : public VerifierChannel {
 public:
  // Fewer than fill the socket of a verifier that does not read: whoever asks must not wait for it.
  static constexpr std::size_t kMostWaiting = 200;

  /// Longer than the verifier's own patience with a provider and its queue of passwords.
  explicit SocketVerifier(RoleSource& spawner, Duration patience = Duration::seconds(30));
  ~SocketVerifier() override;
  void ask(role::ToVerifier question, Answer answer) override;
  /// Starts one now, so that the first sign-in does not wait for it.
  Status start();

 private:
  struct Live;
  Result<std::shared_ptr<Live>> live();
  void put(const std::shared_ptr<Live>& target, role::ToVerifier question, Answer answer);
  void watch(const std::stop_token& stop);

  RoleSource& spawner_;
  const Duration patience_;
  std::mutex mutex_;
  std::condition_variable_any stopping_;
  std::shared_ptr<Live> live_;
  std::uint64_t last_ = 0;
  std::jthread watching_;  // last
};

}  // namespace knock::server
