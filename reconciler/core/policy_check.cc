// SPDX-License-Identifier: Apache-2.0
// Why a look at few people is a look at all of them.
//
// A person is: a source, a set of groups G that this source can say, a subject, claims, acr, the age
// of a second factor, approvals, an address and a moment. For one service, the evaluator lets them
// in when some allow rule R holds and no deny rule D does:
//
//   can(G) = OR over R of allow_R(G)  and not  OR over D of deny_D(G)
//
// allow_R asks for one group of `who` (any one), and everything else that it asks for does not look
// at G; deny_D asks for one group of its `who`, or for none, and for an address. Both only grow with
// G. Neither looks at claims, acr, factor, approvals or time but through the rule R itself: deny
// rules have no such conditions. Addresses in the same networks are the same to all of it
// (address_cells), moments between two edges of R's schedule are the same to R (schedule_moments).
//
// never: suppose that somebody with groups G, who are at least those of the test, gets in by R. Take
// away every group but those of the test and one that R asks for: R still holds, and no deny rule
// begins to hold. Give them what R asks for of claims, acr, factor and approvals, where the test
// leaves that open: R still holds, and no deny rule looks. Move them to any other moment at which
// R's schedule is open: the same. So if there is a counterexample there is one among: each R, each
// source, each one group of R, each address cell, one moment at which R is open.
//
// always: suppose that somebody with groups G does not get in. Either no R holds, then none holds
// for the groups of the test alone, without anything that the test leaves open; these must be looked
// at in every address cell and at every moment. Or some D holds: by one of its groups, or by none;
// then it holds for the groups of the test and this single one, at any moment. Static entries look
// at the address alone.
//
// An operator's grant says policy's own group names and no claims; it can join groups that no source
// says together. Where a source can say the same groups and no two groups share one word, it is the
// same person with less, and `never` need not look at it.
//
// tests/property/policy_check_properties.cc compares all this with every set of groups.
#include "reconciler/core/policy_check.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "reconciler/core/policy_cells.h"
#include "reconciler/core/service_view.h"
#include "schemas/policy/schedule_edges.h"

namespace knock {
namespace {

/// A test, and what follows from its text alone.
struct Prepared {
  const PolicyTest* test = nullptr;
  std::optional<std::string> subject;
  std::vector<SignInName> sources;  // of everybody it speaks of; for invariants "grant" too
  bool personal = false;            // says something about the person
  bool statics = true;              // count
  IpAddress address;                // of an example
};

/// The smaller, the easier to see what is wrong.
bool smaller(const Counterexample& a, const Counterexample& b) {
  auto weight = [](const Counterexample& e) {
    auto conditions = e.claims.size() + (e.acr.empty() ? 0 : 1) + (e.mfa_age ? 1 : 0) +
                      (e.approved ? 1 : 0) + (e.source.empty() ? 0 : 1);
    return std::tuple(e.groups.size(), e.source == Sources::grant().value, conditions);
  };
  auto rest = [](const Counterexample& e) {
    return std::tie(e.service, e.rule, e.address, e.at, e.groups, e.source, e.user, e.claims,
                    e.acr);
  };
  auto x = weight(a), y = weight(b);
  return x == y ? rest(a) < rest(b) : x < y;
}

class Checker {
 public:
  Checker(const Policy& policy, Instant now, std::size_t most_cells, std::size_t most_work)
      : policy_(policy),
        now_(now),
        most_cells_(most_cells),
        work_(most_work),
        sources_(policy),
        views_(policy) {
    for (const Group& group : policy.groups)
      longest_from_ = std::max(longest_from_, group.from.size());
    for (const AllowRule& rule : policy.allow) users_ += 1 + rule.users.size();
  }

  PolicyCheck run() {
    check_.results.resize(policy_.tests.size());
    prepared_.resize(policy_.tests.size());
    for (std::size_t i = 0; i < policy_.tests.size(); ++i) prepare(i);
    for (std::size_t i = 0; i < views_.size(); ++i) {
      if (views_.tests(i).empty()) continue;
      if (work_.spend(8 * views_.size_of(i))) view_ = views_.view(i);
      moments_.clear();
      openings_.clear();
      for (std::size_t test : views_.tests(i)) {
        if (!work_.used_up()) check(test);
        if (work_.used_up()) leave(check_.results[test]);
      }
    }
    return std::move(check_);
  }

