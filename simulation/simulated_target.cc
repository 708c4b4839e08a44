// SPDX-License-Identifier: Apache-2.0
#include "simulation/simulated_target.h"

#include <algorithm>

namespace knock {

std::string_view to_string(TargetShape shape) {
  switch (shape) {
    case TargetShape::per_entry:
      return "per-entry";
    case TargetShape::versioned_set:
      return "versioned-set";
    case TargetShape::pushed:
      return "pushed";
    case TargetShape::document:
      return "document";
    case TargetShape::kernel:
      return "kernel";
  }
  return "";
}

Capabilities capabilities_of(TargetShape shape) {
  Capabilities can;
  can.closes_by_default = true;
  switch (shape) {
    case TargetShape::per_entry:
      can.batch = 3;
      can.delete_by_handle = true;
      can.calls_per_second = 50;
      can.read_page = 20;
      can.gather = Duration{100};
      break;
    case TargetShape::versioned_set:
      can.granularity = Capabilities::Granularity::set;
      can.atomic = can.compare_and_swap = true;
      can.calls_per_second = 20;
      can.gather = Duration{100};
      break;
    case TargetShape::pushed:
      can.native_expiry = true;
      can.batch = 50;
      break;
    case TargetShape::document:
      can.granularity = Capabilities::Granularity::document;
      can.atomic = true;
      can.gather = Duration{1000};
      break;
    case TargetShape::kernel:
      can.native_expiry = can.atomic = can.compare_and_swap = can.delete_by_handle = true;
      can.by_connection = true;
      break;
  }
  return can;
}

void SimulatedTarget::expire(Instant now) {
  for (auto& [slot_name, slot] : model.slots)
    std::erase_if(slot.elements, [&, &where = slot_name](const auto& one) {
      bool gone = one.second.ends && *one.second.ends <= now;
      if (gone && !one.second.ours) foreign.erase({where, one.first});
      return gone;
    });
}

std::size_t SimulatedTarget::own() const {
  std::size_t n = 0;
  for (const auto& [name_, slot] : model.slots)
    for (const auto& [prefix, element] : slot.elements) n += element.ours;
  return n;
}

namespace {

class SimulatedProvider final : public Provider {
 public:
  SimulatedProvider(SimulatedTarget& target, TargetWorld& world) : t_(target), world_(world) {
    t_.model.native_expiry = capabilities_of(t_.shape).native_expiry;
    t_.model.by_connection = capabilities_of(t_.shape).by_connection;
  }

  Capabilities capabilities() const override { return capabilities_of(t_.shape); }
  Canonical canonicalize(const Allowlist& desired) const override {
    return t_.model.canonicalize(desired);
  }

  Result<Observed> observe(Deadline) override {
    ++t_.reads;
    world_.yield(t_, CallPoint::before);
    auto fault = std::exchange(t_.next_read, CallFault::none);
    if (auto problem = problem_of(fault)) return tl::unexpected(*problem);
    if (fault == CallFault::lost_reply || fault == CallFault::half)
      return fail(ErrorKind::timeout, "no answer");
    t_.expire(world_.clock.now());
    Observed out = t_.model.observe(world_.clock.now());
    out.fence = std::to_string(t_.revision);
    if (fault == CallFault::partial_read) leave_some_out(out);
    world_.yield(t_, CallPoint::after);
    return out;
  }

  Result<Outcome> apply(const TargetPlan& plan, const Structure&, Instant, Deadline) override {
    ++t_.writes;
    world_.yield(t_, CallPoint::before);
    auto fault = std::exchange(t_.next_write, CallFault::none);
    if (auto problem = problem_of(fault)) return tl::unexpected(*problem);
    t_.expire(world_.clock.now());
    bool guarded = capabilities().compare_and_swap;
    if (guarded && !plan.fence.empty() && plan.fence != std::to_string(t_.revision))
      return fail(ErrorKind::conflict, "the revision moved");
    auto outcome = fault == CallFault::half && !capabilities().atomic
                       ? steps(plan, plan.changes.size() / 2)
                       : steps(plan, plan.changes.size());
    world_.yield(t_, CallPoint::after);
    if (fault == CallFault::lost_reply || fault == CallFault::half)
      return fail(ErrorKind::timeout, "no answer");
    return outcome;
  }

 private:
  static std::optional<Error> problem_of(CallFault fault) {
    switch (fault) {
      case CallFault::refused:
        return Error{ErrorKind::unavailable, "503", {}, {}};
      case CallFault::limited:
        return Error{ErrorKind::rate_limited, "429", {}, Duration::seconds(5)};
      case CallFault::timed_out:
        return Error{ErrorKind::timeout, "no answer", {}, {}};
      case CallFault::none:
      case CallFault::lost_reply:
      case CallFault::half:
      case CallFault::partial_read:
        return std::nullopt;
    }
    return std::nullopt;
  }

  static void leave_some_out(Observed& out) {
    out.complete = false;
    for (ObservedSlot& slot : out.slots)
      if (slot.items.size() > 1) slot.items.resize(slot.items.size() / 2);
  }

  Outcome steps(const TargetPlan& plan, std::size_t until) {
    Outcome outcome;
    bool atomic = capabilities().atomic;
    for (std::size_t i = 0; i < until; ++i) {
      const Change& change = plan.changes[i];
      if (change.action == Action::add || change.action == Action::extend) world_.opens(t_, change);
      auto why = t_.model.apply(change);
      outcome.steps.push_back(why.empty() ? StepOutcome{StepOutcome::Kind::done, ""}
                                          : StepOutcome{StepOutcome::Kind::rejected, why});
      ++t_.revision;
      if (!atomic && i + 1 < until) world_.yield(t_, CallPoint::within);
    }
    outcome.fence = std::to_string(t_.revision);
    return outcome;
  }

  SimulatedTarget& t_;
  TargetWorld& world_;
};

}  // namespace

std::unique_ptr<Provider> provider_of(SimulatedTarget& target, TargetWorld& world) {
  return std::make_unique<SimulatedProvider>(target, world);
}

}  // namespace knock
