// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/parse_parts.h"

#include <fmt/format.h>

namespace knock {
namespace {

constexpr std::string_view kWideRemedy =
    "name a narrower prefix, or write {cidr: …, any: true} on this very entry if everybody there "
    "is meant";

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

}  // namespace

void read_prefixes(Findings& findings, const YamlNode& node, std::string_view key,
                   std::vector<NetworkPrefix>& out) {
  read_list(findings, node, key, true,
            [&](const YamlNode& item) { read_network_prefix(findings, item, key, out); });
  canonicalize(out);
}

void read_services(Findings& findings, const YamlNode* node, std::string_view key,
                   std::vector<ServiceName>& out, bool& all, std::vector<NameUse>& uses) {
  if (node == nullptr) return;
  auto first = uses.size();
  read_uses(findings, node, key, NameUse::Kind::service, out, uses);
  auto begin = uses.begin() + std::ptrdiff_t(first);
  auto star = std::find_if(begin, uses.end(), [](const NameUse& use) { return use.name == "*"; });
  if (star == uses.end()) return;
  all = true;
  if (out.size() > 1)
    findings.error(Check::star_mixed, star->place, "\"*\" stands beside named services",
                   "write [\"*\"] for every service, or the names alone");
  out.clear();
  uses.resize(first);
}

void read_from(Findings& findings, Fields& fields, SourceCondition& condition,
               std::vector<NameUse>& uses) {
  const auto* node = fields.take("from");
  if (node == nullptr) return;
  auto before = findings.all().size();
  Fields from(findings, *node, "`from`");
  if (!from.is_map()) return;
  read_uses(findings, from.take("in"), "in", NameUse::Kind::network, condition.in, uses);
  read_uses(findings, from.take("not_in"), "not_in", NameUse::Kind::network, condition.not_in,
            uses);
  from.finish();
  if (condition.empty() && findings.all().size() == before)
    findings.error(Check::empty_condition, node->place, "`from` names no network",
                   "name networks in `in` or `not_in`, or remove `from`");
}

std::vector<std::string> read_texts(Findings& findings, const YamlNode& node,
                                    std::string_view key) {
  std::vector<std::string> out;
  read_list(findings, node, key, true, [&](const YamlNode& item) {
    if (auto text = read_text(findings, item, key)) out.push_back(std::move(*text));
  });
  sort_unique(out);
  return out;
}

std::vector<ClaimCondition> read_claims(Findings& findings, const YamlNode& node) {
  std::vector<ClaimCondition> out;
  Fields fields(findings, node, "`claims`");
  if (!fields.is_map()) return out;
  auto before = findings.all().size();
  for (std::size_t i = 0; i + 1 < node.children.size(); i += 2) {
    const auto& name = node.children[i];
    if (name.text.starts_with("x-")) continue;
    const auto* values = fields.take(name.text);
    auto claim = read_text(findings, name, "claims");
    if (claim && *claim != name.text) {
      findings.error(Check::bad_text, name.place, "the claim's name has blanks around it",
                     "remove them: two names that look the same would be two claims");
      continue;
    }
    if (values != nullptr && claim) out.push_back({*claim, read_texts(findings, *values, *claim)});
  }
  if (out.empty() && findings.all().size() == before)
    findings.error(Check::empty_condition, node.place, "`claims` names no claim",
                   "write {department: [eng]}, or remove `claims`");
  std::ranges::sort(out);
  return out;
}

}  // namespace knock
