// SPDX-License-Identifier: Apache-2.0
// `always` and `never` by looking at everybody: every set of groups, every subject that rules know,
// every claim, factor and approval, every address of a small world, every hour. What the check of
// few people says must be the same.
#include <gtest/gtest.h>
// gtest first: rapidcheck's own headers look for it.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "reconciler/core/evaluate.h"
#include "reconciler/core/policy_check.h"

namespace knock::test {
namespace {

// A Monday, 2026-11-23T00:00:00Z.
const Instant kNow = *parse_instant("2026-11-23");

int below(int n) { return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, n)); }
bool chance(int percent) { return below(100) < percent; }
template <class T>
const T& pick(const std::vector<T>& from) {
  return from[std::size_t(below(int(from.size())))];
}
template <class T>
std::vector<T> some(const std::vector<T>& from, int percent) {
  std::vector<T> out;
  for (const T& one : from)
    if (chance(percent)) out.push_back(one);
  return out;
}
template <class T>
std::vector<T> some_or_one(const std::vector<T>& from) {
  auto out = some(from, 35);
  if (out.empty()) out.push_back(pick(from));
  return out;
}
template <class Named>
auto names_of(const std::vector<Named>& list) {
  std::vector<decltype(list.front().name)> out;
  for (const Named& one : list) out.push_back(one.name);
  return out;
}

// ---- a small world ----

/// 10.0.0.0/28, fd00::/126, and one address outside of each.
const std::vector<IpAddress>& addresses() {
  static const auto all = [] {
    std::vector<IpAddress> out{*IpAddress::parse("203.0.113.1"), *IpAddress::parse("2001:db8::1")};
    for (std::uint32_t i = 0; i < 16; ++i) out.push_back(IpAddress::v4(0x0a000000 + i));
    for (auto text : {"fd00::", "fd00::1", "fd00::2", "fd00::3"})
      out.push_back(*IpAddress::parse(text));
    return out;
  }();
  return all;
}

Prefix any_prefix() {
  if (chance(30)) return Prefix::of(addresses()[std::size_t(18 + below(4))], 126 + below(3));
  return Prefix::of(IpAddress::v4(0x0a000000 + std::uint32_t(below(16))), 28 + below(5));
}

const std::vector<SignInName> kSources{SignInName("local"), SignInName("sso")};
const std::vector<std::string> kSubjects{"ana", "ben"};
const std::vector<std::string> kValues{"a", "b"};

SourceCondition any_from(const Policy& policy, int percent) {
  SourceCondition out;
  if (policy.networks.empty() || !chance(percent)) return out;
  if (chance(70)) out.in = some_or_one(names_of(policy.networks));
  if (chance(40)) out.not_in = {pick(names_of(policy.networks))};
  return out;
}

std::vector<Window> any_schedule() {
  std::vector<Window> out;
  for (int i = 1 + below(2); i > 0; --i)
    out.push_back({std::uint8_t(1 + below(127)), std::uint16_t(below(6) * 240),
                   std::uint16_t(240 + below(6) * 240),
                   pick(std::vector<std::string>{"UTC", "X"})});
  return out;
}

AllowRule any_allow(const Policy& policy, int i) {
  AllowRule rule;
  rule.name = RuleName(fmt::format("allow{}", i));
  if (chance(85)) rule.who = some_or_one(names_of(policy.groups));
  if (rule.who.empty() || chance(15))
    for (const auto& subject : some_or_one(kSubjects))
      rule.users.push_back({subject, pick(kSources)});
  if (chance(15)) rule.claims = {{"unit", some_or_one(kValues)}};
  if (chance(15)) rule.acr = some_or_one(kValues);
  if (chance(15)) rule.mfa_max_age = Duration::minutes(10);
  rule.from = any_from(policy, 40);
  if (chance(20)) rule.schedule = any_schedule();
  if (chance(15))
    rule.approval = ApprovalCondition{
        {pick(names_of(policy.groups))}, unsigned(1 + below(2)), Duration::hours(1), chance(50)};
  if (chance(15)) rule.v6_prefix = std::uint8_t(126 + below(3));
  if (chance(15)) rule.max_ips_per_user = 1;
  if (chance(15)) rule.max_users_per_ip = 1;
  rule.to = some_or_one(names_of(policy.services));
  rule.ttl = Duration::hours(1);
  return rule;
}

