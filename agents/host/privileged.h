// SPDX-License-Identifier: Apache-2.0
// The half that may change a firewall: executes the messages of schemas/role/apply.h on tables of
// our own in the network namespace it was opened in. Needs CAP_NET_ADMIN there and nothing else.
// It links the kernel's interface and this project's wire format: no JSON, no HTTP, no policy.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agents/host/elements.h"
#include "agents/host/monitor.h"
#include "agents/host/netlink.h"
#include "base/result.h"
#include "schemas/role/apply.h"

namespace knock::host {

/// One thread: the one that opened it, whose network namespace it stays in.
class Privileged {
 public:
  static Result<Privileged> open();

  /// Never throws, never leaves half of a message done.
  role::FromApply handle(const role::ToApply& message);

  /// Readable when a firewall event is waiting: call take_moved().
  int event_fd() const { return monitor_.fd(); }
  /// Tables named in earlier messages that somebody else changed since the last call.
  std::vector<role::TableMoved> take_moved();

 private:
  Privileged(Netlink netlink, Monitor monitor)
      : netlink_(std::move(netlink)), monitor_(std::move(monitor)), loopback_(loopback()) {}
  static std::uint32_t loopback();
  Result<role::FromApply> run(const role::Ensure& message);
  Result<role::FromApply> run(const role::ChangeElements& message);
  Result<role::FromApply> run(const role::ReadBack& message);
  /// The generation it made. `built_once`: an earlier attempt changed the elements already.
  Result<std::uint32_t> ensure_once(const role::Ensure& message, bool& built_once);
  Result<role::FromApply> run(const role::TakeOver& message);
  Result<std::uint32_t> take_over_once(const role::TakeOver& message);
  Result<std::uint32_t> put_mark(const std::string& table, OwnerId owner);
  Result<role::TableFound> read_once(const std::string& table);
  /// Reads events, then compares. 0 is always good.
  Status check_fence(const std::string& table, std::uint32_t fence);
  /// Commits as long as the table is as it was at `since` (0: do not compare), however often other
  /// tables move.
  Result<Committed> commit(Batch& batch, const std::string& table, std::uint32_t since);
  /// What `prepare` puts into a batch (it may be called twice), and the changes of elements.
  Result<Committed> commit_with_elements(const std::function<void(Batch&)>& prepare,
                                         const std::string& table, std::uint32_t since,
                                         const std::vector<role::ElementChange>& changes);
  Result<PresentKeys> present_keys(const std::string& table,
                                   const std::vector<role::ElementChange>& changes);

  Netlink netlink_;
  Monitor monitor_;
  std::uint32_t loopback_;  // asked for once, before whoever runs us takes sockets away
};

/// Serves a socket whose other end is core, until that closes (then it returns) or a frame is out
/// of shape (an error). Frames as in schemas/role/wire.h. Blocks the calling thread.
Status run_privileged(int socket);

}  // namespace knock::host
