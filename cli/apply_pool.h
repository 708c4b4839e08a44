// SPDX-License-Identifier: Apache-2.0
// Core's ways to the `apply` roles, one for each network namespace. A role that has ended is made
// anew by the parent at the next call; whoever uses the channel only sees one failed call.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "agents/nftables/channel.h"
#include "server/roles/links.h"

namespace knock::cli {

class ApplyPool {
 public:
  /// `spawner` must outlive the pool and its channels.
  explicit ApplyPool(server::Spawner& spawner);
  /// Any thread.
  Result<std::unique_ptr<ApplyChannel>> open(const std::string& netns);

 private:
  struct Shared;
  class Channel;
  std::shared_ptr<Shared> shared_;
};

}  // namespace knock::cli
