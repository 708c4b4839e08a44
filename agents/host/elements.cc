// SPDX-License-Identifier: Apache-2.0
#include "agents/host/elements.h"

#include <netinet/in.h>

// After netinet/in.h, or its addresses are declared twice.
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <tuple>
#include <vector>

namespace knock::host {
namespace {

using Changes = std::vector<const role::ElementChange*>;

bool adds(const role::ElementChange& change) {
  return change.add && change.left_ms >= kShortestLifeMs;
}

/// What one set has to go through.
struct SetChanges {
  Changes removals, additions;
};

/// What a change is about: the last of several with the same key counts.
auto key_of(const role::ElementChange& change) {
  return std::tie(change.slot, change.prefix, change.part, change.tag);
}

std::map<std::string, std::pair<SetKind, SetChanges>> by_set(
    const std::vector<role::ElementChange>& changes) {
  Changes order;
  order.reserve(changes.size());
  for (const auto& change : changes)
    if (!change.foreign) order.push_back(&change);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    auto ka = key_of(*a), kb = key_of(*b);
    return ka != kb ? ka < kb : a < b;  // they stand in one vector
  });
  std::map<std::string, std::pair<SetKind, SetChanges>> out;
  std::string_view slot;
  std::pair<SetKind, SetChanges>* sets[2][2] = {};
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto& change = *order[i];
    if (i + 1 < order.size() && key_of(*order[i + 1]) == key_of(change)) continue;
    if (change.slot != slot) {
      slot = change.slot;
      for (auto& row : sets) row[0] = row[1] = nullptr;
    }
    auto kind = set_kind_of(change.prefix, change.part);
    std::pair<SetKind, SetChanges>* ticketed = nullptr;
    auto*& at =
        change.part == role::Part::open ? sets[kind.family == Family::v6][kind.interval] : ticketed;
    if (at == nullptr) {
      at = &out[slot_set(change.slot, kind)];
      at->first = kind;
    }
    (adds(change) ? at->second.additions : at->second.removals).push_back(&change);
  }
  return out;
}

class SetWriter {
 public:
  SetWriter(Batch& batch, const std::string& table, const std::string& set, SetKind kind)
      : batch_(batch), table_(table), set_(set), kind_(kind) {}

  void keys(int type, const Changes& changes) {
    ElementWriter out(batch_, type, table_, set_, kind_);
    for (const auto* change : changes) out.key(change->prefix, change->tag);
    out.flush();
  }
  void elements(const Changes& changes) {
    ElementWriter out(batch_, NFT_MSG_NEWSETELEM, table_, set_, kind_);
    for (const auto* change : changes)
      out.element(change->prefix, std::min(change->left_ms, role::kLongestLifeMs), change->marker,
                  change->tag);
    out.flush();
  }

 private:
  Batch& batch_;
  const std::string& table_;
  const std::string& set_;
  SetKind kind_;
};

Changes only_present(Changes changes, const std::set<Prefix>& present) {
  std::erase_if(changes, [&](const auto* change) { return !present.contains(change->prefix); });
  return changes;
}

}  // namespace

void add_elements(Batch& batch, const std::string& table,
                  const std::vector<role::ElementChange>& changes, const PresentKeys* present) {
  for (auto& [set, kind_and_changes] : by_set(changes)) {
    auto& [kind, of_set] = kind_and_changes;
    SetWriter out(batch, table, set, kind);
    auto replaced = of_set.additions;
    if (present != nullptr) {
      if (auto at = present->find(set); at != present->end()) {
        of_set.removals = only_present(std::move(of_set.removals), at->second);
        replaced = only_present(std::move(replaced), at->second);
      }
    }
    out.keys(NFT_MSG_NEWSETELEM, of_set.removals);
    out.keys(NFT_MSG_DELSETELEM, of_set.removals);
    out.keys(NFT_MSG_NEWSETELEM, replaced);
    out.keys(NFT_MSG_DELSETELEM, replaced);
    out.elements(of_set.additions);
  }
}

Result<ForeignRanges> foreign_ranges(Netlink& netlink, const std::string& table,
                                     const std::vector<role::ElementChange>& changes) {
  std::map<std::string, std::pair<SetKind, std::set<Prefix>>> named;
  for (const auto& change : changes) {
    if (!change.foreign) continue;
    SetKind kind{change.prefix.family(), true};  // a host may have been written there too
    auto& set = named[slot_set(change.slot, kind)];
    set.first = kind;
    set.second.insert(change.prefix);
  }
  ForeignRanges out;
  for (const auto& [set, kind_and_prefixes] : named) {
    const auto& [kind, prefixes] = kind_and_prefixes;
    auto found = read_ranges(netlink, table, set, kind);
    if (!found && found.error().kind == ErrorKind::not_found) continue;
    if (!found) return fail(std::move(found.error()));
    for (auto& range : *found) {
      if (range.comment.starts_with("knock:")) continue;
      auto parts = prefixes_of(range.first, range.last);
      auto is_named = [&](const Prefix& part) { return prefixes.contains(part); };
      if (std::ranges::none_of(parts, is_named)) continue;
      if (!std::ranges::all_of(parts, is_named))
        return fail(ErrorKind::invalid,
                    "a part of the range " + range.first.to_string() + "-" +
                        range.last.to_string() +
                        ", which somebody wrote by hand: remove it whole, or leave it");
      out[set].push_back(std::move(range));
    }
  }
  return out;
}

void remove_ranges(Batch& batch, const std::string& table, const ForeignRanges& ranges) {
  for (const auto& [set, found] : ranges) {
    SetKind kind{found.front().first.family(), true};
    ElementWriter out(batch, NFT_MSG_DELSETELEM, table, set, kind);
    for (const auto& range : found) out.range(range.first, range.last);
    out.flush();
  }
}

std::map<std::string, SetKind> interval_sets(const std::vector<role::ElementChange>& changes) {
  std::map<std::string, SetKind> out;
  for (const auto& change : changes) {
    auto kind = set_kind_of(change.prefix);
    if (kind.interval && !change.foreign) out.emplace(slot_set(change.slot, kind), kind);
  }
  return out;
}

}  // namespace knock::host