TestPerson any_person(const Policy& policy) {
  TestPerson as;
  if (chance(25)) {
    as.user = pick(std::vector<std::string>{"ana", "ben", "eve"});
    if (chance(50)) *as.user += "@" + pick(std::vector<std::string>{"local", "sso", "grant"});
  }
  if (chance(60)) as.groups = some(names_of(policy.groups), 25);
  if (chance(50)) as.ip = chance(20) ? *Prefix::parse("0.0.0.0/0") : any_prefix();
  if (chance(15)) as.claims = {{"unit", {pick(kValues)}}};
  if (chance(15)) as.acr = pick(kValues);
  if (chance(15)) as.mfa_age = Duration::minutes(chance(50) ? 5 : 15);
  if (chance(15)) as.approved = chance(50);
  return as;
}

Policy any_policy() {
  Policy policy;
  for (int i = 0; i < 2 + below(4); ++i) {
    Group group{GroupName(fmt::format("g{}", i)), fmt::format("g{}", i), {}, {}};
    if (chance(15)) group.idp = "g0";
    group.from = some(kSources, 40);
    policy.groups.push_back(std::move(group));
  }
  for (int i = below(4); i > 0; --i) {
    Network network{NetworkName(fmt::format("n{}", 9 - i)), {}, {}};
    for (int n = 1 + below(3); n > 0; --n) network.prefixes.push_back({any_prefix(), true});
    policy.networks.push_back(std::move(network));
  }
  Target target;
  target.name = TargetName("edge");
  target.type = "nftables";
  policy.targets = {target};
  for (int i = 0; i < 1 + below(2); ++i)
    policy.services.push_back(
        {ServiceName(fmt::format("s{}", i)), {*PortRange::parse("tcp/22")}, {target.name}, {}, {}});
  for (int i = 0; i < 1 + below(3); ++i) policy.allow.push_back(any_allow(policy, i));
  if (chance(25)) {
    StaticRule rule;
    rule.name = RuleName("static");
    rule.cidr = {{any_prefix(), true}};
    rule.to = some_or_one(names_of(policy.services));
    rule.until = chance(80) ? kNow + Duration::hours(48) : kNow;
    policy.statics.push_back(std::move(rule));
  }
  for (int i = 0; i < below(3); ++i) {
    DenyRule rule;
    rule.name = RuleName(fmt::format("deny{}", i));
    if (chance(60)) rule.who = some_or_one(names_of(policy.groups));
    rule.from = any_from(policy, 50);
    if (rule.who.empty() && rule.from.in.empty()) {
      if (policy.networks.empty()) continue;
      rule.from.in = {pick(names_of(policy.networks))};
    }
    rule.to = some_or_one(names_of(policy.services));
    policy.deny.push_back(std::move(rule));
  }
  for (auto [name, offset] : {std::pair{"UTC", 0}, std::pair{"X", 4 * 3600}})
    policy.zones[name] = std::make_shared<const Zone>(Zone{name, {{Instant{}, offset}}});
  PolicyTest test;
  test.kind = chance(65) ? PolicyTest::Kind::never : PolicyTest::Kind::always;
  test.as = any_person(policy);
  test.can = some_or_one(names_of(policy.services));
  if (chance(25)) test.at = kNow + Duration::hours(below(168));
  policy.tests = {std::move(test)};
  return policy;
}

// ---- everybody ----

class Everybody {
 public:
  explicit Everybody(const Policy& policy) : policy_(policy), test_(policy.tests.front()) {
    const TestPerson& as = test_.as;
    bool personal =
        as.user || as.groups || !as.claims.empty() || as.acr || as.mfa_age || as.approved;
    statics_ = as.ip || !personal;
    whoever_ = !personal;
    scheduled_ = std::any_of(policy.allow.begin(), policy.allow.end(),
                             [](const AllowRule& rule) { return !rule.schedule.empty(); });
    for (const IpAddress& address : addresses())
      if (!as.ip || as.ip->contains(address)) places_.push_back(address);
    for (const Allowlist& list : evaluate({policy, {}, test_.at.value_or(kNow), {}}))
      for (const ServiceEntries& service : list.services)
        for (const Entry& entry : service.entries) standing_.emplace(service.service, entry.prefix);
  }

  bool holds() {
    if (test_.at)
      moments_ = {*test_.at};
    else
      for (int h = 0; h < (scheduled_ ? 168 : 1); h += 4)
        moments_.push_back(kNow + Duration::hours(h));
    for (const char* source : {"local", "sso", "elsewhere", "grant"}) from(SignInName(source));
    return people_ > 0 && !violated_;
  }
  std::size_t people() const { return people_; }

