// SPDX-License-Identifier: Apache-2.0
#include "reconciler/loop/target_conditions.h"

#include <fmt/format.h>

#include "base/text.h"

namespace knock {
namespace {

std::string why_degraded(const TargetStatus& status) {
  if (!status.account_waits_until) return status.problem;
  return fmt::format("{}; its account is left alone until {}", status.problem,
                     to_string(*status.account_waits_until));
}

std::string why_paused(const TargetPause& pause) {
  return fmt::format("by {} until {}{}", pause.by, to_string(pause.until),
                     pause.reason.empty() ? "" : ": " + pause.reason);
}

}  // namespace

std::vector<TargetCondition> conditions_of(const TargetStatus& s) {
  std::vector<TargetCondition> out;
  auto add = [&](bool holds, std::string_view word, std::string why) {
    if (holds) out.push_back({word, std::move(why)});
  };
  add(s.ready, "Ready", "");
  add(s.synced, "Synced", "");
  add(s.drifted, "Drifted", "somebody else changed it since the last full reading");
  add(s.flapping, "Flapping",
      "somebody else changes it again and again; it is healed once a minute");
  add(!s.problem.empty() || s.account_waits_until, "Degraded", why_degraded(s));
  add(s.no_room > 0, "CapacityExceeded",
      counted(s.no_room, "entry waits for a place", "entries wait for a place"));
  add(s.held > 0, "Blocked",
      counted(s.held, "change waits", "changes wait") + " for an acknowledgement");
  add(s.rejected > 0, "Rejected",
      fmt::format("the target refuses {}: {}", counted(s.rejected, "entry", "entries"),
                  s.rejected_why));
  add(s.stale, "Stale",
      s.last_full_read ? "last read as a whole at " + to_string(*s.last_full_read)
                       : "it was never read as a whole");
  if (s.pause) add(true, "Paused", why_paused(*s.pause));
  return out;
}

}  // namespace knock
