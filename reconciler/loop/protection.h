// SPDX-License-Identifier: Apache-2.0
// Which ports we protected, by the log. A target that shows a port open says nothing about who
// opened it: only what we did ourselves tells healing from a new thing.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "base/ids.h"
#include "base/port_range.h"
#include "reconciler/interfaces/fact_store.h"
#include "schemas/plan/plan.h"

namespace knock {

/// By target; canonical, no empty ones.
using Protection = std::map<TargetName, std::vector<PortRange>>;

/// Takes a `protect` or `unprotect` that was done into account; other changes mean nothing here.
void note_protection(std::vector<PortRange>& ports, const Change& change);

/// For the log: what it says of these ports is about another place than the target's from now on.
ChangeApplied no_longer_known(const TargetName& target, const PolicyRevision& policy,
                              const std::vector<PortRange>& ports);

/// Reads the whole log once; `each` is called with every record, and may be empty.
Result<Protection> protection_by_log(const FactStore& store,
                                     const std::function<Status(const Record&)>& each = {});

}  // namespace knock
