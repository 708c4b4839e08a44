// SPDX-License-Identifier: Apache-2.0
// policy × sessions × now → one Allowlist per target. Pure. Deny wins, default is deny, order of
// rules and sessions means nothing. A deadline is the minimum of everything that bounds it, in
// whole seconds, rounded down.
//
// This is the plain evaluator: it looks at every session for every rule, and is the oracle for
// anything cleverer.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/prefix.h"
#include "reconciler/interfaces/provider.h"
#include "schemas/policy/policy.h"
#include "schemas/session/session.h"

namespace knock {

struct EvaluateInput {
  const Policy& policy;
  std::span<const Session> sessions;
  Instant now;
  std::span<const Prefix> keep;
};

/// Every target of the policy, in its order. A target whose service has no entries is listed with
/// an empty service.
std::vector<Allowlist> evaluate(const EvaluateInput& input);

/// Only what concerns one address: the entries whose prefix is that host, of every target that has
/// a service. Gives exactly the rows of evaluate() with that prefix, when `sessions` holds at least
/// every session at that address.
std::vector<Allowlist> evaluate_host(const EvaluateInput& input, const IpAddress& address);

/// True when policy's group counts this session as a member.
bool is_member(const Group& group, const Session& session);

/// True when an address meets a rule's `from`.
bool comes_from(const Policy& policy, const SourceCondition& from, const IpAddress& address);

/// True when a deny rule closes this service to the session.
bool is_denied(const Policy& policy, const Session& session, const ServiceName& service);

/// What deny rules close at this service whoever comes from there; not sorted.
std::vector<Prefix> denied_networks(const Policy& policy, const ServiceName& service);

/// What one session may reach, for the portal and for `why`.
struct Reach {
  ServiceName service;
  RuleName rule;
  Instant until;
};
/// Sorted by service; of several rules the one with the latest deadline (then the first name).
std::vector<Reach> reach_of(const Policy& policy, const Session& session, Instant now);

}  // namespace knock
