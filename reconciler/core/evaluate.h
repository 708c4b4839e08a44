// SPDX-License-Identifier: Apache-2.0
// policy × sessions × now → one Allowlist per target. Pure. Deny wins, default is deny, order of
// rules and sessions means nothing. A deadline is the minimum of everything that bounds it, in
// whole seconds, rounded down.
//
// The conditions of a rule are in conditions.h, what a session opens in openings.h; here openings
// become entries. evaluate() finds the rules of a session by an index; evaluate_host() and
// reach_of() look at every rule, and are the oracle for it.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/prefix.h"
#include "reconciler/core/conditions.h"
#include "reconciler/core/openings.h"
#include "reconciler/interfaces/provider.h"
#include "schemas/policy/policy.h"
#include "schemas/session/session.h"

namespace knock {

struct EvaluateInput {
  const Policy& policy;
  std::span<const Session> sessions;
  Instant now;
  std::span<const Prefix> keep;
  std::span<const Approval> approvals = {};
};

/// Every target of the policy, in its order. A target whose service has no entries is listed with
/// an empty service.
std::vector<Allowlist> evaluate(const EvaluateInput& input);

/// Only the entries of one prefix, of every target that has a service. Gives exactly the rows of
/// evaluate() with that prefix, when `sessions` holds at least everybody of neighbours().
std::vector<Allowlist> evaluate_prefix(const EvaluateInput& input, const Prefix& prefix);
/// The rows of one host.
std::vector<Allowlist> evaluate_host(const EvaluateInput& input, const IpAddress& address);

/// What each target drops by default, in the order of the policy's targets; canonical. Of the policy
/// alone.
std::vector<std::vector<PortRange>> protected_ports(const Policy& policy);

/// True when a deny rule closes this service to the session.
bool is_denied(const Policy& policy, const Session& session, const ServiceName& service);

/// What deny rules close at this service whoever comes from there; not sorted.
std::vector<Prefix> denied_networks(const Policy& policy, const ServiceName& service);

/// What one session may reach, for the portal and for `why`.
struct Reach {
  ServiceName service;
  RuleName rule;
  Instant until;
  Prefix prefix;  // what is opened for it around the session's own address
  Lasts lasts = Lasts::until_deadline;
  Instant come_by;  // lasts disconnect
};
/// Sorted by service; of several rules the one that opens most (then the first name).
std::vector<Reach> reach_of(const Policy& policy, const Session& session,
                            const Circumstances& circumstances);
/// With nobody else signed in and no approval.
std::vector<Reach> reach_of(const Policy& policy, const Session& session, Instant now);
/// For many sessions under the same circumstances.
std::vector<Reach> reach_of(Openings& openings, const Session& session);

/// How sessions depend on each other under a policy.
struct Coupling {
  bool by_person = false;        // some rule counts a person's addresses
  bool by_address = false;       // some rule counts the people at an address
  std::uint8_t v6_prefix = 128;  // the widest prefix that a rule opens around an IPv6 address
  /// A prefix so wide around an address: who shares it, and what may be opened for it, is in there.
  Prefix around(const IpAddress& address) const;
  friend bool operator==(const Coupling&, const Coupling&) = default;
};
Coupling coupling_of(const Policy& policy);

/// Of `sessions`, those that the rows around this address depend on, as their indices, ascending:
/// who is there; where people are counted by their addresses, all sessions of those; where addresses
/// are counted by their people, whoever is at the addresses of those.
std::vector<std::size_t> neighbours(const Coupling& coupling, std::span<const Session> sessions,
                                    const IpAddress& address);

/// Prefixes whose rows may be others when this session comes or goes, sorted. `sessions` holds at
/// least the neighbours of its address and all sessions of its person; the session itself may be
/// among them.
std::vector<Prefix> touched_by(const Policy& policy, std::span<const Session> sessions,
                               const Session& session);

/// The first instant after `now` at which a schedule opens; nothing when that is more than a year
/// ahead or no rule has one.
std::optional<Instant> next_opening_of(const Policy& policy, Instant now);
/// The next instant at which time alone may open something: the same, when anybody is signed in. What the end of a session
/// opens (a rule that counts sees one less) happens at that session's own end: touched_by().
std::optional<Instant> next_change_by_time(const Policy& policy, std::span<const Session> sessions,
                                           Instant now);

}  // namespace knock
