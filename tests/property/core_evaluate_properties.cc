// SPDX-License-Identifier: Apache-2.0
// What policy, sessions and time make of each other.
#include <gtest/gtest.h>
// gtest first: rapidcheck's own headers look for it.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/text.h"
#include "reconciler/core/evaluate.h"
#include "reconciler/core/explain.h"
#include "schemas/policy/load.h"
#include "tests/support/generators.h"

namespace knock::test {
namespace {

const Instant kNow = Instant::from_seconds(1'800'000'000);

struct Case {
  Policy policy;
  std::vector<Session> sessions;
  std::vector<Prefix> keep;
  Instant now = kNow;
  std::vector<Allowlist> evaluated() const { return evaluate({policy, sessions, now, keep}); }
};

std::string describe(const Case& one) {
  std::string out = to_yaml(one.policy);
  for (const Session& session : one.sessions)
    out += fmt::format("{} {} from {} created {} expires {}{}\n", session.id.value,
                       join(session.groups, ","), session.address.to_string(),
                       to_string(session.created), to_string(session.expires),
                       session.end ? " ended" : "");
  return out;
}

bool has_entries(const std::vector<Allowlist>& lists) {
  return std::any_of(lists.begin(), lists.end(), [](const Allowlist& list) {
    return std::any_of(list.services.begin(), list.services.end(),
                       [](const ServiceEntries& service) { return !service.entries.empty(); });
  });
}

template <class Property>
void hold(Property property) {
  Shares shares;
  EXPECT_TRUE(rc::check([&] {
    Case one{any_policy(), any_sessions(kNow), {}, kNow};
    shares.count(one.sessions, one.policy, has_entries(one.evaluated()));
    RC_LOG() << describe(one);
    property(one);
  }));
  shares.judge();
}

template <class List>
List shuffled(List list) {
  for (std::size_t i = list.size(); i > 1; --i)
    std::swap(list[i - 1],
              list[std::size_t(*rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, int(i))))]);
  return list;
}

TEST(CoreEvaluate, OrderOfSessionsMeansNothing) {
  hold([](const Case& one) {
    Case other = one;
    other.sessions = shuffled(one.sessions);
    RC_ASSERT(other.evaluated() == one.evaluated());
  });
}

TEST(CoreEvaluate, OrderOfRulesMeansNothing) {
  hold([](const Case& one) {
    Case other = one;
    other.policy.allow = shuffled(one.policy.allow);
    other.policy.statics = shuffled(one.policy.statics);
    other.policy.deny = shuffled(one.policy.deny);
    RC_ASSERT(other.evaluated() == one.evaluated());
  });
}

/// One file for each section, in any order, is the same policy.
TEST(CoreEvaluate, OrderOfFilesMeansNothing) {
  hold([](const Case& one) {
    Policy part;
    std::vector<PolicyFile> files;
    auto file = [&](std::string name, auto Policy::* section) {
      part = Policy();
      part.*section = one.policy.*section;
      if (!(part.*section).empty()) files.push_back({std::move(name), to_yaml(part), ""});
    };
    file("a.yaml", &Policy::groups);
    file("b.yaml", &Policy::networks);
    file("c.yaml", &Policy::services);
    file("d.yaml", &Policy::targets);
    file("e.yaml", &Policy::allow);
    file("f.yaml", &Policy::statics);
    file("g.yaml", &Policy::deny);
    Case other = one;
    auto names = shuffled(files);
    for (std::size_t i = 0; i < names.size(); ++i) names[i].path = files[i].path;
    auto loaded = load_policy(names, one.policy.revision, {});
    RC_LOG() << to_text(loaded.diagnostics);
    RC_ASSERT(loaded.policy.has_value());
    other.policy = *loaded.policy;
    RC_ASSERT(other.evaluated() == one.evaluated());
  });
}

/// Nobody is let in by time alone, and no deadline moves away.
TEST(CoreEvaluate, TimeAloneAddsNothing) {
  hold([](const Case& one) {
    Case later = one;
    later.now =
        one.now + Duration{*rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, 8 * 3'600'000))};
    std::map<std::tuple<TargetName, ServiceName, Prefix>, Entry> before;
    for (const Allowlist& list : one.evaluated())
      for (const ServiceEntries& service : list.services)
        for (const Entry& entry : service.entries)
          before.emplace(std::tuple(list.target, service.service, entry.prefix), entry);
    for (const Allowlist& list : later.evaluated())
      for (const ServiceEntries& service : list.services)
        for (const Entry& entry : service.entries) {
          auto was = before.find({list.target, service.service, entry.prefix});
          RC_ASSERT(was != before.end());
          RC_ASSERT(entry.until <= was->second.until);
          RC_ASSERT(std::includes(was->second.causes.begin(), was->second.causes.end(),
                                  entry.causes.begin(), entry.causes.end()));
        }
  });
}

