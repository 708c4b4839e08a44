// SPDX-License-Identifier: Apache-2.0
// Targets that left the policy, or stand elsewhere now, and were not drained when an earlier process
// ended: what the log says stands there still has to be closed. Where they are is in the policies
// that the store keeps.
#include "base/log.h"
#include "reconciler/loop/due.h"
#include "reconciler/loop/reconciler.h"
#include "reconciler/loop/target_state.h"
#include "schemas/policy/load.h"

namespace knock {
namespace {

constexpr int kPoliciesBack = 16;  // adoptions; the files of a few of them are kept
constexpr std::string_view kFormer = " (former place";

/// "edge (former place 2)" was `edge` once.
std::string name_in_policy(const TargetName& name) {
  return name.value.substr(0, name.value.find(kFormer));
}

}  // namespace

/// At a start. Cheap: of each target one record is decoded.
Status Reconciler::note_target(std::set<TargetName>& targets, const Record& record) {
  static const std::string applied(kind_of(ChangeApplied{}));
  if (record.fact.kind != applied) return {};
  constexpr std::string_view member = "\"target\":\"";
  auto at = record.fact.public_json.find(member);
  if (at != std::string::npos) {
    at += member.size();
    auto end = record.fact.public_json.find('"', at);
    if (targets.contains(TargetName(record.fact.public_json.substr(at, end - at)))) return {};
  }
  KNOCK_ASSIGN(auto fact, decode(record.fact));
  if (const auto* one = std::get_if<ChangeApplied>(&fact)) targets.insert(one->target);
  return {};
}

/// Of a policy that the store keeps: its target of this name. With the mutex.
std::optional<Target> Reconciler::target_then(const PolicyRevision& revision,
                                              const TargetName& name) const {
  auto kept = store_.kept_policy(revision);
  if (!kept || !*kept || (*kept)->files.empty()) return std::nullopt;
  auto load = load_policy((*kept)->files, revision, {});
  const Target* then = load.policy ? load.policy->target(name) : nullptr;
  return then == nullptr ? std::nullopt : std::optional(*then);
}

/// What the newest policy said of it that still had it there. With the mutex.
std::optional<Target> Reconciler::former_target(const TargetName& name) const {
  TargetName in_policy(name_in_policy(name));
  bool moved = in_policy != name;
  const Target* now = policy_->target(in_policy);
  Instant before = Instant::max();
  for (int i = 0; i < kPoliciesBack; ++i) {
    auto adoption = store_.adoption_at(before);
    if (!adoption || !*adoption) break;
    before = (*adoption)->at - Duration{1};
    // Two may have been adopted within one millisecond.
    for (const auto& revision : {(*adoption)->revision, (*adoption)->previous}) {
      auto then = target_then(revision, in_policy);
      if (!then || (moved && now != nullptr && same_place(*then, *now))) continue;
      then->name = name;
      return then;
    }
  }
  return std::nullopt;
}

/// Once, when the first policy of this process is in force. With the mutex.
void Reconciler::take_up_leaving() {
  // A call whose answer was lost may have opened something as well.
  std::set<TargetName> asked;
  for (const ChangeIntended& intent : open_intents_) asked.insert(intent.target);
  known_by_log_.insert(asked.begin(), asked.end());
  for (const TargetName& name : std::exchange(known_by_log_, {})) {
    if (targets_.contains(name)) continue;
    auto applied = store_.applied(name);
    if (!applied) continue;
    if (applied->empty() && !asked.contains(name)) continue;
    auto target = former_target(name);
    if (!target) {
      log(LogLevel::error, "target.place-unknown",
          "Something of ours stands on a target that no policy knows any more, and where it is "
          "nobody knows either. What has no end of its own there must be closed by hand.",
          {{"target", name.value}, {"entries", std::to_string(applied->size())}});
      continue;
    }
    auto state = std::make_unique<TargetState>(name, std::move(*target));
    state->leaving = true;
    enqueue(*state);
    read_records(*state);
    if (auto known = protection_.extract(name)) state->protected_before = known.mapped();
    if (auto known = custody_.find(name); known != custody_.end()) state->custody = known->second;
    mark_at_once(*targets_.emplace(name, std::move(state)).first->second, Urgency::close);
  }
}

}  // namespace knock
