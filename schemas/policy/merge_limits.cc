// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/merge_limits.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "schemas/policy/pieces.h"

namespace knock {
namespace {

constexpr std::size_t kManyEntries = 1'000'000'000'000;  // a count beyond it says no more

std::string_view describe(Surface surface) {
  switch (surface) {
    case Surface::approval:
      return "way for others to say yes";
    case Surface::break_glass:
      return "break-glass keys";
    case Surface::require_token:
      return "target that can tell people apart at one address";
    case Surface::claims:
      return "claims and `acr` from its sign-in sources";
    case Surface::mfa:
      return "time of a second factor from its sign-in sources";
    case Surface::path:
      return "order between targets";
    case Surface::connections:
      return "target that closes behind a connection's begin";
    case Surface::disconnect:
      return "target that closes at a connection's end";
  }
  return "way to do it";
}

void check_end(const Listed<StaticRule>& slot, const Behaviour& behaviour, Instant now,
               MergeReport& report) {
  auto until = slot.declared->value.until;
  auto place = slot.declared->place;
  if (until <= now)
    report.error(Check::static_ended, slot.file, place,
                 fmt::format("the static entry {} ended at {}", shown(slot.name), to_string(until)),
                 "remove it, or ask its owner for a new `until`");
  else if (behaviour.longest_static && until - now > *behaviour.longest_static)
    report.error(
        Check::static_too_long, slot.file, place,
        fmt::format("the static entry {} ends at {}, and `behaviour` allows {} from now at most",
                    shown(slot.name), to_string(until), to_string(*behaviour.longest_static)),
        "write an earlier `until`, or set `longest_static` in `behaviour`");
  else if (until - now <= behaviour.warn_before_end)
    report.warn(Check::static_ending, slot.file, place,
                fmt::format("the static entry {} ends in {}, at {}", shown(slot.name),
                            for_people(until - now), to_string(until)),
                "ask its owner whether it is still needed; from then on it is an error");
}

}  // namespace

void check_group_sources(const std::vector<Listed<Group>>& groups, const PolicyContext& context,
                         MergeReport& report) {
  if (!context.sign_ins_known || context.sign_ins.size() < 2) return;
  std::vector<std::string> sources;
  for (const auto& name : context.sign_ins) sources.push_back(name.value);
  for (const auto& slot : groups) {
    if (slot.declared->broken || !slot.declared->value.from.empty()) continue;
    report.error(Check::group_from_missing, slot.file, slot.declared->place,
                 fmt::format("group {} does not say whose word counts, and knock.yaml has {} "
                             "sign-in sources",
                             shown(slot.name), sources.size()),
                 fmt::format("add `from: [{}]`, naming one or more of {}", sources.front(),
                             join(sources, ", ")));
  }
}

void check_tables(const std::vector<Listed<Target>>& targets, MergeReport& report) {
  std::unordered_map<std::string, const Listed<Target>*> seen;
  for (const auto& slot : targets) {
    const auto* nft = std::get_if<NftablesSettings>(&slot.declared->value.settings);
    if (slot.declared->broken || nft == nullptr) continue;
    auto [other, is_new] = seen.emplace(nft->netns + "\n" + nft->table, &slot);
    if (is_new) continue;
    report.error(
        Check::same_table, slot.file, slot.declared->place,
        fmt::format("target {} is the same table {} of the same network namespace as target {} at "
                    "{}",
                    shown(slot.name), shown(nft->table), shown(other->second->name),
                    report.place_text(other->second->file, other->second->declared->place)),
        "two targets would undo each other's work: give one another `table` or `netns`");
  }
}

void check_surfaces(const std::vector<SurfaceUse>& uses, std::size_t file,
                    const PolicyContext& context, MergeReport& report) {
  if (!context.surfaces_known) return;
  for (const auto& use : uses) {
    if (context.surfaces.contains(use.surface)) continue;
    report.error(Check::no_surface, file, use.place,
                 fmt::format("this controller cannot enforce `{}`: it has no {}", use.key,
                             describe(use.surface)),
                 "remove it, or switch on what it needs in knock.yaml; the rest of the policy "
                 "would be looser than it reads");
  }
}

void check_ttl(const std::vector<Listed<AllowRule>>& rules, const Behaviour& behaviour,
               MergeReport& report) {
  const auto& longest = behaviour.longest_ttl;
  if (!longest) return;
  for (const auto& slot : rules) {
    auto ttl = slot.declared->value.ttl;
    if (slot.declared->broken || ttl <= *longest) continue;
    report.error(Check::ttl_too_long, slot.file, slot.declared->place,
                 fmt::format("the rule {} opens for {}, and `behaviour` allows {} at most",
                             shown(slot.name), to_string(ttl), to_string(*longest)),
                 fmt::format("write `ttl: {}` or less, or set `longest_ttl` in `behaviour`",
                             to_string(*longest)));
  }
}

void check_ends(const std::vector<Listed<StaticRule>>& rules, const Behaviour& behaviour,
                const PolicyContext& context, MergeReport& report) {
  if (!context.now) return;
  for (const auto& slot : rules)
    if (!slot.declared->broken) check_end(slot, behaviour, *context.now, report);
}

bool check_static_entries(const std::vector<Listed<StaticRule>>& rules,
                          const std::vector<std::size_t>& entries, MergeReport& report) {
  std::size_t all = 0, most = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    all = std::min(all + entries[i], kManyEntries);
    if (entries[i] > entries[most]) most = i;
  }
  if (all <= kMostStaticEntries) return true;
  const auto& slot = rules[most];
  report.error(Check::too_many_static_entries, slot.file, slot.declared->place,
               fmt::format("the static entries of this policy mean {}{} entries (each of their "
                           "prefixes, or what deny rules leave of it, at each service and each of "
                           "its targets); at most {} are held; {} has {} of them",
                           all == kManyEntries ? "more than " : "", all, kMostStaticEntries,
                           shown(slot.name), std::min(entries[most], kManyEntries)),
               "write networks as fewer, wider prefixes, or name fewer services in each static "
               "entry");
  return false;
}

void check_pieces(const std::vector<Listed<StaticRule>>& rules, const Policy& policy,
                  MergeReport& report) {
  auto statics = cut_statics(policy);
  for (const auto& cut : statics.too_many) {
    const auto& slot = rules[cut.index];
    report.error(Check::too_many_pieces, slot.file, slot.declared->place,
                 fmt::format("the deny rules for {} cut {} of the static entry {} into {} pieces; "
                             "at most {} are enforced",
                             shown(cut.service.value), cut.prefix.to_string(), shown(slot.name),
                             cut.pieces, kMostPieces),
                 "name narrower prefixes in the static entry, or join the networks that deny rules "
                 "name");
  }
  if (statics.too_many.empty()) check_static_entries(rules, statics.entries, report);
}

}  // namespace knock
