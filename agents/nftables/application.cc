// SPDX-License-Identifier: Apache-2.0
#include "agents/nftables/application.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <utility>
#include <vector>

#include "base/text.h"
#include "reconciler/core/guard.h"
#include "reconciler/core/marker.h"

namespace knock {
namespace {

bool changes_element(const Change& change) {
  return change.action == Action::add || change.action == Action::extend ||
         change.action == Action::shorten || change.action == Action::remove;
}
bool changes_structure(const Change& change) {
  return change.action == Action::protect || change.action == Action::unprotect ||
         change.action == Action::keep || change.action == Action::reshape;
}
bool opens(const Change& change) {
  return change.action == Action::add || change.action == Action::extend;
}

using Indices = std::span<const std::size_t>;

class Application {
 public:
  Application(const TableAccess& access, const TargetPlan& plan, Instant now, Deadline deadline,
              std::uint32_t fence)
      : access_(access),
        plan_(plan),
        now_(now),
        started_(std::chrono::steady_clock::now()),
        deadline_(deadline),
        fence_(fence),
        structure_(*access.state.structure) {
    outcome_.steps.resize(plan.changes.size());
  }

  Result<Outcome> run() {
    if (!at_once()) one_after_the_other();
    return finish();
  }

 private:
  enum class Go { on, stop };

  // ---------------------------------------------------------------- the whole plan

