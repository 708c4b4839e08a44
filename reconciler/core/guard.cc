// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/text.h"
#include "reconciler/core/needs.h"
#include "reconciler/core/operators.h"
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
    if (in_.returning) {
      std::erase_if(wide_, [&](auto i) { return changes_[i].reason == Reason::policy; });
      wide_additions();
    } else {
      ask();
    }
    Guarded out;
    out.surge = surge();
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
          entries_added_.push_back(i);
          if (change.reason == Reason::policy) policy_additions_.push_back(i);
          sign_ins_ += change.reason == Reason::sign_in;
          if (is_wider_than(in_.limits, change.prefix) && change.reason != Reason::drift)
            wide_.push_back(i);
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
        case Action::reshape:
          if (change.reason == Reason::policy && !change.slot.empty()) reshapes_.push_back(i);
          break;
        case Action::keep:
        case Action::extend:
        case Action::shorten:
        case Action::report:
          break;
      }
    }
  }

  void ask() {
    becomes_empty();
    too_many_removals();
    too_many_additions();
    wide_additions();
    protect();
    unprotect();
    new_ports();
    operators();
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
    return add_with_what_needs(needs_, held_, indices,
                               [this](std::uint32_t index) { return heals(changes_[index]); });
  }

  void trip(std::string guard, std::string figure, std::string limit, std::size_t held) {
    trips_.push_back({std::move(guard), in_.target, std::move(figure), std::move(limit), held});
  }

  void becomes_empty() {
    std::size_t removals = policy_removals_.size();
    if (removals == 0 || !entries_added_.empty()) return;
    std::size_t owned = this->owned();
    if (removals + closings_ != owned) return;
    if (removals < kBecomesEmptyFrom && !in_.grants_nothing) return;
    trip("becomes-empty", fmt::format("{} of {} entries go by policy", removals, owned),
         "a policy change leaves at least one entry", hold(policy_removals_));
  }

  std::size_t owned() const {
    std::size_t out = 0;
    for (const auto& slot : in_.observed.slots)
      out += std::size_t(std::count_if(slot.items.begin(), slot.items.end(),
                                       [](const ObservedItem& item) { return item.ours; }));
    return out;
  }

  /// How many of `changes` there are for whose addresses no change of `others` stands in, with ports
  /// around theirs.
  std::size_t without_stand_in(Indices changes, Indices others) const {
    auto before = [&](std::uint32_t a, std::uint32_t b) {
      return changes_[a].prefix < changes_[b].prefix;
    };
    for (auto* list : {&changes, &others})  // mostly they come so: one slot after the other
      if (!std::is_sorted(list->begin(), list->end(), before))
        std::sort(list->begin(), list->end(), before);
    std::set<int> lengths;
    for (auto i : others) lengths.insert(changes_[i].prefix.length());
    auto less = [&](std::uint32_t i, const Prefix& prefix) { return changes_[i].prefix < prefix; };
    auto stands_in = [&](const Change& change, Indices::const_iterator at, const Prefix& prefix) {
      for (; at != others.end() && changes_[*at].prefix == prefix; ++at)
        if (subtract(change.ports, changes_[*at].ports).empty()) return true;
      return false;
    };
    std::size_t count = 0;
    auto next = others.cbegin();  // of the same prefix: both lists go side by side
    for (auto i : changes) {
      const Change& change = changes_[i];
      while (next != others.cend() && less(*next, change.prefix)) ++next;
      bool replaced = stands_in(change, next, change.prefix);
      for (int length : lengths) {
        if (replaced || length >= change.prefix.length()) break;
        auto around = Prefix::of(change.prefix.network(), length);
        replaced = stands_in(change, std::lower_bound(others.cbegin(), others.cend(), around, less),
                             around);
      }
      count += !replaced;
    }
    return count;
  }

  bool held_before(std::string_view guard) const {
    return std::any_of(in_.before.begin(), in_.before.end(),
                       [&](const GuardTrip& trip) { return trip.guard == guard; });
  }

  /// Holds back `whole` when more of it than the limits has no stand-in among `others`.
  void too_many(const char* name, const char* going, const Indices& whole, const Indices& others,
                std::size_t most, unsigned percent) {
    if (std::all_of(whole.begin(), whole.end(), [&](auto i) { return holds(i); })) return;
    std::size_t owned = this->owned();
    auto is_share = [&](std::size_t n) { return owned >= kShareFrom && n * 100 > owned * percent; };
    auto share_name = std::string(name) + "-share";
    bool before = held_before(name), share_before = held_before(share_name);
    if (whole.size() <= most && !is_share(whole.size()) && !before && !share_before) return;
    auto count = without_stand_in(whole, others);
    bool too_many = count > most || before, too_large = is_share(count) || share_before;
    if (!too_many && !too_large) return;
    auto key = std::string("guards.") + name;
    auto verb = [&](std::size_t n) {
      return std::string(going) + (n > 1 ? "" : going == std::string_view("go") ? "es" : "s");
    };
    auto held = std::max(hold(whole), whole.size());
    if (too_many)
      trip(name, fmt::format("{} {} by policy", counted(count, "entry", "entries"), verb(count)),
           fmt::format("at most {} ({}.entries)", most, key), held);
    if (too_large)
      trip(share_name,
           fmt::format("{} {} by policy, and {} stand: {} %", counted(count, "entry", "entries"),
                       verb(count), owned, owned == 0 ? 0 : count * 100 / owned),
           fmt::format("at most {} % ({}.percent)", percent, key), held);
  }

  void too_many_removals() {
    too_many("removals", "go", policy_removals_, entries_added_, in_.limits.removed_entries,
             in_.limits.removed_percent);
  }

  void too_many_additions() {
    too_many("additions", "come", policy_additions_, policy_removals_, in_.limits.added_entries,
             in_.limits.added_percent);
  }

  void wide_additions() {
    std::erase_if(wide_, [&](std::uint32_t i) {
      return is_what_remains(changes_[i]) || stood_before(changes_[i]);
    });
    if (wide_.empty()) return;
    auto wider = fmt::format("wider than /{} or /{}", in_.limits.widest_v4, in_.limits.widest_v6);
    trip("any", counted(wide_.size(), "prefix " + wider, "prefixes " + wider),
         "wide prefixes are opened after an acknowledgement", std::max(hold(wide_), wide_.size()));
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

  /// Whoever has an entry of the service gets them at once.
  void new_ports() {
    if (!in_.limits.ask_new_ports) return;
    Indices gaining;
    std::vector<PortRange> gained;
    for (auto i : reshapes_) {
      auto had = in_.observed.structure.slots.find(changes_[i].slot);
      if (had == in_.observed.structure.slots.end() || !has_entries(changes_[i].slot)) continue;
      auto ports = subtract(changes_[i].ports, had->second);
      if (ports.empty()) continue;
      gained.insert(gained.end(), ports.begin(), ports.end());
      gaining.push_back(i);
    }
    if (gaining.empty() ||
        std::all_of(gaining.begin(), gaining.end(), [&](auto i) { return holds(i); }))
      return;
    auto services = counted(gaining.size(), "service", "services");
    trip("new-port", to_string(canonical_ports(std::move(gained))) + " at " + services,
         "ports that a service gains are opened after an acknowledgement "
         "(guards.additions.new_port)",
         hold(gaining));
  }

  bool has_entries(const std::string& slot) const {
    for (const ObservedSlot& seen : in_.observed.slots)
      if (seen.name == slot)
        return std::any_of(seen.items.begin(), seen.items.end(),
                           [](const ObservedItem& item) { return item.ours; });
    return false;
  }

  void operators() {
    if (in_.operators.empty()) return;
    std::vector<OperatorCut> cuts;
    Indices cutting;
    for (OperatorCut& cut : operator_cuts(changes_, in_.observed, in_.operators)) {
      bool waits = std::all_of(cut.by.begin(), cut.by.end(), [&](auto i) { return holds(i); });
      if (waits) continue;
      cutting.insert(cutting.end(), cut.by.begin(), cut.by.end());
      cuts.push_back(std::move(cut));
    }
    if (cuts.empty()) return;
    std::string figure =
        fmt::format("this would cut {} of {}, who is signed in now, from {}",
                    cuts[0].here->address.to_string(), cuts[0].here->who, to_string(cuts[0].ports));
    if (cuts.size() > 1) figure += fmt::format(", and {} more", cuts.size() - 1);
    trip("operator", std::move(figure), "an operator's address is cut after an acknowledgement",
         hold(cutting));
  }

  /// Nothing waits for it: who signed in may pass.
  std::optional<Finding> surge() const {
    std::size_t owned = this->owned();
    bool share = owned >= kShareFrom && sign_ins_ >= kSurgeFrom &&
                 sign_ins_ * 100 > owned * in_.limits.added_percent;
    if (sign_ins_ <= in_.limits.added_entries && !share) return std::nullopt;
    return Finding{Finding::Level::warning, kSurge, in_.target,
                   fmt::format("{} open by sign-ins at once, where {} stand; a policy's would wait "
                               "(guards.additions): look whether so many people came",
                               counted(sign_ins_, "entry", "entries"), owned)};
  }

  const GuardInput& in_;
  std::vector<Change> changes_;
  Indices entries_added_, policy_removals_, policy_additions_, wide_, protect_, unprotect_,
      reshapes_;
  std::size_t closings_ = 0, sign_ins_ = 0;
  std::vector<bool> held_;   // empty while nothing is held
  std::vector<Need> needs_;  // sorted; filled when something is held
  std::vector<GuardTrip> trips_;
};

}  // namespace

GuardLimits stricter(const GuardLimits& a, const GuardLimits& b) {
  GuardLimits out = b;
  out.removed_percent = std::min(a.removed_percent, b.removed_percent);
  out.removed_entries = std::min(a.removed_entries, b.removed_entries);
  out.added_percent = std::min(a.added_percent, b.added_percent);
  out.added_entries = std::min(a.added_entries, b.added_entries);
  out.widest_v4 = std::max(a.widest_v4, b.widest_v4);
  out.widest_v6 = std::max(a.widest_v6, b.widest_v6);
  out.ask_new_ports = a.ask_new_ports || b.ask_new_ports;
  return out;
}

bool is_wider_than(const GuardLimits& limits, const Prefix& prefix) {
  auto widest = prefix.family() == Family::v4 ? limits.widest_v4 : limits.widest_v6;
  return prefix.length() < widest;
}

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
