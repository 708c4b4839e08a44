// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/operators.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "reconciler/core/order.h"

namespace knock {
namespace {

using Ports = std::vector<PortRange>;

void add(Ports& ports, const Ports& more) {
  ports.insert(ports.end(), more.begin(), more.end());
  ports = canonical_ports(std::move(ports));
}

bool by_policy(const Change& change) {
  return change.reason == Reason::policy || change.reason == Reason::configuration;
}

/// What one address passes before and after a plan, without what must close at once.
class Passage {
 public:
  Passage(std::span<const Change> changes, const Observed& observed)
      : changes_(changes), before_(observed.structure) {
    std::vector<Change> structure;
    for (const Change& change : changes)
      if (change.action == Action::protect || change.action == Action::unprotect ||
          change.action == Action::keep || change.action == Action::reshape)
        structure.push_back(change);
    after_ = structure_after(before_, structure);
    for (const ObservedSlot& slot : observed.slots) slots_[slot.name] = &slot;
  }

  OperatorCut of(const OperatorHere& here) const {
    OperatorCut cut{&here, {}, {}};
    Prefix host = Prefix::host(here.address);
    std::set<std::pair<std::string, Prefix>> had, has;
    for (const auto& [name, slot] : slots_) standing(*slot, here.address, had);
    for (const Change& change : changes_)
      if (change.action == Action::remove && must_not_wait(change.reason))
        had.erase({change.slot, change.prefix});
    has = had;
    for (const Change& change : changes_) {
      if (!change.prefix.contains(host)) continue;
      if (change.action == Action::remove) has.erase({change.slot, change.prefix});
      if (change.action == Action::add) has.emplace(change.slot.get(), change.prefix);
    }
    cut.ports = subtract(passing(before_, had, host), passing(after_, has, host));
    if (cut.ports.empty()) return cut;
    for (std::uint32_t i = 0; i < changes_.size(); ++i)
      if (by_policy(changes_[i]) && closes(changes_[i], host, had, cut.ports)) cut.by.push_back(i);
    return cut;
  }

 private:
  /// Entries around the address, by the few lengths there can be.
  void standing(const ObservedSlot& slot, const IpAddress& address,
                std::set<std::pair<std::string, Prefix>>& out) const {
    for (int length = address.bits(); length >= 0; --length) {
      auto around = Prefix::of(address, length);
      auto at = std::lower_bound(
          slot.items.begin(), slot.items.end(), around,
          [](const ObservedItem& item, const Prefix& prefix) { return item.prefix < prefix; });
      if (at != slot.items.end() && at->prefix == around) out.emplace(slot.name, around);
    }
  }

  /// Of the ports that either structure closes to strangers.
  Ports passing(const Structure& structure, const std::set<std::pair<std::string, Prefix>>& entries,
                const Prefix& host) const {
    Ports all = before_.protect;
    add(all, after_.protect);
    if (std::any_of(structure.keep.begin(), structure.keep.end(),
                    [&](const Prefix& keep) { return keep.contains(host); }))
      return all;
    Ports out = subtract(all, structure.protect);
    for (const auto& [slot, prefix] : entries)
      if (auto at = structure.slots.find(slot); at != structure.slots.end()) add(out, at->second);
    return subtract(out, subtract(out, all));
  }

  bool closes(const Change& change, const Prefix& host,
              const std::set<std::pair<std::string, Prefix>>& had, const Ports& lost) const {
    auto meets = [&](const Ports& ports) { return !(subtract(lost, ports) == lost); };
    switch (change.action) {
      case Action::remove:
        return change.prefix.contains(host) && had.contains({change.slot, change.prefix});
      case Action::reshape: {
        auto was = before_.slots.find(change.slot);
        if (was == before_.slots.end()) return false;
        bool stands = std::any_of(had.begin(), had.end(), [&](const auto& entry) {
          return entry.first == change.slot.get();
        });
        return stands && meets(subtract(was->second, change.ports));
      }
      case Action::protect:
        return meets(change.ports);
      case Action::keep:
        return std::none_of(change.keep.begin(), change.keep.end(),
                            [&](const Prefix& keep) { return keep.contains(host); }) &&
               std::any_of(before_.keep.begin(), before_.keep.end(),
                           [&](const Prefix& keep) { return keep.contains(host); });
      case Action::add:
      case Action::extend:
      case Action::shorten:
      case Action::unprotect:
      case Action::report:
        return false;
    }
    return false;
  }

  std::span<const Change> changes_;
  Structure before_, after_;
  std::map<std::string, const ObservedSlot*> slots_;
};

}  // namespace

std::vector<OperatorCut> operator_cuts(std::span<const Change> changes, const Observed& observed,
                                       std::span<const OperatorHere> operators) {
  std::vector<OperatorCut> out;
  if (std::none_of(changes.begin(), changes.end(), by_policy)) return out;
  Passage passage(changes, observed);
  for (const OperatorHere& here : operators) {
    auto cut = passage.of(here);
    if (!cut.by.empty()) out.push_back(std::move(cut));
  }
  return out;
}

}  // namespace knock
