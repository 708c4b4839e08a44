// SPDX-License-Identifier: Apache-2.0
// Why somebody may reach a service now, or the first condition that is missing. Same decision as
// the evaluator: it asks the same functions, and then says which rule, group and source made it so.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reconciler/core/evaluate.h"

namespace knock {

struct Explanation {
  bool allowed = false;
  ServiceName service;
  RuleName rule;                   // allowed: the rule that gives it
  Instant until;                   // allowed
  std::vector<std::string> chain;  // allowed: from the sign-in to the rule, one sentence each
  std::string missing;             // not allowed: the first missing condition
  std::string smallest_change;     // not allowed: what would allow it, never a wider network
  /// Not allowed: which condition of which rule is missing, or which deny rule closes it; empty
  /// when the session is over or no rule reaches the service.
  RuleName nearest;
  std::optional<Condition> lacks;
  RuleName denied_by;
};

Explanation explain(const Policy& policy, const Session& session, const ServiceName& service,
                    const Circumstances& circumstances);
/// For many questions under the same circumstances.
Explanation explain(const Policy& policy, Openings& openings, const Session& session,
                    const ServiceName& service, Instant now);
/// With nobody else signed in and no approval.
Explanation explain(const Policy& policy, const Session& session, const ServiceName& service,
                    Instant now);

}  // namespace knock
