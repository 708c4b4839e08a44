// SPDX-License-Identifier: Apache-2.0
// Policy as values, after loading and validation: every name resolves, every prefix is canonical, every list is sorted
// by name without duplicates. Two policies that mean the same compare equal apart from `origin` (places in files).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/port_range.h"
#include "base/prefix.h"
#include "base/time.h"
#include "schemas/diagnostic.h"

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

struct Target {
  TargetName name;
  std::string type;  // "nftables"
  TargetSettings settings;
  std::optional<Duration> max_ttl;
  std::optional<std::size_t> capacity;  // entries; a limit below the provider's own
  SourceRange origin;
};

/// Where a session may come from. Empty `in` = anywhere.
struct SourceCondition {
  std::vector<NetworkName> in;
  std::vector<NetworkName> not_in;
  bool empty() const { return in.empty() && not_in.empty(); }
  friend auto operator<=>(const SourceCondition&, const SourceCondition&) = default;
};

struct AllowRule {
  RuleName name;
  std::vector<GroupName> who;  // any of these
  SourceCondition from;
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

struct Policy {
  PolicyRevision revision;
  std::vector<Group> groups;
  std::vector<Network> networks;
  std::vector<Service> services;
  std::vector<Target> targets;
  std::vector<AllowRule> allow;
  std::vector<StaticRule> statics;
  std::vector<DenyRule> deny;

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
