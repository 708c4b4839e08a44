// SPDX-License-Identifier: Apache-2.0
// One controller: store, policy, loop and sign-in, put together. Everything it does is asked for
// through SignIn (front) or through the functions here (the admin API and the command line).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ed25519.h"
#include "reconciler/loop/policy_keeper.h"
#include "reconciler/loop/reconciler.h"
#include "schemas/config/config.h"
#include "server/core/candidates.h"
#include "server/core/key_ring.h"
#include "server/core/questions.h"
#include "server/core/session_ends.h"
#include "server/core/sign_in.h"
#include "server/notify/notice.h"

namespace knock {

/// What a controller is made of; all of it outlives the controller.
struct ControllerParts {
  const Config& config;
  FactStore& store;
  PolicySource& policy;
  VerifierChannel& verifier;
  const SteadyWall& clock;
  Random& random;
  ProviderFactory providers;
  Meter* meter = nullptr;
  std::function<std::vector<std::string>()> remarks;  // for status
  std::function<std::string()> roles = {};            // for the record of the start
  std::shared_ptr<const ZoneSource> zones = {};       // of schedules; absent: UTC alone
  /// QuestionParts::history, and where candidates are fetched from
  std::function<Result<std::unique_ptr<PolicySource>>()> history = {};
};

struct GrantRequest {
  std::string user;
  IpAddress from;
  Duration ttl;
  std::string reason;
  std::vector<GroupName> groups;  // policy's; empty: those of the local account of that name
};

struct Revoked {
  Session session;
  std::string note;  // what is not as it should be about the record; "" when all is
};

class Controller {
 public:
  explicit Controller(ControllerParts parts);

  /// Restores the last good policy, looks at the source once, starts the loop. A source that is
  /// away or unsound is not an error here: the controller runs with the last good policy, or
  /// closed, and says so. Nor is a log that cannot be written: then it closes, and opens nothing.
  Status start();
  void stop();

  SignIn& sign_in() { return *sign_in_; }
  Reconciler& reconciler() { return reconciler_; }
  PolicyKeeper& policy_keeper() { return keeper_; }
  FactStore& store() { return parts_.store; }
  SessionEnds& ends() { return ends_; }
  KeyRing& keys() { return keys_; }
  const Clock& clock() const { return parts_.clock; }
  Random& random() { return parts_.random; }
  const Config& config() const { return parts_.config; }

  /// The key that saved plans are signed with; asked for at first use. Without it this controller
  /// saves none.
  void sign_plans_with(std::function<Result<Ed25519Key>()> key) { plan_key_ = std::move(key); }
  Result<Ed25519Key> plan_key() const {
    if (plan_key_) return plan_key_();
    return fail(ErrorKind::unsupported, "this controller has no key to sign plans with");
  }

  /// Told of each change that was fetched and planned; at once, and before anybody asks for one.
  void tell_planned(std::function<void(const notify::PlannedChange&)> told) {
    planned_ = std::move(told);
  }
  /// Asked what became of pull requests that are looked for; before anybody asks for status().
  void ask_of_changes(std::function<ProposedChanges()> changes) { changes_ = std::move(changes); }
  void planned(const notify::PlannedChange& change) const {
    if (planned_) planned_(change);
  }

  ControllerStatus status() const;
  /// "" when new grants can be made and the loop runs; else why not.
  std::string not_ready() const;

  Result<Session> grant(const Actor& actor, const GrantRequest& request);
  /// `id`: a session's id, or its first characters when they name only one. `unavailable`: what it
  /// opened is being closed, but that is written nowhere; the message says what follows.
  Result<Revoked> revoke(const Actor& actor, const std::string& id, const std::string& reason);
  /// What people ask about now and then.
  Questions questions() const;
  /// Candidate files are loaded and planned, nothing is adopted. Problems come back as diagnostics.
  /// With people made up, what this controller lacks is a finding, and no reason to plan nothing.
  Result<Policy> candidate(const std::vector<PolicyFile>& files, const PolicyRevision& revision,
                           Diagnostics& problems, const WhatIf& what_if = {}) const;
  /// The view `shape` of a plan: of the two policies alone, whatever stands on the targets and
  /// whoever is signed in (plan_of_policies). All that is worked out of what a stranger wrote.
  Result<Plan> shape_of_candidate(const std::vector<PolicyFile>& files,
                                  const PolicyRevision& revision, std::span<const TargetName> only,
                                  Diagnostics& problems);
  Candidates& candidates() { return candidates_; }
  Result<Plan> plan_candidate(std::vector<PolicyFile> files, const PolicyRevision& revision,
                              std::span<const TargetName> only, Diagnostics& problems,
                              Reconciler::NewTargets new_targets = Reconciler::NewTargets::read,
                              const WhatIf& what_if = {});

 private:
  std::vector<std::string> remarks() const;
  std::string roles() const;

  ControllerParts parts_;
  Reconciler reconciler_;
  PolicyKeeper keeper_;
  SessionEnds ends_;
  KeyRing keys_;
  Candidates candidates_;
  std::function<Result<Ed25519Key>()> plan_key_;
  std::function<void(const notify::PlannedChange&)> planned_;
  std::function<ProposedChanges()> changes_;
  std::unique_ptr<SignIn> sign_in_;
};

/// What the loop needs to know of knock.yaml.
ReconcilerSettings settings_of(const Config& config, Meter* meter = nullptr);
/// Sign-in sources that exist, as policy validation needs them.
PolicyContext policy_context(const Config& config,
                             std::shared_ptr<const ZoneSource> zones = nullptr);
/// `public_url`, or one derived from the listening address.
std::string public_url(const Config& config);

}  // namespace knock
