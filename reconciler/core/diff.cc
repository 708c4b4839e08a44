// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/diff.h"

#include <algorithm>
#include <tuple>

#include "reconciler/core/marker.h"

namespace knock {
namespace {

template <class Items>
auto* find_item(Items& items, const Prefix& prefix) {
  auto at = std::lower_bound(items.begin(), items.end(), prefix,
                             [](const auto& item, const Prefix& p) { return item.prefix < p; });
  return at != items.end() && at->prefix == prefix ? &*at : nullptr;
}

template <class Slots>
auto* find_slot(Slots& slots, const std::string& name) {
  auto at = std::lower_bound(slots.begin(), slots.end(), name,
                             [](const auto& slot, const std::string& n) { return slot.name < n; });
  return at != slots.end() && at->name == name ? &*at : nullptr;
}

/// The applied entries in the order of slots and prefixes.
class AppliedIndex {
 public:
  explicit AppliedIndex(std::span<const AppliedEntry> applied) {
    for (const AppliedEntry& entry : applied) sorted_.push_back(&entry);
    std::sort(sorted_.begin(), sorted_.end(), [](const AppliedEntry* a, const AppliedEntry* b) {
      return std::tie(a->slot, a->prefix) < std::tie(b->slot, b->prefix);
    });
  }
  const AppliedEntry* find(const std::string& slot, const Prefix& prefix) const {
    auto key = std::tie(slot, prefix);
    auto at = std::lower_bound(sorted_.begin(), sorted_.end(), key,
                               [](const AppliedEntry* entry, const auto& k) {
                                 return std::tie(entry->slot, entry->prefix) < k;
                               });
    return at != sorted_.end() && std::tie((*at)->slot, (*at)->prefix) == key ? *at : nullptr;
  }

 private:
  std::vector<const AppliedEntry*> sorted_;
};

class Differ {
 public:
  explicit Differ(const DiffInput& input) : in_(input), applied_(input.applied) {}

  std::vector<Change> run() {
    if (!in_.only) structure();
    for (const Slot& slot : in_.desired.slots) entries_of(slot);
    for (const ObservedSlot& slot : in_.observed.slots)
      if (find_slot(in_.desired.slots, slot.name) == nullptr)
        for (const ObservedItem& item : slot.items) surplus(slot.name, {}, item);
    return std::move(changes_);
  }

 private:
  // ---- structure ----

  void structure() {
    const Structure& want = in_.desired.structure;
    const Structure& have = in_.observed.structure;
    ports_change(Action::protect, subtract(want.protect, have.protect));
    ports_change(Action::unprotect, subtract(have.protect, want.protect));
    if (want.keep != have.keep) {
      Change change;
      change.action = Action::keep;
      change.reason = Reason::configuration;
      change.keep = want.keep;
      changes_.push_back(std::move(change));
    }
    for (const auto& [name, ports] : want.slots) {
      auto had = have.slots.find(name);
      if (had == have.slots.end())
        reshape(name, ports, "new");
      else if (had->second != ports)
        reshape_ports(name, had->second, ports);
    }
    for (const auto& [name, ports] : have.slots)
      if (!want.slots.contains(name)) reshape(name, {}, "no longer used");
  }

  /// First what is new beside what was, later what remains: a port that moves to another slot is
  /// never closed between.
  void reshape_ports(const std::string& name, const std::vector<PortRange>& was,
                     const std::vector<PortRange>& wanted) {
    auto both_sets = was;
    both_sets.insert(both_sets.end(), wanted.begin(), wanted.end());
    both_sets = canonical_ports(std::move(both_sets));
    if (both_sets != was) reshape(name, both_sets, "was " + to_string(was));
    if (both_sets != wanted) reshape(name, wanted, "was " + to_string(both_sets));
  }

  void ports_change(Action action, std::vector<PortRange> ports) {
    if (ports.empty()) return;
    Change change;
    change.action = action;
    change.reason = Reason::policy;
    change.ports = std::move(ports);
    change.keep = in_.desired.structure.keep;
    changes_.push_back(std::move(change));
  }

  void reshape(const std::string& slot, const std::vector<PortRange>& ports, std::string detail) {
    Change change;
    change.action = Action::reshape;
    change.reason = Reason::policy;
    change.slot = slot;
    change.ports = ports;
    change.detail = std::move(detail);
    changes_.push_back(std::move(change));
  }

  // ---- entries ----

  void entries_of(const Slot& slot) {
    static const std::vector<ObservedItem> nothing;
    const ObservedSlot* have = find_slot(in_.observed.slots, slot.name);
    const auto& items = have != nullptr ? have->items : nothing;
    auto mine = slot.items.begin();
    auto theirs = items.begin();
    while (mine != slot.items.end() || theirs != items.end()) {
      if (theirs == items.end() || (mine != slot.items.end() && mine->prefix < theirs->prefix))
        missing(slot, *mine++);
      else if (mine == slot.items.end() || theirs->prefix < mine->prefix)
        surplus(slot.name, slot.ports, *theirs++);
      else
        both(slot, *mine++, *theirs++);
    }
  }

  Change entry_change(Action action, Reason reason, const std::string& slot,
                      const std::vector<PortRange>& ports, const Prefix& prefix) const {
    Change change;
    change.action = action;
    change.reason = reason;
    change.slot = slot;
    change.ports = ports;
    change.prefix = prefix;
    change.entry = entry_id(in_.target, prefix, slot);
    return change;
  }

