// SPDX-License-Identifier: Apache-2.0
// Who is signed in, and what on the targets depends on it: a rule that counts makes one session's
// coming or going a matter of other addresses too.
#include <algorithm>

#include "reconciler/loop/backoff.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {

void Reconciler::add_live(const Session& session) {
  live_.emplace(session.id, session);
  by_address_.emplace(session.address, session.id);
  by_person_[session.principal].insert(session.id);
}

Session Reconciler::drop_live(std::map<SessionId, Session>::iterator at) {
  Session session = std::move(at->second);
  live_.erase(at);
  suspects_.forget(session.id);
  auto [first, last] = by_address_.equal_range(session.address);
  for (auto it = first; it != last; ++it)
    if (it->second == session.id) {
      by_address_.erase(it);
      break;
    }
  auto person = by_person_.find(session.principal);
  person->second.erase(session.id);
  if (person->second.empty()) by_person_.erase(person);
  return session;
}

void Reconciler::add_around(const IpAddress& address, std::set<SessionId>& out) const {
  Prefix around = coupling_.around(address);
  auto at = by_address_.lower_bound(around.first());
  for (; at != by_address_.end() && around.contains(at->first); ++at) out.insert(at->second);
}

/// As neighbours() in the core says, by the indexes.
std::set<SessionId> Reconciler::near(const IpAddress& address) const {
  std::set<SessionId> here;
  add_around(address, here);
  if (!coupling_.by_person) return here;
  std::set<SessionId> out = here;
  for (const SessionId& id : here) add_person(live_.at(id).principal, out);
  return out;
}

/// Everything of one person, and where people are counted whoever is at the same addresses.
void Reconciler::add_person(const Principal& who, std::set<SessionId>& out) const {
  auto person = by_person_.find(who);
  if (person == by_person_.end()) return;
  out.insert(person->second.begin(), person->second.end());
  if (!coupling_.by_address) return;
  for (const SessionId& id : person->second) add_around(live_.at(id).address, out);
}

std::vector<Session> Reconciler::sessions_of(const std::set<SessionId>& ids) const {
  std::vector<Session> out;
  out.reserve(ids.size());
  for (const SessionId& id : ids) out.push_back(live_.at(id));
  return out;
}

void Reconciler::policy_changed() {
  coupling_ = coupling_of(*policy_);
  opens_at_ = next_opening_of(*policy_, clock_.now());
  wake_timer();
}

/// What this session's coming or going may change: its own address, and where rules count, others.
void Reconciler::mark_touched(const Session& session, bool closing) {
  std::set<IpAddress> hosts{session.address};
  bool all = false;
  if (policy_ != nullptr && coupling_ != Coupling()) {
    std::set<SessionId> ids = near(session.address);
    if (coupling_.by_person) add_person(session.principal, ids);
    for (const Prefix& row : touched_by(*policy_, sessions_of(ids), session)) {
      hosts.insert(row.first());
      // What else overlaps a prefix matters to targets that hold no overlaps.
      all = all || !row.is_host();
    }
  }
  auto urgency = closing ? Urgency::close : Urgency::sign_in;
  for (auto& [name, state] : targets_) {
    if (all)
      mark(*state, std::nullopt, urgency);
    else
      for (const IpAddress& host : hosts) mark(*state, host, urgency);
  }
}

/// A schedule opens: what it gives to whom, a whole run tells.
void Reconciler::open_what_is_due() {
  Instant now = clock_.now();
  if (!opens_at_ || *opens_at_ > now) return;
  opens_at_ = next_opening_of(*policy_, now);
  if (live_.empty()) return;
  std::set<TargetName> targets;
  for (const AllowRule& rule : policy_->allow) {
    if (rule.schedule.empty()) continue;
    for (const ServiceName& name : rule.to)
      if (const Service* service = policy_->service(name))
        targets.insert(service->targets.begin(), service->targets.end());
  }
  for (const TargetName& name : targets)
    if (auto at = targets_.find(name); at != targets_.end())
      mark_at_once(*at->second, Urgency::policy);
}

}  // namespace knock
