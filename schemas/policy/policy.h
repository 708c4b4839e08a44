// SPDX-License-Identifier: Apache-2.0
// Policy as values, after loading and validation: every name resolves, every prefix is canonical, every list is sorted
// by name without duplicates. Two policies that mean the same compare equal apart from `origin` (places in files).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/port_range.h"
#include "base/prefix.h"
#include "base/time.h"
#include "schemas/diagnostic.h"
#include "schemas/lasts.h"
#include "schemas/policy/behaviour.h"
#include "schemas/policy/policy_test.h"
#include "schemas/policy/schedule.h"

namespace knock {

struct Group {
  GroupName name;
  std::string idp;               // the group's name as the sign-in source says it
  std::vector<SignInName> from;  // sources whose word counts; empty: the only one there is
  SourceRange origin;
};

/// A prefix as policy wrote it. `any`: somebody put `any: true` on this very entry, so that it may be wide.
struct NetworkPrefix {
  Prefix prefix;
  bool any = false;
  friend auto operator<=>(const NetworkPrefix&, const NetworkPrefix&) = default;
};

struct Network {
  NetworkName name;
  std::vector<NetworkPrefix> prefixes;
  SourceRange origin;
};

struct Service {
  ServiceName name;
  std::vector<PortRange> ports;  // canonical
  std::vector<TargetName> targets;
  /// Targets that a packet passes one after the other, the outermost first; all of them are in
  /// `targets`. Opened from the innermost outwards, closed from the outermost inwards. Empty: they
  /// do not depend on each other.
  std::vector<TargetName> path;
  SourceRange origin;
};

enum class Hook { input, forward };

/// type: nftables. One table of a Linux firewall, in this network namespace or a named one.
struct NftablesSettings {
  std::string table = "knock";  // family inet
  std::string netns;    // "" = the controller's own; a name, or a path like /proc/4711/ns/net
  bool protect = true;  // default-drop the services' ports
  std::vector<Hook> hooks{Hook::input, Hook::forward};
};

/// One alternative per target type that has settings of its own; grows with providers.
using TargetSettings = std::variant<NftablesSettings>;

/// Which entries of a target's container are ours.
enum class Ownership : std::uint8_t {
  shared,     // those with our marker; others are left alone
  exclusive,  // all, once somebody has adopted it or nothing foreign is in it
  observe,    // none: it is read and reported, and nothing is written
};
/// What becomes of our entries when the target leaves the policy.
enum class OnRemove : std::uint8_t {
  drain,   // they are removed
  orphan,  // they stay until the target itself closes them
};
/// What is done about a change made by somebody else.
enum class Heal : std::uint8_t { on, warn, off };
std::string_view to_string(Ownership ownership);
std::string_view to_string(OnRemove on_remove);
std::string_view to_string(Heal heal);

struct Target {
  TargetName name;
  std::string type;  // "nftables"
  TargetSettings settings;
  std::optional<Duration> max_ttl;
  std::optional<std::size_t> capacity;  // entries; a limit below the provider's own
  /// Of these, so many are kept free of what sessions cause. Below `capacity`; 0 without one.
  std::size_t capacity_reserve = 0;
  Ownership ownership = Ownership::shared;
  OnRemove on_remove = OnRemove::drain;
  Heal heal = Heal::on;
  SourceRange origin;
};

/// Where a session may come from. Empty `in` = anywhere.
struct SourceCondition {
  std::vector<NetworkName> in;
  std::vector<NetworkName> not_in;
  bool empty() const { return in.empty() && not_in.empty(); }
  friend auto operator<=>(const SourceCondition&, const SourceCondition&) = default;
};

/// A person as one sign-in source names them, never by e-mail address or shown name. Written
/// SUBJECT@SOURCE.
struct UserRef {
  std::string subject;
  SignInName source;
  friend auto operator<=>(const UserRef&, const UserRef&) = default;
};

/// The sign-in must have said one of these values for this claim; compared byte by byte.
struct ClaimCondition {
  std::string claim;
  std::vector<std::string> any_of;  // sorted
  friend auto operator<=>(const ClaimCondition&, const ClaimCondition&) = default;
};

/// So many members of these groups, other than the person and than each other, said yes, for so
/// long.
struct ApprovalCondition {
  std::vector<GroupName> from;
  unsigned count = 1;
  Duration ttl;
  bool reason_required = false;
  friend auto operator<=>(const ApprovalCondition&, const ApprovalCondition&) = default;
};

/// Every condition that stands in a rule must hold; one that is absent asks for nothing.
struct AllowRule {
  RuleName name;
  std::vector<GroupName> who;           // any of these; empty only where `users` is not
  std::vector<UserRef> users;           // any of these
  std::vector<ClaimCondition> claims;   // all of these, sorted by claim
  std::vector<std::string> acr;         // the sign-in's acr is any of these
  std::optional<Duration> mfa_max_age;  // a second factor was shown at most so long ago
  SourceCondition from;
  std::vector<Window> schedule;  // now is in any of these; empty: always
  std::optional<unsigned> max_ips_per_user;
  std::optional<unsigned> max_users_per_ip;
  std::optional<ApprovalCondition> approval;
  Lasts lasts = Lasts::until_deadline;
  std::uint8_t v6_prefix = 128;  // entries of IPv6 sign-ins cover so much around the address
  std::vector<ServiceName> to;  // "*" is expanded by the loader; `to_all` remembers it for printing
  bool to_all = false;
  Duration ttl;
  SourceRange origin;
};

struct StaticRule {
  RuleName name;
  std::vector<NetworkPrefix> cidr;
  std::vector<ServiceName> to;
  bool to_all = false;
  std::string owner;
  std::string reason;
  Instant until;
  SourceRange origin;
};

struct DenyRule {
  RuleName name;
  std::vector<GroupName> who;  // empty: everybody
  SourceCondition from;        // with `who` empty, `from.in` is not empty
  std::vector<ServiceName> to;
  bool to_all = false;
  SourceRange origin;
};

/// For the night when the sign-in source is down: keys instead of groups, as many as `quorum`.
struct BreakGlassRule {
  RuleName name;
  std::vector<ServiceName> to;
  bool to_all = false;
  Duration ttl;
  std::vector<std::string> keys;  // names of keys, sorted
  unsigned quorum = 1;
  std::vector<std::string> notify;  // names of notification channels
  SourceRange origin;
};

struct Policy {
  PolicyRevision revision;
  Behaviour behaviour;
  GuardLimits guards;
  std::vector<Group> groups;
  std::vector<Network> networks;
  std::vector<Service> services;
  std::vector<Target> targets;
  std::vector<AllowRule> allow;
  std::vector<StaticRule> statics;
  std::vector<DenyRule> deny;
  std::vector<BreakGlassRule> break_glass;
  std::vector<PolicyTest> tests;  // in the order of files and places
  /// Every zone that a window names.
  std::map<std::string, std::shared_ptr<const Zone>> zones;

  const Group* group(const GroupName& name) const;
  const Network* network(const NetworkName& name) const;
  const Service* service(const ServiceName& name) const;
  const Target* target(const TargetName& name) const;
};

/// The same meaning: everything but revision and places.
bool same_meaning(const Policy& a, const Policy& b);
/// Canonical YAML, one document; loading it gives a policy with same_meaning.
std::string to_yaml(const Policy& policy);

}  // namespace knock
