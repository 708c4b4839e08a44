// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/people.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "reconciler/core/evaluate.h"
#include "reconciler/core/policy_delta.h"

namespace knock {
namespace {

const SignInName kLocal{"local"};

struct Person {
  Session session;       // real, or made of what is known
  bool anywhere = true;  // not signed in: no address to judge by
  Known known = Known::seen;
  std::optional<Instant> seen;

  std::string name() const {
    const Principal& who = session.principal;
    return who.name.empty() ? who.subject : who.name;
  }
  std::string key() const {
    const Principal& who = session.principal;
    return who.subject + "@" + (known == Known::named ? session.source.value : who.issuer);
  }
};

Person of_account(const Account& account, Instant now) {
  Person person;
  Session& session = person.session;
  session.principal = {"local", account.user, account.name.empty() ? account.user : account.name};
  session.source = kLocal;
  session.groups = account.groups;
  session.created = now;
  session.expires = Instant::max();
  person.known = Known::directory;
  return person;
}

/// The same person at their next sign-in.
Person signed_out(Person person, Instant now) {
  person.anywhere = true;
  person.session.end.reset();
  person.session.created = now;
  person.session.expires = Instant::max();
  return person;
}

/// Everybody who is known, one by one: each live session, then people who are not signed in.
class KnownPeople {
 public:
  explicit KnownPeople(const PeopleInput& in) : in_(in) {
    for (const Account& account : in.accounts) accounts_.insert(account.user);
    add_live();
    add_accounts();
    add_seen();
    add_named(*in.in_force);
    add_named(in.planned);
  }
  const std::vector<Person>& all() const { return people_; }

 private:
  bool in_directory(const Session& session) const {
    return session.source == kLocal && accounts_.contains(session.principal.subject);
  }
  void add_live() {
    for (const Session& session : in_.sessions) {
      if (!session.live_at(in_.now)) continue;
      auto known = in_directory(session) ? Known::directory : Known::seen;
      add({session, false, known,
           known == Known::seen ? std::optional(session.created) : std::nullopt});
    }
  }
  void add_accounts() {
    for (const Account& account : in_.accounts) {
      auto person = of_account(account, in_.now);
      if (!account.disabled && !is_known(person.session)) add(std::move(person));
    }
  }
  /// Of somebody who is not signed in, the newest sign-in counts. What an operator granted says
  /// nothing about a sign-in, and an account that is gone cannot sign in.
  void add_seen() {
    std::map<Principal, const Session*> newest;
    for (const Session& session : in_.seen) {
      bool counts = session.proof != Proof::grant && session.source != kLocal &&
                    session.created <= in_.now && session.created + kSeenWithin > in_.now;
      if (!counts || is_known(session)) continue;
      auto& at = newest[session.principal];
      if (at == nullptr || std::tie(at->created, at->id) < std::tie(session.created, session.id))
        at = &session;
    }
    for (const auto& [who, session] : newest) {
      add(signed_out({*session, true, Known::seen, session->created}, in_.now));
    }
  }
  void add_named(const Policy& policy) {
    for (const AllowRule& rule : policy.allow)
      for (const UserRef& user : rule.users) {
        Person person;
        person.session.principal = {"", user.subject, ""};
        person.session.source = user.source;
        person.session.created = in_.now;
        person.session.expires = Instant::max();
        person.known = Known::named;
        // An account that is gone or disabled cannot sign in either.
        if (user.source != kLocal && !names_.contains(user)) add(std::move(person));
      }
  }
  bool is_known(const Session& session) const { return principals_.contains(session.principal); }
  void add(Person person) {
    if (person.known != Known::named) principals_.insert(person.session.principal);
    names_.insert({person.session.principal.subject, person.session.source});
    people_.push_back(std::move(person));
  }

  const PeopleInput& in_;
  std::set<std::string> accounts_;
  std::set<Principal> principals_;
  std::set<UserRef> names_;
  std::vector<Person> people_;
};

template <class Names, class Name>
bool lists(const Names& names, const Name& name) {
  return std::binary_search(names.begin(), names.end(), name);
}

/// What is left of a policy for somebody who is not signed in: neither an address nor a time to
/// judge by, nor a second factor, nor anybody's yes. Rules that ask for them count as given; a deny
/// rule holds only when it holds wherever somebody comes from.
Policy anywhere(Policy policy) {
  for (AllowRule& rule : policy.allow) {
    rule.from = {};
    rule.mfa_max_age.reset();
    rule.schedule.clear();
    rule.approval.reset();
    rule.max_ips_per_user.reset();
    rule.max_users_per_ip.reset();
  }
  std::erase_if(policy.deny, [](const DenyRule& rule) { return !rule.from.empty(); });
  return policy;
}

/// Who may reach what under one policy, asked for many people.
class Reaches {
 public:
  Reaches(const Policy& policy, const Circumstances& circumstances)
      : anywhere_(anywhere(policy)),
        signed_in_(policy, circumstances, true),
        not_signed_in_(anywhere_, {circumstances.now}, true) {}
  std::vector<Reach> of(const Person& person) {
    return reach_of(person.anywhere ? not_signed_in_ : signed_in_, person.session);
  }
  const DenyRule* denied_by(const Session& session, const Service& service) {
    return signed_in_.denied_by(session, service);
  }

