// SPDX-License-Identifier: Apache-2.0
// What may be adopted: it loads, and its own tests hold.
#include "reconciler/loop/sound_policy.h"

#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

const Instant kNow = Instant::from_seconds(1'795'255'200);

Policy with_test(std::vector<ServiceName> can, std::vector<ServiceName> cannot) {
  Policy policy = *load(policy_text(one_target("edge")), "r1");
  PolicyTest test;
  test.as.groups = {GroupName("admins")};
  test.can = std::move(can);
  test.cannot = std::move(cannot);
  test.origin = {"tests.yaml", 3, 5, 1};
  policy.tests = {test};
  return policy;
}

TEST(SoundPolicy, WithoutTestsOrWithTestsThatHold) {
  Diagnostics problems;
  EXPECT_TRUE(tests_hold(*load(policy_text(one_target("edge")), "r1"), kNow, problems));
  EXPECT_TRUE(tests_hold(with_test({ServiceName("ssh")}, {}), kNow, problems));
  EXPECT_TRUE(problems.empty());
}

TEST(SoundPolicy, ATestThatFailsIsAnErrorAtItsPlace) {
  Diagnostics problems;
  auto held = tests_hold(with_test({}, {ServiceName("ssh")}), kNow, problems);
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().kind, ErrorKind::invalid);
  EXPECT_EQ(held.error().message, "the policy's tests fail");
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].id, "policy.test-failed");
  EXPECT_TRUE(first_of(problems).starts_with("1 problem; first: tests.yaml:3:5: "))
      << first_of(problems);
  EXPECT_EQ(place_of_first(problems), "1 problem; first: tests.yaml:3:5 [policy.test-failed]");
}

TEST(SoundPolicy, FirstOfNamesErrorsOnly) {
  Diagnostic warning;
  warning.severity = Diagnostic::Severity::warning;
  EXPECT_EQ(first_of({warning}), "");
  EXPECT_EQ(place_of_first({warning}), "");
}

TEST(SoundPolicy, FilesThatDoNotLoadAreNotTested) {
  Diagnostics problems;
  auto policy =
      sound_policy({{"a.yaml", "knock: 2\n", ""}}, PolicyRevision("r"), {}, kNow, problems);
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().message, "the policy has errors");
  EXPECT_TRUE(has_errors(problems));
}

TEST(SoundPolicy, AStaticEntryThatHasEndedIsNotAdoptedAgain) {
  std::vector<PolicyFile> files{
      {"a.yaml",
       "knock: 1\nservices: {s: {ports: [tcp/1], targets: [t]}}\ntargets: {t: {type: nftables}}\n"
       "static: {a: {cidr: [192.0.2.1], to: [s], owner: o, reason: r, until: 2026-11-21}}\n",
       ""}};
  auto ends = parse_instant("2026-11-21").value();
  Diagnostics problems;
  EXPECT_TRUE(sound_policy(files, PolicyRevision("r"), {}, ends - Duration::seconds(1), problems));
  EXPECT_FALSE(sound_policy(files, PolicyRevision("r"), {}, ends, problems));
  EXPECT_EQ(problems.at(0).id, "policy.static-ended");
  EXPECT_TRUE(load_policy(files, PolicyRevision("r"), {}).policy) << "one in force stays in force";
}

}  // namespace
}  // namespace knock::test
