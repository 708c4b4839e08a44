// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/loop/place.h"

#include <algorithm>
#include <thread>

namespace knock::test {

void Gate::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
}

void Gate::open() {
  std::lock_guard lock(mutex_);
  closed_ = false;
  changed_.notify_all();
}

bool Gate::wait_for_caller() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience.chrono(), [&] { return inside_ > 0; });
}

void Gate::pass() {
  std::unique_lock lock(mutex_);
  if (!closed_) return;
  ++inside_;
  changed_.notify_all();
  changed_.wait_for(lock, kPatience.chrono(), [&] { return !closed_; });
  --inside_;
}

class PlaceProvider final : public Provider {
 public:
  PlaceProvider(Place& place, TargetName name, TargetMoved moved)
      : place_(place), name_(std::move(name)), moved_(std::move(moved)) {
    auto lock = place_.lock();
    // A copy: news may be on its way while the provider is going.
    place_.moved_[this] = [told = moved_, whom = name_] { told(whom); };
    ++place_.providers_;
    ++place_.made_;
  }
  ~PlaceProvider() override {
    bool last_words = false;
    {
      auto lock = place_.lock();
      place_.moved_.erase(this);
      --place_.providers_;
      last_words = place_.moves_when_destroyed;
    }
    // As a channel does whose thread is just telling something when it is closed.
    if (last_words) std::jthread([this] { moved_(name_); });
  }

  Capabilities capabilities() const override {
    Capabilities out = place_.capabilities;
    out.closes_by_default = true;
    return out;
  }

  Canonical canonicalize(const Allowlist& desired) const override {
    Busy busy(*this);
    return ModelTarget().canonicalize(desired);
  }

  Result<Observed> observe(Deadline) override {
    Busy busy(*this);
    ++place_.observes_;
    auto lock = place_.lock();
    place_.order_.push_back("observe");
    place_.expire();
    if (place_.observe_error) {
      auto kind = *place_.observe_error;
      lock.unlock();
      place_.observing.pass();
      return fail(kind, "cannot be read just now");
    }
    Observed out = place_.model_.observe(place_.clock_.now());
    out.fence = std::to_string(place_.generation_);
    out.other_owner = place_.other_owner;
    if (place_.other_owner)
      for (ObservedSlot& slot : out.slots)
        for (ObservedItem& item : slot.items) {
          if (item.ours) item.mark = ObservedItem::Mark::other_owner;
          item.ours = false;
        }
    if (place_.hidden) {
      out.complete = false;
      for (ObservedSlot& slot : out.slots)
        std::erase_if(slot.items,
                      [&](const ObservedItem& item) { return item.prefix == *place_.hidden; });
    }
    lock.unlock();
    place_.observing.pass();
    return out;
  }

  Result<Outcome> apply(const TargetPlan& plan, const Structure&, Instant, Deadline) override {
    Busy busy(*this);
    ++place_.applies_;
    place_.applying.pass();
    auto lock = place_.lock();
    place_.order_.push_back("apply");
    place_.expire();
    if (place_.edits_before_apply > 0) {
      --place_.edits_before_apply;
      ++place_.generation_;
    }
    if (!plan.fence.empty() && plan.fence != std::to_string(place_.generation_))
      return fail(ErrorKind::conflict, "the fence moved");
    if (place_.other_owner && plan.take_over == place_.other_owner) place_.other_owner.reset();
    if (place_.other_owner) return fail(ErrorKind::unauthorized, "it is somebody else's");
    std::optional<ApplyFault> fault;
    if (!place_.apply_faults.empty()) {
      fault = place_.apply_faults.front();
      place_.apply_faults.pop_front();
    }
    if (fault && !fault->after_the_effect) return failed(*fault);
    if (place_.poison && std::ranges::any_of(plan.changes, place_.poison))
      return fail(ErrorKind::invalid, "the request is malformed");
    Outcome outcome = all_steps(plan);
    if (fault) return failed(*fault);
    return outcome;
  }

 private:
  /// Finds calls that overlap: no provider has to bear them.
  struct Busy {
    explicit Busy(const PlaceProvider& of) : provider(of) {
      if (provider.inside_.fetch_add(1) != 0) provider.place_.overlapped_ = true;
    }
    ~Busy() { --provider.inside_; }
    const PlaceProvider& provider;
  };

  static tl::unexpected<Error> failed(const ApplyFault& fault) {
    return fail(Error{fault.kind, "no answer", {}, fault.retry_after});
  }

