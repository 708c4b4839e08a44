// SPDX-License-Identifier: Apache-2.0
// Targets that stand one behind the other (`path`): who waits for whom, and what is open only
// half-way. Opening waits for the neighbour further in as long as it takes; closing waits for the
// one further out a moment and no longer, because what must close may not depend on another target.
#include "reconciler/core/corridor.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "reconciler/loop/backoff.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {

/// Is it open there now, whole: the prefix, or a wider one that covers it? With the mutex.
bool Reconciler::stands_on(const TargetName& name, const std::string& slot,
                           const Prefix& prefix) const {
  auto target = targets_.find(name);
  if (target == targets_.end()) return false;
  if (observed_only(*target->second)) return true;  // whatever is open there, nobody waits for it
  const auto& applied = target->second->applied;
  for (int length = prefix.length(); length >= 0; --length) {
    auto at = applied.find({slot, Prefix::of(prefix.network(), length)});
    if (at != applied.end() && at->second.until > clock_.now()) return true;
  }
  return false;
}

/// What may not open yet is left out; the neighbour's opening marks this target again.
void Reconciler::leave_out_what_waits(const TargetState& state, const Run& run,
                                      std::vector<Change>& changes) const {
  if (!has_paths(*run.policy)) return;
  Lock lock(mutex_);
  std::erase_if(changes, [&](const Change& change) {
    auto inner = opens_after(*run.policy, state.name, change);
    return inner && !stands_on(*inner, change.slot, change.prefix);
  });
}

/// Until the neighbour further out has closed, or cannot just now.
void Reconciler::let_outer_close_first(const TargetState& state, const Run& run,
                                       const std::vector<Change>& changes) const {
  if (!has_paths(*run.policy)) return;
  std::vector<std::pair<TargetName, TargetState::Key>> outer;
  for (const Change& change : changes)
    if (auto name = closes_after(*run.policy, state.name, change))
      outer.push_back({*name, {change.slot, change.prefix}});
  if (outer.empty()) return;
  if (alone()) return;  // nobody else could
  Lock lock(mutex_);
  auto closed = [&](const auto& one) {
    auto at = targets_.find(one.first);
    if (at == targets_.end() || !at->second->applied.contains(one.second)) return true;
    const TargetState& there = *at->second;
    return there.failures > 0 || !(busy(there) || waits(there));
  };
  settled_.wait_until(lock, Deadline::in(kOuterFirst).at,
                      [&] { return stopping_ || std::all_of(outer.begin(), outer.end(), closed); });
}

/// An entry stands: the neighbour further out may follow. With the mutex.
void Reconciler::wake_outer(const TargetState& state, const Change& change) {
  const Service* service = policy_->service(ServiceName(change.slot.get()));
  if (service == nullptr) return;
  auto name = next_outwards(*service, state.name);
  auto outer = name ? targets_.find(*name) : targets_.end();
  if (outer == targets_.end() || outer->second->applied.contains({change.slot, change.prefix}))
    return;
  if (change.prefix.is_host())
    mark(*outer->second, change.prefix.first(), Urgency::sign_in);
  else
    mark(*outer->second, std::nullopt, Urgency::sign_in);
}

/// Somebody else's entry has the place. With the mutex.
bool Reconciler::foreign_at(const TargetState& state, const std::string& slot,
                            const Prefix& prefix) {
  if (!state.view) return false;
  auto items = state.view->slots.find(slot);
  if (items == state.view->slots.end()) return false;
  auto item = items->second.find(prefix);
  return item != items->second.end() && !item->second.ours;
}

/// For the person who waits. With the mutex.
std::string Reconciler::why_not_open(const TargetState& state, const Service& service,
                                     const Prefix& prefix) const {
  if (auto why = why_left_out(state, service.name.value, prefix); !why.empty()) return why;
  auto inner = next_inwards(service, state.name);
  bool waits = inner && !stands_on(*inner, service.name.value, prefix);
  if (state.status.problem.empty() && !waits && foreign_at(state, service.name.value, prefix))
    return "an entry that is not knock's stands at this address, so it is open there until "
           "somebody removes that one";
  if (!state.status.problem.empty() || !waits) return state.status.problem;
  return "opens as soon as " + inner->value + " has";
}

namespace {

Finding half_open(const TargetName& target, std::string sentence) {
  return {Finding::Level::warning, "path.half-open", target, std::move(sentence)};
}

}  // namespace

/// Said of the target further out, when neither of the two is about to change. With the mutex.
std::vector<Finding> Reconciler::half_open_at(const TargetState& state) const {
  std::vector<Finding> out;
  if (policy_ == nullptr || state.leaving) return out;
  auto only_on = [&](const TargetState& one, const TargetName& other, const std::string& slot) {
    std::size_t n = 0;
    for (auto at = one.applied.lower_bound({slot, Prefix::of(IpAddress::v4(0), 0)});
         at != one.applied.end() && at->first.first == slot; ++at)
      n += at->second.until > clock_.now() && !stands_on(other, slot, at->first.second);
    return n;
  };
  for (const Service& service : policy_->services) {
    auto name = next_inwards(service, state.name);
    auto inner = name ? targets_.find(*name) : targets_.end();
    if (inner == targets_.end() || !still(state) || !still(*inner->second)) continue;
    const std::string& slot = service.name.value;
    if (auto n = only_on(*inner->second, state.name, slot); n > 0)
      out.push_back(half_open(
          state.name, fmt::format("{}: {} on {} and not here: nobody comes so far", slot,
                                  counted(n, "entry stands", "entries stand"), name->value)));
    if (auto n = only_on(state, *name, slot); n > 0)
      out.push_back(half_open(
          state.name, fmt::format("{}: {} here and not on {}: who passes here is stopped there",
                                  slot, counted(n, "entry stands", "entries stand"), name->value)));
  }
  return out;
}

}  // namespace knock
