// SPDX-License-Identifier: Apache-2.0
// Names, places, and what cannot be meant.
#include <fmt/format.h>

#include "tests/unit/schemas/policy_rows.h"

namespace knock::test {
namespace {

std::vector<PolicyFile> starred(int services, int rules) {
  std::string text =
      "knock: 1\ngroups: {dba: {idp: dba}}\ntargets: {edge: {type: nftables}}\nservices:\n";
  for (int i = 0; i < services; ++i)
    text += fmt::format("  s{}: {{ports: [tcp/22], targets: [edge]}}\n", i);
  text += "allow:\n";
  for (int i = 0; i < rules; ++i)
    text += fmt::format("  r{:04}: {{who: [dba], to: [\"*\"], ttl: 1h}}\n", i);
  return one(text);
}

std::vector<PolicyFile> many(std::size_t files, std::size_t bytes) {
  std::vector<PolicyFile> out;
  for (std::size_t i = 0; i < files; ++i)
    out.push_back({fmt::format("f{}.yaml", i), std::string(bytes, '#'), ""});
  return out;
}

}  // namespace

std::vector<Row> meaning_rows() {
  return {
      {"a word for a number",
       one("knock: 1\ntargets: {t: {type: nftables, capacity: {entries: many}}}\n"),
       {"policy.bad-number", "2:51"}},
      {"a number with a leading zero",
       one("knock: 1\ntargets: {t: {type: nftables, capacity: {entries: 010}}}\n"),
       {"policy.bad-number", "2:51"}},
      {"a capacity of none",
       one("knock: 1\ntargets: {t: {type: nftables, capacity: {entries: 0}}}\n"),
       {"policy.bad-number", "2:51"}},
      {"a reserve of all there is",
       one("knock: 1\ntargets: {t: {type: nftables, capacity: {entries: 5, reserve: 5}}}\n"),
       {"policy.reserve-too-large", "2:63"}},
      {"a quoted number",
       one("knock: 1\ntargets: {t: {type: nftables, capacity: {entries: '9'}}}\n"),
       {"policy.bad-number", "2:51"}},
      {"a day that is none",
       with("static: {a: {cidr: [192.0.2.1/32], to: [ssh], owner: o, reason: r, until: "
            "2027-02-30}}\n"),
       {"policy.bad-time", "6:75"}},
      {"a time without zone",
       with("static: {a: {cidr: [192.0.2.1/32], to: [ssh], owner: o, reason: r, until: "
            "2027-01-31T10:00:00}}\n"),
       {"policy.bad-time", "6:75"}},
      {"a port without protocol",
       one("knock: 1\nservices: {s: {ports: [443], targets: [t]}}\ntargets: {t: {type: "
           "nftables}}\n"),
       {"policy.bad-port", "2:24"}},
      {"port zero",
       one("knock: 1\nservices: {s: {ports: [tcp/0], targets: [t]}}\ntargets: {t: {type: "
           "nftables}}\n"),
       {"policy.bad-port", "2:24"}},
      {"a range backwards",
       one("knock: 1\nservices: {s: {ports: [udp/9-8], targets: [t]}}\ntargets: {t: {type: "
           "nftables}}\n"),
       {"policy.bad-port", "2:24"}},
      {"no header", one("groups: {}\n"), {"policy.header-missing", "1:1"}},
      {"a later version", one("knock: 2\nnew_things: 1\n"), {"policy.header-version", "1:8"}},
      {"a quoted version", one("knock: \"1\"\n"), {"policy.header-version", "1:8"}},
      {"a later version that others refer to",
       {{"a.yaml", "knock: 2\ntargets: {t: {}}\n", ""},
        {"b.yaml", "knock: 1\nservices: {s: {ports: [tcp/1], targets: [t]}}\n", ""}},
       {"policy.header-version", "1:8"}},
      {"a deny under a name that is a note",
       with("deny: {x-all: {who: [dba], to: [ssh]}}\n"),
       {"policy.reserved-name", "6:8"}},
      {"a name in two files",
       {{"b.yaml", "knock: 1\n\ngroups: {a: {idp: b}}\n", ""},
        {"a.yaml", "knock: 1\ngroups: {a: {idp: b}}\n", ""}},
       {"policy.duplicate-name", "3:10"}},
      {"an unknown group",
       with("deny: {a: {who: [dab], to: [ssh]}}\n"),
       {"policy.unknown-group", "6:18"}},
      {"an unknown network",
       with("deny: {a: {from: {in: [ofice]}, to: [ssh]}}\n"),
       {"policy.unknown-network", "6:24"}},
      {"an unknown network in not_in",
       with("deny: {a: {who: [dba], from: {not_in: [ofice]}, to: [ssh]}}\n"),
       {"policy.unknown-network", "6:40"}},
      {"an unknown service",
       with("deny: {a: {who: [dba], to: [shh]}}\n"),
       {"policy.unknown-service", "6:29"}},
      {"an unknown service of a static entry",
       with("static: {a: {cidr: [192.0.2.1/32], to: [shh], owner: o, reason: r, until: "
            "2027-01-31}}\n"),
       {"policy.unknown-service", "6:41"}},
      {"an unknown target",
       one("knock: 1\nservices: {s: {ports: [tcp/1], targets: [t]}}\n"),
       {"policy.unknown-target", "2:42"}},
      {"an unknown sign-in source",
       one("knock: 1\ngroups: {a: {idp: b, from: [sos]}}\n"),
       {"policy.unknown-sign-in", "2:29"},
       only_sso()},
      {"local accounts that are off",
       one("knock: 1\ngroups: {a: {idp: b, from: [local]}}\n"),
       {"policy.unknown-sign-in", "2:29"},
       only_sso()},
      {"grant as a source",
       one("knock: 1\ngroups: {a: {idp: b, from: [grant]}}\n"),
       {"policy.unknown-sign-in", "2:29"},
       two_sources()},
      {"a group of whom",
       one("knock: 1\ngroups: {a: {idp: b}}\n"),
       {"policy.group-from-missing", "2:10"},
       two_sources()},
      {"a table with nft syntax",
       one("knock: 1\ntargets: {t: {type: nftables, table: \"k }\"}}\n"),
       {"policy.bad-table", "2:38"}},
      {"a table that begins with a digit",
       one("knock: 1\ntargets: {t: {type: nftables, table: 1k}}\n"),
       {"policy.bad-table", "2:38"}},
      {"a namespace with steps upwards",
       one("knock: 1\ntargets: {t: {type: nftables, netns: /proc/../x}}\n"),
       {"policy.bad-netns", "2:38"}},
      {"a relative path as namespace",
       one("knock: 1\ntargets: {t: {type: nftables, netns: a/b}}\n"),
       {"policy.bad-netns", "2:38"}},
      {"a hook that is none",
       one("knock: 1\ntargets: {t: {type: nftables, hooks: [input, output]}}\n"),
       {"policy.bad-hook", "2:46"}},
      {"two targets on one table",
       one("knock: 1\ntargets: {t: {type: nftables}, u: {type: nftables, table: knock}}\n"),
       {"policy.same-table", "2:32"}},
      {"a deny of everything",
       with("deny: {a: {to: [ssh]}}\n"),
       {"policy.deny-everything", "6:11"}},
      {"a deny of all but one network",
       with("deny: {a: {from: {not_in: [office]}, to: [ssh]}}\n"),
       {"policy.deny-everything", "6:11"}},
      {"an empty condition",
       with("allow: {a: {who: [dba], to: [ssh], ttl: 1h, from: {}}}\n"),
       {"policy.empty-condition", "6:51"}},
      {"a condition of notes",
       with("allow: {a: {who: [dba], to: [ssh], ttl: 1h, from: {x-in: [office]}}}\n"),
       {"policy.empty-condition", "6:51"}},
      {"a star beside a name",
       with("deny: {a: {who: [dba], to: [ssh, \"*\"]}}\n"),
       {"policy.star-mixed", "6:34"}},
      {"stars beyond a million", starred(1001, 1000), {"policy.star-too-large", "1007:3"}},
      {"no file", {}, {"policy.no-files", "0"}},
      {"too many files", many(20'001, 0), {"policy.too-many-files", "0"}},
      {"too many bytes", many(65, 1 << 20), {"policy.too-large-in-all", "0"}},
      {"a group that nobody uses",
       one("knock: 1\ngroups: {a: {idp: b}}\n"),
       {"policy.unused-group", "2:10"}},
      {"a network that nobody uses",
       one("knock: 1\nnetworks: {n: [192.0.2.0/24]}\n"),
       {"policy.unused-network", "2:12"}},
      {"a service that nobody uses",
       one("knock: 1\nservices: {s: {ports: [tcp/1], targets: [t]}}\ntargets: {t: {type: "
           "nftables}}\n"),
       {"policy.unused-service", "2:12"}},
  };
}

}  // namespace knock::test
