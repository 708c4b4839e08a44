// SPDX-License-Identifier: Apache-2.0
#include "agents/nftables/provider.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <utility>

#include "agents/nftables/disjoint.h"
#include "schemas/role/apply.h"
#include "base/text.h"
#include "reconciler/core/marker.h"

namespace knock {
namespace {

// Changes in one transaction: a tenth of a second in which no other program's tables can change.
constexpr std::size_t kBatch = 20'000;

std::optional<std::uint32_t> parse_fence(std::string_view text) {
  std::uint32_t out = 0;
  if (text.empty()) return out;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

std::string fence_text(std::uint32_t fence) { return fence == 0 ? "" : std::to_string(fence); }

bool changes_element(const Change& change) {
  return change.action == Action::add || change.action == Action::extend ||
         change.action == Action::shorten || change.action == Action::remove;
}
bool changes_structure(const Change& change) {
  return change.action == Action::protect || change.action == Action::unprotect ||
         change.action == Action::keep || change.action == Action::reshape;
}

void apply_to(Structure& structure, const Change& change) {
  switch (change.action) {
    case Action::protect:
      structure.protect.insert(structure.protect.end(), change.ports.begin(), change.ports.end());
      structure.protect = canonical_ports(std::move(structure.protect));
      structure.keep = change.keep;
      return;
    case Action::unprotect:
      structure.protect = subtract(structure.protect, change.ports);
      return;
    case Action::keep:
      structure.keep = change.keep;
      return;
    case Action::reshape:
      if (change.ports.empty())
        structure.slots.erase(change.slot);
      else
        structure.slots[change.slot] = change.ports;
      return;
    case Action::add:
    case Action::extend:
    case Action::shorten:
    case Action::remove:
    case Action::report:
      return;
  }
}

Structure structure_of(const role::TableFound& found) {
  Structure out;
  for (const auto& slot : found.slots) out.slots[slot.name] = slot.ports;
  out.protect = found.protect;
  out.keep = found.keep;
  std::sort(out.keep.begin(), out.keep.end());
  return out;
}

class NftablesProvider final : public Provider {
 public:
  NftablesProvider(TargetName target, NftablesSettings settings, OwnerId owner,
                   std::unique_ptr<ApplyChannel> channel, TargetMoved moved)
      : target_(std::move(target)),
        settings_(std::move(settings)),
        owner_(owner),
        channel_(std::move(channel)) {
    channel_->on_moved([table = settings_.table, target_name = target_,
                        tell = std::move(moved)](const std::string& name) {
      if ((name == table || name.empty()) && tell) tell(target_name);
    });
  }

  Capabilities capabilities() const override {
    Capabilities out;
    out.granularity = Capabilities::Granularity::entry;
    out.native_expiry = true;
    out.longest_life = Duration{std::int64_t(role::kLongestLifeMs)};
    out.atomic = true;
    out.compare_and_swap = true;
    out.closes_by_default = true;
    out.batch = kBatch;
    out.cuts_established = Capabilities::CutsEstablished::always;
    out.marker_deadline = Capabilities::MarkerDeadline::entry;
    return out;
  }

  Canonical canonicalize(const Allowlist& desired) const override;
  Result<Observed> observe(Deadline deadline) override;
  Result<Outcome> apply(const TargetPlan& plan, const Structure& structure, Instant now,
                        Deadline deadline) override;

 private:
  friend class Application;
  Result<role::TableFound> read(Deadline deadline);
  ObservedSlot observed_slot(role::SlotFound& slot) const;

  TargetName target_;
  NftablesSettings settings_;
  OwnerId owner_;
  std::unique_ptr<ApplyChannel> channel_;
  std::optional<Structure> structure_;  // as last read or built; nothing: not known
  bool exists_ = false, intact_ = false;
};

// ---------------------------------------------------------------- what it can hold

Canonical NftablesProvider::canonicalize(const Allowlist& desired) const {
  Canonical out;
  for (const auto& service : desired.services) {
    auto entries = service.entries;
    std::erase_if(entries, [&](const Entry& entry) {
      if (entry.prefix.length() != 0) return false;
      out.findings.push_back({Finding::Level::warning, "nftables.prefix-any", desired.target,
                              fmt::format("{} is not opened to {}: everybody is no allowlist; to "
                                          "open a port to all, do not protect it",
                                          service.service.value, entry.prefix.to_string())});
      return true;
    });
    out.slots.push_back({service.service.value, service.ports, disjoint_items(entries)});
    out.structure.slots[service.service.value] = service.ports;
  }
  out.structure.protect = canonical_ports(desired.protect);
  out.structure.keep = without_nested(desired.keep);
  return out;
}

// ---------------------------------------------------------------- reading

Result<role::TableFound> NftablesProvider::read(Deadline deadline) {
  structure_.reset();
  KNOCK_ASSIGN(auto answer, channel_->call(role::ReadBack{0, settings_.table}, deadline));
  if (auto* failed = std::get_if<role::Failed>(&answer))
    return fail(failed->kind, "reading: " + failed->why);
  auto* found = std::get_if<role::TableFound>(&answer);
  if (found == nullptr)
    return fail(ErrorKind::internal, "the apply role answered something else than a table");
  if (found->exists && found->owner != owner_)
    return fail(ErrorKind::unauthorized,
                found->owner == OwnerId{}
                    ? fmt::format("table inet {} was not made by knock: give this target another "
                                  "table, or remove that one",
                                  settings_.table)
                    : fmt::format("table inet {} belongs to the installation {}, and this one is "
                                  "{}: give this target another table",
                                  settings_.table, found->owner.to_string(), owner_.to_string()));
  structure_ = structure_of(*found);
  exists_ = found->exists;
  intact_ = found->intact;
  return std::move(*found);
}

ObservedSlot NftablesProvider::observed_slot(role::SlotFound& slot) const {
  ObservedSlot out{slot.name, {}};
  out.items.reserve(slot.elements.size());
  for (auto& element : slot.elements) {
    ObservedItem item;
    item.prefix = element.prefix;
    auto marker = parse_marker(element.comment);
    item.ours = marker && marker->owner == owner_;
    if (item.ours) item.until = marker->until;
    if (element.timed) item.left = Duration{std::int64_t(element.left_ms)};
    if (!item.ours) item.comment = printable(element.comment);
    // A host may stand in the hash set and in the interval set. What is ours must not be hidden,
    // or it could not be taken away.
    if (!out.items.empty() && out.items.back().prefix == item.prefix) {
      if (item.ours && !out.items.back().ours) out.items.back() = std::move(item);
      continue;
    }
    out.items.push_back(std::move(item));
  }
  return out;
}

Result<Observed> NftablesProvider::observe(Deadline deadline) {
  auto found = read(deadline);
  if (!found) return fail_within("nftables", found);
  Observed out;
  out.at = SystemClock().now();
  out.exists = found->exists;
  out.fence = fence_text(found->fence);
  out.structure = *structure_;
  if (exists_ && !intact_) out.structure.slots[kChangedByHand] = {};
  for (auto& slot : found->slots) out.slots.push_back(observed_slot(slot));
  return out;
}

// ---------------------------------------------------------------- changing

/// One apply on its way. The plan's order is kept in four strides: what must close now; structure
/// that makes room; all other entries; structure that closes. Within a stride of entries there is
/// one transaction, in which removals come first so that ranges may be cut differently.
class Application {
 public:
  Application(NftablesProvider& provider, const TargetPlan& plan, Instant now, Deadline deadline,
              std::uint32_t fence)
      : provider_(provider),
        plan_(plan),
        now_(now),
        started_(std::chrono::steady_clock::now()),
        deadline_(deadline),
        fence_(fence),
        structure_(*provider.structure_),
        must_build_(!provider.intact_) {
    outcome_.steps.resize(plan.changes.size());
  }

  Result<Outcome> run() {
    std::vector<std::size_t> now, room, entries, closing;
    for (std::size_t i = 0; i < plan_.changes.size(); ++i) {
      const Change& change = plan_.changes[i];
      if (changes_element(change))
        (change.step == Step::close_now ? now : entries).push_back(i);
      else if (changes_structure(change))
        // Opening a port to all before single entries lets nobody in who is not let in anyway.
        (closes(change) ? closing : room).push_back(i);
      else
        done(i);
    }
    // An entry needs its slot; without one, and with nothing else to build, there is no table yet.
    bool builds = !room.empty() || (must_build_ && !entries.empty());
    if (close_now(now) == Go::stop) return finish();
    if (builds && build(room) == Go::stop) return finish();
    if (change_elements(entries) == Go::stop) return finish();
    if (!closing.empty()) build(closing);
    return finish();
  }

 private:
  enum class Go { on, stop };

  bool closes(const Change& change) const {
    return change.action == Action::protect || change.step == Step::close_by_policy;
  }

  Go close_now(const std::vector<std::size_t>& changes) {
    if (!provider_.exists_) {
      for (auto i : changes) gone(i);
      return Go::on;
    }
    if (change_elements(changes) == Go::on) return Go::on;
    if (!must_build_ || error_->kind != ErrorKind::not_found) return Go::stop;
    // Somebody deleted a set of ours; once the table is whole again the rest can close.
    error_.reset();
    if (build({}) == Go::stop) return Go::stop;
    return change_elements(changes);
  }

  // ---- outcomes

  void done(std::size_t i) { outcome_.steps[i] = {StepOutcome::Kind::done, {}}; }
  void reject(std::size_t i, std::string why) {
    outcome_.steps[i] = {StepOutcome::Kind::rejected, std::move(why)};
  }
  /// On a table that is not there: nothing left to close, nowhere to open.
  void gone(std::size_t i) {
    if (plan_.changes[i].action == Action::remove) return done(i);
    reject(i, "the table is not there");
  }

  Result<Outcome> finish() {
    if (error_ && !touched_) return fail(std::move(*error_));
    if (error_)
      for (auto& step : outcome_.steps)
        if (step.kind == StepOutcome::Kind::not_tried) step.why = error_->text();
    outcome_.fence = error_ || unknown_ ? "" : fence_text(fence_);
    if (error_ || unknown_) provider_.structure_.reset();
    return std::move(outcome_);
  }

  /// One message. Nothing: no answer came, and what was asked for may stand or not.
  std::optional<role::FromApply> send(const role::ToApply& message) {
    auto answer = provider_.channel_->call(message, deadline_);
    if (answer) return std::move(*answer);
    unknown_ = true;
    touched_ = touched_ || answer.error().kind == ErrorKind::timeout;
    error_ = std::move(answer.error());
    return std::nullopt;
  }

  // ---- structure

  Go build(const std::vector<std::size_t>& changes) {
    for (auto i : changes) apply_to(structure_, plan_.changes[i]);
    auto answer = send(ensure());
    if (!answer) {
      for (auto i : changes) outcome_.steps[i] = {StepOutcome::Kind::unknown, error_->text()};
      return Go::stop;
    }
    if (auto* failed = std::get_if<role::Failed>(&*answer)) {
      error_ = Error{failed->kind, failed->why, {}, {}};
      if (failed->kind != ErrorKind::conflict)
        for (auto i : changes) reject(i, failed->why);
      return Go::stop;
    }
    take_fence(*answer);
    provider_.exists_ = provider_.intact_ = true;
    provider_.structure_ = structure_;
    must_build_ = false;
    for (auto i : changes) done(i);
    return Go::on;
  }

  role::Ensure ensure() const {
    role::Ensure message;
    message.table = provider_.settings_.table;
    message.fence = fence_;
    message.owner = provider_.owner_;
    auto has = [&](Hook hook) {
      const auto& hooks = provider_.settings_.hooks;
      return std::find(hooks.begin(), hooks.end(), hook) != hooks.end();
    };
    message.input = has(Hook::input);
    message.forward = has(Hook::forward);
    for (const auto& [name, ports] : structure_.slots)
      if (role::valid_slot(name)) message.slots.push_back({name, ports});
    message.protect = structure_.protect;
    message.keep = structure_.keep;
    return message;
  }

  void take_fence(const role::FromApply& answer) {
    touched_ = true;
    const auto* done = std::get_if<role::Done>(&answer);
    fence_ = done != nullptr ? done->fence : 0;
    if (fence_ == 0) unknown_ = true;
  }

  // ---- entries

  Go change_elements(std::vector<std::size_t> changes) {
    std::erase_if(changes, [&](std::size_t i) { return settled_without(i); });
    // Ranges first, so that those that are cut anew are in one message with those they replace.
    std::partition(changes.begin(), changes.end(),
                   [&](std::size_t i) { return !plan_.changes[i].prefix.is_host(); });
    std::span<const std::size_t> rest = changes;
    while (!rest.empty()) {
      auto part = rest.first(std::min(rest.size(), kBatch));
      if (send_elements(part) == Go::stop) return Go::stop;
      rest = rest.subspan(part.size());
    }
    return Go::on;
  }

  /// Changes whose outcome is plain without asking.
  bool settled_without(std::size_t i) {
    const Change& change = plan_.changes[i];
    bool opens = change.action != Action::remove;
    if (!structure_.slots.contains(change.slot) || !role::valid_slot(change.slot)) {
      if (opens)
        reject(i, "the table has no slot for " + printable(change.slot));
      else
        done(i);  // the entry went with its slot
      return true;
    }
    if (change.prefix.length() == 0) {
      reject(i, "everybody is no allowlist: a prefix of length 0 is refused");
      return true;
    }
    if (opens && left(change) <= 0) {
      reject(i, "deadline has passed");
      return true;
    }
    return false;
  }

  std::int64_t left(const Change& change) const {
    if (!change.until) return 0;
    auto gone = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - started_);
    return (*change.until - now_).ms - gone.count();
  }

  Go send_elements(std::span<const std::size_t> changes) {
    role::ChangeElements message{0, provider_.settings_.table, fence_, {}};
    for (auto i : changes) {
      const Change& change = plan_.changes[i];
      bool add = change.action != Action::remove && left(change) > 0;
      role::ElementChange element{add, change.slot, change.prefix, 0, {}};
      if (add) {
        element.left_ms = std::uint64_t(left(change));
        auto id = entry_id(provider_.target_, change.prefix, change.slot);
        element.marker = to_string(Marker{provider_.owner_, *change.until, id});
      }
      message.changes.push_back(std::move(element));
    }
    auto answer = send(message);
    if (!answer) {
      for (auto i : changes) outcome_.steps[i] = {StepOutcome::Kind::unknown, error_->text()};
      return Go::stop;
    }
    if (auto* failed = std::get_if<role::Failed>(&*answer)) return refused(changes, *failed);
    take_fence(*answer);
    for (auto i : changes) done(i);
    return Go::on;
  }

  /// All or nothing was refused. If it was because of what some change says, halves find out which.
  Go refused(std::span<const std::size_t> changes, const role::Failed& failed) {
    if (failed.kind == ErrorKind::timeout) {
      unknown_ = touched_ = true;
      error_ = Error{failed.kind, failed.why, {}, {}};
      for (auto i : changes) outcome_.steps[i] = {StepOutcome::Kind::unknown, failed.why};
      return Go::stop;
    }
    if (failed.kind != ErrorKind::invalid) {
      error_ = Error{failed.kind, failed.why, {}, {}};
      return Go::stop;
    }
    if (changes.size() == 1) {
      reject(changes.front(), failed.why);
      return Go::on;
    }
    auto half = changes.size() / 2;
    if (send_elements(changes.first(half)) == Go::stop) return Go::stop;
    return send_elements(changes.subspan(half));
  }

  NftablesProvider& provider_;
  const TargetPlan& plan_;
  Instant now_;
  MonotonicTime started_;
  Deadline deadline_;
  std::uint32_t fence_;
  Structure structure_;
  bool must_build_;
  bool touched_ = false;  // something was changed by this apply
  bool unknown_ = false;  // the fence afterwards is not known
  std::optional<Error> error_;
  Outcome outcome_;
};

Result<Outcome> NftablesProvider::apply(const TargetPlan& plan, const Structure&, Instant now,
                                        Deadline deadline) {
  // The plan's own changes say what to build: `structure` is their sum. What was held back is in
  // neither.
  auto fence = parse_fence(plan.fence);
  if (!fence)
    return fail(ErrorKind::invalid,
                "nftables: the plan's fence is no generation number: " + printable(plan.fence));
  if (!structure_) {
    auto found = read(deadline);
    if (!found) return fail_within("nftables", found);
  }
  auto outcome = Application(*this, plan, now, deadline, *fence).run();
  if (!outcome) return fail_within("nftables", outcome);
  return outcome;
}

}  // namespace

Result<std::unique_ptr<Provider>> make_nftables_provider(const TargetName& target,
                                                         const NftablesSettings& settings,
                                                         OwnerId owner,
                                                         std::unique_ptr<ApplyChannel> channel,
                                                         TargetMoved moved) {
  if (!role::valid_table(settings.table))
    return fail(ErrorKind::invalid, "target " + target.value + ": " + printable(settings.table) +
                                        " is no table name; it must match [a-z][a-z0-9_-]{0,31}");
  if (owner == OwnerId{})
    return fail(ErrorKind::invalid, "target " + target.value +
                                        ": this installation has no owner id; `knock init` writes "
                                        "one into knock.yaml");
  return std::make_unique<NftablesProvider>(target, settings, owner, std::move(channel),
                                            std::move(moved));
}

}  // namespace knock
