// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/ownership.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/text.h"
#include "reconciler/core/diff.h"
#include "reconciler/core/marker.h"
#include "reconciler/core/order.h"

namespace knock {
namespace {

std::string_view would(Action action) {
  switch (action) {
    case Action::add:
      return "would be added";
    case Action::extend:
      return "would end later";
    case Action::shorten:
      return "would end earlier";
    case Action::remove:
      return "would be removed";
    case Action::protect:
      return "would be closed to everybody without an entry";
    case Action::unprotect:
      return "would be open to everybody";
    case Action::keep:
    case Action::reshape:
      return "would be built anew";
    case Action::report:
      return "";
  }
  return "";
}

void report_instead(Change& change, std::string detail) {
  if (!change.detail.empty()) detail += "; " + change.detail.get();
  change.detail = std::move(detail);
  change.action = Action::report;
  change.ticket = false;
}

/// True when the target itself closes this entry of ours, at its deadline or before.
bool ends_there(const Capabilities& capabilities, const Observed& observed, const Change& change) {
  if (!capabilities.native_expiry) return false;
  for (const ObservedSlot& slot : observed.slots) {
    if (slot.name != change.slot) continue;
    auto at = std::lower_bound(
        slot.items.begin(), slot.items.end(), change.prefix,
        [](const ObservedItem& item, const Prefix& prefix) { return item.prefix < prefix; });
    return at != slot.items.end() && at->prefix == change.prefix && at->left && at->until &&
           observed.at + *at->left <= *at->until + kLifeTolerance;
  }
  return false;
}

bool by_static_alone(const Change& change) {
  return !change.causes.empty() &&
         std::all_of(change.causes.begin(), change.causes.end(), [](const Attribution& cause) {
           return cause.kind == Attribution::Kind::fixed;
         });
}

struct Count {
  std::size_t ours = 0, foreign = 0, unknown = 0, others = 0;
  Instant last;  // the latest deadline of ours

