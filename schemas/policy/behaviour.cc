// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/behaviour.h"

namespace knock {

Behaviour behaviour_of(Preset preset) {
  Behaviour out;
  out.preset = preset;
  switch (preset) {
    case Preset::standard:
      break;
    case Preset::strict:
      out.shared_addresses = SharedAddresses::deny;
      out.over_limit = OverLimit::refuse;
      out.warn_before_end = Duration::hours(30 * 24);
      out.longest_ttl = Duration::hours(12);
      out.longest_static = Duration::hours(365 * 24);
      break;
  }
  return out;
}

}  // namespace knock