 private:
  bool stands(const ServiceName& service, const IpAddress& address) const {
    return statics_ && std::any_of(standing_.begin(), standing_.end(), [&](const auto& row) {
             return row.first == service && row.second.contains(address);
           });
  }

  void from(const SignInName& source) {
    std::vector<std::string> subjects{"ana", "ben", "eve"};
    if (test_.as.user) {
      auto at = test_.as.user->find('@');
      if (at != std::string::npos && test_.as.user->substr(at + 1) != source.value) return;
      subjects = {test_.as.user->substr(0, at)};
    }
    bool grant = source.value == "grant";
    if (grant && (!test_.as.claims.empty() || test_.as.acr || test_.as.mfa_age)) return;
    for (unsigned bits = 0; bits < 1u << policy_.groups.size() && !violated_; ++bits) {
      Session session;
      session.id = SessionId("one");
      session.source = source;
      session.proof = grant ? Proof::grant : Proof::oidc;
      std::set<std::string> said;
      std::vector<GroupName> in;
      bool possible = true;
      for (std::size_t i = 0; i < policy_.groups.size(); ++i) {
        const Group& group = policy_.groups[i];
        bool heard = grant || group.from.empty() ||
                     std::count(group.from.begin(), group.from.end(), source) > 0;
        bool is_in = (bits >> i & 1) != 0;
        if (is_in && !heard) possible = false;
        if (is_in) said.insert(grant ? group.name.value : group.idp);
        if (is_in) in.push_back(group.name);
      }
      for (const GroupName& name : test_.as.groups.value_or(std::vector<GroupName>()))
        if (std::count(in.begin(), in.end(), name) == 0) possible = false;
      if (!possible) continue;
      session.groups.assign(said.begin(), said.end());
      for (const auto& subject : subjects) {
        session.principal = {source.value, subject, subject};
        with_words(session, grant);
      }
    }
  }

  template <class Rules>
  bool any_rule(Rules rules) const {
    return std::any_of(policy_.allow.begin(), policy_.allow.end(), rules);
  }

  void with_words(Session session, bool grant) {
    std::vector<std::map<std::string, std::vector<std::string>>> claims{{}};
    std::vector<std::string> acrs{""};
    std::vector<std::optional<Duration>> ages{std::nullopt};
    if (!grant) {
      if (any_rule([](const AllowRule& r) { return !r.claims.empty(); }))
        claims = {{}, {{"unit", {"a"}}}, {{"unit", {"b"}}}};
      if (any_rule([](const AllowRule& r) { return !r.acr.empty(); })) acrs = {"", "a", "b"};
      if (any_rule([](const AllowRule& r) { return r.mfa_max_age.has_value(); }))
        ages = {std::nullopt, Duration::minutes(0), Duration::minutes(20)};
    }
    if (!test_.as.claims.empty()) claims = {test_.as.claims};
    if (test_.as.acr) acrs = {*test_.as.acr};
    if (test_.as.mfa_age) ages = {test_.as.mfa_age};
    std::vector<bool> approved{false};
    if (any_rule([](const AllowRule& r) { return r.approval.has_value(); }))
      approved = {false, true};
    if (test_.as.approved) approved = {*test_.as.approved};
    for (const auto& claim : claims)
      for (const auto& acr : acrs)
        for (const auto& age : ages)
          for (bool yes : approved) {
            session.claims = claim;
            session.acr = acr;
            for (Instant at : moments_) then(session, age, yes, at);
          }
  }

  void then(Session session, const std::optional<Duration>& age, bool yes, Instant at) {
    session.created = session.authenticated = at;
    session.expires = at + Duration::hours(12);
    session.mfa_at.reset();
    if (age) session.mfa_at = at - *age;
    std::vector<Approval> approvals;
    for (const AllowRule& rule : policy_.allow)
      if (yes && rule.approval) approvals.push_back(everybody_agrees(rule, session));
    for (const IpAddress& address : places_) {
      session.address = address;
      judge(session, approvals);
    }
    if (whoever_ && test_.kind == PolicyTest::Kind::never) through_others(session, approvals);
  }

  Approval everybody_agrees(const AllowRule& rule, const Session& session) const {
    Approval out{rule.name, session.principal, {}, "a reason"};
    for (const Group& group : policy_.groups)
      for (const auto& source : {SignInName("local"), SignInName("sso"), SignInName("elsewhere")})
        for (const char* who : {"x", "y"})
          out.yes.push_back({{"them", who, who}, {group.idp}, source, session.created});
    return out;
  }

