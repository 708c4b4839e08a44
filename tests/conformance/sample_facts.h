// SPDX-License-Identifier: Apache-2.0
// One fact of every kind with every member filled, and small makers for the usual ones.
#pragma once

#include <string>
#include <vector>

#include "schemas/audit/fact.h"

namespace knock::test {

inline constexpr Instant kNoon = Instant::from_seconds(1'795'000'000);
inline Instant after(std::int64_t seconds) { return kNoon + Duration::seconds(seconds); }

inline Session sample_session(const std::string& id, const std::string& user,
                              const std::string& address, Instant created, Instant expires) {
  Session session;
  session.id = SessionId(id);
  session.principal = {"https://idp.example", user, user + " Example"};
  session.source = SignInName("company");
  session.proof = Proof::oidc;
  session.groups = {"dba", "web \"admins\""};
  session.address = *IpAddress::parse(address);
  session.created = created;
  session.expires = expires;
  session.authenticated = created;
  return session;
}

inline Attribution sample_cause(const std::string& session, const std::string& who,
                                const std::string& service, Instant until) {
  return {Attribution::Kind::session, SessionId(session),      who,
          ServiceName(service),       RuleName("contractors"), until};
}

/// An entry of `service` for `address`, caused by one session.
inline Change sample_change(Action action, Reason reason, const std::string& address,
                            const std::string& service, Instant until) {
  Change change;
  change.action = action;
  change.reason = reason;
  change.step = action == Action::remove ? Step::close_now : Step::open;
  change.slot = service;
  change.ports = {*PortRange::parse("tcp/443")};
  change.prefix = *Prefix::parse(address);
  if (action != Action::remove) change.until = until;
  if (action == Action::remove) change.was_until = until;
  change.entry = EntryId{0x0123456789abcdef};
  change.causes = {sample_cause("s-1", "dora", service, until)};
  return change;
}

inline Change full_change() {
  auto change = sample_change(Action::extend, Reason::sign_in, "203.0.113.7", "payroll", after(60));
  change.ports = {*PortRange::parse("tcp/443"), *PortRange::parse("udp/60000-61000")};
  change.keep = {*Prefix::parse("198.51.100.0/24"), *Prefix::parse("2001:db8::/48")};
  change.was_until = after(30);
  change.lasts = Lasts::disconnect;
  change.come_by = after(20);
  change.ticket = true;
  change.released = true;
  change.handle = "handle \n7";
  change.detail = "Dora's \xE2\x80\xAE second\u00e9 laptop";
  change.causes.edit([](auto& causes) {
    causes[0].lasts = Lasts::disconnect;
    causes.push_back({Attribution::Kind::fixed, SessionId(), "sre", ServiceName("payroll"),
                      RuleName("probes"), after(90)});
  });
  return change;
}

inline std::vector<Fact> every_fact() {
  auto session = sample_session("s-1", "dora", "203.0.113.7", Instant{kNoon.ms + 42}, after(60));
  session.reason = "pager";
  session.claims = {{"department", {"eng", "ops \"x\""}}, {"site", {"berlin"}}};
  session.acr = "urn:gold";
  session.mfa_at = Instant{kNoon.ms - 5};
  auto change = full_change();
  return {
      ControllerStarted{"0.1.0", "front core apply"},
      PolicyAdopted{PolicyRevision("8d01b7e"), PolicyRevision("3f2c1aa"), "ana <ana@example.org>",
                    "payroll: add contractors", "5be1"},
      PolicyRefused{PolicyRevision("8d01b7f"), "policies/payroll.yaml:14:3: unknown key"},
      SessionOpened{session},
      SessionExtended{SessionId("s-1"), after(120), "asked for more"},
      SessionEnded{SessionId("s-1"), {after(70), EndCause::signed_out}, "went home"},
      SignInRefused{SignInName("company"), "token.signature", "dora", "203.0.113.7"},
      ChangeIntended{UINT64_MAX, TargetName("edge-fw"), PolicyRevision("8d01b7e"), change},
      ChangeApplied{UINT64_MAX, TargetName("edge-fw"), PolicyRevision("8d01b7e"), change},
      ChangeRejected{7, TargetName("edge-fw"), change, "no room for 203.0.113.7", true},
      EntryExpired{TargetName("edge-fw"), "payroll", *Prefix::parse("203.0.113.7"), after(60)},
      DriftFound{TargetName("edge-fw"), "payroll", *Prefix::parse("2001:db8::7"),
                 "removed by uid 0"},
      AccountChanged{"dora", "password"},
      PlanUsed{"bm9uY2U", "5be1"},
      GuardAcknowledged{"5be1", TargetName("edge-fw")},
      KeyChanged{"ci-plan",
                 "added",
                 {"plan:read", "apply"},
                 after(90),
                 {*Prefix::parse("198.51.100.0/24")}},
      KeyRefused{"ci-plan", "key.network", "203.0.113.7"},
      PolicyAdvanced{PolicyRevision("8d01b7e"), PolicyRevision("9a3cb70"), true, "back", "night"},
      OwnershipChanged{TargetName("edge-fw"), "taken-over", "nftables knock", OwnerId{0x1234},
                       "5be1", 12},
      StoreRestored{after(-60), 41, "older-than-targets", "edge-fw: 2 entries end later"},
      StoreRecovered{3, "the disk was replaced"},
      SessionGroups{SessionId("s-1"), true, after(900), {"dba", "web \"admins\""}},
      SourceSuspected{SignInName("company"), 812, 1000, after(900)},
      SourceCleared{SignInName("company"), "recovered"},
      ConfirmationDue{TargetName("edge-fw"), PolicyRevision("8d01b7e"), PolicyRevision("9a3cb70"),
                      after(300), "5be1"},
      PolicyConfirmed{TargetName("edge-fw"), PolicyRevision("8d01b7e"), "probe"},
      PolicyReturned{TargetName("edge-fw"), PolicyRevision("8d01b7e"), PolicyRevision("9a3cb70")},
      TargetPaused{TargetName("edge-fw"), after(120), "the vendor works on it"},
      TargetResumed{TargetName("edge-fw"), "done earlier"},
  };
}

}  // namespace knock::test
