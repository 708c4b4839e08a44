// SPDX-License-Identifier: Apache-2.0
#include "server/notify/watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "schemas/plan/view.h"
#include "schemas/refusal_id.h"

namespace knock::notify {
namespace {

constexpr std::size_t kLongestSentence = 1000;

/// Cut last: half an address is not seen as one.
std::string told(std::string_view text) {
  auto out = printable(without_addresses(text));
  if (out.size() > kLongestSentence) out.resize(kLongestSentence);
  while (invalid_utf8_at(out)) out.pop_back();
  return out;
}

/// A refusal of the source by its id alone: its sentence speaks of commits and of who may sign.
std::string why_refused(const PolicyRefused& fact) {
  auto id = refusal_id(fact.why);
  return !id.empty() && fact.why.starts_with(id) ? std::string(id) : told(fact.why);
}

std::string short_id(const PolicyRevision& revision) {
  return printable(revision.value).substr(0, 12);
}

Notice of_policy(const char* event, Instant at, const PolicyRevision& revision, CommitState state,
                 std::string sentence) {
  return {event, at, std::move(sentence), revision.value, "", state};
}

void tell(const Record& record, const PolicyAdopted& fact, std::vector<Notice>& out) {
  out.push_back(of_policy("policy.adopted", record.at, fact.revision, CommitState::success,
                          fmt::format("The policy {} is in force.", short_id(fact.revision))));
}
void tell(const Record& record, const PolicyRefused& fact, std::vector<Notice>& out) {
  out.push_back(
      of_policy("policy.refused", record.at, fact.revision, CommitState::failure,
                fmt::format("The policy {} is refused, and the one before it stays in force: {}",
                            short_id(fact.revision), why_refused(fact))));
}
void tell(const Record& record, const PolicyAdvanced& fact, std::vector<Notice>& out) {
  if (!fact.held) return;
  out.push_back(of_policy(
      "policy.held", record.at, fact.revision, CommitState::success,
      fmt::format(
          "The policy is held at {}: nothing newer comes into force until somebody says so.",
          short_id(fact.revision))));
}
Notice of_target(const char* event, const Record& record, const PolicyRevision& revision,
                 const TargetName& target, CommitState state, std::string sentence) {
  auto out = of_policy(event, record.at, revision, state, std::move(sentence));
  out.target = printable(target.value);
  return out;
}

void tell(const Record& record, const ConfirmationDue& fact, std::vector<Notice>& out) {
  out.push_back(of_target(
      "policy.confirmation-due", record, fact.policy, fact.target, CommitState::pending,
      fmt::format("{}: what the policy {} changes must be confirmed by {}, or it is taken back.",
                  printable(fact.target.value), short_id(fact.policy), to_string(fact.due))));
}
void tell(const Record& record, const PolicyConfirmed& fact, std::vector<Notice>& out) {
  out.push_back(of_target("policy.confirmed", record, fact.policy, fact.target,
                          CommitState::success,
                          fmt::format("{}: the policy {} is confirmed.",
                                      printable(fact.target.value), short_id(fact.policy))));
}
void tell(const Record& record, const PolicyReturned& fact, std::vector<Notice>& out) {
  out.push_back(of_target(
      "policy.returned", record, fact.policy, fact.target, CommitState::failure,
      fmt::format("{}: the policy {} was not confirmed in time, so {} holds there again. It is not "
                  "tried again until another revision is adopted or somebody says knock apply.",
                  printable(fact.target.value), short_id(fact.policy), short_id(fact.previous))));
}
void tell(const Record& record, const SourceSuspected& fact, std::vector<Notice>& out) {
  out.push_back(
      {"source.suspected",
       record.at,
       fmt::format("The sign-in source {} says of {} of {} sessions that they have no "
                   "groups any more. It is not believed before {}.",
                   printable(fact.source.value), fact.lost, fact.of, to_string(fact.until)),
       "",
       "",
       {}});
}
void tell(const Record& record, const SourceCleared& fact, std::vector<Notice>& out) {
  out.push_back({"source.cleared",
                 record.at,
                 fact.how == "recovered"
                     ? printable(fact.source.value) + ": the sign-in source says groups again."
                     : printable(fact.source.value) +
                           ": the sign-in source was believed, and who has no groups by it is "
                           "closed out.",
                 "",
                 "",
                 {}});
}
template <class Other>
void tell(const Record&, const Other&, std::vector<Notice>&) {}

std::string guards_of(const TargetStatus& target) {
  std::vector<std::string> names;
  for (const GuardTrip& trip : target.guards) names.push_back(printable(trip.guard));
  return names.empty() ? std::string("a guard") : join(names, ", ");
}

}  // namespace

std::vector<Notice> Watch::look(const ControllerStatus& status, std::span<const Record> records) {
  std::vector<Notice> out;
  for (const Record& record : records)
    if (auto fact = decode(record.fact))
      std::visit([&](const auto& known) { tell(record, known, out); }, *fact);
  const PolicyStatus& policy = status.policy;
  auto waiting = policy.waiting ? policy.waiting->revision : PolicyRevision();
  if (policy.waiting && waiting != waiting_)
    out.push_back(of_policy("policy.waiting", status.now, waiting, CommitState::pending,
                            fmt::format("The policy {} is sound and not in force; it waits for: {}",
                                        short_id(waiting), told(policy.waiting->needs))));
  waiting_ = waiting;
  for (const TargetStatus& target : status.targets) look_at(target, status.now, out);
  std::erase_if(targets_, [&](const auto& known) {
    return std::none_of(status.targets.begin(), status.targets.end(),
                        [&](const TargetStatus& target) { return target.name == known.first; });
  });
  return out;
}

void Watch::look_at(const TargetStatus& target, Instant now, std::vector<Notice>& out) {
  Target& before = targets_[target.name];
  auto name = printable(target.name.value);
  auto tell = [&](const char* event, std::string sentence) {
    out.push_back({event, now, std::move(sentence), "", name, CommitState::pending});
  };
  auto held = target.held > 0 ? guards_of(target) : "";
  if (held != before.held)
    held.empty()
        ? tell("guard.released", name + ": nothing is held back any more.")
        : tell("guard.held",
               fmt::format("{}: {} held back by {}; knock plan shows what, and knock apply --ack "
                           "HASH says yes.",
                           name, counted(target.held, "change is", "changes are"), held));
  before.held = held;
  // Not ready and without a problem: it was not looked at yet.
  bool unreachable = !target.ready && (!target.problem.empty() || before.unreachable);
  if (unreachable && !before.unreachable)
    tell("target.unreachable",
         fmt::format("{} does not take changes: {}", name, told(target.problem)));
  if (!unreachable && before.unreachable) tell("target.recovered", name + " takes changes again.");
  before.unreachable = unreachable;
}

}  // namespace knock::notify
