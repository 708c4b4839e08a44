// SPDX-License-Identifier: Apache-2.0
// The plan that a reviewer reads, and what the forge is told of it: one way, whether somebody asks
// for it (server/admin) or the controller found the change itself (server/notify/pull_watch.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/core/controller.h"
#include "server/core/review.h"
#include "server/notify/notice.h"

namespace knock {

/// What is to be planned, and what is to be said of it beside the plan.
struct ProposedChange {
  std::vector<PolicyFile> files;
  PolicyRevision revision;
  std::string commit;           // that was fetched; "": none was
  std::uint64_t pull = 0;       // whose it is; 0: of none
  std::string refused_because;  // Candidate::refused_because
  PolicyRevision follows;       // Candidate::follows
};
/// Errors: those of Candidates::fetch().
Result<ProposedChange> fetch_change(Controller& controller, const CandidateName& name);

/// What a reviewer is to know of a plan beside what it does. `before`: standing() from before the
/// change was fetched. `unavailable`: plan.moved, another policy came into force meanwhile.
Status add_what_stands_beside(Controller& controller, const Standing& before,
                              const ProposedChange& change, Plan& plan);

/// In the view `shape`: whoever can read the forge reads it. `review`: review_hash().
notify::PlannedChange planned_change(const Controller& controller, const ProposedChange& change,
                                     const Plan& plan, const std::string& review);
/// Of a policy that would be refused; nothing where the error says nothing about the change.
std::optional<notify::PlannedChange> unplanned_change(const ProposedChange& change,
                                                      const Error& error,
                                                      const Diagnostics& problems);

/// All of it for a pull request that ends in `name.commit`. A change that is refused as it is (its
/// history, its tree, its policy) is an answer too, a failure of that commit by the refusal's id, and
/// stays refused until its head or what is in force moves. Errors are what may pass.
Result<notify::PlannedChange> plan_of_pull(Controller& controller, const CandidateName& name);

}  // namespace knock
