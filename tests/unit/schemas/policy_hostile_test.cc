// SPDX-License-Identifier: Apache-2.0
// Every check of the policy loader has a document that only this check refuses, with its id and its
// place.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "schemas/policy/check.h"
#include "schemas/policy/load.h"
#include "tests/unit/schemas/hostile_row.h"

namespace knock {
namespace {

using test::Expected;

PolicyContext two_sources() { return {{SignInName("local"), SignInName("sso")}, true}; }
PolicyContext only_sso() { return {{SignInName("sso")}, true}; }

std::vector<PolicyFile> one(std::string text) { return {{"p.yaml", std::move(text), ""}}; }

/// Five lines of sound policy; what a row adds begins in line 6.
std::vector<PolicyFile> with(std::string_view rule) {
  return one(
      "knock: 1\n"
      "groups: {dba: {idp: dba}}\n"
      "networks: {office: [198.51.100.0/24]}\n"
      "services: {ssh: {ports: [tcp/22], targets: [edge]}}\n"
      "targets: {edge: {type: nftables}}\n" +
      std::string(rule));
}

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

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

std::string many_unknown_keys() {
  std::string text = "knock: 1\n";
  for (int i = 0; i < 300; ++i) text += fmt::format("unknown{}: 1\n", i);
  return text;
}

struct Row {
  std::string name;
  std::vector<PolicyFile> files;
  Expected want;
  PolicyContext context = {};
};

std::vector<Row> yaml_rows() {
  return {
      {"a file beyond 1 MiB",
       one("knock: 1\n" + std::string(1 << 20, '#')),
       {"yaml.too-large", "0"}},
      {"invalid UTF-8", one("knock: 1\nx-a: \"\xc3\x28\"\n"), {"yaml.encoding", "2:7"}},
      {"UTF-16", one(std::string("\xff\xfek\0", 4)), {"yaml.encoding", "1:1"}},
      {"a zero byte",
       one(std::string("knock: 1\nx-a: b\0c\n", 18)),
       {"yaml.hidden-character", "2:7"}},
      {"an escape byte", one("knock: 1\nx-a: \x1b[31mred\n"), {"yaml.hidden-character", "2:6"}},
      {"a right-to-left override",
       one("knock: 1\nx-a: ü\u202eb\n"),
       {"yaml.hidden-character", "2:7"}},
      {"a bidi isolate", one("knock: 1\n# \u2066\n"), {"yaml.hidden-character", "2:3"}},
      {"a line separator", one("knock: 1\n# a\u2028deny: {}\n"), {"yaml.hidden-character", "2:4"}},
      {"a next-line control", one("knock: 1\n# a\u0085b\n"), {"yaml.hidden-character", "2:4"}},
      {"a lone carriage return",
       one("knock: 1 # a\rgroups: {}\n"),
       {"yaml.hidden-character", "1:13"}},
      {"a second byte order mark", one("\ufeff\ufeffknock: 1\n"), {"yaml.hidden-character", "1:1"}},
      {"no bytes", one(""), {"yaml.empty", "1:1"}},
      {"comments alone", one("# nothing here\n"), {"yaml.empty", "1:1"}},
      {"an empty document", one("---\n"), {"yaml.empty", "1:1"}},
      {"a stray comma", one(",\n"), {"yaml.several-documents", "1:1"}},
      {"a stray comma before a text", one(", a\n"), {"yaml.several-documents", "1:1"}},
      {"two documents", one("knock: 1\n---\nknock: 1\n"), {"yaml.several-documents", "2:1"}},
      {"a comma after the document", one("{knock: 1}\n,\n"), {"yaml.several-documents", "2:1"}},
      {"a list", one("- knock: 1\n"), {"yaml.root-not-map", "1:1"}},
      {"a text", one("knock\n"), {"yaml.root-not-map", "1:1"}},
      {"null", one("null\n"), {"yaml.root-not-map", "1:1"}},
      {"an anchor", one("knock: &a 1\n"), {"yaml.anchor", "1:8"}},
      {"an anchor on a map", one("knock: 1\nx-a: &b {c: d}\n"), {"yaml.anchor", "2:6"}},
      {"an alias", one("knock: *a\n"), {"yaml.alias", "1:8"}},
      {"an unquoted star", with("deny: {r: {who: [dba], to: [*]}}\n"), {"yaml.alias", "6:29"}},
      {"a tag", one("knock: !!int 1\n"), {"yaml.tag", "1:8"}},
      {"a non-specific tag", one("knock: ! 1\n"), {"yaml.tag", "1:8"}},
      {"a local tag on a map", one("knock: 1\nx-a: !b {c: d}\n"), {"yaml.tag", "2:6"}},
      {"a merge key", one("knock: 1\n<<: {groups: {}}\n"), {"yaml.merge-key", "2:1"}},
      {"brackets beyond the depth",
       one("knock: 1\nx-a: " + repeated("[", 64) + repeated("]", 64)),
       {"yaml.depth", "2:69"}},
      {"a bomb of brackets",
       one("x: " + repeated("[", 500'000) + repeated("]", 500'000)),
       {"yaml.depth", "1:67"}},
      {"a bomb of brackets never closed",
       one("x: " + repeated("[", 1'000'000)),
       {"yaml.key-not-text", "1:5"}},
      {"a bomb of braces", one("x: " + repeated("{a: ", 250'000)), {"yaml.depth", "1:256"}},
      {"a bomb of dashes", one("x:\n  " + repeated("- ", 300'000)), {"yaml.depth", "2:129"}},
      {"too many values",
       one("x-a: [" + repeated("1,", 200'001) + "]"),
       {"yaml.nodes", "1:400001"}},
      {"a key twice", one("knock: 1\nx-a: {b: 1, c: 2, b: 3}\n"), {"yaml.duplicate-key", "2:19"}},
      {"a key twice, once quoted",
       one("knock: 1\nx-a: {b: 1, 'b': 3}\n"),
       {"yaml.duplicate-key", "2:13"}},
      {"a rule twice",
       with("allow:\n  a: {who: [dba], to: [ssh], ttl: 1h}\n  a: {who: [dba], to: [ssh], ttl: "
            "9h}\n"),
       {"yaml.duplicate-key", "8:3"}},
      {"the header twice", one("knock: 1\nknock: 1\n"), {"yaml.duplicate-key", "2:1"}},
      {"a list as key", one("knock: 1\nx-a: {[b]: c}\n"), {"yaml.key-not-text", "2:7"}},
      {"a map as key", one("knock: 1\n? {a: b}\n: c\n"), {"yaml.key-not-text", "2:3"}},
      {"no key", one("knock: 1\n: c\n"), {"yaml.key-not-text", "2:1"}},
      {"an open bracket", one("knock: 1\nx-a: [1\n"), {"yaml.syntax", "3:1"}},
      {"an open quote", one("knock: 1\nx-a: \"b\n"), {"yaml.open-quote", "2:6"}},
      {"an open quote that would swallow a rule",
       one("knock: 1\nx-a: {b: \"c\ndeny: {}\nx-d: e\"}\n"),
       {"yaml.open-quote", "2:10"}},
      {"an open single quote", one("knock: 1\nx-a: 'it''s\n"), {"yaml.open-quote", "2:6"}},
      {"an open quote at the end", one("knock: 1\nx-a: \"b"), {"yaml.open-quote", "2:8"}},
      {"a tab as indentation", one("knock: 1\nx-a:\n\tb: c\n"), {"yaml.syntax", "3:3"}},
      {"an unknown escape", one("knock: 1\nx-a: \"\\q\"\n"), {"yaml.syntax", "2:9"}},
  };
}

std::vector<Row> reader_rows() {
  return {
      {"a misspelt section", one("knock: 1\ngrups: {}\n"), {"policy.unknown-key", "2:1"}},
      {"a misspelt section that others refer to",
       one("knock: 1\ngrups: {dba: {idp: x}}\nservices: {s: {ports: [tcp/1], targets: [t]}}\n"
           "targets: {t: {type: nftables}}\nallow: {a: {who: [dba], to: [s], ttl: 1h}}\n"),
       {"policy.unknown-key", "2:1"}},
      {"a misspelt key that is needed",
       one("knock: 1\ngroups: {a: {ipd: a}}\n"),
       {"policy.unknown-key", "2:14"}},
      {"a key of nothing",
       one("knock: 1\ngroups: {a: {idp: a, zzzzzzzzz: 1}}\n"),
       {"policy.unknown-key", "2:22"}},
      {"an unknown key of a target",
       one("knock: 1\ntargets: {t: {type: nftables, hoks: [input]}}\n"),
       {"policy.unknown-key", "2:31"}},
      {"an unknown key of a prefix",
       one("knock: 1\nnetworks: {n: [{cidr: 192.0.2.0/24, al: true}]}\n"),
       {"policy.unknown-key", "2:37"}},
      {"an unknown key of from",
       with("allow: {a: {who: [dba], to: [ssh], ttl: 1h, from: {on: [office]}}}\n"),
       {"policy.unknown-key", "6:52"}},
      {"a group without idp", one("knock: 1\ngroups: {a: {}}\n"), {"policy.missing-key", "2:13"}},
      {"a service without ports",
       one("knock: 1\nservices: {s: {targets: [t]}}\ntargets: {t: {type: nftables}}\n"),
       {"policy.missing-key", "2:15"}},
      {"a target without type",
       one("knock: 1\ntargets: {t: {}}\n"),
       {"policy.missing-key", "2:14"}},
      {"an allow rule without ttl",
       with("allow: {a: {who: [dba], to: [ssh]}}\n"),
       {"policy.missing-key", "6:12"}},
      {"an allow rule without who",
       with("allow: {a: {to: [ssh], ttl: 1h}}\n"),
       {"policy.missing-key", "6:12"}},
      {"an allow rule without to",
       with("allow: {a: {who: [dba], ttl: 1h}}\n"),
       {"policy.missing-key", "6:12"}},
      {"a deny rule without to", with("deny: {a: {who: [dba]}}\n"), {"policy.missing-key", "6:11"}},
      {"a static entry without owner",
       with("static: {a: {cidr: [192.0.2.1/32], to: [ssh], reason: r, until: 2027-01-31}}\n"),
       {"policy.missing-key", "6:13"}},
      {"a static entry without reason",
       with("static: {a: {cidr: [192.0.2.1/32], to: [ssh], owner: r, until: 2027-01-31}}\n"),
       {"policy.missing-key", "6:13"}},
      {"a static entry without until",
       with("static: {a: {cidr: [192.0.2.1/32], to: [ssh], owner: r, reason: s}}\n"),
       {"policy.missing-key", "6:13"}},
      {"nothing after a section", one("knock: 1\ngroups:\n"), {"policy.missing-value", "2:1"}},
      {"nothing after a name", one("knock: 1\ngroups:\n  a:\n"), {"policy.missing-value", "3:3"}},
      {"nothing after a key",
       one("knock: 1\ngroups:\n  a:\n    idp:\n"),
       {"policy.missing-value", "4:5"}},
      {"nothing before the key null",
       one("knock: 1\ngroups:\n  a:\n  null: {idp: b}\n"),
       {"policy.missing-value", "3:3"}},
      {"an empty list item",
       with(
           "deny: {a: {who: [dba, ], to: [ssh]}}\nallow: {a: {who: [,dba], to: [ssh], ttl: 1h}}\n"),
       {"policy.missing-value", "7:19"}},
      {"a list for a section", one("knock: 1\ngroups: [a]\n"), {"policy.wrong-type", "2:9"}},
      {"a text for a group", one("knock: 1\ngroups: {a: b}\n"), {"policy.wrong-type", "2:13"}},
      {"a text for a list",
       with("deny: {a: {who: dba, to: [ssh]}}\n"),
       {"policy.wrong-type", "6:17"}},
      {"a list for a text",
       one("knock: 1\ngroups: {a: {idp: [b]}}\n"),
       {"policy.wrong-type", "2:19"}},
      {"a map in a list",
       with("deny: {a: {who: [{dba: 1}], to: [ssh]}}\n"),
       {"policy.wrong-type", "6:18"}},
      {"a text for a rule", with("deny: {a: b}\n"), {"policy.wrong-type", "6:11"}},
      {"a list for from",
       with("deny: {a: {from: [office], to: [ssh]}}\n"),
       {"policy.wrong-type", "6:18"}},
      {"one prefix for a network",
       one("knock: 1\nnetworks: {n: 192.0.2.0/24}\n"),
       {"policy.wrong-type", "2:15"}},
      {"a name in capitals",
       one("knock: 1\ngroups: {DBA: {idp: b}}\n"),
       {"policy.bad-name", "2:10"}},
      {"a name in capitals that is used",
       with("deny: {Bad: {who: [dba], to: [ssh]}}\n"),
       {"policy.bad-name", "6:8"}},
      {"a name with an escape",
       one("knock: 1\ngroups: {\"a\\e[31m\": {idp: b}}\n"),
       {"policy.bad-name", "2:10"}},
      {"a name with nft syntax",
       one("knock: 1\nservices: {\"s; drop\": {ports: [tcp/1], targets: [t]}}\ntargets: {t: {type: "
           "nftables}}\n"),
       {"policy.bad-name", "2:12"}},
      {"a name that begins with a dash",
       one("knock: 1\ngroups: {-a: {idp: b}}\n"),
       {"policy.bad-name", "2:10"}},
      {"a name of 64 characters",
       one("knock: 1\ngroups: {" + std::string(64, 'a') + ": {idp: b}}\n"),
       {"policy.bad-name", "2:10"}},
      {"yes as a text",
       one("knock: 1\ngroups: {a: {idp: yes}}\n"),
       {"policy.ambiguous-text", "2:19"}},
      {"an octal number as a text",
       one("knock: 1\ngroups: {a: {idp: 0010}}\n"),
       {"policy.ambiguous-text", "2:19"}},
      {"base 60 as a text",
       one("knock: 1\ngroups: {a: {idp: 12:30}}\n"),
       {"policy.ambiguous-text", "2:19"}},
      {"a float as a text",
       one("knock: 1\ngroups: {a: {idp: 1e3}}\n"),
       {"policy.ambiguous-text", "2:19"}},
      {"a date as a text",
       one("knock: 1\ngroups: {a: {idp: 2027-01-31}}\n"),
       {"policy.ambiguous-text", "2:19"}},
      {"null as a text",
       one("knock: 1\ngroups: {a: {idp: null}}\n"),
       {"policy.ambiguous-text", "2:19"}},
      {"an empty text", one("knock: 1\ngroups: {a: {idp: \"\"}}\n"), {"policy.bad-text", "2:19"}},
      {"a blank text", one("knock: 1\ngroups: {a: {idp: \"  \"}}\n"), {"policy.bad-text", "2:19"}},
      {"a text of two lines",
       one("knock: 1\ngroups: {a: {idp: \"b\\nc\"}}\n"),
       {"policy.bad-text", "2:19"}},
      {"a text with a zero byte",
       one("knock: 1\ngroups: {a: {idp: \"b\\0\"}}\n"),
       {"policy.bad-text", "2:19"}},
      {"a text beyond 1000 bytes",
       one("knock: 1\ngroups: {a: {idp: " + std::string(1001, 'b') + "}}\n"),
       {"policy.bad-text", "2:19"}},
      {"yes as a truth value",
       one("knock: 1\ntargets: {t: {type: nftables, protect: yes}}\n"),
       {"policy.bad-boolean", "2:40"}},
      {"a quoted truth value",
       one("knock: 1\ntargets: {t: {type: nftables, protect: \"true\"}}\n"),
       {"policy.bad-boolean", "2:40"}},
      {"a duration without unit",
       with("allow: {a: {who: [dba], to: [ssh], ttl: 8}}\n"),
       {"policy.bad-duration", "6:41"}},
      {"a duration of zero",
       with("allow: {a: {who: [dba], to: [ssh], ttl: 0h}}\n"),
       {"policy.bad-duration", "6:41"}},
      {"a negative duration",
       with("allow: {a: {who: [dba], to: [ssh], ttl: -1h}}\n"),
       {"policy.bad-duration", "6:41"}},
      {"a duration of centuries",
       with("allow: {a: {who: [dba], to: [ssh], ttl: 99999d}}\n"),
       {"policy.bad-duration", "6:41"}},
      {"a bad max_ttl",
       one("knock: 1\ntargets: {t: {type: nftables, max_ttl: 1w}}\n"),
       {"policy.bad-duration", "2:40"}},
      {"a host name for a prefix",
       one("knock: 1\nnetworks: {n: [example.org]}\n"),
       {"policy.bad-prefix", "2:16"}},
      {"an octet with a leading zero",
       one("knock: 1\nnetworks: {n: [192.0.02.0/24]}\n"),
       {"policy.bad-prefix", "2:16"}},
      {"a length beyond the family",
       one("knock: 1\nnetworks: {n: [192.0.2.0/33]}\n"),
       {"policy.bad-prefix", "2:16"}},
      {"a zone",
       one("knock: 1\nnetworks: {n: [\"fe80::1%eth0\"]}\n"),
       {"policy.bad-prefix", "2:16"}},
      {"host bits", one("knock: 1\nnetworks: {n: [192.0.2.1/24]}\n"), {"policy.host-bits", "2:16"}},
      {"IPv6 host bits",
       one("knock: 1\nnetworks: {n: [\"2001:db8::1/64\"]}\n"),
       {"policy.host-bits", "2:16"}},
      {"a wide network",
       one("knock: 1\nnetworks: {n: [192.0.2.0/24, 10.0.0.0/8]}\n"),
       {"policy.wide-prefix", "2:30"}},
      {"a wide IPv6 network",
       one("knock: 1\nnetworks: {n: [\"2001:db8::/47\"]}\n"),
       {"policy.wide-prefix", "2:16"}},
      {"everybody", one("knock: 1\nnetworks: {n: [0.0.0.0/0]}\n"), {"policy.wide-prefix", "2:16"}},
      {"everybody with any: false",
       one("knock: 1\nnetworks: {n: [{cidr: 0.0.0.0/0, any: false}]}\n"),
       {"policy.wide-prefix", "2:23"}},
      {"any on another entry",
       one("knock: 1\nnetworks: {n: [{cidr: 10.0.0.0/8, any: true}, 11.0.0.0/8]}\n"),
       {"policy.wide-prefix", "2:47"}},
      {"a wide static entry",
       with("static: {a: {cidr: [10.0.0.0/8], to: [ssh], owner: o, reason: r, until: "
            "2027-01-31}}\n"),
       {"policy.wide-prefix", "6:21"}},
      {"a mapped prefix that is wide",
       one("knock: 1\nnetworks: {n: [\"::ffff:10.0.0.0/104\"]}\n"),
       {"policy.wide-prefix", "2:16"}},
      {"an empty list", with("deny: {a: {who: [], to: [ssh]}}\n"), {"policy.empty-list", "6:17"}},
      {"a network without prefixes",
       one("knock: 1\nnetworks: {n: []}\n"),
       {"policy.empty-list", "2:15"}},
      {"a service without targets",
       one("knock: 1\nservices: {s: {ports: [tcp/1], targets: []}}\n"),
       {"policy.empty-list", "2:41"}},
      {"a target of another kind",
       one("knock: 1\ntargets: {t: {type: nftable, zzz: 1}}\n"),
       {"policy.unknown-type", "2:21"}},
      {"approval",
       with("allow: {a: {who: [dba], to: [ssh], ttl: 1h, approval: {from: [dba]}}}\n"),
       {"policy.not-supported", "6:45"}},
      {"a schedule",
       with("allow: {a: {who: [dba], to: [ssh], ttl: 1h, schedule: {days: mon-fri}}}\n"),
       {"policy.not-supported", "6:45"}},
      {"mfa_max_age",
       with("allow: {a: {who: [dba], to: [ssh], ttl: 1h, mfa_max_age: 15m}}\n"),
       {"policy.not-supported", "6:45"}},
      {"acr",
       with("allow: {a: {who: [dba], to: [ssh], ttl: 1h, acr: x}}\n"),
       {"policy.not-supported", "6:45"}},
      {"max_ips_per_user",
       with("allow: {a: {who: [dba], to: [ssh], ttl: 1h, max_ips_per_user: 1}}\n"),
       {"policy.not-supported", "6:45"}},
      {"max_users_per_ip",
       with("allow: {a: {who: [dba], to: [ssh], ttl: 1h, max_users_per_ip: 1}}\n"),
       {"policy.not-supported", "6:45"}},
      {"a schedule on a deny",
       with("deny: {a: {who: [dba], to: [ssh], schedule: {}}}\n"),
       {"policy.not-supported", "6:35"}},
      {"break_glass", one("knock: 1\nbreak_glass: {}\n"), {"policy.not-supported", "2:1"}},
      {"guards", one("knock: 1\nguards: {}\n"), {"policy.not-supported", "2:1"}},
      {"tests", one("knock: 1\ntests: []\n"), {"policy.not-supported", "2:1"}},
      {"ownership of a target",
       one("knock: 1\ntargets: {t: {type: nftables, ownership: shared}}\n"),
       {"policy.not-supported", "2:31"}},
  };
}

std::vector<Row> policy_rows() {
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

std::vector<Row> all_rows() {
  auto rows = yaml_rows();
  for (auto more : {reader_rows(), policy_rows()})
    rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

bool is_warning(const std::string& id) { return id.starts_with("policy.unused-"); }

TEST(PolicyHostile, EveryRowGivesItsOneDiagnostic) {
  for (const auto& row : all_rows()) {
    SCOPED_TRACE(row.name);
    auto load = load_policy(row.files, PolicyRevision("r"), row.context);
    test::expect_only(load.diagnostics, row.want);
    EXPECT_EQ(load.policy.has_value(), is_warning(row.want.id));
  }
}

TEST(PolicyHostile, AFloodOfMistakesIsCutAndSaysSo) {
  auto load = load_policy(one(many_unknown_keys()), PolicyRevision("r"), {});
  ASSERT_EQ(load.diagnostics.size(), 201u);
  EXPECT_EQ(load.diagnostics.front().id, "policy.unknown-key");
  EXPECT_EQ(load.diagnostics.back().id, "policy.too-many-problems");
}

TEST(PolicyHostile, FloodsInManyFilesAreCutToo) {
  std::vector<PolicyFile> files;
  for (int i = 0; i < 50; ++i)
    files.push_back({fmt::format("p{:02}.yaml", i), many_unknown_keys(), ""});
  auto load = load_policy(files, PolicyRevision("r"), {});
  EXPECT_LT(load.diagnostics.size(), 1300u);
  EXPECT_EQ(load.diagnostics.front().id, "policy.too-many-problems");  // of the whole policy: first
  EXPECT_EQ(load.diagnostics.front().where.line, 0u);

  std::string unknown = "knock: 1\ndeny: {a: {who: [";
  for (int i = 0; i < 3000; ++i) unknown += fmt::format("g{}, ", i);
  auto merged = load_policy(one(unknown + "z], to: [s]}}\n"), PolicyRevision("r"), {});
  EXPECT_EQ(merged.diagnostics.size(), 1001u);
}

TEST(PolicyHostile, EveryIdHasARow) {
  std::set<std::string> seen{"policy.too-many-problems"};
  for (const auto& row : all_rows()) seen.insert(row.want.id);
  EXPECT_EQ(test::sorted_list(seen), policy_diagnostic_ids());
}

TEST(PolicyHostile, SuggestionsNameWhatWasMeant) {
  struct Hint {
    std::vector<PolicyFile> files;
    std::string suggestion;
  };
  const std::vector<Hint> hints{
      {one("knock: 1\ngrups: {}\n"), "did you mean `groups`?"},
      {with("deny: {a: {who: [dab], to: [ssh]}}\n"), "did you mean `dba`?"},
      {one("knock: 1\ntargets: {t: {type: nftable}}\n"), "did you mean `nftables`?"},
      {one("knock: 1\nnetworks: {n: [192.0.2.1/24]}\n"),
       "write 192.0.2.0/24 for the network, or 192.0.2.1/32 for the one host"},
      {one("knock: 1\ngroups: {a: {idp: yes}}\n"), "put it in quotes: \"yes\""},
  };
  for (const auto& hint : hints) {
    auto load = load_policy(hint.files, PolicyRevision("r"), {});
    ASSERT_EQ(load.diagnostics.size(), 1u) << to_text(load.diagnostics);
    EXPECT_EQ(load.diagnostics[0].suggestion, hint.suggestion);
  }
}

TEST(PolicyHostile, ADuplicateNameNamesBothPlaces) {
  auto load = load_policy({{"b.yaml", "knock: 1\ngroups: {a: {idp: b}}\n", ""},
                           {"a.yaml", "knock: 1\n\ngroups: {a: {idp: b}}\n", ""}},
                          PolicyRevision("r"), {});
  ASSERT_EQ(load.diagnostics.size(), 1u);
  EXPECT_EQ(load.diagnostics[0].where.to_string(), "b.yaml:2:10");
  EXPECT_NE(load.diagnostics[0].summary.find("a.yaml:3:10"), std::string::npos);
}

}  // namespace
}  // namespace knock
