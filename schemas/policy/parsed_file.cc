// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/parsed_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "schemas/policy/parse_target.h"
#include "schemas/policy/reader.h"

namespace knock {
namespace {

constexpr std::string_view kWideRemedy =
    "name a narrower prefix, or write {cidr: …, any: true} on this very entry if everybody there "
    "is meant";

/// Reads one element; `broken` follows from whether it reported anything.
template <class T, class Read>
void read_element(ParsedFile& file, const YamlNode& name, const YamlNode& body,
                  std::vector<Declared<T>>& out, const Read& read) {
  Declared<T> element;
  auto before = file.findings.all().size();
  element.place = name.place;
  if (name.text.starts_with("x-"))
    file.findings.error(Check::reserved_name, name.place,
                        fmt::format("names do not begin with `x-`: {}", shown(name.text)),
                        "keys that begin with x- are notes; a rule under such a name would look "
                        "ignored");
  else
    read_name(file.findings, name, "name");
  element.value.name = decltype(element.value.name)(name.text);
  if (body.is_missing())
    file.findings.error(Check::missing_value, name.place,
                        fmt::format("nothing is written for {}", shown(name.text)),
                        "write its keys, or remove the name");
  else
    read(file.findings, body, element);
  element.broken = file.findings.all().size() != before;
  out.push_back(std::move(element));
}

template <class T, class Read>
void read_section(ParsedFile& file, Fields& root, Section section, std::vector<Declared<T>>& out,
                  const Read& read) {
  const auto* node = root.take(to_string(section));
  bool& incomplete = file.incomplete[std::size_t(section)];
  if (node == nullptr) {
    incomplete = root.key_place(to_string(section)).line != 0;
    return;
  }
  if (!node->is_map()) {
    file.findings.error(
        Check::wrong_type, node->place,
        fmt::format("`{}` must be a map from names to their meaning", to_string(section)),
        fmt::format("write `{}: {{name: …}}`", to_string(section)));
    incomplete = true;
    return;
  }
  out.reserve(node->children.size() / 2);
  for (std::size_t i = 0; i + 1 < node->children.size(); i += 2)
    read_element(file, node->children[i], node->children[i + 1], out, read);
}

template <class T>
void sort_unique(std::vector<T>& values) {
  std::ranges::sort(values);
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

/// A list of names; each is remembered as a use.
template <class NameType>
void read_uses(Findings& findings, const YamlNode* node, std::string_view key, NameUse::Kind kind,
               std::vector<NameType>& out, std::vector<NameUse>& uses) {
  if (node == nullptr) return;
  read_list(findings, *node, key, true, [&](const YamlNode& item) {
    auto name = read_word(findings, item, key);
    if (!name) return;
    out.emplace_back(*name);
    uses.push_back({kind, std::move(*name), item.place});
  });
  sort_unique(out);
}

template <class Rule>
void read_to(Findings& findings, Fields& fields, Declared<Rule>& rule) {
  const auto* node = fields.need("to");
  if (node == nullptr) return;
  read_uses(findings, node, "to", NameUse::Kind::service, rule.value.to, rule.uses);
  auto star = std::ranges::find(rule.uses, "*", &NameUse::name);
  if (star == rule.uses.end()) return;
  rule.value.to_all = true;
  if (rule.value.to.size() > 1)
    findings.error(Check::star_mixed, star->place, "\"*\" stands beside named services",
                   "write [\"*\"] for every service, or the names alone");
  rule.value.to.clear();
  std::erase_if(rule.uses, [](const NameUse& use) { return use.kind == NameUse::Kind::service; });
}

template <class Rule>
void read_from(Findings& findings, Fields& fields, Declared<Rule>& rule) {
  const auto* node = fields.take("from");
  if (node == nullptr) return;
  auto before = findings.all().size();
  Fields from(findings, *node, "`from`");
  if (!from.is_map()) return;
  auto& condition = rule.value.from;
  read_uses(findings, from.take("in"), "in", NameUse::Kind::network, condition.in, rule.uses);
  read_uses(findings, from.take("not_in"), "not_in", NameUse::Kind::network, condition.not_in,
            rule.uses);
  from.finish();
  if (condition.empty() && findings.all().size() == before)
    findings.error(Check::empty_condition, node->place, "`from` names no network",
                   "name networks in `in` or `not_in`, or remove `from`");
}

void read_group(Findings& findings, const YamlNode& body, Declared<Group>& group) {
  Fields fields(findings, body, "a group");
  if (const auto* idp = fields.need("idp"))
    if (auto text = read_text(findings, *idp, "idp")) group.value.idp = *text;
  read_uses(findings, fields.take("from"), "from", NameUse::Kind::sign_in, group.value.from,
            group.uses);
  fields.finish();
}

/// "P" or {cidr: P, any: true}.
void read_network_prefix(Findings& findings, const YamlNode& item, std::string_view key,
                         std::vector<NetworkPrefix>& out) {
  NetworkPrefix entry;
  const YamlNode* text = &item;
  if (item.is_map()) {
    Fields fields(findings, item, "a prefix");
    text = fields.need("cidr");
    const auto* any = fields.take("any");
    fields.finish();
    if (any != nullptr) {
      auto flag = read_boolean(findings, *any, "any");
      if (!flag) return;
      entry.any = *flag;
    }
    if (text == nullptr) return;
    key = "cidr";
  }
  auto prefix = read_prefix(findings, *text, key);
  if (!prefix || (!entry.any && !narrow_enough(findings, *prefix, text->place, kWideRemedy)))
    return;
  entry.prefix = *prefix;
  out.push_back(entry);
}

/// Sorted by prefix; a prefix named twice is one, and `any` on either counts.
void canonicalize(std::vector<NetworkPrefix>& prefixes) {
  std::ranges::sort(prefixes, [](const auto& a, const auto& b) {
    return a.prefix != b.prefix ? a.prefix < b.prefix : a.any > b.any;
  });
  auto same = [](const auto& a, const auto& b) { return a.prefix == b.prefix; };
  prefixes.erase(std::unique(prefixes.begin(), prefixes.end(), same), prefixes.end());
}

void read_prefixes(Findings& findings, const YamlNode& node, std::string_view key,
                   std::vector<NetworkPrefix>& out) {
  read_list(findings, node, key, true,
            [&](const YamlNode& item) { read_network_prefix(findings, item, key, out); });
  canonicalize(out);
}

void read_network(Findings& findings, const YamlNode& body, Declared<Network>& network) {
  read_prefixes(findings, body, network.value.name.value, network.value.prefixes);
}

void read_port(Findings& findings, const YamlNode& item, std::vector<PortRange>& out) {
  auto word = read_word(findings, item, "ports");
  if (!word) return;
  if (auto port = PortRange::parse(*word)) {
    out.push_back(*port);
    return;
  }
  bool bare = !word->empty() && word->find_first_not_of("0123456789-") == std::string::npos;
  findings.error(Check::bad_port, item.place, fmt::format("{} is not a port", shown(*word)),
                 bare && PortRange::parse("tcp/" + *word)
                     ? fmt::format("say which protocol: tcp/{0} or udp/{0}", *word)
                     : "write tcp/443 or udp/60000-61000; ports are 1 to 65535");
}

void read_service(Findings& findings, const YamlNode& body, Declared<Service>& service) {
  Fields fields(findings, body, "a service");
  if (const auto* ports = fields.need("ports")) {
    read_list(findings, *ports, "ports", true,
              [&](const YamlNode& item) { read_port(findings, item, service.value.ports); });
    service.value.ports = canonical_ports(std::move(service.value.ports));
  }
  read_uses(findings, fields.need("targets"), "targets", NameUse::Kind::target,
            service.value.targets, service.uses);
  fields.finish();
}

void refuse_later_rule_keys(Fields& fields) {
  fields.refuse({"approval", "schedule", "mfa_max_age", "acr", "max_ips_per_user",
                 "max_users_per_ip", "users", "claims", "geo", "require_token"});
}

void read_allow(Findings& findings, const YamlNode& body, Declared<AllowRule>& rule) {
  Fields fields(findings, body, "an allow rule");
  read_uses(findings, fields.need("who"), "who", NameUse::Kind::group, rule.value.who, rule.uses);
  read_to(findings, fields, rule);
  read_from(findings, fields, rule);
  if (const auto* ttl = fields.need("ttl"))
    if (auto duration = read_duration(findings, *ttl, "ttl")) rule.value.ttl = *duration;
  refuse_later_rule_keys(fields);
  fields.finish();
}

void read_static(Findings& findings, const YamlNode& body, Declared<StaticRule>& rule) {
  Fields fields(findings, body, "a static entry");
  if (const auto* cidr = fields.need("cidr"))
    read_prefixes(findings, *cidr, "cidr", rule.value.cidr);
  read_to(findings, fields, rule);
  if (const auto* owner = fields.need("owner"))
    rule.value.owner = read_text(findings, *owner, "owner").value_or("");
  if (const auto* reason = fields.need("reason"))
    rule.value.reason = read_text(findings, *reason, "reason").value_or("");
  if (const auto* until = fields.need("until"))
    rule.value.until = read_instant(findings, *until, "until").value_or(Instant{});
  refuse_later_rule_keys(fields);
  fields.finish();
}

void read_deny(Findings& findings, const YamlNode& body, Declared<DenyRule>& rule) {
  Fields fields(findings, body, "a deny rule");
  if (!fields.is_map()) return;
  auto before = findings.all().size();
  read_uses(findings, fields.take("who"), "who", NameUse::Kind::group, rule.value.who, rule.uses);
  read_from(findings, fields, rule);
  read_to(findings, fields, rule);
  refuse_later_rule_keys(fields);
  fields.finish();
  if (findings.all().size() == before && rule.value.who.empty() && rule.value.from.in.empty())
    findings.error(
        Check::deny_everything, body.place,
        "this rule names neither people (`who`) nor networks (`from.in`)",
        "add `who: [group]` or `from: {in: [network]}`; nothing is open without an allow "
        "rule anyway");
}

/// `knock: 1`. False when the rest is written in another version of the language.
bool read_header(Findings& findings, Fields& root) {
  const auto* header = root.take("knock");
  if (header == nullptr) {
    if (root.key_place("knock").line == 0)
      findings.error(Check::header_missing, {1, 1, 0}, "the header `knock: 1` is missing",
                     "begin the file with `knock: 1`");
    return true;
  }
  if (header->is_scalar() && header->plain && header->text == "1") return true;
  findings.error(Check::header_version, header->place,
                 "this controller reads version 1 of the policy language",
                 "write `knock: 1`, or use the knock that this policy was written for");
  return false;
}

/// A misspelt section hides what it declares.
void mark_misspelt(ParsedFile& file, const Fields& root) {
  for (const auto& [written, meant] : root.unknown())
    for (std::size_t i = 0; i < kSections; ++i)
      if (meant == to_string(Section(i))) file.incomplete[i] = true;
}

}  // namespace

std::string_view to_string(Section section) {
  switch (section) {
    case Section::groups:
      return "groups";
    case Section::networks:
      return "networks";
    case Section::services:
      return "services";
    case Section::targets:
      return "targets";
    case Section::allow:
      return "allow";
    case Section::statics:
      return "static";
    case Section::deny:
      return "deny";
  }
  return "unknown";
}

ParsedFile parse_policy_file(std::string_view content) {
  ParsedFile file;
  auto tree = parse_yaml(content, file.findings);
  if (!tree) {
    file.incomplete.fill(true);
    return file;
  }
  Fields root(file.findings, *tree, "a policy");
  if (!read_header(file.findings, root)) {
    file.incomplete.fill(true);
    return file;
  }
  read_section(file, root, Section::groups, file.groups, read_group);
  read_section(file, root, Section::networks, file.networks, read_network);
  read_section(file, root, Section::services, file.services, read_service);
  read_section(file, root, Section::targets, file.targets, read_target);
  read_section(file, root, Section::allow, file.allow, read_allow);
  read_section(file, root, Section::statics, file.statics, read_static);
  read_section(file, root, Section::deny, file.deny, read_deny);
  root.refuse({"break_glass", "guards", "tests"});
  root.finish();
  mark_misspelt(file, root);
  return file;
}

}  // namespace knock
