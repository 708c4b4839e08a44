// SPDX-License-Identifier: Apache-2.0
// Targets that somebody looks at besides the loop. Private to reconciler/loop.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {

/// What a plan uses of targets. A loop's own target is busy until it is given back.
struct Reconciler::Borrowed {
  Reconciler& loop;
  NewTargets new_targets;
  std::map<TargetName, std::unique_ptr<Provider>> own;
  std::map<TargetName, TargetState*> taken;
  std::vector<TargetName> not_read;

  Provider* provider(const TargetName& name) const {
    if (auto at = own.find(name); at != own.end()) return at->second.get();
    auto at = taken.find(name);
    return at == taken.end() ? nullptr : at->second->provider.get();
  }
  void release(const TargetName& name) {
    own.erase(name);
    if (auto at = taken.find(name); at != taken.end()) {
      loop.give_back(*at->second);
      taken.erase(at);
    }
  }
  ~Borrowed() {
    for (auto& [name, state] : taken) loop.give_back(*state);
  }
};

}  // namespace knock
