// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/diff.h"

#include <algorithm>
#include <tuple>

#include "reconciler/core/marker.h"
#include "reconciler/core/order.h"

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
  auto at =
      std::lower_bound(slots.begin(), slots.end(), name,
                       [](const auto& slot, const std::string& n) { return slot.name.get() < n; });
  return at != slots.end() && at->name == name ? &*at : nullptr;
}

/// The applied entries in the order of slots and prefixes.
class AppliedIndex {
 public:
  explicit AppliedIndex(std::span<const AppliedEntry> applied) {
    sorted_.reserve(applied.size());
    for (const AppliedEntry& entry : applied) sorted_.push_back(&entry);
    auto before = [](const AppliedEntry* a, const AppliedEntry* b) {
      return std::tie(a->slot, a->prefix) < std::tie(b->slot, b->prefix);
    };
    // The loop keeps its records in this order already.
    if (!std::is_sorted(sorted_.begin(), sorted_.end(), before))
      std::sort(sorted_.begin(), sorted_.end(), before);
  }
  /// Questions come mostly slot by slot and in the order of prefixes, so the answer is near the
  /// last one.
  const AppliedEntry* find(const std::string& slot, const Prefix& prefix) {
    if (slot_ != slot || !looked_) enter(slot);
    auto less = [](const AppliedEntry* entry, const Prefix& p) { return entry->prefix < p; };
    std::size_t first = last_ < end_ && less(sorted_[last_], prefix) ? last_ : begin_;
    std::size_t reach = 1;
    while (first + reach < end_ && less(sorted_[first + reach], prefix)) reach *= 2;
    auto from = sorted_.begin() + std::ptrdiff_t(first);
    auto to = sorted_.begin() + std::ptrdiff_t(std::min(first + reach + 1, end_));
    auto at = std::lower_bound(from, to, prefix, less);
    last_ = std::size_t(at - sorted_.begin());
    return last_ < end_ && (*at)->prefix == prefix ? *at : nullptr;
  }

 private:
  void enter(const std::string& slot) {
    struct BySlot {
      bool operator()(const AppliedEntry* entry, const std::string& s) const {
        return entry->slot < s;
      }
      bool operator()(const std::string& s, const AppliedEntry* entry) const {
        return s < entry->slot;
      }
    };
    auto [from, to] = std::equal_range(sorted_.begin(), sorted_.end(), slot, BySlot());
    begin_ = last_ = std::size_t(from - sorted_.begin());
    end_ = std::size_t(to - sorted_.begin());
    slot_ = slot;
    looked_ = true;
  }

  std::vector<const AppliedEntry*> sorted_;
  std::string slot_;  // the one that was asked for last: its entries stand from begin_ to end_
  bool looked_ = false;
  std::size_t begin_ = 0, end_ = 0, last_ = 0;
};

/// A slot as changes name it.
struct Place {
  SharedText slot;
  SharedList<PortRange> ports;
};

class Differ {
 public:
  explicit Differ(const DiffInput& input) : in_(input), applied_(input.applied) {}

  std::vector<Change> run() {
    if (!in_.observed.complete) return only_closings();
    reserve();
    if (!in_.only) structure();

    for (const Slot& slot : in_.desired.slots) entries_of(slot);
    for (const ObservedSlot& slot : in_.observed.slots)
      if (find_slot(in_.desired.slots, slot.name) == nullptr)
        for (Place place = standing(slot.name); const ObservedItem& item : slot.items)
          surplus(place, item);
    return std::move(changes_);
  }

 private:
  /// Of a partial reading only what must close counts; what is not seen may be there.
  std::vector<Change> only_closings() {
    for (const ObservedSlot& slot : in_.observed.slots)
      for (Place place = standing(slot.name); const ObservedItem& item : slot.items) {
        if (!item.ours || (wants(slot.name, item.prefix) && !ran_out(item))) continue;
        const AppliedEntry* was = applied_.find(slot.name, item.prefix);
        Reason reason = reason_to_remove(slot.name, item, was);
        if (must_not_wait(reason) && reason != Reason::orphan) removal(place, item, was, reason);
      }
    for (const AppliedEntry& record : in_.applied)
      if (!seen(record.slot, record.prefix)) closing_by_record(record);
    return std::move(changes_);
  }

