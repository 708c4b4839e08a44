// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/cost.h"

#include <algorithm>
#include <map>
#include <utility>

namespace knock {
namespace {

bool writes(const Change& change) { return change.action != Action::report; }

bool in_one_call(const Capabilities& capabilities) {
  return capabilities.atomic || capabilities.granularity != Capabilities::Granularity::entry;
}

std::size_t batches(std::size_t changes, std::size_t batch) {
  return (changes + batch - 1) / batch;
}

/// Calls as they are needed, change by change. Calls that open and calls that close are different
/// ones, and so are the steps.
class Counter {
 public:
  explicit Counter(const Capabilities& capabilities) : capabilities_(capabilities) {}
  std::size_t add(const Change& change) {
    if (!writes(change)) return calls_;
    if (in_one_call(capabilities_)) return calls_ = 1;
    calls_ += seen_[{change.step, change.action}]++ % capabilities_.batch == 0;
    return calls_;
  }

 private:
  const Capabilities& capabilities_;
  std::map<std::pair<Step, Action>, std::size_t> seen_;
  std::size_t calls_ = 0;
};

}  // namespace

std::optional<std::size_t> calls_for(const Capabilities& capabilities,
                                     std::span<const Change> changes) {
  if (std::none_of(changes.begin(), changes.end(), writes)) return 0;
  if (!in_one_call(capabilities) && capabilities.batch == 0) return std::nullopt;
  Counter counter(capabilities);
  std::size_t calls = 0;
  for (const Change& change : changes) calls = counter.add(change);
  return calls;
}

std::optional<std::size_t> least_calls_for(const Capabilities& capabilities,
                                           std::span<const Change> changes) {
  if (std::none_of(changes.begin(), changes.end(), writes)) return 0;
  if (in_one_call(capabilities)) return 1;
  if (capabilities.batch == 0) return std::nullopt;
  std::map<Action, std::size_t> kinds;
  for (const Change& change : changes)
    if (writes(change)) ++kinds[change.action];
  std::size_t calls = 0;
  for (const auto& [action, count] : kinds) calls += batches(count, capabilities.batch);
  return calls;
}

std::size_t calls_to_read(const Capabilities& capabilities, std::size_t entries) {
  if (capabilities.read_page == 0) return 1;
  return std::max<std::size_t>(1, batches(entries, capabilities.read_page));
}

std::size_t affordable(const Capabilities& capabilities, std::span<const Change> changes,
                       std::size_t for_closing, std::size_t for_all) {
  if (!in_one_call(capabilities) && capabilities.batch == 0) return changes.size();
  Counter counter(capabilities);
  std::size_t paid = 0;
  for (const Change& change : changes) {
    auto limit = change.step == Step::close_now ? std::max(for_closing, for_all) : for_all;
    // A call that closes takes along what opens in it.
    if (counter.add(change) > limit && !(in_one_call(capabilities) && paid > 0)) break;
    ++paid;
  }
  return paid;
}

}  // namespace knock
