// SPDX-License-Identifier: Apache-2.0
// Documents that the policy loader refuses, each by the one check that its row names. Rows of one
// area stand in one file; policy_hostile_test.cc judges them all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "schemas/policy/load.h"
#include "tests/unit/schemas/hostile_row.h"

namespace knock::test {

struct Row {
  std::string name;
  std::vector<PolicyFile> files;
  Expected want;
  PolicyContext context = {};
};

inline PolicyContext two_sources() { return {{SignInName("local"), SignInName("sso")}, true}; }
inline PolicyContext only_sso() { return {{SignInName("sso")}, true}; }

inline std::vector<PolicyFile> one(std::string text) { return {{"p.yaml", std::move(text), ""}}; }

/// Five lines of sound policy; what a row adds begins in line 6.
inline std::vector<PolicyFile> with(std::string_view rule) {
  return one(
      "knock: 1\n"
      "groups: {dba: {idp: dba}}\n"
      "networks: {office: [198.51.100.0/24]}\n"
      "services: {ssh: {ports: [tcp/22], targets: [edge]}}\n"
      "targets: {edge: {type: nftables}}\n" +
      std::string(rule));
}

/// A rule that needs nothing but what the row adds: its keys begin at 6:45.
inline std::vector<PolicyFile> rule(std::string_view keys) {
  return with("allow: {a: {who: [dba], to: [ssh], ttl: 1h, " + std::string(keys) + "}}\n");
}

/// A context that knows Europe/Berlin, America/New_York, and Europe/Broken, which cannot be read.
PolicyContext three_zones();
/// A controller that has none.
PolicyContext no_surfaces();

std::vector<Row> yaml_rows();
std::vector<Row> key_rows();
std::vector<Row> meaning_rows();
std::vector<Row> condition_rows();
std::vector<Row> section_rows();
std::vector<Row> test_rows();

}  // namespace knock::test
