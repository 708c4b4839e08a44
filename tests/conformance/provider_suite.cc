// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/provider_suite.h"

#include <algorithm>
#include <random>
#include <set>

#include "tests/support/requirement.h"

namespace knock::test {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ProviderSuite);

void ProviderSuite::SetUp() {
  const auto& kind = GetParam();
  if (!kind.requirement.empty())
    KNOCK_NEED(kind.requirement, kind.present(), "not available on this machine");
  world = kind.make();
  provider = world->make_provider();
  driver = std::make_unique<ProviderDriver>(*provider, world->target());
}

namespace {

/// One state: some services with some entries, hosts and ranges that lie within each other.
class StateMaker {
 public:
  StateMaker(unsigned seed, const Capabilities& can) : random_(seed), can_(can) {}

  Allowlist make(const TargetName& target) {
    AllowlistBuilder out(target);
    static const char* const kServices[][2] = {{"admin.v2", "tcp/8443"},
                                               {"db", "tcp/5432 tcp/6432"},
                                               {"ssh", "tcp/22"},
                                               {"ssh-ops", "tcp/22"},
                                               {"voip", "udp/5060-5070"}};
    std::set<std::string> ports;
    for (const auto& [name, where] : kServices) {
      if (pick(4) == 0) continue;
      // Now and then a service moves to other ports.
      std::string at = pick(5) == 0 ? std::string(where) + " tcp/9000" : where;
      out.service(name, at);
      entries(out);
      if (can_.closes_by_default && pick(3) != 0) ports.insert(at);
    }
    std::string all;
    for (const auto& port : ports) all += (all.empty() ? "" : " ") + port;
    if (!all.empty()) out.protect(all);
    if (can_.closes_by_default)
      for (const char* keep : {"198.51.100.0/28", "198.51.100.9/32", "203.0.113.7/32"})
        if (pick(2) == 0) out.keep(keep);
    return out.build();
  }

 private:
  unsigned pick(unsigned n) { return unsigned(random_() % n); }

  void entries(AllowlistBuilder& out) {
    static const char* const kSources[] = {
        "10.0.0.0/16",       "10.0.0.0/24",         "10.0.0.0/25",      "10.0.0.128/25",
        "10.0.0.64/26",      "10.0.0.65/32",        "10.0.1.0/24",      "192.0.2.1/32",
        "192.0.2.2/32",      "192.0.2.255/32",      "255.255.255.0/24", "2001:db8::/48",
        "2001:db8:0:1::/64", "2001:db8:0:1::7/128", "2001:db8:1::/48",  "ff00::/8"};
    for (const char* source : kSources) {
      auto range = prefix(source);
      if (!can_.prefixes && !range.is_host()) continue;
      if (!can_.ipv6 && range.family() == Family::v6) continue;
      if (pick(3) == 0) out.entry(source, in(Duration::hours(1 + pick(6))));
    }
  }

  std::mt19937 random_;
  const Capabilities& can_;
};

}  // namespace

std::vector<Allowlist> ProviderSuite::states(unsigned seed, std::size_t count) const {
  auto can = provider->capabilities();
  StateMaker maker(seed, can);
  std::vector<Allowlist> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(maker.make(world->target()));
  return out;
}

void ProviderSuite::expect_converged(const Allowlist& wanted) {
  auto canonical = provider->canonicalize(wanted);
  auto observed = driver->observe();
  ASSERT_TRUE(observed) << observed.error().text();
  EXPECT_TRUE(observed->exists);
  EXPECT_TRUE(observed->complete);
  EXPECT_EQ(observed->structure, canonical.structure);
  std::map<std::string, std::map<Prefix, Instant>> want, have;
  for (const auto& slot : canonical.slots)
    for (const auto& item : slot.items) want[slot.name][item.prefix] = item.until;
  for (const auto& slot : observed->slots)
    for (const auto& item : slot.items)
      if (item.ours) have[slot.name][item.prefix] = item.until.value();
  EXPECT_EQ(have, want);
  EXPECT_EQ(ProviderDriver::describe(driver->plan(wanted)), "") << "the next plan is not empty";
}

