// SPDX-License-Identifier: Apache-2.0
#include "tests/support/generated_conditions.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "tests/support/choices.h"

namespace knock::test {
namespace {

const Instant kAbout = Instant::from_seconds(1'800'000'000);

NetworkPrefix prefix(const char* text) { return {*Prefix::parse(text), false}; }

const std::vector<IpAddress>& addresses() {
  static const std::vector<IpAddress> all = [] {
    std::vector<IpAddress> out;
    for (auto text : {"192.0.2.10", "192.0.2.200", "198.51.100.7", "2001:db8:1::7", "2001:db8:1::8",
                      "2001:db8:1::8000:9", "2001:db8:1:1::7", "2001:db8:2::7"})
      out.push_back(*IpAddress::parse(text));
    return out;
  }();
  return all;
}

/// Holes of every cost in the prefixes around the addresses above.
void add_networks(Policy& policy) {
  policy.networks.push_back(
      {NetworkName("hosts"), {prefix("2001:db8:1::9/128"), prefix("2001:db8:1:1::9/128")}, {}});
  policy.networks.push_back(
      {NetworkName("lab"), {prefix("2001:db8:1::8000:0/112"), prefix("2001:db8:1:1::/64")}, {}});
  // Two that cost too much together, and one around both that costs little.
  policy.networks.push_back(
      {NetworkName("pair"), {prefix("2001:db8:1::9/128"), prefix("2001:db8:1::b/128")}, {}});
  policy.networks.push_back({NetworkName("around"), {prefix("2001:db8:1::8/125")}, {}});
  policy.networks.push_back({NetworkName("half"), {prefix("2001:db8:1:0:8000::/65")}, {}});
  policy.networks.push_back(
      {NetworkName("anything"), {prefix("0.0.0.0/0"), prefix("2001:db8::/32")}, {}});
  std::sort(policy.networks.begin(), policy.networks.end(),
            [](const Network& a, const Network& b) { return a.name < b.name; });
}

std::vector<NetworkName> network_names(const Policy& policy) {
  std::vector<NetworkName> out;
  for (const Network& network : policy.networks) out.push_back(network.name);
  return out;
}

std::vector<GroupName> group_names(const Policy& policy) {
  std::vector<GroupName> out;
  for (const Group& group : policy.groups) out.push_back(group.name);
  return out;
}

void add_zones(Policy& policy) {
  auto utc = std::make_shared<Zone>();
  utc->name = "UTC";
  utc->offsets = {{Instant::from_seconds(0), 0}};
  // Half an hour ahead, and an hour more from two hours after the moment on.
  auto shifts = std::make_shared<Zone>();
  shifts->name = "Shifts";
  shifts->offsets = {{Instant::from_seconds(0), 1800},
                     {kAbout + Duration::hours(2), 5400},
                     {kAbout + Duration::hours(30), 1800}};
  policy.zones = {{"Shifts", shifts}, {"UTC", utc}};
}

Window any_window() {
  Window window;
  window.days = pick(std::vector<std::uint8_t>{0b1111111, 0b0011111, 0b0010000, 0b1100000});
  window.from = pick(std::vector<std::uint16_t>{0, 7 * 60, 8 * 60, 9 * 60, 12 * 60, 22 * 60});
  window.to = pick(std::vector<std::uint16_t>{6 * 60, 8 * 60 + 30, 10 * 60, 20 * 60, 24 * 60});
  window.tz = chance(70) ? "UTC" : "Shifts";
  return window;
}

/// How often a rule has them, in percent.
struct Often {
  int words, from, schedule, addresses, people, approval, v6;
};
Often often(Focus focus) {
  switch (focus) {
    case Focus::everything:
      return {15, 25, 30, 40, 25, 20, 40};
    case Focus::places:
      return {3, 5, 5, 80, 35, 3, 25};
    case Focus::crowds:
      return {2, 3, 2, 5, 97, 2, 10};
    case Focus::widening:
      return {3, 40, 3, 15, 5, 3, 90};
    case Focus::schedules:
      return {3, 5, 95, 5, 5, 5, 10};
  }
  return {};
}

void add_conditions(Policy& policy, AllowRule& rule, const Often& percent) {
  const std::vector<UserRef> people{{"ana", SignInName("oidc")},
                                    {"ana", SignInName("local")},
                                    {"bob", SignInName("oidc")},
                                    {"bob", SignInName("grant")}};
  if (chance(percent.words + 5)) rule.users = some(people);
  if (!rule.users.empty() && chance(60)) rule.who.clear();
  if (chance(percent.words))
    rule.claims.push_back({"department", some(std::vector<std::string>{"eng", "ops"})});
  if (chance(percent.words / 3)) rule.claims.push_back({"site", {"berlin"}});
  if (chance(percent.words)) rule.acr = some(std::vector<std::string>{"gold", "silver"});
  if (chance(percent.words)) rule.mfa_max_age = Duration::minutes(chance(50) ? 15 : 120);
  rule.from = {};
  if (chance(percent.from)) rule.from.in = some(network_names(policy));
  if (chance(percent.from)) rule.from.not_in = {pick(network_names(policy))};
  if (chance(percent.schedule))
    for (int i = 1 + below(2); i > 0; --i) rule.schedule.push_back(any_window());
  if (chance(percent.addresses)) rule.max_ips_per_user = 1 + unsigned(below(2));
  if (chance(percent.people)) rule.max_users_per_ip = 1 + unsigned(below(2));
  if (chance(percent.approval))
    rule.approval = ApprovalCondition{some(group_names(policy)), 1 + unsigned(below(2)),
                                      Duration::hours(1 + below(4)), chance(40)};
  if (chance(percent.v6)) rule.v6_prefix = pick(std::vector<std::uint8_t>{48, 64, 64, 113, 127});
}

Session with_words(Session session, Instant now) {
  session.address = pick(addresses());
  if (chance(70)) session.created = now - Duration::minutes(below(30));  // else up to three hours
  if (chance(60)) session.claims["department"] = some(std::vector<std::string>{"eng", "hr", "ops"});
  if (chance(60)) session.claims["site"] = {chance(50) ? "berlin" : "bonn"};
  if (chance(60)) session.acr = chance(50) ? "gold" : "bronze";
  if (chance(60)) session.mfa_at = session.created - Duration::minutes(below(40));
  return session;
}

/// Somebody who meets most rules, so that what the focus is on decides.
void make_likely(Session& session, Instant now) {
  session.proof = Proof::oidc;
  session.source = SignInName("oidc");
  session.groups = {"idp-g1", "idp-g2", "idp-g3"};
  session.created = now - Duration::minutes(below(60));
  session.expires = (now + Duration::minutes(10 + below(600))).floor_to_second();
  if (chance(90)) session.end.reset();
}

std::vector<Approval> any_approvals(const Policy& policy, Instant now) {
  std::vector<Approval> out;
  for (const AllowRule& rule : policy.allow) {
    if (!rule.approval && chance(80)) continue;
    for (auto who : {"ana", "bob", "dora"}) {
      if (chance(30)) continue;
      Approval approval;
      approval.rule = rule.name;
      approval.who = {"https://idp.example", who, who};
      if (chance(70)) approval.reason = "the disk is full";
      for (int i = below(4); i > 0; --i) {
        Approval::Yes yes;
        auto by = pick(std::vector<std::string>{"ana", "bob", "dora", "eve", "fay"});
        yes.by = {"https://idp.example", by, by};
        yes.source = SignInName(chance(80) ? "local" : "grant");
        for (auto group : {"g1", "g2", "g3"})
          if (chance(70))
            yes.groups.push_back(yes.source.value == "grant" ? group : "idp-" + std::string(group));
        yes.at = now - Duration::minutes(below(300));
        approval.yes.push_back(std::move(yes));
      }
      out.push_back(std::move(approval));
    }
  }
  return out;
}

}  // namespace

void add_conditions(Policy& policy, Focus focus) {
  add_networks(policy);
  add_zones(policy);
  policy.behaviour.shared_addresses = pick(
      std::vector{SharedAddresses::allow, SharedAddresses::deny, SharedAddresses::require_token});
  if (focus == Focus::crowds) policy.behaviour.shared_addresses = SharedAddresses::deny;
  policy.behaviour.over_limit = pick(std::vector{OverLimit::replace, OverLimit::refuse});
  for (AllowRule& rule : policy.allow) {
    add_conditions(policy, rule, often(focus));
    if (focus != Focus::schedules || chance(30)) continue;
    rule.schedule = {{0b1111111, std::uint16_t(60 * (9 + below(4))), 20 * 60, "UTC"}};
    rule.ttl = Duration::hours(12);
  }
}

void add_deny_rule(Policy& policy) {
  DenyRule rule;
  rule.name = RuleName(fmt::format("more{}", policy.deny.size()));
  if (chance(40)) rule.who = {pick(group_names(policy))};
  if (rule.who.empty() || chance(70)) rule.from.in = some(network_names(policy));
  if (chance(40)) rule.from.not_in = {pick(network_names(policy))};
  for (const Service& service : policy.services)
    if (rule.to.empty() || chance(70)) rule.to.push_back(service.name);
  policy.deny.push_back(std::move(rule));
}

Moment any_moment(Focus focus) {
  Moment moment;
  moment.now = kAbout + Duration{below(3600'000)};
  moment.policy = any_policy();
  add_conditions(moment.policy, focus);
  if (chance(focus == Focus::everything ? 40 : 20)) add_deny_rule(moment.policy);
  bool few = focus == Focus::places || focus == Focus::crowds;
  moment.sessions = any_sessions(moment.now, focus == Focus::crowds ? 9 : 12);
  for (Session& session : moment.sessions) {
    session = with_words(std::move(session), moment.now);
    if (focus != Focus::everything) make_likely(session, moment.now);
    if (few && chance(focus == Focus::crowds ? 90 : 70))
      session.address = addresses()[std::size_t(below(focus == Focus::crowds ? 3 : 4))];
    if (focus == Focus::widening) session.address = addresses()[3 + std::size_t(below(5))];
  }
  moment.approvals = any_approvals(moment.policy, moment.now);
  return moment;
}

namespace {

std::string describe(const AllowRule& rule) {
  std::string out = "allow " + rule.name.value + ":";
  for (const GroupName& name : rule.who) out += " who " + name.value;
  for (const UserRef& user : rule.users) out += " user " + user.subject + "@" + user.source.value;
  for (const ClaimCondition& claim : rule.claims)
    out += " claim " + claim.claim + "=" + join(claim.any_of, "|");
  if (!rule.acr.empty()) out += " acr " + join(rule.acr, "|");
  if (rule.mfa_max_age) out += " mfa " + to_string(*rule.mfa_max_age);
  for (const NetworkName& name : rule.from.in) out += " in " + name.value;
  for (const NetworkName& name : rule.from.not_in) out += " not_in " + name.value;
  for (const Window& window : rule.schedule) out += " [" + to_string(window) + "]";
  if (rule.max_ips_per_user) out += fmt::format(" max_ips {}", *rule.max_ips_per_user);
  if (rule.max_users_per_ip) out += fmt::format(" max_users {}", *rule.max_users_per_ip);
  if (rule.approval) {
    out += fmt::format(" approval {} ttl {}{}", rule.approval->count, to_string(rule.approval->ttl),
                       rule.approval->reason_required ? " reason" : "");
    for (const GroupName& name : rule.approval->from) out += " by " + name.value;
  }
  out += fmt::format(" v6 {} ttl {} to", rule.v6_prefix, to_string(rule.ttl));
  for (const ServiceName& name : rule.to) out += " " + name.value;
  return out + "\n";
}

std::string describe(const Session& session, Instant now) {
  auto out = fmt::format("{} {}@{} [{}] from {} age {} left {}", session.id.value,
                         session.principal.subject, session.source.value, join(session.groups, ","),
                         session.address.to_string(), (now - session.created).ms / 1000,
                         (session.expires - now).ms / 1000);
  for (const auto& [claim, values] : session.claims) out += " " + claim + "=" + join(values, "|");
  if (!session.acr.empty()) out += " acr " + session.acr;
  if (session.mfa_at)
    out += fmt::format(" mfa {} before", to_string(session.created - *session.mfa_at));
  return out + (session.end ? " ended\n" : "\n");
}

}  // namespace

std::string describe(const Moment& moment) {
  const Policy& policy = moment.policy;
  auto out = fmt::format(
      "at {} {} {}\n", to_string_ms(moment.now),
      policy.behaviour.over_limit == OverLimit::replace ? "replace" : "refuse",
      policy.behaviour.shared_addresses == SharedAddresses::allow ? "shared" : "not shared");
  for (const AllowRule& rule : policy.allow) out += describe(rule);
  Policy rest = policy;
  rest.allow.clear();
  out += to_yaml(rest);
  for (const Session& session : moment.sessions) out += describe(session, moment.now);
  for (const Approval& approval : moment.approvals) {
    out += fmt::format("approval {} {}{}:", approval.rule.value, approval.who.subject,
                       approval.reason.empty() ? " (no reason)" : "");
    for (const Approval::Yes& yes : approval.yes)
      out += fmt::format(" {}@{}[{}] {} min ago", yes.by.subject, yes.source.value,
                         join(yes.groups, ","), (moment.now - yes.at).ms / 60'000);
    out += "\n";
  }
  return out;
}

}  // namespace knock::test