 private:
  Policy anywhere_;
  Openings signed_in_, not_signed_in_;
};

const AllowRule* rule_of(const Policy& policy, const RuleName& name) {
  auto at = std::ranges::lower_bound(policy.allow, name, {}, &AllowRule::name);
  return at != policy.allow.end() && at->name == name ? &*at : nullptr;
}

SourceRange origin_of(const Policy& policy, const RuleName& name) {
  const AllowRule* rule = rule_of(policy, name);
  return rule != nullptr ? rule->origin : SourceRange{};
}

// ---- what is not known

/// The one policy's rules against the other's, for people whom nobody has listed.
class Strangers {
 public:
  Strangers(const Policy& from, const Policy& to, std::span<const SignInName> sources)
      : from_(from), to_(to), sources_(sources) {
    for (const AllowRule& rule : from.allow)
      for (const ServiceName& service : rule.to) giving_[service].push_back(&rule);
  }

  /// Groups of `rule` (of `to`) through which people that nobody listed may come to `service`, and
  /// did not under `from`.
  std::vector<GroupName> gaining(const AllowRule& rule, const ServiceName& service) {
    std::vector<GroupName> out;
    auto [known, fresh] = opened_.try_emplace(service);
    if (fresh) known->second = denies_less(service);
    bool opened = known->second;
    for (const GroupName& name : rule.who) {
      const Group* group = to_.group(name);
      if (group != nullptr && !is_listed(*group) && (opened || !had(rule, *group, service)))
        out.push_back(name);
    }
    return out;
  }

 private:
  /// Only local accounts are a list of everybody.
  bool is_listed(const Group& group) const {
    if (group.from.empty()) return sources_.size() == 1 && sources_.front() == kLocal;
    return group.from.size() == 1 && group.from.front() == kLocal;
  }
  static bool same_members(const Group& a, const Group& b) {
    return a.idp == b.idp && a.from == b.from;
  }
  static bool within(const Policy& policy, const std::vector<GroupName>& names,
                     const Group& group) {
    return std::any_of(names.begin(), names.end(), [&](const GroupName& name) {
      const Group* other = policy.group(name);
      return other != nullptr && same_members(*other, group);
    });
  }
  /// Everybody of this group whom `rule` lets is let by `other` of the other policy.
  bool covers(const AllowRule& other, const AllowRule& rule, const Group& group) const {
    auto inside = [](const auto& wide, const auto& narrow) {
      return wide.empty() || (!narrow.empty() && std::includes(wide.begin(), wide.end(),
                                                               narrow.begin(), narrow.end()));
    };
    bool claims =
        std::all_of(other.claims.begin(), other.claims.end(), [&](const ClaimCondition& asked) {
          return std::any_of(rule.claims.begin(), rule.claims.end(), [&](const auto& mine) {
            return mine.claim == asked.claim && inside(asked.any_of, mine.any_of);
          });
        });
    return claims && (other.who.empty() || within(from_, other.who, group)) &&
           inside(other.users, rule.users) && inside(other.acr, rule.acr);
  }
  bool had(const AllowRule& rule, const Group& group, const ServiceName& service) const {
    auto at = giving_.find(service);
    return at != giving_.end() &&
           std::any_of(at->second.begin(), at->second.end(),
                       [&](const AllowRule* other) { return covers(*other, rule, group); });
  }
  /// `from` denies this service to somebody, wherever they come from, whom `to` does not deny it.
  bool denies_less(const ServiceName& service) const {
    auto still = [&](const Group& group) {
      return std::any_of(to_.deny.begin(), to_.deny.end(), [&](const DenyRule& rule) {
        return rule.from.empty() && lists(rule.to, service) && within(to_, rule.who, group);
      });
    };
    return std::any_of(from_.deny.begin(), from_.deny.end(), [&](const DenyRule& rule) {
      return rule.from.empty() && lists(rule.to, service) &&
             std::any_of(rule.who.begin(), rule.who.end(), [&](const GroupName& name) {
               const Group* group = from_.group(name);
               return group != nullptr && !is_listed(*group) && !still(*group);
             });
    });
  }

