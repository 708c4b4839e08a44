// SPDX-License-Identifier: Apache-2.0
// Which rules a session may meet, by its groups and its name, so that with thousands of rules it
// does not look at each of them. Sorted vectors: the same answer in the same order every time. It
// names rules too many rather than too few; the conditions decide.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "schemas/policy/policy.h"
#include "schemas/session/session.h"

namespace knock {

/// Of one policy, which outlives it. Const functions may be called from any thread.
class RuleIndex {
 public:
  explicit RuleIndex(const Policy& policy);
  /// Indices into policy.allow, ascending, each once.
  void rules_for(const Session& session, std::vector<std::uint32_t>& out) const;
  /// What `who` of one of the policy's rules names; a name that nothing bears is left out.
  std::span<const Group* const> groups_of(const AllowRule& rule) const;

 private:
  using ByText = std::vector<std::pair<std::string_view, std::uint32_t>>;

  const Policy& policy_;
  ByText groups_by_idp_;                              // → index of the group
  std::vector<std::vector<std::uint32_t>> rules_of_;  // of each group
  std::vector<const Group*> groups_;                  // of each rule, one after the other
  std::vector<std::size_t> starts_;                   // where a rule's begin; one more
  ByText rules_by_subject_;                           // only where no group is asked for
};

}  // namespace knock
