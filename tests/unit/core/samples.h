// SPDX-License-Identifier: Apache-2.0
// Short ways to write policies, sessions and readings in the tables of tests/unit/core.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reconciler/core/plan.h"
#include "schemas/policy/load.h"

namespace knock::test {

/// 2026-11-21T10:00:00Z
inline constexpr Instant kNow = Instant::from_seconds(1'795'255'200);

inline Prefix prefix(std::string_view text) { return *Prefix::parse(text); }
inline IpAddress address(std::string_view text) { return *IpAddress::parse(text); }
inline std::vector<PortRange> ports(std::string_view text) {
  std::vector<PortRange> out;
  while (!text.empty()) {
    auto space = text.find(' ');
    out.push_back(*PortRange::parse(text.substr(0, space)));
    text = space == std::string_view::npos ? "" : text.substr(space + 1);
  }
  return canonical_ports(std::move(out));
}
inline std::vector<Prefix> prefixes(std::initializer_list<const char*> list) {
  std::vector<Prefix> out;
  for (auto text : list) out.push_back(prefix(text));
  return out;
}

/// One file without its first line; a policy with problems fails the test.
inline Policy policy_of(const std::string& yaml) {
  auto loaded = load_policy({{"policy.yaml", "knock: 1\n" + yaml, ""}}, PolicyRevision("rev"), {});
  EXPECT_TRUE(loaded.policy.has_value()) << to_text(loaded.diagnostics);
  return loaded.policy.value_or(Policy());
}

/// One rule that gives one service to one of two groups, and a network that rules may speak of.
inline const std::string kStaffMayReachSsh = R"(
groups: {staff: {idp: staff}, admins: {idp: admins}}
networks: {blocked: [192.0.2.0/25]}
services:
  ssh: {ports: [tcp/22], targets: [edge]}
targets: {edge: {type: nftables}}
allow:
  staff: {who: [staff], to: [ssh], ttl: 1h}
)";

struct SessionOf {
  std::string who = "ana";
  std::string from = "192.0.2.10";
  std::vector<std::string> groups = {"staff"};
  Duration age = Duration::minutes(10);
  Duration left = Duration::hours(8);
  std::string source = "corp";
  Proof proof = Proof::oidc;
  std::optional<EndCause> ended = std::nullopt;
  operator Session() const {
    Session session;
    session.id = SessionId("s-" + who + "-" + from);
    session.principal = {"https://idp.example", who, who};
    session.source = SignInName(source);
    session.proof = proof;
    session.groups = groups;
    session.address = address(from);
    session.created = kNow - age;
    session.expires = kNow + left;
    session.authenticated = session.created;
    if (ended) session.end = SessionEnd{kNow, *ended};
    return session;
  }
};

inline Attribution by_session(std::string who, Duration left = Duration::hours(1)) {
  return {Attribution::Kind::session, SessionId("s-" + who), who,
          ServiceName("ssh"),         RuleName("staff"),     kNow + left};
}
inline Attribution by_rule(std::string rule, Duration left = Duration::hours(1)) {
  return {Attribution::Kind::fixed, SessionId(),    "sre",
          ServiceName("ssh"),       RuleName(rule), kNow + left};
}

/// A change of one entry of a slot.
inline Change entry(Action action, Reason reason, std::string where, std::string slot = "ssh") {
  Change change;
  change.action = action;
  change.reason = reason;
  change.slot = std::move(slot);
  change.prefix = prefix(where);
  return change;
}

inline const TargetName kTarget{"edge"};

}  // namespace knock::test
