// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/order.h"

#include <algorithm>
#include <set>
#include <string>
#include <tuple>

namespace knock {
namespace {

/// Slots that will let through ports which they did not before.
std::set<std::string> widened_slots(const std::vector<Change>& changes, const Structure& have) {
  std::set<std::string> out;
  for (const Change& change : changes) {
    if (change.action != Action::reshape) continue;
    auto had = have.slots.find(change.slot);
    if (had != have.slots.end() && !subtract(change.ports, had->second).empty())
      out.insert(change.slot);
  }
  return out;
}

/// Prefixes that stay or come in a slot: what they cover may not be cut early.
bool covered_by_addition(const std::vector<Change>& changes, const Change& removal) {
  return std::any_of(changes.begin(), changes.end(), [&](const Change& change) {
    return change.action == Action::add && change.slot == removal.slot &&
           change.prefix.overlaps(removal.prefix);
  });
}

/// A slot that goes, or lets fewer ports through than before, closes something.
bool narrows(const Change& change, const Structure& have) {
  if (change.action != Action::reshape) return false;
  if (change.ports.empty()) return true;
  auto had = have.slots.find(change.slot);
  return had != have.slots.end() && !subtract(had->second, change.ports).empty();
}

Step step_of(const Change& change, const Structure& have) {
  switch (change.action) {
    case Action::keep:
      return Step::structure;
    case Action::reshape:
      return narrows(change, have) ? Step::close_by_policy : Step::structure;
    case Action::add:
    case Action::unprotect:
      return Step::open;
    case Action::extend:
      return Step::prolong;
    case Action::shorten:
    case Action::remove:
      return must_not_wait(change.reason) ? Step::close_now : Step::close_by_policy;
    case Action::protect:
    case Action::report:
      return Step::close_by_policy;
  }
  return Step::close_by_policy;
}

/// Within a step: entries before the structure that closes behind them, `protect` after that,
/// reports last.
int rank(const Change& change) {
  switch (change.action) {
    case Action::keep:
      return 0;
    case Action::add:
    case Action::extend:
      return 1;
    case Action::shorten:
    case Action::remove:
      return 2;
    case Action::reshape:
    case Action::unprotect:
      return 3;
    case Action::protect:
      return 4;
    case Action::report:
      return 5;
  }
  return 5;
}

bool before(const Change& a, const Change& b) {
  // Static entries first within a step: when something fails half-way, monitoring and operators are
  // in.
  auto key = [](const Change& c) {
    bool session = std::none_of(c.causes.begin(), c.causes.end(), [](const Attribution& cause) {
      return cause.kind == Attribution::Kind::fixed;
    });
    return std::make_tuple(c.step, rank(c), session);
  };
  if (auto ka = key(a), kb = key(b); ka != kb) return ka < kb;
  return std::tie(a.slot, a.prefix, a.action, a.ports) <
         std::tie(b.slot, b.prefix, b.action, b.ports);
}

}  // namespace

bool must_not_wait(Reason reason) {
  switch (reason) {
    case Reason::expiry:
    case Reason::sign_out:
    case Reason::revoked:
    case Reason::denied:
    case Reason::orphan:
      return true;
    case Reason::sign_in:
    case Reason::fixed:
    case Reason::policy:
    case Reason::drift:
    case Reason::configuration:
    case Reason::foreign:
      return false;
  }
  return false;
}

void order(std::vector<Change>& changes, const Structure& have) {
  auto widened = widened_slots(changes, have);
  for (Change& change : changes) {
    change.step = step_of(change, have);
    bool closes = change.action == Action::remove || change.action == Action::shorten;
    if (closes && widened.contains(change.slot) && !covered_by_addition(changes, change))
      change.step = Step::close_now;
  }
  std::sort(changes.begin(), changes.end(), before);
}

}  // namespace knock