  void missing(const Slot& slot, const Item& item) {
    if (!in_.observed.complete) return;  // absence means nothing in a partial read
    const AppliedEntry* was = applied_.find(slot.name, item.prefix);
    bool should_stand = was != nullptr && was->until > in_.now && in_.observed.exists;
    Change change =
        entry_change(Action::add, reason_to_add(slot, item), slot.name, slot.ports, item.prefix);
    change.until = item.until;
    change.causes = item.causes;
    if (should_stand) {
      change.reason = Reason::drift;
      change.detail = "removed by somebody else; put back once";
      if (was->readded > 0) {
        change.action = Action::report;
        change.detail = "removed by somebody else twice: left closed until the next sign-in";
      }
    }
    changes_.push_back(std::move(change));
  }

  Reason reason_to_add(const Slot& slot, const Item& item) const {
    if (in_.desired_in_force != nullptr) {
      const Slot* before = find_slot(in_.desired_in_force->slots, slot.name);
      if (before == nullptr || find_item(before->items, item.prefix) == nullptr)
        return Reason::policy;
    }
    bool session = std::any_of(item.causes.begin(), item.causes.end(), [](const Attribution& a) {
      return a.kind == Attribution::Kind::session;
    });
    return session ? Reason::sign_in : Reason::fixed;
  }

  void surplus(const std::string& slot, const std::vector<PortRange>& ports,
               const ObservedItem& item) {
    if (!item.ours) {
      Change change = entry_change(Action::report, Reason::foreign, slot, ports, item.prefix);
      change.detail = "foreign, left alone";
      changes_.push_back(std::move(change));
      return;
    }
    const AppliedEntry* was = applied_.find(slot, item.prefix);
    Change change =
        entry_change(Action::remove, reason_to_remove(slot, item, was), slot, ports, item.prefix);
    change.was_until = item.until;
    change.handle = item.handle;
    if (was != nullptr) change.causes = was->causes;
    changes_.push_back(std::move(change));
  }

  Reason reason_to_remove(const std::string& slot, const ObservedItem& item,
                          const AppliedEntry* was) const {
    if (item.until && *item.until <= in_.now) return Reason::expiry;
    if (in_.denied && in_.denied(slot, item.prefix)) return Reason::denied;
    if (was == nullptr) return Reason::orphan;
    return reason_from_causes(was->causes, in_.now);
  }

  /// A cause that still holds means that policy took the entry away; else the last cause to end
  /// says how.
  Reason reason_from_causes(const std::vector<Attribution>& causes, Instant beyond) const {
    Reason reason = Reason::expiry;
    for (const Attribution& cause : causes) {
      if (cause.until <= beyond) continue;
      if (cause.kind == Attribution::Kind::fixed) return Reason::policy;
      auto end = in_.ended ? in_.ended(cause.session) : std::nullopt;
      if (!end) return Reason::policy;
      if (*end == EndCause::revoked)
        reason = Reason::revoked;
      else if (*end != EndCause::expired && reason == Reason::expiry)
        reason = Reason::sign_out;
    }
    return reason;
  }

  void both(const Slot& slot, const Item& item, const ObservedItem& have) {
    if (!have.ours) {
      Change change =
          entry_change(Action::report, Reason::foreign, slot.name, slot.ports, item.prefix);
      change.detail =
          "the same address is open by somebody else's entry: its deadline is not ours to enforce";
      changes_.push_back(std::move(change));
      return;
    }
    if (!have.until || item.until != *have.until) {
      bool later = !have.until || item.until > *have.until;
      Change change = entry_change(later ? Action::extend : Action::shorten, Reason::sign_in,
                                   slot.name, slot.ports, item.prefix);
      change.until = item.until;
      change.was_until = have.until;
      change.causes = item.causes;
      change.handle = have.handle;
      change.reason = later ? reason_to_add(slot, item) : reason_to_shorten(slot.name, item);
      changes_.push_back(std::move(change));
      return;
    }
    life(slot, item, have);
  }

  Reason reason_to_shorten(const std::string& slot, const Item& item) const {
    const AppliedEntry* was = applied_.find(slot, item.prefix);
    return was == nullptr ? Reason::drift : reason_from_causes(was->causes, item.until);
  }

  /// The marker is right; is the life the target itself counts?
  void life(const Slot& slot, const Item& item, const ObservedItem& have) {
    if (!in_.capabilities.native_expiry) return;
    Duration want = item.until - in_.observed.at;
    bool too_long = !have.left || *have.left > want + kLifeTolerance;
    bool too_short = have.left && *have.left + kLifeTolerance < want;
    if (!too_long && !too_short) return;
    Change change = entry_change(too_long ? Action::shorten : Action::extend, Reason::drift,
                                 slot.name, slot.ports, item.prefix);
    change.until = item.until;
    change.was_until = have.left ? std::optional(in_.observed.at + *have.left) : std::nullopt;
    change.causes = item.causes;
    change.handle = have.handle;
    change.detail = "its life on the target was changed by somebody else";
    changes_.push_back(std::move(change));
  }

  const DiffInput& in_;
  AppliedIndex applied_;
  std::vector<Change> changes_;
};

}  // namespace

std::vector<Change> diff(const DiffInput& input) { return Differ(input).run(); }

}  // namespace knock
