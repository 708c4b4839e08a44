// SPDX-License-Identifier: Apache-2.0
// What the loop measures about itself. A sink, so that the loop knows no metrics library. Any
// thread; must not block.
#pragma once

#include "base/ids.h"

namespace knock {

class Meter {
 public:
  virtual ~Meter() = default;
  /// From the sign-in (or whatever made the address dirty) to the target's confirmation.
  virtual void granted(const TargetName& target, double seconds) = 0;
  /// From the sign-out or revocation to the target's confirmation.
  virtual void revoked(const TargetName& target, double seconds) = 0;
  /// How long after a deadline the loop came to it. The targets that expire by themselves did not
  /// wait for that.
  virtual void expired(double seconds) = 0;
  /// More opened by sign-ins at once than guards.additions lets a policy.
  virtual void surged(const TargetName&) {}
};

}  // namespace knock
