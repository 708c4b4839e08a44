// SPDX-License-Identifier: Apache-2.0
// Rules: `allow`, `static`, `deny`, `break_glass`.
#include <fmt/format.h>

#include "schemas/policy/parse_parts.h"

namespace knock {
namespace {

/// Conditions of allow rules that people expect elsewhere too. Where they do not exist they are
/// refused by name: a rule that ignored one would be looser, or a deny tighter, than it reads.
void refuse_conditions(Fields& fields) {
  fields.refuse({"users", "claims", "acr", "mfa_max_age", "schedule", "max_ips_per_user",
                 "max_users_per_ip", "approval", "connections", "v6_prefix", "geo",
                 "require_token"});
}

template <class Rule>
void read_to(Findings& findings, Fields& fields, Declared<Rule>& rule) {
  read_services(findings, fields.need("to"), "to", rule.value.to, rule.value.to_all, rule.uses);
}

Duration read_ttl(Findings& findings, Fields& fields) {
  const auto* ttl = fields.need("ttl");
  if (ttl == nullptr) return {};
  return read_duration(findings, *ttl, "ttl").value_or(Duration{});
}

std::string read_line(Findings& findings, Fields& fields, std::string_view key) {
  const auto* node = fields.need(key);
  return node == nullptr ? "" : read_text(findings, *node, key).value_or("");
}

std::vector<std::string> read_names(Findings& findings, const YamlNode* node,
                                    std::string_view key) {
  std::vector<std::string> out;
  if (node == nullptr) return out;
  read_list(findings, *node, key, true, [&](const YamlNode& item) {
    if (auto name = read_name(findings, item, key)) out.push_back(std::move(*name));
  });
  sort_unique(out);
  return out;
}

}  // namespace

void read_allow(Findings& findings, const YamlNode& body, Declared<AllowRule>& rule) {
  Fields fields(findings, body, "an allow rule");
  if (!fields.is_map()) return;
  // One of the two must be there; `who` is the one that is asked for.
  bool by_name = fields.key_place("users").line != 0;
  read_uses(findings, by_name ? fields.take("who") : fields.need("who"), "who",
            NameUse::Kind::group, rule.value.who, rule.uses);
  read_to(findings, fields, rule);
  read_from(findings, fields, rule.value.from, rule.uses);
  read_conditions(findings, fields, rule);
  rule.value.ttl = read_ttl(findings, fields);
  fields.refuse({"geo", "require_token"});
  fields.finish();
}

void read_static(Findings& findings, const YamlNode& body, Declared<StaticRule>& rule) {
  Fields fields(findings, body, "a static entry");
  if (const auto* cidr = fields.need("cidr"))
    read_prefixes(findings, *cidr, "cidr", rule.value.cidr);
  read_to(findings, fields, rule);
  rule.value.owner = read_line(findings, fields, "owner");
  rule.value.reason = read_line(findings, fields, "reason");
  if (const auto* until = fields.need("until"))
    rule.value.until = read_instant(findings, *until, "until").value_or(Instant{});
  refuse_conditions(fields);
  fields.finish();
}

void read_deny(Findings& findings, const YamlNode& body, Declared<DenyRule>& rule) {
  Fields fields(findings, body, "a deny rule");
  if (!fields.is_map()) return;
  auto before = findings.all().size();
  read_uses(findings, fields.take("who"), "who", NameUse::Kind::group, rule.value.who, rule.uses);
  read_from(findings, fields, rule.value.from, rule.uses);
  read_to(findings, fields, rule);
  refuse_conditions(fields);
  fields.finish();
  if (findings.all().size() == before && rule.value.who.empty() && rule.value.from.in.empty())
    findings.error(
        Check::deny_everything, body.place,
        "this rule names neither people (`who`) nor networks (`from.in`)",
        "add `who: [group]` or `from: {in: [network]}`; nothing is open without an allow "
        "rule anyway");
}

void read_break_glass(Findings& findings, const YamlNode& body, Declared<BreakGlassRule>& rule) {
  Fields fields(findings, body, "a break-glass rule");
  if (!fields.is_map()) return;
  auto before = findings.all().size();
  read_to(findings, fields, rule);
  rule.value.ttl = read_ttl(findings, fields);
  rule.value.keys = read_names(findings, fields.need("keys"), "keys");
  const auto* quorum = fields.take("quorum");
  if (quorum != nullptr)
    rule.value.quorum = unsigned(read_number(findings, *quorum, "quorum", 1, 16).value_or(1));
  rule.value.notify = read_names(findings, fields.take("notify"), "notify");
  refuse_conditions(fields);
  fields.finish();
  rule.surfaces.push_back({Surface::break_glass, "break_glass", rule.place});
  if (quorum != nullptr && findings.all().size() == before &&
      rule.value.quorum > rule.value.keys.size())
    findings.error(Check::quorum_too_large, quorum->place,
                   fmt::format("{} keys are asked for, and {} named: nobody could ever open this",
                               rule.value.quorum, rule.value.keys.size()),
                   "name more keys, or ask for fewer");
}

}  // namespace knock
