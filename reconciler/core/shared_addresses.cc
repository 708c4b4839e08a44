// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/shared_addresses.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"

namespace knock {
namespace {

using People = std::map<Principal, std::string>;  // with the name that people know

/// The people behind one address, when they are several.
struct Behind {
  People people;
  std::map<SessionId, Principal> sessions;
};

using ByAddress = std::map<IpAddress, Behind>;

/// Addresses of one person alone are left out: of many sessions, few share theirs.
ByAddress shared_by_several(std::span<const Session> sessions, Instant now) {
  std::vector<const Session*> live;
  live.reserve(sessions.size());
  for (const Session& session : sessions)
    if (session.live_at(now)) live.push_back(&session);
  std::sort(live.begin(), live.end(),
            [](const Session* a, const Session* b) { return a->address < b->address; });
  ByAddress out;
  for (auto first = live.begin(); first != live.end();) {
    auto other = [&](const Session* session) { return session->address != (*first)->address; };
    auto last = std::find_if(first, live.end(), other);
    bool several = std::any_of(first, last, [&](const Session* session) {
      return session->principal != (*first)->principal;
    });
    if (several) {
      Behind& behind = out[(*first)->address];
      for (auto at = first; at != last; ++at) {
        behind.people.emplace((*at)->principal, (*at)->principal.name);
        behind.sessions.emplace((*at)->id, (*at)->principal);
      }
    }
    first = last;
  }
  return out;
}

std::string names_of(const People& people) {
  constexpr std::size_t most = 8;
  std::vector<std::string> names;
  for (const auto& [principal, name] : people) names.push_back(name);
  std::sort(names.begin(), names.end());
  if (names.size() <= most) return join(names, ", ");
  auto more = names.size() - (most - 1);
  names.resize(most - 1);
  return fmt::format("{} and {} more", join(names, ", "), more);
}

/// By address and service: those whose right opens it there.
using Entitled = std::map<std::pair<IpAddress, ServiceName>, People>;

void collect(const Allowlist& list, const ByAddress& shared, Entitled& out) {
  for (const ServiceEntries& service : list.services)
    for (const Entry& entry : service.entries) {
      if (!entry.prefix.is_host()) continue;
      auto behind = shared.find(entry.prefix.first());
      if (behind == shared.end()) continue;
      for (const Attribution& cause : entry.causes) {
        auto session = behind->second.sessions.find(cause.session);
        if (cause.kind == Attribution::Kind::session && session != behind->second.sessions.end())
          out[{behind->first, service.service}].emplace(session->second, session->second.name);
      }
    }
}

std::string sentence(const IpAddress& address, const ServiceName& service, const Behind& behind,
                     const People& entitled, const People& others) {
  return fmt::format(
      "{} is shared by {} people: {} opens there for {}, and lets in {} without a right to it: {}",
      address.to_string(), behind.people.size(), service.value, names_of(entitled),
      counted(others.size(), "person", "people"), names_of(others));
}

Finding finding(std::string text) {
  return {Finding::Level::warning, "address.shared", TargetName(), std::move(text)};
}

}  // namespace

std::vector<Finding> shared_addresses(std::span<const Allowlist> lists,
                                      std::span<const Session> sessions, Instant now,
                                      std::span<const TargetName> only) {
  auto shared = shared_by_several(sessions, now);
  if (shared.empty()) return {};
  Entitled entitled;
  for (const Allowlist& list : lists)
    if (only.empty() || std::find(only.begin(), only.end(), list.target) != only.end())
      collect(list, shared, entitled);
  std::vector<Finding> out;
  std::size_t more = 0;
  for (const auto& [key, people] : entitled) {
    const Behind& behind = shared.at(key.first);
    People others = behind.people;
    for (const auto& [principal, name] : people) others.erase(principal);
    if (others.empty()) continue;
    if (out.size() == kSharedAddressesNamed)
      ++more;
    else
      out.push_back(finding(sentence(key.first, key.second, behind, people, others)));
  }
  if (more > 0)
    out.push_back(
        finding(fmt::format("{} more where people share an address and not all of them may reach "
                            "what opens there",
                            counted(more, "case", "cases"))));
  return out;
}

}  // namespace knock