  /// Somebody else's entry counts too: what stands there is not what the record tells of.
  bool seen(const std::string& slot, const Prefix& prefix) const {
    const ObservedSlot* have = find_slot(in_.observed.slots, slot);
    return have != nullptr && find_item(have->items, prefix) != nullptr;
  }

  void closing_by_record(const AppliedEntry& record) {
    ObservedItem item;
    item.prefix = record.prefix;
    item.ours = true;
    item.until = record.until;
    if (wants(record.slot, record.prefix) && !ran_out(item)) return;
    Reason reason = reason_to_remove(record.slot, item, &record);
    if (must_not_wait(reason)) removal(standing(record.slot), item, &record, reason);
  }

  bool ran_out(const ObservedItem& item) const { return item.until && *item.until <= in_.now; }

  static Place place_of(const Slot& slot) { return {slot.name, slot.ports}; }

  /// A slot with what it lets through now, wanted or not.
  Place standing(const std::string& slot) const {
    auto at = in_.observed.structure.slots.find(slot);
    if (at == in_.observed.structure.slots.end()) return {slot, {}};
    return {slot, at->second};
  }

  bool wants(const std::string& slot, const Prefix& prefix) const {
    const Slot* wanted = find_slot(in_.desired.slots, slot);
    return wanted != nullptr && find_item(wanted->items, prefix) != nullptr;
  }

  // ---- structure ----

  void structure() {
    const Structure& want = in_.desired.structure;
    const Structure& have = in_.observed.structure;
    protect(subtract(want.protect, have.protect));
    ports_change(Action::unprotect, structure_reason(), subtract(have.protect, want.protect));
    if (want.keep != have.keep) keep_change(have.keep, want.keep);
    for (const auto& [name, ports] : want.slots) {
      auto had = have.slots.find(name);
      if (had == have.slots.end())
        reshape(name, ports, "new");
      else if (had->second != ports)
        reshape_ports(name, had->second, ports);
    }
    for (const auto& [name, ports] : have.slots)
      if (!want.slots.contains(name) && !holds_foreign(name)) reshape(name, {}, "no longer used");
    if (in_.observed.structure_differs) rebuild();
  }

  /// What slots and ports cannot tell: nothing is named, everything is built again.
  void rebuild() {
    Change change;
    change.action = Action::reshape;
    change.reason = Reason::drift;
    change.detail = "rules differ from what was built; they are built again";
    changes_.push_back(std::move(change));
  }

  /// Where policy wants what the one in force wanted, it was not policy that changed the structure.
  Reason structure_reason() const {
    bool same = in_.desired_in_force != nullptr
                    ? in_.desired_in_force->structure == in_.desired.structure
                    : in_.observed.exists;
    return same ? Reason::drift : Reason::policy;
  }

  /// Such a slot stays: what is not ours would go with it.
  bool holds_foreign(const std::string& slot) const {
    const ObservedSlot* seen = find_slot(in_.observed.slots, slot);
    return seen != nullptr &&
           std::any_of(seen->items.begin(), seen->items.end(), [&](const ObservedItem& item) {
             return !item.ours && (!in_.owns_container || item.mark == ObservedItem::Mark::unknown);
           });
  }

  /// First the new ones beside the old, later without the old: an operator who gets an entry
  /// instead is not cut between.
  void keep_change(const std::vector<Prefix>& was, const std::vector<Prefix>& wanted) {
    auto both = was;
    both.insert(both.end(), wanted.begin(), wanted.end());
    both = without_nested(std::move(both));
    if (both != was) keep(both);
    if (both != wanted) keep(wanted);
  }

