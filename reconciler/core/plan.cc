// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "reconciler/core/capacity.h"
#include "reconciler/core/cost.h"
#include "reconciler/core/guard.h"
#include "reconciler/core/live_sessions.h"
#include "reconciler/core/order.h"

namespace knock {
namespace {

template <class Rules>
bool any_rule_reaches(const Rules& rules, const std::set<ServiceName>& services) {
  return std::any_of(rules.begin(), rules.end(), [&](const auto& rule) {
    return std::any_of(rule.to.begin(), rule.to.end(),
                       [&](const ServiceName& name) { return services.contains(name); });
  });
}

bool grants_nothing_on(const Policy& policy, const TargetName& target) {
  std::set<ServiceName> services;
  for (const Service& service : policy.services)
    if (std::binary_search(service.targets.begin(), service.targets.end(), target))
      services.insert(service.name);
  return !any_rule_reaches(policy.allow, services) && !any_rule_reaches(policy.statics, services);
}

/// Answers whether deny rules close the whole of a prefix at a service to everybody.
class DeniedNetworks {
 public:
  explicit DeniedNetworks(const Policy& policy) : policy_(policy) {}
  bool cover(const std::string& slot, const Prefix& prefix) {
    auto [at, fresh] = by_service_.try_emplace(slot);
    if (fresh) at->second = without_nested(denied_networks(policy_, ServiceName(slot)));
    const auto& networks = at->second;
    // Disjoint and sorted: one that covers it stands just before it, those inside it follow.
    auto next = std::upper_bound(networks.begin(), networks.end(), prefix);
    if (next != networks.begin() && std::prev(next)->contains(prefix)) return true;
    auto end = next;
    while (end != networks.end() && prefix.contains(*end)) ++end;
    return next != end && subtract(prefix, {next, end}).empty();
  }

