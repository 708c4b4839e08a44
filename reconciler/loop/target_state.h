// SPDX-License-Identifier: Apache-2.0
// What the loop knows of one target. Private to reconciler/loop. Guarded by Reconciler's mutex.
// `provider` and `view` are changed only by whoever has the target (busy in the queue), with the
// mutex; so he may read them without it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "reconciler/interfaces/fact_store.h"
#include "reconciler/interfaces/provider.h"
#include "reconciler/loop/confirm.h"
#include "reconciler/loop/custody.h"
#include "reconciler/loop/reconciler.h"

namespace knock {

/// What stands on a target, by the last full read and our own changes since. Ordered maps: one
/// change among 100,000 entries must not move the others.
struct TargetView {
  std::map<std::string, std::map<Prefix, ObservedItem>> slots;
  Structure structure;
  bool exists = false;
  bool structure_differs = false;
  std::string fence;
  Instant at;

  static TargetView of(const Observed& observed) {
    TargetView view;
    for (const ObservedSlot& slot : observed.slots)
      for (const ObservedItem& item : slot.items)
        view.slots[slot.name].emplace_hint(view.slots[slot.name].end(), item.prefix, item);
    view.structure = observed.structure;
    view.exists = observed.exists;
    view.structure_differs = observed.structure_differs;
    view.fence = observed.fence;
    view.at = observed.at;
    return view;
  }

  /// The rows of one host, as if only they had been read now. Life counts are those of the markers:
  /// no drift is sought. With `native`, what has run out is gone from the target by itself.
  Observed host(const Prefix& prefix, Instant now, bool native) const {
    Observed out;
    for (const auto& [name, items] : slots) {
      auto at_prefix = items.find(prefix);
      if (at_prefix == items.end()) continue;
      ObservedItem item = at_prefix->second;
      if (item.until) {
        if (native && *item.until <= now) continue;
        if (native) item.left = *item.until - now;
      }
      out.slots.push_back({name, {item}});
    }
    out.structure = structure;
    out.exists = exists;
    out.fence = fence;
    out.at = now;
    return out;
  }

  /// As if it had been read now.
  Observed whole(Instant now, bool native) const {
    Observed out;
    for (const auto& [name, items] : slots) {
      ObservedSlot& slot = out.slots.emplace_back();
      slot.name = name;
      for (const auto& [prefix, known] : items) {
        ObservedItem item = known;
        if (item.until) {
          if (native && *item.until <= now) continue;
          if (native) item.left = *item.until - now;
        }
        slot.items.push_back(std::move(item));
      }
    }
    out.structure = structure;
    out.exists = exists;
    out.structure_differs = structure_differs;
    out.fence = fence;
    out.at = now;
    return out;
  }

  std::size_t entries() const {
    std::size_t n = 0;
    for (const auto& [name, items] : slots) n += items.size();
    return n;
  }

  void count(TargetStatus& status) const {
    status.owned = status.foreign = 0;
    for (const auto& [name, items] : slots)
      for (const auto& [prefix, item] : items) ++(item.ours ? status.owned : status.foreign);
  }
};

struct Reconciler::TargetState {
  using Key = std::pair<std::string, Prefix>;  // slot, prefix

  TargetState(TargetName its_name, Target its_target)
      : name(std::move(its_name)), target(std::move(its_target)), made_for(target) {
    status.name = name;
    status.type = target.type;
  }

  const TargetName name;  // that of `target`, but of a former place
  Target target;          // as policy wants it
  Target made_for;        // what `provider`, `view` and the records belong to
  bool leaving = false;   // no longer in the policy: drained, then forgotten
  Custody custody;        // what people said about it
  std::unique_ptr<Provider> provider;
  Capabilities capabilities;

  WorkQueue::Key key = 0;           // whether it waits, and for what: in the queue
  bool dirty = false;               // everything
  std::set<IpAddress> dirty_hosts;  // these only
  MonotonicTime run_since{};        // the oldest of what the present run answers to
  std::optional<TargetView> view;   // nothing: read before the next change
  std::map<Key, AppliedEntry> applied;
  std::vector<PortRange> protected_before;  // ports that we protected at this place
  std::vector<ChangeIntended> unanswered;   // what became of them, the next reading tells
  std::set<Key> refused;                    // taken away twice by somebody else: left closed
  /// Who was given a ticket for one connection, as long as the session lives.
  Tickets tickets;
  /// Whose entries stand here, whole: as long as something is held back, the policy before it.
  std::shared_ptr<const Policy> in_force;
  std::optional<Instant> adopted;             // HeldBefore::adopted, until a run holds nothing back
  std::shared_ptr<const Policy> tripped_for;  // whose changes status.guards held back
  std::shared_ptr<const Policy> acknowledged_for;
  std::set<std::string> acknowledged;  // held_line() of each held change that may go

  TargetConfirm confirm;
  std::optional<std::pair<Finding, Instant>> surge;  // the last one, and when
  /// What the target itself refuses: left out until then, while the rest goes on.
  struct Refusal {
    std::string why;
    Instant since;
    int times = 0;
    MonotonicTime again{};
  };
  std::map<Key, Refusal> rejected;
  std::set<Key> no_room;             // waits for a place
  std::deque<MonotonicTime> drifts;  // runs that found drift, of the last while
  bool flapping = false;
  /// The last run stopped half-way for want of calls, and nothing else: what it read still holds.
  bool half_done = false;
  bool from_memory = false;  // what the present run goes by was not read by it
  bool whole = false;        // the last run left nothing out
  bool must_close = false;   // a plan that was not carried out closes something at once

  int failures = 0;
  std::optional<MonotonicTime> next_full_read;
  TargetStatus status;

  /// What stands for `wanted` at this address: a target that holds no overlaps has a part of it.
  std::map<Key, AppliedEntry>::const_iterator entry_around(const std::string& slot,
                                                           const IpAddress& address,
                                                           const Prefix& wanted) const {
    auto at = applied.find({slot, wanted});
    for (int length = wanted.length() + 1; at == applied.end() && length <= address.bits();
         ++length)
      at = applied.find({slot, Prefix::of(address, length)});
    return at;
  }
  std::vector<AppliedEntry> applied_list() const {
    std::vector<AppliedEntry> out;
    out.reserve(applied.size());
    for (const auto& one : applied) out.push_back(one.second);
    return out;
  }
};

/// Everything a run needs of the shared state, taken at once.
struct Reconciler::Run {
  Target target;
  std::shared_ptr<const Policy> policy;
  std::shared_ptr<const Policy> in_force;  // on this target
  std::optional<Instant> adopted;          // HeldBefore::adopted
  std::vector<GuardTrip> tripped;          // TargetPlanInput::tripped_before
  std::vector<Session> sessions;
  std::vector<AppliedEntry> applied;
  std::vector<PortRange> protected_before;
  std::vector<ChangeIntended> unanswered;
  Tickets tickets;
  std::set<std::string> acknowledged;
  Custody custody;
  std::vector<OperatorHere> operators;
  bool leaving = false;
  bool returning = false;  // to the policy before: nobody is asked
  bool misplaced = false;  // policy wants it elsewhere by now: for the next run
  bool stopping = false;
  bool paused = false;
  Instant now;
};

}  // namespace knock
