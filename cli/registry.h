// SPDX-License-Identifier: Apache-2.0
// The one table from a target's type to the provider that serves it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agents/nftables/channel.h"
#include "base/ids.h"
#include "reconciler/loop/planner.h"

namespace knock::cli {

/// How a provider of a local firewall reaches the half that may touch it, by network namespace (""
/// = ours). Empty: within this process.
using ApplyChannels =
    std::function<Result<std::unique_ptr<ApplyChannel>>(const std::string& netns)>;

ProviderFactory provider_factory(OwnerId owner, ApplyChannels channels = {});

}  // namespace knock::cli
