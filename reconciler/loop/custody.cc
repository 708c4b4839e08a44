// SPDX-License-Identifier: Apache-2.0
#include "reconciler/loop/custody.h"

#include <algorithm>
#include <array>

namespace knock {
namespace {

constexpr std::array kActs{
    std::pair{OwnershipAct::adopt, std::string_view("adopt")},
    std::pair{OwnershipAct::exclusive, std::string_view("exclusive")},
    std::pair{OwnershipAct::take_over, std::string_view("take-over")},
    std::pair{OwnershipAct::release, std::string_view("release")},
};
constexpr std::array kFates{
    std::pair{OwnershipEntry::Fate::goes, std::string_view("goes")},
    std::pair{OwnershipEntry::Fate::marked, std::string_view("marked")},
    std::pair{OwnershipEntry::Fate::stays, std::string_view("stays")},
    std::pair{OwnershipEntry::Fate::left_alone, std::string_view("left-alone")},
};

template <class Table, class Value>
std::string_view word_of(const Table& table, Value value) {
  for (const auto& [one, word] : table)
    if (one == value) return word;
  return "";
}

template <class Value, std::size_t N>
std::optional<Value> value_of(const std::array<std::pair<Value, std::string_view>, N>& table,
                              std::string_view text) {
  for (const auto& [one, word] : table)
    if (word == text) return one;
  return std::nullopt;
}

}  // namespace

std::string_view to_string(OwnershipAct act) { return word_of(kActs, act); }
std::optional<OwnershipAct> ownership_act_from(std::string_view text) {
  return value_of(kActs, text);
}
std::string_view to_string(OwnershipEntry::Fate fate) { return word_of(kFates, fate); }
std::optional<OwnershipEntry::Fate> fate_from(std::string_view text) {
  return value_of(kFates, text);
}

std::string place_of(const Target& target) {
  const auto& settings = std::get<NftablesSettings>(target.settings);
  return target.type + " " + settings.table +
         (settings.netns.empty() ? "" : " in " + settings.netns);
}

Stewardship Custody::stewardship(const Target& target, bool leaving) const {
  Stewardship out;
  bool here = place == place_of(target);
  out.exclusive = here && exclusive;
  out.released = here && released;
  out.orphaned = leaving && target.on_remove == OnRemove::orphan;
  out.adopted = adopting.empty() ? nullptr : &adopting;
  return out;
}

void note_ownership(Custody& custody, const OwnershipChanged& fact) {
  if (custody.place != fact.place) {
    custody.exclusive = custody.released = false;
    custody.place = fact.place;
  }
  if (fact.what == "exclusive") custody.exclusive = true;
  // What came while nobody looked was not shown to anybody.
  if (fact.what == "shared" || fact.what == "released" || fact.what == "taken-over")
    custody.exclusive = false;
  if (fact.what == "released") custody.released = true;
  if (fact.what == "adopted" || fact.what == "exclusive" || fact.what == "taken-over")
    custody.released = false;
}

Status note_ownership(std::map<TargetName, Custody>& known, const Record& record) {
  static const std::string kind(kind_of(OwnershipChanged{}));
  if (record.fact.kind != kind) return {};
  KNOCK_ASSIGN(auto fact, decode(record.fact));
  if (const auto* said = std::get_if<OwnershipChanged>(&fact))
    note_ownership(known[said->target], *said);
  return {};
}

std::size_t OwnershipPlan::count(OwnershipEntry::Fate fate) const {
  return std::size_t(std::count_if(entries.begin(), entries.end(),
                                   [&](const OwnershipEntry& one) { return one.fate == fate; }));
}

Digest ownership_id(const OwnershipPlan& plan) {
  std::string text = "knock ownership 1\n" + std::string(to_string(plan.act)) + "\n" +
                     plan.target.value + "\n" + plan.place + "\n" + plan.former.to_string() + "\n";
  std::vector<std::string> lines;
  for (const OwnershipEntry& one : plan.entries)
    if (one.fate != OwnershipEntry::Fate::left_alone)
      lines.push_back(std::string(to_string(one.fate)) + " " + one.slot + " " +
                      one.prefix.to_string() + " " + to_string(one.ports) + "\n");
  std::sort(lines.begin(), lines.end());
  for (const auto& line : lines) text += line;
  return sha256(text);
}

}  // namespace knock