 private:
  /// What there is left to do is not done; what was found stays found.
  static void leave(TestResult& result) {
    if (result.verdict != TestVerdict::pass) return;
    result.verdict = TestVerdict::not_proven;
    result.together = true;
    result.reason =
        "the tests of this policy together take more work than is done for one policy, and this "
        "one was not looked at to its end";
  }

  // ---- what a test speaks of ----

  void prepare(std::size_t index) {
    Prepared& p = prepared_[index];
    const PolicyTest& test = policy_.tests[index];
    const TestPerson& as = test.as;
    TestResult& result = check_.results[index];
    result.test = index;
    p.test = &test;
    p.personal = as.user || as.groups || !as.claims.empty() || as.acr || as.mfa_age || as.approved;
    p.statics = test.kind == PolicyTest::Kind::example || as.ip || !p.personal;
    std::size_t groups = as.groups ? as.groups->size() : 0;
    std::size_t hearing = 16 + (4 + longest_from_ / 4) * (1 + groups);
    if (!work_.spend(32 + sources_.all().size() * hearing + users_)) return leave(result);
    choose_sources(p);
    if (test.kind == PolicyTest::Kind::example)
      p.address = as.ip ? as.ip->first() : address_outside();
    if (p.sources.empty()) {
      result.verdict = TestVerdict::fail;
      result.reason =
          "nobody can be like this: no sign-in source says all of that; see `from` of the groups";
    }
  }

  void choose_sources(Prepared& p) const {
    const TestPerson& as = p.test->as;
    bool example = p.test->kind == PolicyTest::Kind::example;
    auto groups = as.groups.value_or(std::vector<GroupName>());
    std::optional<SignInName> only;
    if (as.user) std::tie(p.subject, only) = sources_.split_user(*as.user);
    auto add = [&](const SignInName& source) {
      if (sources_.hears(source, groups)) p.sources.push_back(source);
    };
    bool said_by_source = !as.claims.empty() || as.acr || as.mfa_age;
    if (only) {
      if (*only != Sources::grant() || !said_by_source) add(*only);
      return;
    }
    for (const SignInName& source : sources_.all()) add(source);
    if (!example) {
      if (!said_by_source) add(Sources::grant());
      return;
    }
    narrow(p, groups);
  }

  /// An example is about somebody who exists: from where rules know the name, else from a source
  /// whose word counts for the groups, else from one that the policy does not name.
  void narrow(Prepared& p, const std::vector<GroupName>& groups) const {
    auto named = p.subject ? sources_.naming(*p.subject) : std::vector<SignInName>();
    auto keep_if = [&](auto&& keep) {
      std::vector<SignInName> kept;
      std::copy_if(p.sources.begin(), p.sources.end(), std::back_inserter(kept), keep);
      if (!kept.empty()) p.sources = std::move(kept);
    };
    if (!named.empty())
      return keep_if([&](const SignInName& s) {
        return std::find(named.begin(), named.end(), s) != named.end();
      });
    keep_if([&](const SignInName& s) { return sources_.is_unnamed(s) == groups.empty(); });
  }

