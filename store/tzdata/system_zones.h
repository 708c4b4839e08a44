// SPDX-License-Identifier: Apache-2.0
// The system's IANA time zones (Debian: package tzdata, in /usr/share/zoneinfo). Nothing is kept
// between calls: a policy holds the tables of the zones that it names, and a policy loaded after an
// update of tzdata has the new ones.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "schemas/policy/load.h"

namespace knock {

/// `folder` is absolute. Any thread.
class SystemZones final : public ZoneSource {
 public:
  explicit SystemZones(std::string folder = "/usr/share/zoneinfo") : folder_(std::move(folder)) {}
  Result<std::shared_ptr<const Zone>> zone(const std::string& name) const override;
  std::vector<std::string> names() const override;

 private:
  std::string folder_;
};

std::shared_ptr<const ZoneSource> system_zones();

}  // namespace knock
