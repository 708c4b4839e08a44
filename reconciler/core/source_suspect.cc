// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/source_suspect.h"

#include <algorithm>
#include <set>

namespace knock {
namespace {

std::vector<std::string> sorted(std::vector<std::string> groups) {
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  return groups;
}

bool loses(const std::vector<std::string>& before, const std::vector<std::string>& now) {
  return !std::includes(now.begin(), now.end(), before.begin(), before.end());
}

}  // namespace

void SourceSuspect::restore(std::span<const Session> live) {
  for (const Session& session : live) {
    if (!session.groups_until) continue;
    Source& source = sources_[session.source];
    source.until = std::max(source.until.value_or(*session.groups_until), *session.groups_until);
    source.kept.emplace(session.id, session.principal.key());
  }
}

/// `sessions`: those that have groups now, kept ones among them.
bool SourceSuspect::is_much(const Source& source, std::size_t sessions) {
  std::set<std::string> people;
  for (const Loss& loss : source.losses) people.insert(loss.who);
  for (const auto& [id, who] : source.kept) people.insert(who);
  std::size_t lost = source.losses.size() + source.kept.size();
  std::size_t all = sessions + source.losses.size();
  return lost >= kSuspectFrom && people.size() > 1 && lost * 100 > all * kSuspectPercent;
}

/// Whoever is kept has no groups any more.
void SourceSuspect::believe(Source& source, const SignInName& name, const char* how, Outcome& out) {
  for (const auto& [id, who] : source.kept)
    out.sessions.push_back(SessionGroups{id, true, std::nullopt, {}});
  source.kept.clear();
  source.until.reset();
  out.cleared.push_back(SourceCleared{name, how});
}

SourceSuspect::Outcome SourceSuspect::refreshed(const SignInName& name,
                                                std::span<const Session> live,
                                                std::span<const GroupsSaid> said, Instant now,
                                                bool certain) {
  Outcome out;
  if (auto before = sources_.find(name);
      before != sources_.end() && before->second.until && *before->second.until <= now)
    believe(before->second, name, "believed", out);
  Source& source = sources_[name];
  while (!source.losses.empty() && source.losses.front().at + kRefreshWindow <= now)
    source.losses.pop_front();
  std::map<SessionId, const Session*> by_id;
  std::size_t with_groups = 0;
  for (const Session& session : live) {
    by_id.emplace(session.id, &session);
    with_groups += !session.groups.empty();
  }
  std::set<SessionId> believed;  // by this very call
  for (const SessionGroups& one : out.sessions) believed.insert(one.session);
  std::vector<const Session*> lost;
  for (const GroupsSaid& one : said) {
    auto at = by_id.find(one.session);
    if (at == by_id.end() || believed.contains(one.session)) continue;
    const Session& session = *at->second;
    auto groups = sorted(one.groups);
    bool kept = source.kept.contains(session.id);
    if (groups == session.groups && !kept) continue;
    if (kept && groups.empty()) continue;
    if (!kept && groups.empty()) {
      lost.push_back(&session);
      continue;
    }
    source.kept.erase(session.id);
    out.sessions.push_back(
        SessionGroups{session.id, loses(session.groups, groups), std::nullopt, groups});
  }
  std::vector<const Session*> fresh;
  for (const Session* session : lost)
    if (source.kept.emplace(session->id, session->principal.key()).second) fresh.push_back(session);
  if (!certain && is_much(source, with_groups)) {
    if (fresh.empty()) return out;
    if (!source.until) {
      source.until = now + kSuspectFor;
      out.suspected = SourceSuspected{name, source.losses.size() + source.kept.size(),
                                      with_groups + source.losses.size(), *source.until};
    }
    for (const Session* session : fresh)
      out.sessions.push_back(SessionGroups{session->id, true, source.until, {}});
    return out;
  }
  for (const Session* session : fresh) {
    source.kept.erase(session->id);
    out.sessions.push_back(SessionGroups{session->id, true, std::nullopt, {}});
    source.losses.push_back({now, session->id, session->principal.key()});
  }
  if (source.until) believe(source, name, "recovered", out);
  return out;
}

SourceSuspect::Outcome SourceSuspect::at(Instant now) {
  Outcome out;
  for (auto& [name, source] : sources_)
    if (source.until && *source.until <= now) believe(source, name, "believed", out);
  return out;
}

std::optional<Instant> SourceSuspect::next() const {
  std::optional<Instant> out;
  for (const auto& [name, source] : sources_)
    if (source.until && (!out || *source.until < *out)) out = source.until;
  return out;
}

void SourceSuspect::forget(const SessionId& session) {
  for (auto& [name, source] : sources_) source.kept.erase(session);
}

std::map<SignInName, SourceSuspect::State> SourceSuspect::suspects() const {
  std::map<SignInName, State> out;
  for (const auto& [name, source] : sources_)
    if (source.until) out.emplace(name, State{*source.until, source.kept.size()});
  return out;
}

void apply_groups(Session& session, const SessionGroups& fact) {
  session.groups_until = fact.kept_until;
  if (fact.kept_until) return;
  session.groups = fact.groups;
  session.groups_lost = session.groups_lost || fact.lost;
}

}  // namespace knock
