// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/missing.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace knock {
namespace {

constexpr std::size_t kShown = 12;  // of a list that somebody else may make long

std::string listed(const std::vector<std::string>& all) {
  std::vector<std::string> shown;
  for (const auto& one : all) {
    if (shown.size() == kShown) {
      shown.push_back(fmt::format("and {} more", all.size() - kShown));
      break;
    }
    shown.push_back(printable(one));
  }
  return join(shown, ", ");
}

std::string groups_text(const Session& session) {
  if (session.groups.empty()) return "no groups";
  return counted(session.groups.size(), "group", "groups") + " (" + listed(session.groups) + ")";
}

/// The words for one question; each condition has a function.
class Words {
 public:
  Words(const Policy& policy, Conditions& conditions, const AllowRule& rule, const Session& session,
        const ServiceName& service, const Verdict& verdict, Instant now)
      : policy_(policy),
        conditions_(conditions),
        rule_(rule),
        session_(session),
        service_(service),
        verdict_(verdict),
        now_(now),
        who_(printable(session.principal.name)),
        source_(printable(session.source.value)),
        address_(session.address.to_string()),
        place_(place_of(policy, rule.origin)) {}

  MissingText say() {
    switch (*verdict_.missing) {
      case Condition::who:
        return group();
      case Condition::users:
        return user();
      case Condition::claims:
        return claim();
      case Condition::acr:
        return acr();
      case Condition::from:
        return network();
      case Condition::mfa_max_age:
        return factor();
      case Condition::schedule:
        return schedule();
      case Condition::approval:
        return approval();
      case Condition::max_users_per_ip:
        return shared_address();
      case Condition::max_ips_per_user:
        return too_many_addresses();
      case Condition::time:
        return time();
    }
    return {};
  }

 private:
  MissingText group() const {
    std::vector<std::string> groups;
    for (const GroupName& name : rule_.who) groups.push_back(name.value);
    auto missing =
        fmt::format("{} is in none of the groups that may reach {} ({}; rule {}, {}): {} brings {}",
                    who_, service_.value, join(groups, ", "), rule_.name.value, place_, source_,
                    groups_text(session_));
    if (session_.proof == Proof::grant)
      return {missing, fmt::format("a grant with --group {}", groups.front())};
    const Group* group = policy_.group(rule_.who.front());
    return {missing, fmt::format("{} becomes a member of \"{}\" at the sign-in source", who_,
                                 group != nullptr ? printable(group->idp) : groups.front())};
  }

  MissingText user() const {
    UserRef mine{session_.principal.subject, session_.source};
    return {fmt::format("rule {} names people, and {} is none of them ({})", rule_.name.value,
                        to_text(mine), place_),
            fmt::format("rule {} names {} in `users`", rule_.name.value, to_text(mine))};
  }

  MissingText claim() const {
    const ClaimCondition& asked = *first_claim_missing(rule_, session_);
    auto name = printable(asked.claim);
    auto wanted = any_of_text(asked.any_of, [](const std::string& s) { return printable(s); });
    auto said = session_.claims.find(asked.claim);
    auto has = said == session_.claims.end() || said->second.empty()
                   ? fmt::format("{} said nothing of it", source_)
                   : fmt::format("{} said {}", source_, listed(said->second));
    return {fmt::format("rule {} asks for {}: {}, and {} ({})", rule_.name.value, name, wanted, has,
                        place_),
            session_.proof == Proof::grant
                ? fmt::format("{} signs in at a source that says {}: {}", who_, name,
                              printable(asked.any_of.front()))
                : fmt::format("the sign-in source says {}: {} of {}, who then signs in again", name,
                              printable(asked.any_of.front()), who_)};
  }

  MissingText acr() const {
    auto wanted = any_of_text(rule_.acr, [](const std::string& s) { return printable(s); });
    auto had = session_.acr.empty() ? source_ + " did not say how strong the sign-in was"
                                    : "the sign-in was " + printable(session_.acr);
    return {
        fmt::format("rule {} asks for acr {}, and {} ({})", rule_.name.value, wanted, had, place_),
        fmt::format("{} signs in with acr {}", who_, printable(rule_.acr.front()))};
  }

  MissingText network() const {
    SourceCondition inside{rule_.from.in, {}};
    if (comes_from(policy_, inside, session_.address))
      return {fmt::format("rule {} keeps out the network that {} is in ({})", rule_.name.value,
                          address_, place_),
              who_ + " signs in from another network"};
    return {fmt::format("rule {} asks for another network than {} ({})", rule_.name.value, address_,
                        place_),
            who_ + " signs in from a network the rule names"};
  }

