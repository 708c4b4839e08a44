// SPDX-License-Identifier: Apache-2.0
// Policy to canonical YAML: one line an element, keys in a fixed order, names sorted, so that two
// texts differ exactly where the meaning does.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "schemas/policy/policy.h"
#include "schemas/policy/yaml_scalar.h"

namespace knock {
namespace {

using Parts = std::vector<std::string>;

template <class T, class Print>
std::string list(const std::vector<T>& values, const Print& print) {
  Parts parts;
  for (const auto& value : values) parts.push_back(print(value));
  return "[" + join(parts, ", ") + "]";
}

template <class NameType>
std::string names(const std::vector<NameType>& values) {
  return list(values, [](const NameType& name) { return yaml_name(name.value); });
}

std::string prefixes(const std::vector<NetworkPrefix>& values) {
  return list(values, [](const NetworkPrefix& entry) {
    auto text = entry.prefix.to_string();
    return entry.any ? fmt::format("{{cidr: {}, any: true}}", text) : text;
  });
}

std::string map(const Parts& parts) { return "{" + join(parts, ", ") + "}"; }

std::string services(const std::vector<ServiceName>& to, bool all) {
  return "to: " + (all ? std::string("[\"*\"]") : names(to));
}

void add_from(Parts& parts, const SourceCondition& from) {
  if (from.empty()) return;
  Parts inner;
  if (!from.in.empty()) inner.push_back("in: " + names(from.in));
  if (!from.not_in.empty()) inner.push_back("not_in: " + names(from.not_in));
  parts.push_back("from: " + map(inner));
}

std::string body(const Group& group) {
  Parts parts{"idp: " + yaml_quoted(group.idp)};
  if (!group.from.empty()) parts.push_back("from: " + names(group.from));
  return map(parts);
}

std::string body(const Network& network) { return prefixes(network.prefixes); }

std::string body(const Service& service) {
  auto ports = list(service.ports, [](const PortRange& range) { return range.to_string(); });
  Parts parts{"ports: " + ports};
  auto beside = service.targets;
  std::erase_if(beside, [&](const TargetName& name) {
    return std::ranges::find(service.path, name) != service.path.end();
  });
  if (!beside.empty()) parts.push_back("targets: " + names(beside));
  if (!service.path.empty()) parts.push_back("path: " + names(service.path));
  return map(parts);
}

void add_settings(Parts& parts, const NftablesSettings& settings) {
  parts.push_back("table: " + yaml_name(settings.table));
  if (!settings.netns.empty()) parts.push_back("netns: " + yaml_quoted(settings.netns));
  parts.push_back(fmt::format("protect: {}", settings.protect));
  parts.push_back("hooks: " + list(settings.hooks, [](Hook hook) -> std::string {
                    switch (hook) {
                      case Hook::input:
                        return "input";
                      case Hook::forward:
                        return "forward";
                    }
                    return "";
                  }));
}

std::string body(const Target& target) {
  Parts parts{"type: " + target.type};
  std::visit([&](const auto& settings) { add_settings(parts, settings); }, target.settings);
  if (target.max_ttl) parts.push_back("max_ttl: " + to_string(*target.max_ttl));
  if (target.capacity && target.capacity_reserve == 0)
    parts.push_back(fmt::format("capacity: {{entries: {}}}", *target.capacity));
  else if (target.capacity)
    parts.push_back(fmt::format("capacity: {{entries: {}, reserve: {}}}", *target.capacity,
                                target.capacity_reserve));
  auto unlike = [&](std::string_view key, auto value, auto usual) {
    if (value != usual) parts.push_back(fmt::format("{}: {}", key, to_string(value)));
  };
  unlike("ownership", target.ownership, Ownership::shared);
  unlike("on_remove", target.on_remove, OnRemove::drain);
  unlike("heal", target.heal, Heal::on);
  return map(parts);
}

std::string texts(const std::vector<std::string>& values) {
  return list(values, [](const std::string& text) { return yaml_quoted(text); });
}

std::string user(const UserRef& user) {
  return yaml_quoted(user.subject + "@" + user.source.value);
}

template <class Claims, class Name, class Values>
std::string claims(const Claims& values, const Name& name, const Values& any_of) {
  Parts parts;
  for (const auto& claim : values)
    parts.push_back(yaml_quoted(name(claim)) + ": " + texts(any_of(claim)));
  return "claims: " + map(parts);
}

std::string clock(unsigned minutes) {
  return fmt::format("\"{:02}:{:02}\"", minutes / 60, minutes % 60);
}

std::string window(const Window& window) {
  return map({"days: " + yaml_quoted(days_to_string(window.days)), "from: " + clock(window.from),
              "to: " + clock(window.to), "tz: " + yaml_quoted(window.tz)});
}

std::string approval(const ApprovalCondition& approval) {
  return map({"from: " + names(approval.from), fmt::format("count: {}", approval.count),
              "ttl: " + to_string(approval.ttl),
              fmt::format("reason: {}", approval.reason_required ? "required" : "optional")});
}

void add_conditions(Parts& parts, const AllowRule& rule) {
  if (!rule.claims.empty())
    parts.push_back(claims(
        rule.claims, [](const ClaimCondition& claim) { return claim.claim; },
        [](const ClaimCondition& claim) { return claim.any_of; }));
  if (!rule.acr.empty()) parts.push_back("acr: " + texts(rule.acr));
  if (rule.mfa_max_age) parts.push_back("mfa_max_age: " + to_string(*rule.mfa_max_age));
  add_from(parts, rule.from);
  if (!rule.schedule.empty()) parts.push_back("schedule: " + list(rule.schedule, window));
  if (rule.max_ips_per_user)
    parts.push_back(fmt::format("max_ips_per_user: {}", *rule.max_ips_per_user));
  if (rule.max_users_per_ip)
    parts.push_back(fmt::format("max_users_per_ip: {}", *rule.max_users_per_ip));
  if (rule.approval) parts.push_back("approval: " + approval(*rule.approval));
}

std::string_view lasts(Lasts lasts) {
  switch (lasts) {
    case Lasts::until_deadline:
      return "";
    case Lasts::first_connection:
      return "connections: 1";
    case Lasts::disconnect:
      return "until: disconnect";
  }
  return "";
}

std::string body(const AllowRule& rule) {
  Parts parts;
  if (!rule.who.empty()) parts.push_back("who: " + names(rule.who));
  if (!rule.users.empty()) parts.push_back("users: " + list(rule.users, user));
  add_conditions(parts, rule);
  parts.push_back(services(rule.to, rule.to_all));
  parts.push_back("ttl: " + to_string(rule.ttl));
  if (auto text = lasts(rule.lasts); !text.empty()) parts.emplace_back(text);
  if (rule.v6_prefix != 128) parts.push_back(fmt::format("v6_prefix: {}", rule.v6_prefix));
  return map(parts);
}

std::string body(const StaticRule& rule) {
  return map({"cidr: " + prefixes(rule.cidr), services(rule.to, rule.to_all),
              "owner: " + yaml_quoted(rule.owner), "reason: " + yaml_quoted(rule.reason),
              "until: " + yaml_quoted(to_string(rule.until))});
}

std::string body(const DenyRule& rule) {
  Parts parts;
  if (!rule.who.empty()) parts.push_back("who: " + names(rule.who));
  add_from(parts, rule.from);
  parts.push_back(services(rule.to, rule.to_all));
  return map(parts);
}

std::string strings(const std::vector<std::string>& values) {
  return list(values, [](const std::string& name) { return yaml_name(name); });
}

std::string body(const BreakGlassRule& rule) {
  Parts parts{services(rule.to, rule.to_all), "ttl: " + to_string(rule.ttl),
              "keys: " + strings(rule.keys), fmt::format("quorum: {}", rule.quorum)};
  if (!rule.notify.empty()) parts.push_back("notify: " + strings(rule.notify));
  return map(parts);
}

std::string_view word(SharedAddresses shared) {
  switch (shared) {
    case SharedAddresses::allow:
      return "allow";
    case SharedAddresses::deny:
      return "deny";
    case SharedAddresses::require_token:
      return "require_token";
  }
  return "";
}

std::string longest(const std::optional<Duration>& duration) {
  return duration ? to_string(*duration) : "none";
}

/// The preset, and what differs from it.
std::string body(const Behaviour& behaviour) {
  auto preset = behaviour_of(behaviour.preset);
  Parts parts{
      fmt::format("preset: {}", behaviour.preset == Preset::strict ? "strict" : "standard")};
  if (behaviour.shared_addresses != preset.shared_addresses)
    parts.push_back(fmt::format("shared_addresses: {}", word(behaviour.shared_addresses)));
  if (behaviour.over_limit != preset.over_limit)
    parts.push_back(fmt::format("over_limit: {}",
                                behaviour.over_limit == OverLimit::refuse ? "refuse" : "replace"));
  if (behaviour.warn_before_end != preset.warn_before_end)
    parts.push_back("warn_before_end: " + to_string(behaviour.warn_before_end));
  if (behaviour.longest_ttl != preset.longest_ttl)
    parts.push_back("longest_ttl: " + longest(behaviour.longest_ttl));
  if (behaviour.longest_static != preset.longest_static)
    parts.push_back("longest_static: " + longest(behaviour.longest_static));
  return map(parts);
}

std::string written(const std::optional<GuardLimits::Probe>& probe) {
  if (!probe) return "";
  if (!probe->address) return ", probe: controller-reach";
  bool v6 = probe->address->family() == Family::v6;
  return fmt::format(", probe: {{tcp: \"{}{}{}:{}\"}}", v6 ? "[" : "", probe->address->to_string(),
                     v6 ? "]" : "", probe->port);
}

std::string body(const GuardLimits& limits) {
  Parts parts{fmt::format("removals: {{percent: {}, entries: {}}}", limits.removed_percent,
                          limits.removed_entries),
              fmt::format("additions: {{percent: {}, entries: {}{}}}", limits.added_percent,
                          limits.added_entries, limits.ask_new_ports ? "" : ", new_port: allow"),
              fmt::format("max_prefix: {{v4: {}, v6: {}}}", limits.widest_v4, limits.widest_v6)};
  if (limits.confirm)
    parts.push_back(fmt::format("confirm: {{targets: {}, within: {}{}}}",
                                names(limits.confirm->targets), to_string(limits.confirm->within),
                                written(limits.confirm->probe)));
  return map(parts);
}

Parts person(const TestPerson& person) {
  Parts parts;
  if (person.user) parts.push_back("user: " + yaml_quoted(*person.user));
  if (person.groups) parts.push_back("groups: " + names(*person.groups));
  if (person.ip) parts.push_back("ip: " + yaml_quoted(person.ip->to_string()));
  if (!person.claims.empty())
    parts.push_back(claims(
        person.claims, [](const auto& claim) { return claim.first; },
        [](const auto& claim) { return claim.second; }));
  if (person.acr) parts.push_back("acr: " + yaml_quoted(*person.acr));
  if (person.mfa_age) parts.push_back("mfa_age: " + to_string(*person.mfa_age));
  if (person.approved) parts.push_back(fmt::format("approved: {}", *person.approved));
  return parts;
}

std::string claimed(std::string_view key, const std::vector<ServiceName>& services, bool all) {
  return fmt::format("{}: {}", key, all ? "[\"*\"]" : names(services));
}

std::string body(const PolicyTest& test) {
  Parts parts;
  if (!test.name.empty()) parts.push_back("name: " + yaml_quoted(test.name));
  if (test.at) parts.push_back("at: " + yaml_quoted(to_string(*test.at)));
  auto who = person(test.as);
  bool example = test.kind == PolicyTest::Kind::example;
  if (!example) who.push_back(claimed("can", test.can, test.can_all));
  parts.push_back(fmt::format("{}: {}",
                              example                                 ? "as"
                              : test.kind == PolicyTest::Kind::always ? "always"
                                                                      : "never",
                              map(who)));
  if (!example) return map(parts);
  if (test.can_all || !test.can.empty()) parts.push_back(claimed("can", test.can, test.can_all));
  if (test.cannot_all || !test.cannot.empty())
    parts.push_back(claimed("cannot", test.cannot, test.cannot_all));
  return map(parts);
}

template <class T>
void section(std::string& out, std::string_view key, const std::vector<T>& values) {
  if (values.empty()) return;
  out += fmt::format("{}:\n", key);
  for (const auto& value : values)
    out += fmt::format("  {}: {}\n", yaml_name(value.name.value), body(value));
}

}  // namespace

std::string to_yaml(const Policy& policy) {
  std::string out = "knock: 1\n";
  if (policy.behaviour != Behaviour{})
    out += fmt::format("behaviour: {}\n", body(policy.behaviour));
  if (policy.guards != GuardLimits{}) out += fmt::format("guards: {}\n", body(policy.guards));
  section(out, "groups", policy.groups);
  section(out, "networks", policy.networks);
  section(out, "services", policy.services);
  section(out, "targets", policy.targets);
  section(out, "allow", policy.allow);
  section(out, "static", policy.statics);
  section(out, "deny", policy.deny);
  section(out, "break_glass", policy.break_glass);
  if (!policy.tests.empty()) out += "tests:\n";
  for (const auto& test : policy.tests) out += fmt::format("  - {}\n", body(test));
  return out;
}

}  // namespace knock
