// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "base/text.h"

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
  }
  return Check::unknown_group;
}

/// The section whose names a kind refers to; sign-in sources come from the configuration.
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
      break;
  }
  return Section::groups;
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
    names(NameUse::Kind::group).fill(groups);
    names(NameUse::Kind::network).fill(networks);
    names(NameUse::Kind::service).fill(services);
    names(NameUse::Kind::target).fill(targets);

    resolve(groups);
    resolve(services);
    resolve(allow);
    resolve(statics);
    resolve(deny);
    check_group_sources(groups);
    check_tables(targets);
    limit_stars(services.size(), {count_stars(allow), count_stars(statics), count_stars(deny)});
    bool sound = merged_.findings.empty() && std::ranges::all_of(sources_, [](const auto& source) {
                   return source.parsed->findings.empty();
                 });
    if (!sound) return std::move(merged_);

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
    expand_stars();
    return std::move(merged_);
  }

 private:
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

  template <class T>
  void resolve(const std::vector<Slot<T>>& slots) {
    for (const auto& slot : slots)
      for (const auto& use : slot.declared->uses) {
        if (use.kind == NameUse::Kind::sign_in)
          resolve_sign_in(use, slot.file);
        else if (!names(use.kind).use(use.name) && !incomplete_[std::size_t(section_of(use.kind))])
          report_unknown(use, slot.file);
      }
  }

  void resolve_sign_in(const NameUse& use, std::size_t file) {
    if (!context_.sign_ins_known || std::ranges::find(sign_ins_, use.name) != sign_ins_.end())
      return;
    auto suggestion = use.name == "grant"
                          ? "sessions that an operator grants name this group directly, and need "
                            "no `from`"
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
    report(Check::star_too_large, first_star_file_, *first_star_,
           fmt::format("{} rules reach \"*\", which is {} services: more than {} pairs", rules,
                       services, kMostStarred),
           "let fewer rules reach \"*\", or join rules that differ only in their name");
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

  void expand_stars() {
    if (first_star_ == nullptr) return;
    std::vector<ServiceName> all;
    for (const auto& service : merged_.policy.services) all.push_back(service.name);
    auto expand = [&](auto& rules) {
      for (auto& rule : rules)
        if (rule.to_all) rule.to = all;
    };
    expand(merged_.policy.allow);
    expand(merged_.policy.statics);
    expand(merged_.policy.deny);
  }

  const std::vector<SourceFile>& sources_;
  const PolicyContext& context_;
  std::vector<std::string> sign_ins_;
  std::array<bool, kSections> incomplete_{};
  std::array<Names, 4> names_;
  std::size_t suggestions_ = 0;
  const Place* first_star_ = nullptr;
  std::size_t first_star_file_ = 0;
  Merged merged_;
};

}  // namespace

Merged merge_policy(const std::vector<SourceFile>& sources, const PolicyContext& context) {
  return Merger(sources, context).run();
}

}  // namespace knock
