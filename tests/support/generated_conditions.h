// SPDX-License-Identifier: Apache-2.0
// Random policies with every condition a rule can have, and sessions and approvals that meet some
// of them. To be called inside a rapidcheck property only.
#pragma once

#include <string>
#include <vector>

#include "reconciler/core/evaluate.h"
#include "tests/support/generators.h"

namespace knock::test {

/// A moment with everything a decision depends on.
struct Moment {
  Policy policy;
  std::vector<Session> sessions;
  std::vector<Approval> approvals;
  Instant now;

  std::vector<Allowlist> evaluated() const {
    return evaluate({policy, sessions, now, {}, approvals});
  }
  Circumstances circumstances() const { return {now, sessions, approvals}; }
};

/// Every condition as often as every other, or few others beside these, so that they matter.
enum class Focus { everything, places, crowds, widening, schedules };

/// About 2027-01-15 08:00 UTC, a Friday. Conditions are lenient enough that most moments have
/// entries; IPv6 addresses share prefixes; rules that count meet people with several addresses.
Moment any_moment(Focus focus = Focus::everything);
/// Adds conditions to the allow rules of a policy.
void add_conditions(Policy& policy, Focus focus = Focus::everything);
void add_deny_rule(Policy& policy);

std::string describe(const Moment& moment);

}  // namespace knock::test