  /// False when nothing was done and the plan has to be taken apart.
  bool at_once() {
    if (plan_.changes.size() > kApplyBatch) return false;
    std::vector<std::size_t> all(plan_.changes.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    auto before = structure_;
    structure_ = structure_after(structure_, plan_.changes);
    auto answer = write(all);
    if (answer != Go::stop || !refused_) return true;
    structure_ = std::move(before);
    error_.reset();
    outcome_.steps.assign(plan_.changes.size(), {});
    return false;
  }

  void one_after_the_other() {
    std::vector<std::size_t> run;
    for (std::size_t i = 0; i < plan_.changes.size(); ++i) {
      bool other_kind = !run.empty() && changes_structure(plan_.changes[run.front()]) !=
                                            changes_structure(plan_.changes[i]);
      if (other_kind || run.size() == kApplyBatch) {
        if (write_run(run) == Go::stop) return;
        run.clear();
      }
      run.push_back(i);
    }
    if (!run.empty()) write_run(run);
  }

  Go write_run(Indices run) {
    if (!changes_structure(plan_.changes[run.front()])) return write_halving(run);
    std::vector<Change> changes;
    for (auto i : run) changes.push_back(plan_.changes[i]);
    structure_ = structure_after(structure_, changes);
    if (write(run) == Go::on) return Go::on;
    if (refused_)
      for (auto i : run) reject(i, error_->text());
    return Go::stop;
  }

  Go write_halving(Indices run) {
    if (write(run) == Go::on) return Go::on;
    if (!refused_) return Go::stop;
    auto why = std::exchange(error_, std::nullopt)->text();
    if (run.size() == 1) {
      reject(run.front(), std::move(why));
      return Go::on;
    }
    auto half = run.size() / 2;
    if (write_halving(run.first(half)) == Go::stop) return Go::stop;
    return write_halving(run.subspan(half));
  }

  // ---------------------------------------------------------------- one message

  /// Brings the table to structure_, where these changes or its state ask for that, together with
  /// these changes of elements. Go::stop leaves error_; with refused_ the kernel found fault with
  /// what was asked, and nothing was done.
  Go write(Indices changes) {
    refused_ = false;
    std::vector<std::size_t> asked;
    auto elements = elements_of(changes, asked);
    bool structure = std::any_of(changes.begin(), changes.end(), [&](std::size_t i) {
      return changes_structure(plan_.changes[i]);
    });
    bool build =
        structure || (!access_.state.intact && !elements.empty()) ||
        std::any_of(elements.begin(), elements.end(), [&](const auto& element) {
          return element.part != role::Part::open && !access_.state.tickets.contains(element.slot);
        });
    if (!build && elements.empty()) return Go::on;
    for (auto i : changes)
      if (changes_structure(plan_.changes[i])) asked.push_back(i);
    return send(
        build ? role::ToApply(ensure(std::move(elements)))
              : role::ToApply(role::ChangeElements{0, access_.table, fence_, std::move(elements)}),
        asked, build);
  }

  Go send(const role::ToApply& message, Indices asked, bool build) {
    auto answer = access_.channel.call(message, deadline_);
    if (!answer) {
      // Nobody knows whether it was done, or even heard.
      settle(asked, StepOutcome::Kind::unknown, answer.error().text());
      touched_ = true;
      error_ = std::move(answer.error());
      return Go::stop;
    }
    if (auto* failed = std::get_if<role::Failed>(&*answer)) {
      error_ = Error{failed->kind, failed->why, {}, {}};
      refused_ = failed->kind == ErrorKind::invalid;
      if (failed->kind != ErrorKind::timeout) return Go::stop;
      settle(asked, StepOutcome::Kind::unknown, failed->why);
      touched_ = true;
      return Go::stop;
    }
    touched_ = true;
    const auto* done = std::get_if<role::Done>(&*answer);
    fence_ = done != nullptr ? done->fence : 0;
    settle(asked, StepOutcome::Kind::done, {});
    remember(message, build);
    return Go::on;
  }

  /// What stands there after this message.
  void remember(const role::ToApply& message, bool build) {
    TableState& state = access_.state;
    const auto& elements = std::visit(
        [](const auto& m) -> const std::vector<role::ElementChange>& {
          if constexpr (requires { m.changes; }) return m.changes;
          static const std::vector<role::ElementChange> none;
          return none;
        },
        message);
    for (const auto& element : elements) {
      if (element.part == role::Part::open) continue;
      auto& parts = state.parts[{element.slot, element.prefix}];
      if (element.add)
        parts.emplace(element.part, element.tag);
      else
        parts.erase({element.part, element.tag});
      if (parts.empty()) state.parts.erase({element.slot, element.prefix});
    }
    if (!build) return;
    state.structure = structure_;
    state.exists = state.intact = true;
    state.tickets.clear();
    for (const auto& slot : std::get<role::Ensure>(message).slots)
      if (slot.tickets) state.tickets.insert(slot.name);
    std::erase_if(state.parts,
                  [&](const auto& pair) { return !state.tickets.contains(pair.first.first); });
  }

  role::Ensure ensure(std::vector<role::ElementChange> elements) const {
    role::Ensure message;
    message.table = access_.table;
    message.fence = fence_;
    message.owner = access_.owner;
    message.input = access_.input;
    message.forward = access_.forward;
    auto tickets = access_.state.tickets;
    for (const auto& element : elements)
      if (element.part != role::Part::open) tickets.insert(element.slot);
    for (const auto& [name, ports] : structure_.slots)
      if (role::valid_slot(name)) message.slots.push_back({name, ports, tickets.contains(name)});
    message.protect = structure_.protect;
    message.keep = structure_.keep;
    message.changes = std::move(elements);
    return message;
  }

  /// The changes that have to be asked for; others get their outcome here.
  std::vector<role::ElementChange> elements_of(Indices changes, std::vector<std::size_t>& asked) {
    std::vector<role::ElementChange> out;
    for (auto i : changes) {
      const Change& change = plan_.changes[i];
      if (change.action == Action::report) settle({&i, 1}, StepOutcome::Kind::done, {});
      if (!changes_element(change) || settled_without(i)) continue;
      add_elements(change, out);
      asked.push_back(i);
    }
    return out;
  }

  bool settled_without(std::size_t i) {
    const Change& change = plan_.changes[i];
    if (!structure_.slots.contains(change.slot) || !role::valid_slot(change.slot)) {
      if (change.action == Action::remove)
        settle({&i, 1}, StepOutcome::Kind::done, {});  // it went with its slot
      else
        reject(i, "the table has no slot for " + printable(change.slot));
      return true;
    }
    if (change.action != Action::remove && change.prefix.length() == 0) {
      reject(i, "everybody is no allowlist: a prefix of length 0 is refused");
      return true;
    }
    if (opens(change) && left(change) <= 0) {
      reject(i, "deadline has passed");
      return true;
    }
    return false;
  }

  void add_elements(const Change& change, std::vector<role::ElementChange>& out) const {
    role::ElementChange open{false, change.slot, change.prefix, 0, {}};
    if (change.handle == kForeignHandle) {
      auto foreign = open;
      foreign.foreign = true;
      out.push_back(std::move(foreign));
    }
    // Time goes on while a plan is carried out: what has no life left is taken away.
    auto life = left(change);
    bool stands = (change.action != Action::remove || change.released) && life > 0;
    bool by_connection = stands && change.lasts != Lasts::until_deadline;
    std::string marker;
    if (stands && change.released)
      marker = released_comment(access_.owner, *change.until);
    else if (stands)
      marker = to_string(Marker{access_.owner, *change.until,
                                entry_id(access_.target, change.prefix, change.slot)});
    if (stands && !by_connection) {
      open.add = true;
      open.left_ms = std::uint64_t(life);
      open.marker = marker;
    }
    out.push_back(open);
    auto at = access_.state.parts.find({change.slot, change.prefix});
    if (by_connection)
      add_parts(change, life, marker, out);
    else if (at != access_.state.parts.end())
      for (const auto& [part, tag] : at->second) out.push_back(part_of(change, part, tag));
  }

  static role::ElementChange part_of(const Change& change, role::Part part, std::uint64_t tag) {
    return {false, change.slot, change.prefix, 0, {}, part, tag};
  }

  /// An entry that begins has a tag of its own, so that no connection of an older one goes on by it;
  /// one that changes keeps its tag. The ticket for one connection is written when it is given and
  /// never again, because nobody can write it back half used.
  void add_parts(const Change& change, std::int64_t life, const std::string& marker,
                 std::vector<role::ElementChange>& out) const {
    std::set<std::pair<role::Part, std::uint64_t>> had;
    auto at = access_.state.parts.find({change.slot, change.prefix});
    if (at != access_.state.parts.end()) had = at->second;
    std::uint64_t tag = change.action == Action::add ? 0 : tag_in(had);
    while (tag == 0) tag = access_.random.next_u64();
    auto come = left(change.come_by);
    std::set<std::pair<role::Part, std::uint64_t>> wanted{{role::Part::stay, tag}};
    if (change.lasts == Lasts::first_connection) wanted.emplace(role::Part::once, tag);
    if (change.lasts == Lasts::disconnect && come > 0) wanted.emplace(role::Part::come, tag);
    for (const auto& [part, other] : had)
      if (!wanted.contains({part, other})) out.push_back(part_of(change, part, other));
    for (const auto& [part, its] : wanted) {
      if (part == role::Part::once && !change.ticket) continue;
      auto element = part_of(change, part, its);
      element.add = true;
      element.left_ms = std::uint64_t(part == role::Part::come ? come : life);
      element.marker =
          part == role::Part::stay ? stay_comment(marker, change.lasts, change.come_by) : marker;
      out.push_back(std::move(element));
    }
  }

  static std::uint64_t tag_in(const std::set<std::pair<role::Part, std::uint64_t>>& parts) {
    for (const auto& [part, tag] : parts)
      if (part == role::Part::stay) return tag;
    return 0;
  }

  std::int64_t left(const Change& change) const { return change.until ? left(*change.until) : 0; }
  std::int64_t left(Instant until) const {
    auto gone = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - started_);
    return (until - now_).ms - gone.count();
  }

