// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/live_sessions.h"

#include <algorithm>
#include <tuple>

#include "reconciler/core/evaluate.h"

namespace knock {

LiveSessions::LiveSessions(const Policy& policy, const Circumstances& circumstances)
    : policy_(policy), circumstances_(circumstances), conditions_(policy, circumstances) {
  Coupling coupling = coupling_of(policy);
  counting_ = coupling.by_person || coupling.by_address;
}

const Session* LiveSessions::find(const SessionId& id) {
  auto before = [](const Session* a, const Session* b) {
    return std::tie(a->id, a) < std::tie(b->id, b);
  };
  if (!sorted_) {
    sorted_ = true;
    for (const Session& session : circumstances_.sessions)
      if (session.live_at(circumstances_.now)) live_.push_back(&session);
    if (!std::is_sorted(live_.begin(), live_.end(), before))
      std::sort(live_.begin(), live_.end(), before);
  }
  auto at = std::lower_bound(live_.begin(), live_.end(), id,
                             [](const Session* a, const SessionId& b) { return a->id < b; });
  return at != live_.end() && (*at)->id == id ? *at : nullptr;
}

bool LiveSessions::denied(const std::string& slot, const SessionId& id) {
  if (policy_.deny.empty()) return false;
  const Session* session = find(id);
  return session != nullptr && is_denied(policy_, *session, ServiceName(slot));
}

bool LiveSessions::limited(const std::string& slot, const SessionId& id) {
  if (!counting_) return false;
  const Session* session = find(id);
  if (session == nullptr) return false;
  return std::ranges::any_of(rules_of(slot), [&](const AllowRule* rule) {
    auto missing = conditions_.judge(*rule, *session).missing;
    return missing == Condition::max_users_per_ip || missing == Condition::max_ips_per_user;
  });
}

bool LiveSessions::regrouped(const SessionId& id) {
  const Session* session = find(id);
  return session != nullptr && (session->groups_lost || session->groups_until);
}

const std::vector<const AllowRule*>& LiveSessions::rules_of(const std::string& slot) {
  auto [at, fresh] = rules_.try_emplace(slot);
  if (!fresh) return at->second;
  ServiceName service(slot);
  for (const AllowRule& rule : policy_.allow)
    if (std::binary_search(rule.to.begin(), rule.to.end(), service)) at->second.push_back(&rule);
  return at->second;
}

}  // namespace knock