  /// An IPv4 address that as few networks and static entries as possible name.
  IpAddress address_outside() {
    if (outside_) return *outside_;
    std::vector<std::vector<Prefix>> sets;
    auto add = [&](const std::vector<NetworkPrefix>& prefixes) {
      auto& set = sets.emplace_back();
      for (const NetworkPrefix& p : prefixes) set.push_back(p.prefix);
    };
    for (const Network& network : policy_.networks) add(network.prefixes);
    for (const StaticRule& rule : policy_.statics) add(rule.cidr);
    std::size_t prefixes = 0;
    for (const auto& set : sets) prefixes += 1 + set.size();
    std::size_t left = work_.left();
    auto cells =
        work_.spend(16 * prefixes) ? address_cells_within(sets, std::nullopt, left) : std::nullopt;
    if (!cells) {  // nothing is looked at then
      work_.spend(work_.left() + 1);
      return IpAddress::v4(0);
    }
    auto named_by = [&](const IpAddress& address) {
      return std::count_if(sets.begin(), sets.end(), [&](const std::vector<Prefix>& set) {
        return std::any_of(set.begin(), set.end(),
                           [&](const Prefix& p) { return p.contains(address); });
      });
    };
    auto fewest = std::ptrdiff_t(sets.size()) + 1;
    for (const IpAddress& address : *cells) {
      if (address.family() != Family::v4) continue;
      if (!work_.spend(prefixes) && outside_) break;
      auto count = named_by(address);
      if (count < fewest) {
        fewest = count;
        outside_ = address;
      }
      if (count == 0) break;
    }
    return *outside_;  // some address is always there
  }

  Traits traits_of(const Prepared& p, const SignInName& source) const {
    const TestPerson& as = p.test->as;
    return {p.subject.value_or(sources_.nobody()),
            source,
            as.groups.value_or(std::vector<GroupName>()),
            as.claims,
            as.acr.value_or(""),
            as.mfa_age};
  }

  // ---- one test at one service ----

  void check(std::size_t index) {
    const Prepared& p = prepared_[index];
    TestResult& result = check_.results[index];
    if (p.sources.empty() || result.verdict == TestVerdict::not_proven) return;
    switch (p.test->kind) {
      case PolicyTest::Kind::example:
        return example(p, result);
      case PolicyTest::Kind::always:
        note_left_out(p, result);
        return always(p, result);
      case PolicyTest::Kind::never:
        note_left_out(p, result);
        return never(p, result);
    }
  }

  /// False beyond the limit: then nothing is claimed, unless something was found already.
  bool spend(TestResult& result, std::size_t cells) const {
    if (cells <= most_cells_ - std::min(most_cells_, result.cells)) {
      result.cells += cells;
      return true;
    }
    if (result.verdict != TestVerdict::fail) {
      result.verdict = TestVerdict::not_proven;
      result.reason = "there are more combinations than can be looked at; name an ip, a service, " +
                      std::string("a group or a time");
    }
    return false;
  }

  void found(TestResult& result, const MadeUp& person, const std::optional<Way>& way) {
    work_.spend(32 + 4 * person.shown.groups.size());
    Counterexample example = person.shown;
    example.service = view_.service;
    example.can = way.has_value();
    if (way) {
      example.rule = way->rule;
      example.origin = way->origin;
    }
    bool better = !result.counterexample || smaller(example, *result.counterexample);
    if (!better) return;
    if (!way)
      example.reason = may_ask_evaluator() ? view_.why_not(person) : "no rule lets them in";
    else if (way->fixed)
      example.reason = "static entry " + way->rule.value + " (" + way->origin.to_string() +
                       ") is open to " + person.session.address.to_string() + ", whoever is there";
    else
      example.reason =
          "rule " + way->rule.value + " (" + way->origin.to_string() + ") lets them in";
    result.verdict = TestVerdict::fail;
    result.reason = to_string(example) + (example.can ? " can reach " : " cannot reach ") +
                    example.service.value + ": " + example.reason;
    result.counterexample = std::move(example);
  }

  /// Who lets this person in, at the first place.
  std::optional<Way> way(const Prepared& p, const MadeUp& person) {
    for (std::size_t rule = 0; rule < view_.policy.allow.size(); ++rule) {
      if (!ask(rule, person)) return std::nullopt;
      if (view_.let_in_by(rule, person).empty()) continue;
      if (may_ask_evaluator()) return view_.way_in(person);
      return Way{view_.policy.allow[rule].name, false, view_.policy.allow[rule].origin};
    }
    if (!p.statics || !work_.spend(view_.cost_of_standing())) return std::nullopt;
    return view_.standing(0, as_of(p));
  }

  /// For words alone: where that is too dear, fewer words must do.
  bool may_ask_evaluator() {
    std::size_t cost = view_.cost_of_evaluator();
    return cost <= work_.left() / 16 && work_.spend(cost);
  }

