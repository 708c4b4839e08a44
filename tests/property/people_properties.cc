// SPDX-License-Identifier: Apache-2.0
// compare_people() leaves out people whom no rule that differs speaks of. Everybody is looked at
// when something differs that all rules share, so the same change beside such a difference, one that
// means nothing to anybody, must give the same.
#include <gtest/gtest.h>
// gtest first: rapidcheck's own headers look for it.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "reconciler/core/people.h"
#include "tests/support/choices.h"
#include "tests/support/generated_conditions.h"

namespace knock::test {
namespace {

std::string text_of(const PeopleChanges& changes) {
  std::string out;
  for (const PeopleFigure& figure : changes.figures) {
    out += fmt::format("figure {} {} {} {}+{}+{} {}", figure.gains, figure.service.value,
                       figure.rule.value, figure.directory, figure.seen, figure.named,
                       figure.sessions);
    for (const GroupName& name : figure.unlisted) out += " " + name.value;
    out += "\n";
  }
  for (const PersonChange& person : changes.people)
    out += fmt::format("person {} {} {} {} {}\n", person.gains, person.key, person.service.value,
                       person.rule.value, person.live_until ? person.live_until->ms : 0);
  for (const SessionCut& cut : changes.cuts)
    out += fmt::format("cut {} {} {} {} {}\n", cut.session.value, cut.service.value, cut.rule.value,
                       cut.denied_by.value, cut.until.ms);
  return out;
}

/// One or two rules come, go, or ask for something else; now and then anything changes.
Policy changed(Policy policy) {
  if (below(8) == 0) return edited(std::move(policy));
  for (int edits = 1 + below(2); edits > 0 && !policy.allow.empty(); --edits) {
    auto at = std::size_t(below(int(policy.allow.size())));
    AllowRule& rule = policy.allow[at];
    switch (below(5)) {
      case 0:
        policy.allow.erase(policy.allow.begin() + std::ptrdiff_t(at));
        break;
      case 1:
        rule.from = {};
        rule.mfa_max_age.reset();
        rule.schedule.clear();
        break;
      case 2:
        if (!policy.groups.empty()) rule.who = {pick(policy.groups).name};
        break;
      case 3:
        if (!policy.services.empty() && !rule.to_all) rule.to = {pick(policy.services).name};
        break;
      default:
        rule.max_ips_per_user = 1;
    }
  }
  return policy;
}

TEST(People, WhoIsLeftOutHasNoPart) {
  std::size_t cases = 0, told = 0;
  EXPECT_TRUE(rc::check([&] {
    Moment moment = any_moment();
    Policy planned = changed(moment.policy);
    Policy beside = planned;
    beside.behaviour.warn_before_end = beside.behaviour.warn_before_end + Duration::hours(1);
    auto people = [&](const Policy& policy) {
      return text_of(compare_people({&moment.policy,
                                     policy,
                                     moment.sessions,
                                     {},
                                     moment.now,
                                     moment.approvals,
                                     moment.sessions,
                                     {}}));
    };
    RC_LOG() << describe(moment) << "planned:\n" << to_yaml(planned);
    auto some = people(planned), all = people(beside);
    RC_ASSERT(some == all);
    ++cases;
    told += !all.empty();
  }));
  EXPECT_GE(told * 5, cases) << "too few cases concern anybody";
}

}  // namespace
}  // namespace knock::test
