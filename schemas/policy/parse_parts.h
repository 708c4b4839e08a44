// SPDX-License-Identifier: Apache-2.0
// What several sections of a policy file have in common.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "schemas/policy/parsed_file.h"
#include "schemas/policy/reader.h"
#include "schemas/policy/yaml_document.h"

namespace knock {

template <class T>
void sort_unique(std::vector<T>& values) {
  std::ranges::sort(values);
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

/// A list of names; each is remembered as a use. In the order in which they are written.
template <class NameType>
void read_uses_in_order(Findings& findings, const YamlNode* node, std::string_view key,
                        NameUse::Kind kind, std::vector<NameType>& out,
                        std::vector<NameUse>& uses) {
  if (node == nullptr) return;
  read_list(findings, *node, key, true, [&](const YamlNode& item) {
    auto name = read_word(findings, item, key);
    if (!name) return;
    out.emplace_back(*name);
    uses.push_back({kind, std::move(*name), item.place});
  });
}

template <class NameType>
void read_uses(Findings& findings, const YamlNode* node, std::string_view key, NameUse::Kind kind,
               std::vector<NameType>& out, std::vector<NameUse>& uses) {
  read_uses_in_order(findings, node, key, kind, out, uses);
  sort_unique(out);
}

/// Services, or ["*"] alone: then `all` is set and nothing is named.
void read_services(Findings& findings, const YamlNode* node, std::string_view key,
                   std::vector<ServiceName>& out, bool& all, std::vector<NameUse>& uses);
/// `from: {in: […], not_in: […]}`
void read_from(Findings& findings, Fields& fields, SourceCondition& from,
               std::vector<NameUse>& uses);
/// {claim: [value, …]}; sorted.
std::vector<ClaimCondition> read_claims(Findings& findings, const YamlNode& node);
/// A list of texts, sorted.
std::vector<std::string> read_texts(Findings& findings, const YamlNode& node, std::string_view key);
void read_prefixes(Findings& findings, const YamlNode& node, std::string_view key,
                   std::vector<NetworkPrefix>& out);

void read_allow(Findings& findings, const YamlNode& body, Declared<AllowRule>& rule);
void read_static(Findings& findings, const YamlNode& body, Declared<StaticRule>& rule);
void read_deny(Findings& findings, const YamlNode& body, Declared<DenyRule>& rule);
void read_break_glass(Findings& findings, const YamlNode& body, Declared<BreakGlassRule>& rule);

void read_behaviour(Findings& findings, const YamlNode& body, Single<Behaviour>& behaviour);
void read_guards(Findings& findings, const YamlNode& body, Single<GuardLimits>& guards);
void read_tests(Findings& findings, const YamlNode& body, std::vector<DeclaredTest>& tests);

/// A window, or a list of them; sorted. `uses` gets the names of time zones.
void read_schedule(Findings& findings, const YamlNode& node, std::string_view key,
                   std::vector<Window>& out, std::vector<NameUse>& uses);

/// The conditions of an allow rule that are not names of groups, services or networks.
void read_conditions(Findings& findings, Fields& fields, Declared<AllowRule>& rule);

}  // namespace knock