  /// False when there is no work left for let_in_by().
  bool ask(std::size_t rule, const MadeUp& person) {
    return work_.spend(view_.cost_of_rule(rule) + person.approvals.size() / 8 +
                       person.session.groups.size() / 4);
  }

  /// Of static entries counts what stands now; that they end is no part of a week.
  Instant as_of(const Prepared& p) const { return p.test->at.value_or(now_); }

  void example(const Prepared& p, TestResult& result) {
    const PolicyTest& test = *p.test;
    const auto* places = look(p, Prefix::host(p.address));
    if (places == nullptr) return;
    auto names = [&](const std::vector<ServiceName>& list) {
      return std::binary_search(list.begin(), list.end(), view_.service);
    };
    if (!work_.spend(4 + test.can.size() / 64 + test.cannot.size() / 64)) return;
    bool can = names(test.can), cannot = names(test.cannot);
    auto moments = moments_of(p);
    if (!spend(result, moments.size() * p.sources.size())) return;
    for (const SignInName& source : p.sources)
      for (Instant at : moments) {
        if (!make(p)) return;
        auto person = sources_.person(traits_of(p, source), p.address, at);
        if (test.as.approved.value_or(false))
          for (const AllowRule& rule : view_.policy.allow) sources_.approve(person, rule);
        auto open = way(p, person);
        if (work_.used_up() && !open) return;
        if ((can && !open) || (cannot && open)) found(result, person, open);
      }
  }

  /// The places at which a test is looked at; null when there is no work left for that.
  const Places* look(const Prepared& p, const std::optional<Prefix>& within) {
    const auto* places = views_.places(view_, p.statics, within, work_);
    return places != nullptr && view_.look_at(*places, p.statics, work_) ? places : nullptr;
  }

  /// Before a person is made up: false when there is no work left.
  bool make(const Prepared& p) {
    const TestPerson& as = p.test->as;
    std::size_t approvals = as.approved.value_or(false) ? view_.policy.allow.size() : 0;
    std::size_t groups = as.groups ? as.groups->size() : 0;
    for (std::size_t i = 0; i < approvals; ++i)
      if (const auto& approval = view_.policy.allow[i].approval) groups += 16 * approval->count;
    return work_.spend(40 + 8 * groups + 4 * approvals);
  }

  // ---- time ----

  /// Every moment that matters to this service; the test's own when it names one.
  std::vector<Instant> moments_of(const Prepared& p) {
    if (p.test->at) return {*p.test->at};
    if (!moments_.empty()) return work_.spend(moments_.size()) ? moments_ : std::vector<Instant>();
    std::vector<const std::vector<Window>*> schedules;
    std::set<std::string_view> zones;
    std::size_t windows = 0;
    for (const AllowRule& rule : view_.policy.allow) {
      if (rule.schedule.empty()) continue;
      schedules.push_back(&rule.schedule);
      windows += rule.schedule.size();
      if (!work_.spend(4 * rule.schedule.size())) return {};
      for (const Window& window : rule.schedule) zones.insert(window.tz);
    }
    // Offsets change a few times a year, and the days after each change are looked at.
    if (!work_.spend(windows * (20 + 100 * (1 + 4 * zones.size())))) return {};
    return moments_ = schedule_moments(schedules, policy_.zones, now_);
  }

  /// A moment at which this rule's schedule is open; nothing: it never is.
  std::optional<Instant> opening(const Prepared& p, const AllowRule& rule) {
    if (p.test->at) return p.test->at;
    if (rule.schedule.empty()) return now_;
    auto [at, fresh] = openings_.try_emplace(rule.name);
    if (fresh && work_.spend(40 * rule.schedule.size()))
      at->second = is_open(rule.schedule, policy_.zones, now_)
                       ? std::optional(now_)
                       : next_opening(rule.schedule, policy_.zones, now_);
    return at->second;
  }

  // ---- never ----

