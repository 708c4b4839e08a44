// SPDX-License-Identifier: Apache-2.0
// Tests and what became of them, for people.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "reconciler/core/policy_check.h"

namespace knock {
namespace {

template <class Names>
std::string listed(const Names& names) {
  std::vector<std::string> out;
  for (const auto& name : names) out.push_back(printable(name.value));
  return join(out, ", ");
}

std::string conditions(const std::map<std::string, std::vector<std::string>>& claims,
                       const std::string& acr, const std::optional<Duration>& mfa_age) {
  std::vector<std::string> out;
  for (const auto& [claim, values] : claims)
    out.push_back(printable(claim) + " " + printable(join(values, "+")));
  if (!acr.empty()) out.push_back("acr " + printable(acr));
  if (mfa_age)
    out.push_back(mfa_age->ms == 0 ? std::string("a second factor just shown")
                                   : "a second factor " + for_people(*mfa_age) + " old");
  return out.empty() ? "" : " with " + join(out, ", ");
}

std::string person(const TestPerson& as, std::string_view nobody) {
  std::string out = as.user ? printable(*as.user) : std::string(nobody);
  if (as.groups && !as.groups->empty()) out += " in " + listed(*as.groups);
  out += conditions(as.claims, as.acr.value_or(""), as.mfa_age);
  if (as.approved) out += *as.approved ? ", approved," : ", not approved,";
  if (as.ip) out += " from " + (as.ip->is_host() ? as.ip->first().to_string() : as.ip->to_string());
  return out;
}

std::string services(const std::vector<ServiceName>& list, bool all) {
  return all ? "any service" : listed(list);
}

std::string cells(const TestResult& result) {
  return counted(result.cells, "combination", "combinations");
}

}  // namespace

std::string_view to_string(TestVerdict verdict) {
  switch (verdict) {
    case TestVerdict::pass:
      return "PASS";
    case TestVerdict::fail:
      return "FAIL";
    case TestVerdict::not_proven:
      return "not proven";
  }
  return "";
}

std::string to_string(const Counterexample& example) {
  std::string out = printable(example.user);
  if (!example.groups.empty()) out += " in " + listed(example.groups);
  if (example.source == "grant")
    out += ", let in by an operator,";
  else if (!example.source.empty())
    out += ", signed in at " + printable(example.source) + ",";
  out += conditions(example.claims, example.acr, example.mfa_age);
  if (example.approved) out += ", approved,";
  return fmt::format("{} from {} at {}", out, example.address.to_string(), to_string(example.at));
}

std::string title_of(const PolicyTest& test) {
  if (!test.name.empty()) return printable(test.name);
  std::string out;
  switch (test.kind) {
    case PolicyTest::Kind::always:
      out = "always: " + person(test.as, "everybody") + " can reach " +
            services(test.can, test.can_all);
      break;
    case PolicyTest::Kind::never:
      out =
          "never: " + person(test.as, "anybody") + " can reach " + services(test.can, test.can_all);
      break;
    case PolicyTest::Kind::example: {
      std::vector<std::string> parts;
      if (!test.can.empty() || test.can_all)
        parts.push_back("can reach " + services(test.can, test.can_all));
      if (!test.cannot.empty() || test.cannot_all)
        parts.push_back("cannot reach " + services(test.cannot, test.cannot_all));
      out = person(test.as, "somebody") + " " + join(parts, ", ");
    }
  }
  if (test.at) out += " at " + to_string(*test.at);
  return out;
}

std::string to_text(const Policy& policy, const PolicyCheck& check) {
  std::string out;
  for (const TestResult& result : check.results) {
    const PolicyTest& test = policy.tests[result.test];
    out += fmt::format("{:<10}  {}: {} ({})\n", to_string(result.verdict), test.origin.to_string(),
                       title_of(test), cells(result));
    if (!result.reason.empty()) out += fmt::format("{:<10}    {}\n", "", result.reason);
    if (!result.remark.empty()) out += fmt::format("{:<10}    {}\n", "", result.remark);
  }
  out += counted(check.results.size(), "test", "tests") +
         fmt::format(": {} passed, {} failed, {} not proven\n", check.count(TestVerdict::pass),
                     check.count(TestVerdict::fail), check.count(TestVerdict::not_proven));
  return out;
}

Diagnostics diagnostics_of(const Policy& policy, const PolicyCheck& check) {
  Diagnostics out;
  for (const TestResult& result : check.results) {
    if (result.verdict == TestVerdict::pass) continue;
    const PolicyTest& test = policy.tests[result.test];
    bool failed = result.verdict == TestVerdict::fail;
    Diagnostic one;
    one.id = failed ? "policy.test-failed" : "policy.test-not-proven";
    one.where = test.origin;
    one.summary =
        fmt::format("{} \"{}\": {}", failed ? "test fails:" : "test is not proven:", title_of(test),
                    result.reason);
    one.suggestion = failed ? "change the rule, or the test when it no longer says what is meant"
                     : result.together
                         ? "write fewer tests, or name an ip, a service or a group in those that "
                           "look at most"
                         : "split the test into smaller ones";
    out.push_back(std::move(one));
  }
  sort_diagnostics(out);
  return out;
}

}  // namespace knock