// ---------------------------------------------------------------- states

TEST_P(ProviderSuite, reaches_every_state_from_every_other) {
  auto all = states(1, 12);
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE("state " + std::to_string(i));
    driver->converge(all[i]);
    expect_converged(all[i]);
    if (HasFailure()) return;
  }
  std::mt19937 random(2);
  for (int round = 0; round < 2; ++round) {
    std::shuffle(all.begin(), all.end(), random);
    for (std::size_t i = 0; i < all.size(); ++i) {
      SCOPED_TRACE("round " + std::to_string(round) + ", state " + std::to_string(i));
      driver->converge(all[i]);
      expect_converged(all[i]);
      if (HasFailure()) return;
    }
  }
}

TEST_P(ProviderSuite, an_empty_state_is_a_state) {
  auto none = desired().build();
  driver->converge(none);
  driver->converge(states(3, 1)[0]);
  driver->converge(none);
  auto observed = driver->observe();
  ASSERT_TRUE(observed);
  for (const auto& slot : observed->slots) EXPECT_TRUE(slot.items.empty()) << slot.name;
  EXPECT_EQ(ProviderDriver::describe(driver->plan(none)), "");
}

TEST_P(ProviderSuite, holds_a_thousand_entries) {
  auto list = desired().service("ssh", "tcp/22");
  auto until = in(Duration::hours(2));
  auto at = IpAddress::parse("10.1.0.0").value();
  for (int i = 0; i < 1000; ++i, at = *at.next()) list.entry(at.to_string() + "/32", until);
  driver->converge(list.build());
  expect_converged(list.build());
}

// ---------------------------------------------------------------- deadlines

TEST_P(ProviderSuite, tells_the_deadline_it_was_given) {
  auto until = in(Duration::hours(3));
  driver->converge(desired().service("ssh", "tcp/22").entry("192.0.2.1/32", until).build());
  auto observed = driver->observe();
  ASSERT_TRUE(observed);
  const auto& item = observed->slots.at(0).items.at(0);
  EXPECT_TRUE(item.ours);
  EXPECT_EQ(item.until, until);
  if (!provider->capabilities().native_expiry) return;
  ASSERT_TRUE(item.left);
  EXPECT_LE(*item.left, until - observed->at + Duration{20}) << "longer than it may last";
  EXPECT_GT(*item.left, until - observed->at - Duration::seconds(5));
}

TEST_P(ProviderSuite, a_later_and_an_earlier_deadline_replace_the_first) {
  for (auto hours : {2, 5, 1}) {
    auto list = desired()
                    .service("ssh", "tcp/22")
                    .entry("192.0.2.1/32", in(Duration::hours(hours)))
                    .build();
    driver->converge(list);
    expect_converged(list);
  }
}

TEST_P(ProviderSuite, a_deadline_in_the_past_opens_nothing) {
  driver->converge(desired().service("ssh", "tcp/22").build());
  auto late =
      desired().service("ssh", "tcp/22").entry("192.0.2.1/32", in(Duration::hours(1))).build();
  auto plan = driver->plan(late);
  ASSERT_EQ(plan.changes.size(), 1u);
  plan.changes[0].until = now() - Duration::seconds(2);
  auto outcome = driver->apply(plan, late);
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_EQ(outcome->steps[0].kind, StepOutcome::Kind::rejected);
  EXPECT_FALSE(outcome->steps[0].why.empty());
  auto observed = driver->observe();
  ASSERT_TRUE(observed);
  for (const auto& slot : observed->slots) EXPECT_TRUE(slot.items.empty());
}

// ---------------------------------------------------------------- others

