// SPDX-License-Identifier: Apache-2.0
// The conditions of an allow rule, each answered for one session. The evaluator and the explanation
// ask the same function, so they cannot disagree. Pure.
//
// Most conditions look at one session alone. Two of them count: `max_ips_per_user` the addresses of
// one person, `max_users_per_ip` the people at one address. They make what somebody may reach
// depend on sessions elsewhere (touched_by() in evaluate.h says on which).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/prefix.h"
#include "reconciler/core/rule_index.h"
#include "reconciler/core/sign_ins.h"
#include "schemas/policy/policy.h"
#include "schemas/session/session.h"

namespace knock {

/// Everything a decision depends on besides the policy. Sessions that have ended may be among them.
struct Circumstances {
  Instant now;
  /// For one session: at least all of that person, and all in the prefixes (of the width the
  /// policy's rules open) around each of that person's addresses. Only rules that count need them.
  std::span<const Session> sessions;
  std::span<const Approval> approvals = {};
};

/// In the order in which a rule is checked, which is the order in which somebody can do something
/// about them; the first that does not hold is what an explanation names.
enum class Condition : std::uint8_t {
  who,
  users,
  claims,
  acr,
  from,
  mfa_max_age,
  schedule,
  approval,
  max_users_per_ip,
  max_ips_per_user,
  time,  // what bounds the deadline has passed
};

/// What a deadline is the minimum of.
enum class Bound : std::uint8_t { ttl, session, schedule, approval };

struct Verdict {
  std::optional<Condition> missing;  // nothing: the rule gives what it names
  Instant until;                     // whole seconds; meaningful when nothing but `time` is missing
  Instant come_by;  // of a rule that lasts until disconnect: what `ttl` bounds there, and no more
  Bound bound = Bound::ttl;
};

/// Answers whether rules hold, with what that takes counted once. The policy and the spans outlive
/// it. One thread.
class Conditions {
 public:
  Conditions(const Policy& policy, Circumstances circumstances)
      : policy_(policy), circumstances_(circumstances) {}

  /// Of the same policy, which outlives it: spares finding groups by name.
  void use(const RuleIndex& index) { index_ = &index; }

  /// The session must be alive.
  Verdict judge(const AllowRule& rule, const Session& session);

  /// How many of the people asked for have said yes, and how long that holds: of several approvals
  /// the one that holds longest, or lacks least.
  struct Approved {
    unsigned yes = 0;
    std::optional<Instant> until;  // nothing: not enough
  };
  Approved approved(const AllowRule& rule, const Principal& who) const;

  /// People with a live session in the prefix that the rule opens around this session.
  std::size_t people_around(const AllowRule& rule, const Session& session);

  /// Prefixes at which the rule counts this person in, the one that comes first in the order of
  /// `over_limit` first; the first `max_ips_per_user` of them are given something.
  std::vector<Prefix> places(const AllowRule& rule, const Session& session);

  std::optional<Instant> open_until(const AllowRule& rule);

 private:
  /// Without what counts the person's own addresses, and without time.
  std::optional<Condition> missing_here(const AllowRule& rule, const Session& session);
  bool is_one_of(const AllowRule& rule, const Session& session) const;
  bool counts_in(const AllowRule& rule, const Session& session);
  SignIns& sign_ins();
  std::vector<Prefix> ranked(const AllowRule& rule, const std::vector<const Session*>& mine);

  const Policy& policy_;
  Circumstances circumstances_;
  const RuleIndex* index_ = nullptr;
  std::optional<SignIns> sign_ins_;  // once a rule counts
  /// The first places of people who have more, by rule.
  std::unordered_map<const AllowRule*, std::unordered_map<std::uint32_t, std::vector<Prefix>>>
      places_;
  std::map<const AllowRule*, std::optional<Instant>> open_;
};

/// True when policy's group counts this session as a member.
bool is_member(const Group& group, const Session& session);
/// The first of these groups that does.
const Group* first_membership(const Policy& policy, const std::vector<GroupName>& groups,
                              const Session& session);
bool is_named(const std::vector<UserRef>& users, const Session& session);
/// The first claim of the rule that the sign-in did not say; null when it said them all.
const ClaimCondition* first_claim_missing(const AllowRule& rule, const Session& session);
/// True when an address meets a rule's `from`.
bool comes_from(const Policy& policy, const SourceCondition& from, const IpAddress& address);

/// True where max_users_per_ip closes rather than only being named.
bool closes_shared(const Policy& policy, const AllowRule& rule);
/// What the rule opens around an address when nothing is cut out.
Prefix widened(const AllowRule& rule, const IpAddress& address);

}  // namespace knock