  Outcome all_steps(const TargetPlan& plan) {
    Outcome outcome;
    for (const Change& change : plan.changes) {
      StepOutcome step{StepOutcome::Kind::done, ""};
      if (place_.step_fault)
        if (auto kind = place_.step_fault(change)) step = {*kind, "the target said no"};
      if (step.kind == StepOutcome::Kind::done) {
        if (auto why = place_.model_.apply(change); !why.empty())
          step = {StepOutcome::Kind::rejected, why};
        else
          place_.changes_.push_back(change);
      }
      if (step.kind == StepOutcome::Kind::not_tried && place_.drops_untried) break;
      outcome.steps.push_back(step);
    }
    ++place_.generation_;
    if (place_.knows_fence) outcome.fence = std::to_string(place_.generation_);
    return outcome;
  }

  Place& place_;
  const TargetName name_;
  const TargetMoved moved_;
  mutable std::atomic<int> inside_{0};
};

std::unique_ptr<Provider> Place::provider(const TargetName& name, TargetMoved moved) {
  return std::make_unique<PlaceProvider>(*this, name, std::move(moved));
}

void Place::expire() {
  model_.native_expiry = capabilities.native_expiry;
  for (auto& [name, slot] : model_.slots)
    std::erase_if(slot.elements, [&](const auto& pair) {
      return pair.second.ends && *pair.second.ends <= clock_.now();
    });
}

bool Place::open(const std::string& slot, const std::string& prefix) const {
  return until(slot, prefix).has_value();
}

bool Place::connect(const std::string& address) {
  std::lock_guard lock(mutex_);
  expire();
  return model_.connect(*IpAddress::parse(address), {Protocol::tcp, 22, 22}, clock_.now());
}

std::optional<Instant> Place::until(const std::string& slot, const std::string& prefix) const {
  std::lock_guard lock(mutex_);
  auto at = model_.slots.find(slot);
  if (at == model_.slots.end()) return std::nullopt;
  auto element = at->second.elements.find(*Prefix::parse(prefix));
  if (element == at->second.elements.end() || !element->second.ours) return std::nullopt;
  if (element->second.ends && *element->second.ends <= clock_.now()) return std::nullopt;
  return element->second.until;
}

std::size_t Place::entries() const {
  std::lock_guard lock(mutex_);
  std::size_t n = 0;
  for (const auto& [name, slot] : model_.slots)
    for (const auto& [prefix, element] : slot.elements)
      n += element.ours && !(element.ends && *element.ends <= clock_.now());
  return n;
}

void Place::take_away(const std::string& slot, const std::string& prefix) {
  std::lock_guard lock(mutex_);
  model_.slots[slot].elements.erase(*Prefix::parse(prefix));
  ++generation_;
}

void Place::put_foreign(const std::string& slot, const std::string& prefix,
                        ObservedItem::Mark mark) {
  std::lock_guard lock(mutex_);
  auto& element = model_.slots[slot].elements[*Prefix::parse(prefix)];
  element = {false, std::nullopt, std::nullopt};
  element.mark = mark;
  ++generation_;
}

void Place::owned_as_a_whole() {
  std::lock_guard lock(mutex_);
  model_.owned = true;
}

void Place::unprotect(bool everything) {
  std::lock_guard lock(mutex_);
  model_.protect.clear();
  if (everything) model_ = ModelTarget();
  ++generation_;
}

bool Place::has_foreign(const std::string& slot, const std::string& prefix) const {
  std::lock_guard lock(mutex_);
  auto at = model_.slots.find(slot);
  if (at == model_.slots.end()) return false;
  auto element = at->second.elements.find(*Prefix::parse(prefix));
  return element != at->second.elements.end() && !element->second.ours;
}

void Place::tell_moved() {
  std::vector<std::function<void()>> all;
  {
    std::lock_guard lock(mutex_);
    for (auto& [provider, tell] : moved_) all.push_back(tell);
  }
  for (auto& tell : all) tell();
}

std::vector<Change> Place::changes() const {
  std::lock_guard lock(mutex_);
  return changes_;
}

Structure Place::structure() const {
  std::lock_guard lock(mutex_);
  return model_.observe(clock_.now()).structure;
}

bool Place::exists() const {
  std::lock_guard lock(mutex_);
  return model_.exists;
}

std::vector<std::string> Place::order() const {
  std::lock_guard lock(mutex_);
  return order_;
}

}  // namespace knock::test
