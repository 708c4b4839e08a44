// SPDX-License-Identifier: Apache-2.0
// What one session opens: every service that some rule gives it, with the prefixes it is opened for
// and the rule that gives it longest. Deny rules are applied here. Pure.
//
// A host, as a rule. A rule with `v6_prefix` opens more around an IPv6 address, but never an address
// that the rule's own `from` or a deny rule keeps out. Such ranges are cut out exactly when they cost
// few prefixes (kMostPieces); else only the host is opened. The cost is counted so that one more
// deny rule never opens anything.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "reconciler/core/conditions.h"
#include "reconciler/core/rule_index.h"

namespace knock {

inline constexpr int kMostPieces = 64;

struct Opening {
  const Service* service = nullptr;
  const AllowRule* rule = nullptr;
  Prefix prefix;
  Instant until;
  Instant come_by;  // rule->lasts disconnect
};

/// Of several ways in at one address and service the greatest counts, then the latest `until`, then
/// the latest `come_by`: one that takes no new connections any more is the least.
struct Openness {
  int kind = 0;
  Instant until, come_by;
  Openness(Lasts lasts, Instant deadline, Instant comes, Instant now)
      : kind(lasts == Lasts::disconnect && comes <= now ? -1 : openness(lasts)),
        until(deadline),
        come_by(comes) {}
  friend auto operator<=>(const Openness&, const Openness&) = default;
};

/// The policy and the spans outlive it. One thread.
class Openings {
 public:
  /// With an index, for many sessions; without, for a few.
  Openings(const Policy& policy, Circumstances circumstances, bool indexed);
  Openings(const Openings&) = delete;  // its conditions look into its index

  /// Sorted by service and prefix, one for each: of several rules the one that opens most (Openness),
  /// then with the first name.
  void of(const Session& session, std::vector<Opening>& out);

  /// Every prefix that a session with this person's groups may ever open from there, whatever else
  /// is the case: depends on the policy and on the session's own words alone. Sorted.
  std::vector<Prefix> rows(const Session& session);

  /// The deny rule that closes a service to a session; of several the first.
  const DenyRule* denied_by(const Session& session, const Service& service);

  Conditions& conditions() { return conditions_; }
  Instant now() const { return circumstances_.now; }

 private:
  void add(const AllowRule& rule, const Session& session, const Verdict& verdict,
           std::vector<Opening>& out);
  std::vector<Prefix> pieces(const AllowRule& rule, const Session& session, const Service& service);
  std::vector<Prefix> holes(const AllowRule& rule, const Session& session, const Service& service,
                            const Prefix& around);
  const std::vector<const DenyRule*>& deny_rules(const Service& service);

  const Policy& policy_;
  Circumstances circumstances_;
  Conditions conditions_;
  std::optional<RuleIndex> index_;
  std::vector<std::uint32_t> candidates_;
  std::vector<std::optional<std::vector<const DenyRule*>>> deny_;  // by index of the service
  std::map<const DenyRule*, std::vector<Prefix>> deny_prefixes_;
};

/// Prefixes that rules with this condition concern, whoever comes from there; not sorted. An empty
/// `in` is anywhere.
std::vector<Prefix> prefixes_from(const Policy& policy, const SourceCondition& from);

}  // namespace knock
