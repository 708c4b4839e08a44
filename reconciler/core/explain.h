// SPDX-License-Identifier: Apache-2.0
// Why somebody may reach a service now, or the first condition that is missing. Same decision as
// the evaluator: it asks the same functions, and then says which rule, group and source made it so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reconciler/core/evaluate.h"

namespace knock {

struct Explanation {
  /// One step of the proof, in a sentence of its own.
  struct Link {
    enum class Kind : std::uint8_t { session, group, claim, approval, rule, end };
    Kind kind = Kind::session;
    std::string sentence;
  };
  bool allowed = false;
  ServiceName service;
  RuleName rule;            // allowed: the rule that gives it
  Instant until;            // allowed
  std::vector<Link> chain;  // allowed: from the sign-in to the rule and its end
  /// Where the rule stands that gives it, or lacks least, or denies it; line 0: there is none.
  SourceRange origin;
  std::string missing;          // not allowed: the first missing condition
  std::string smallest_change;  // not allowed: what would allow it, never a wider network
  /// Not allowed: which condition of which rule is missing, or which deny rule closes it; empty
  /// when the session is over or no rule reaches the service.
  RuleName nearest;
  std::optional<Condition> lacks;
  RuleName denied_by;
};

std::string_view to_string(Explanation::Link::Kind kind);
/// "ana signed in at corp from 192.0.2.7 at …, session …": where every chain begins.
std::string sign_in_line(const Session& session);

Explanation explain(const Policy& policy, const Session& session, const ServiceName& service,
                    const Circumstances& circumstances);
/// For many questions under the same circumstances.
Explanation explain(const Policy& policy, Openings& openings, const Session& session,
                    const ServiceName& service, Instant now);
/// With nobody else signed in and no approval.
Explanation explain(const Policy& policy, const Session& session, const ServiceName& service,
                    Instant now);

/// What a `static:` rule gives to whoever comes from `prefix`, with its reason and owner. `until` is
/// its own; nothing when the policy has no such rule.
std::optional<Explanation> explain_static(const Policy& policy, const RuleName& rule,
                                          const ServiceName& service, const Prefix& prefix);

/// Somebody who is not signed in, but whose groups are known (`source` and `groups` of `session`;
/// its address means nothing): what decides after a sign-in, in one sentence.
std::string after_a_sign_in(const Policy& policy, const Session& session,
                            const ServiceName& service);

}  // namespace knock
