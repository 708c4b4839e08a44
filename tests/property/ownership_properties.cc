// SPDX-License-Identifier: Apache-2.0
// Whose entries a plan touches, whatever stands on a target and whatever happened to it.
#include <gtest/gtest.h>
// gtest first: rapidcheck's own headers look for it.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "reconciler/core/order.h"
#include "tests/support/generators.h"

namespace knock::test {
namespace {

using Entries = std::map<std::pair<std::string, Prefix>, ModelElement>;

Entries foreign_of(const ModelTarget& model) {
  Entries out;
  for (const auto& [name, slot] : model.slots)
    for (const auto& [prefix, element] : slot.elements)
      if (!element.ours) out[{name, prefix}] = element;
  return out;
}

bool does_something(const Change& change) { return change.action != Action::report; }

/// Strangers' entries, some with marks of another installation or of a version of tomorrow.
void add_foreign(ModelTarget& model) {
  unsigned i = 0;
  for (auto& [name, slot] : model.slots)
    for (const char* prefix : {"198.18.7.1/32", "198.51.100.9/32", "2001:db8:77::/64"})
      if (i++ % 2 == 0)
        slot.elements.try_emplace(*Prefix::parse(prefix),
                                  ModelElement{false, std::nullopt, std::nullopt});
  for (auto& [name, slot] : model.slots)
    for (auto& [prefix, element] : slot.elements)
      if (!element.ours) element.mark = ObservedItem::Mark(i++ % 3);
}

/// `property(world, target, model)` for every target of many worlds whose targets have `ownership`.
template <class Property>
void hold(Ownership ownership, bool adopted, Property property) {
  Shares shares;
  EXPECT_TRUE(rc::check([&] {
    World world = any_world();
    world.stewardship.exclusive = adopted;
    bool foreign = false, changed = false;
    for (Target& target : world.planned.targets) {
      target.ownership = ownership;
      add_foreign(world.places.at(target.name).model);
    }
    for (const Target& target : world.planned.targets) {
      ModelTarget model = world.places.at(target.name).model;
      foreign = foreign || !foreign_of(model).empty();
      property(world, target, model);
      World shared = world;
      shared.stewardship = {};
      Target plain = target;
      plain.ownership = Ownership::shared;
      changed = changed || shared.plan(plain, true).plan.writes > 0;
    }
    shares.count(world);
    shares.also("something foreign", foreign);
    shares.also("something to do", changed);
  }));
  shares.judge({"something foreign", "something to do"});
}

TEST(OwnershipProperties, ForeignEntriesAreNeverTouchedUntilTheContainerIsOurs) {
  for (auto ownership : {Ownership::shared, Ownership::exclusive})
    hold(ownership, ownership == Ownership::shared,
         [](const World& world, const Target& target, ModelTarget model) {
           auto before = foreign_of(model);
           auto plan = world.plan(target, true).plan;
           for (const Change& change : plan.changes) {
             if (!does_something(change)) continue;
             auto refused = model.apply(change);
             if (!refused.empty()) RC_FAIL(refused);
             RC_ASSERT(foreign_of(model) == before);
           }
         });
}

TEST(OwnershipProperties, WhatIsObservedIsNeverWritten) {
  hold(Ownership::observe, false, [](const World& world, const Target& target, ModelTarget model) {
    for (bool acknowledged : {false, true}) {
      auto planned = world.plan(target, acknowledged);
      RC_ASSERT(planned.plan.held.empty());
      RC_ASSERT(planned.trips.empty());
      for (const Change& change : planned.plan.changes) {
        if (!does_something(change)) continue;
        // Access that outlives its time would be worse than a write.
        const auto& element = model.slots.at(change.slot).elements.at(change.prefix);
        RC_ASSERT(!element.ends || *element.ends > *element.until);
        RC_ASSERT(must_not_wait(change.reason));
        RC_ASSERT(change.action == Action::remove || change.action == Action::shorten);
      }
    }
  });
}

TEST(OwnershipProperties, AnExclusiveContainerEndsWithNothingForeignButMarksOfTomorrow) {
  hold(Ownership::exclusive, true, [](const World& world, const Target& target, ModelTarget model) {
    model.owned = true;
    auto before = foreign_of(model);
    for (const Change& change : world.plan(target, true).plan.changes) {
      if (!does_something(change)) continue;
      auto refused = model.apply(change);
      if (!refused.empty()) RC_FAIL(refused);
    }
    std::erase_if(before,
                  [](const auto& one) { return one.second.mark != ObservedItem::Mark::unknown; });
    RC_ASSERT(foreign_of(model) == before);
  });
}

TEST(OwnershipProperties, WhatIsLeftBehindNeverOutlivesItsTime) {
  Shares shares;
  EXPECT_TRUE(rc::check([&] {
    World world = any_world();
    shares.count(world);
    for (const Target& target : world.planned.targets) {
      const auto& place = world.places.at(target.name);
      ModelTarget model = place.model;
      Result<Observed> observed = model.observe(world.now);
      Canonical nothing;
      nothing.structure = observed->structure;
      for (const auto& [name, ports] : observed->structure.slots)
        nothing.slots.push_back({name, ports, {}});
      auto capabilities = model.capabilities();
      TargetPlanInput input{
          target,        world.planned, capabilities,
          nothing,       nullptr,       observed,
          place.applied, world.now,     [&](const SessionId& id) { return world.ended(id); },
          true,          std::nullopt,  world.sessions};
      input.stewardship.orphaned = true;
      for (const Change& change : plan_target(input).plan.changes)
        if (does_something(change)) (void)model.apply(change);
      for (const auto& [name, slot] : model.slots)
        for (const auto& [prefix, element] : slot.elements) {
          bool ends = element.ends && *element.ends <= *element.until + Duration::seconds(3);
          if (!element.ours || ends) continue;
          // Nothing closes it here: then static entries alone caused it.
          auto record =
              std::find_if(place.applied.begin(), place.applied.end(),
                           [&](const auto& e) { return e.slot == name && e.prefix == prefix; });
          RC_ASSERT(record != place.applied.end());
          for (const Attribution& cause : record->causes)
            RC_ASSERT(cause.kind == Attribution::Kind::fixed);
        }
    }
  }));
  shares.judge();
}

}  // namespace
}  // namespace knock::test
