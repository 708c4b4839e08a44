// SPDX-License-Identifier: Apache-2.0
// Policy to canonical YAML: one line an element, keys in a fixed order, names sorted, so that two
// texts differ exactly where the meaning does.
#include <fmt/format.h>

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
  return map({"ports: " + ports, "targets: " + names(service.targets)});
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
  if (target.capacity) parts.push_back(fmt::format("capacity: {{entries: {}}}", *target.capacity));
  return map(parts);
}

std::string body(const AllowRule& rule) {
  Parts parts{"who: " + names(rule.who)};
  add_from(parts, rule.from);
  parts.push_back(services(rule.to, rule.to_all));
  parts.push_back("ttl: " + to_string(rule.ttl));
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
  section(out, "groups", policy.groups);
  section(out, "networks", policy.networks);
  section(out, "services", policy.services);
  section(out, "targets", policy.targets);
  section(out, "allow", policy.allow);
  section(out, "static", policy.statics);
  section(out, "deny", policy.deny);
  return out;
}

}  // namespace knock
