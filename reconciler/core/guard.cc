// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/text.h"
#include "reconciler/core/order.h"

namespace knock {
namespace {

bool policy_removal(const Change& change) {
  return change.action == Action::remove && change.reason == Reason::policy;
}

class Guard {
 public:
  Guard(std::vector<Change> changes, const GuardInput& input) : in_(input) {
    out_.pass = std::move(changes);
  }

  Guarded run() {
    becomes_empty();
    wide_additions();
    protect();
    unprotect();
    widened_slots_with_held_entries();
    return std::move(out_);
  }

 private:
  template <class Match>
  std::size_t hold(Match match) {
    std::size_t before = out_.held.size();
    std::vector<Change> pass;
    for (Change& change : out_.pass)
      (match(change) ? out_.held : pass).push_back(std::move(change));
    out_.pass = std::move(pass);
    return out_.held.size() - before;
  }

  void trip(std::string guard, std::string figure, std::string limit, std::size_t held) {
    out_.trips.push_back({std::move(guard), in_.target, std::move(figure), std::move(limit), held});
  }

  void becomes_empty() {
    std::size_t owned = 0;
    for (const auto& slot : in_.observed.slots)
      owned += std::size_t(std::count_if(slot.items.begin(), slot.items.end(),
                                         [](const ObservedItem& item) { return item.ours; }));
    auto count = [&](auto match) {
      return std::size_t(std::count_if(out_.pass.begin(), out_.pass.end(), match));
    };
    std::size_t removals = count(policy_removal);
    std::size_t waiting_not = count(
        [](const Change& c) { return c.action == Action::remove && must_not_wait(c.reason); });
    std::size_t additions = count([](const Change& c) { return c.action == Action::add; });
    bool empties = removals > 0 && removals + waiting_not == owned && additions == 0;
    if (!empties || (removals < kBecomesEmptyFrom && !in_.grants_nothing)) return;
    auto held = hold(policy_removal);
    trip("becomes-empty", fmt::format("{} of {} entries go by policy", removals, owned),
         "a policy change leaves at least one entry", held);
  }

  void wide_additions() {
    auto wide = [](const Change& change) {
      return change.action == Action::add && change.reason == Reason::policy &&
             change.prefix.is_wide();
    };
    auto held = hold(wide);
    if (held > 0)
      trip("any", counted(held, "prefix wider than /24 or /48", "prefixes wider than /24 or /48"),
           "wide prefixes are opened after an acknowledgement", held);
  }

  void protect() {
    auto match = [](const Change& change) { return change.action == Action::protect; };
    auto at = std::find_if(out_.pass.begin(), out_.pass.end(), match);
    if (at == out_.pass.end() || !at->keep.empty()) return;
    auto ports = to_string(at->ports);
    auto held = hold(match);
    trip("protect", ports + " would be closed to everybody without an entry",
         "closing a port without a `keep` prefix needs an acknowledgement", held);
  }

  void unprotect() {
    auto match = [](const Change& change) { return change.action == Action::unprotect; };
    auto at = std::find_if(out_.pass.begin(), out_.pass.end(), match);
    if (at == out_.pass.end()) return;
    auto ports = to_string(at->ports);
    auto held = hold(match);
    trip("unprotect", ports + " would be open to everybody",
         "opening a protected port needs an acknowledgement", held);
  }

  /// An entry that waits must not get new ports meanwhile.
  void widened_slots_with_held_entries() {
    std::set<std::string> waiting;
    for (const Change& change : out_.held)
      if (change.action == Action::remove) waiting.insert(change.slot);
    hold([&](const Change& change) {
      if (change.action != Action::reshape || !waiting.contains(change.slot)) return false;
      auto had = in_.observed.structure.slots.find(change.slot);
      bool goes = change.ports.empty();
      return goes || (had != in_.observed.structure.slots.end() &&
                      !subtract(change.ports, had->second).empty());
    });
  }

  const GuardInput& in_;
  Guarded out_;
};

}  // namespace

Guarded guard(std::vector<Change> changes, const GuardInput& input) {
  return Guard(std::move(changes), input).run();
}

Structure structure_after(const Structure& have, const std::vector<Change>& changes) {
  Structure out = have;
  for (const Change& change : changes) {
    switch (change.action) {
      case Action::protect: {
        auto ports = out.protect;
        ports.insert(ports.end(), change.ports.begin(), change.ports.end());
        out.protect = canonical_ports(std::move(ports));
        out.keep = change.keep;
        break;
      }
      case Action::unprotect:
        out.protect = subtract(out.protect, change.ports);
        break;
      case Action::keep:
        out.keep = change.keep;
        break;
      case Action::reshape:
        if (change.ports.empty())
          out.slots.erase(change.slot);
        else
          out.slots[change.slot] = change.ports;
        break;
      case Action::add:
      case Action::extend:
      case Action::shorten:
      case Action::remove:
      case Action::report:
        break;
    }
  }
  return out;
}

}  // namespace knock