  explicit Count(const Observed& observed) {
    for (const ObservedSlot& slot : observed.slots)
      for (const ObservedItem& item : slot.items) {
        ours += item.ours;
        foreign += !item.ours;
        unknown += !item.ours && item.mark == ObservedItem::Mark::unknown;
        others += !item.ours && item.mark == ObservedItem::Mark::other_owner;
        if (item.ours && item.until) last = std::max(last, *item.until);
      }
  }
};

}  // namespace

Ownership ownership_now(const Target& target, const Stewardship& stewardship) {
  return stewardship.released ? Ownership::observe : target.ownership;
}

void only_observe(std::vector<Change>& changes, const Capabilities& capabilities,
                  const Observed& observed) {
  for (Change& change : changes) {
    if (change.action == Action::report) continue;
    if (takes_away(change) && must_not_wait(change.reason) &&
        !ends_there(capabilities, observed, change))
      continue;
    report_instead(change, "observed only: " + std::string(would(change.action)));
  }
}

void leave_standing(std::vector<Change>& changes, const Capabilities& capabilities,
                    const Observed& observed) {
  for (Change& change : changes) {
    if (change.action == Action::report) continue;
    if (takes_away(change) && must_not_wait(change.reason)) continue;
    if (!takes_away(change))
      report_instead(change, "left as it is");
    else if (ends_there(capabilities, observed, change))
      report_instead(change, "left standing: the target closes it at its deadline");
    else if (by_static_alone(change))
      report_instead(change, "left standing: nothing closes it here");
  }
}

std::vector<Finding> ownership_findings(const Target& target, const Stewardship& stewardship,
                                        const Capabilities& capabilities,
                                        const Observed& observed) {
  std::vector<Finding> out;
  auto say = [&](Finding::Level level, const char* id, std::string sentence) {
    out.push_back({level, id, target.name, std::move(sentence)});
  };
  if (observed.other_owner) {
    say(Finding::Level::warning, "target.other-owner",
        fmt::format("belongs to the installation {}: nothing is written there. When that one is "
                    "gone for good, `knock adopt --take-over {}` makes it this one's",
                    observed.other_owner->to_string(), target.name.value));
    return out;
  }
  Count count(observed);
  if (count.unknown > 0)
    say(Finding::Level::warning, "target.unknown-mark",
        fmt::format("{} a mark of a version that this knock does not know: not ours, left alone; "
                    "was a newer version here?",
                    counted(count.unknown, "entry carries", "entries carry")));
  if (count.others > 0)
    say(Finding::Level::warning, "target.other-mark",
        fmt::format("{} the mark of another installation: do two of them work on one firewall?",
                    counted(count.others, "entry carries", "entries carry")));
  if (stewardship.orphaned) {
    if (count.ours == 0) return out;
    say(Finding::Level::warning, "target.orphaned",
        capabilities.native_expiry
            ? fmt::format("{} left standing: the target itself closes each at its deadline, the "
                          "last at {}; no sign-out and no revocation reaches them any more",
                          counted(count.ours, "entry is", "entries are"), to_string(count.last))
            : fmt::format("of {} those that sessions cause are closed; those of static entries "
                          "stay, and nothing closes them here: somebody must",
                          counted(count.ours, "entry", "entries")));
    return out;
  }
  switch (ownership_now(target, stewardship)) {
    case Ownership::shared:
      break;
    case Ownership::exclusive:
      if (!stewardship.exclusive && count.foreign > 0)
        say(Finding::Level::warning, "target.not-adopted",
            fmt::format("is knock's alone by policy, and {} foreign: they stay until somebody has "
                        "looked at them with `knock adopt --exclusive {}`",
                        counted(count.foreign, "entry in it is", "entries in it are"),
                        target.name.value));
      break;
    case Ownership::observe:
      say(Finding::Level::note, "target.observed",
          stewardship.released
              ? fmt::format("was released: nothing is written there until `knock adopt {}`",
                            target.name.value)
              : std::string("is observed only: nothing is written there"));
      if (count.ours > 0)
        say(Finding::Level::warning, "target.observed-own",
            fmt::format(
                "{} from before: the last ends at {}, and no sign-out and no revocation "
                "ends it earlier",
                counted(count.ours, "entry of ours stands there", "of our entries stand there"),
                to_string(count.last)));
      break;
  }
  return out;
}

std::vector<Change> release_changes(const TargetName& target, const Observed& observed,
                                    std::span<const AppliedEntry> applied, Instant now) {
  std::map<std::pair<std::string, Prefix>, const AppliedEntry*> records;
  for (const AppliedEntry& entry : applied)
    records.emplace(std::pair(entry.slot, entry.prefix), &entry);
  std::vector<Change> out;
  for (const ObservedSlot& slot : observed.slots)
    for (const ObservedItem& item : slot.items) {
      if (!item.ours) continue;
      Change& change = out.emplace_back();
      change.action = Action::remove;
      change.reason = Reason::policy;
      change.slot = slot.name;
      if (auto ports = observed.structure.slots.find(slot.name);
          ports != observed.structure.slots.end())
        change.ports = ports->second;
      change.prefix = item.prefix;
      change.was_until = item.until;
      change.handle = item.handle;
      change.entry = entry_id(target, item.prefix, slot.name.get());
      change.detail = "released: what sessions opened is closed";
      auto record = records.find({slot.name, item.prefix});
      if (record == records.end()) {
        change.reason = Reason::orphan;
        continue;
      }
      change.causes = record->second->causes;
      std::optional<Instant> until;
      for (const Attribution& cause : change.causes)
        if (cause.kind == Attribution::Kind::fixed && cause.until > now &&
            item.lasts == Lasts::until_deadline)
          until = std::max(until.value_or(cause.until), cause.until);
      if (!until) continue;
      change.released = true;
      change.until = item.until ? std::min(*until, *item.until) : *until;
      change.detail = "released: stays without our mark";
    }
  order(out, observed.structure, &observed.slots);
  return out;
}

}  // namespace knock
