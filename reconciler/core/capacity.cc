// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/capacity.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "reconciler/core/order.h"

namespace knock {
namespace {

bool by_static(const SharedList<Attribution>& causes) {
  return std::any_of(causes.begin(), causes.end(), [](const Attribution& cause) {
    return cause.kind == Attribution::Kind::fixed;
  });
}

/// What sessions cause ends one by one: a joined entry would keep in whoever leaves first.
bool may_be_joined(const Item& item) {
  return item.lasts == Lasts::until_deadline && item.prefix.length() > 0 && !item.causes.empty() &&
         std::all_of(item.causes.begin(), item.causes.end(), [](const Attribution& cause) {
           return cause.kind == Attribution::Kind::fixed;
         });
}

Prefix around(const Prefix& prefix) { return Prefix::of(prefix.network(), prefix.length() - 1); }

SharedList<Attribution> causes_of_both(const Item& a, const Item& b) {
  std::vector<Attribution> causes(a.causes.begin(), a.causes.end());
  causes.insert(causes.end(), b.causes.begin(), b.causes.end());
  std::sort(causes.begin(), causes.end());
  causes.erase(std::unique(causes.begin(), causes.end()), causes.end());
  return causes;
}

/// Sorted by prefix, a list holds the two halves of a prefix next to each other unless something
/// nested stands between; then they stay apart.
std::vector<Item> joined(const std::vector<Item>& items) {
  std::vector<Item> out;
  out.reserve(items.size());
  for (Item item : items) {
    while (!out.empty()) {
      const Item& last = out.back();
      bool halves = may_be_joined(item) && may_be_joined(last) && last.prefix != item.prefix &&
                    last.prefix.family() == item.prefix.family() &&
                    last.prefix.length() == item.prefix.length() && last.until == item.until &&
                    around(last.prefix) == around(item.prefix);
      if (!halves) break;
      item.causes = causes_of_both(last, item);
      item.prefix = around(item.prefix);
      out.pop_back();
    }
    out.push_back(std::move(item));
  }
  std::sort(out.begin(), out.end(),
            [](const Item& a, const Item& b) { return a.prefix < b.prefix; });
  // What covers two halves may stand there in its own right, until another time.
  auto same = [](const Item& a, const Item& b) { return a.prefix == b.prefix; };
  return std::adjacent_find(out.begin(), out.end(), same) == out.end() ? out : items;
}

}  // namespace

Room room_of(const Target& target, const Capabilities& capabilities) {
  Room room;
  room.all = capabilities.max_entries;
  if (target.capacity && (room.all == 0 || *target.capacity < room.all))
    room.all = *target.capacity;
  room.sessions = room.all - std::min(room.all, target.capacity_reserve);
  return room;
}

std::size_t entries_of(const Canonical& desired) {
  std::size_t n = 0;
  for (const Slot& slot : desired.slots) n += slot.items.size();
  return n;
}

std::size_t entries_of(const Observed& observed) {
  std::size_t n = 0;
  for (const ObservedSlot& slot : observed.slots) n += slot.items.size();
  return n;
}

Canonical with_neighbours_joined(const Canonical& desired) {
  Canonical out = desired;
  for (Slot& slot : out.slots) slot.items = joined(slot.items);
  return out;
}

bool may_join(const Capabilities& capabilities) {
  return capabilities.prefixes && capabilities.atomic;
}

Waiting let_wait(std::vector<Change>& changes, const Observed& observed,
                 const Capabilities& capabilities, const Room& room,
                 const std::function<Instant(const SessionId&)>& asked) {
  Waiting out;
  if (!room.limited()) return out;
  std::size_t stands = entries_of(observed);
  std::vector<std::size_t> additions;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    if (change.action == Action::add) additions.push_back(i);
    bool leaves =
        change.action == Action::remove && (capabilities.atomic || must_not_wait(change.reason));
    stands -= leaves && stands > 0;
  }
  if (stands + additions.size() <= room.sessions) return out;
  auto first_asked = [&](const Change& change) {
    Instant first = Instant::max();
    for (const Attribution& cause : change.causes)
      if (cause.kind == Attribution::Kind::session) first = std::min(first, asked(cause.session));
    return first;
  };
  auto rank = [&](std::size_t i) {
    return std::tuple(!by_static(changes[i].causes), first_asked(changes[i]), i);
  };
  std::sort(additions.begin(), additions.end(),
            [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
  std::size_t before = 0;
  for (std::size_t i : additions) {
    Change& change = changes[i];
    bool fixed = by_static(change.causes);
    if (stands < (fixed ? room.all : room.sessions)) {
      ++stands;
      continue;
    }
    change.action = Action::report;
    change.reason = Reason::no_room;
    change.detail =
        fmt::format("no room: the target holds {} of {}; it waits for a place, {} before it",
                    stands, fixed ? room.all : room.sessions, before++);
    ++out.entries;
    out.for_sessions = out.for_sessions || !fixed;
  }
  return out;
}

}  // namespace knock
