// SPDX-License-Identifier: Apache-2.0
// Every condition of a rule at once: what sessions, people, time and deny rules make of each other.
#include <gtest/gtest.h>
// gtest first: rapidcheck's own headers look for it.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/text.h"
#include "reconciler/core/explain.h"
#include "tests/support/choices.h"
#include "tests/support/generated_conditions.h"

namespace knock::test {
namespace {

bool any_rule(const Policy& policy, bool (*is)(const AllowRule&)) {
  return std::any_of(policy.allow.begin(), policy.allow.end(), is);
}

bool has_entries(const std::vector<Allowlist>& lists) {
  return std::any_of(lists.begin(), lists.end(), [](const Allowlist& list) {
    return std::any_of(list.services.begin(), list.services.end(),
                       [](const ServiceEntries& service) { return !service.entries.empty(); });
  });
}

/// Kinds of conditions that must not be rare.
void count(Shares& shares, const Moment& moment) {
  shares.count(moment.sessions, moment.policy, has_entries(moment.evaluated()));
  const Policy& policy = moment.policy;
  shares.also("users", any_rule(policy, [](const AllowRule& r) { return !r.users.empty(); }));
  shares.also("claims", any_rule(policy, [](const AllowRule& r) { return !r.claims.empty(); }));
  shares.also("acr", any_rule(policy, [](const AllowRule& r) { return !r.acr.empty(); }));
  shares.also("mfa",
              any_rule(policy, [](const AllowRule& r) { return r.mfa_max_age.has_value(); }));
  shares.also("from", any_rule(policy, [](const AllowRule& r) { return !r.from.empty(); }));
  shares.also("schedule", any_rule(policy, [](const AllowRule& r) { return !r.schedule.empty(); }));
  shares.also("max_ips",
              any_rule(policy, [](const AllowRule& r) { return r.max_ips_per_user.has_value(); }));
  shares.also("max_users",
              any_rule(policy, [](const AllowRule& r) { return r.max_users_per_ip.has_value(); }));
  shares.also("approval",
              any_rule(policy, [](const AllowRule& r) { return r.approval.has_value(); }));
  shares.also("v6_prefix", any_rule(policy, [](const AllowRule& r) { return r.v6_prefix < 128; }));
  shares.also("deny", !policy.deny.empty());
}

const std::vector<std::string> kKinds{"users",    "claims",    "acr",     "mfa",
                                      "from",     "schedule",  "max_ips", "max_users",
                                      "approval", "v6_prefix", "deny"};

/// `property` may count kinds of its own, of which the named ones must not be rare either.
template <class Property>
void hold(Property property, const std::vector<std::string>& own = {},
          Focus focus = Focus::everything) {
  Shares shares;
  EXPECT_TRUE(rc::check([&] {
    Moment moment = any_moment(focus);
    count(shares, moment);
    RC_LOG() << describe(moment);
    property(moment, shares);
  }));
  auto kinds = own;
  if (focus == Focus::everything) kinds.insert(kinds.end(), kKinds.begin(), kKinds.end());
  shares.judge(kinds);
}

// ---- order ----

TEST(CoreConditions, OrderMeansNothing) {
  hold([](const Moment& moment, Shares&) {
    Moment other = moment;
    other.sessions = shuffled(moment.sessions);
    other.approvals = shuffled(moment.approvals);
    other.policy.allow = shuffled(moment.policy.allow);
    other.policy.deny = shuffled(moment.policy.deny);
    other.policy.statics = shuffled(moment.policy.statics);
    RC_ASSERT(other.evaluated() == moment.evaluated());
  });
}

// ---- deny ----

/// Every address that may pass in `after` may do so in `before`, at least as long.
void assert_opens_nothing(const std::vector<Allowlist>& before,
                          const std::vector<Allowlist>& after) {
  for (std::size_t l = 0; l < after.size(); ++l)
    for (std::size_t s = 0; s < after[l].services.size(); ++s)
      for (const Entry& entry : after[l].services[s].entries) {
        std::vector<Prefix> had;
        for (const Entry& was : before[l].services[s].entries)
          if (was.until >= entry.until) had.push_back(was.prefix);
        RC_LOG() << after[l].services[s].service.value << " " << entry.prefix.to_string() << "\n";
        RC_ASSERT(subtract(entry.prefix, had).empty());
      }
}

void assert_stricter(const Moment& moment, Shares& shares) {
  Moment stricter = moment;
  add_deny_rule(stricter.policy);
  auto before = moment.evaluated(), after = stricter.evaluated();
  shares.also("closes something", before != after);
  assert_opens_nothing(before, after);
}

TEST(CoreConditions, AnotherDenyRuleOpensNothing) {
  hold(assert_stricter, {"closes something"});
  hold(assert_stricter, {"closes something"}, Focus::widening);
}

/// Nothing is open to an address that the rules behind the entry keep out, were the person there.
TEST(CoreConditions, AWidenedEntryCoversNothingKeptOut) {
  std::vector<IpAddress> samples;
  for (auto text : {"2001:db8:1::",        "2001:db8:1::7",       "2001:db8:1::8",
                    "2001:db8:1::9",       "2001:db8:1::a",       "2001:db8:1::7fff:ffff",
                    "2001:db8:1::8000:0",  "2001:db8:1::8000:9",  "2001:db8:1::8000:ffff",
                    "2001:db8:1::8001:0",  "2001:db8:1:0:7fff::", "2001:db8:1:0:8000::",
                    "2001:db8:1:0:ffff::", "2001:db8:1:1::",      "2001:db8:1:1::7",
                    "2001:db8:1:1::9",     "2001:db8:1:2::",      "2001:db8:1:ffff::",
                    "2001:db8:2::",        "2001:db8:2::7",       "2001:db8:2:0:ffff::",
                    "2001:db8:2:1::"})
    samples.push_back(*IpAddress::parse(text));
  hold(
      [&](const Moment& moment, Shares& shares) {
        bool wide = false;
        for (const Allowlist& list : moment.evaluated())
          for (const ServiceEntries& service : list.services)
            for (const Entry& entry : service.entries) {
              if (entry.prefix.is_host() || entry.prefix.family() == Family::v4) continue;
              for (const Attribution& cause : entry.causes) {
                if (cause.kind == Attribution::Kind::fixed) continue;
                wide = true;
                auto rule = std::ranges::find(moment.policy.allow, cause.rule, &AllowRule::name);
                Session there = *std::ranges::find(moment.sessions, cause.session, &Session::id);
                RC_ASSERT(entry.prefix.length() >= rule->v6_prefix);
                for (const IpAddress& sample : samples) {
                  if (!entry.prefix.contains(sample)) continue;
                  there.address = sample;
                  RC_LOG() << sample.to_string() << " in " << entry.prefix.to_string() << "\n";
                  RC_ASSERT(comes_from(moment.policy, rule->from, sample));
                  RC_ASSERT(!is_denied(moment.policy, there, service.service));
                }
              }
            }
        shares.also("wide entries", wide);
      },
      {"wide entries"}, Focus::widening);
}

// ---- sessions come and go ----

using Given = std::map<std::tuple<TargetName, ServiceName, Prefix, SessionId>, Attribution>;

/// Of each session at each entry the cause that lasts longest.
Given given(const std::vector<Allowlist>& lists) {
  Given out;
  for (const Allowlist& list : lists)
    for (const ServiceEntries& service : list.services)
      for (const Entry& entry : service.entries)
        for (const Attribution& cause : entry.causes) {
          auto [at, fresh] =
              out.try_emplace({list.target, service.service, entry.prefix, cause.session}, cause);
          if (!fresh && cause.until > at->second.until) at->second = cause;
        }
  return out;
}

Moment without(const Moment& moment, std::size_t session) {
  Moment out = moment;
  out.sessions.erase(out.sessions.begin() + std::ptrdiff_t(session));
  return out;
}

/// When a session goes, something opens in two ways only: the same person's other place counts now
/// (`max_ips_per_user`), or others at that address are few enough now (`max_users_per_ip`).
void assert_only_what_was_counted(const Moment& moment, Shares& shares) {
  auto before = given(moment.evaluated());
  bool a_place = false, a_crowd = false;
  for (std::size_t i = 0; i < moment.sessions.size(); ++i) {
    const Session& gone = moment.sessions[i];
    for (const auto& [key, cause] : given(without(moment, i).evaluated())) {
      auto was = before.find(key);
      if (was != before.end() && was->second.until >= cause.until) continue;
      RC_LOG() << "without " << gone.id.value << " " << cause.session.value << " "
               << cause.rule.value << "\n";
      auto rule = std::ranges::find(moment.policy.allow, cause.rule, &AllowRule::name);
      RC_ASSERT(rule != moment.policy.allow.end());
      const Session& other = *std::ranges::find(moment.sessions, cause.session, &Session::id);
      bool place = rule->max_ips_per_user && other.principal == gone.principal;
      bool crowd = rule->max_users_per_ip &&
                   moment.policy.behaviour.shared_addresses != SharedAddresses::allow &&
                   widened(*rule, other.address).contains(gone.address);
      RC_ASSERT(place || crowd);
      a_place = a_place || place;
      a_crowd = a_crowd || crowd;
    }
  }
  shares.also("a place becomes free", a_place);
  shares.also("a crowd gets smaller", a_crowd);
}

TEST(CoreConditions, ASessionThatGoesOpensOnlyWhatWasCounted) {
  hold(assert_only_what_was_counted, {"a place becomes free"}, Focus::places);
  hold(assert_only_what_was_counted, {"a crowd gets smaller"}, Focus::crowds);
}

TEST(CoreConditions, WithoutCountingASessionThatGoesOpensNothing) {
  hold([](const Moment& generated, Shares&) {
    Moment moment = generated;
    for (AllowRule& rule : moment.policy.allow) rule.max_ips_per_user = std::nullopt;
    moment.policy.behaviour.shared_addresses = SharedAddresses::allow;
    auto before = moment.evaluated();
    for (std::size_t i = 0; i < moment.sessions.size(); ++i)
      assert_opens_nothing(before, without(moment, i).evaluated());
  });
}

std::set<Prefix> rows_that_differ(const std::vector<Allowlist>& a,
                                  const std::vector<Allowlist>& b) {
  std::set<Prefix> out;
  auto missing_in = [&](const std::vector<Entry>& some, const std::vector<Entry>& others) {
    for (const Entry& entry : some)
      if (std::find(others.begin(), others.end(), entry) == others.end()) out.insert(entry.prefix);
  };
  for (std::size_t l = 0; l < a.size(); ++l)
    for (std::size_t s = 0; s < a[l].services.size(); ++s) {
      missing_in(a[l].services[s].entries, b[l].services[s].entries);
      missing_in(b[l].services[s].entries, a[l].services[s].entries);
    }
  return out;
}

/// What a host-scoped plan looks at is all that differs.
TEST(CoreConditions, TouchedByIsAllThatDiffers) {
  hold(
      [](const Moment& moment, Shares& shares) {
        auto all = moment.evaluated();
        bool elsewhere = false;
        for (std::size_t i = 0; i < moment.sessions.size(); ++i) {
          const Session& session = moment.sessions[i];
          Moment less = without(moment, i);
          // The loop knows the session's neighbours and the person's own, no more.
          std::vector<Session> known;
          auto near = neighbours(coupling_of(moment.policy), less.sessions, session.address);
          for (std::size_t k = 0; k < less.sessions.size(); ++k)
            if (std::binary_search(near.begin(), near.end(), k) ||
                less.sessions[k].principal == session.principal)
              known.push_back(less.sessions[k]);
          auto touched = touched_by(moment.policy, known, session);
          for (const Prefix& row : rows_that_differ(all, less.evaluated())) {
            RC_LOG() << session.id.value << " " << row.to_string() << "\n";
            RC_ASSERT(std::binary_search(touched.begin(), touched.end(), row));
            elsewhere = elsewhere || !row.contains(session.address);
          }
        }
        shares.also("rows elsewhere", elsewhere);
      },
      {"rows elsewhere"}, Focus::places);
}

TEST(CoreConditions, OnePrefixIsItsRows) {
  hold([](const Moment& moment, Shares&) {
    auto all = moment.evaluated();
    std::set<Prefix> rows;
    for (const Session& session : moment.sessions) {
      rows.insert(Prefix::host(session.address));
      for (const Prefix& row : touched_by(moment.policy, {}, session)) rows.insert(row);
    }
    Coupling coupling = coupling_of(moment.policy);
    for (const Prefix& row : rows) {
      auto expected = all;
      for (Allowlist& list : expected)
        for (ServiceEntries& service : list.services)
          std::erase_if(service.entries, [&](const Entry& entry) { return entry.prefix != row; });
      std::vector<Session> near;
      for (std::size_t i : neighbours(coupling, moment.sessions, row.network()))
        near.push_back(moment.sessions[i]);
      RC_LOG() << row.to_string() << "\n";
      RC_ASSERT(evaluate_prefix({moment.policy, near, moment.now, {}, moment.approvals}, row) ==
                expected);
    }
  });
}

// ---- time ----

/// Time alone opens something in two ways only: a schedule opens, or a session that was counted
/// ends.
TEST(CoreConditions, TimeAloneOpensWithASchedule) {
  hold(
      [](const Moment& moment, Shares& shares) {
        Moment later = moment;
        later.now = moment.now + Duration{below(8 * 3'600'000)};
        auto bound = next_change_by_time(moment.policy, moment.sessions, moment.now);
        Coupling coupling = coupling_of(moment.policy);
        if (coupling.by_person || coupling.by_address)
          for (const Session& session : moment.sessions)
            if (session.live_at(moment.now) && (!bound || session.expires < *bound))
              bound = session.expires;
        bool before_anything = !bound || later.now < *bound;
        shares.also("nothing opens", before_anything);
        if (before_anything) return assert_opens_nothing(moment.evaluated(), later.evaluated());
        // Just before that instant nothing has opened either.
        later.now = *bound - Duration{1};
        assert_opens_nothing(moment.evaluated(), later.evaluated());
        Moment then = moment;
        then.now = *bound;
        auto opened = given(then.evaluated());
        auto was = given(later.evaluated());
        shares.also("something opens",
                    std::any_of(opened.begin(), opened.end(),
                                [&](const auto& p) { return !was.contains(p.first); }));
      },
      {"nothing opens", "something opens"}, Focus::schedules);
}

// ---- the rules read again, without the evaluator's own helpers ----

struct Reader {
  const Moment& moment;

