// SPDX-License-Identifier: Apache-2.0
// Somebody's own rules, as `nft -j list ruleset` prints them. What the real program prints is tested
// in tests/e2e/import_rules_test.cc; here is what it should never print, and what only JSON can say.
#include <gtest/gtest.h>

#include "schemas/nftables/ruleset.h"

namespace knock {
namespace {

std::string ruleset(const std::string& objects) {
  return R"({"nftables": [{"metainfo": {"json_schema_version": 1}},
    {"table": {"family": "inet", "name": "f", "handle": 1}},
    {"chain": {"family": "inet", "table": "f", "name": "in", "handle": 1, "type": "filter",
               "hook": "input", "prio": 0, "policy": "drop"}}, )" +
         objects + "]}";
}
std::string rule(const std::string& statements) {
  return R"({"rule": {"family": "inet", "table": "f", "chain": "in", "handle": 4, "expr": [)" +
         statements + "]}}";
}
std::string port(const std::string& right) {
  return R"({"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}},
                       "right": )" +
         right + "}}";
}
std::string source(const std::string& right, const std::string& op = "==") {
  return R"({"match": {"op": ")" + op +
         R"(", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": )" + right +
         "}}";
}

struct Row {
  const char* what;
  std::string statements, why;
};

TEST(OwnRules, WhatIsNotUnderstoodWholeIsLeftOutAndNamed) {
  const std::string good = source(R"("192.0.2.1")"), ssh = port("22"), yes = R"({"accept": null})";
  const Row rows[] = {
      {"no statements", "", ""},
      {"an address that is none", source(R"("192.0.2.300")") + "," + ssh + "," + yes,
       "names addresses in a way that is not understood"},
      {"a name in place of an address", source(R"("@nowhere")") + "," + ssh + "," + yes,
       "names addresses in a way that is not understood"},
      {"everything but an address", source(R"("192.0.2.1")", "!=") + "," + ssh + "," + yes,
       "names addresses in a way that is not understood"},
      {"two conditions on the address", good + "," + good + "," + ssh + "," + yes,
       "names addresses in a way that is not understood"},
      {"a prefix longer than an address",
       source(R"({"prefix": {"addr": "192.0.2.0", "len": 33}})") + "," + ssh + "," + yes,
       "names addresses in a way that is not understood"},
      {"a prefix shorter than nothing",
       source(R"({"prefix": {"addr": "192.0.2.0", "len": -1}})") + "," + ssh + "," + yes,
       "names addresses in a way that is not understood"},
      {"a range backwards",
       source(R"({"range": ["192.0.2.9", "192.0.2.1"]})") + "," + ssh + "," + yes,
       "names addresses in a way that is not understood"},
      {"a range over two families",
       source(R"({"range": ["192.0.2.9", "2001:db8::1"]})") + "," + ssh + "," + yes,
       "names addresses in a way that is not understood"},
      {"a port beyond all ports", good + "," + port("65536") + "," + yes,
       "names ports in a way that is not understood"},
      {"port 0", good + "," + port("0") + "," + yes, "names ports in a way that is not understood"},
      {"a port as a text", good + "," + port(R"("ssh")") + "," + yes,
       "names ports in a way that is not understood"},
      {"a port range backwards", good + "," + port(R"({"range": [9, 1]})") + "," + yes,
       "names ports in a way that is not understood"},
      {"two conditions on the port", good + "," + ssh + "," + ssh + "," + yes,
       "asks for `tcp dport`"},
      {"no port", good + "," + yes, "names no tcp or udp ports"},
      {"a statement nobody knows", good + "," + ssh + R"(, {"teleport": null},)" + yes,
       "has `teleport`"},
      {"iptables", good + "," + ssh + R"(, {"xt": null},)" + yes, "is written by iptables"},
      {"a statement that is no object", good + "," + ssh + ", 7," + yes, "has ``"},
      {"a match without sides", R"({"match": {"op": "=="}},)" + ssh + "," + yes,
       "has a match without sides"},
      {"what only looks like an accept", good + "," + ssh + R"(, {"xt": null})",
       "is written by iptables"},
      {"goto", good + R"(, {"goto": {"target": "elsewhere"}})",
       "leaves the chain in a way that is not followed"},
      {"a jump to nowhere", R"({"jump": {"target": "elsewhere"}})",
       "jumps to elsewhere under a condition"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    auto read = read_own_rules(ruleset(rule(row.statements)));
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_TRUE(read->let_in.empty());
    if (row.why.empty()) {
      EXPECT_TRUE(read->left_out.empty());
      continue;
    }
    ASSERT_EQ(read->left_out.size(), 1u);
    EXPECT_EQ(read->left_out[0].why, row.why);
    EXPECT_EQ(read->left_out[0].where, "inet f in, handle 4");
  }
}

TEST(OwnRules, BehindWhatIsNotUnderstoodNothingIsTaken) {
  auto good = rule(source(R"("192.0.2.1")") + "," + port("22") + R"(, {"accept": null})");
  for (const char* before : {R"({"xt": null})", R"({"xt": null}, {"drop": null})",
                             R"({"vmap": {"key": 1, "data": 2}})", R"({"queue": null})"}) {
    SCOPED_TRACE(before);
    auto read = read_own_rules(ruleset(rule(before) + "," + good));
    ASSERT_TRUE(read);
    EXPECT_TRUE(read->let_in.empty());
    ASSERT_EQ(read->left_out.size(), 2u);
    EXPECT_EQ(read->left_out[1].why,
              "stands behind a rule that is not understood (inet f in, handle 4)");
  }
  EXPECT_EQ(read_own_rules(ruleset(good))->let_in.size(), 1u);
}

/// A chain that jumps to itself ends.
TEST(OwnRules, JumpsInARingEnd) {
  auto read = read_own_rules(ruleset(rule(R"({"jump": {"target": "in"}})")));
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->let_in.empty());
}

TEST(OwnRules, WhatIsNoRulesetIsRefused) {
  for (const char* text : {"", "{}", "[]", R"({"nftables": {}})", R"({"nftables": [)",
                           R"({"nftables": [], "nftables": []})"})
    EXPECT_FALSE(read_own_rules(text)) << text;
  for (const char* text : {R"({"nftables": []})", R"({"nftables": [1, "a", {}, {"rule": 7}]})",
                           R"({"nftables": [{"rule": {"table": 7, "expr": 7}}]})"}) {
    auto read = read_own_rules(text);
    ASSERT_TRUE(read) << text;
    EXPECT_TRUE(read->let_in.empty() && read->left_out.empty()) << text;
  }
}

}  // namespace
}  // namespace knock
