// SPDX-License-Identifier: Apache-2.0
// One request to the API, with what it needs at hand; each public function is a route of
// admin_api.cc. Internal to server/admin, whose *_calls.cc define it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/admin/admin_api.h"
#include "server/admin/arguments.h"
#include "server/admin/remote_view.h"
#include "server/core/change_plan.h"
#include "server/core/saved_plans.h"

namespace knock {

class AdminCall {
 public:
  using HttpResponse = net::HttpResponse;

  AdminCall(Controller& controller, const Caller& caller, Arguments arguments)
      : c_(controller), args_(std::move(arguments)), actor_(caller.actor), key_(caller.key) {}

  Result<HttpResponse> status();
  Result<HttpResponse> list_sessions();
  Result<HttpResponse> grant();
  Result<HttpResponse> revoke();
  Result<HttpResponse> refresh();
  Result<HttpResponse> explain_target();
  Result<HttpResponse> pause_target();
  Result<HttpResponse> resume_target();

  Result<HttpResponse> plan();

  Result<HttpResponse> apply();
  Result<HttpResponse> acknowledge();
  Result<HttpResponse> confirm();
  Result<HttpResponse> look();
  Result<HttpResponse> advance();

  Result<HttpResponse> ownership_plan();
  Result<HttpResponse> change_ownership();

  /// `who` alone is a mark read off a target.
  Result<HttpResponse> why();
  Result<HttpResponse> who();
  Result<HttpResponse> records();

  Result<HttpResponse> users();
  Result<HttpResponse> save_user();
  Result<HttpResponse> remove_user();

  Result<HttpResponse> keys();
  Result<HttpResponse> add_key();
  Result<HttpResponse> rotate_key();
  Result<HttpResponse> revoke_key();

 private:
  bool may(KeyScope scope) const { return !key_ || key_->has(scope); }
  View widest() const { return key_ ? widest_view(*key_) : View::full; }

  /// In any form and view, as one document with its review hash: what tokens get. What is made up
  /// has no such hash: it is not to be applied.
  Result<HttpResponse> viewed_plan(const std::vector<TargetName>& only, const std::string& format,
                                   bool color);
  Result<Plan> whole_plan(const ProposedChange& change, const std::vector<TargetName>& only,
                          Diagnostics& problems, const WhatIf& what_if);
  Status post_shape(const Standing& before, const ProposedChange& change, const Plan* shape,
                    const std::string& review);
  /// A plan file is for who may see everything in it, and of what can be applied.
  Status may_save() const;
  /// The text of a plan file, signed: of the candidate, or of what the policy source holds.
  Result<HttpResponse> saved_plan(const std::vector<TargetName>& only);
  Result<HttpResponse> apply_what_was_reviewed(const std::string& hash);
  /// The narrowest that shows what was asked about, unless another is asked for that the token has.
  Result<View> asked_view(bool about_people);
  /// `sessions`, `approvals` and `at`: of who may see people, and for their eyes alone.
  Result<WhatIf> what_if();
  bool makes_up() const;
  /// A name that the caller gives to the files that it sends.
  Result<PolicyRevision> revision_of_files();
  /// What was sent, what lies at the remote as a pull request or branch, or what the policy source
  /// holds.
  Result<ProposedChange> proposed(Diagnostics& problems);
  /// `post`: whether the forge is to be told of what is fetched, with the controller's own token.
  Result<bool> asked_to_post(const std::vector<TargetName>& only);
  Result<std::optional<CandidateName>> named_candidate();
  Result<std::optional<Duration>> key_life();
  Status regroup(const Account& account);
  /// What is to be said of ends that are written nowhere.
  std::vector<std::string> end_all(const Principal& principal, const std::string& reason);
  Result<OwnershipAct> asked_act();
  Result<std::optional<Instant>> time_or_none(std::string_view name);
  Result<std::vector<TargetName>> targets();
  /// What differs between two plans is told by the addresses it is about.
  std::string as_may_be_seen(std::string text) const;
  /// Of files that the caller did not send, what is wrong is told as far as the key's scopes go.
  HttpResponse refused(const Error& error, const Diagnostics& problems);
  std::string applied_json(const AppliedPlan& done, bool color) const;

  Controller& c_;
  Arguments args_;
  Actor actor_;
  std::optional<KeyHolder> key_;
};

}  // namespace knock
