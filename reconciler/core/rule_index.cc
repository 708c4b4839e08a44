// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/rule_index.h"

#include <algorithm>

namespace knock {
namespace {

using Entry = std::pair<std::string_view, std::uint32_t>;

struct ByFirst {
  bool operator()(const Entry& a, std::string_view b) const { return a.first < b; }
  bool operator()(std::string_view a, const Entry& b) const { return a < b.first; }
};

bool hears(const Group& group, const SignInName& source) {
  return group.from.empty() ||
         std::find(group.from.begin(), group.from.end(), source) != group.from.end();
}

}  // namespace

RuleIndex::RuleIndex(const Policy& policy) : policy_(policy), rules_of_(policy.groups.size()) {
  for (std::uint32_t i = 0; i < policy.groups.size(); ++i)
    groups_by_idp_.emplace_back(policy.groups[i].idp, i);
  for (std::uint32_t i = 0; i < policy.allow.size(); ++i) {
    const AllowRule& rule = policy.allow[i];
    starts_.push_back(groups_.size());
    for (const GroupName& name : rule.who)
      if (const Group* group = policy.group(name)) {
        rules_of_[std::size_t(group - policy.groups.data())].push_back(i);
        groups_.push_back(group);
      }
    if (!rule.who.empty()) continue;
    for (const UserRef& user : rule.users) rules_by_subject_.emplace_back(user.subject, i);
  }
  starts_.push_back(groups_.size());
  std::sort(groups_by_idp_.begin(), groups_by_idp_.end());
  std::sort(rules_by_subject_.begin(), rules_by_subject_.end());
}

void RuleIndex::rules_for(const Session& session, std::vector<std::uint32_t>& out) const {
  out.clear();
  auto add_group = [&](std::size_t index) {
    out.insert(out.end(), rules_of_[index].begin(), rules_of_[index].end());
  };
  for (const std::string& word : session.groups) {
    if (session.proof == Proof::grant) {
      const Group* group = policy_.group(GroupName(word));
      if (group != nullptr) add_group(std::size_t(group - policy_.groups.data()));
      continue;
    }
    auto [first, last] =
        std::equal_range(groups_by_idp_.begin(), groups_by_idp_.end(), word, ByFirst());
    for (auto at = first; at != last; ++at)
      if (hears(policy_.groups[at->second], session.source)) add_group(at->second);
  }
  auto [first, last] = std::equal_range(rules_by_subject_.begin(), rules_by_subject_.end(),
                                        session.principal.subject, ByFirst());
  for (auto at = first; at != last; ++at) out.push_back(at->second);
  if (std::is_sorted(out.begin(), out.end(), std::less_equal<>())) return;
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
}

std::span<const Group* const> RuleIndex::groups_of(const AllowRule& rule) const {
  auto index = std::size_t(&rule - policy_.allow.data());
  return std::span(groups_).subspan(starts_[index], starts_[index + 1] - starts_[index]);
}

}  // namespace knock