  void never(const Prepared& p, TestResult& result) {
    const auto* places = look(p, p.test->as.ip);
    if (places == nullptr) return;
    if (p.statics && !standing_never(p, *places, result)) return;
    std::size_t groups = p.test->as.groups ? p.test->as.groups->size() : 0;
    for (std::size_t i = 0; i < view_.policy.allow.size(); ++i) {
      const AllowRule& rule = view_.policy.allow[i];
      if (!work_.spend(4)) return;
      auto at = opening(p, rule);
      if (!at) continue;
      for (const SignInName& source : p.sources) {
        std::size_t ways = 1 + rule.who.size();
        if (!work_.spend(8 + rule.users.size() + ways * (8 + 2 * groups + longest_from_ / 4)))
          return;
        for (const Traits& witness : witnesses(p, rule, source))
          if (!let_in(p, i, witness, *at, *places, result)) return;
      }
    }
  }

  bool standing_never(const Prepared& p, const Places& places, TestResult& result) {
    if (view_.policy.statics.empty()) return true;
    if (!spend(result, places.addresses.size())) return false;
    Instant at = as_of(p);
    for (std::size_t i = 0; i < places.addresses.size(); ++i) {
      if (!work_.spend(view_.cost_of_standing())) return false;
      auto open = view_.standing(i, at);
      if (!open) continue;
      if (!make(p)) return false;
      found(result, sources_.person(traits_of(p, p.sources.front()), places.addresses[i], at),
            open);
    }
    return true;
  }

  /// The fewest groups with which somebody of this source meets the rule, each way to do so.
  std::vector<Traits> witnesses(const Prepared& p, const AllowRule& rule,
                                const SignInName& source) const {
    bool never_more = source == Sources::grant() && sources_.one_says_all();
    if (never_more && rule.users.empty() && p.sources.size() > 1) return {};
    Traits traits = traits_of(p, source);
    if (!p.subject && !rule.users.empty()) {
      auto user = std::find_if(rule.users.begin(), rule.users.end(),
                               [&](const UserRef& u) { return u.source == source; });
      if (user == rule.users.end()) return {};
      traits.subject = user->subject;
    }
    if (source != Sources::grant()) {
      for (const ClaimCondition& claim : rule.claims)
        if (!claim.any_of.empty())
          traits.claims.try_emplace(claim.claim, claim.any_of.begin(), claim.any_of.begin() + 1);
      if (!p.test->as.acr && !rule.acr.empty()) traits.acr = rule.acr.front();
      if (rule.mfa_max_age && !traits.mfa_age) traits.mfa_age = Duration{0};
    }
    auto is_in = [&](const GroupName& name) {
      return std::find(traits.groups.begin(), traits.groups.end(), name) != traits.groups.end();
    };
    if (rule.who.empty() || std::any_of(rule.who.begin(), rule.who.end(), is_in)) {
      if (is_less_than_another(p, rule, traits)) return {};
      return {std::move(traits)};
    }
    std::vector<Traits> out;
    for (const GroupName& name : rule.who) {
      if (!sources_.hears(source, name)) continue;
      Traits one = traits;
      one.groups.push_back(name);
      std::sort(one.groups.begin(), one.groups.end());
      if (!is_less_than_another(p, rule, one)) out.push_back(std::move(one));
    }
    return out;
  }

  /// A grant to somebody whom a source could send with the same groups and more to show.
  bool is_less_than_another(const Prepared& p, const AllowRule& rule, const Traits& traits) const {
    if (traits.source != Sources::grant() || !rule.users.empty()) return false;
    bool linked = std::any_of(traits.groups.begin(), traits.groups.end(),
                              [&](const GroupName& name) { return sources_.shares_word(name); });
    return !linked && std::any_of(p.sources.begin(), p.sources.end(), [&](const SignInName& s) {
      return s != Sources::grant() && sources_.hears(s, traits.groups);
    });
  }

  bool let_in(const Prepared& p, std::size_t index, const Traits& witness, Instant at,
              const Places& places, TestResult& result) {
    if (!spend(result, places.addresses.size()) || !make(p)) return false;
    const AllowRule& rule = view_.policy.allow[index];
    auto person = sources_.person(witness, places.addresses.front(), at);
    if (p.test->as.approved.value_or(true)) sources_.approve(person, rule);
    if (!ask(index, person)) return false;
    auto open = view_.let_in_by(index, person);
    if (open.empty()) return true;
    IpAddress least = places.addresses[open.front()];
    for (std::size_t i : open) least = std::min(least, places.addresses[i]);
    person.move_to(least);
    found(result, person, Way{rule.name, false, rule.origin});
    return true;
  }

