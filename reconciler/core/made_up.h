// SPDX-License-Identifier: Apache-2.0
// People that a policy's tests speak of, as sign-ins that could happen. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconciler/core/policy_check.h"
#include "schemas/policy/policy.h"
#include "schemas/session/session.h"

namespace knock {

/// One sign-in at its own moment, what others said yes to, and how a message would describe it.
struct MadeUp {
  Session session;
  std::vector<Approval> approvals;
  Counterexample shown;  // without service, rule and reason

  void move_to(const IpAddress& address);
};

/// What a test leaves open, settled for one kind of person.
struct Traits {
  std::string subject;
  SignInName source;
  std::vector<GroupName> groups;
  std::map<std::string, std::vector<std::string>> claims;
  std::string acr;
  std::optional<Duration> mfa_age;  // at the sign-in
};

/// Where sign-ins can come from, as far as this policy can tell them apart: every source it names,
/// one that it does not name, and "grant". Keeps a reference to the policy.
class Sources {
 public:
  explicit Sources(const Policy& policy);

  /// Named ones sorted, then the one without a name.
  const std::vector<SignInName>& all() const { return all_; }
  static const SignInName& grant();
  bool is_unnamed(const SignInName& source) const { return source == all_.back(); }
  /// A sign-in from there can make somebody a member of all of these.
  bool hears(const SignInName& source, const std::vector<GroupName>& groups) const;
  bool hears(const SignInName& source, const GroupName& group) const;
  /// Some source hears every group, each by a word of its own: whatever groups an operator's grant
  /// joins, a sign-in there can join too.
  bool one_says_all() const { return one_says_all_; }
  /// Another group listens to the same word, so that nobody joins the one without the other.
  bool shares_word(const GroupName& group) const;
  /// A subject that no rule names.
  const std::string& nobody() const { return nobody_; }
  /// Sources at which rules name this subject.
  std::vector<SignInName> naming(const std::string& subject) const;
  /// The two parts of a test's `user`: what follows the last "@" is a source when the policy names
  /// it as one, or when it is no domain.
  std::pair<std::string, std::optional<SignInName>> split_user(const std::string& user) const;

  MadeUp person(const Traits& traits, const IpAddress& address, Instant at) const;
  /// Everybody said yes whom this rule asks.
  void approve(MadeUp& person, const AllowRule& rule) const;

 private:
  const Policy& policy_;
  std::vector<SignInName> all_;
  std::string nobody_ = "somebody";
  std::map<std::string, unsigned> words_;  // groups by the source's word
  bool one_says_all_ = false;
};

}  // namespace knock
