// SPDX-License-Identifier: Apache-2.0
// How the provider reaches the half that may change the firewall: within this process
// (agents/host/local_channel.h) or over a socket to the `apply` role.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "schemas/role/apply.h"

namespace knock {

class ApplyChannel {
 public:
  /// Any thread; must not block.
  using Moved = std::function<void(const std::string& table)>;

  virtual ~ApplyChannel() = default;
  /// The answer to this message (its `request` is chosen by the channel). An error means that no
  /// answer came: what the message asked for may have been done. Any thread.
  virtual Result<role::FromApply> call(const role::ToApply& message, Deadline deadline) = 0;
  /// Called when somebody else changed a table that was named in an earlier call, and with "" when
  /// nobody watches any more (the apply role has ended): anything may have changed. Not called any
  /// more once the channel is gone.
  virtual void on_moved(Moved moved) = 0;
};

/// The core's end of a socket whose other end is run_privileged(). One socket may serve several
/// targets: each gets a channel of its own.
class SocketLink;
class SocketApplyChannel final : public ApplyChannel {
 public:
  /// Takes the socket over and closes it with the last channel. Starts a reading thread.
  explicit SocketApplyChannel(int socket);
  ~SocketApplyChannel() override;
  SocketApplyChannel(const SocketApplyChannel&) = delete;
  SocketApplyChannel& operator=(const SocketApplyChannel&) = delete;
  /// Another channel over the same socket.
  std::unique_ptr<SocketApplyChannel> share() const;

  Result<role::FromApply> call(const role::ToApply& message, Deadline deadline) override;
  void on_moved(Moved moved) override;

 private:
  explicit SocketApplyChannel(std::shared_ptr<SocketLink> link);
  std::shared_ptr<SocketLink> link_;
};

}  // namespace knock
