// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>

#include "base/text.h"
#include "schemas/policy/pieces.h"

namespace knock {
namespace {

constexpr std::size_t kMostFindings = 1000;      // of one merge
constexpr std::size_t kMostSuggestions = 50;     // each compares with every name there is
constexpr std::size_t kMostStarred = 1'000'000;  // services named by expanding "*", over all rules

template <class T>
struct Slot {
  std::string_view name;
  const Declared<T>* declared;
  std::size_t file;
};

/// Declared names of one kind, in order, and which of them something refers to.
class Names {
 public:
  template <class T>
  void fill(const std::vector<Slot<T>>& slots) {
    index_.reserve(slots.size());
    for (const auto& slot : slots) index_.emplace(slot.name, index_.size());
    used_.assign(slots.size(), false);
  }
  bool has(std::string_view name) const { return index_.contains(name); }
  bool use(std::string_view name) {
    auto at = index_.find(name);
    if (at == index_.end()) return false;
    used_[at->second] = true;
    return true;
  }
  bool used(std::size_t index) const { return used_[index]; }
  std::vector<std::string> all() const {
    std::vector<std::string> out;
    for (const auto& [name, index] : index_) out.emplace_back(name);
    std::ranges::sort(out);
    return out;
  }

 private:
  std::unordered_map<std::string_view, std::size_t> index_;
  std::vector<bool> used_;
};

std::string_view kind_name(NameUse::Kind kind) {
  switch (kind) {
    case NameUse::Kind::group:
      return "group";
    case NameUse::Kind::network:
      return "network";
    case NameUse::Kind::service:
      return "service";
    case NameUse::Kind::target:
      return "target";
    case NameUse::Kind::sign_in:
      return "sign-in source";
    case NameUse::Kind::zone:
      return "time zone";
  }
  return "name";
}

Check unknown_check(NameUse::Kind kind) {
  switch (kind) {
    case NameUse::Kind::group:
      return Check::unknown_group;
    case NameUse::Kind::network:
      return Check::unknown_network;
    case NameUse::Kind::service:
      return Check::unknown_service;
    case NameUse::Kind::target:
      return Check::unknown_target;
    case NameUse::Kind::sign_in:
      return Check::unknown_sign_in;
    case NameUse::Kind::zone:
      return Check::unknown_zone;
  }
  return Check::unknown_group;
}

/// The section whose names a kind refers to; sign-in sources come from the configuration, time zones
/// from the system.
Section section_of(NameUse::Kind kind) {
  switch (kind) {
    case NameUse::Kind::group:
      return Section::groups;
    case NameUse::Kind::network:
      return Section::networks;
    case NameUse::Kind::service:
      return Section::services;
    case NameUse::Kind::target:
      return Section::targets;
    case NameUse::Kind::sign_in:
    case NameUse::Kind::zone:
      break;
  }
  return Section::groups;
}

/// UTC needs nobody's data.
Result<std::shared_ptr<const Zone>> find_zone(const std::string& name, const ZoneSource* source) {
  if (name == "UTC") {
    static const auto utc = std::make_shared<const Zone>(Zone{"UTC", {{Instant{}, 0}}});
    return utc;
  }
  if (!is_zone_name(name)) return fail(ErrorKind::not_found, "no name of a time zone");
  if (source == nullptr)
    return fail(ErrorKind::unavailable, "no time zones but UTC are at hand here");
  return source->zone(name);
}

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

class Merger {
 public:
  Merger(const std::vector<SourceFile>& sources, const PolicyContext& context)
      : sources_(sources), context_(context) {
    for (const auto& source : sources)
      for (std::size_t i = 0; i < kSections; ++i) incomplete_[i] |= source.parsed->incomplete[i];
    for (const auto& name : context.sign_ins) sign_ins_.push_back(name.value);
  }

