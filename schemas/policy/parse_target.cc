// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/parse_target.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "schemas/policy/nft_words.h"
#include "schemas/policy/reader.h"

namespace knock {
namespace {

constexpr std::uint64_t kMostEntries = 10'000'000;

bool all_of(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

/// An identifier of the nft language, so that it needs no quoting anywhere.
bool is_table(std::string_view text) {
  return !text.empty() && text.size() <= 32 && text[0] >= 'a' && text[0] <= 'z' &&
         all_of(text, "abcdefghijklmnopqrstuvwxyz0123456789_-");
}

/// A name below /run/netns, or the path of a namespace file without steps upwards.
bool is_netns(std::string_view text) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  if (text.empty() || text.size() > 255) return false;
  bool path = text[0] == '/';
  if (path) text.remove_prefix(1);
  auto parts = split(text, '/');
  if (!path && parts.size() > 1) return false;
  return std::ranges::all_of(parts, [&](std::string_view part) {
    return !part.empty() && part != "." && part != ".." && all_of(part, kAllowed);
  });
}

void read_table(Findings& findings, const YamlNode& node, NftablesSettings& settings) {
  auto word = read_word(findings, node, "table");
  if (!word) return;
  settings.table = *word;
  if (std::ranges::binary_search(kNftWords, std::string_view(*word)))
    findings.error(Check::reserved_table, node.place,
                   fmt::format("{} is a word of the nft language: `nft list table inet {}` is a "
                               "syntax error",
                               shown(*word), *word),
                   fmt::format("write another name, for example `knock-{}`", *word));
  else if (!is_table(*word))
    findings.error(Check::bad_table, node.place,
                   fmt::format("{} is not a table name", shown(*word)),
                   "use up to 32 of a-z 0-9 _ - and begin with a letter; `knock` is the default");
}

void read_netns(Findings& findings, const YamlNode& node, NftablesSettings& settings) {
  auto word = read_word(findings, node, "netns");
  if (!word) return;
  settings.netns = *word;
  if (!is_netns(*word))
    findings.error(Check::bad_netns, node.place,
                   fmt::format("{} is not a network namespace", shown(*word)),
                   "write a name from `ip netns`, or a path such as /proc/4711/ns/net");
}

void read_hooks(Findings& findings, const YamlNode& node, NftablesSettings& settings) {
  std::vector<Hook> hooks;
  read_list(findings, node, "hooks", true, [&](const YamlNode& item) {
    auto word = read_word(findings, item, "hooks");
    if (!word) return;
    if (*word == "input")
      hooks.push_back(Hook::input);
    else if (*word == "forward")
      hooks.push_back(Hook::forward);
    else
      findings.error(Check::bad_hook, item.place, fmt::format("{} is not a hook", shown(*word)),
                     "hooks are input (this machine's own ports) and forward (ports behind it)");
  });
  std::ranges::sort(hooks);
  hooks.erase(std::unique(hooks.begin(), hooks.end()), hooks.end());
  settings.hooks = std::move(hooks);
}

void read_nftables(Findings& findings, Fields& fields, Target& target) {
  NftablesSettings settings;
  if (const auto* table = fields.take("table")) read_table(findings, *table, settings);
  if (const auto* netns = fields.take("netns")) read_netns(findings, *netns, settings);
  if (const auto* protect = fields.take("protect"))
    settings.protect = read_boolean(findings, *protect, "protect").value_or(true);
  if (const auto* hooks = fields.take("hooks")) read_hooks(findings, *hooks, settings);
  target.settings = std::move(settings);
}

void read_capacity(Findings& findings, const YamlNode& node, Target& target) {
  Fields fields(findings, node, "`capacity`");
  if (const auto* entries = fields.need("entries"))
    if (auto number = read_number(findings, *entries, "entries", 1, kMostEntries))
      target.capacity = std::size_t(*number);
  if (const auto* reserve = fields.take("reserve"))
    if (auto number = read_number(findings, *reserve, "reserve", 0, kMostEntries)) {
      target.capacity_reserve = std::size_t(*number);
      if (target.capacity && *number >= *target.capacity)
        findings.error(Check::reserve_too_large, reserve->place,
                       fmt::format("a reserve of {} leaves no room of {} for anybody who signs in",
                                   *number, *target.capacity),
                       fmt::format("write less than {}, or raise `entries`", *target.capacity));
    }
  fields.finish();
}

/// What may be written and what may be taken away there.
void read_stewardship(Findings& findings, Fields& fields, Target& target) {
  if (const auto* node = fields.take("ownership"))
    if (auto choice = read_choice(findings, *node, "ownership", {"shared", "exclusive", "observe"}))
      target.ownership = Ownership(*choice);
  if (const auto* node = fields.take("on_remove"))
    if (auto choice = read_choice(findings, *node, "on_remove", {"drain", "orphan"}))
      target.on_remove = OnRemove(*choice);
  // `on` and `off` are words here, whatever other readers of YAML take them for.
  if (const auto* node = fields.take("heal"))
    if (auto choice = read_choice(findings, *node, "heal", {"on", "warn", "off"}))
      target.heal = Heal(*choice);
}

}  // namespace

void read_target(Findings& findings, const YamlNode& body, Declared<Target>& target) {
  Fields fields(findings, body, "a target");
  if (const auto* type = fields.need("type")) {
    auto word = read_word(findings, *type, "type");
    target.value.type = word.value_or("");
    if (word && *word != "nftables") {
      auto meant = did_you_mean(*word, {"nftables"});
      findings.error(Check::unknown_type, type->place,
                     fmt::format("{} is not a target type of this version", shown(*word)),
                     meant ? "did you mean `nftables`?" : "the target types are `nftables`");
    }
    // The other keys belong to a type: with another type they would only be reported once more.
    if (!word || *word != "nftables") return;
  }
  read_nftables(findings, fields, target.value);
  if (const auto* ttl = fields.take("max_ttl"))
    target.value.max_ttl = read_duration(findings, *ttl, "max_ttl");
  if (const auto* capacity = fields.take("capacity"))
    read_capacity(findings, *capacity, target.value);
  read_stewardship(findings, fields, target.value);
  fields.refuse({"credentials"});
  fields.finish();
}

}  // namespace knock
