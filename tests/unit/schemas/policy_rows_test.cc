// SPDX-License-Identifier: Apache-2.0
// The tests that a policy brings.
#include "tests/unit/schemas/policy_rows.h"

#include <fmt/format.h>

namespace knock::test {
namespace {

std::vector<PolicyFile> starred_tests(int services, int tests) {
  std::string text = "knock: 1\ntargets: {edge: {type: nftables}}\nservices:\n";
  for (int i = 0; i < services; ++i)
    text += fmt::format("  s{}: {{ports: [tcp/22], targets: [edge]}}\n", i);
  text += "tests:\n";
  for (int i = 0; i < tests; ++i) text += "  - {never: {can: [\"*\"]}}\n";
  return one(text);
}

}  // namespace

std::vector<Row> test_rows() {
  return {
      {"tests that are a map", with("tests: {as: {}}\n"), {"policy.wrong-type", "6:8"}},
      {"no tests", with("tests: []\n"), {"policy.empty-list", "6:8"}},
      {"a test that is a text", with("tests: [ok]\n"), {"policy.wrong-type", "6:9"}},
      {"a test of nobody", with("tests: [{can: [ssh]}]\n"), {"policy.test-kind", "6:9"}},
      {"a test of two kinds",
       with("tests: [{as: {user: bob}, never: {can: [ssh]}}]\n"),
       {"policy.test-kind", "6:27"}},
      {"an invariant of two kinds",
       with("tests: [{always: {can: [ssh]}, never: {can: [ssh]}}]\n"),
       {"policy.test-kind", "6:32"}},
      {"a test that claims nothing",
       with("tests: [{as: {user: bob}}]\n"),
       {"policy.empty-test", "6:9"}},
      {"a test that contradicts itself",
       with("tests: [{as: {user: bob}, can: [ssh], cannot: [ssh]}]\n"),
       {"policy.test-contradicts", "6:47"}},
      {"a test of everything and something",
       with("tests: [{as: {user: bob}, can: [\"*\"], cannot: [ssh]}]\n"),
       {"policy.test-contradicts", "6:47"}},
      {"a test of something and nothing",
       with("tests: [{as: {user: bob}, can: [ssh], cannot: [\"*\"]}]\n"),
       {"policy.test-contradicts", "6:47"}},
      {"a test of an unknown group",
       with("tests: [{as: {groups: [dab]}, can: [ssh]}]\n"),
       {"policy.unknown-group", "6:24"}},
      {"a test of an unknown service",
       with("tests: [{as: {groups: [dba]}, can: [shh]}]\n"),
       {"policy.unknown-service", "6:37"}},
      {"an invariant of an unknown service",
       with("tests: [{never: {groups: [dba], can: [shh]}}]\n"),
       {"policy.unknown-service", "6:39"}},
      {"an invariant without services",
       with("tests: [{never: {groups: [dba]}}]\n"),
       {"policy.missing-key", "6:17"}},
      {"an invariant with services beside it",
       with("tests: [{never: {groups: [dba], can: [ssh]}, cannot: [ssh]}]\n"),
       {"policy.unknown-key", "6:46"}},
      {"services of a person",
       with("tests: [{as: {user: bob, can: [ssh]}, cannot: [ssh]}]\n"),
       {"policy.unknown-key", "6:26"}},
      {"an unknown key of a test",
       with("tests: [{as: {user: bob}, can: [ssh], cant: [ssh]}]\n"),
       {"policy.unknown-key", "6:39"}},
      {"a person who comes from a network",
       with("tests: [{as: {ip: 192.0.2.0/24}, can: [ssh]}]\n"),
       {"policy.not-one-address", "6:19"}},
      {"a person who comes from nowhere",
       with("tests: [{as: {ip: office}, can: [ssh]}]\n"),
       {"policy.bad-prefix", "6:19"}},
      {"an invariant over a network with host bits",
       with("tests: [{never: {ip: 192.0.2.1/24, can: [ssh]}}]\n"),
       {"policy.host-bits", "6:22"}},
      {"an age in words",
       with("tests: [{as: {mfa_age: old}, can: [ssh]}]\n"),
       {"policy.bad-duration", "6:24"}},
      {"an approval that may be",
       with("tests: [{as: {approved: yes}, can: [ssh]}]\n"),
       {"policy.bad-boolean", "6:25"}},
      {"a moment that is none",
       with("tests: [{as: {user: bob}, can: [ssh], at: monday}]\n"),
       {"policy.bad-time", "6:43"}},
      {"a person without a name",
       with("tests: [{as: {user: \"\"}, can: [ssh]}]\n"),
       {"policy.bad-text", "6:21"}},
      {"claims of nobody",
       with("tests: [{as: {claims: {}}, can: [ssh]}]\n"),
       {"policy.empty-condition", "6:23"}},
      {"a test of all and one",
       with("tests: [{as: {user: bob}, can: [\"*\", ssh]}]\n"),
       {"policy.star-mixed", "6:33"}},
      {"tests beyond a million", starred_tests(1001, 1000), {"policy.star-too-large", "1006:5"}},
  };
}

}  // namespace knock::test