  void keep(const std::vector<Prefix>& prefixes) {
    Change change;
    change.action = Action::keep;
    change.reason = Reason::configuration;
    change.keep = prefixes;
    changes_.push_back(std::move(change));
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

  /// What we protected ourselves is protected again; what no record knows is a new thing, whatever
  /// the target looks like.
  void protect(const std::vector<PortRange>& missing) {
    std::vector<PortRange> before(in_.protected_before.begin(), in_.protected_before.end());
    auto fresh = subtract(missing, before);
    ports_change(Action::protect, Reason::drift, subtract(missing, fresh));
    ports_change(Action::protect, Reason::policy, fresh);
  }

  void ports_change(Action action, Reason reason, std::vector<PortRange> ports) {
    if (ports.empty()) return;
    Change change;
    change.action = action;
    change.reason = reason;
    change.ports = std::move(ports);
    change.keep = in_.desired.structure.keep;
    changes_.push_back(std::move(change));
  }

  void reshape(const std::string& slot, const std::vector<PortRange>& ports, std::string detail) {
    Change change;
    change.action = Action::reshape;
    change.reason = structure_reason();
    change.slot = slot;
    change.ports = ports;
    change.detail = std::move(detail);
    changes_.push_back(std::move(change));
  }

  // ---- entries ----

  void entries_of(const Slot& slot) {
    walk(
        slot, [&](const Item& item) { missing(slot, item); },
        [&](const ObservedItem& have) { surplus(place_of(slot), have); },
        [&](const Item& item, const ObservedItem& have) { both(slot, item, have); });
  }

  /// Both lists side by side, in the order of prefixes.
  template <class Missing, class Surplus, class Both>
  void walk(const Slot& slot, Missing missing, Surplus surplus, Both both) const {
    static const std::vector<ObservedItem> nothing;
    const ObservedSlot* have = find_slot(in_.observed.slots, slot.name);
    const auto& items = have != nullptr ? have->items : nothing;
    auto mine = slot.items.begin();
    auto theirs = items.begin();
    while (mine != slot.items.end() || theirs != items.end()) {
      if (theirs == items.end() || (mine != slot.items.end() && mine->prefix < theirs->prefix))
        missing(*mine++);
      else if (mine == slot.items.end() || theirs->prefix < mine->prefix)
        surplus(*theirs++);
      else
        both(*mine++, *theirs++);
    }
  }

  /// Changes are large: growing the list step by step costs more than counting first.
  void reserve() {
    std::size_t n = 0;
    auto one = [&](const auto&) { ++n; };
    for (const Slot& slot : in_.desired.slots)
      walk(slot, one, one,
           [&](const Item& item, const ObservedItem& have) { n += item.until != have.until; });
    changes_.reserve(n + 16);
  }

  Change& entry_change(Action action, Reason reason, const Place& place, const Prefix& prefix) {
    Change& change = changes_.emplace_back();
    change.action = action;
    change.reason = reason;
    change.slot = place.slot;
    change.ports = place.ports;
    change.prefix = prefix;
    change.entry = entry_id(in_.target, prefix, place.slot.get());
    return change;
  }

  // ---- tickets for one connection ----

  /// Somebody it is opened for was given none yet.
  bool has_new_ticket(const std::string& slot, const Item& item) const {
    if (item.lasts != Lasts::first_connection || !in_.capabilities.by_connection) return false;
    return std::any_of(item.causes.begin(), item.causes.end(), [&](const Attribution& cause) {
      return cause.lasts == Lasts::first_connection &&
             !(in_.had_ticket && in_.had_ticket(slot, item.prefix, cause.session));
    });
  }

  /// Why what is wanted is not opened; "": it is.
  std::string_view closed_because(const std::string& slot, const Item& item) const {
    if (item.lasts == Lasts::until_deadline) return "";
    if (!in_.capabilities.by_connection)
      return "this kind of target cannot close behind a connection, so it is left closed";
    if (item.lasts == Lasts::first_connection && !has_new_ticket(slot, item))
      return "its one connection was given already, so it is left closed until the next sign-in";
    return "";
  }

  void left_closed(const Slot& slot, const Item& item, const AppliedEntry* was) {
    bool by_hand = was != nullptr && was->until > in_.now && in_.observed.exists;
    addition(Action::report, by_hand ? Reason::drift : reason_to_add(slot, item), slot, item,
             (by_hand ? "removed by somebody else; " : "") +
                 std::string(closed_because(slot.name, item)));
  }

  void missing(const Slot& slot, const Item& item) {
    const AppliedEntry* was = applied_.find(slot.name, item.prefix);
    if (!closed_because(slot.name, item).empty()) return left_closed(slot, item, was);
    if (item.lasts == Lasts::first_connection)
      return addition(Action::add, reason_to_add(slot, item), slot, item, "");
    bool taken_away = was != nullptr && was->until > in_.now && in_.observed.exists;
    if (!taken_away || (was->readded > 0 && signed_in_since(item, *was)))
      addition(Action::add, reason_to_add(slot, item), slot, item, "");
    else if (was->readded == 0)
      addition(Action::add, Reason::drift, slot, item, "removed by somebody else, put back once");
    else
      addition(Action::report, Reason::drift, slot, item,
               "removed by somebody else twice, left closed until the next sign-in");
  }

  void addition(Action action, Reason reason, const Slot& slot, const Item& item,
                std::string detail) {
    Change& change = entry_change(action, reason, place_of(slot), item.prefix);
    opens_as(change, slot, item);
    change.detail = std::move(detail);
  }

  void opens_as(Change& change, const Slot& slot, const Item& item) const {
    change.until = item.until;
    change.causes = item.causes;
    change.lasts = item.lasts;
    change.come_by = item.come_by;
    change.ticket = has_new_ticket(slot.name, item);
  }

  static bool signed_in_since(const Item& item, const AppliedEntry& was) {
    return std::any_of(item.causes.begin(), item.causes.end(), [&](const Attribution& now) {
      return now.kind == Attribution::Kind::session &&
             std::none_of(was.causes.begin(), was.causes.end(),
                          [&](const Attribution& before) { return before.session == now.session; });
    });
  }

  const Item* in_force(const std::string& slot_name, const Prefix& prefix) const {
    const Slot* slot = find_slot(in_.desired_in_force->slots, slot_name);
    return slot == nullptr ? nullptr : find_item(slot->items, prefix);
  }

  Reason reason_to_add(const Slot& slot, const Item& item) const {
    if (in_.desired_in_force != nullptr && in_force(slot.name, item.prefix) == nullptr)
      return Reason::policy;
    bool session = std::any_of(item.causes.begin(), item.causes.end(), [](const Attribution& a) {
      return a.kind == Attribution::Kind::session;
    });
    return session ? Reason::sign_in : Reason::fixed;
  }

  Reason reason_to_extend(const Slot& slot, const Item& item) const {
    if (in_.desired_in_force != nullptr)
      if (const Item* before = in_force(slot.name, item.prefix); before != nullptr)
        if (before->until < item.until) return Reason::policy;
    return reason_to_add(slot, item);
  }

  void surplus(const Place& place, const ObservedItem& item) {
    if (!item.ours) return not_ours(place, item);
    const AppliedEntry* was = applied_.find(place.slot, item.prefix);
    removal(place, item, was, reason_to_remove(place.slot, item, was));
  }

  void not_ours(const Place& place, const ObservedItem& item) {
    switch (item.mark) {
      case ObservedItem::Mark::unknown:
        return foreign(place, item, "carries a mark of a version we do not know, left alone");
      case ObservedItem::Mark::other_owner:
        if (in_.owns_container) break;
        return foreign(place, item, "carries the mark of another installation, left alone");
      case ObservedItem::Mark::none:
        if (in_.owns_container) break;
        return foreign(place, item, "foreign, left alone");
    }
    removal(place, item, nullptr, Reason::drift);
    changes_.back().detail = "added out of band";
  }

  /// Somebody said that what stands there without our mark is ours.
  bool may_take(const std::string& slot, const ObservedItem& have) const {
    if (have.mark == ObservedItem::Mark::unknown) return false;
    return in_.owns_container ||
           (in_.adopted != nullptr && in_.adopted->contains({slot, have.prefix}));
  }

  /// The same address is wanted, and stands open by what is not ours.
  void take(const Slot& slot, const Item& item, const ObservedItem& have) {
    if (!closed_because(slot.name, item).empty()) {
      not_ours(place_of(slot), have);
      return left_closed(slot, item, nullptr);
    }
    addition(Action::add, reason_to_add(slot, item), slot, item,
             "stood there without our mark, marked now");
    changes_.back().handle = have.handle;
  }

  void foreign(const Place& place, const ObservedItem& item, std::string detail) {
    Change& change = entry_change(Action::report, Reason::foreign, place, item.prefix);
    change.detail = std::move(detail);
  }

  void removal(const Place& place, const ObservedItem& item, const AppliedEntry* was,
               Reason reason) {
    Change& change = entry_change(Action::remove, reason, place, item.prefix);
    change.was_until = item.until;
    change.handle = item.handle;
    if (was != nullptr) change.causes = was->causes;
    if (reason == Reason::policy && smaller_ones_are_wanted(place.slot, item.prefix))
      change.detail = "smaller entries take its place";
  }

  bool smaller_ones_are_wanted(const std::string& slot_name, const Prefix& prefix) const {
    const Slot* slot = prefix.is_host() ? nullptr : find_slot(in_.desired.slots, slot_name);
    if (slot == nullptr) return false;
    auto at = std::lower_bound(slot->items.begin(), slot->items.end(), prefix,
                               [](const Item& item, const Prefix& p) { return item.prefix < p; });
    return at != slot->items.end() && prefix.contains(at->prefix);
  }

  Reason reason_to_remove(const std::string& slot, const ObservedItem& item,
                          const AppliedEntry* was) const {
    if (ran_out(item)) return Reason::expiry;
    if (in_.denied && in_.denied(slot, item.prefix)) return Reason::denied;
    if (was == nullptr) return Reason::orphan;
    return reason_from_causes(slot, item.prefix, was->causes, in_.now);
  }

  /// A cause that still holds means that policy took the entry away; else how its causes ended.
  Reason reason_from_causes(const std::string& slot, const Prefix& prefix,
                            const std::vector<Attribution>& causes, Instant beyond) const {
    bool revoked = false, denied = false, limited = false, signed_out = false;
    for (const Attribution& cause : causes) {
      if (cause.until <= beyond) continue;
      if (cause.kind == Attribution::Kind::fixed) return Reason::policy;
      auto end = in_.ended ? in_.ended(cause.session) : std::nullopt;
      if (!end) {
        if (in_.denied_session && in_.denied_session(slot, cause.session))
          denied = true;
        else if (is_limited(slot, prefix, cause.session))
          limited = true;
        else if (lost_groups(slot, prefix, cause.session))
          revoked = true;
        else
          return Reason::policy;
      } else {
        revoked = revoked || *end == EndCause::revoked || *end == EndCause::restored;
        signed_out = signed_out || *end == EndCause::signed_out || *end == EndCause::replaced;
      }
    }
    return revoked      ? Reason::revoked
           : denied     ? Reason::denied
           : limited    ? Reason::limited
           : signed_out ? Reason::sign_out
                        : Reason::expiry;
  }

  bool is_limited(const std::string& slot, const Prefix& prefix, const SessionId& session) const {
    return in_.limited_session && in_.limited_session(slot, session) &&
           !policy_gave(slot, prefix, session);
  }

  bool lost_groups(const std::string& slot, const Prefix& prefix, const SessionId& session) const {
    return in_.regrouped && in_.regrouped(session) && !policy_gave(slot, prefix, session);
  }

  /// The policy in force still gives it, so it is the planned one that takes it away.
  bool policy_gave(const std::string& slot, const Prefix& prefix, const SessionId& session) const {
    if (in_.desired_in_force == nullptr) return false;
    const Item* before = in_force(slot, prefix);
    return before != nullptr &&
           std::any_of(before->causes.begin(), before->causes.end(),
                       [&](const Attribution& cause) { return cause.session == session; });
  }

  void both(const Slot& slot, const Item& item, const ObservedItem& have) {
    if (!have.ours && may_take(slot.name, have)) return take(slot, item, have);
    if (!have.ours) {
      foreign(place_of(slot), have,
              "the same address is open by somebody else's entry: its deadline is not ours to "
              "enforce");
      return;
    }
    if (ran_out(have)) {
      // What it was opened for has ended; that somebody may come in again is another matter.
      const AppliedEntry* was = applied_.find(slot.name, have.prefix);
      removal(place_of(slot), have, was, Reason::expiry);
      if (!closed_because(slot.name, item).empty()) return left_closed(slot, item, nullptr);
      addition(Action::add, reason_to_add(slot, item), slot, item, "");
      return;
    }
    if (item.lasts != Lasts::until_deadline || have.lasts != Lasts::until_deadline)
      return by_connection(slot, item, have);
    if (have.until && item.until == *have.until) return life(slot, item, have);
    bool later = !have.until || item.until > *have.until;
    modify(slot, item, have, later ? Action::extend : Action::shorten,
           later ? reason_to_extend(slot, item) : reason_to_shorten(slot.name, item), "");
  }

  void modify(const Slot& slot, const Item& item, const ObservedItem& have, Action action,
              Reason reason, std::string detail) {
    Change& change = entry_change(action, reason, place_of(slot), item.prefix);
    opens_as(change, slot, item);
    change.was_until = have.until;
    change.handle = have.handle;
    change.detail = std::move(detail);
  }

  /// One of the two, or both, lasts by connection; what is there has not run out.
  void by_connection(const Slot& slot, const Item& item, const ObservedItem& have) {
    if (item.lasts != have.lasts || !in_.capabilities.by_connection)
      return other_kind(slot, item, have);
    if (has_new_ticket(slot.name, item)) {
      // What is left of an earlier entry has no part in a new one.
      if (have.broken) return addition(Action::add, reason_to_add(slot, item), slot, item, "");
      bool later = !have.until || item.until >= *have.until;
      return modify(slot, item, have, later ? Action::extend : Action::shorten,
                    later ? Reason::sign_in : reason_to_shorten(slot.name, item),
                    "one connection more");
    }
    if (have.broken) return broken(slot, item, have);
    if (have.ticket == ObservedItem::Ticket::lost)
      addition(Action::report, Reason::drift, slot, item,
               "its ticket was taken away by somebody else: no new connection until the next "
               "sign-in");
    Instant until = have.until.value_or(Instant());
    if (item.until == until && item.come_by == have.come_by) return life(slot, item, have);
    bool later = item.until != until ? item.until > until : item.come_by > have.come_by;
    modify(slot, item, have, later ? Action::extend : Action::shorten,
           later ? reason_to_extend(slot, item) : reason_to_shorten(slot.name, item), "");
  }

  /// Nothing passes by it any more. What takes any number of connections is made whole; a ticket,
  /// used or not, is not given twice.
  void broken(const Slot& slot, const Item& item, const ObservedItem& have) {
    if (item.lasts == Lasts::disconnect)
      return modify(slot, item, have, Action::extend, Reason::drift,
                    "a part of it was removed by somebody else, put back");
    const AppliedEntry* was = applied_.find(slot.name, have.prefix);
    removal(place_of(slot), have, was, Reason::drift);
    left_closed(slot, item, was);
  }

  void other_kind(const Slot& slot, const Item& item, const ObservedItem& have) {
    const AppliedEntry* was = applied_.find(slot.name, item.prefix);
    if (!closed_because(slot.name, item).empty()) {
      removal(place_of(slot), have, was, reason_to_narrow(slot.name, item, was));
      return left_closed(slot, item, nullptr);
    }
    bool more = openness(item.lasts) > openness(have.lasts);
    modify(slot, item, have, more ? Action::extend : Action::shorten,
           more ? reason_to_add(slot, item) : reason_to_narrow(slot.name, item, was),
           more ? "" : "lasts less long than it did");
  }

  /// By what is no longer among its causes.
  Reason reason_to_narrow(const std::string& slot, const Item& item,
                          const AppliedEntry* was) const {
    if (was == nullptr) return Reason::drift;
    std::vector<Attribution> gone;
    for (const Attribution& cause : was->causes)
      if (std::none_of(item.causes.begin(), item.causes.end(), [&](const Attribution& now) {
            return now.session == cause.session && now.rule == cause.rule &&
                   now.lasts == cause.lasts;
          }))
        gone.push_back(cause);
    // Nobody left: it is the same people's entry, and policy lets them do less.
    if (gone.empty()) return Reason::policy;
    return reason_from_causes(slot, item.prefix, gone, in_.now);
  }

  Reason reason_to_shorten(const std::string& slot, const Item& item) {
    const AppliedEntry* was = applied_.find(slot, item.prefix);
    if (item.lasts != Lasts::until_deadline) return reason_to_narrow(slot, item, was);
    return was == nullptr ? Reason::drift
                          : reason_from_causes(slot, item.prefix, was->causes, item.until);
  }

  /// The marker is right; is the life the target itself counts?
  void life(const Slot& slot, const Item& item, const ObservedItem& have) {
    if (!in_.capabilities.native_expiry) return;
    Duration want = item.until - in_.observed.at;
    bool too_long = !have.left || *have.left > want + kLifeTolerance;
    // A target that counts no further than a limit is asked again at half of it, not at every look.
    Duration longest = in_.capabilities.longest_life;
    if (longest.ms > 0 && want > longest) want = Duration{longest.ms / 2};
    bool too_short = have.left && *have.left + kLifeTolerance < want;
    if (!too_long && !too_short) return;
    Change& change = entry_change(too_long ? Action::shorten : Action::extend, Reason::drift,
                                  place_of(slot), item.prefix);
    opens_as(change, slot, item);
    change.was_until = have.left ? std::optional(in_.observed.at + *have.left) : std::nullopt;
    change.handle = have.handle;
    change.detail = "its life on the target was changed by somebody else";
  }

  const DiffInput& in_;
  AppliedIndex applied_;
  std::vector<Change> changes_;
};

}  // namespace

std::vector<Change> diff(const DiffInput& input) { return Differ(input).run(); }

}  // namespace knock
