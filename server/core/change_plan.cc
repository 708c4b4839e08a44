// SPDX-License-Identifier: Apache-2.0
#include "server/core/change_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/log.h"
#include "base/text.h"
#include "reconciler/core/render.h"
#include "reconciler/loop/sound_policy.h"
#include "schemas/refusal_id.h"

namespace knock {
namespace {

/// One line for a commit, which whoever reads the forge reads: of the policies alone.
std::string change_in_short(const Plan& plan) {
  return plan.edits.empty() ? std::string("No policy change.")
                            : counted(plan.edits.size(), "policy change", "policy changes") + ".";
}

/// "commit.unsigned", of what begins with it.
std::string id_in(const std::string& refusal) { return refusal.substr(0, refusal.find(':')); }

std::string in_markdown(const Plan& plan) {
  std::string out;
  write_markdown(plan, {false, "", "", View::shape}, [&](std::string_view piece) { out += piece; });
  return out;
}

/// Whether what is refused lies in the change itself: not in what happened on the way to it, not in
/// knock.yaml, and not in this machine.
bool lies_in_the_change(std::string_view id) {
  constexpr std::array<std::string_view, 3> kOfGit{"git.not-a-commit", "git.not-descended",
                                                   "git.transfer-too-large"};
  if (id.starts_with("commit.")) return !id.starts_with("commit.signers-");
  return id.starts_with("tree.") || std::ranges::find(kOfGit, id) != kOfGit.end();
}

/// The id by which a source refuses what it fetched until that changes; "": it may pass.
std::string refused_for_good(const Error& error) {
  std::string id(refusal_id(error.text()));
  return error.kind == ErrorKind::invalid && lies_in_the_change(id) ? id : "";
}

std::string why_not_planned(const std::string& id, const PolicyLocation& policy) {
  if (id == "git.not-descended")
    return fmt::format(
        "Not planned ({}): it does not go on from what is in force; rebase it onto {}.", id,
        printable(policy.ref));
  return fmt::format("This change is refused: {}.", id);
}

}  // namespace

Result<ProposedChange> fetch_change(Controller& controller, const CandidateName& name) {
  KNOCK_ASSIGN(auto fetched, controller.candidates().fetch(name));
  ProposedChange out;
  out.files = std::move(fetched.snapshot.files);
  out.revision = fetched.snapshot.revision;
  out.commit = fetched.snapshot.revision.value;
  out.pull = name.pull;
  out.follows = fetched.follows;
  out.refused_because = std::move(fetched.refused_because);
  return out;
}

Status add_what_stands_beside(Controller& controller, const Standing& before,
                              const ProposedChange& change, Plan& plan) {
  KNOCK_ASSIGN(auto after, standing(controller.store()));
  if (after != before)
    return fail(ErrorKind::unavailable,
                "plan.moved: another policy came into force while this was planned, so it may not "
                "go on from what is in force; plan it once more");
  if (!change.refused_because.empty())
    plan.findings.push_back({Finding::Level::warning, "plan.not-signed", TargetName(),
                             "as it is it would not come into force: " + change.refused_because});
  auto waiting = controller.policy_keeper().status().waiting;
  if (!change.commit.empty() && waiting && waiting->revision != change.follows)
    plan.findings.push_back(
        {Finding::Level::warning, "plan.behind", TargetName(),
         fmt::format("{} is merged already and waits to come into force, and this does not contain "
                     "it: rebase first, or the review will not fit what the merge makes",
                     printable(waiting->revision.value.substr(0, 12)))});
  return {};
}

notify::PlannedChange planned_change(const Controller& controller, const ProposedChange& change,
                                     const Plan& plan, const std::string& review) {
  const auto& forge = controller.config().notify.forge;
  bool comments = forge && forge->post && change.pull > 0;
  bool sound = change.refused_because.empty();
  return {change.pull,
          change.commit,
          sound ? change_in_short(plan)
                : "As it is it would not come into force: " + id_in(change.refused_because) + ".",
          sound ? notify::CommitState::success : notify::CommitState::failure,
          comments ? in_markdown(plan) : "",
          review_footer(review)};
}

std::optional<notify::PlannedChange> unplanned_change(const ProposedChange& change,
                                                      const Error& error,
                                                      const Diagnostics& problems) {
  if (error.kind != ErrorKind::invalid) return std::nullopt;
  auto place = place_of_first(problems);
  return notify::PlannedChange{0,
                               change.commit,
                               place.empty() ? "This policy would be refused."
                                             : "This policy would be refused: " + printable(place),
                               notify::CommitState::failure,
                               "",
                               ""};
}

Result<notify::PlannedChange> plan_of_pull(Controller& controller, const CandidateName& name) {
  KNOCK_ASSIGN(auto before, standing(controller.store()));
  auto change = fetch_change(controller, name);
  if (!change) {
    auto id = refused_for_good(change.error());
    if (id.empty()) return fail(std::move(change.error()));
    log(LogLevel::info, "pull.refused", "A pull request is not planned: it is refused as it is.",
        {{"pull", std::to_string(name.pull)}, {"problem", change.error().text()}});
    return notify::PlannedChange{0,
                                 name.commit,
                                 why_not_planned(id, controller.config().policy),
                                 notify::CommitState::failure,
                                 "",
                                 ""};
  }
  auto review = review_hash(before, change->files);
  Diagnostics problems;
  auto plan = controller.shape_of_candidate(change->files, change->revision, {}, problems);
  if (plan) {
    KNOCK_CHECK(add_what_stands_beside(controller, before, *change, *plan));
    return planned_change(controller, *change, *plan, review);
  }
  if (auto refused = unplanned_change(*change, plan.error(), problems)) return *refused;
  return fail(std::move(plan.error()));
}

}  // namespace knock
