// SPDX-License-Identifier: Apache-2.0
// The policy files that `knock init --from nftables` and `knock import` write: what the machine's own rules let in
// today, as services and static entries that end, so that each must be looked at. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/prefix.h"
#include "base/time.h"
#include "schemas/nftables/ruleset.h"

namespace knock::cli {

struct ImportedPolicy {
  std::string text;  // of one policy file, formatted; it loads together with the starter's targets
  std::size_t services = 0, entries = 0, open_to_everybody = 0, left_out = 0;
  bool through = false;  // needs the target `behind-this-host`
};

/// How long an imported entry lives before somebody must have said who it is for.
inline constexpr Duration kImportedLife = Duration::hours(90 * 24);

ImportedPolicy imported_policy(const OwnRules& rules, Instant now);

/// What stands on a target of ours and is not ours.
struct FoundEntry {
  std::string service;  // of the policy: the slot it stands in
  Prefix prefix;
  std::string comment;          // somebody's own, printable
  std::optional<Instant> ends;  // as the target counts
};
/// For `knock import`: static entries alone, because the services are the policy's own.
ImportedPolicy imported_entries(const std::string& target, std::vector<FoundEntry> found,
                                Instant now);

}  // namespace knock::cli
