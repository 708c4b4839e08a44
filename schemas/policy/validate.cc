// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <tuple>

#include "base/text.h"
#include "schemas/policy/merge_limits.h"
#include "schemas/policy/merge_parts.h"
#include "schemas/policy/pieces.h"

namespace knock {
namespace {

constexpr std::size_t kMostSuggestions = 50;     // each compares with every name there is
constexpr std::size_t kMostStarred = 1'000'000;  // services named by expanding "*", over all rules

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

class Merger {
 public:
  Merger(const std::vector<SourceFile>& sources, const PolicyContext& context)
      : sources_(sources), context_(context), report_(sources) {
    for (std::size_t i = 0; i < sources.size(); ++i) look_at(i);
    for (const auto& name : context.sign_ins) sign_ins_.push_back(name.value);
  }

  Merged run() {
    auto groups = collect(&ParsedFile::groups, Section::groups, "group");
    auto networks = collect(&ParsedFile::networks, Section::networks, "network");
    auto services = collect(&ParsedFile::services, Section::services, "service");
    auto targets = collect(&ParsedFile::targets, Section::targets, "target");
    auto allow = collect(&ParsedFile::allow, Section::allow, "allow rule");
    auto statics = collect(&ParsedFile::statics, Section::statics, "static entry");
    auto deny = collect(&ParsedFile::deny, Section::deny, "deny rule");
    auto break_glass = collect(&ParsedFile::break_glass, Section::break_glass, "break-glass rule");
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
    const auto& behaviour = merged_.policy.behaviour;
    check_group_sources(groups, context_, report_);
    check_tables(targets, report_);
    check_surfaces_of(services);
    check_surfaces_of(allow);
    check_surfaces_of(break_glass);
    for (const auto& single : singles_)
      check_surfaces(*single.surfaces, single.file, context_, report_);
    check_ttl(allow, behaviour, report_);
    check_ends(statics, behaviour, context_, report_);
    limit_stars(services.size(), {count_stars(allow), count_stars(statics), count_stars(deny),
                                  count_stars(break_glass), count_test_stars()});
    if (!sound()) return done();

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
    // Before anything is as large as they are.
    if (!check_static_entries(statics, static_entries(policy), report_)) return done();
    expand_stars();
    check_pieces(statics, policy, report_);
    for (const auto& [name, zone] : zones_) policy.zones.emplace(name, *zone);
    return done();
  }

 private:
  /// The only pass over all files: most have one or two sections, and looking at ten thousand of them
  /// once for each section is what a load with a warm cache would mostly do.
  void look_at(std::size_t index) {
    const auto& file = *source_of(index);
    parsed_sound_ = parsed_sound_ && file.findings.empty();
    for (std::size_t i = 0; i < kSections; ++i) incomplete_[i] |= file.incomplete[i];
    auto has = [&](Section section, bool some) {
      if (some) files_[std::size_t(section)].push_back(index);
    };
    has(Section::groups, !file.groups.empty());
    has(Section::networks, !file.networks.empty());
    has(Section::services, !file.services.empty());
    has(Section::targets, !file.targets.empty());
    has(Section::allow, !file.allow.empty());
    has(Section::statics, !file.statics.empty());
    has(Section::deny, !file.deny.empty());
    has(Section::break_glass, !file.break_glass.empty());
    if (file.behaviour || file.guards) with_single_.push_back(index);
    if (!file.tests.empty()) with_tests_.push_back(index);
  }

  /// Warnings do not count.
  bool sound() const { return parsed_sound_ && !report_.has_errors(); }

  Merged done() {
    merged_.findings = report_.take();
    return std::move(merged_);
  }

  Names& names(NameUse::Kind kind) { return names_[std::size_t(kind)]; }

