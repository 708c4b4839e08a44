// SPDX-License-Identifier: Apache-2.0
// Which sessions depend on which (evaluate.h), and when time alone opens something.
#include <algorithm>
#include <set>

#include "reconciler/core/evaluate.h"

namespace knock {
namespace {

std::set<Principal> people_in(std::span<const Session> sessions, const Prefix& prefix) {
  std::set<Principal> people;
  for (const Session& session : sessions)
    if (prefix.contains(session.address)) people.insert(session.principal);
  return people;
}

}  // namespace

Prefix Coupling::around(const IpAddress& address) const {
  return address.family() == Family::v6 ? Prefix::of(address, v6_prefix) : Prefix::host(address);
}

Coupling coupling_of(const Policy& policy) {
  Coupling out;
  for (const AllowRule& rule : policy.allow) {
    out.by_person = out.by_person || rule.max_ips_per_user.has_value();
    out.by_address = out.by_address || closes_shared(policy, rule);
    out.v6_prefix = std::min(out.v6_prefix, rule.v6_prefix);
  }
  return out;
}

std::vector<std::size_t> neighbours(const Coupling& coupling, std::span<const Session> sessions,
                                    const IpAddress& address) {
  Prefix here = coupling.around(address);
  std::set<Principal> people;
  std::set<Prefix> places;
  if (coupling.by_person) people = people_in(sessions, here);
  if (coupling.by_person && coupling.by_address)
    for (const Session& session : sessions)
      if (people.contains(session.principal)) places.insert(coupling.around(session.address));
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < sessions.size(); ++i)
    if (here.contains(sessions[i].address) || people.contains(sessions[i].principal) ||
        places.contains(coupling.around(sessions[i].address)))
      out.push_back(i);
  return out;
}

std::vector<Prefix> touched_by(const Policy& policy, std::span<const Session> sessions,
                               const Session& session) {
  Coupling coupling = coupling_of(policy);
  Openings openings(policy, {}, false);
  std::set<Prefix> rows;
  auto add = [&](const Session& one) {
    auto its = openings.rows(one);
    rows.insert(its.begin(), its.end());
  };
  add(session);
  Prefix here = coupling.around(session.address);
  std::set<Principal> people;
  if (coupling.by_person && coupling.by_address) people = people_in(sessions, here);
  if (coupling.by_person) people.insert(session.principal);
  if (coupling.by_person || coupling.by_address)
    for (const Session& other : sessions)
      if ((coupling.by_address && here.contains(other.address)) || people.contains(other.principal))
        add(other);
  return {rows.begin(), rows.end()};
}

std::optional<Instant> next_opening_of(const Policy& policy, Instant now) {
  std::optional<Instant> first;
  std::set<std::vector<Window>> seen;
  for (const AllowRule& rule : policy.allow) {
    if (rule.schedule.empty() || !seen.insert(rule.schedule).second) continue;
    auto at = next_opening(rule.schedule, policy.zones, now);
    if (at && (!first || *at < *first)) first = at;
  }
  return first;
}

std::optional<Instant> next_change_by_time(const Policy& policy, std::span<const Session> sessions,
                                           Instant now) {
  bool anybody = std::any_of(sessions.begin(), sessions.end(),
                             [&](const Session& session) { return session.live_at(now); });
  return anybody ? next_opening_of(policy, now) : std::nullopt;
}

}  // namespace knock
