// SPDX-License-Identifier: Apache-2.0
// One end of a socket pair between two roles: frames out from any thread, frames in on a thread of
// its own, and the news that the other end is gone. Frames are those of schemas/role/wire.h; what
// is in them is the caller's matter.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace knock::net {

class FrameLink {
 public:
  struct Events {
    /// One frame without its length. False: out of shape, nothing the other end says can be trusted
    /// any more.
    std::function<bool(std::string_view body)> frame;
    /// The other end is gone, or was not trusted. Called once, last.
    std::function<void()> closed;
  };

  static constexpr std::size_t kMaxFrame = 16u << 20;

  /// Takes the socket over. `events` are called on the link's thread.
  FrameLink(int socket, Events events);
  /// Closes the socket and waits for the thread; must not be called from within an event.
  ~FrameLink();
  FrameLink(const FrameLink&) = delete;
  FrameLink& operator=(const FrameLink&) = delete;

  /// The whole frame with its length in front. Any thread; frames do not mix. An end that does not
  /// read by the deadline ends the link.
  Status send(std::string_view frame, Deadline deadline);
  /// Ends the link from this side; `closed` follows.
  void shut_down();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Blocks: reads frames from `socket` and hands each to `frame` until the other end closes (fine),
/// or one is out of shape (an error). For roles whose main thread has nothing else to do. Does not
/// close the socket.
Status read_frames(int socket, const std::function<bool(std::string_view body)>& frame);

}  // namespace knock::net