  Merged run() {
    auto groups = collect(&ParsedFile::groups, "group");
    auto networks = collect(&ParsedFile::networks, "network");
    auto services = collect(&ParsedFile::services, "service");
    auto targets = collect(&ParsedFile::targets, "target");
    auto allow = collect(&ParsedFile::allow, "allow rule");
    auto statics = collect(&ParsedFile::statics, "static entry");
    auto deny = collect(&ParsedFile::deny, "deny rule");
    auto break_glass = collect(&ParsedFile::break_glass, "break-glass rule");
    take_single(&ParsedFile::behaviour, "behaviour", merged_.policy.behaviour);
    take_single(&ParsedFile::guards, "guards", merged_.policy.guards);
    names(NameUse::Kind::group).fill(groups);
    names(NameUse::Kind::network).fill(networks);
    names(NameUse::Kind::service).fill(services);
    names(NameUse::Kind::target).fill(targets);

    resolve(groups);
    resolve(services);
    resolve(allow);
    resolve(statics);
    resolve(deny);
    resolve(break_glass);
    resolve_tests();
    check_group_sources(groups);
    check_tables(targets);
    check_surfaces(services);
    check_surfaces(allow);
    check_surfaces(break_glass);
    for (const auto& single : singles_)
      for (const auto& use : *single.surfaces) check_surface(use, single.file);
    check_ttl(allow);
    check_ends(statics);
    limit_stars(services.size(), {count_stars(allow), count_stars(statics), count_stars(deny),
                                  count_stars(break_glass), count_test_stars()});
    if (sound()) refuse_unenforced();
    if (!sound()) return std::move(merged_);

    bool starred = first_star_ != nullptr;
    warn_unused(groups, NameUse::Kind::group, Check::unused_group, false);
    warn_unused(networks, NameUse::Kind::network, Check::unused_network, false);
    warn_unused(services, NameUse::Kind::service, Check::unused_service, starred);
    auto& policy = merged_.policy;
    copy(groups, policy.groups);
    copy(networks, policy.networks);
    copy(services, policy.services);
    copy(targets, policy.targets);
    copy(allow, policy.allow);
    copy(statics, policy.statics);
    copy(deny, policy.deny);
    copy(break_glass, policy.break_glass);
    copy_tests();
    expand_stars();
    check_pieces(statics);
    for (const auto& [name, zone] : zones_) policy.zones.emplace(name, *zone);
    return std::move(merged_);
  }

 private:
  /// Warnings do not count.
  bool sound() const {
    return std::ranges::none_of(merged_.findings,
                                [](const auto& found) {
                                  return found.finding.severity == Diagnostic::Severity::error;
                                }) &&
           std::ranges::all_of(sources_,
                               [](const auto& source) { return source.parsed->findings.empty(); });
  }

  Names& names(NameUse::Kind kind) { return names_[std::size_t(kind)]; }

  void report(Check check, std::size_t file, Place place, std::string summary,
              std::string suggestion, Diagnostic::Severity severity = Diagnostic::Severity::error) {
    if (merged_.findings.size() > kMostFindings) return;
    if (merged_.findings.size() == kMostFindings) {
      check = Check::too_many_problems;
      summary =
          fmt::format("more than {} problems between files; the rest is not listed", kMostFindings);
      suggestion = "repair the ones above first";
    }
    merged_.findings.push_back(
        {{check, severity, place, std::move(summary), std::move(suggestion)}, file});
  }

  std::string place_text(std::size_t file, Place place) const {
    return range_of(std::string(sources_[file].path), place).to_string();
  }

  /// Every element of one kind, by name; a name twice is reported and the first place counts.
  template <class T>
  std::vector<Slot<T>> collect(std::vector<Declared<T>> ParsedFile::* member,
                               std::string_view kind) {
    std::vector<Slot<T>> slots;
    std::size_t count = 0;
    for (const auto& source : sources_) count += (*source.parsed.*member).size();
    slots.reserve(count);
    for (std::size_t i = 0; i < sources_.size(); ++i)
      for (const auto& declared : *source_of(i).*member)
        slots.push_back({declared.value.name.value, &declared, i});
    auto before = [](const Slot<T>& a, const Slot<T>& b) {
      if (auto by_name = a.name <=> b.name; by_name != 0) return by_name < 0;
      return std::tie(a.file, a.declared->place) < std::tie(b.file, b.declared->place);
    };
    if (!std::ranges::is_sorted(slots, before)) std::ranges::sort(slots, before);
    std::vector<Slot<T>> unique;
    unique.reserve(slots.size());
    for (const auto& slot : slots) {
      if (unique.empty() || unique.back().name != slot.name) {
        unique.push_back(slot);
        continue;
      }
      const auto& first = unique.back();
      report(Check::duplicate_name, slot.file, slot.declared->place,
             fmt::format("the {} {} is declared twice; the first is at {}", kind, shown(slot.name),
                         place_text(first.file, first.declared->place)),
             "rename one of them, or put both contents in one place");
    }
    return unique;
  }
  const ParsedFile* source_of(std::size_t file) const { return sources_[file].parsed.get(); }