  // ---------------------------------------------------------------- outcomes

  void settle(Indices changes, StepOutcome::Kind kind, const std::string& why) {
    for (auto i : changes) outcome_.steps[i] = {kind, why};
  }
  void reject(std::size_t i, std::string why) {
    outcome_.steps[i] = {StepOutcome::Kind::rejected, std::move(why)};
  }

  Result<Outcome> finish() {
    if (error_) access_.state = {};
    if (error_ && !touched_) return fail(std::move(*error_));
    if (error_)
      for (auto& step : outcome_.steps)
        if (step.kind == StepOutcome::Kind::not_tried) step.why = error_->text();
    outcome_.fence = error_ ? "" : nftables_fence(fence_);
    return std::move(outcome_);
  }

  const TableAccess& access_;
  const TargetPlan& plan_;
  Instant now_;
  MonotonicTime started_;
  Deadline deadline_;
  std::uint32_t fence_;
  Structure structure_;
  bool refused_ = false;
  bool touched_ = false;  // something was changed, or may have been
  std::optional<Error> error_;
  Outcome outcome_;
};

constexpr std::size_t kMarkerBytes = 52;
constexpr std::string_view kOnce = ":once", kCome = ":come";
constexpr std::size_t kSecondsDigits = 10;

}  // namespace

std::string stay_comment(const std::string& marker, Lasts lasts, Instant come_by) {
  if (lasts == Lasts::first_connection) return marker + std::string(kOnce);
  return fmt::format("{}{}{:010x}", marker, kCome, std::uint64_t(come_by.ms / 1000));
}

std::optional<StayComment> parse_stay_comment(std::string_view comment) {
  if (comment.size() < kMarkerBytes) return std::nullopt;
  StayComment out;
  out.marker = comment.substr(0, kMarkerBytes);
  auto rest = comment.substr(kMarkerBytes);
  if (rest == kOnce) return out;
  if (!rest.starts_with(kCome) || rest.size() != kCome.size() + kSecondsDigits) return std::nullopt;
  rest.remove_prefix(kCome.size());
  std::uint64_t seconds = 0;
  auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), seconds, 16);
  if (error != std::errc() || end != rest.data() + rest.size()) return std::nullopt;
  out.lasts = Lasts::disconnect;
  out.come_by = Instant{std::int64_t(seconds) * 1000};
  return out;
}

std::string released_comment(OwnerId owner, Instant until) {
  return fmt::format("released:{}:{:010x}", owner.to_string(), std::uint64_t(until.seconds()));
}

std::string nftables_fence(std::uint32_t generation) {
  return generation == 0 ? "" : std::to_string(generation);
}

Result<Outcome> apply_to_table(const TableAccess& access, const TargetPlan& plan, Instant now,
                               Deadline deadline, std::uint32_t fence) {
  return Application(access, plan, now, deadline, fence).run();
}

}  // namespace knock
