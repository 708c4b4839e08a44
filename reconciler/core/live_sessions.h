// SPDX-License-Identifier: Apache-2.0
// What else than its end closes a service to a session that lives: a deny rule, or a rule that
// counts. Nothing is computed before something is asked, and then once, so that one of these serves
// all targets of a plan: few of a hundred thousand sessions are ever asked about. Pure; one thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "reconciler/core/conditions.h"

namespace knock {

class LiveSessions {
 public:
  /// The policy and the spans outlive it.
  LiveSessions(const Policy& policy, const Circumstances& circumstances);

  bool denied(const std::string& slot, const SessionId& id);
  /// Some rule would give it, were it not for what it counts.
  bool limited(const std::string& slot, const SessionId& id);
  /// Its source took groups from it, or will have when nobody believes it again.
  bool regrouped(const SessionId& id);

 private:
  const Session* find(const SessionId& id);
  const std::vector<const AllowRule*>& rules_of(const std::string& slot);

  const Policy& policy_;
  Circumstances circumstances_;
  Conditions conditions_;
  bool counting_ = false;
  bool sorted_ = false;
  std::vector<const Session*> live_;  // by id, once something was asked
  std::map<std::string, std::vector<const AllowRule*>> rules_;
};

}  // namespace knock