/// Another way to the same entries: the timers that were set at first, without another look.
TEST(CoreEvaluate, LaterIsWhatTheTimersLeave) {
  hold([](const Case& one) {
    Case later = one;
    later.now =
        one.now + Duration{*rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, 8 * 3'600'000))};
    auto expected = one.evaluated();
    for (Allowlist& list : expected)
      for (ServiceEntries& service : list.services)
        std::erase_if(service.entries, [&](Entry& entry) { return entry.until <= later.now; });
    auto found = later.evaluated();
    for (auto* lists : {&expected, &found})
      for (Allowlist& list : *lists)
        for (ServiceEntries& service : list.services)
          for (Entry& entry : service.entries) entry.causes = {};  // fewer of them remain
    RC_ASSERT(found == expected);
  });
}

TEST(CoreEvaluate, OneHostIsItsRows) {
  hold([](const Case& one) {
    auto all = one.evaluated();
    for (const Session& session : one.sessions) {
      auto expected = all;
      Prefix host = Prefix::host(session.address);
      for (Allowlist& list : expected)
        for (ServiceEntries& service : list.services)
          std::erase_if(service.entries, [&](const Entry& entry) { return entry.prefix != host; });
      std::vector<Session> there;
      for (const Session& other : one.sessions)
        if (other.address == session.address) there.push_back(other);
      RC_ASSERT(evaluate_host({one.policy, there, one.now, one.keep}, session.address) == expected);
    }
  });
}

TEST(CoreEvaluate, ExplanationIsTheDecision) {
  hold([](const Case& one) {
    for (const Session& session : one.sessions) {
      auto reaches = reach_of(one.policy, session, one.now);
      for (const Service& service : one.policy.services) {
        auto explained = explain(one.policy, session, service.name, one.now);
        auto reach = std::find_if(reaches.begin(), reaches.end(),
                                  [&](const Reach& r) { return r.service == service.name; });
        RC_ASSERT(explained.allowed == (reach != reaches.end()));
        RC_ASSERT(explained.service == service.name);
        if (explained.allowed) {
          RC_ASSERT(explained.rule == reach->rule);
          RC_ASSERT(explained.until == reach->until);
          RC_ASSERT(explained.chain.size() >= 3u);
        } else {
          RC_ASSERT(!explained.missing.empty() && !explained.smallest_change.empty());
        }
      }
    }
  });
}

/// Decides one address by reading the rules again, without the evaluator's own helpers.
bool may_reach(const Case& one, const Session& session, const Service& service) {
  auto inside = [&](const std::vector<NetworkName>& names) {
    for (const NetworkName& name : names)
      for (const Network& network : one.policy.networks)
        if (network.name == name)
          for (const NetworkPrefix& p : network.prefixes)
            if (p.prefix.contains(session.address)) return true;
    return false;
  };
  auto member = [&](const std::vector<GroupName>& names) {
    for (const GroupName& name : names)
      for (const Group& group : one.policy.groups) {
        if (group.name != name) continue;
        std::string wanted = session.proof == Proof::grant ? group.name.value : group.idp;
        bool heard = session.proof == Proof::grant || group.from.empty() ||
                     std::count(group.from.begin(), group.from.end(), session.source) > 0;
        if (heard && std::count(session.groups.begin(), session.groups.end(), wanted) > 0)
          return true;
      }
    return false;
  };
  auto applies = [&](const auto& rule) {
    return std::count(rule.to.begin(), rule.to.end(), service.name) > 0 &&
           (rule.from.in.empty() || inside(rule.from.in)) && !inside(rule.from.not_in);
  };
  if (session.end || session.expires <= one.now) return false;
  for (const DenyRule& rule : one.policy.deny)
    if (applies(rule) && (rule.who.empty() || member(rule.who))) return false;
  for (const AllowRule& rule : one.policy.allow)
    if (applies(rule) && member(rule.who) &&
        (session.created + rule.ttl).floor_to_second() > one.now)
      return true;
  return false;
}

TEST(CoreEvaluate, SaysWhatTheRulesSay) {
  hold([](const Case& one) {
    for (const Session& session : one.sessions) {
      auto reaches = reach_of(one.policy, session, one.now);
      for (const Service& service : one.policy.services) {
        bool found = std::any_of(reaches.begin(), reaches.end(),
                                 [&](const Reach& reach) { return reach.service == service.name; });
        RC_ASSERT(found == may_reach(one, session, service));
      }
    }
  });
}

}  // namespace
}  // namespace knock::test
