// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/network_prefixes.h"

namespace knock {

std::vector<Prefix> prefixes_of(const Policy& policy, const std::vector<NetworkName>& names) {
  std::vector<Prefix> out;
  for (const NetworkName& name : names)
    if (const Network* network = policy.network(name))
      for (const NetworkPrefix& entry : network->prefixes) out.push_back(entry.prefix);
  return out;
}

}  // namespace knock
