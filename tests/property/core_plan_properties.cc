// SPDX-License-Identifier: Apache-2.0
// What a plan does to a target, change by change (STYLE: at every step an address that may pass
// before and after may pass, and one that may do so in neither may not).
#include <gtest/gtest.h>
// gtest first: rapidcheck's own headers look for it.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "reconciler/core/order.h"
#include "tests/support/generators.h"

namespace knock::test {
namespace {

// ---- what may pass, asked at every point that can make a difference

class Points {
 public:
  Points(const ModelTarget& model, const std::vector<Change>& changes) {
    for (const auto& [name, slot] : model.slots) {
      ports(slot.ports);
      for (const auto& [prefix, element] : slot.elements) ends(prefix);
    }
    ports(model.protect);
    for (const Prefix& prefix : model.keep) ends(prefix);
    for (const Change& change : changes) {
      ports(change.ports);
      if (change.prefix != Prefix()) ends(change.prefix);
      for (const Prefix& prefix : change.keep) ends(prefix);
    }
    addresses.insert(*IpAddress::parse("198.18.0.1"));  // a stranger
    addresses.insert(*IpAddress::parse("2001:db8:ffff::1"));
  }
  std::set<IpAddress> addresses;
  std::set<PortRange> single_ports;

 private:
  void ports(const std::vector<PortRange>& ranges) {
    for (const PortRange& range : ranges)
      for (int port : {range.first - 1, int(range.first), int(range.last), range.last + 1})
        if (port >= 1 && port <= 65535)
          single_ports.insert({range.protocol, std::uint16_t(port), std::uint16_t(port)});
  }
  void ends(const Prefix& prefix) {
    addresses.insert(prefix.first());
    addresses.insert(prefix.last());
    if (auto next = prefix.last().next()) addresses.insert(*next);
  }
};

struct Moment {
  std::map<std::pair<IpAddress, PortRange>, bool> passes;
  Moment(const ModelTarget& model, const Points& points) {
    for (const IpAddress& address : points.addresses)
      for (const PortRange& port : points.single_ports)
        passes[{address, port}] = model.allowed(address, port);
  }
};

bool about_entry(const Change& change) {
  return change.action == Action::add || change.action == Action::extend ||
         change.action == Action::shorten || change.action == Action::remove;
}

bool does_something(const Change& change) { return change.action != Action::report; }

bool says_cut(const TargetPlan& plan) {
  return std::any_of(plan.findings.begin(), plan.findings.end(),
                     [](const Finding& finding) { return finding.id == "plan.cut"; });
}

bool must_close(const Change& change) {
  return change.action == Action::remove && must_not_wait(change.reason);
}

/// What must close at once is no longer rightful: its closing never waits for anything, so "allowed
/// before" means allowed without it.
ModelTarget without_what_must_close(ModelTarget model, const std::vector<Change>& changes) {
  for (const Change& change : changes)
    if (must_close(change)) model.apply(change);
  return model;
}

ModelTarget after(ModelTarget model, const std::vector<Change>& changes) {
  for (const Change& change : changes) {
    if (!does_something(change)) continue;
    auto refused = model.apply(change);
    if (!refused.empty()) RC_FAIL(refused);
  }
  return model;
}

/// "" or the first moment at which somebody is cut or let in. `also_after`: what the whole plan
/// gives, when some of it is held back.
std::string unsafe_moment(const ModelTarget& model, const TargetPlan& plan,
                          const ModelTarget& whole) {
  // Where services exchange ports somebody is cut, and the plan says so; nobody may get in.
  bool cut = says_cut(plan);
  const auto& changes = plan.changes;
  Points points(model, changes);
  Moment before(model, points), rightful(without_what_must_close(model, changes), points),
      wanted(whole, points);
  ModelTarget now = model;
  auto still_to_close = std::count_if(changes.begin(), changes.end(), must_close);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    if (!does_something(change)) continue;
    if (must_close(change)) --still_to_close;
    auto refused = now.apply(change);
    if (!refused.empty()) return fmt::format("change {} is refused: {}", i, refused);
    for (const IpAddress& address : points.addresses) {
      if (about_entry(change) && !change.prefix.contains(address)) continue;
      for (const PortRange& port : points.single_ports) {
        bool passes = now.allowed(address, port);
        std::pair key{address, port};
        if (!cut && !passes && rightful.passes[key] && wanted.passes[key])
          return fmt::format("after change {} ({} {}): {} is cut from {}", i,
                             to_string(change.action), change.slot, address.to_string(),
                             port.to_string());
        // What had to close does not come back in passing.
        bool passed = still_to_close > 0 ? before.passes[key] : rightful.passes[key];
        if (passes && !passed && !wanted.passes[key])
          return fmt::format("after change {} ({} {}): {} gets into {}", i,
                             to_string(change.action), change.slot, address.to_string(),
                             port.to_string());
      }
    }
  }
  return "";
}

bool reshapes_what_stands(const Change& change, const Structure& have) {
  return change.action == Action::reshape && !change.ports.empty() &&
         have.slots.contains(change.slot);
}

/// `property(world, target)` for every target of many worlds.
template <class Property>
void hold_for_worlds(Property property) {
  Shares shares;
  EXPECT_TRUE(rc::check([&] {
    World world = any_world();
    shares.count(world);
    bool changed = false, reshaped = false, held = false, cut = false;
    for (const Target& target : world.planned.targets) {
      auto plan = world.plan(target, true).plan;
      auto have = world.places.at(target.name).model.observe(world.now).structure;
      changed = changed || plan.changes.size() > 4;
      reshaped = reshaped || std::any_of(plan.changes.begin(), plan.changes.end(),
                                         [&](auto& c) { return reshapes_what_stands(c, have); });
      held = held || !world.plan(target, false).plan.held.empty();
      cut = cut || says_cut(plan);
      property(world, target);
    }
    shares.also("five changes", changed);
    shares.also("services reshaped", reshaped);
    shares.also("something held", held);
    shares.also("no order is safe", cut);
  }));
  shares.judge();
}

// ---- it arrives

/// What must stand afterwards, by its own reasoning: the desired entries, except where a foreign
/// entry has the place or somebody else said no twice; and foreign entries as they were.
std::map<std::pair<std::string, Prefix>, std::optional<Instant>> expected_entries(
    const World& world, const Target& target, const std::vector<Change>& changes) {
  std::map<std::pair<std::string, Prefix>, std::optional<Instant>> out;
  for (const Slot& slot : world.desired_on(target, world.planned).slots)
    for (const Item& item : slot.items) out[{slot.name, item.prefix}] = item.until;
  for (const Change& change : changes)
    if (change.action == Action::report && change.reason == Reason::drift)
      out.erase({change.slot, change.prefix});
  for (const auto& [name, slot] : world.places.at(target.name).model.slots)
    for (const auto& [prefix, element] : slot.elements)
      if (!element.ours) out[{name, prefix}] = std::nullopt;
  return out;
}

void arrives(const World& world, const Target& target) {
  auto plan = world.plan(target, true).plan;
  const auto& place = world.places.at(target.name);
  ModelTarget model = after(place.model, plan.changes);
  std::map<std::pair<std::string, Prefix>, std::optional<Instant>> stands;
  for (const auto& [name, slot] : model.slots)
    for (const auto& [prefix, element] : slot.elements)
      stands[{name, prefix}] = element.ours ? element.until : std::nullopt;
  RC_LOG() << describe(world, target);
  RC_ASSERT(stands == expected_entries(world, target, plan.changes));
  Structure want = world.desired_on(target, world.planned).structure;
  for (const auto& [name, slot] : place.model.slots)
    if (!want.slots.contains(name) &&
        std::any_of(slot.elements.begin(), slot.elements.end(),
                    [](const auto& element) { return !element.second.ours; }))
      want.slots[name] = slot.ports;  // not ours to take away
  RC_ASSERT(model.observe(world.now).structure == want);
}

std::vector<AppliedEntry> recorded(std::vector<AppliedEntry> applied, const TargetName& target,
                                   const std::vector<Change>& changes, Instant now) {
  for (const Change& change : changes) {
    if (!about_entry(change)) continue;
    auto at = std::find_if(applied.begin(), applied.end(), [&](const AppliedEntry& entry) {
      return entry.slot == change.slot && entry.prefix == change.prefix;
    });
    if (at != applied.end()) applied.erase(at);
    if (change.action != Action::remove)
      applied.push_back(
          {target, change.slot, change.prefix, *change.until, now, {}, change.causes, 0});
  }
  return applied;
}

void second_plan_is_empty(const World& world, const Target& target) {
  auto plan = world.plan(target, true).plan;
  World next = world;
  auto& place = next.places.at(target.name);
  place.model = after(place.model, plan.changes);
  place.applied = recorded(place.applied, target.name, plan.changes, world.now);
  next.in_force = next.planned;
  next.first = false;
  auto second = next.plan(target, true).plan;
  RC_LOG() << describe(world, target) << "then\n" << describe(second.changes);
  RC_ASSERT(std::none_of(second.changes.begin(), second.changes.end(), does_something));
}

/// |adds| + |removals| = |desired △ own|, counting an expired entry that is wanted again twice.
void is_minimal(const World& world, const Target& target) {
  auto plan = world.plan(target, true).plan;
  std::set<std::pair<std::string, Prefix>> want, have, differ;
  std::size_t again = 0;
  for (const auto& [key, until] : expected_entries(world, target, plan.changes))
    if (until) want.insert(key);
  for (const auto& [name, slot] : world.places.at(target.name).model.slots)
    for (const auto& [prefix, element] : slot.elements)
      if (element.ours) {
        have.insert({name, prefix});
        if (*element.until <= world.now && want.contains({name, prefix})) again += 2;
      }
  std::set_symmetric_difference(want.begin(), want.end(), have.begin(), have.end(),
                                std::inserter(differ, differ.end()));
  auto steps = std::count_if(plan.changes.begin(), plan.changes.end(), [](const Change& change) {
    return change.action == Action::add || change.action == Action::remove;
  });
  RC_LOG() << describe(world, target);
  RC_ASSERT(std::size_t(steps) == differ.size() + again);
}

TEST(CorePlan, GivesDesiredAndForeign) { hold_for_worlds(arrives); }

TEST(CorePlan, SecondPlanIsEmpty) { hold_for_worlds(second_plan_is_empty); }

TEST(CorePlan, TouchesOnlyWhatDiffers) { hold_for_worlds(is_minimal); }

// ---- it is safe on the way

TEST(CorePlan, EveryPrefixIsSafe) {
  hold_for_worlds([&](const World& world, const Target& target) {
    auto plan = world.plan(target, true).plan;
    const ModelTarget& model = world.places.at(target.name).model;
    auto moment = unsafe_moment(model, plan, after(model, plan.changes));
    RC_LOG() << moment << "\n" << describe(world, target);
    RC_ASSERT(moment == "");
  });
}

TEST(CorePlan, EveryPrefixOfWhatPassesTheGuardsIsSafe) {
  hold_for_worlds([&](const World& world, const Target& target) {
    auto plan = world.plan(target, false).plan;
    const ModelTarget& model = world.places.at(target.name).model;
    RC_LOG() << describe(world, target);
    auto moment = unsafe_moment(model, plan, after(model, plan.changes));
    RC_LOG() << moment;
    RC_ASSERT(moment == "");
  });
}

/// What is held back lets nobody in whom neither the old state nor the whole plan lets in, and cuts
/// nobody whom both let pass.
TEST(CorePlan, HoldingBackIsSafeToo) {
  hold_for_worlds([&](const World& world, const Target& target) {
    auto plan = world.plan(target, false).plan;
    const ModelTarget& model = world.places.at(target.name).model;
    RC_LOG() << describe(world, target);
    auto whole = after(model, world.plan(target, true).plan.changes);
    auto moment = unsafe_moment(model, plan, whole);
    RC_LOG() << moment;
    RC_ASSERT(moment == "");
  });
}

/// Everything that a record explains has ended: signed out, revoked, expired or denied by the
/// planned policy. Judged without the reasons that changes carry.
bool all_causes_ended(const World& world, const AppliedEntry& record) {
  return std::all_of(record.causes.begin(), record.causes.end(), [&](const Attribution& cause) {
    if (cause.until <= world.now) return true;
    for (const Session& session : world.sessions)
      if (cause.kind == Attribution::Kind::session && session.id == cause.session)
        return !session.live_at(world.now) ||
               is_denied(world.planned, session, ServiceName(record.slot));
    return false;
  });
}

TEST(CorePlan, WhatMustCloseIsNeverHeld) {
  hold_for_worlds([&](const World& world, const Target& target) {
    auto plan = world.plan(target, false).plan;
    RC_LOG() << describe(world, target);
    for (const Change& change : plan.held) RC_ASSERT(!must_not_wait(change.reason));

    const auto& place = world.places.at(target.name);
    std::set<std::pair<std::string, Prefix>> wanted;
    for (const Slot& slot : world.desired_on(target, world.planned).slots)
      for (const Item& item : slot.items) wanted.insert({slot.name, item.prefix});
    ModelTarget left = after(place.model, plan.changes);
    for (const auto& [name, slot] : left.slots)
      for (const auto& [prefix, element] : slot.elements) {
        if (!element.ours) continue;
        RC_ASSERT(*element.until > world.now);
        auto record = std::find_if(place.applied.begin(), place.applied.end(),
                                   [&, &slot_name = name, &at = prefix](const AppliedEntry& entry) {
                                     return entry.slot == slot_name && entry.prefix == at;
                                   });
        if (record != place.applied.end() && !wanted.contains({name, prefix}))
          RC_ASSERT(!all_causes_ended(world, *record));
      }
  });
}

// ---- these properties can fail

/// What somebody would write first: close, then open.
void removals_first(std::vector<Change>& changes) {
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
    auto key = [](const Change& c) { return std::tuple(c.action != Action::remove, c.step); };
    return key(a) < key(b);
  });
}

