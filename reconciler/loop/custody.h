// SPDX-License-Identifier: Apache-2.0
// Whose a target's container is, as people said it: what the log knows of that, and what they are
// shown before they say it (`knock adopt`, `knock release`).
//
// What was said is about one container (Custody::place). A target of the same name that stands
// elsewhere is another thing, and begins as policy says.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/port_range.h"
#include "base/prefix.h"
#include "base/sha256.h"
#include "base/time.h"
#include "reconciler/core/ownership.h"
#include "reconciler/interfaces/fact_store.h"
#include "schemas/policy/policy.h"

namespace knock {

/// Which container a target is: "nftables knock", "nftables knock in gate".
std::string place_of(const Target& target);

/// What is known of one target.
struct Custody {
  std::string place;
  bool exclusive = false, released = false;  // by the log
  // What was said and is not carried out yet. Of this process: after a restart it is said again.
  std::set<std::pair<std::string, Prefix>> adopting;
  std::optional<OwnerId> taking;  // the former owner
  bool releasing = false;
  // Said in the log already.
  std::optional<OwnerId> alarmed_owner;
  std::size_t alarmed_marks = 0;

  bool pending() const { return !adopting.empty() || taking || releasing; }
  /// For the core. `leaving`: the target left the policy. Valid as long as this.
  Stewardship stewardship(const Target& target, bool leaving) const;
};

/// Takes a fact into account.
void note_ownership(Custody& custody, const OwnershipChanged& fact);
/// What one record of the log says of it, if anything.
Status note_ownership(std::map<TargetName, Custody>& known, const Record& record);

/// What somebody may say.
enum class OwnershipAct : std::uint8_t {
  adopt,      // foreign entries that policy wants carry our mark; a released target is ours again
  exclusive,  // the whole container is ours: foreign entries in it go
  take_over,  // the container of another installation is ours
  release,    // our marks go, and nothing is written there any more
};
std::string_view to_string(OwnershipAct act);
std::optional<OwnershipAct> ownership_act_from(std::string_view text);

/// One entry, and what becomes of it.
struct OwnershipEntry {
  enum class Fate : std::uint8_t { goes, marked, stays, left_alone };
  Fate fate = Fate::left_alone;
  std::string slot;
  std::vector<PortRange> ports;
  Prefix prefix;
  std::string comment;           // foreign: as somebody wrote it, printable
  std::optional<Duration> left;  // as the target counts; nothing: it never ends there
  std::optional<Instant> until;  // stays: by policy
  std::string who;               // whose it is, where a record knows
  friend bool operator==(const OwnershipEntry&, const OwnershipEntry&) = default;
};
std::string_view to_string(OwnershipEntry::Fate fate);
std::optional<OwnershipEntry::Fate> fate_from(std::string_view text);

/// What an act would do now. The id is of what it does, never of times: a yes names it.
struct OwnershipPlan {
  TargetName target;
  OwnershipAct act = OwnershipAct::adopt;
  std::string place;
  std::string type;
  OwnerId former;                       // take_over
  bool closes_by_itself = false;        // the target counts deadlines
  std::vector<OwnershipEntry> entries;  // those that it does something to first
  Digest id{};
  std::size_t count(OwnershipEntry::Fate fate) const;
};
Digest ownership_id(const OwnershipPlan& plan);

}  // namespace knock