TEST_P(ProviderSuite, leaves_foreign_entries_alone_and_reports_them) {
  auto list =
      desired().service("ssh", "tcp/22").entry("192.0.2.1/32", in(Duration::hours(1))).build();
  driver->converge(list);
  world->add_foreign("ssh", prefix("203.0.113.9/32"));
  auto foreign = [&] {
    auto observed = driver->observe();
    if (!observed) return false;
    for (const auto& slot : observed->slots)
      for (const auto& item : slot.items)
        if (item.prefix == prefix("203.0.113.9/32")) return !item.ours;
    return false;
  };
  EXPECT_TRUE(foreign());
  for (const auto& state : {desired().service("ssh", "tcp/22").build(), list}) {
    driver->converge(state);
    EXPECT_TRUE(foreign());
    expect_converged(state);
  }
}

TEST_P(ProviderSuite, a_change_by_somebody_else_is_a_conflict_and_then_healed) {
  if (!provider->capabilities().compare_and_swap) GTEST_SKIP() << "this target has no fence";
  auto list = desired()
                  .service("ssh", "tcp/22")
                  .entry("192.0.2.1/32", in(Duration::hours(1)))
                  .entry("192.0.2.2/32", in(Duration::hours(1)))
                  .build();
  driver->converge(list);
  auto more =
      desired().service("ssh", "tcp/22").entry("192.0.2.3/32", in(Duration::hours(1))).build();
  auto plan = driver->plan(more);
  world->remove_by_hand("ssh", prefix("192.0.2.1/32"));
  auto outcome = driver->apply(plan, more);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().kind, ErrorKind::conflict);
  auto observed = driver->observe();
  ASSERT_TRUE(observed);
  ASSERT_EQ(observed->slots.at(0).items.size(), 1u) << "something was changed";
  EXPECT_EQ(observed->slots[0].items[0].prefix, prefix("192.0.2.2/32"));
  driver->converge(list);
  expect_converged(list);
}

TEST_P(ProviderSuite, a_container_that_vanished_is_built_again) {
  auto list = states(4, 1)[0];
  driver->converge(list);
  world->remove_container();
  auto observed = driver->observe();
  ASSERT_TRUE(observed);
  EXPECT_FALSE(observed->exists);
  driver->applied().clear();
  driver->converge(list);
  expect_converged(list);
}

// ---------------------------------------------------------------- again and after a crash

TEST_P(ProviderSuite, the_same_plan_twice_changes_nothing_more) {
  auto first =
      desired().service("ssh", "tcp/22").entry("192.0.2.1/32", in(Duration::hours(1))).build();
  driver->converge(first);
  auto second =
      desired().service("ssh", "tcp/22").entry("192.0.2.2/32", in(Duration::hours(1))).build();
  auto plan = driver->plan(second);
  for (int i = 0; i < 2; ++i) {
    plan.fence.clear();
    auto outcome = driver->apply(plan, second);
    ASSERT_TRUE(outcome) << outcome.error().text();
    for (const auto& step : outcome->steps)
      EXPECT_EQ(step.kind, StepOutcome::Kind::done) << step.why;
  }
  expect_converged(second);
}

TEST_P(ProviderSuite, another_controller_of_the_installation_goes_on) {
  auto all = states(5, 3);
  driver->converge(all[0]);
  auto successor = world->make_provider();
  ProviderDriver next(*successor, world->target());
  EXPECT_EQ(ProviderDriver::describe(next.plan(all[0])), "") << "it must see what stands";
  next.converge(all[1]);
  // The first one held a plan from before.
  driver->applied() = next.applied();
  driver->converge(all[2]);
  expect_converged(all[2]);
}

TEST_P(ProviderSuite, every_first_part_of_a_plan_can_be_gone_on_from) {
  auto all = states(6, 2);
  driver->converge(all[0]);
  auto whole = driver->plan(all[1]);
  ASSERT_GT(whole.changes.size(), 3u);
  for (std::size_t n : {std::size_t(1), whole.changes.size() / 2, whole.changes.size() - 1}) {
    SCOPED_TRACE(n);
    auto part = driver->plan(all[1]);
    part.changes.resize(std::min(n, part.changes.size()));
    auto outcome = driver->apply(part, all[1]);
    ASSERT_TRUE(outcome) << outcome.error().text();
    driver->converge(all[1]);
    expect_converged(all[1]);
    driver->converge(all[0]);
    expect_converged(all[0]);
  }
}

