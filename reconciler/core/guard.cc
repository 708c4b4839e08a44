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

using Indices = std::vector<std::uint32_t>;

class Guard {
 public:
  Guard(std::vector<Change> changes, const GuardInput& input)
      : in_(input), changes_(std::move(changes)) {
    look();
  }

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
  /// Finds what guards ask about, all at once: the list may be long.
  void look() {
    for (std::uint32_t i = 0; i < changes_.size(); ++i) {
      const Change& change = changes_[i];
      switch (change.action) {
        case Action::add:
          ++additions_;
          if (change.prefix.is_wide() && change.reason != Reason::drift) wide_.push_back(i);
          break;
        case Action::remove:
          if (change.reason == Reason::policy)
            policy_removals_.push_back(i);
          else if (must_not_wait(change.reason))
            ++closings_;
          break;
        case Action::protect:
          protect_.push_back(i);
          break;
        case Action::unprotect:
          unprotect_.push_back(i);
          break;
        case Action::keep:
        case Action::reshape:
        case Action::extend:
        case Action::shorten:
        case Action::report:
          break;
      }
    }
  }

  bool holds(std::uint32_t index) const { return !held_.empty() && held_[index]; }

  /// A port that somebody else opened is closed again without waiting for anything: nobody has a
  /// right to what passes there meanwhile.
  static bool heals(const Change& change) {
    return change.action == Action::protect && change.reason == Reason::drift;
  }

  /// Holds these back and whatever needs them; returns how many that are.
  std::size_t hold(const Indices& indices) {
    if (held_.empty()) {
      held_.resize(changes_.size());
      needs_ = needs_of(changes_, in_.observed.structure, &in_.observed.slots);
    }
    Indices reached;
    auto reach = [&](std::uint32_t index) {
      if (held_[index] || heals(changes_[index])) return;
      held_[index] = true;
      reached.push_back(index);
    };
    for (auto index : indices) reach(index);
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
    std::size_t removals = policy_removals_.size();
    if (removals == 0 || additions_ > 0) return;
    std::size_t owned = 0;
    for (const auto& slot : in_.observed.slots)
      owned += std::size_t(std::count_if(slot.items.begin(), slot.items.end(),
                                         [](const ObservedItem& item) { return item.ours; }));
    if (removals + closings_ != owned) return;
    if (removals < kBecomesEmptyFrom && !in_.grants_nothing) return;
    trip("becomes-empty", fmt::format("{} of {} entries go by policy", removals, owned),
         "a policy change leaves at least one entry", hold(policy_removals_));
  }

  void wide_additions() {
    std::erase_if(wide_, [&](std::uint32_t i) {
      return is_what_remains(changes_[i]) || stood_before(changes_[i]);
    });
    if (wide_.empty()) return;
    trip("any",
         counted(wide_.size(), "prefix wider than /24 or /48", "prefixes wider than /24 or /48"),
         "wide prefixes are opened after an acknowledgement", hold(wide_));
  }

  /// What a deny rule leaves of a wide entry is wide, but opens nothing.
  bool is_what_remains(const Change& addition) const {
    return std::any_of(policy_removals_.begin(), policy_removals_.end(), [&](std::uint32_t i) {
      return changes_[i].slot == addition.slot && changes_[i].prefix.contains(addition.prefix);
    });
  }

  bool stood_before(const Change& addition) const {
    return std::any_of(in_.applied.begin(), in_.applied.end(), [&](const AppliedEntry& record) {
      return record.until > in_.now && record.slot == addition.slot &&
             record.prefix.contains(addition.prefix);
    });
  }

  void protect() {
    std::erase_if(protect_, [&](std::uint32_t i) {
      return heals(changes_[i]) || holds(i) || !changes_[i].keep.empty();
    });
    if (protect_.empty()) return;
    trip("protect",
         to_string(changes_[protect_[0]].ports) + " would be closed to everybody without an entry",
         "closing a port without a `keep` prefix needs an acknowledgement", hold(protect_));
  }

  void unprotect() {
    if (unprotect_.empty() || holds(unprotect_[0])) return;
    trip("unprotect", to_string(changes_[unprotect_[0]].ports) + " would be open to everybody",
         "opening a protected port needs an acknowledgement", hold(unprotect_));
  }

  const GuardInput& in_;
  std::vector<Change> changes_;
  Indices policy_removals_, wide_, protect_, unprotect_;
  std::size_t additions_ = 0, closings_ = 0;
  std::vector<bool> held_;   // empty while nothing is held
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
        if (change.slot.empty()) break;  // built again as it is
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