 private:
  const Policy& policy_;
  std::map<std::string, std::vector<Prefix>> by_service_;
};

void count(const Observed& observed, TargetPlan& plan) {
  for (const auto& slot : observed.slots)
    for (const auto& item : slot.items) ++(item.ours ? plan.owned : plan.foreign);
}

/// Without a reading, only our own records speak, and they may only close.
Observed nothing_read() {
  Observed out;
  out.complete = false;
  return out;
}

/// Joined where there is no room for every one alone.
std::optional<Canonical> joined_for_want_of_room(const TargetPlanInput& in) {
  auto room = room_of(in.target, in.capabilities);
  if (in.only || !room.limited() || entries_of(in.desired) <= room.sessions ||
      !may_join(in.capabilities))
    return std::nullopt;
  return with_neighbours_joined(in.desired);
}

/// Of those who are not known, nothing is known of their haste.
std::function<Instant(const SessionId&)> when_asked(std::span<const Session> sessions) {
  return [sessions, known = std::map<SessionId, Instant>()](const SessionId& id) mutable {
    if (known.empty())
      for (const Session& session : sessions) known.emplace(session.id, session.created);
    auto at = known.find(id);
    return at == known.end() ? Instant::max() : at->second;
  };
}

std::vector<Change> changes_of(const TargetPlanInput& in, const Observed& observed) {
  auto joined = joined_for_want_of_room(in);
  DeniedNetworks networks(in.policy);
  LiveSessions own(in.policy, {in.now, in.sessions, in.approvals});
  LiveSessions& sessions = in.live != nullptr ? *in.live : own;
  DiffInput input{in.target.name,
                  in.capabilities,
                  joined ? *joined : in.desired,
                  in.desired_in_force,
                  observed,
                  in.applied,
                  in.now,
                  in.ended};
  input.denied = [&](const std::string& slot, const Prefix& p) { return networks.cover(slot, p); };
  input.denied_session = [&](const std::string& slot, const SessionId& id) {
    return sessions.denied(slot, id);
  };
  input.limited_session = [&](const std::string& slot, const SessionId& id) {
    return sessions.limited(slot, id);
  };
  input.regrouped = [&](const SessionId& id) { return sessions.regrouped(id); };
  input.only = in.only;
  input.protected_before = in.protected_before;
  input.had_ticket = in.had_ticket;
  input.owns_container =
      ownership_now(in.target, in.stewardship) == Ownership::exclusive && in.stewardship.exclusive;
  input.adopted = in.stewardship.adopted;
  return diff(input);
}

/// True when somebody signed in for it since the record was written.
bool asked_for_since(const Change& change, std::span<const AppliedEntry> applied) {
  auto was = std::find_if(applied.begin(), applied.end(), [&](const AppliedEntry& entry) {
    return entry.slot == change.slot && entry.prefix == change.prefix;
  });
  if (was == applied.end()) return false;
  return std::any_of(change.causes.begin(), change.causes.end(), [&](const Attribution& now) {
    return now.kind == Attribution::Kind::session &&
           std::none_of(was->causes.begin(), was->causes.end(),
                        [&](const Attribution& before) { return before.session == now.session; });
  });
}

/// What somebody else changed and policy says to leave: reported, or with `heal: off` not even
/// that. What stays open longer than it may is no matter of healing: it is closed.
void leave_drift(const TargetPlanInput& in, std::vector<Change>& changes,
                 std::vector<Finding>& findings) {
  if (in.target.heal == Heal::on) return;
  bool warn = in.target.heal == Heal::warn;
  std::size_t rules = 0;
  std::vector<Change> kept;
  for (Change& change : changes) {
    bool left = change.reason == Reason::drift && change.action != Action::shorten &&
                change.action != Action::report;
    if (left && change.action == Action::add && asked_for_since(change, in.applied)) {
      change.reason = Reason::sign_in;
      change.detail = "somebody else removed it, and it was asked for again";
    } else if (left) {
      bool entry = is_entry(change);
      rules += !entry;
      if (!entry || !warn) continue;
      change.action = Action::report;
      change.detail = (change.detail.empty() ? "" : change.detail.get() + "; ") +
                      fmt::format("left as it is (heal: {})", to_string(in.target.heal));
    }
    kept.push_back(std::move(change));
  }
  changes = std::move(kept);
  if (rules > 0 && warn)
    findings.push_back({Finding::Level::warning, "target.drift-left", in.target.name,
                        fmt::format("{} of its rules {} by somebody else, and left so (heal: "
                                    "warn)",
                                    rules, rules == 1 ? "was changed" : "were changed")});
}

/// Of what a guard holds back, or a pause: whoever has left since is not let in by others whom the
/// hold keeps in. What stands is shortened to the time of those who remain, without anybody's yes.
void shorten_what_is_held(const TargetPlanInput& in, const std::vector<Change>& held,
                          std::vector<Change>& changes) {
  LiveSessions own(in.policy, {in.now, in.sessions, in.approvals});
  LiveSessions& sessions = in.live != nullptr ? *in.live : own;
  for (const Change& change : held) {
    if (change.action != Action::remove || !change.was_until) continue;
    std::vector<Attribution> remain;
    Instant latest = in.now;
    Reason why = Reason::expiry;
    bool by_connection = false;
    for (const Attribution& cause : change.causes) {
      by_connection = by_connection || cause.lasts != Lasts::until_deadline;
      if (cause.until <= in.now) continue;
      if (cause.kind == Attribution::Kind::session) {
        auto end = in.ended ? in.ended(cause.session) : std::nullopt;
        bool denied = !end && sessions.denied(change.slot, cause.session);
        if (end || denied) {
          why = denied                      ? Reason::denied
                : *end == EndCause::revoked ? Reason::revoked
                : *end == EndCause::expired ? why
                                            : Reason::sign_out;
          continue;
        }
      }
      latest = std::max(latest, cause.until);
      remain.push_back(cause);
    }
    if (by_connection || remain.empty() || latest >= *change.was_until) continue;
    Change& shorter = changes.emplace_back(change);
    shorter.action = Action::shorten;
    shorter.reason = why;
    shorter.until = latest;
    shorter.causes = std::move(remain);
    shorter.detail = SharedText();
  }
}

/// What a pause leaves for later.
std::vector<Change> postpone(std::vector<Change>& changes) {
  std::vector<Change> now, out;
  for (Change& change : changes)
    (may_not_be_put_off(change) || change.action == Action::report ? now : out)
        .push_back(std::move(change));
  changes = std::move(now);
  return out;
}

Finding cut_for_a_moment(const TargetName& target, std::size_t changes) {
  return {
      Finding::Level::warning, "plan.cut", target,
      fmt::format("{} before what takes over can open: services exchange ports, and somebody may "
                  "be cut for a moment; two commits, the first with all the ports on both, "
                  "avoid it",
                  counted(changes, "change closes", "changes close"))};
}

Finding read_in_part(const TargetName& target) {
  return {
      Finding::Level::warning, "plan.partial", target,
      "was read only in part; what was not seen may be there, so nothing is changed but closing "
      "what must close"};
}

std::size_t count_writes(std::span<const Change> changes) {
  return std::size_t(std::count_if(changes.begin(), changes.end(), [](const Change& change) {
    return change.action != Action::report;
  }));
}

/// What a reviewer should know about this kind of target.
void add_limits(const TargetPlanInput& in, const Waiting& waiting, TargetPlan& plan) {
  auto note = [&](Finding::Level level, const char* id, std::string sentence) {
    plan.findings.push_back({level, id, plan.target, std::move(sentence)});
  };
  auto any = [&](Action action) {
    return std::any_of(plan.changes.begin(), plan.changes.end(),
                       [&](const Change& change) { return change.action == action; });
  };
  if (waiting.entries > 0)
    note(Finding::Level::warning, "target.full",
         fmt::format("has room for {}: {} until something goes",
                     counted(room_of(in.target, in.capabilities).all, "entry", "entries"),
                     counted(waiting.entries, "addition waits", "additions wait")));
  using Cuts = Capabilities::CutsEstablished;
  if (any(Action::remove) && in.capabilities.cuts_established == Cuts::never)
    note(Finding::Level::warning, "target.keeps-connections",
         "does not end connections that are open when an entry goes: who is connected stays so");
  if (any(Action::add) && !in.capabilities.comments)
    note(Finding::Level::note, "target.no-comments",
         "has no room for marks: what is there cannot be told from what others put there");
}

bool counts_for_id(const Change& change) {
  return change.reason == Reason::policy || change.reason == Reason::configuration;
}

}  // namespace

PlannedTarget plan_target(const TargetPlanInput& in) {
  PlannedTarget out;
  out.plan.target = in.target.name;
  out.plan.type = in.target.type;
  out.plan.findings = in.desired.findings;
  if (!in.observed) {
    out.plan.readable = false;
    out.plan.unreadable_because = in.observed.error().text();
    out.plan.changes = changes_of(in, nothing_read());
    if (ownership_now(in.target, in.stewardship) == Ownership::observe)
      only_observe(out.plan.changes, in.capabilities, nothing_read());
    order(out.plan.changes, {});
    out.plan.writes = count_writes(out.plan.changes);
    return out;
  }
  const Observed& observed = *in.observed;
  out.plan.fence = observed.fence;
  count(observed, out.plan);
  if (!observed.complete) out.plan.findings.push_back(read_in_part(in.target.name));
  if (observed.complete && !in.only) out.plan.state = state_of(observed);
  if (!in.only)
    for (Finding& finding :
         ownership_findings(in.target, in.stewardship, in.capabilities, observed))
      out.plan.findings.push_back(std::move(finding));
  if (observed.other_owner) {
    out.plan.calls = out.plan.least_calls = 0;
    return out;
  }
  auto changes = changes_of(in, observed);
  leave_drift(in, changes, out.plan.findings);
  if (in.stewardship.orphaned) leave_standing(changes, in.capabilities, observed);
  if (ownership_now(in.target, in.stewardship) == Ownership::observe)
    only_observe(changes, in.capabilities, observed);
  Guarded guarded;
  if (in.acknowledged)
    guarded.pass = std::move(changes);
  else
    guarded = guard(std::move(changes),
                    {in.target.name, in.capabilities, observed,
                     grants_nothing_on(in.policy, in.target.name), in.applied, in.now,
                     in.limits_in_force != nullptr ? stricter(*in.limits_in_force, in.policy.guards)
                                                   : in.policy.guards,
                     in.tripped_before, in.operators, in.returning});
  out.plan.changes = std::move(guarded.pass);
  out.plan.held = std::move(guarded.held);
  if (in.paused) {
    auto later = postpone(out.plan.changes);
    out.postponed = later.size();
    shorten_what_is_held(in, later, out.plan.changes);
  }
  if (!out.plan.held.empty()) shorten_what_is_held(in, out.plan.held, out.plan.changes);
  // Of what is really done now: what is held leaves no place.
  Waiting waiting;
  if (observed.complete && !in.only)
    waiting = let_wait(out.plan.changes, observed, in.capabilities,
                       room_of(in.target, in.capabilities), when_asked(in.sessions));
  out.trips = std::move(guarded.trips);
  if (guarded.surge) out.plan.findings.push_back(std::move(*guarded.surge));
  auto broken = order(out.plan.changes, observed.structure, &observed.slots);
  order(out.plan.held, observed.structure, &observed.slots);
  if (broken > 0) out.plan.findings.push_back(cut_for_a_moment(in.target.name, broken));
  add_limits(in, waiting, out.plan);
  out.plan.writes = count_writes(out.plan.changes);
  out.plan.calls = calls_for(in.capabilities, out.plan.changes);
  out.plan.least_calls = least_calls_for(in.capabilities, out.plan.changes);
  return out;
}

Digest plan_id(const PolicyRevision& to, std::span<const TargetPlan> targets) {
  std::vector<std::string> lines;
  for (const TargetPlan& target : targets)
    for (const auto* list :
         {&target.changes, &target.held})  // what is held is what is acknowledged
      for (const Change& change : *list) {
        if (list == &target.changes && !counts_for_id(change)) continue;
        std::string line =
            fmt::format("{} {} {} {} {}", target.target.value, to_string(change.action),
                        change.slot, change.prefix.to_string(), to_string(change.ports));
        for (const Prefix& keep : change.keep) line += " " + keep.to_string();
        lines.push_back(std::move(line));
      }
  std::sort(lines.begin(), lines.end());
  return sha256("knock plan 1\n" + to.value + "\n" + join(lines, "\n"));
}

Digest state_of(const Observed& observed) {
  Sha256 digest;
  auto line = [&](std::string_view what, const std::string& where, const std::string& value) {
    digest.add(fmt::format("{} {} {}\n", what, where, value));
  };
  line("exists", "", observed.exists ? "yes" : "no");
  line("rules", "", observed.structure_differs ? "other" : "ours");
  line("protect", "", to_string(observed.structure.protect));
  for (const Prefix& keep : observed.structure.keep) line("keep", "", keep.to_string());
  for (const auto& [slot, ports] : observed.structure.slots) line("slot", slot, to_string(ports));
  for (const ObservedSlot& slot : observed.slots)
    for (const ObservedItem& item : slot.items)
      if (!item.ours) line("foreign", slot.name, item.prefix.to_string());
  return digest.finish();
}

Plan assemble(PolicyRevision from, PolicyRevision to, std::uint64_t sequence, Instant as_of,
              std::vector<PlannedTarget> targets, PeopleChanges people) {
  Plan plan;
  plan.from = std::move(from);
  plan.to = std::move(to);
  plan.sequence = sequence;
  plan.as_of = as_of;
  plan.seen_within = kSeenWithin;
  plan.figures = std::move(people.figures);
  plan.people = std::move(people.people);
  plan.cuts = std::move(people.cuts);
  std::sort(targets.begin(), targets.end(), [](const PlannedTarget& a, const PlannedTarget& b) {
    return a.plan.target < b.plan.target;
  });
  for (PlannedTarget& target : targets) {
    plan.guards.insert(plan.guards.end(), target.trips.begin(), target.trips.end());
    plan.targets.push_back(std::move(target.plan));
  }
  plan.id = plan_id(plan.to, plan.targets);
  return plan;
}

Plan drift_of(Plan plan) {
  plan.scope.refresh_only = true;
  plan.edits.clear();
  plan.figures.clear();
  plan.people.clear();
  plan.cuts.clear();
  std::erase_if(plan.findings, [](const Finding& finding) { return finding.id == "target.gone"; });
  auto is_ours = [](const Change& change) { return group_of(change.reason) != "drift"; };
  for (TargetPlan& target : plan.targets) {
    std::erase_if(target.changes, is_ours);
    std::erase_if(target.held, is_ours);
    auto writes = count_writes(target.changes);
    if (writes != target.writes && target.calls != 1U) target.calls.reset();
    target.writes = writes;
    if (writes == 0) target.calls = 0;
  }
  std::erase_if(plan.guards, [&](const GuardTrip& trip) {
    return std::none_of(plan.targets.begin(), plan.targets.end(), [&](const TargetPlan& target) {
      return target.target == trip.target && !target.held.empty();
    });
  });
  plan.id = plan_id(plan.to, plan.targets);
  return plan;
}

bool names_plan(std::string_view written, const Digest& id) {
  return written.size() >= 12 && written.size() <= 64 && to_hex(id).starts_with(written);
}

}  // namespace knock