TEST(CorePlan, ANaiveOrderIsRefuted) {
  std::size_t cases = 0;
  bool refuted = false;
  EXPECT_TRUE(rc::check([&] {
    if (refuted) return;
    World world = any_world();
    ++cases;
    for (const Target& target : world.planned.targets) {
      auto plan = world.plan(target, true).plan;
      const ModelTarget& model = world.places.at(target.name).model;
      removals_first(plan.changes);
      refuted = refuted || unsafe_moment(model, plan, after(model, plan.changes)) != "";
    }
  }));
  EXPECT_TRUE(refuted) << "in " << cases << " cases";
  EXPECT_LE(cases, 1000u);
  std::cout << "[ refuted  ] after " << cases << " cases\n";
}

/// The first of a slot's two reshapes is still to be made.
bool widens_first(const std::vector<Change>& changes, std::size_t i, std::uint32_t made) {
  for (std::size_t j = 0; j < i; ++j)
    if (changes[j].action == Action::reshape && changes[j].slot == changes[i].slot &&
        (made >> j & 1) == 0)
      return true;
  return false;
}

/// Whether the changes can be made in some order that is safe all the time: every set of changes
/// that are already made is a state, and the safe ones must lead from none to all.
bool some_order_is_safe(const ModelTarget& model, const std::vector<Change>& changes) {
  Points points(model, changes);
  Moment before(model, points), wanted(after(model, changes), points);
  auto safe = [&](std::uint32_t made) {
    ModelTarget state = model;
    for (std::size_t i = 0; i < changes.size(); ++i)
      if ((made >> i & 1) != 0 && !state.apply(changes[i]).empty()) return false;
    for (const auto& [key, passed] : before.passes) {
      bool passes = state.allowed(key.first, key.second);
      if (passes ? !passed && !wanted.passes[key] : passed && wanted.passes[key]) return false;
    }
    return true;
  };
  std::uint32_t all = (1u << changes.size()) - 1;
  std::vector<std::uint32_t> reached{0};
  std::vector<bool> seen(all + 1);
  while (!reached.empty()) {
    auto made = reached.back();
    reached.pop_back();
    if (made == all) return true;
    for (std::size_t i = 0; i < changes.size(); ++i) {
      auto next = made | 1u << i;
      if (next == made || seen[next] ||
          (changes[i].action == Action::reshape && widens_first(changes, i, made)))
        continue;
      seen[next] = true;
      if (safe(next)) reached.push_back(next);
    }
  }
  return false;
}

