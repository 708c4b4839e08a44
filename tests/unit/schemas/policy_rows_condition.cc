// SPDX-License-Identifier: Apache-2.0
// Conditions of allow rules.
#include <fmt/format.h>

#include "tests/unit/schemas/policy_rows.h"

namespace knock::test {
namespace {

/// Berlin, New York, and one whose data cannot be read.
class ThreeZones final : public ZoneSource {
 public:
  Result<std::shared_ptr<const Zone>> zone(const std::string& name) const override {
    if (name == "Europe/Broken") return fail(ErrorKind::invalid, "it ends in the middle");
    if (name != "Europe/Berlin" && name != "America/New_York")
      return fail(ErrorKind::not_found, "no such zone");
    return std::make_shared<const Zone>(Zone{name, {{Instant{}, 3600}}});
  }
  std::vector<std::string> names() const override { return {"America/New_York", "Europe/Berlin"}; }
};

std::vector<PolicyFile> many_windows(int count) {
  std::string windows;
  for (int i = 0; i < count; ++i)
    windows += fmt::format("{{days: mon, from: \"00:{:02}\", to: \"0{}:00\", tz: UTC}}, ", i % 60,
                           1 + i / 60);
  return rule("schedule: [" + windows + "]");
}

}  // namespace

PolicyContext three_zones() {
  PolicyContext context;
  context.zones = std::make_shared<const ThreeZones>();
  return context;
}

PolicyContext no_surfaces() {
  PolicyContext context;
  context.surfaces_known = true;
  return context;
}

std::vector<Row> condition_rows() {
  return {
      {"nobody", with("allow: {a: {to: [ssh], ttl: 1h}}\n"), {"policy.missing-key", "6:12"}},
      {"a person without a source", rule("users: [bob]"), {"policy.bad-subject", "6:53"}},
      {"a source without a person", rule("users: [\"@sso\"]"), {"policy.bad-subject", "6:53"}},
      {"a person of no source", rule("users: [\"bob@\"]"), {"policy.bad-subject", "6:53"}},
      {"a source that is no name",
       rule("users: [\"bob@Example.ORG\"]"),
       {"policy.bad-subject", "6:53"}},
      {"a subject beyond 255 bytes",
       rule("users: [\"" + std::string(256, 'a') + "@sso\"]"),
       {"policy.bad-subject", "6:53"}},
      {"a person of an unknown source",
       rule("users: [bob@sos]"),
       {"policy.unknown-sign-in", "6:53"},
       only_sso()},
      {"a person of grant",
       rule("users: [bob@grant]"),
       {"policy.unknown-sign-in", "6:53"},
       only_sso()},
      {"one person and no list", rule("users: bob@sso"), {"policy.wrong-type", "6:52"}},
      {"no person", rule("users: []"), {"policy.empty-list", "6:52"}},
      {"a number for a person", rule("users: [0010]"), {"policy.ambiguous-text", "6:53"}},
      {"claims as a list", rule("claims: [department]"), {"policy.wrong-type", "6:53"}},
      {"no claim", rule("claims: {}"), {"policy.empty-condition", "6:53"}},
      {"claims that are notes",
       rule("claims: {x-department: [eng]}"),
       {"policy.empty-condition", "6:53"}},
      {"a claim without values", rule("claims: {department: []}"), {"policy.empty-list", "6:66"}},
      {"a claim with one value and no list",
       rule("claims: {department: eng}"),
       {"policy.wrong-type", "6:66"}},
      {"a claim with nothing behind it",
       rule("claims: {department: }"),
       {"policy.missing-value", "6:54"}},
      {"a claim that other readers take for a truth value",
       rule("claims: {verified: [true]}"),
       {"policy.ambiguous-text", "6:65"}},
      {"a claim with blanks around its name",
       rule("claims: {\" a\": [b]}"),
       {"policy.bad-text", "6:54"}},
      {"one acr and no list", rule("acr: gold"), {"policy.wrong-type", "6:50"}},
      {"no acr", rule("acr: []"), {"policy.empty-list", "6:50"}},
      {"an age without unit", rule("mfa_max_age: 15"), {"policy.bad-duration", "6:58"}},
      {"an age of nothing", rule("mfa_max_age: 0m"), {"policy.bad-duration", "6:58"}},
      {"no window", rule("schedule: []"), {"policy.empty-list", "6:55"}},
      {"a schedule in one text", rule("schedule: mon-fri"), {"policy.wrong-type", "6:55"}},
      {"a schedule without days",
       rule("schedule: {from: \"07:00\", to: \"20:00\", tz: UTC}"),
       {"policy.missing-key", "6:55"}},
      {"a schedule without from",
       rule("schedule: {days: mon, to: \"20:00\", tz: UTC}"),
       {"policy.missing-key", "6:55"}},
      {"a schedule without to",
       rule("schedule: {days: mon, from: \"07:00\", tz: UTC}"),
       {"policy.missing-key", "6:55"}},
      {"a schedule without tz",
       rule("schedule: {days: mon, from: \"07:00\", to: \"20:00\"}"),
       {"policy.missing-key", "6:55"}},
      {"an unknown key of a schedule",
       rule("schedule: {day: mon, days: mon, from: \"07:00\", to: \"20:00\", tz: UTC}"),
       {"policy.unknown-key", "6:56"}},
      {"a second window that is wrong",
       rule("schedule: [{days: mon, from: \"07:00\", to: \"20:00\", tz: UTC}, {days: tue, from: "
            "\"07:00\", to: \"25:00\", tz: UTC}]"),
       {"policy.bad-clock", "6:137"}},
      {"days that are none",
       rule("schedule: {days: weekdays, from: \"07:00\", to: \"20:00\", tz: UTC}"),
       {"policy.bad-days", "6:62"}},
      {"days in capitals",
       rule("schedule: {days: Mon-Fri, from: \"07:00\", to: \"20:00\", tz: UTC}"),
       {"policy.bad-days", "6:62"}},
      {"a day twice",
       rule("schedule: {days: [mon-wed, tue], from: \"07:00\", to: \"20:00\", tz: UTC}"),
       {"policy.bad-days", "6:72"}},
      {"no days",
       rule("schedule: {days: [], from: \"07:00\", to: \"20:00\", tz: UTC}"),
       {"policy.empty-list", "6:62"}},
      {"a time that YAML counts in sixties",
       rule("schedule: {days: mon, from: 07:00, to: \"20:00\", tz: UTC}"),
       {"policy.ambiguous-text", "6:73"}},
      {"a time of one digit",
       rule("schedule: {days: mon, from: \"7:00\", to: \"20:00\", tz: UTC}"),
       {"policy.bad-clock", "6:73"}},
      {"a time with seconds",
       rule("schedule: {days: mon, from: \"07:00:00\", to: \"20:00\", tz: UTC}"),
       {"policy.bad-clock", "6:73"}},
      {"sixty minutes",
       rule("schedule: {days: mon, from: \"07:60\", to: \"20:00\", tz: UTC}"),
       {"policy.bad-clock", "6:73"}},
      {"a begin at 24:00",
       rule("schedule: {days: mon, from: \"24:00\", to: \"20:00\", tz: UTC}"),
       {"policy.bad-clock", "6:73"}},
      {"an end at 00:00",
       rule("schedule: {days: mon, from: \"20:00\", to: \"00:00\", tz: UTC}"),
       {"policy.bad-clock", "6:86"}},
      {"an end after 24:00",
       rule("schedule: {days: mon, from: \"20:00\", to: \"24:01\", tz: UTC}"),
       {"policy.bad-clock", "6:86"}},
      {"a window of no minute, or of a day",
       rule("schedule: {days: mon, from: \"07:00\", to: \"07:00\", tz: UTC}"),
       {"policy.empty-window", "6:55"}},
      {"a zone that is misspelt",
       rule("schedule: {days: mon, from: \"07:00\", to: \"20:00\", tz: Europe/Berln}"),
       {"policy.unknown-zone", "6:99"},
       three_zones()},
      {"a zone that is a path",
       rule("schedule: {days: mon, from: \"07:00\", to: \"20:00\", tz: ../../etc/passwd}"),
       {"policy.unknown-zone", "6:99"},
       three_zones()},
      {"the zone of this machine",
       rule("schedule: {days: mon, from: \"07:00\", to: \"20:00\", tz: localtime}"),
       {"policy.unknown-zone", "6:99"},
       three_zones()},
      {"an offset for a zone",
       rule("schedule: {days: mon, from: \"07:00\", to: \"20:00\", tz: \"+01:00\"}"),
       {"policy.unknown-zone", "6:99"},
       three_zones()},
      {"a zone whose data is broken",
       rule("schedule: {days: mon, from: \"07:00\", to: \"20:00\", tz: Europe/Broken}"),
       {"policy.zone-unreadable", "6:99"},
       three_zones()},
      {"a zone where no zones are at hand",
       rule("schedule: {days: mon, from: \"07:00\", to: \"20:00\", tz: Europe/Berlin}"),
       {"policy.zone-unreadable", "6:99"}},
      {"a window for every minute", many_windows(65), {"policy.too-many-windows", "6:55"}},
      {"no address at all", rule("max_ips_per_user: 0"), {"policy.bad-number", "6:63"}},
      {"too many addresses to count",
       rule("max_ips_per_user: 1001"),
       {"policy.bad-number", "6:63"}},
      {"people at an address in words",
       rule("max_users_per_ip: one"),
       {"policy.bad-number", "6:63"}},
      {"approval of nobody", rule("approval: {ttl: 4h}"), {"policy.missing-key", "6:55"}},
      {"approval for ever", rule("approval: {from: [dba]}"), {"policy.missing-key", "6:55"}},
      {"approval by an unknown group",
       rule("approval: {from: [dab], ttl: 4h}"),
       {"policy.unknown-group", "6:63"}},
      {"approval by none",
       rule("approval: {from: [dba], count: 0, ttl: 4h}"),
       {"policy.bad-number", "6:76"}},
      {"approval by seventeen",
       rule("approval: {from: [dba], count: 17, ttl: 4h}"),
       {"policy.bad-number", "6:76"}},
      {"a reason that may be",
       rule("approval: {from: [dba], ttl: 4h, reason: maybe}"),
       {"policy.bad-choice", "6:86"}},
      {"an unknown key of approval",
       rule("approval: {from: [dba], ttl: 4h, counts: 2}"),
       {"policy.unknown-key", "6:78"}},
      {"approval as a list", rule("approval: [dba]"), {"policy.wrong-type", "6:55"}},
      {"two connections", rule("connections: 2"), {"policy.bad-number", "6:58"}},
      {"until a date", rule("until: 2027-01-31"), {"policy.bad-choice", "6:52"}},
      {"both ways to end",
       rule("connections: 1, until: disconnect"),
       {"policy.lasts-twice", "6:61"}},
      {"one connection from many addresses",
       rule("connections: 1, v6_prefix: 64"),
       {"policy.lasts-wide", "6:61"}},
      {"many addresses until one disconnects",
       rule("v6_prefix: 64, until: disconnect"),
       {"policy.lasts-wide", "6:45"}},
      {"a wide door for IPv6", rule("v6_prefix: 47"), {"policy.bad-number", "6:56"}},
      {"more bits than there are", rule("v6_prefix: 129"), {"policy.bad-number", "6:56"}},
      {"geo", rule("geo: [DE]"), {"policy.not-supported", "6:45"}},
      {"require_token in a rule", rule("require_token: true"), {"policy.not-supported", "6:45"}},
      {"a schedule on a deny",
       with("deny: {a: {who: [dba], to: [ssh], schedule: {}}}\n"),
       {"policy.not-supported", "6:35"}},
      {"users of a deny",
       with("deny: {a: {who: [dba], to: [ssh], users: [bob@sso]}}\n"),
       {"policy.not-supported", "6:35"}},
      {"a number of addresses on a static entry",
       with("static: {a: {cidr: [192.0.2.1/32], to: [ssh], owner: o, reason: r, until: 2027-01-31, "
            "max_ips_per_user: 1}}\n"),
       {"policy.not-supported", "6:87"}},
      {"approval without a surface",
       rule("approval: {from: [dba], ttl: 4h}"),
       {"policy.no-surface", "6:45"},
       no_surfaces()},
      {"claims without a surface",
       rule("claims: {department: [eng]}"),
       {"policy.no-surface", "6:45"},
       no_surfaces()},
      {"acr without a surface", rule("acr: [gold]"), {"policy.no-surface", "6:45"}, no_surfaces()},
      {"mfa_max_age without a surface",
       rule("mfa_max_age: 15m"),
       {"policy.no-surface", "6:45"},
       no_surfaces()},
      {"connections without a surface",
       rule("connections: 1"),
       {"policy.no-surface", "6:45"},
       no_surfaces()},
      {"disconnect without a surface",
       rule("until: disconnect"),
       {"policy.no-surface", "6:45"},
       no_surfaces()},
  };
}

}  // namespace knock::test