  MissingText factor() const {
    auto had = session_.mfa_at ? fmt::format("the last one was shown at {}, {} before",
                                             to_string(*session_.mfa_at),
                                             for_people(session_.created - *session_.mfa_at))
                               : fmt::format("{} told of none", source_);
    return {fmt::format("rule {} asks for a second factor shown at most {} before the sign-in, and "
                        "{} ({})",
                        rule_.name.value, to_string(*rule_.mfa_max_age), had, place_),
            who_ + " signs in again with a second factor"};
  }

  MissingText schedule() const {
    std::vector<std::string> windows;
    for (const Window& window : rule_.schedule) windows.push_back(to_string(window));
    auto missing = fmt::format("rule {} opens {} only, and now it is {} ({})", rule_.name.value,
                               listed(windows), to_string(now_), place_);
    auto next = next_opening(rule_.schedule, policy_.zones, now_);
    if (!next) return {missing, "none: it does not open within a year"};
    return {missing, fmt::format("{} waits until {}", who_, to_string(*next))};
  }

  MissingText approval() const {
    const ApprovalCondition& asked = *rule_.approval;
    auto groups = any_of_text(asked.from, [](const GroupName& name) { return name.value; });
    unsigned yes = conditions_.approved(rule_, session_.principal).yes;
    unsigned left = asked.count - std::min(yes, asked.count);
    return {fmt::format("rule {} asks for the approval of {} of {}, and {} ({})", rule_.name.value,
                        counted(asked.count, "member", "members"), groups,
                        yes == 0   ? std::string("nobody's counts")
                        : yes == 1 ? std::string("one counts")
                                   : fmt::format("{} count", yes),
                        place_),
            fmt::format("{} of {} {} to {}{}", counted(left, "more member", "more members"), groups,
                        left == 1 ? "says yes" : "say yes", who_,
                        asked.reason_required ? ", who gives a reason" : "")};
  }

  MissingText shared_address() {
    unsigned most = *rule_.max_users_per_ip;
    auto where = widened(rule_, session_.address);
    auto people = conditions_.people_around(rule_, session_);
    return {
        fmt::format("{} are signed in at {}, and rule {} gives nothing to more than {} at one "
                    "address ({})",
                    counted(people, "person", "people"),
                    where.is_host() ? address_ : where.to_string(), rule_.name.value, most, place_),
        fmt::format("{} signs in from an address that fewer share", who_)};
  }

  MissingText too_many_addresses() {
    unsigned most = *rule_.max_ips_per_user;
    bool replace = policy_.behaviour.over_limit == OverLimit::replace;
    std::vector<std::string> counting;
    for (const Prefix& prefix : conditions_.places(rule_, session_)) {
      if (counting.size() == most) break;
      counting.push_back(prefix.is_host() ? prefix.network().to_string() : prefix.to_string());
    }
    auto missing = fmt::format("rule {} gives {} {} at a time, and {} came {} ({})",
                               rule_.name.value, who_, counted(most, "address", "addresses"),
                               listed(counting), replace ? "later" : "earlier", place_);
    if (replace) return {missing, fmt::format("{} signs in again from {}", who_, address_)};
    return {missing, fmt::format("{} signs out at {}", who_,
                                 counting.empty() ? "another address" : counting.back())};
  }

  MissingText time() const {
    switch (verdict_.bound) {
      case Bound::ttl:
        return {fmt::format("the time rule {} gives ({}) has passed since the sign-in at {}",
                            rule_.name.value, to_string(rule_.ttl), to_string(session_.created)),
                who_ + " signs in again"};
      case Bound::session:
        return {fmt::format("the session runs out at {}", to_string(session_.expires)),
                who_ + " signs in again"};
      case Bound::schedule:
        return {fmt::format("the schedule of rule {} closes at {} ({})", rule_.name.value,
                            to_string(verdict_.until), place_),
                who_ + " waits until it opens"};
      case Bound::approval:
        return {fmt::format("the approval that rule {} asks for runs out at {} ({})",
                            rule_.name.value, to_string(verdict_.until), place_),
                "it is approved again"};
    }
    return {};
  }

  const Policy& policy_;
  Conditions& conditions_;
  const AllowRule& rule_;
  const Session& session_;
  const ServiceName& service_;
  const Verdict& verdict_;
  Instant now_;
  std::string who_, source_, address_, place_;
};

}  // namespace

std::string place_of(const Policy& policy, const SourceRange& origin) {
  return printable(origin.to_string()) + "@" + printable(policy.revision.value.substr(0, 15));
}

std::string to_text(const UserRef& user) {
  return printable(user.subject) + "@" + printable(user.source.value);
}

MissingText missing_text(const Policy& policy, Conditions& conditions, const AllowRule& rule,
                         const Session& session, const ServiceName& service, const Verdict& verdict,
                         Instant now) {
  return Words(policy, conditions, rule, session, service, verdict, now).say();
}

}  // namespace knock