  /// Static entries that a test about people does not count.
  void note_left_out(const Prepared& p, TestResult& result) {
    if (p.statics || !result.remark.empty() || !work_.spend(view_.policy.statics.size())) return;
    for (const StaticRule& rule : view_.policy.statics)
      if (rule.until > as_of(p)) {
        result.remark = "not counted: static entries are for whoever is there, like " +
                        rule.name.value + " (" + rule.origin.to_string() + ") at " +
                        view_.service.value + "; an `ip` in the test counts them";
        return;
      }
  }

  // ---- always ----

  void always(const Prepared& p, TestResult& result) {
    const auto* places = look(p, p.test->as.ip);
    if (places == nullptr) return;
    auto moments = moments_of(p);
    std::size_t groups = p.test->as.groups ? p.test->as.groups->size() : 0;
    for (const SignInName& source : p.sources) {
      if (!work_.spend(8 + 2 * groups) || moments.empty()) return;
      Traits traits = traits_of(p, source);
      if (!spend(result, places->addresses.size() * moments.size())) return;
      for (Instant at : moments)
        if (!kept_in(p, traits, at, *places, result)) return;
      for (const DenyRule& rule : view_.policy.deny)
        for (const GroupName& name : rule.who) {
          if (!work_.spend(4 + longest_from_ / 4)) return;
          if (!sources_.hears(source, name)) continue;
          if (!spend(result, places->addresses.size()) || !work_.spend(8 + 2 * groups)) return;
          Traits denied = traits;
          if (std::find(denied.groups.begin(), denied.groups.end(), name) == denied.groups.end())
            denied.groups.push_back(name);
          std::sort(denied.groups.begin(), denied.groups.end());
          if (!kept_in(p, denied, moments.front(), *places, result)) return;
        }
    }
  }

  /// False when there is no work left.
  bool kept_in(const Prepared& p, const Traits& traits, Instant at, const Places& places,
               TestResult& result) {
    if (!make(p)) return false;
    auto person = sources_.person(traits, places.addresses.front(), at);
    if (p.test->as.approved.value_or(false))
      for (const AllowRule& rule : view_.policy.allow) sources_.approve(person, rule);
    std::vector<bool> in(places.addresses.size(), false);
    for (std::size_t rule = 0; rule < view_.policy.allow.size(); ++rule) {
      if (!ask(rule, person)) return false;
      for (std::size_t i : view_.let_in_by(rule, person)) in[i] = true;
    }
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (in[i]) continue;
      if (p.statics) {
        if (!work_.spend(view_.cost_of_standing())) return false;
        if (view_.standing(i, as_of(p))) continue;
      }
      person.move_to(places.addresses[i]);
      found(result, person, std::nullopt);
      if (work_.used_up()) return false;
    }
    return true;
  }

  const Policy& policy_;
  const Instant now_;
  const std::size_t most_cells_;
  Work work_;  // of all tests
  Sources sources_;
  ServiceViews views_;
  std::vector<Prepared> prepared_;
  std::optional<IpAddress> outside_;
  std::size_t longest_from_ = 0, users_ = 0;  // what questions to `sources_` cost
  // Of the service at hand.
  ServiceView view_;
  std::vector<Instant> moments_;
  std::map<RuleName, std::optional<Instant>> openings_;
  PolicyCheck check_;
};

}  // namespace

PolicyCheck check_policy(const Policy& policy, Instant now, std::size_t most_cells,
                         std::size_t most_work) {
  return Checker(policy, now.floor_to_second(), most_cells, most_work).run();
}

bool PolicyCheck::ok() const { return count(TestVerdict::pass) == results.size(); }

std::size_t PolicyCheck::count(TestVerdict verdict) const {
  return std::size_t(std::count_if(results.begin(), results.end(), [&](const TestResult& result) {
    return result.verdict == verdict;
  }));
}

}  // namespace knock
