// SPDX-License-Identifier: Apache-2.0
// What the loop knows of one target. Private to reconciler/loop. Guarded by Reconciler's mutex,
// except `provider`, which belongs to whoever set `busy`.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "reconciler/interfaces/fact_store.h"
#include "reconciler/interfaces/provider.h"
#include "reconciler/loop/reconciler.h"

namespace knock {

/// What stands on a target, by the last full read and our own changes since. Ordered maps: one
/// change among 100,000 entries must not move the others.
struct TargetView {
  std::map<std::string, std::map<Prefix, ObservedItem>> slots;
  Structure structure;
  bool exists = false;
  std::string fence;
  Instant at;

  static TargetView of(const Observed& observed) {
    TargetView view;
    for (const ObservedSlot& slot : observed.slots)
      for (const ObservedItem& item : slot.items)
        view.slots[slot.name].emplace_hint(view.slots[slot.name].end(), item.prefix, item);
    view.structure = observed.structure;
    view.exists = observed.exists;
    view.fence = observed.fence;
    view.at = observed.at;
    return view;
  }

  /// The rows of one host, as if only they had been read now. Life counts are those of the markers:
  /// no drift is sought.
  Observed host(const Prefix& prefix, Instant now) const {
    Observed out;
    for (const auto& [name, items] : slots) {
      auto at_prefix = items.find(prefix);
      if (at_prefix == items.end()) continue;
      ObservedItem item = at_prefix->second;
      if (item.until) {
        if (*item.until <= now) continue;  // it has run out on the target by itself
        item.left = *item.until - now;
      }
      out.slots.push_back({name, {item}});
    }
    out.structure = structure;
    out.exists = exists;
    out.fence = fence;
    out.at = now;
    return out;
  }
};

struct Reconciler::TargetState {
  using Key = std::pair<std::string, Prefix>;  // slot, prefix

  Target target;
  bool leaving = false;  // no longer in the policy: drained, then forgotten
  std::unique_ptr<Provider> provider;
  Capabilities capabilities;

  bool busy = false;
  bool dirty = false;               // everything
  std::set<IpAddress> dirty_hosts;  // these only
  MonotonicTime dirty_since{};      // the oldest of it
  MonotonicTime run_since{};        // what the present run answers to
  std::optional<TargetView> view;   // nothing: read before the next change
  std::map<Key, AppliedEntry> applied;
  std::shared_ptr<const Policy> in_force;  // whose entries stand here
  PolicyRevision acknowledged;             // held changes of this revision may go

  int failures = 0;
  std::optional<MonotonicTime> not_before;
  MonotonicTime next_full_read{};
  TargetStatus status;

  bool waits() const { return dirty || !dirty_hosts.empty(); }
  std::vector<AppliedEntry> applied_list() const {
    std::vector<AppliedEntry> out;
    out.reserve(applied.size());
    for (const auto& [key, entry] : applied) out.push_back(entry);
    return out;
  }
};

}  // namespace knock
