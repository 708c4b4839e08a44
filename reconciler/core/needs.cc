// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/needs.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "reconciler/core/order.h"

namespace knock {
namespace {

using Ports = std::vector<PortRange>;
using Index = std::uint32_t;
using Indices = std::vector<Index>;

Ports common(const Ports& a, const Ports& b) { return subtract(a, subtract(a, b)); }
bool meet(const Ports& a, const Ports& b) { return !common(a, b).empty(); }

/// Prefixes with an index each, asked for those that overlap another prefix: those around it by
/// their lengths (few), those inside it as one run of the sorted list.
class PrefixIndex {
 public:
  void add(const Prefix& prefix, Index index) { sorted_.push_back({prefix, index}); }
  void close() {
    std::sort(sorted_.begin(), sorted_.end());
    for (const auto& [prefix, index] : sorted_) lengths_.insert({prefix.family(), prefix.length()});
  }
  /// Calls `each(index)` for every prefix that contains `inner`.
  template <class Each>
  void around(const Prefix& inner, Each each) const {
    for (const auto& [family, length] : lengths_) {
      if (family != inner.family() || length > inner.length()) continue;
      std::pair key{Prefix::of(inner.network(), length), Index{0}};
      for (auto at = std::lower_bound(sorted_.begin(), sorted_.end(), key);
           at != sorted_.end() && at->first == key.first; ++at)
        each(at->second);
    }
  }
  bool has_around(const Prefix& inner) const {
    bool found = false;
    around(inner, [&](Index) { found = true; });
    return found;
  }
  bool has_overlap(const Prefix& prefix) const {
    bool found = false;
    overlapping(prefix, [&](Index) { found = true; });
    return found;
  }
  bool has_overlap(const PrefixIndex& other) const {
    return std::any_of(other.sorted_.begin(), other.sorted_.end(),
                       [&](const auto& entry) { return has_overlap(entry.first); });
  }
  /// Those that contain it and those inside it.
  template <class Each>
  void overlapping(const Prefix& prefix, Each each) const {
    around(prefix, each);
    std::pair key{Prefix::of(prefix.network(), prefix.length()), Index(-1)};
    for (auto at = std::lower_bound(sorted_.begin(), sorted_.end(), key);
         at != sorted_.end() && prefix.contains(at->first.network()); ++at)
      if (at->first.length() > prefix.length()) each(at->second);
  }

 private:
  std::vector<std::pair<Prefix, Index>> sorted_;
  std::set<std::pair<Family, int>> lengths_;
};

struct SlotChanges {
  Ports had, wanted;  // what it lets through before and after
  bool stood = false;
  std::optional<Index> widen, narrow;  // reshapes
  Indices adds, removals;              // of entries; removals: those that may wait
  Indices all_removals;
  PrefixIndex added;      // prefixes of `adds`
  PrefixIndex before;     // entries that count: not what must close at once, not what is kept
  PrefixIndex after;      // entries that remain or come
  PrefixIndex lasting;    // entries that remain
  Ports gained, dropped;  // protected before and after: where it makes a difference
};

class Needs {
 public:
  Needs(std::span<const Change> changes, const Structure& have,
        const std::vector<ObservedSlot>* standing)
      : changes_(changes), have_(have), standing_(standing) {
    collect();
    protected_throughout_ = have.protect;
    if (unprotect_) protected_throughout_ = subtract(have.protect, changes[*unprotect_].ports);
    for (auto& [name, slot] : slots_) {
      slot.gained = common(subtract(slot.wanted, slot.had), protected_throughout_);
      slot.dropped = common(subtract(slot.had, slot.wanted), protected_throughout_);
    }
    if (reshapes_) index_entries();
    for (auto& [name, slot] : slots_)
      for (PrefixIndex* index : {&slot.added, &slot.before, &slot.after, &slot.lasting})
        index->close();
  }

  std::vector<Need> run() {
    for (const auto& [name, slot] : slots_) within(slot);
    for (const auto& [name, from] : slots_)
      for (const auto& [other, to] : slots_) take_over(from, to, name == other);
    unprotect();
    keep();
    protect();
    std::sort(needs_.begin(), needs_.end());
    return std::move(needs_);
  }

 private:
  // ---- what there is

  void collect() {
    for (Index i = 0; i < changes_.size(); ++i) {
      const Change& change = changes_[i];
      switch (change.action) {
        case Action::protect:
          protect_.push_back(i);
          break;
        case Action::unprotect:
          unprotect_ = i;
          break;
        case Action::keep:
          (drops_keep(change, have_) ? keep_less_ : keep_more_) = i;
          break;
        case Action::reshape: {
          if (change.slot.empty()) break;  // built again as it is: nothing waits for it
          SlotChanges& slot = slot_of(change.slot);
          (narrows(change, have_) ? slot.narrow : slot.widen) = i;
          reshapes_ = reshapes_ || slot.stood;
          break;
        }
        case Action::add: {
          SlotChanges& slot = slot_of(change.slot);
          slot.adds.push_back(i);
          slot.added.add(change.prefix, i);
          break;
        }
        case Action::remove: {
          SlotChanges& slot = slot_of(change.slot);
          slot.all_removals.push_back(i);
          if (!must_not_wait(change.reason)) slot.removals.push_back(i);
          break;
        }
        case Action::extend:
        case Action::shorten:
        case Action::report:
          break;
      }
    }
    for (auto& [name, slot] : slots_)  // the narrower of two is the later one
      if (slot.narrow || slot.widen)
        slot.wanted = changes_[slot.narrow ? *slot.narrow : *slot.widen].ports;
  }

