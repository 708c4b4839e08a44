// SPDX-License-Identifier: Apache-2.0
// What a policy says about itself (`tests:`), judged by the evaluator that serves real people. Pure.
//
// A test speaks of one person with one sign-in, at the moment of that sign-in, and of nobody else:
// numbers of addresses and of people at one address count as not reached. "Can" means that a rule
// lets the person in, or that a static entry stands open at their address.
//
// Static entries are for machines, whoever sits there. A `never` or `always` that speaks of a person
// (user, groups, claims, acr, mfa_age, approved) and names no `ip` leaves them out, and its remark
// says which; with an `ip`, or without a word about the person, they count.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/ip.h"
#include "base/time.h"
#include "schemas/diagnostic.h"
#include "schemas/policy/policy.h"

namespace knock {

enum class TestVerdict {
  pass,
  fail,
  not_proven,  // beyond a limit; nothing is claimed, and it counts as a failure
};
/// "PASS", "FAIL", "not proven".
std::string_view to_string(TestVerdict verdict);

/// A person one could be, a moment and a service: what shows that a test does not hold.
struct Counterexample {
  std::string user;               // a subject
  std::string source;             // "" where any would do; "grant": an operator let them in
  std::vector<GroupName> groups;  // policy's own names
  std::map<std::string, std::vector<std::string>> claims;
  std::string acr;
  std::optional<Duration> mfa_age;
  bool approved = false;
  IpAddress address;
  Instant at;
  ServiceName service;
  bool can = false;    // what is the case, against what the test says
  RuleName rule;       // allow, static or deny rule that decides it; may be empty
  SourceRange origin;  // of the rule
  std::string reason;  // explain()'s words
};
/// "somebody in dba, leavers, from 198.51.100.1 at 2026-11-21T10:00:00Z"
std::string to_string(const Counterexample& example);

struct TestResult {
  std::size_t test = 0;  // index in Policy::tests
  TestVerdict verdict = TestVerdict::pass;
  std::size_t cells = 0;  // combinations of person, address and moment that were looked at
  bool together = false;  // not proven: the tests of the policy together take too much work
  std::string reason;     // one sentence; empty when it passed
  std::string remark;     // what the verdict leaves out; may be empty
  std::optional<Counterexample> counterexample;
};

struct PolicyCheck {
  std::vector<TestResult> results;  // one each, in the order of Policy::tests
  bool ok() const;                  // every test passed
  std::size_t count(TestVerdict verdict) const;
};

inline constexpr std::size_t kMostCells = 5'000'000;  // of one test
/// Of all tests of a policy, in steps of some 10 ns: what cells cost, and what is prepared for them.
inline constexpr std::size_t kMostWork = 400'000'000;

/// `now`: where the year begins at whose moments tests without `at` are judged, and when static
/// entries must still stand.
PolicyCheck check_policy(const Policy& policy, Instant now, std::size_t most_cells = kMostCells,
                         std::size_t most_work = kMostWork);

/// "bob in dba from 198.51.100.9 cannot reach db-ssh", or the test's own name.
std::string title_of(const PolicyTest& test);
/// One line for each test and a last one with the numbers. Ends with a newline.
std::string to_text(const Policy& policy, const PolicyCheck& check);
/// "policy.test-failed" and "policy.test-not-proven" at the places of the tests; empty when all is
/// well.
Diagnostics diagnostics_of(const Policy& policy, const PolicyCheck& check);

}  // namespace knock
