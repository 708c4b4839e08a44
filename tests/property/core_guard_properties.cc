// SPDX-License-Identifier: Apache-2.0
// What a guard lets pass and what it holds, over random changes and limits.
#include <gtest/gtest.h>
// gtest first: rapidcheck's own headers look for it.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "reconciler/core/guard.h"
#include "reconciler/core/needs.h"
#include "reconciler/core/order.h"
#include "tests/support/choices.h"

namespace knock::test {
namespace {

const TargetName kEdge("edge");
const std::vector<std::string> kSlots{"shell", "ssh", "web"};
const std::vector<Reason> kOpening{Reason::sign_in, Reason::fixed, Reason::policy, Reason::policy,
                                   Reason::drift};
const std::vector<Reason> kClosing{
    Reason::expiry, Reason::sign_out, Reason::revoked, Reason::denied, Reason::limited,
    Reason::orphan, Reason::policy,   Reason::policy,  Reason::policy, Reason::drift};

Prefix some_prefix() {
  auto host = *IpAddress::parse(fmt::format("192.0.{}.{}", below(2), below(30)));
  return chance(15) ? Prefix::of(host, 20 + below(8)) : Prefix::host(host);
}

std::vector<PortRange> some_ports() {
  return {*PortRange::parse(pick(std::vector<std::string>{"tcp/22", "tcp/443", "tcp/20-30"}))};
}

struct World {
  Observed observed;
  std::vector<Change> changes;
  GuardLimits limits;
  std::size_t owned = 0;
};

World some_world() {
  World out;
  out.observed.exists = true;
  std::set<std::pair<std::string, Prefix>> standing;
  for (int i = below(40); i > 0; --i) standing.emplace(pick(kSlots), some_prefix());
  for (const auto& name : kSlots) {
    ObservedSlot slot{name, {}};
    out.observed.structure.slots[name] = some_ports();
    for (const auto& [where, prefix] : standing)
      if (where == name) {
        ObservedItem item;
        item.prefix = prefix;
        item.ours = !chance(10);
        out.owned += item.ours;
        slot.items.push_back(item);
        if (!item.ours || chance(40)) continue;
        Change change;
        change.action = Action::remove;
        change.reason = pick(kClosing);
        change.slot = name;
        change.prefix = prefix;
        change.ports = out.observed.structure.slots[name];
        out.changes.push_back(change);
      }
    out.observed.slots.push_back(slot);
  }
  std::set<std::pair<std::string, Prefix>> coming;
  for (int i = below(30); i > 0; --i) {
    Change change;
    change.action = Action::add;
    change.reason = pick(kOpening);
    change.slot = pick(kSlots);
    change.prefix = some_prefix();
    change.ports = out.observed.structure.slots[change.slot];
    if (standing.contains({change.slot, change.prefix}) ||
        !coming.emplace(change.slot, change.prefix).second)
      continue;
    out.changes.push_back(change);
  }
  if (chance(20)) {
    Change change;
    change.action = chance(50) ? Action::protect : Action::unprotect;
    change.reason = chance(30) ? Reason::drift : Reason::policy;
    change.ports = some_ports();
    out.changes.push_back(change);
  }
  out.changes = shuffled(std::move(out.changes));
  out.limits.removed_percent = unsigned(below(101));
  out.limits.removed_entries = std::size_t(below(20));
  out.limits.added_percent = unsigned(below(150));
  out.limits.added_entries = std::size_t(below(20));
  if (chance(30)) out.limits.widest_v4 = std::uint8_t(20 + below(12));
  return out;
}

std::string shown(const Change& change) {
  return fmt::format("{} {} {} {}", to_string(change.action), to_string(change.reason), change.slot,
                     change.prefix.to_string());
}
std::multiset<std::string> shown(const std::vector<Change>& changes) {
  std::multiset<std::string> out;
  for (const Change& change : changes) out.insert(shown(change));
  return out;
}

/// Plainly, one by one: changes of `action` by policy for whose addresses nothing of `other` stands
/// in.
std::size_t really(const std::vector<Change>& changes, Action action) {
  auto other = action == Action::add ? Action::remove : Action::add;
  std::size_t count = 0;
  for (const Change& change : changes) {
    if (change.action != action || change.reason != Reason::policy) continue;
    count += std::none_of(changes.begin(), changes.end(), [&](const Change& instead) {
      return instead.action == other && instead.prefix.contains(change.prefix) &&
             (other == Action::add || instead.reason == Reason::policy) &&
             subtract(change.ports, instead.ports).empty();
    });
  }
  return count;
}

bool beyond(std::size_t count, std::size_t owned, std::size_t entries, unsigned percent) {
  return count > entries || (owned >= kShareFrom && count * 100 > owned * percent);
}

bool by_policy(const Change& change, Action action) {
  return change.action == action && change.reason == Reason::policy;
}

RC_GTEST_PROP(CoreGuard, HoldsExactlyWhatIsBeyondALimitAndNeverWhatMustClose, ()) {
  World world = some_world();
  Capabilities capabilities;
  auto result =
      guard(world.changes, {kEdge, capabilities, world.observed, chance(20), {}, {}, world.limits});
  auto both = result.pass;
  both.insert(both.end(), result.held.begin(), result.held.end());
  RC_ASSERT(shown(both) == shown(world.changes));

  for (const Change& change : result.held) {
    bool closing = change.action == Action::remove && must_not_wait(change.reason);
    RC_ASSERT(!closing);
    RC_ASSERT(!(change.action == Action::protect && change.reason == Reason::drift));
  }
  RC_ASSERT(result.trips.empty() == result.held.empty());
  for (const GuardTrip& trip : result.trips) {
    RC_ASSERT(!trip.figure.empty() && !trip.limit.empty() && trip.held > 0);
    RC_ASSERT(trip.target == kEdge);
  }

  bool removals = beyond(really(world.changes, Action::remove), world.owned,
                         world.limits.removed_entries, world.limits.removed_percent);
  bool additions = beyond(really(world.changes, Action::add), world.owned,
                          world.limits.added_entries, world.limits.added_percent);
  for (const Change& change : result.pass) {
    RC_ASSERT(!(removals && by_policy(change, Action::remove)));
    RC_ASSERT(!(additions && by_policy(change, Action::add)));
  }
  if (!removals && !additions)
    for (const GuardTrip& trip : result.trips) {
      RC_ASSERT(!trip.guard.starts_with("removals"));
      RC_ASSERT(!trip.guard.starts_with("additions"));
    }

  // What needs a held change waits with it, but for what must not wait.
  auto needs = needs_of(world.changes, world.observed.structure, &world.observed.slots);
  auto held = shown(result.held);
  for (const Need& need : needs) {
    const Change& then = world.changes[need.then];
    bool waits_for_nothing = then.action == Action::protect && then.reason == Reason::drift;
    if (held.contains(shown(world.changes[need.first])) && !waits_for_nothing)
      RC_ASSERT(held.contains(shown(then)));
  }
  RC_TAG(removals ? "removals held" : additions ? "additions held" : "neither");
}

RC_GTEST_PROP(CoreGuard, StricterLimitsHoldNoLess, ()) {
  World world = some_world();
  GuardLimits other = world.limits;
  other.removed_entries = std::size_t(below(20));
  other.added_entries = std::size_t(below(20));
  other.removed_percent = unsigned(below(101));
  Capabilities capabilities;
  auto held_by = [&](const GuardLimits& limits) {
    return shown(
        guard(world.changes, {kEdge, capabilities, world.observed, false, {}, {}, limits}).held);
  };
  auto both = held_by(stricter(world.limits, other));
  for (const GuardLimits* one : {&world.limits, &other}) {
    auto held = held_by(*one);
    RC_ASSERT(std::includes(both.begin(), both.end(), held.begin(), held.end()));
  }
}

}  // namespace
}  // namespace knock::test
