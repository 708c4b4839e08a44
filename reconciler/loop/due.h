// SPDX-License-Identifier: Apache-2.0
// Something that ends at a known instant: a session, or an entry on a target. Private to
// reconciler/loop.
#pragma once

#include "reconciler/loop/reconciler.h"

namespace knock {

struct Reconciler::Due {
  Instant at;
  SessionId session;  // or
  TargetName target;  // with slot and prefix; without: its pause
  std::string slot;
  Prefix prefix;
  /// For a heap whose top is the soonest.
  friend bool operator<(const Due& a, const Due& b) { return b.at < a.at; }
};

}  // namespace knock