/// Where services exchange ports the plan may say that somebody is cut; then it is true, but for
/// rare cases in which only one of two entries that take over is needed.
TEST(CorePlan, SaysThatNoOrderIsSafeWhereNoneIs) {
  Shares shares;
  std::size_t needlessly = 0;
  EXPECT_TRUE(rc::check([&] {
    World world = exchanging_world();
    shares.count(world);
    const Target& target = world.planned.targets.front();
    auto plan = world.plan(target, true).plan;
    const ModelTarget& before = world.places.at(target.name).model;
    ModelTarget model = without_what_must_close(before, plan.changes);
    std::erase_if(plan.changes, [](const Change& change) {
      return change.action == Action::report || change.action == Action::extend ||
             change.action == Action::shorten || must_close(change);
    });
    bool cut = says_cut(plan);
    shares.also("no order is safe", cut);
    RC_LOG() << describe(world, target);
    bool needless = cut && plan.changes.size() <= 12 && some_order_is_safe(model, plan.changes);
    shares.also("said needlessly", needless);
    needlessly += needless;
    if (!cut) RC_ASSERT(unsafe_moment(model, plan, after(model, plan.changes)) == "");
  }));
  shares.judge();
  EXPECT_LE(needlessly, 2u);
}

}  // namespace
}  // namespace knock::test
