// SPDX-License-Identifier: Apache-2.0
// What no guard, limit, operator, partial reading or return to an earlier policy may do: hold back
// what must close, or let in whom nothing lets in.
#include <gtest/gtest.h>
// gtest first: rapidcheck's own headers look for it.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "reconciler/core/confirm.h"
#include "reconciler/core/guard.h"
#include "reconciler/core/order.h"
#include "tests/support/choices.h"
#include "tests/support/generators.h"

namespace knock::test {
namespace {

/// Everything around a plan that may make something wait.
struct Circumstance {
  Policy planned;
  Result<Observed> observed = Observed();
  std::vector<GuardTrip> before;
  std::vector<OperatorHere> operators;
  bool returning = false;
  std::string kind;
};

Circumstance some_circumstance(const World& world, const Target& target) {
  Circumstance out;
  out.planned = world.planned;
  GuardLimits& limits = out.planned.guards;
  limits.removed_percent = unsigned(below(101));
  limits.removed_entries = std::size_t(below(4));
  limits.added_percent = unsigned(below(101));
  limits.added_entries = std::size_t(below(4));
  limits.ask_new_ports = chance(70);
  if (chance(30)) limits.widest_v4 = std::uint8_t(below(33));
  for (auto name : {"removals", "removals-share", "additions", "additions-share"})
    if (chance(20)) out.before.push_back({name, target.name, "", "", 1});
  for (const Session& session : world.sessions)
    if (chance(40)) out.operators.push_back({session.address, session.id, "somebody"});
  out.returning = chance(10);
  auto observed = world.places.at(target.name).model.observe(world.now);
  out.kind = "whole";
  if (chance(20)) {
    out.observed = fail(ErrorKind::timeout, "no answer");
    out.kind = "failed";
    return out;
  }
  if (chance(30)) {
    out.kind = "partial";
    observed.complete = false;
    for (ObservedSlot& slot : observed.slots)
      std::erase_if(slot.items, [](const ObservedItem&) { return chance(40); });
    std::erase_if(observed.slots, [](const ObservedSlot&) { return chance(20); });
  }
  out.observed = observed;
  return out;
}

PlannedTarget plan_with(const World& world, const Target& target, const Circumstance& now,
                        bool acknowledged) {
  const auto& place = world.places.at(target.name);
  Canonical desired = world.desired_on(target, world.planned);
  Canonical before = world.desired_on(target, world.in_force);
  TargetPlanInput input{
      target,        now.planned,  place.model.capabilities(),
      desired,       nullptr,      now.observed,
      place.applied, world.now,    [&](const SessionId& id) { return world.ended(id); },
      acknowledged,  std::nullopt, world.sessions};
  if (!world.first && world.planned.revision != world.in_force.revision)
    input.desired_in_force = &before;
  input.tripped_before = now.before;
  input.operators = now.operators;
  input.returning = now.returning;
  return plan_target(input);
}

std::set<std::string> closings(const std::vector<Change>& changes) {
  std::set<std::string> out;
  for (const Change& change : changes)
    if (must_not_wait(change.reason))
      out.insert(fmt::format("{} {} {} {}", to_string(change.action), to_string(change.reason),
                             change.slot.get(), change.prefix.to_string()));
  return out;
}

RC_GTEST_PROP(GuardsByCause, WhatMustCloseIsDoneWhateverElseWaits, ()) {
  World world = any_world();
  // Somebody may have lost their groups, or be of a suspect source.
  for (Session& session : world.sessions)
    if (chance(20)) {
      session.groups_lost = true;
      if (chance(50)) session.groups.clear();
    } else if (chance(10)) {
      session.groups_until = world.now + Duration::minutes(below(15) - 2);
    }
  bool read_whole = true, held = false, closes = false;
  for (const Target& target : world.planned.targets) {
    auto circumstance = some_circumstance(world, target);
    auto all = plan_with(world, target, circumstance, true).plan;
    auto guarded = plan_with(world, target, circumstance, false);
    RC_LOG() << circumstance.kind << "\n" << describe(world, target);
    for (const Change& change : guarded.plan.held) RC_ASSERT(!must_not_wait(change.reason));
    RC_ASSERT(all.held.empty());
    auto closed = closings(guarded.plan.changes), wanted = closings(all.changes);
    RC_ASSERT(std::ranges::includes(closed, wanted));
    // What is held is at least shortened to those who remain.
    std::erase_if(closed, [&](const std::string& one) { return wanted.contains(one); });
    for (const Change& change : guarded.plan.changes) {
      auto line = fmt::format("{} {} {} {}", to_string(change.action), to_string(change.reason),
                              change.slot.get(), change.prefix.to_string());
      if (!closed.contains(line)) continue;
      RC_ASSERT(change.action == Action::shorten);
      RC_ASSERT(std::ranges::any_of(guarded.plan.held, [&](const Change& removal) {
        return removal.action == Action::remove && removal.slot == change.slot &&
               removal.prefix == change.prefix && *change.until < *removal.was_until;
      }));
    }
    for (const GuardTrip& trip : guarded.trips) RC_ASSERT(trip.held > 0);
    read_whole = read_whole && circumstance.kind == "whole";
    held = held || !guarded.plan.held.empty();
    closes = closes || !closings(all.changes).empty();
  }
  RC_TAG(read_whole ? "read whole" : "partial or failed", held ? "something held" : "nothing held",
         closes ? "something closes" : "nothing closes");
}

/// Figures of guards are the same as if what must close were not there at all.
RC_GTEST_PROP(GuardsByCause, WhatMustCloseIsNeverCounted, ()) {
  World world = any_world();
  for (const Target& target : world.planned.targets) {
    auto circumstance = some_circumstance(world, target);
    if (!circumstance.observed) continue;
    auto all = plan_with(world, target, circumstance, true).plan;
    auto without = all.changes;
    std::erase_if(without, [](const Change& change) { return must_not_wait(change.reason); });
    Capabilities capabilities;
    GuardInput input{target.name, capabilities, *circumstance.observed,      false,
                     {},          world.now,    circumstance.planned.guards, circumstance.before};
    // What leaves nothing is held as that, and no other guard counts it again.
    bool empties = false;
    auto figures = [&](const std::vector<Change>& changes) {
      std::set<std::string> out;
      auto trips = guard(changes, input).trips;
      for (const GuardTrip& trip : trips) empties = empties || trip.guard == "becomes-empty";
      for (const GuardTrip& trip : trips)
        if (trip.guard.starts_with("removals") || trip.guard.starts_with("additions"))
          out.insert(trip.guard + ": " + trip.figure + ", " + trip.limit);
      return out;
    };
    RC_LOG() << describe(world, target);
    auto with = figures(all.changes), alone = figures(without);
    if (!empties) RC_ASSERT(with == alone);
  }
}

// ---- going back to the policy before

/// What a run leaves behind: the entries on the target, and the records of them.
void carry_out(World::Place& place, const TargetName& name, const std::vector<Change>& changes,
               Instant now) {
  for (const Change& change : changes) {
    if (change.action == Action::report) continue;
    auto refused = place.model.apply(change);
    if (!refused.empty()) RC_FAIL(refused);
    if (change.prefix == Prefix()) continue;
    std::erase_if(place.applied, [&](const AppliedEntry& entry) {
      return entry.slot == change.slot.get() && entry.prefix == change.prefix;
    });
    if (change.action != Action::remove)
      place.applied.push_back(
          {name, change.slot, change.prefix, *change.until, now, {}, change.causes, 0});
  }
}

/// Some time later: sessions ended, ran out or lost groups meanwhile, and others began.
void time_passes(World& world) {
  world.now = world.now + Duration::minutes(below(120));
  for (Session& session : world.sessions) {
    if (session.end || !session.live_at(world.now)) continue;
    if (chance(30))
      session.end = SessionEnd{world.now, chance(50) ? EndCause::revoked : EndCause::signed_out};
    if (chance(15)) {
      session.groups.clear();
      session.groups_lost = true;
    }
  }
  for (auto& [name, place] : world.places)
    for (auto& [slot, content] : place.model.slots)
      std::erase_if(content.elements, [&](const auto& pair) {
        return pair.second.ends && *pair.second.ends <= world.now;
      });
}

bool is_within(const Canonical& list, const std::string& slot_name, const Prefix& prefix,
               Instant until) {
  for (const Slot& slot : list.slots)
    if (slot.name == slot_name)
      for (const Item& item : slot.items)
        if (item.prefix.contains(prefix) && item.until >= until) return true;
  return false;
}

RC_GTEST_PROP(GuardsByCause, GoingBackAddsNothingOutsideThePolicyBeforeUnderTodaysSessions, ()) {
  World world = any_world();
  std::size_t came = 0, kept_out = 0;
  for (const Target& target : world.planned.targets) {
    if (world.first || world.in_force.target(target.name) == nullptr) continue;
    World now = world;
    carry_out(now.places.at(target.name), target.name, now.plan(target, true).plan.changes,
              now.now);
    time_passes(now);
    World back = now;
    back.planned = returned_policy(world.in_force, world.planned);
    back.in_force = world.planned;
    back.in_force.revision = PolicyRevision("taken back");
    auto& place = back.places.at(target.name);
    Circumstance nothing_waits;
    nothing_waits.planned = back.planned;
    nothing_waits.observed = place.model.observe(back.now);
    nothing_waits.returning = true;
    auto planned = plan_with(back, target, nothing_waits, false);
    RC_LOG() << describe(back, target);
    auto allowed = back.desired_on(target, world.in_force);
    for (const Change& change : planned.plan.changes) {
      if (change.action != Action::add && change.action != Action::extend) continue;
      ++came;
      RC_ASSERT(is_within(allowed, change.slot.get(), change.prefix, *change.until));
      for (const Attribution& cause : change.causes) {
        if (cause.kind != Attribution::Kind::session) continue;
        auto session = std::find_if(back.sessions.begin(), back.sessions.end(),
                                    [&](const Session& one) { return one.id == cause.session; });
        RC_ASSERT(session != back.sessions.end() && session->live_at(back.now));
        RC_ASSERT(!is_denied(world.in_force, *session, ServiceName(change.slot.get())));
        RC_ASSERT(!is_denied(world.planned, *session, ServiceName(change.slot.get())));
      }
    }
    carry_out(place, target.name, planned.plan.changes, back.now);
    for (const auto& [name, slot] : place.model.slots)
      for (const auto& [prefix, element] : slot.elements)
        if (element.ours) RC_ASSERT(is_within(allowed, name, prefix, *element.until));
    for (const Session& session : back.sessions) kept_out += !session.live_at(back.now);
  }
  RC_TAG(came > 0 ? "something comes back" : "nothing comes back",
         kept_out > 0 ? "somebody ended" : "nobody ended");
}

}  // namespace
}  // namespace knock::test