  /// A section of one file; a second one is reported.
  template <class T>
  void take_single(std::optional<Single<T>> ParsedFile::* member, std::string_view key, T& out) {
    const Single<T>* first = nullptr;
    std::size_t first_file = 0;
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      const auto& single = source_of(i)->*member;
      if (!single) continue;
      if (first != nullptr) {
        report(Check::duplicate_name, i, single->place,
               fmt::format("`{}` stands in two files; the first is at {}", key,
                           place_text(first_file, first->place)),
               "put both contents in one place");
        continue;
      }
      first = &*single;
      first_file = i;
      out = single->value;
      singles_.push_back({&single->uses, &single->surfaces, i});
    }
  }

  template <class T>
  void resolve(const std::vector<Slot<T>>& slots) {
    for (const auto& slot : slots)
      for (const auto& use : slot.declared->uses) resolve(use, slot.file);
  }

  void resolve(const NameUse& use, std::size_t file) {
    if (use.kind == NameUse::Kind::sign_in)
      resolve_sign_in(use, file);
    else if (use.kind == NameUse::Kind::zone)
      resolve_zone(use, file);
    else if (!names(use.kind).use(use.name) && !incomplete_[std::size_t(section_of(use.kind))])
      report_unknown(use, file);
  }

  /// What only a test names is still unused: no rule speaks of it.
  void resolve_tests() {
    for (std::size_t i = 0; i < sources_.size(); ++i)
      for (const auto& test : source_of(i)->tests)
        for (const auto& use : test.uses)
          if (!names(use.kind).has(use.name) && !incomplete_[std::size_t(section_of(use.kind))])
            report_unknown(use, i);
    for (const auto& single : singles_)
      for (const auto& use : *single.uses) resolve(use, single.file);
  }

  void resolve_zone(const NameUse& use, std::size_t file) {
    auto [at, is_new] = zones_.try_emplace(use.name, std::shared_ptr<const Zone>());
    if (is_new) at->second = find_zone(use.name, context_.zones.get());
    if (at->second) return;
    const auto& error = at->second.error();
    if (error.kind == ErrorKind::not_found)
      report(Check::unknown_zone, file, use.place,
             fmt::format("there is no time zone {}", shown(use.name)),
             suggest(use.name, zone_names(),
                     "write a name of the IANA database, such as Europe/Berlin, or UTC"));
    else
      report(Check::zone_unreadable, file, use.place,
             fmt::format("the time zone {} cannot be read: {}", shown(use.name),
                         printable(error.text())),
             "install the package tzdata, or repair it; a schedule without its zone is never open");
  }

  const std::vector<std::string>& zone_names() {
    if (zone_names_.empty() && context_.zones != nullptr) zone_names_ = context_.zones->names();
    return zone_names_;
  }

  void resolve_sign_in(const NameUse& use, std::size_t file) {
    if (!context_.sign_ins_known || std::ranges::find(sign_ins_, use.name) != sign_ins_.end())
      return;
    auto suggestion = use.name == "grant"
                          ? "sessions that an operator grants name a group of the policy "
                            "directly; no rule and no group names `grant`"
                      : use.name == "local"
                          ? "local accounts are switched off in knock.yaml (sign_in.local.enabled)"
                          : suggest(use.name, sign_ins_, "add it to sign_in in knock.yaml");
    report(Check::unknown_sign_in, file, use.place,
           fmt::format("there is no sign-in source {} in knock.yaml", shown(use.name)), suggestion);
  }

  void report_unknown(const NameUse& use, std::size_t file) {
    auto kind = kind_name(use.kind);
    auto suggestion =
        suggestions_ < kMostSuggestions
            ? suggest(use.name, names(use.kind).all(),
                      fmt::format("declare it in `{}`", to_string(section_of(use.kind))))
            : fmt::format("declare it in `{}`", to_string(section_of(use.kind)));
    report(unknown_check(use.kind), file, use.place,
           fmt::format("there is no {} {}", kind, shown(use.name)), suggestion);
  }

  std::string suggest(const std::string& written, const std::vector<std::string>& candidates,
                      std::string otherwise) {
    ++suggestions_;
    auto meant = did_you_mean(written, candidates);
    return meant ? fmt::format("did you mean {}?", shown(*meant)) : std::move(otherwise);
  }

  void check_group_sources(const std::vector<Slot<Group>>& groups) {
    if (!context_.sign_ins_known || sign_ins_.size() < 2) return;
    for (const auto& slot : groups) {
      if (slot.declared->broken || !slot.declared->value.from.empty()) continue;
      report(Check::group_from_missing, slot.file, slot.declared->place,
             fmt::format("group {} does not say whose word counts, and knock.yaml has {} sign-in "
                         "sources",
                         shown(slot.name), sign_ins_.size()),
             fmt::format("add `from: [{}]`, naming one or more of {}", sign_ins_.front(),
                         join(sign_ins_, ", ")));
    }
  }