  bool inside(const std::vector<NetworkName>& names, const IpAddress& address) const {
    for (const NetworkName& name : names)
      for (const Network& network : moment.policy.networks)
        if (network.name == name)
          for (const NetworkPrefix& p : network.prefixes)
            if (p.prefix.contains(address)) return true;
    return false;
  }
  bool member(const std::vector<GroupName>& names, const std::vector<std::string>& has,
              const SignInName& source, bool ours) const {
    for (const Group& group : moment.policy.groups) {
      if (std::count(names.begin(), names.end(), group.name) == 0) continue;
      bool heard = ours || group.from.empty() ||
                   std::count(group.from.begin(), group.from.end(), source) > 0;
      if (heard && std::count(has.begin(), has.end(), ours ? group.name.value : group.idp) > 0)
        return true;
    }
    return false;
  }
  bool member(const std::vector<GroupName>& names, const Session& session) const {
    return member(names, session.groups, session.source, session.proof == Proof::grant);
  }
  bool from(const SourceCondition& from, const IpAddress& address) const {
    return (from.in.empty() || inside(from.in, address)) && !inside(from.not_in, address);
  }
  static Prefix around(const AllowRule& rule, const IpAddress& address) {
    return Prefix::of(address, address.family() == Family::v4 ? 32 : rule.v6_prefix);
  }
  bool live(const Session& session) const { return !session.end && moment.now < session.expires; }

