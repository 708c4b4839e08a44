// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/text.h"
#include "reconciler/core/needs.h"
#include "reconciler/core/order.h"

namespace knock {
namespace {

bool policy_removal(const Change& change) {
  return change.action == Action::remove && change.reason == Reason::policy;
}

class Guard {
 public:
  Guard(std::vector<Change> changes, const GuardInput& input)
      : in_(input), changes_(std::move(changes)), held_(changes_.size()) {}

  Guarded run() {
    becomes_empty();
    wide_additions();
    protect();
    unprotect();
    Guarded out;
    out.trips = std::move(trips_);
    if (out.trips.empty()) {
      out.pass = std::move(changes_);
      return out;
    }
    for (std::size_t i = 0; i < changes_.size(); ++i)
      (held_[i] ? out.held : out.pass).push_back(std::move(changes_[i]));
    return out;
  }

 private:
  template <class Match>
  std::size_t count(Match match) const {
    std::size_t n = 0;
    for (std::size_t i = 0; i < changes_.size(); ++i) n += !held_[i] && match(changes_[i]);
    return n;
  }

  template <class Match>
  const Change* find(Match match) const {
    for (std::size_t i = 0; i < changes_.size(); ++i)
      if (!held_[i] && match(changes_[i])) return &changes_[i];
    return nullptr;
  }

  /// Holds back what matches and whatever needs it; returns how many that are.
  template <class Match>
  std::size_t hold(Match match) {
    std::vector<std::uint32_t> reached;
    auto reach = [&](std::uint32_t index) {
      if (held_[index]) return;
      held_[index] = true;
      reached.push_back(index);
    };
    for (std::uint32_t i = 0; i < changes_.size(); ++i)
      if (match(changes_[i])) reach(i);
    if (needs_.empty() && !reached.empty())
      needs_ = needs_of(changes_, in_.observed.structure, &in_.observed.slots);
    for (std::size_t next = 0; next < reached.size(); ++next) {
      auto at = std::lower_bound(needs_.begin(), needs_.end(), Need{reached[next], 0, false});
      for (; at != needs_.end() && at->first == reached[next]; ++at) reach(at->then);
    }
    return reached.size();
  }

  void trip(std::string guard, std::string figure, std::string limit, std::size_t held) {
    trips_.push_back({std::move(guard), in_.target, std::move(figure), std::move(limit), held});
  }

  void becomes_empty() {
    std::size_t removals = count(policy_removal);
    if (removals == 0) return;
    std::size_t owned = 0;
    for (const auto& slot : in_.observed.slots)
      owned += std::size_t(std::count_if(slot.items.begin(), slot.items.end(),
                                         [](const ObservedItem& item) { return item.ours; }));
    std::size_t waiting_not = count(
        [](const Change& c) { return c.action == Action::remove && must_not_wait(c.reason); });
    std::size_t additions = count([](const Change& c) { return c.action == Action::add; });
    bool empties = removals + waiting_not == owned && additions == 0;
    if (!empties || (removals < kBecomesEmptyFrom && !in_.grants_nothing)) return;
    auto held = hold(policy_removal);
    trip("becomes-empty", fmt::format("{} of {} entries go by policy", removals, owned),
         "a policy change leaves at least one entry", held);
  }

  void wide_additions() {
    auto wide = [&](const Change& change) {
      return change.action == Action::add && change.reason == Reason::policy &&
             change.prefix.is_wide() && !part_of_what_stands(change);
    };
    auto prefixes = count(wide);
    if (prefixes == 0) return;
    trip("any", counted(prefixes, "prefix wider than /24 or /48", "prefixes wider than /24 or /48"),
         "wide prefixes are opened after an acknowledgement", hold(wide));
  }

  /// What a deny rule leaves of a wide entry is wide, but opens nothing.
  bool part_of_what_stands(const Change& addition) const {
    return std::any_of(
        in_.observed.slots.begin(), in_.observed.slots.end(), [&](const ObservedSlot& slot) {
          return slot.name == addition.slot &&
                 std::any_of(slot.items.begin(), slot.items.end(), [&](const ObservedItem& item) {
                   return item.ours && item.prefix.contains(addition.prefix);
                 });
        });
  }

  void protect() {
    auto match = [](const Change& change) { return change.action == Action::protect; };
    const Change* change = find(match);
    if (change == nullptr || !change->keep.empty()) return;
    auto ports = to_string(change->ports);
    trip("protect", ports + " would be closed to everybody without an entry",
         "closing a port without a `keep` prefix needs an acknowledgement", hold(match));
  }

  void unprotect() {
    auto match = [](const Change& change) { return change.action == Action::unprotect; };
    const Change* change = find(match);
    if (change == nullptr) return;
    auto ports = to_string(change->ports);
    trip("unprotect", ports + " would be open to everybody",
         "opening a protected port needs an acknowledgement", hold(match));
  }

  const GuardInput& in_;
  std::vector<Change> changes_;
  std::vector<bool> held_;
  std::vector<Need> needs_;  // sorted; filled when something is held
  std::vector<GuardTrip> trips_;
};

}  // namespace

Guarded guard(std::vector<Change> changes, const GuardInput& input) {
  return Guard(std::move(changes), input).run();
}

Structure structure_after(const Structure& have, const std::vector<Change>& changes) {
  Structure out = have;
  for (const Change& change : changes) {
    switch (change.action) {
      case Action::protect: {
        auto ports = out.protect;
        ports.insert(ports.end(), change.ports.begin(), change.ports.end());
        out.protect = canonical_ports(std::move(ports));
        out.keep = change.keep;
        break;
      }
      case Action::unprotect:
        out.protect = subtract(out.protect, change.ports);
        break;
      case Action::keep:
        out.keep = change.keep;
        break;
      case Action::reshape:
        if (change.ports.empty())
          out.slots.erase(change.slot);
        else
          out.slots[change.slot] = change.ports;
        break;
      case Action::add:
      case Action::extend:
      case Action::shorten:
      case Action::remove:
      case Action::report:
        break;
    }
  }
  return out;
}

}  // namespace knock
