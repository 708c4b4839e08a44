// SPDX-License-Identifier: Apache-2.0
// What is refused as YAML.
#include "tests/unit/schemas/policy_rows.h"

namespace knock::test {
namespace {

std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace

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

}  // namespace knock::test
