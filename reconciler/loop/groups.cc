// SPDX-License-Identifier: Apache-2.0
// Groups of people who are signed in, as their sources say them (reconciler/core/source_suspect.h).
// What closes does not wait for the record, as with the end of a session.
#include <algorithm>

#include "base/log.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"

namespace knock {
namespace {
constexpr Duration kSurgeShown = Duration::hours(1);
}  // namespace

Status Reconciler::groups_changed(const Actor& actor, const SignInName& source,
                                  std::span<const GroupsSaid> said, bool certain) {
  std::vector<Fact> facts;
  {
    Lock lock(mutex_);
    Instant now = clock_.now();
    std::vector<Session> live;
    for (const auto& [id, session] : live_)
      if (session.source == source && session.proof != Proof::grant && session.live_at(now))
        live.push_back(session);
    facts = take_groups(suspects_.refreshed(source, live, said, now, certain));
  }
  return record_groups(actor, std::move(facts));
}

std::map<SignInName, SourceSuspect::State> Reconciler::suspect_sources() const {
  Lock lock(mutex_);
  return suspects_.suspects();
}

/// With the mutex. The facts are to be written after it.
std::vector<Fact> Reconciler::take_groups(const SourceSuspect::Outcome& outcome) {
  std::vector<Fact> facts;
  if (outcome.suspected) {
    const SourceSuspected& one = *outcome.suspected;
    log(LogLevel::error, "source.suspect",
        "A sign-in source says of many people at once that they have no groups: it is not believed "
        "yet.",
        {{"source", one.source.value},
         {"lost", std::to_string(one.lost)},
         {"of", std::to_string(one.of)},
         {"until", to_string(one.until)}});
    facts.push_back(one);
  }
  for (const SessionGroups& one : outcome.sessions) {
    facts.push_back(one);
    auto at = live_.find(one.session);
    if (at == live_.end()) continue;
    // What the groups of before opened, and what those of now do.
    mark_touched(at->second, one.lost);
    apply_groups(at->second, one);
    mark_touched(at->second, one.lost);
  }
  for (const SourceCleared& one : outcome.cleared) {
    log(one.how == "recovered" ? LogLevel::warning : LogLevel::error, "source.cleared",
        one.how == "recovered" ? "A sign-in source that was suspect says groups again."
                               : "A sign-in source that was suspect is believed: who has no groups "
                                 "by it is closed out.",
        {{"source", one.source.value}});
    facts.push_back(one);
  }
  if (!outcome.sessions.empty() || !outcome.cleared.empty()) wake_timer();
  return facts;
}

/// Without the mutex. What cannot be written is tried again, so that a restart does not forget it.
Status Reconciler::record_groups(const Actor& actor, std::vector<Fact> facts) {
  auto written = record(actor, facts);
  if (written) return {};
  Lock lock(mutex_);
  for (Fact& fact : facts) unwritten_.emplace_back(actor, std::move(fact));
  return written;
}

/// Sources whose time is over are believed. Returns when the next is.
MonotonicTime Reconciler::end_suspicion(Lock& lock) {
  Instant now = clock_.now();
  auto next = suspects_.next();
  if (next && *next <= now) {
    auto facts = take_groups(suspects_.at(now));
    lock.unlock();
    (void)record_groups("core", std::move(facts));
    lock.lock();
    next = suspects_.next();
  }
  if (!next) return MonotonicTime::max();
  auto left = std::clamp(*next - now, Duration{0}, settings_.look_at_clock_every);
  return clock_.monotonic() + left.chrono();
}

/// Nobody waits for it, and somebody should look: it stays to be seen for a while.
void Reconciler::alarm_surge(TargetState& state, const TargetPlan& plan, Instant now) const {
  bool news = false;
  for (const Finding& finding : plan.findings) {
    if (finding.id != kSurge) continue;
    news = true;
    state.surge = {finding, now};
    log(LogLevel::error, "target.sign-in-surge",
        "More opens by sign-ins at once than a policy may open without being asked.",
        {{"target", state.name.value}, {"what", finding.sentence}});
    if (settings_.meter != nullptr) settings_.meter->surged(state.name);
  }
  if (state.surge && now >= state.surge->second + kSurgeShown) state.surge.reset();
  if (state.surge && !news) state.status.findings.push_back(state.surge->first);
}

// ---- operators ----

bool is_operator(std::span<const OperatorRule> rules, const Session& session) {
  if (session.proof == Proof::grant) return false;
  return std::any_of(rules.begin(), rules.end(), [&](const OperatorRule& rule) {
    if (rule.from != session.source) return false;
    return rule.group.empty()
               ? rule.user == session.principal.subject
               : std::binary_search(session.groups.begin(), session.groups.end(), rule.group);
  });
}

std::vector<OperatorHere> operators_among(std::span<const OperatorRule> rules,
                                          std::span<const Session> sessions, Instant now) {
  std::vector<OperatorHere> out;
  if (rules.empty()) return out;
  for (const Session& session : sessions)
    if (session.live_at(now) && is_operator(rules, session))
      out.push_back(
          {session.address, session.id,
           session.principal.name.empty() ? session.principal.subject : session.principal.name});
  return out;
}

}  // namespace knock