// ---- whose a target is ----

namespace {

std::size_t foreign_in(const Observed& observed) {
  std::size_t n = 0;
  for (const auto& slot : observed.slots)
    for (const auto& item : slot.items) n += !item.ours;
  return n;
}

bool says(const TargetPlan& plan, std::string_view id) {
  return std::any_of(plan.findings.begin(), plan.findings.end(),
                     [&](const Finding& finding) { return finding.id == id; });
}

}  // namespace

TEST_P(ProviderSuite, foreign_entries_go_only_from_a_container_that_was_adopted_as_a_whole) {
  auto wanted =
      desired().service("ssh", "tcp/22").entry("192.0.2.7/32", in(Duration::hours(1))).build();
  driver->converge(wanted);
  world->add_foreign("ssh", prefix("192.0.2.66/32"));
  for (auto ownership : {Ownership::shared, Ownership::exclusive, Ownership::observe}) {
    driver->ownership() = ownership;
    auto plan = driver->converge(wanted);
    EXPECT_TRUE(plan.changes.empty()) << ProviderDriver::describe(plan);
    EXPECT_EQ(foreign_in(*driver->observe()), 1u) << to_string(ownership);
  }
  driver->ownership() = Ownership::exclusive;
  EXPECT_TRUE(says(driver->whole_plan(wanted), "target.not-adopted"));
  driver->stewardship().exclusive = true;
  EXPECT_FALSE(says(driver->whole_plan(wanted), "target.not-adopted"));
  EXPECT_EQ(ProviderDriver::describe(driver->converge(wanted)), "remove ssh 192.0.2.66/32\n");
  EXPECT_EQ(foreign_in(*driver->observe()), 0u);
  expect_converged(wanted);
}

TEST_P(ProviderSuite, a_foreign_entry_that_policy_wants_is_ours_when_somebody_says_so) {
  auto wanted =
      desired().service("ssh", "tcp/22").entry("192.0.2.7/32", in(Duration::hours(1))).build();
  driver->converge(desired().service("ssh", "tcp/22").build());
  world->add_foreign("ssh", prefix("192.0.2.7/32"));
  world->add_foreign("ssh", prefix("192.0.2.66/32"));
  EXPECT_TRUE(driver->converge(wanted).changes.empty());
  std::set<std::pair<std::string, Prefix>> adopted{{"ssh", prefix("192.0.2.7/32")},
                                                   {"ssh", prefix("192.0.2.66/32")}};
  driver->stewardship().adopted = &adopted;
  EXPECT_EQ(ProviderDriver::describe(driver->converge(wanted)), "add ssh 192.0.2.7/32\n");
  driver->stewardship().adopted = nullptr;
  auto observed = driver->observe();
  ASSERT_TRUE(observed);
  EXPECT_EQ(foreign_in(*observed), 1u) << "what nobody wants stays somebody else's";
  EXPECT_TRUE(driver->converge(wanted).changes.empty());
}

TEST_P(ProviderSuite, nothing_is_written_to_what_is_observed) {
  auto list = states(7, 6);
  driver->ownership() = Ownership::observe;
  for (const auto& wanted : list) {
    auto plan = driver->converge(wanted);
    EXPECT_TRUE(plan.changes.empty()) << ProviderDriver::describe(plan);
    auto observed = driver->observe();
    ASSERT_TRUE(observed);
    EXPECT_FALSE(observed->exists);
  }
  driver->ownership() = Ownership::shared;
  driver->converge(list[0]);
  auto before = driver->observe();
  driver->ownership() = Ownership::observe;
  for (const auto& wanted : list) EXPECT_TRUE(driver->converge(wanted).changes.empty());
  auto after = driver->observe();
  ASSERT_TRUE(before && after);
  EXPECT_EQ(before->fence, after->fence);
  EXPECT_EQ(before->structure, after->structure);
}