  /// Every element of one kind, by name; a name twice is reported and the first place counts.
  template <class T>
  std::vector<Listed<T>> collect(std::vector<Declared<T>> ParsedFile::* member, Section section,
                                 std::string_view kind) {
    const auto& files = files_[std::size_t(section)];
    std::vector<Listed<T>> slots;
    slots.reserve(files.size());
    for (auto i : files)
      for (const auto& declared : *source_of(i).*member)
        slots.push_back({declared.value.name.value, &declared, i});
    auto before = [](const Listed<T>& a, const Listed<T>& b) {
      if (auto by_name = a.name <=> b.name; by_name != 0) return by_name < 0;
      return std::tie(a.file, a.declared->place) < std::tie(b.file, b.declared->place);
    };
    if (!std::ranges::is_sorted(slots, before)) std::ranges::sort(slots, before);
    std::vector<Listed<T>> unique;
    unique.reserve(slots.size());
    for (const auto& slot : slots) {
      if (unique.empty() || unique.back().name != slot.name) {
        unique.push_back(slot);
        continue;
      }
      const auto& first = unique.back();
      report_.error(
          Check::duplicate_name, slot.file, slot.declared->place,
          fmt::format("the {} {} is declared twice; the first is at {}", kind, shown(slot.name),
                      report_.place_text(first.file, first.declared->place)),
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
    for (auto i : with_single_) {
      const auto& single = source_of(i)->*member;
      if (!single) continue;
      if (first != nullptr) {
        report_.error(Check::duplicate_name, i, single->place,
                      fmt::format("`{}` stands in two files; the first is at {}", key,
                                  report_.place_text(first_file, first->place)),
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
  void resolve(const std::vector<Listed<T>>& slots) {
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
    for (auto i : with_tests_)
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
      report_.error(Check::unknown_zone, file, use.place,
                    fmt::format("there is no time zone {}", shown(use.name)),
                    suggest(
                        use.name, [&] { return zone_names(); },
                        "write a name of the IANA database, such as Europe/Berlin, or UTC"));
    else
      report_.error(
          Check::zone_unreadable, file, use.place,
          fmt::format("the time zone {} cannot be read: {}", shown(use.name),
                      printable(error.text())),
          "install the package tzdata, or repair it; a schedule without its zone is never open");
  }

  std::vector<std::string> zone_names() {
    if (zone_names_.empty() && context_.zones != nullptr) zone_names_ = context_.zones->names();
    return zone_names_;
  }

  void resolve_sign_in(const NameUse& use, std::size_t file) {
    if (!context_.sign_ins_known || std::ranges::find(sign_ins_, use.name) != sign_ins_.end())
      return;
    auto suggestion =
        use.name == "grant" ? "sessions that an operator grants name a group of the policy "
                              "directly; no rule and no group names `grant`"
        : use.name == "local"
            ? "local accounts are switched off in knock.yaml (sign_in.local.enabled)"
            : suggest(use.name, [&] { return sign_ins_; }, "add it to sign_in in knock.yaml");
    report_.error(Check::unknown_sign_in, file, use.place,
                  fmt::format("there is no sign-in source {} in knock.yaml", shown(use.name)),
                  suggestion);
  }

  void report_unknown(const NameUse& use, std::size_t file) {
    auto kind = kind_name(use.kind);
    auto suggestion = suggest(
        use.name, [&] { return names(use.kind).all(); },
        fmt::format("declare it in `{}`", to_string(section_of(use.kind))));
    report_.error(unknown_check(use.kind), file, use.place,
                  fmt::format("there is no {} {}", kind, shown(use.name)), suggestion);
  }

  /// Candidates are only asked for while there is room: there may be many of them.
  std::string suggest(const std::string& written,
                      const std::function<std::vector<std::string>()>& candidates,
                      std::string otherwise) {
    if (suggestions_ >= kMostSuggestions) return otherwise;
    ++suggestions_;
    auto meant = did_you_mean(written, candidates());
    return meant ? fmt::format("did you mean {}?", shown(*meant)) : std::move(otherwise);
  }

  template <class T>
  void check_surfaces_of(const std::vector<Listed<T>>& slots) {
    if (!context_.surfaces_known) return;
    for (const auto& slot : slots)
      check_surfaces(slot.declared->surfaces, slot.file, context_, report_);
  }

  std::size_t count_test_stars() {
    std::size_t count = 0;
    for (auto i : with_tests_)
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
  std::size_t count_stars(const std::vector<Listed<T>>& rules) {
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
    report_.error(
        Check::star_too_large, in_rule ? first_star_file_ : first_test_star_file_,
        in_rule ? *first_star_ : *first_test_star_,
        fmt::format("{} rules and tests name \"*\", which is {} services: more than {} pairs",
                    rules, services, kMostStarred),
        "let fewer of them name \"*\", or join rules that differ only in their name");
  }

  template <class T>
  void warn_unused(const std::vector<Listed<T>>& slots, NameUse::Kind kind, Check check,
                   bool all_used) {
    if (all_used) return;
    for (std::size_t i = 0; i < slots.size(); ++i)
      if (!names(kind).used(i))
        report_.warn(check, slots[i].file, slots[i].declared->place,
                     fmt::format("no rule uses the {} {}", kind_name(kind), shown(slots[i].name)),
                     "remove it, or write the rule that was meant");
  }

  template <class T>
  void copy(const std::vector<Listed<T>>& slots, std::vector<T>& out) {
    out.reserve(slots.size());
    for (const auto& slot : slots) {
      out.push_back(slot.declared->value);
      auto place = slot.declared->place;
      out.back().origin = {std::string(sources_[slot.file].path), place.line, place.column,
                           place.length};
    }
  }

  void copy_tests() {
    for (auto i : with_tests_)
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
  MergeReport report_;
  std::vector<std::string> sign_ins_;
  std::array<bool, kSections> incomplete_{};
  std::array<std::vector<std::size_t>, kSections> files_;  // that have something of a section
  std::vector<std::size_t> with_single_, with_tests_;
  bool parsed_sound_ = true;
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
