// SPDX-License-Identifier: Apache-2.0
// A plan is saved, the world goes on, and the plan is held against it. What is applied then was
// shown, or sessions did it.
#include <gtest/gtest.h>
// gtest first: rapidcheck's own headers look for it.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <set>

#include "base/text.h"
#include "reconciler/core/order.h"
#include "reconciler/core/policy_delta.h"
#include "reconciler/core/render.h"
#include "reconciler/core/saved_plan_check.h"
#include "tests/support/choices.h"
#include "tests/support/generators.h"

namespace knock::test {
namespace {

bool does_something(const Change& change) { return change.action != Action::report; }

bool about_entry(const Change& change) {
  return change.action == Action::add || change.action == Action::extend ||
         change.action == Action::shorten || change.action == Action::remove;
}

/// The plan of every target, as make_plan puts it together.
Plan plan_of(const World& world, bool acknowledged = false) {
  std::vector<PlannedTarget> targets;
  for (const Target& target : world.planned.targets)
    targets.push_back(world.plan(target, acknowledged));
  bool other = !world.first && world.in_force.revision != world.planned.revision;
  Plan plan = assemble(other ? world.in_force.revision : world.planned.revision,
                       world.planned.revision, 7, world.now, std::move(targets), {});
  plan.edits = policy_delta(other ? &world.in_force : nullptr, world.planned);
  return plan;
}

void apply(World& world, const Plan& plan) {
  for (const TargetPlan& target : plan.targets) {
    auto& place = world.places.at(target.target);
    for (const Change& change : target.changes) {
      if (!does_something(change)) continue;
      auto refused = place.model.apply(change);
      if (!refused.empty()) RC_FAIL(refused);
      if (!about_entry(change)) continue;
      std::erase_if(place.applied, [&](const AppliedEntry& entry) {
        return entry.slot == change.slot && entry.prefix == change.prefix;
      });
      if (change.action != Action::remove)
        place.applied.push_back({target.target,
                                 change.slot,
                                 change.prefix,
                                 *change.until,
                                 world.now,
                                 {},
                                 change.causes,
                                 0});
    }
  }
}

/// As the loop does after a reading: what stands and is wanted is known with its causes, and what
/// does not stand is known no more.
void settle_records(World& world, const Target& target) {
  auto& place = world.places.at(target.name);
  std::map<std::pair<std::string, Prefix>, const Item*> wanted;
  auto desired = world.desired_on(target, world.planned);
  for (const Slot& slot : desired.slots)
    for (const Item& item : slot.items) wanted[{slot.name, item.prefix}] = &item;
  std::vector<AppliedEntry> records;
  // Whoever took an entry away twice said no, and that is remembered.
  for (const AppliedEntry& record : place.applied) {
    auto slot = place.model.slots.find(record.slot);
    bool stands = slot != place.model.slots.end() && slot->second.elements.contains(record.prefix);
    if (!stands && record.readded > 0 && wanted.contains({record.slot, record.prefix}))
      records.push_back(record);
  }
  for (const auto& [name, slot] : place.model.slots)
    for (const auto& [prefix, element] : slot.elements)
      if (auto at = wanted.find({name, prefix}); element.ours && at != wanted.end())
        records.push_back(
            {target.name, name, prefix, at->second->until, world.now, {}, at->second->causes, 0});
  place.applied = std::move(records);
}

/// The loop does its own work: everything as the policy in force wants it.
void run_loop(World& world) {
  if (world.first) return;
  World now = world;
  now.planned = now.in_force;
  apply(now, plan_of(now, true));
  for (const Target& target : now.planned.targets) settle_records(now, target);
  world.places = std::move(now.places);
}

// ---- what happens meanwhile

/// Time passes, people come and go, and perhaps the loop has followed.
void sessions_go_on(World& world) {
  Instant before = world.now;
  world.now = world.now + Duration{60'000 * below(40) + 1000};
  for (Session& session : world.sessions)
    if (session.live_at(world.now) && chance(30))
      session.end = SessionEnd{before + Duration{500},
                               pick(std::vector{EndCause::signed_out, EndCause::revoked})};
  for (Session& session : any_sessions(world.now, 3)) {
    session.id = SessionId("later-" + session.id.value);
    session.created = session.authenticated = before + Duration{500};
    session.end.reset();
    if (session.live_at(world.now)) world.sessions.push_back(std::move(session));
  }
  for (auto& [name, place] : world.places)
    for (auto& [slot_name, slot] : place.model.slots)
      std::erase_if(slot.elements, [&](const auto& element) {
        return element.second.ends && *element.second.ends <= world.now;
      });
  if (chance(50)) run_loop(world);
}

/// Somebody's hand, as a function of the world, so that it can be tried in two of them.
using Hand = std::function<void(World&)>;

Hand any_hand(const World& world) {
  auto name = pick(world.planned.targets).name;
  const auto& model = world.places.at(name).model;
  std::vector<std::string> slots;
  for (const auto& [slot, content] : model.slots) slots.push_back(slot);
  auto address = pick(std::vector<const char*>{"192.0.2.10/32", "198.51.100.7/32", "203.0.113.9/32",
                                               "2001:db8:1::7/128", "233.252.0.9/32"});
  Prefix prefix = *Prefix::parse(address);
  switch (slots.empty() ? 3 + below(2) : below(5)) {
    case 0:
      return [=, slot = pick(slots)](World& w) {
        w.places.at(name).model.slots[slot].elements.emplace(
            prefix, ModelElement{false, std::nullopt, std::nullopt});
      };
    case 1:
      return [=, slot = pick(slots)](World& w) {
        w.places.at(name).model.slots[slot].elements.erase(prefix);
      };
    case 2:
      return [=, slot = pick(slots)](World& w) {
        w.places.at(name).model.slots[slot].ports = {*PortRange::parse("tcp/8443")};
      };
    case 3:
      return [=](World& w) { w.places.at(name).model.protect = {}; };
    default:
      return [=](World& w) { w.keep = {*Prefix::parse("233.252.0.0/25")}; };
  }
}

/// Another policy under the same name.
Hand any_forgery(const World& world) {
  Policy other = edited(world.planned);
  other.revision = world.planned.revision;
  return [other](World& w) { w.planned = other; };
}

// ---- the judgement

SavedPlan through_a_file(const World& world) {
  std::string text;
  Plan plan = plan_of(world);
  write_saved({plan, OwnerId{7}, plan.as_of + Duration::hours(24), "AAECAwQFBgcICQoLDA0ODw",
               content_of(world.planned)},
              [&](std::string_view piece) { text += piece; });
  auto saved = read_saved(text);
  if (!saved) RC_FAIL(saved.error().text());
  return *std::move(saved);
}

std::vector<PlanRefusal> judge(const SavedPlan& saved, const World& world, const Plan& now) {
  bool nothing = world.first || world.in_force.revision == world.planned.revision;
  auto out =
      check_revisions(saved, nothing ? PolicyRevision() : world.in_force.revision, world.planned);
  auto compared = compare({saved.plan, now, world.first ? nullptr : &world.in_force, world.planned,
                           world.sessions, world.keep});
  out.insert(out.end(), compared.refusals.begin(), compared.refusals.end());
  return out;
}

std::string line_of(const TargetName& target, const Change& change) {
  return fmt::format("{} {}", target.value, describe({change}));
}

/// What a plan does, a line each, without steps and reasons.
std::set<std::string> deeds(const Plan& plan) {
  std::set<std::string> out;
  for (const TargetPlan& target : plan.targets)
    for (Change change : target.changes) {
      if (!does_something(change)) continue;
      change.step = Step::open;
      change.reason = Reason::policy;
      out.insert(line_of(target.target, change));
    }
  return out;
}

std::string describe_all(const std::vector<PlanRefusal>& refusals, const Plan& shown,
                         const Plan& now) {
  std::string out = to_text(refusals) + "\n";
  for (const Plan* plan : {&shown, &now})
    for (const TargetPlan& target : plan->targets)
      out += fmt::format("{} {}\n{}held\n{}", plan == &shown ? "shown" : "now", target.target.value,
                         describe(target.changes), describe(target.held));
  return out;
}

/// Where closing must not wait, nobody waits for a plan.
bool closes_at_once(const Plan& plan, const std::string& deed) {
  for (const TargetPlan& target : plan.targets)
    for (Change change : target.changes) {
      if (!must_not_wait(change.reason)) continue;
      change.step = Step::open;
      change.reason = Reason::policy;
      if (line_of(target.target, change) == deed) return true;
    }
  return false;
}

/// The plan's text names it: the address and the service, or the ports.
bool text_shows(const std::string& text, const Change& change) {
  for (auto line : split(text, '\n')) {
    bool address = !about_entry(change) || line.find(change.prefix.to_string()) != line.npos;
    bool service = line.find(change.slot) != line.npos;
    bool ports = change.ports.empty() || line.find(to_string(change.ports)) != line.npos;
    if (address && service && ports) return true;
  }
  return false;
}

/// "" or what was applied although the plan did not show it and no session did it. `others` is the
/// world as it was with everything but sessions and time.
std::string unshown(const Plan& shown, const Plan& now, const Plan& others) {
  auto was = deeds(shown), by_others = deeds(others);
  for (const std::string& deed : deeds(now))
    if (!was.contains(deed) && by_others.contains(deed) && !closes_at_once(now, deed)) return deed;
  return "";
}

struct Story {
  World before, after, others;
  bool sessions = false, hand = false;
};

Story any_story() {
  Story story{any_world(), {}, {}};
  story.after = story.before;
  story.others = story.before;
  story.sessions = chance(60);
  if (story.sessions) sessions_go_on(story.after);
  if (chance(40)) {
    auto hand = chance(70) ? any_hand(story.before) : any_forgery(story.before);
    story.hand = true;
    hand(story.after);
    hand(story.others);
  }
  return story;
}

TEST(SavedPlan, AppliesNothingThatItDidNotShowButSessionsDoing) {
  Shares shares;
  EXPECT_TRUE(rc::check([&] {
    Story story = any_story();
    shares.count(story.before);
    auto saved = through_a_file(story.before);
    Plan now = plan_of(story.after);
    auto refusals = judge(saved, story.after, now);
    shares.also("applied", refusals.empty());
    shares.also("refused", !refusals.empty());
    if (!refusals.empty()) return;
    RC_LOG() << describe_all(refusals, saved.plan, now);
    RC_ASSERT(unshown(saved.plan, now, plan_of(story.others)) == "");
    // Nothing happened but what happens to sessions: only that may differ.
    if (story.sessions) return;
    auto was = deeds(saved.plan);
    for (const auto& deed : deeds(now)) RC_ASSERT(was.contains(deed) || closes_at_once(now, deed));
    auto text = to_text(saved.plan);
    for (const TargetPlan& target : now.targets)
      for (const Change& change : target.changes)
        if (does_something(change) && !must_not_wait(change.reason))
          RC_ASSERT(text_shows(text, change));
  }));
  shares.judge({"applied", "refused"});
}

TEST(SavedPlan, AfterItIsAppliedNothingIsLeftToDo) {
  Shares shares;
  EXPECT_TRUE(rc::check([&] {
    World world = any_world();
    run_loop(world);
    shares.count(world);
    auto saved = through_a_file(world);
    sessions_go_on(world);
    Plan now = plan_of(world);
    if (!judge(saved, world, now).empty()) return;
    bool held = std::any_of(now.targets.begin(), now.targets.end(),
                            [](const TargetPlan& target) { return !target.held.empty(); });
    shares.also("applied whole", !held);
    if (held) return;
    apply(world, now);
    world.in_force = world.planned;
    world.first = false;
    Plan second = plan_of(world);
    RC_LOG() << describe_all({}, now, second);
    RC_ASSERT(deeds(second).empty());
  }));
  shares.judge({"applied whole"});
}

/// A plan's id leaves out what sessions and drift cause, so by itself it binds too little.
TEST(SavedPlan, TheIdAloneIsRefuted) {
  std::size_t cases = 0;
  bool refuted = false;
  EXPECT_TRUE(rc::check([&] {
    if (refuted) return;
    ++cases;
    Story story = any_story();
    auto saved = through_a_file(story.before);
    Plan now = plan_of(story.after);
    if (saved.plan.id == now.id) refuted = unshown(saved.plan, now, plan_of(story.others)) != "";
  }));
  EXPECT_TRUE(refuted) << "in " << cases << " cases";
  std::cout << "[ refuted  ] after " << cases << " cases\n";
}

}  // namespace
}  // namespace knock::test