  void judge(const Session& session, const std::vector<Approval>& approvals) {
    ++people_;
    auto reaches = reach_of(policy_, session, {session.created, {&session, 1}, approvals});
    for (const ServiceName& service : test_.can) {
      bool can = stands(service, session.address) ||
                 std::any_of(reaches.begin(), reaches.end(),
                             [&](const Reach& reach) { return reach.service == service; });
      if (can == (test_.kind == PolicyTest::Kind::never)) violated_ = true;
    }
  }

  /// An entry around somebody else's address may cover one of the test's.
  void through_others(Session session, const std::vector<Approval>& approvals) {
    for (const IpAddress& elsewhere : addresses()) {
      if (elsewhere.family() != Family::v6) continue;
      session.address = elsewhere;
      std::vector<Session> one{session};
      for (const Allowlist& list : evaluate({policy_, one, session.created, {}, approvals}))
        for (const ServiceEntries& service : list.services)
          for (const Entry& entry : service.entries)
            for (const IpAddress& place : places_)
              if (std::count(test_.can.begin(), test_.can.end(), service.service) > 0 &&
                  entry.causes.front().kind == Attribution::Kind::session &&
                  entry.prefix.contains(place))
                violated_ = true;
    }
  }

  const Policy& policy_;
  const PolicyTest& test_;
  bool statics_ = false, whoever_ = false, scheduled_ = false, violated_ = false;
  std::vector<IpAddress> places_;
  std::set<std::pair<ServiceName, Prefix>> standing_;
  std::vector<Instant> moments_;
  std::size_t people_ = 0;
};

TEST(PolicyCheck, FewPeopleStandForEverybody) {
  std::size_t cases = 0, held = 0, never = 0, looked = 0, people = 0;
  EXPECT_TRUE(rc::check([&] {
    Policy policy = any_policy();
    auto checked = check_policy(policy, kNow);
    Everybody everybody(policy);
    bool holds = everybody.holds();
    ++cases;
    held += holds ? 1 : 0;
    never += policy.tests[0].kind == PolicyTest::Kind::never ? 1 : 0;
    looked += checked.results[0].cells;
    people += everybody.people();
    RC_LOG() << to_yaml(policy) << to_text(policy, checked);
    RC_ASSERT(checked.ok() == holds);
  }));
  std::printf("%zu cases: %zu hold, %zu are `never`; %zu combinations stood for %zu\n", cases, held,
              never, looked, people);
  EXPECT_GE(held * 5, cases);
  EXPECT_LE(held * 5, cases * 4);
  EXPECT_GE(never * 5, cases);
}

/// Less work claims less, and never something else.
TEST(PolicyCheck, ALimitOfWorkChangesNoResultThatItLeaves) {
  std::size_t left = 0, whole = 0;
  EXPECT_TRUE(rc::check([&] {
    Policy policy = any_policy();
    auto all = check_policy(policy, kNow);
    auto some = check_policy(policy, kNow, kMostCells, std::size_t(1) << below(20));
    RC_LOG() << to_yaml(policy) << to_text(policy, all) << to_text(policy, some);
    TestVerdict a = all.results[0].verdict, b = some.results[0].verdict;
    RC_ASSERT(b == a || b == TestVerdict::not_proven);
    RC_ASSERT(some.results[0].together == (b == TestVerdict::not_proven));
    if (b == TestVerdict::pass) RC_ASSERT(to_text(policy, some) == to_text(policy, all));
    (b == TestVerdict::not_proven ? left : whole) += 1;
  }));
  EXPECT_GT(left, 0u);
  EXPECT_GT(whole, 0u);
}

/// The smallest counterexample is the smallest in any order.
TEST(PolicyCheck, OrderOfRulesAndGroupsMeansNothing) {
  EXPECT_TRUE(rc::check([&] {
    Policy policy = any_policy();
    Policy other = policy;
    std::reverse(other.allow.begin(), other.allow.end());
    std::reverse(other.deny.begin(), other.deny.end());
    auto a = check_policy(policy, kNow), b = check_policy(other, kNow);
    RC_LOG() << to_yaml(policy) << to_text(policy, a) << to_text(other, b);
    RC_ASSERT(a.results[0].verdict == b.results[0].verdict);
    RC_ASSERT(a.results[0].cells == b.results[0].cells);
    RC_ASSERT(a.results[0].counterexample.has_value() == b.results[0].counterexample.has_value());
    if (a.results[0].counterexample)
      RC_ASSERT(to_string(*a.results[0].counterexample) == to_string(*b.results[0].counterexample));
  }));
}

}  // namespace
}  // namespace knock::test
