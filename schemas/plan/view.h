// SPDX-License-Identifier: Apache-2.0
// How much of a plan somebody may see. `shape` is closed by default: it is made of counts, of names
// that the policy's own files hold, and of sentences of our own; no text that came from elsewhere
// is in it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "schemas/plan/plan.h"

namespace knock {

enum class View : std::uint8_t {
  shape,   // counts, services, rules, guards
  people,  // names and times too; addresses by their kind alone
  full,
};
std::string_view to_string(View view);
std::optional<View> view_from(std::string_view text);

/// With "(address)" where an address or prefix of either family stands, whatever it stands in.
/// Rather hides a text too many, like a hardware address.
std::string without_addresses(std::string_view text);

/// The kind of an address: "IPv4 host", "IPv6 /64".
std::string kind_of(const Prefix& prefix);

/// Our own sentence about a kind of finding, which names nobody.
std::string_view shape_sentence(std::string_view finding_id);

/// Why a target cannot be read, as this view may say it.
std::string unreadable_text(const TargetPlan& target, View view);
std::string sentence_text(const Finding& finding, View view);

/// Changes that differ in nothing but whom they concern.
struct ChangeKind {
  bool held = false;
  Action action = Action::report;
  Reason reason = Reason::policy;
  std::string slot;
  std::vector<PortRange> ports;
  friend auto operator<=>(const ChangeKind&, const ChangeKind&) = default;
};
/// Sorted. The rules that caused them are sorted; there are few of them.
struct ChangeCount {
  std::size_t count = 0;
  std::vector<RuleName> rules;
};
std::map<ChangeKind, ChangeCount> counts_of(const TargetPlan& target);

}  // namespace knock