  void check_tables(const std::vector<Slot<Target>>& targets) {
    std::unordered_map<std::string, const Slot<Target>*> seen;
    for (const auto& slot : targets) {
      const auto* nft = std::get_if<NftablesSettings>(&slot.declared->value.settings);
      if (slot.declared->broken || nft == nullptr) continue;
      auto [other, is_new] = seen.emplace(nft->netns + "\n" + nft->table, &slot);
      if (is_new) continue;
      report(Check::same_table, slot.file, slot.declared->place,
             fmt::format("target {} is the same table {} of the same network namespace as target "
                         "{} at {}",
                         shown(slot.name), shown(nft->table), shown(other->second->name),
                         place_text(other->second->file, other->second->declared->place)),
             "two targets would undo each other's work: give one another `table` or `netns`");
    }
  }

  void check_surface(const SurfaceUse& use, std::size_t file) {
    if (!context_.surfaces_known || context_.surfaces.contains(use.surface)) return;
    report(Check::no_surface, file, use.place,
           fmt::format("this controller cannot enforce `{}`: it has no {}", use.key,
                       describe(use.surface)),
           "remove it, or switch on what it needs in knock.yaml; the rest of the policy would be "
           "looser than it reads");
  }

  template <class T>
  void check_surfaces(const std::vector<Slot<T>>& slots) {
    for (const auto& slot : slots)
      for (const auto& use : slot.declared->surfaces) check_surface(use, slot.file);
  }

  /// What can be read, and is not enforced yet.
  void refuse_unenforced() {
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      const auto& guards = source_of(i)->guards;
      if (!guards || guards->value == GuardLimits{}) continue;
      report(Check::not_supported, i, guards->place,
             "this version does not enforce `guards`, so it is refused rather than ignored",
             "remove it; without it this part of the policy would be looser than it reads");
    }
  }

  void check_ttl(const std::vector<Slot<AllowRule>>& rules) {
    const auto& longest = merged_.policy.behaviour.longest_ttl;
    if (!longest) return;
    for (const auto& slot : rules)
      if (!slot.declared->broken && slot.declared->value.ttl > *longest)
        report(
            Check::ttl_too_long, slot.file, slot.declared->place,
            fmt::format("the rule {} opens for {}, and `behaviour` allows {} at most",
                        shown(slot.name), to_string(slot.declared->value.ttl), to_string(*longest)),
            fmt::format("write `ttl: {}` or less, or set `longest_ttl` in `behaviour`",
                        to_string(*longest)));
  }

  /// Only where the policy is judged before it is adopted.
  void check_ends(const std::vector<Slot<StaticRule>>& rules) {
    if (!context_.now) return;
    for (const auto& slot : rules)
      if (!slot.declared->broken) check_end(slot, slot.declared->value.until, *context_.now);
  }

  void check_end(const Slot<StaticRule>& slot, Instant until, Instant now) {
    const auto& behaviour = merged_.policy.behaviour;
    auto say = [&](Check check, std::string summary, std::string suggestion,
                   Diagnostic::Severity severity = Diagnostic::Severity::error) {
      report(check, slot.file, slot.declared->place, std::move(summary), std::move(suggestion),
             severity);
    };
    if (until <= now)
      say(Check::static_ended,
          fmt::format("the static entry {} ended at {}", shown(slot.name), to_string(until)),
          "remove it, or ask its owner for a new `until`");
    else if (behaviour.longest_static && until - now > *behaviour.longest_static)
      say(Check::static_too_long,
          fmt::format("the static entry {} ends at {}, and `behaviour` allows {} from now at most",
                      shown(slot.name), to_string(until), to_string(*behaviour.longest_static)),
          "write an earlier `until`, or set `longest_static` in `behaviour`");
    else if (until - now <= behaviour.warn_before_end)
      say(Check::static_ending,
          fmt::format("the static entry {} ends in {}, at {}", shown(slot.name),
                      for_people(until - now), to_string(until)),
          "ask its owner whether it is still needed; from then on it is an error",
          Diagnostic::Severity::warning);
  }

  /// The policy is complete by now, and its static entries are in the order of the slots.
  void check_pieces(const std::vector<Slot<StaticRule>>& slots) {
    for (const auto& cut : too_many_pieces(merged_.policy)) {
      const auto& slot = slots[cut.index];
      report(Check::too_many_pieces, slot.file, slot.declared->place,
             fmt::format("the deny rules for {} cut {} of the static entry {} into {} pieces; at "
                         "most {} are enforced",
                         shown(cut.service.value), cut.prefix.to_string(), shown(slot.name),
                         cut.pieces, kMostPieces),
             "name narrower prefixes in the static entry, or join the networks that deny rules "
             "name");
    }
  }