  SlotChanges& slot_of(const std::string& name) {
    auto [at, made] = slots_.try_emplace(name);
    if (auto had = have_.slots.find(name); made && had != have_.slots.end()) {
      at->second.had = at->second.wanted = had->second;
      at->second.stood = true;
    }
    return at->second;
  }

  void index_entries() {
    if (standing_ != nullptr)  // slots without a change count too: their entries take over
      for (const ObservedSlot& seen : *standing_) slot_of(seen.name);
    for (auto& [name, slot] : slots_) {
      std::set<Prefix> removed, closing;
      for (Index i : slot.all_removals) {
        removed.insert(changes_[i].prefix);
        if (must_not_wait(changes_[i].reason)) closing.insert(changes_[i].prefix);
      }
      if (const ObservedSlot* seen = standing_in(name))
        for (const ObservedItem& item : seen->items) {
          if (!closing.contains(item.prefix) && !kept(item.prefix)) slot.before.add(item.prefix, 0);
          if (removed.contains(item.prefix)) continue;
          slot.after.add(item.prefix, 0);
          slot.lasting.add(item.prefix, 0);
        }
      for (Index i : slot.removals)
        if (standing_ == nullptr) slot.before.add(changes_[i].prefix, 0);
      for (Index i : slot.adds) slot.after.add(changes_[i].prefix, 0);
    }
  }

  const ObservedSlot* standing_in(const std::string& name) const {
    if (standing_ == nullptr) return nullptr;
    auto at = std::find_if(standing_->begin(), standing_->end(),
                           [&](const ObservedSlot& slot) { return slot.name == name; });
    return at == standing_->end() ? nullptr : &*at;
  }

  // ---- what needs what

  void firmly(Index first, Index then) { needs_.push_back({first, then, true}); }
  void softly(Index first, Index then) { needs_.push_back({first, then, false}); }

  void within(const SlotChanges& slot) {
    if (slot.widen && slot.narrow) firmly(*slot.widen, *slot.narrow);
    if (slot.widen && slot.stood && !slot.gained.empty())
      for (Index removal : slot.removals)
        if (!may_pass(changes_[removal].prefix, slot.gained)) firmly(removal, *slot.widen);
    if (slot.widen && !slot.stood)
      for (Index add : slot.adds) firmly(*slot.widen, add);
    if (slot.narrow && !slot.dropped.empty())
      for (Index add : slot.adds)
        if (!may_pass(changes_[add].prefix, slot.dropped)) firmly(*slot.narrow, add);
    if (slot.narrow && slot.wanted.empty())
      for (Index removal : slot.all_removals) firmly(removal, *slot.narrow);
  }

  /// Its addresses pass these ports before or after the plan, so in between they may as well.
  bool may_pass(const Prefix& prefix, Ports ports) const {
    if (kept(prefix) || (keep_more_ && within_any(prefix, changes_[*keep_more_].keep))) return true;
    for (const auto& [name, slot] : slots_) {
      if (meet(ports, slot.had) && slot.before.has_around(prefix))
        ports = subtract(ports, slot.had);
      if (meet(ports, slot.wanted) && slot.after.has_around(prefix))
        ports = subtract(ports, slot.wanted);
      if (ports.empty()) return true;
    }
    return false;
  }
  /// Its addresses pass these ports all the time, whatever the order.
  bool passes_throughout(const Prefix& prefix, Ports ports) const {
    if (kept(prefix)) return true;
    for (const auto& [name, slot] : slots_) {
      Ports lasting = common(slot.had, slot.wanted);
      if (meet(ports, lasting) && slot.lasting.has_around(prefix)) ports = subtract(ports, lasting);
      if (ports.empty()) return true;
    }
    return false;
  }

