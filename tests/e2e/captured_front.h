// SPDX-License-Identifier: Apache-2.0
// A front in an attacker's hands: this program plays the parent for a real core, gives it a real
// verifier and a real apply, and keeps front's end of the socket for itself.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "schemas/role/front.h"
#include "tests/e2e/world.h"

namespace knock::test {

/// Front's end of one link to core. Whatever reads from it answers core's pings on the way, so that
/// core takes it for alive as long as somebody asks now and then.
class FrontEnd {
 public:
  explicit FrontEnd(int socket) : socket_(socket) {}
  ~FrontEnd();
  FrontEnd(const FrontEnd&) = delete;
  FrontEnd& operator=(const FrontEnd&) = delete;

  /// False when core does not take it (any more).
  bool send(std::string_view bytes) const;
  /// One question with a number of its own, and the answer to it. Nothing when the link ends or ten
  /// seconds pass.
  std::optional<role::ToFront> ask(role::FromFront question);
  template <class Message>
  std::optional<Message> ask_for(role::FromFront question) {
    auto answer = ask(std::move(question));
    auto* message = answer ? std::get_if<Message>(&*answer) : nullptr;
    return message != nullptr ? std::optional(std::move(*message)) : std::nullopt;
  }
  /// The reason of a refusal; "" for any other answer, or none.
  std::string refusal(role::FromFront question);
  /// Ends the link from this side; a send that waits fails.
  void hang_up() const;
  /// Core has closed the link.
  bool ended(Duration patience = Duration::seconds(5));

 private:
  enum class Got { something, nothing, end };
  Got more(Deadline deadline);
  int socket_;
  std::uint64_t last_ = 0;
  std::string input_;
  std::deque<role::ToFront> answers_;
};

class CapturedFront {
 public:
  /// The world's installation must not run. Throws when core does not come up.
  explicit CapturedFront(World& world);
  ~CapturedFront();
  CapturedFront(const CapturedFront&) = delete;
  CapturedFront& operator=(const CapturedFront&) = delete;

  /// Core's next link: the first, or the one that core has asked for since the last one ended.
  std::unique_ptr<FrontEnd> link();
  bool core_runs();

 private:
  pid_t start(const std::string& role, const std::vector<int>& descriptors,
              const std::vector<std::string>& more);
  void end();
  void serve_wishes();
  int grant(std::string_view wish);

  World& world_;
  int wishes_ = -1, verifier_start_ = -1;
  pid_t core_ = -1;
  std::vector<pid_t> others_;
  std::mutex mutex_;
  std::condition_variable fresh_;
  std::deque<int> links_;
  std::thread thread_;
};

}  // namespace knock::test
