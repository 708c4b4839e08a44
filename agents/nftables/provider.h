// SPDX-License-Identifier: Apache-2.0
// A Linux host's nftables as a target: one table of our own, a slot for each service, an element
// for each entry. The kernel counts the life of every element, so access ends in time with no
// controller alive, and ends open connections too. agents/host/layout.h draws the table.
//
// It only ever restricts: another program's chain may still drop what is accepted here.
#pragma once

#include <memory>

#include "agents/nftables/channel.h"
#include "base/ids.h"
#include "reconciler/interfaces/provider.h"
#include "schemas/policy/policy.h"

namespace knock {

/// `moved` may be empty. It is called from the channel's thread, never after the provider is gone.
Result<std::unique_ptr<Provider>> make_nftables_provider(const TargetName& target,
                                                         const NftablesSettings& settings,
                                                         OwnerId owner,
                                                         std::unique_ptr<ApplyChannel> channel,
                                                         TargetMoved moved);

}  // namespace knock