TEST_P(ProviderSuite, a_container_of_another_installation_is_written_to_only_after_a_word) {
  auto wanted = desired()
                    .service("ssh", "tcp/22")
                    .entry("192.0.2.7/32", in(Duration::hours(1)))
                    .entry("10.0.0.0/24", in(Duration::hours(2)))
                    .build();
  driver->converge(wanted);
  world->add_foreign("ssh", prefix("192.0.2.66/32"));
  auto others = world->make_others_provider();
  if (others == nullptr) return;
  ProviderDriver other(*others, world->target());
  auto seen = other.observe();
  ASSERT_TRUE(seen);
  ASSERT_TRUE(seen->other_owner);
  for (auto ownership : {Ownership::shared, Ownership::exclusive, Ownership::observe}) {
    other.ownership() = ownership;
    other.stewardship().exclusive = true;
    auto plan = other.whole_plan(wanted);
    EXPECT_TRUE(plan.changes.empty());
    EXPECT_TRUE(says(plan, "target.other-owner"));
  }
  other.ownership() = Ownership::shared;
  TargetPlan plan;
  plan.target = world->target();
  EXPECT_FALSE(other.apply(plan, wanted)) << "whatever a plan says";
  plan.take_over = OwnerId{7};
  EXPECT_FALSE(other.apply(plan, wanted)) << "it was somebody else's when it was looked at";
  expect_converged(wanted);

  plan.take_over = seen->other_owner;
  auto taken = other.apply(plan, wanted);
  ASSERT_TRUE(taken) << taken.error().text();
  seen = other.observe();
  ASSERT_TRUE(seen);
  EXPECT_FALSE(seen->other_owner);
  EXPECT_EQ(foreign_in(*seen), 1u) << "what was nobody's is nobody's";
  ASSERT_EQ(seen->slots.size(), 1u);
  EXPECT_EQ(seen->slots[0].items.size(), 3u);
  EXPECT_TRUE(other.converge(wanted).changes.empty()) << "everything stands as it stood";
  auto former = driver->observe();
  ASSERT_TRUE(former);
  EXPECT_TRUE(former->other_owner) << "and the former owner writes there no more";
}

TEST_P(ProviderSuite, what_is_released_stays_until_its_end_and_is_ours_no_more) {
  auto until = in(Duration::hours(1));
  driver->converge(desired().service("ssh", "tcp/22").entry("192.0.2.7/32", until).build());
  auto observed = driver->observe();
  ASSERT_TRUE(observed);
  TargetPlan plan;
  plan.target = world->target();
  plan.fence = observed->fence;
  plan.changes = release_changes(world->target(), *observed, driver->applied(), now());
  ASSERT_EQ(plan.changes.size(), 1u);
  EXPECT_TRUE(plan.changes[0].released);
  ASSERT_TRUE(driver->apply(plan, desired().service("ssh", "tcp/22").build()));
  observed = driver->observe();
  ASSERT_TRUE(observed);
  ASSERT_EQ(observed->slots.size(), 1u);
  ASSERT_EQ(observed->slots[0].items.size(), 1u);
  const auto& item = observed->slots[0].items[0];
  EXPECT_FALSE(item.ours);
  EXPECT_EQ(item.mark, ObservedItem::Mark::none);
  if (provider->capabilities().native_expiry) {
    ASSERT_TRUE(item.left);
    EXPECT_LE(*item.left, Duration::hours(1));
    EXPECT_GT(*item.left, Duration::minutes(50));
  }
  driver->ownership() = Ownership::shared;
  EXPECT_TRUE(driver->converge(desired().service("ssh", "tcp/22").build()).changes.empty());
}

}  // namespace knock::test
