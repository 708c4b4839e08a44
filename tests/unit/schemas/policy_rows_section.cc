// SPDX-License-Identifier: Apache-2.0
// Paths, behaviour, guards, break-glass, and static entries in time.
#include <fmt/format.h>

#include "tests/unit/schemas/policy_rows.h"

namespace knock::test {
namespace {

PolicyContext at(std::string_view time) {
  PolicyContext context;
  context.now = parse_instant(time).value();
  return context;
}

/// Holes of one address each, with one address between two.
std::vector<PolicyFile> cut_too_often() {
  std::string holes;
  for (int i = 0; i < 65; ++i) holes += fmt::format("192.0.2.{}, ", 2 * i);
  return one(
      "knock: 1\n"
      "groups: {dba: {idp: dba}}\n"
      "networks: {holes: [" +
      holes +
      "192.0.2.130]}\n"
      "services: {ssh: {ports: [tcp/22], targets: [edge]}}\n"
      "targets: {edge: {type: nftables}}\n"
      "allow: {a: {who: [dba], to: [ssh], ttl: 1h}}\n"
      "deny: {a: {from: {in: [holes]}, to: [ssh]}}\n"
      "static: {a: {cidr: [192.0.2.0/24], to: [ssh], owner: o, reason: r, until: 2027-01-31}}\n");
}

/// Prefixes × 500 services, and a deny rule that cuts one hole into each when `cut`.
std::vector<PolicyFile> many_entries(int prefixes, bool cut) {
  std::string text =
      "knock: 1\ngroups: {dba: {idp: dba}}\ntargets: {edge: {type: nftables}}\nnetworks: {hole: [";
  for (int i = 0; i < prefixes; ++i)
    text += fmt::format("10.{}.{}.0{}", i / 256, i % 256, i + 1 < prefixes ? ", " : "]}\n");
  text += "static: {a: {cidr: [";
  for (int i = 0; i < prefixes; ++i)
    text += fmt::format("10.{}.{}.0/24{}", i / 256, i % 256, i + 1 < prefixes ? ", " : "");
  text += "], to: [\"*\"], owner: o, reason: r, until: 2027-01-31}}\n";
  text += cut ? "deny: {a: {from: {in: [hole]}, to: [\"*\"]}}\n" : "";
  text += "allow: {a: {who: [dba], from: {in: [hole]}, to: [\"*\"], ttl: 1h}}\nservices:\n";
  for (int i = 0; i < 500; ++i)
    text += fmt::format("  s{}: {{ports: [tcp/22], targets: [edge]}}\n", i);
  return one(text);
}

}  // namespace

std::vector<Row> section_rows() {
  return {
      {"a path without a surface",
       one("knock: 1\ntargets: {t: {type: nftables}, u: {type: nftables, table: k}}\nservices: {s: "
           "{ports: [tcp/1], path: [t, u]}}\n"),
       {"policy.no-surface", "3:38"},
       no_surfaces()},
      {"a path of one",
       one("knock: 1\ntargets: {t: {type: nftables}, u: {type: nftables, table: k}}\nservices: {s: "
           "{ports: [tcp/1], path: [t], targets: [u]}}\n"),
       {"policy.path-too-short", "3:38"}},
      {"a path that passes a target twice",
       one("knock: 1\ntargets: {t: {type: nftables}, u: {type: nftables, table: k}}\nservices: {s: "
           "{ports: [tcp/1], path: [t, u, t]}}\n"),
       {"policy.path-twice", "3:38"}},
      {"a path through an unknown target",
       one("knock: 1\ntargets: {t: {type: nftables}, u: {type: nftables, table: k}}\nservices: {s: "
           "{ports: [tcp/1], path: [t, v]}}\n"),
       {"policy.unknown-target", "3:42"}},
      {"an empty path",
       one("knock: 1\ntargets: {t: {type: nftables}, u: {type: nftables, table: k}}\nservices: {s: "
           "{ports: [tcp/1], path: []}}\n"),
       {"policy.empty-list", "3:38"}},
      {"a service without targets or path",
       one("knock: 1\nservices: {s: {ports: [tcp/1]}}\n"),
       {"policy.missing-key", "2:15"}},
      {"a table that nft cannot list",
       one("knock: 1\ntargets: {t: {type: nftables, table: meta}}\n"),
       {"policy.reserved-table", "2:38"}},
      {"a preset that is none",
       one("knock: 1\nbehaviour: {preset: lax}\n"),
       {"policy.bad-choice", "2:21"}},
      {"shared addresses that are something else",
       one("knock: 1\nbehaviour: {shared_addresses: denied}\n"),
       {"policy.bad-choice", "2:31"}},
      {"a limit that does something else",
       one("knock: 1\nbehaviour: {over_limit: both}\n"),
       {"policy.bad-choice", "2:25"}},
      {"a knob that is none",
       one("knock: 1\nbehaviour: {shared_address: deny}\n"),
       {"policy.unknown-key", "2:13"}},
      {"a warning without unit",
       one("knock: 1\nbehaviour: {warn_before_end: 14}\n"),
       {"policy.bad-duration", "2:30"}},
      {"no longest time",
       one("knock: 1\nbehaviour: {longest_ttl: never}\n"),
       {"policy.bad-duration", "2:26"}},
      {"a longest static time of nothing",
       one("knock: 1\nbehaviour: {longest_static: 0d}\n"),
       {"policy.bad-duration", "2:29"}},
      {"behaviour as a list",
       one("knock: 1\nbehaviour: [strict]\n"),
       {"policy.wrong-type", "2:12"}},
      {"tokens without a surface",
       one("knock: 1\nbehaviour: {shared_addresses: require_token}\n"),
       {"policy.no-surface", "2:31"},
       no_surfaces()},
      {"behaviour in two files",
       {{"z.yaml", "knock: 1\n\nbehaviour: {}\n", ""}, {"a.yaml", "knock: 1\nbehaviour: {}\n", ""}},
       {"policy.duplicate-name", "3:1"}},
      {"a rule that opens for longer than is allowed",
       with("behaviour: {longest_ttl: 1h}\nallow: {a: {who: [dba], to: [ssh], ttl: 61m}}\n"),
       {"policy.ttl-too-long", "7:9"}},
      {"a rule that the strict preset finds too long",
       with("behaviour: {preset: strict}\nallow: {a: {who: [dba], to: [ssh], ttl: 13h}}\n"),
       {"policy.ttl-too-long", "7:9"}},
      {"a guard that is none",
       one("knock: 1\nguards: {removal: {percent: 3}}\n"),
       {"policy.unknown-key", "2:10"}},
      {"more than everything removed",
       one("knock: 1\nguards: {removals: {percent: 101}}\n"),
       {"policy.bad-number", "2:30"}},
      {"a percentage with its sign",
       one("knock: 1\nguards: {additions: {percent: 30%}}\n"),
       {"policy.bad-number", "2:31"}},
      {"a limit of removals as a number",
       one("knock: 1\nguards: {removals: 30}\n"),
       {"policy.wrong-type", "2:20"}},
      {"a prefix longer than there is",
       one("knock: 1\nguards: {max_prefix: {v4: 33}}\n"),
       {"policy.bad-number", "2:27"}},
      {"a confirmation of an unknown target",
       one("knock: 1\nguards: {confirm: {targets: [t], within: 5m, probe: controller-reach}}\n"),
       {"policy.unknown-target", "2:30"}},
      {"a confirmation without an end",
       one("knock: 1\ntargets: {t: {type: nftables}}\nguards: {confirm: {targets: [t]}}\n"),
       {"policy.missing-key", "3:19"}},
      {"a probe that nobody knows",
       with("guards: {confirm: {targets: [edge], within: 5m, probe: ping}}\n"),
       {"policy.bad-choice", "6:56"}},
      {"a probe of a name",
       with(
           "guards: {confirm: {targets: [edge], within: 5m, probe: {tcp: \"edge.example:22\"}}}\n"),
       {"policy.bad-probe", "6:62"}},
      {"a probe without a port",
       with("guards: {confirm: {targets: [edge], within: 5m, probe: {tcp: \"192.0.2.1\"}}}\n"),
       {"policy.bad-probe", "6:62"}},
      {"a probe of several ports",
       with(
           "guards: {confirm: {targets: [edge], within: 5m, probe: {tcp: \"192.0.2.1:22-23\"}}}\n"),
       {"policy.bad-probe", "6:62"}},
      {"a probe of IPv6 without brackets",
       with("guards: {confirm: {targets: [edge], within: 5m, probe: {tcp: \"2001:db8::1:22\"}}}\n"),
       {"policy.bad-probe", "6:62"}},
      {"new ports neither asked about nor let pass",
       one("knock: 1\nguards: {additions: {new_port: maybe}}\n"),
       {"policy.bad-choice", "2:32"}},
      {"guards in two files",
       {{"z.yaml", "knock: 1\n\nguards: {}\n", ""}, {"a.yaml", "knock: 1\nguards: {}\n", ""}},
       {"policy.duplicate-name", "3:1"}},
      {"break-glass without keys",
       with("break_glass: {f: {to: [ssh], ttl: 1h}}\n"),
       {"policy.missing-key", "6:18"}},
      {"break-glass without end",
       with("break_glass: {f: {to: [ssh], keys: [a]}}\n"),
       {"policy.missing-key", "6:18"}},
      {"break-glass to nothing",
       with("break_glass: {f: {ttl: 1h, keys: [a]}}\n"),
       {"policy.missing-key", "6:18"}},
      {"break-glass to an unknown service",
       with("break_glass: {f: {to: [shh], ttl: 1h, keys: [a]}}\n"),
       {"policy.unknown-service", "6:24"}},
      {"a key that is no name",
       with("break_glass: {f: {to: [ssh], ttl: 1h, keys: [\"A B\"]}}\n"),
       {"policy.bad-name", "6:46"}},
      {"a channel that is no name",
       with("break_glass: {f: {to: [ssh], ttl: 1h, keys: [a], notify: [\"#ops\"]}}\n"),
       {"policy.bad-name", "6:59"}},
      {"more keys than there are",
       with("break_glass: {f: {to: [ssh], ttl: 1h, keys: [a, b, a], quorum: 3}}\n"),
       {"policy.quorum-too-large", "6:64"}},
      {"a quorum of none",
       with("break_glass: {f: {to: [ssh], ttl: 1h, keys: [a], quorum: 0}}\n"),
       {"policy.bad-number", "6:58"}},
      {"break-glass for a group",
       with("break_glass: {f: {who: [dba], to: [ssh], ttl: 1h, keys: [a]}}\n"),
       {"policy.unknown-key", "6:19"}},
      {"break-glass with a schedule",
       with("break_glass: {f: {to: [ssh], ttl: 1h, keys: [a], schedule: {}}}\n"),
       {"policy.not-supported", "6:50"}},
      {"break-glass under a name that is a note",
       with("break_glass: {x-f: {to: [ssh], ttl: 1h, keys: [a]}}\n"),
       {"policy.reserved-name", "6:15"}},
      {"break-glass without a surface",
       with("break_glass: {f: {to: [ssh], ttl: 1h, keys: [a]}}\n"),
       {"policy.no-surface", "6:15"},
       no_surfaces()},
      {"a misspelt section of keys",
       with("break_glas: {f: {to: [ssh], ttl: 1h, keys: [a]}}\n"),
       {"policy.unknown-key", "6:1"}},
      {"a static entry that has ended",
       with("static: {a: {cidr: [192.0.2.1/32], to: [ssh], owner: o, reason: r, until: "
            "2027-01-31}}\n"),
       {"policy.static-ended", "6:10"},
       at("2027-01-31T00:00:00Z")},
      {"a static entry that is about to end",
       with("static: {a: {cidr: [192.0.2.1/32], to: [ssh], owner: o, reason: r, until: "
            "2027-01-31}}\nallow: {b: {who: [dba], from: {in: [office]}, to: [ssh], ttl: 1h}}\n"),
       {"policy.static-ending", "6:10"},
       at("2027-01-17T00:00:00Z")},
      {"a static entry that ends too late",
       with("behaviour: {longest_static: 30d}\nstatic: {a: {cidr: [192.0.2.1/32], to: [ssh], "
            "owner: o, reason: r, until: 2027-01-31}}\n"),
       {"policy.static-too-long", "7:10"},
       at("2026-12-31T23:59:59Z")},
      {"a static entry in too many pieces", cut_too_often(), {"policy.too-many-pieces", "8:10"}},
      {"more static entries than are held",
       many_entries(501, false),
       {"policy.too-many-static-entries", "5:10"}},
      {"pieces of static entries beyond what is held",
       many_entries(63, true),
       {"policy.too-many-static-entries", "5:10"}},
  };
}

}  // namespace knock::test
