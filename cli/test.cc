// SPDX-License-Identifier: Apache-2.0
// The policy's own tests, without a controller and without a target.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <filesystem>

#include "base/text.h"
#include "cli/local.h"
#include "reconciler/core/policy_check.h"
#include "server/core/controller.h"
#include "store/tzdata/system_zones.h"

namespace knock::cli {
namespace {

namespace json = boost::json;

struct TestFlags {
  PolicyFlags policy;
  std::string at;
};

std::string_view name_of(TestVerdict verdict) {
  switch (verdict) {
    case TestVerdict::pass:
      return "pass";
    case TestVerdict::fail:
      return "fail";
    case TestVerdict::not_proven:
      return "not_proven";
  }
  return "";
}

std::string_view name_of(PolicyTest::Kind kind) {
  switch (kind) {
    case PolicyTest::Kind::example:
      return "example";
    case PolicyTest::Kind::always:
      return "always";
    case PolicyTest::Kind::never:
      return "never";
  }
  return "";
}

json::object place(const SourceRange& origin) {
  return {{"file", origin.file}, {"line", origin.line}, {"column", origin.column}};
}

json::object object_of(const Counterexample& example) {
  json::array groups;
  for (const GroupName& name : example.groups) groups.emplace_back(name.value);
  json::object claims;
  for (const auto& [claim, values] : example.claims)
    claims[claim] = json::array(values.begin(), values.end());
  json::object out{{"user", example.user},
                   {"source", example.source},
                   {"groups", std::move(groups)},
                   {"claims", std::move(claims)},
                   {"acr", example.acr},
                   {"mfa_age", nullptr},
                   {"approved", example.approved},
                   {"address", example.address.to_string()},
                   {"at", to_string(example.at)},
                   {"service", example.service.value},
                   {"can", example.can},
                   {"rule", example.rule.value},
                   {"where", nullptr},
                   {"reason", example.reason}};
  if (example.mfa_age) out["mfa_age"] = to_string(*example.mfa_age);
  if (!example.rule.empty()) out["where"] = place(example.origin);
  return out;
}

json::object object_of(const Policy& policy, const TestResult& result) {
  const PolicyTest& test = policy.tests[result.test];
  json::object out{{"verdict", name_of(result.verdict)},
                   {"kind", name_of(test.kind)},
                   {"title", title_of(test)},
                   {"where", place(test.origin)},
                   {"combinations", result.cells},
                   {"reason", result.reason},
                   {"remark", result.remark},
                   {"counterexample", nullptr}};
  if (result.counterexample) out["counterexample"] = object_of(*result.counterexample);
  return out;
}

std::string to_json(const Policy& policy, const PolicyCheck& check, Instant now) {
  json::array tests;
  for (const TestResult& result : check.results) tests.emplace_back(object_of(policy, result));
  return json::serialize(json::object{{"knock_test", "1.0"},
                                      {"revision", policy.revision.value},
                                      {"at", to_string(now)},
                                      {"ok", check.ok()},
                                      {"passed", check.count(TestVerdict::pass)},
                                      {"failed", check.count(TestVerdict::fail)},
                                      {"not_proven", check.count(TestVerdict::not_proven)},
                                      {"tests", std::move(tests)}}) +
         "\n";
}

/// With flags the configuration is not needed; where there is one it says which names exist.
std::optional<Config> config_for(const Global& global, const TestFlags& flags) {
  std::error_code ignored;
  if (flags.policy.given() && !std::filesystem::exists(global.config_file, ignored))
    return Config{};
  return read_config(global);
}

int test(const Global& global, const TestFlags& flags) {
  if (auto why = flags.policy.not_a_policy(); !why.empty()) return fail_with(kPolicyInvalid, why);
  auto config = config_for(global, flags);
  if (!config) return kError;
  std::error_code ignored;
  PolicyContext context;
  context.zones = system_zones();
  if (std::filesystem::exists(global.config_file, ignored))
    context = policy_context(*config, system_zones());
  Instant now = SystemClock().now();
  if (!flags.at.empty()) {
    auto at = parse_instant(flags.at);
    if (!at)
      return fail_with(kUsage, printable(flags.at) + " is not a time; write 2026-11-21T10:04:11Z");
    now = *at;
  }
  auto source = policy_source(location_of(flags.policy, *config), *config);
  if (!source) return fail_with(source.error());
  int code = kDone;
  auto loaded = load_or_say(**source, context, code);
  if (!loaded) return code;
  auto check = check_policy(loaded->policy, now);
  if (global.json)
    print(to_json(loaded->policy, check, now));
  else if (check.results.empty())
    print(
        "This policy has no tests: nothing says what it must never allow. docs/policy-tests.md\n");
  else
    print(to_text(loaded->policy, check));
  return check.ok() ? kDone : kPolicyInvalid;
}

}  // namespace

void add_test(Commands& commands) {
  auto flags = std::make_shared<TestFlags>();
  auto* command = commands.add(commands.app, "test", "The policy's own tests, one line each",
                               "knock test --policy policies/");
  flags->policy.add_to(*command);
  command->add_option("--at", flags->at, "As if it were this time: where the year begins");
  commands.run(command, [&commands, flags] { return test(commands.global, *flags); });
}

}  // namespace knock::cli
