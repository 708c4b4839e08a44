// SPDX-License-Identifier: Apache-2.0
#include "cli/registry.h"

#include "agents/host/local_channel.h"
#include "agents/nftables/provider.h"

namespace knock::cli {
namespace {

Result<std::unique_ptr<ApplyChannel>> channel_to(const NftablesSettings& settings,
                                                 const ApplyChannels& channels) {
  return channels ? channels(settings.netns) : host::open_local_channel(settings.netns);
}

}  // namespace

ProviderFactory provider_factory(OwnerId owner, ApplyChannels channels) {
  return [owner, channels = std::move(channels)](
             const Target& target, TargetMoved moved) -> Result<std::unique_ptr<Provider>> {
    if (const auto* nftables = std::get_if<NftablesSettings>(&target.settings)) {
      KNOCK_ASSIGN(auto channel, channel_to(*nftables, channels));
      return make_nftables_provider(target.name, *nftables, owner, std::move(channel),
                                    std::move(moved));
    }
    return fail(ErrorKind::unsupported,
                "this build has no provider for targets of type " + target.type);
  };
}

}  // namespace knock::cli