  /// What closes in `from` waits for what opens the same ports in `to`.
  void take_over(const SlotChanges& from, const SlotChanges& to, bool same) {
    if (from.removals.empty() && !from.narrow) return;
    Ports closing = common(from.had, protected_throughout_);
    if (Ports ports = common(closing, to.wanted); !to.adds.empty() && !ports.empty())
      for (Index removal : from.removals)
        if (!passes_throughout(changes_[removal].prefix, ports))
          to.added.overlapping(changes_[removal].prefix, [&](Index add) { softly(add, removal); });
    if (same) return;
    if (Ports ports = common(from.dropped, to.wanted); from.narrow && !ports.empty())
      for (Index add : to.adds)
        if (stands_in(from, changes_[add].prefix) &&
            !passes_throughout(changes_[add].prefix, ports))
          softly(add, *from.narrow);
    if (!to.widen || !to.stood) return;
    if (meet(closing, to.gained))
      for (Index removal : from.removals)
        if (const Prefix& prefix = changes_[removal].prefix;
            !kept(prefix) && (unknown() || to.after.has_overlap(prefix)))
          softly(*to.widen, removal);
    if (from.narrow && meet(from.dropped, to.gained) &&
        (unknown() || from.before.has_overlap(to.after)))
      softly(*to.widen, *from.narrow);
  }
  bool stands_in(const SlotChanges& slot, const Prefix& prefix) const {
    return unknown() || slot.before.has_overlap(prefix);
  }
  bool unknown() const { return standing_ == nullptr; }

  void unprotect() {
    if (!unprotect_) return;
    const Ports& opens = changes_[*unprotect_].ports;
    for (const auto& [name, slot] : slots_) {
      if (meet(slot.had, opens))
        for (Index removal : slot.removals) softly(*unprotect_, removal);
      if (slot.narrow && meet(subtract(slot.had, slot.wanted), opens))
        softly(*unprotect_, *slot.narrow);
    }
    if (keep_less_) softly(*unprotect_, *keep_less_);
  }

  void keep() {
    if (keep_more_ && keep_less_) firmly(*keep_more_, *keep_less_);
    for (const auto& [name, slot] : slots_) {
      if (keep_more_)
        for (Index removal : slot.removals)
          if (overlaps_any(changes_[removal].prefix, changes_[*keep_more_].keep))
            softly(*keep_more_, removal);
      if (keep_more_ && slot.narrow) softly(*keep_more_, *slot.narrow);
      if (!keep_less_) continue;
      for (Index add : slot.adds)
        if (overlaps_any(changes_[add].prefix, have_.keep)) softly(add, *keep_less_);
      if (slot.widen) softly(*slot.widen, *keep_less_);
    }
  }

  void protect() {
    for (Index protect : protect_) {
      const Ports& closes = changes_[protect].ports;
      for (const auto& [name, slot] : slots_) {
        if (!meet(slot.wanted, closes)) continue;
        for (Index add : slot.adds) softly(add, protect);
        if (slot.widen) softly(*slot.widen, protect);
      }
      // Its own list of `keep` is the last one.
      if (keep_more_) firmly(*keep_more_, protect);
      if (keep_less_) firmly(*keep_less_, protect);
    }
  }

  /// It passes everywhere; if its `keep` goes, then after whatever takes over.
  bool kept(const Prefix& prefix) const { return within_any(prefix, have_.keep); }
  static bool within_any(const Prefix& prefix, const std::vector<Prefix>& list) {
    return std::any_of(list.begin(), list.end(),
                       [&](const Prefix& other) { return other.contains(prefix); });
  }
  static bool overlaps_any(const Prefix& prefix, const std::vector<Prefix>& list) {
    return std::any_of(list.begin(), list.end(),
                       [&](const Prefix& other) { return prefix.overlaps(other); });
  }

  std::span<const Change> changes_;
  const Structure& have_;
  const std::vector<ObservedSlot>* standing_;
  std::map<std::string, SlotChanges> slots_;
  Indices protect_;  // what is protected again, what is protected for the first time
  std::optional<Index> unprotect_, keep_more_, keep_less_;
  bool reshapes_ = false;  // some slot that stands gets other ports
  Ports protected_throughout_;
  std::vector<Need> needs_;
};

}  // namespace

std::size_t add_with_what_needs(std::span<const Need> needs, std::vector<bool>& in,
                                std::span<const std::uint32_t> seeds,
                                const std::function<bool(std::uint32_t)>& skip) {
  std::vector<std::uint32_t> reached;
  auto reach = [&](std::uint32_t index) {
    if (in[index] || (skip && skip(index))) return;
    in[index] = true;
    reached.push_back(index);
  };
  for (auto index : seeds) reach(index);
  for (std::size_t next = 0; next < reached.size(); ++next) {
    auto at = std::lower_bound(needs.begin(), needs.end(), Need{reached[next], 0, false});
    for (; at != needs.end() && at->first == reached[next]; ++at) reach(at->then);
  }
  return reached.size();
}

bool narrows(const Change& reshape, const Structure& have) {
  if (reshape.ports.empty()) return true;
  auto had = have.slots.find(reshape.slot);
  return had != have.slots.end() && !subtract(had->second, reshape.ports).empty();
}

bool drops_keep(const Change& keep, const Structure& have) {
  return std::any_of(have.keep.begin(), have.keep.end(), [&](const Prefix& prefix) {
    return std::none_of(keep.keep.begin(), keep.keep.end(),
                        [&](const Prefix& stays) { return stays.contains(prefix); });
  });
}

std::vector<Need> needs_of(std::span<const Change> changes, const Structure& have,
                           const std::vector<ObservedSlot>* standing) {
  return Needs(changes, have, standing).run();
}

}  // namespace knock