  const Policy& from_;
  const Policy& to_;
  std::span<const SignInName> sources_;
  std::map<ServiceName, std::vector<const AllowRule*>> giving_;  // rules of `from`
  std::map<ServiceName, bool> opened_;                           // what denies_less() said
};

// ---- whom a change can concern at all

/// Somebody whom neither version of any rule that differs speaks of reaches the same by both
/// policies: a rule's conditions ask about itself, sessions and what all rules share, and nothing of
/// what they share differs. Of 100,000 people a change mostly concerns few.
class Concerned {
 public:
  Concerned(const Policy& in_force, const Policy& planned) : policies_{&in_force, &planned} {
    std::set<std::string> names;
    for (const PolicyEdit& edit : policy_delta(&in_force, planned)) {
      // A name that only one of them has stands in no rule that both have.
      bool apart = edit.kind != PolicyEdit::Kind::changed &&
                   (edit.section == "groups" || edit.section == "networks");
      bool nobody = edit.section == "tests" || edit.section == "static" ||
                    edit.section == "guards" || edit.section == "break_glass";
      if (edit.section == "allow")
        names.insert(edit.name);
      else if (!apart && !nobody)
        everybody_ = true;
    }
    for (std::size_t i = 0; i < policies_.size(); ++i)
      for (const AllowRule& rule : policies_[i]->allow)
        if (names.contains(rule.name.value)) add(*policies_[i], rule);
    for (auto* list : {&groups_, &ids_}) {
      std::sort(list->begin(), list->end());
      list->erase(std::unique(list->begin(), list->end()), list->end());
    }
    std::sort(users_.begin(), users_.end());
  }

  /// May be true of somebody for whom nothing differs.
  bool concerns(const Session& session) const {
    if (everybody_) return true;
    const auto& groups = session.proof == Proof::grant ? groups_ : ids_;
    return lists(users_, UserRef{session.principal.subject, session.source}) ||
           std::any_of(session.groups.begin(), session.groups.end(), [&](const std::string& group) {
             return std::binary_search(groups.begin(), groups.end(), group);
           });
  }

 private:
  void add(const Policy& policy, const AllowRule& rule) {
    users_.insert(users_.end(), rule.users.begin(), rule.users.end());
    for (const GroupName& name : rule.who) {
      groups_.push_back(name.value);
      if (const Group* group = policy.group(name)) ids_.push_back(group->idp);
    }
  }

  std::array<const Policy*, 2> policies_;
  bool everybody_ = false;
  std::vector<std::string> groups_, ids_;  // by the policy's name, and as sources say them
  std::vector<UserRef> users_;
};

// ---- figures

class Comparison {
 public:
  explicit Comparison(const PeopleInput& in) : in_(in) {}

  PeopleChanges run() {
    Circumstances circumstances{in_.now, in_.sessions, in_.approvals};
    Reaches before(*in_.in_force, circumstances), after(in_.planned, circumstances);
    KnownPeople known(in_);
    Concerned concerned(*in_.in_force, in_.planned);
    for (const Person& person : known.all()) {
      const Session& session = person.session;
      if (!concerned.concerns(session)) continue;
      auto had = before.of(person), has = after.of(person);
      compare(person, had, has, in_.planned, true);
      compare(person, has, had, *in_.in_force, false);
      if (person.anywhere) continue;
      cut(session, had, has, after);
      Person elsewhere = signed_out(person, in_.now);
      had = before.of(elsewhere);
      has = after.of(elsewhere);
      compare(elsewhere, had, has, in_.planned, true);
      compare(elsewhere, has, had, *in_.in_force, false);
    }
    sort();
    count();
    return unlisted();
  }

  /// Whom nobody has listed, beside those that were counted.
  PeopleChanges unlisted() {
    count_strangers(*in_.in_force, in_.planned, true);
    count_strangers(in_.planned, *in_.in_force, false);
    for (auto& [key, figure] : figures_) out_.figures.push_back(std::move(figure));
    return std::move(out_);
  }

 private:
  static bool contains(const std::vector<Reach>& list, const ServiceName& service) {
    return std::any_of(list.begin(), list.end(),
                       [&](const Reach& reach) { return reach.service == service; });
  }

  void compare(const Person& person, const std::vector<Reach>& from, const std::vector<Reach>& to,
               const Policy& policy, bool gains) {
    for (const Reach& reach : to) {
      if (contains(from, reach.service)) continue;
      PersonChange change;
      change.gains = gains;
      change.who = person.name();
      change.service = reach.service;
      change.rule = reach.rule;
      change.origin = origin_of(policy, reach.rule);
      if (!gains && !person.anywhere) change.live_until = reach.until;
      change.key = person.key();
      change.known = person.known;
      change.seen = person.seen;
      out_.people.push_back(std::move(change));
    }
  }