  std::optional<Instant> approved_until(const AllowRule& rule, const Session& session) const {
    std::optional<Instant> best;
    for (const Approval& approval : moment.approvals) {
      if (approval.rule != rule.name || approval.who != session.principal) continue;
      if (rule.approval->reason_required && approval.reason.empty()) continue;
      std::map<Principal, Instant> said;
      for (const Approval::Yes& yes : approval.yes)
        if (yes.by != session.principal &&
            member(rule.approval->from, yes.groups, yes.source, yes.source.value == "grant"))
          said[yes.by] = std::max(said[yes.by], yes.at + rule.approval->ttl);
      std::vector<Instant> ends;
      for (auto& [by, end] : said)
        if (end.floor_to_second() > moment.now) ends.push_back(end);
      std::sort(ends.rbegin(), ends.rend());
      if (ends.size() < rule.approval->count) continue;
      Instant until = ends[rule.approval->count - 1];
      if (!best || until > *best) best = until;
    }
    return best;
  }

  /// All but the limit of addresses and time.
  bool holds(const AllowRule& rule, const Session& session) const {
    if (!live(session)) return false;
    if (rule.who.empty() && rule.users.empty()) return false;
    if (!rule.who.empty() && !member(rule.who, session)) return false;
    UserRef user{session.principal.subject, session.source};
    if (!rule.users.empty() && std::count(rule.users.begin(), rule.users.end(), user) == 0)
      return false;
    for (const ClaimCondition& claim : rule.claims) {
      bool said = false;
      for (const auto& [name, values] : session.claims)
        for (const auto& value : values)
          said = said || (name == claim.claim &&
                          std::count(claim.any_of.begin(), claim.any_of.end(), value) > 0);
      if (!said) return false;
    }
    if (!rule.acr.empty() && std::count(rule.acr.begin(), rule.acr.end(), session.acr) == 0)
      return false;
    if (rule.mfa_max_age &&
        (!session.mfa_at || session.created - *session.mfa_at > *rule.mfa_max_age))
      return false;
    if (!from(rule.from, session.address)) return false;
    if (!rule.schedule.empty() && !open_until(rule.schedule, moment.policy.zones, moment.now))
      return false;
    if (rule.approval && !approved_until(rule, session)) return false;
    if (!rule.max_users_per_ip ||
        moment.policy.behaviour.shared_addresses == SharedAddresses::allow)
      return true;
    std::set<Principal> people;
    for (const Session& other : moment.sessions)
      if (live(other) && around(rule, session.address).contains(other.address))
        people.insert(other.principal);
    return people.size() <= *rule.max_users_per_ip;
  }