  std::size_t count_test_stars() {
    std::size_t count = 0;
    for (std::size_t i = 0; i < sources_.size(); ++i)
      for (const auto& test : source_of(i)->tests) {
        if (!test.value.can_all && !test.value.cannot_all) continue;
        count += std::size_t(test.value.can_all) + std::size_t(test.value.cannot_all);
        if (first_test_star_ != nullptr) continue;
        first_test_star_ = &test.place;
        first_test_star_file_ = i;
      }
    return count;
  }

  template <class T>
  std::size_t count_stars(const std::vector<Slot<T>>& rules) {
    std::size_t count = 0;
    for (const auto& slot : rules) {
      if (!slot.declared->value.to_all) continue;
      ++count;
      if (first_star_ != nullptr) continue;
      first_star_ = &slot.declared->place;
      first_star_file_ = slot.file;
    }
    return count;
  }

  void limit_stars(std::size_t services, std::initializer_list<std::size_t> counts) {
    std::size_t rules = 0;
    for (auto count : counts) rules += count;
    if (services == 0 || rules <= kMostStarred / services) return;
    bool in_rule = first_star_ != nullptr;
    report(Check::star_too_large, in_rule ? first_star_file_ : first_test_star_file_,
           in_rule ? *first_star_ : *first_test_star_,
           fmt::format("{} rules and tests name \"*\", which is {} services: more than {} pairs",
                       rules, services, kMostStarred),
           "let fewer of them name \"*\", or join rules that differ only in their name");
  }

  template <class T>
  void warn_unused(const std::vector<Slot<T>>& slots, NameUse::Kind kind, Check check,
                   bool all_used) {
    if (all_used) return;
    for (std::size_t i = 0; i < slots.size(); ++i)
      if (!names(kind).used(i))
        report(check, slots[i].file, slots[i].declared->place,
               fmt::format("no rule uses the {} {}", kind_name(kind), shown(slots[i].name)),
               "remove it, or write the rule that was meant", Diagnostic::Severity::warning);
  }

  template <class T>
  void copy(const std::vector<Slot<T>>& slots, std::vector<T>& out) {
    out.reserve(slots.size());
    for (const auto& slot : slots) {
      out.push_back(slot.declared->value);
      auto place = slot.declared->place;
      out.back().origin = {std::string(sources_[slot.file].path), place.line, place.column,
                           place.length};
    }
  }

  void copy_tests() {
    for (std::size_t i = 0; i < sources_.size(); ++i)
      for (const auto& test : source_of(i)->tests) {
        merged_.policy.tests.push_back(test.value);
        merged_.policy.tests.back().origin = range_of(std::string(sources_[i].path), test.place);
      }
  }

  void expand_stars() {
    if (first_star_ == nullptr && first_test_star_ == nullptr) return;
    std::vector<ServiceName> all;
    for (const auto& service : merged_.policy.services) all.push_back(service.name);
    auto expand = [&](auto& rules) {
      for (auto& rule : rules)
        if (rule.to_all) rule.to = all;
    };
    expand(merged_.policy.allow);
    expand(merged_.policy.statics);
    expand(merged_.policy.deny);
    expand(merged_.policy.break_glass);
    for (auto& test : merged_.policy.tests) {
      if (test.can_all) test.can = all;
      if (test.cannot_all) test.cannot = all;
    }
  }

  const std::vector<SourceFile>& sources_;
  const PolicyContext& context_;
  std::vector<std::string> sign_ins_;
  std::array<bool, kSections> incomplete_{};
  std::array<Names, 4> names_;
  std::size_t suggestions_ = 0;
  struct SingleUses {
    const std::vector<NameUse>* uses;
    const std::vector<SurfaceUse>* surfaces;
    std::size_t file;
  };
  std::vector<SingleUses> singles_;
  std::map<std::string, Result<std::shared_ptr<const Zone>>, std::less<>> zones_;
  std::vector<std::string> zone_names_;
  const Place* first_test_star_ = nullptr;
  std::size_t first_test_star_file_ = 0;
  const Place* first_star_ = nullptr;
  std::size_t first_star_file_ = 0;
  Merged merged_;
};

}  // namespace

Merged merge_policy(const std::vector<SourceFile>& sources, const PolicyContext& context) {
  return Merger(sources, context).run();
}

}  // namespace knock