  void cut(const Session& session, const std::vector<Reach>& had, const std::vector<Reach>& has,
           Reaches& after) {
    for (const Reach& reach : had) {
      if (contains(has, reach.service)) continue;
      const Service* service = in_.planned.service(reach.service);
      const DenyRule* denied = service != nullptr ? after.denied_by(session, *service) : nullptr;
      out_.cuts.push_back({session.id, session.principal.name, session.principal.key(),
                           session.address, reach.service, reach.rule,
                           denied != nullptr ? denied->name : RuleName(), reach.until});
    }
  }

  /// Of several reasons for which one person gains or loses, the live session that would last
  /// longest stands for them.
  void sort() {
    auto key = [](const PersonChange& c) { return std::tie(c.gains, c.service, c.who, c.key); };
    auto& people = out_.people;
    std::sort(people.begin(), people.end(), [&](const PersonChange& a, const PersonChange& b) {
      if (key(a) != key(b)) return key(a) < key(b);
      if (a.live_until != b.live_until) return b.live_until < a.live_until;
      return std::tie(a.rule, b.seen) < std::tie(b.rule, a.seen);
    });
    auto same = [&](const PersonChange& a, const PersonChange& b) { return key(a) == key(b); };
    people.erase(std::unique(people.begin(), people.end(), same), people.end());
    std::sort(out_.cuts.begin(), out_.cuts.end(), [](const SessionCut& a, const SessionCut& b) {
      return std::tie(a.service, a.who, a.until, a.session) <
             std::tie(b.service, b.who, b.until, b.session);
    });
  }

  PeopleFigure& figure(bool gains, const ServiceName& service, const RuleName& rule) {
    auto [at, fresh] = figures_.try_emplace({!gains, service, rule});
    PeopleFigure& figure = at->second;
    if (fresh) {
      figure.gains = gains;
      figure.service = service;
      figure.rule = rule;
      figure.origin = origin_of(gains ? in_.planned : *in_.in_force, rule);
    }
    return figure;
  }

  void count() {
    for (const PersonChange& person : out_.people) {
      PeopleFigure& at = figure(person.gains, person.service, person.rule);
      switch (person.known) {
        case Known::directory:
          ++at.directory;
          break;
        case Known::seen:
          ++at.seen;
          if (!at.oldest || person.seen < at.oldest) at.oldest = person.seen;
          break;
        case Known::named:
          ++at.named;
          break;
      }
    }
    for (const SessionCut& cut : out_.cuts) ++figure(false, cut.service, cut.rule).sessions;
  }

  void count_strangers(const Policy& from, const Policy& to, bool gains) {
    Strangers strangers(from, to, in_.sources);
    for (const AllowRule& rule : to.allow)
      for (const ServiceName& service : rule.to)
        if (auto groups = strangers.gaining(rule, service); !groups.empty())
          figure(gains, service, rule.name).unlisted = std::move(groups);
  }

  const PeopleInput& in_;
  PeopleChanges out_;
  std::map<std::tuple<bool, ServiceName, RuleName>, PeopleFigure> figures_;
};

}  // namespace

PeopleChanges compare_people(const PeopleInput& input) {
  if (input.in_force == nullptr || same_meaning(*input.in_force, input.planned)) return {};
  return Comparison(input).run();
}

std::vector<PeopleFigure> compare_unlisted(const Policy& in_force, const Policy& planned,
                                           std::span<const SignInName> sources) {
  if (same_meaning(in_force, planned)) return {};
  return Comparison({&in_force, planned, {}, {}, {}, {}, {}, sources}).unlisted().figures;
}

std::uint64_t comparisons(const Policy& in_force, const Policy& planned) {
  struct Rules {
    std::uint64_t groups = 0, members = 0;  // of all rules that give the service
  };
  constexpr std::uint64_t kPlenty = std::uint64_t{1} << 60;  // far from the end of 64 bits
  auto rules_of = [](const Policy& policy) {
    std::map<ServiceName, Rules> out;
    for (const AllowRule& rule : policy.allow)
      for (const ServiceName& service : rule.to) {
        Rules& rules = out[service];
        rules.groups += 1 + rule.who.size();
        rules.members += 1 + rule.who.size() + rule.users.size() + rule.claims.size();
      }
    return out;
  };
  auto before = rules_of(in_force), after = rules_of(planned);
  std::uint64_t out = 0;
  for (const auto& [service, rules] : after)
    if (auto at = before.find(service); at != before.end() && out < kPlenty)
      out += rules.groups * at->second.members + at->second.groups * rules.members;
  return out + in_force.deny.size() * planned.deny.size();
}

}  // namespace knock