  bool among_the_places(const AllowRule& rule, const Session& session) const {
    if (!rule.max_ips_per_user) return true;
    bool replace = moment.policy.behaviour.over_limit == OverLimit::replace;
    std::vector<Session> mine;
    for (const Session& other : moment.sessions)
      if (other.principal == session.principal && holds(rule, other)) mine.push_back(other);
    std::sort(mine.begin(), mine.end(), [&](const Session& a, const Session& b) {
      return replace ? std::tie(b.created, b.id) < std::tie(a.created, a.id)
                     : std::tie(a.created, a.id) < std::tie(b.created, b.id);
    });
    std::set<Prefix> places;
    for (const Session& one : mine) {
      if (places.size() < *rule.max_ips_per_user) places.insert(around(rule, one.address));
    }
    return places.contains(around(rule, session.address));
  }

  /// The latest deadline that any rule gives.
  std::optional<Instant> until(const Session& session, const ServiceName& service) const {
    std::optional<Instant> best;
    for (const DenyRule& rule : moment.policy.deny)
      if (std::count(rule.to.begin(), rule.to.end(), service) > 0 &&
          from(rule.from, session.address) && (rule.who.empty() || member(rule.who, session)))
        return best;
    for (const AllowRule& rule : moment.policy.allow) {
      if (std::count(rule.to.begin(), rule.to.end(), service) == 0) continue;
      if (!holds(rule, session) || !among_the_places(rule, session)) continue;
      Instant end = std::min(session.created + rule.ttl, session.expires);
      if (!rule.schedule.empty())
        end = std::min(end, *open_until(rule.schedule, moment.policy.zones, moment.now));
      if (rule.approval) end = std::min(end, *approved_until(rule, session));
      end = end.floor_to_second();
      if (end > moment.now && (!best || end > *best)) best = end;
    }
    return best;
  }
};

TEST(CoreConditions, SaysWhatTheRulesSay) {
  hold([](const Moment& moment, Shares&) {
    Reader reader{moment};
    auto all = given(moment.evaluated());
    for (const Session& session : moment.sessions) {
      auto reaches = reach_of(moment.policy, session, moment.circumstances());
      for (const Service& service : moment.policy.services) {
        auto reach = std::ranges::find(reaches, service.name, &Reach::service);
        auto expected = reader.until(session, service.name);
        RC_LOG() << session.id.value << " " << service.name.value << "\n";
        RC_ASSERT((reach != reaches.end()) == expected.has_value());
        if (!expected) continue;
        RC_ASSERT(reach->until == *expected);
        RC_ASSERT(reach->prefix.contains(session.address));
        for (const TargetName& target : service.targets) {
          const auto& max_ttl = moment.policy.target(target)->max_ttl;
          if (max_ttl && (session.created + *max_ttl).floor_to_second() <= moment.now) continue;
          RC_ASSERT(all.contains({target, service.name, reach->prefix, session.id}));
        }
      }
    }
  });
}

// ---- explanations ----

void take_out(AllowRule& rule, Condition condition, const Session& session) {
  switch (condition) {
    case Condition::who:
      rule.who.clear();
      rule.users = {{session.principal.subject, session.source}};
      return;
    case Condition::users:
      rule.users = {{session.principal.subject, session.source}};
      return;
    case Condition::claims:
      rule.claims.clear();
      return;
    case Condition::acr:
      rule.acr.clear();
      return;
    case Condition::from:
      rule.from = {};
      return;
    case Condition::mfa_max_age:
      rule.mfa_max_age.reset();
      return;
    case Condition::schedule:
      rule.schedule.clear();
      return;
    case Condition::approval:
      rule.approval.reset();
      return;
    case Condition::max_users_per_ip:
      rule.max_users_per_ip.reset();
      return;
    case Condition::max_ips_per_user:
      rule.max_ips_per_user.reset();
      return;
    case Condition::time:
      rule.ttl = Duration::hours(100);
      return;
  }
}

/// The condition that is said to be missing is missing: without it the same rule gets further.
void assert_gets_further(const Moment& moment, const Session& session, const Explanation& said) {
  Moment easier = moment;
  auto rule = std::ranges::find(easier.policy.allow, said.nearest, &AllowRule::name);
  RC_ASSERT(rule != easier.policy.allow.end());
  take_out(*rule, *said.lacks, session);
  auto now = explain(easier.policy, session, said.service, easier.circumstances());
  RC_LOG() << "without it: " << now.missing << "\n";
  RC_ASSERT(now.allowed || !now.denied_by.empty() || (now.lacks && *now.lacks > *said.lacks));
}

TEST(CoreConditions, ExplanationIsTheDecision) {
  std::map<Condition, std::size_t> missing;
  std::size_t closed = 0, open = 0;
  hold([&](const Moment& moment, Shares&) {
    for (const Session& session : moment.sessions) {
      auto reaches = reach_of(moment.policy, session, moment.circumstances());
      for (const Service& service : moment.policy.services) {
        auto said = explain(moment.policy, session, service.name, moment.circumstances());
        RC_LOG() << session.id.value << " " << service.name.value << ": " << said.missing << "; "
                 << said.smallest_change << "\n";
        auto reach = std::ranges::find(reaches, service.name, &Reach::service);
        RC_ASSERT(said.allowed == (reach != reaches.end()));
        if (said.allowed) {
          ++open;
          RC_ASSERT(said.rule == reach->rule);
          RC_ASSERT(said.until == reach->until);
          RC_ASSERT(said.chain.size() >= 3u);
          RC_ASSERT(said.chain.back().sentence.starts_with("until " + to_string(reach->until)));
          continue;
        }
        RC_ASSERT(!said.missing.empty() && !said.smallest_change.empty());
        if (said.lacks) {
          ++missing[*said.lacks];
          assert_gets_further(moment, session, said);
        } else if (!said.denied_by.empty()) {
          ++closed;
          RC_ASSERT(is_denied(moment.policy, session, service.name));
        }
      }
    }
  });
  std::string line = fmt::format("[ missing  ] allowed {} denied {}", open, closed);
  for (auto& [condition, n] : missing) line += fmt::format(" {}: {}", int(condition), n);
  std::cout << line << "\n";
  for (int c = 0; c <= int(Condition::time); ++c)
    EXPECT_GT(missing[Condition(c)], 20u) << "condition " << c << " is hardly ever what is missing";
}

}  // namespace
}  // namespace knock::test
