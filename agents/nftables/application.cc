// SPDX-License-Identifier: Apache-2.0
#include "agents/nftables/application.h"

#include <algorithm>
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
    bool build = structure || (!access_.state.intact && !elements.empty());
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
    if (build) access_.state = {structure_, true, true};
    return Go::on;
  }

  role::Ensure ensure(std::vector<role::ElementChange> elements) const {
    role::Ensure message;
    message.table = access_.table;
    message.fence = fence_;
    message.owner = access_.owner;
    message.input = access_.input;
    message.forward = access_.forward;
    for (const auto& [name, ports] : structure_.slots)
      if (role::valid_slot(name)) message.slots.push_back({name, ports});
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
      out.push_back(element(change));
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
    if (change.prefix.length() == 0) {
      reject(i, "everybody is no allowlist: a prefix of length 0 is refused");
      return true;
    }
    if (opens(change) && left(change) <= 0) {
      reject(i, "deadline has passed");
      return true;
    }
    return false;
  }

  role::ElementChange element(const Change& change) const {
    role::ElementChange out{false, change.slot, change.prefix, 0, {}};
    // Time goes on while a plan is carried out: what has no life left is taken away.
    auto life = left(change);
    if (change.action == Action::remove || life <= 0) return out;
    out.add = true;
    out.left_ms = std::uint64_t(life);
    auto id = entry_id(access_.target, change.prefix, change.slot);
    out.marker = to_string(Marker{access_.owner, *change.until, id});
    return out;
  }

  std::int64_t left(const Change& change) const {
    if (!change.until) return 0;
    auto gone = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - started_);
    return (*change.until - now_).ms - gone.count();
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

}  // namespace

std::string nftables_fence(std::uint32_t generation) {
  return generation == 0 ? "" : std::to_string(generation);
}

Result<Outcome> apply_to_table(const TableAccess& access, const TargetPlan& plan, Instant now,
                               Deadline deadline, std::uint32_t fence) {
  return Application(access, plan, now, deadline, fence).run();
}

}  // namespace knock
