// SPDX-License-Identifier: Apache-2.0
#include "server/core/apply_saved.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/failpoint.h"
#include "base/text.h"
#include "reconciler/core/plan.h"
#include "reconciler/core/render.h"

namespace knock {
namespace {

constexpr Duration kPatience = Duration::seconds(20);

tl::unexpected<Error> refused(const std::vector<PlanRefusal>& refusals, View view) {
  return fail(ErrorKind::conflict, to_text(refusals, view));
}

std::string short_hash(const Digest& id) { return to_hex(id).substr(0, 16); }

/// Whoever may have lived when the plan was made, and whoever lives now.
Result<std::vector<Session>> known_sessions(const FactStore& store, Instant now) {
  KNOCK_ASSIGN(auto known, store.sessions(kMostSeen));
  KNOCK_ASSIGN(auto live, store.live_sessions(now));
  std::set<SessionId> ids;
  for (const Session& session : known) ids.insert(session.id);
  for (Session& session : live)
    if (ids.insert(session.id).second) known.push_back(std::move(session));
  return known;
}

std::vector<PlanRefusal> wrong_ack(const CheckedPlan& checked, const std::string& ack) {
  return {
      {"saved-plan.ack",
       fmt::format("--ack names {}, the plan's hash is {}, and that of what would be done now "
                   "is {}",
                   printable(ack), short_hash(checked.saved.plan.id), short_hash(checked.now.id)),
       "look at the plan again, and name its hash"}};
}

bool holds_something(const Plan& plan) {
  return std::any_of(plan.targets.begin(), plan.targets.end(),
                     [](const TargetPlan& target) { return !target.held.empty(); });
}

/// Every held change of `rest` is one that somebody said yes to.
bool covers(const Plan& agreed, const Plan& rest) {
  std::set<std::pair<TargetName, std::string>> yes;
  for (const TargetPlan& target : agreed.targets)
    for (const Change& change : target.held) yes.emplace(target.target, held_line(change));
  for (const TargetPlan& target : rest.targets)
    for (const Change& change : target.held)
      if (!yes.contains({target.target, held_line(change)})) return false;
  return true;
}

}  // namespace

Result<CheckedPlan> check_saved(const ApplyGround& ground, const ApplyAsk& ask) {
  auto read = read_saved(ask.file);
  if (!read) return fail(ErrorKind::conflict, read.error().message);
  CheckedPlan out;
  out.saved = *std::move(read);
  KNOCK_ASSIGN(auto used, ground.store.plan_used(out.saved.nonce));
  KNOCK_ASSIGN(auto head, ground.store.head());
  auto refusals =
      check_file(out.saved, {ground.owner, ground.now, head, used, ground.key, ground.signed_only});
  if (!refusals.empty()) return refused(refusals, ask.view);
  if (!ask.replan) {
    refusals = check_revisions(
        out.saved, ground.in_force ? ground.in_force->revision : PolicyRevision(), ground.newest);
    if (!refusals.empty()) return refused(refusals, ask.view);
  }
  KNOCK_ASSIGN(out.now, ground.plan());
  KNOCK_ASSIGN(auto known, known_sessions(ground.store, out.now.as_of));
  bool to_shown = names_plan(ask.ack, out.saved.plan.id), to_now = names_plan(ask.ack, out.now.id);
  if (!ask.ack.empty() && !to_shown && !to_now) return refused(wrong_ack(out, ask.ack), ask.view);
  CompareInput input{out.saved.plan, out.now,     ground.in_force.get(), ground.newest,
                     known,          ground.keep, to_shown || to_now};
  out.since = compare(input);
  out.replanned = ask.replan;
  if (!ask.replan && !out.since.refusals.empty()) return refused(out.since.refusals, ask.view);
  if (ask.exact)
    if (refusals = check_exact(input, out.since); !refusals.empty())
      return refused(refusals, ask.view);
  // A yes to what the plan showed is none to what is held beyond that.
  bool enough = to_now || (to_shown && out.since.held_beyond == 0);
  out.acknowledged = enough;
  out.stopped = holds_something(out.now) && !enough;
  out.ack = short_hash(out.since.held_beyond == 0 ? out.saved.plan.id : out.now.id);
  return out;
}

Status use_plan(FactStore& store, const Actor& actor, Instant now, const SavedPlan& saved) {
  std::vector<Fact> used{PlanUsed{saved.nonce, to_hex(saved.plan.id)}};
  KNOCK_FAILPOINT("plan.before-use");
  auto written = store.append(actor, now, used);
  KNOCK_FAILPOINT("plan.after-use");
  if (written) return {};
  if (written.error().kind == ErrorKind::conflict)
    return fail(ErrorKind::conflict, "saved-plan.used: " + written.error().message);
  return fail_within("log", written);
}

Result<CarriedOut> carry_out(Reconciler& reconciler, const Actor& actor, const CheckedPlan& checked,
                             const std::function<Status()>& adopt) {
  auto in_force = reconciler.policy();
  if (in_force != nullptr && in_force->revision == checked.now.to) {
    KNOCK_CHECK(reconciler.apply_again(actor));
    reconciler.refresh({});
  } else {
    KNOCK_CHECK(adopt());
  }
  reconciler.wait_settled(Deadline::in(kPatience));
  CarriedOut out;
  if (checked.acknowledged && holds_something(checked.now)) {
    // Held changes go under the id of what is left by now.
    KNOCK_ASSIGN(auto rest, reconciler.plan(*reconciler.policy()));
    if (holds_something(rest)) {
      if (!covers(checked.now, rest)) {
        out.guards = rest.guards;
        return out;
      }
      KNOCK_CHECK(reconciler.acknowledge(actor, to_hex(rest.id)));
      reconciler.wait_settled(Deadline::in(kPatience));
    }
  }
  for (const TargetStatus& target : reconciler.targets()) {
    if (!target.ready) out.problems.push_back({target.name, target.problem});
    if (target.held > 0)
      out.guards.insert(out.guards.end(), target.guards.begin(), target.guards.end());
  }
  return out;
}

std::string CarriedOut::Problem::sentence() const {
  return fmt::format("{}: not done: {}", printable(target.value), printable(why));
}

std::string to_text(const CheckedPlan& checked, bool color, View view) {
  // A shape says nothing that depends on who is signed in.
  std::string out = view == View::shape ? "" : to_text(checked.since, view) + "\n";
  const auto& others = checked.since.refusals;
  if (checked.replanned && !others.empty())
    out += "Computed again, and not what the saved plan shows:\n" +
           (view == View::full ? facts(others) : to_text(others, view)) + "\n\n";
  return out + to_text(checked.now, RenderOptions{color, "", "", view});
}

std::vector<std::string> sentences(const std::vector<GuardTrip>& guards) {
  std::vector<std::string> out;
  for (const GuardTrip& trip : guards)
    out.push_back(fmt::format("guard {} on {} holds {}: {} ({})", trip.guard,
                              printable(trip.target.value), counted(trip.held, "change", "changes"),
                              trip.figure, trip.limit));
  return out;
}

}  // namespace knock
