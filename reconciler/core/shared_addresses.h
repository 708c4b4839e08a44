// SPDX-License-Identifier: Apache-2.0
// Who is let in by somebody else's right. An entry is an address, and people behind one NAT or proxy
// share it: what opens for one of them opens for all. Pure.
#pragma once

#include <span>
#include <vector>

#include "reconciler/interfaces/provider.h"
#include "schemas/plan/plan.h"
#include "schemas/session/session.h"

namespace knock {

/// So many are named one by one; the rest is counted in one finding more.
inline constexpr std::size_t kSharedAddressesNamed = 100;

/// A warning "address.shared" for each address and service where people are signed in, some of whom
/// cause the entry that opens it and some of whom do not (no rule gives it to them, or one denies
/// it). Sorted by address and service. People who are not signed in are not known here. `lists`: the
/// evaluation of what is planned; `only`: the targets that count; empty: every one.
std::vector<Finding> shared_addresses(std::span<const Allowlist> lists,
                                      std::span<const Session> sessions, Instant now,
                                      std::span<const TargetName> only = {});

}  // namespace knock
