// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/people.h"

#include <fmt/format.h>

#include "tests/unit/core/samples.h"

namespace knock::test {
namespace {

const std::string& kPolicy = kStaffMayReachSsh;

std::vector<PersonChange> people_changes(const Policy* in_force, const Policy& planned,
                                         std::span<const Session> sessions,
                                         std::span<const Account> accounts) {
  return compare_people({in_force, planned, sessions, accounts, kNow}).people;
}

std::string people_of(const std::vector<PersonChange>& people) {
  std::string out;
  for (const PersonChange& person : people) {
    out += fmt::format("{} {} {} {} line {}", person.gains ? "gains" : "loses", person.who,
                       person.service.value, person.rule.value, person.origin.line);
    if (person.live_until) out += fmt::format(" +{}", (*person.live_until - kNow).ms / 1000);
    out += "\n";
  }
  return out;
}

/// directory + seen + named.
std::string figures_of(const PeopleChanges& changes) {
  std::string out;
  for (const PeopleFigure& figure : changes.figures) {
    out += fmt::format("{} {} {} {}+{}+{} cut {}", figure.gains ? "gains" : "loses",
                       figure.service.value, figure.rule.value, figure.directory, figure.seen,
                       figure.named, figure.sessions);
    for (const GroupName& name : figure.unlisted) out += " unlisted " + name.value;
    if (figure.oldest && *figure.oldest < kNow - Duration::hours(1))
      out += fmt::format(" oldest -{}h", (kNow - *figure.oldest).ms / 3'600'000);
    out += "\n";
  }
  return out;
}

std::string with(std::string_view from, std::string_view to) {
  auto at = kPolicy.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return std::string(kPolicy).replace(at, from.size(), to);
}

Account account(std::string user, std::vector<std::string> groups, bool disabled = false) {
  Account out;
  out.user = user;
  out.groups = std::move(groups);
  out.disabled = disabled;
  return out;
}

TEST(People, WhoGainsAndWhoLoses) {
  Policy before = policy_of(kPolicy);
  Policy after =
      policy_of(std::string(kPolicy).replace(kPolicy.find("who: [staff]"), 12, "who: [admins]"));
  std::vector<Session> sessions{
      SessionOf{}, SessionOf{.who = "bob", .from = "192.0.2.11", .groups = {"admins"}},
      SessionOf{.who = "eve", .from = "192.0.2.12", .ended = EndCause::signed_out}};
  std::vector<Account> accounts{account("fay", {"admins"}), account("gil", {"staff"}),
                                account("hal", {"admins"}, true)};
  EXPECT_EQ(people_of(people_changes(&before, after, sessions, accounts)),
            "loses ana ssh staff line 9 +3000\nloses gil ssh staff line 9\n"
            "gains bob ssh staff line 9\ngains fay ssh staff line 9\n");
  EXPECT_EQ(people_of(people_changes(&before, before, sessions, accounts)), "");
  EXPECT_EQ(people_of(people_changes(nullptr, after, sessions, accounts)), "");
}

TEST(People, OfSeveralSessionsTheLongestCounts) {
  Policy before = policy_of(kPolicy);
  Policy after =
      policy_of(std::string(kPolicy).replace(kPolicy.find("who: [staff]"), 12, "who: [admins]"));
  std::vector<Session> sessions{SessionOf{},
                                SessionOf{.from = "192.0.2.11", .age = Duration::minutes(1)}};
  for (int turn = 0; turn < 2; ++turn) {
    EXPECT_EQ(people_of(people_changes(&before, after, sessions, {})),
              "loses ana ssh staff line 9 +3540\n");
    std::swap(sessions[0], sessions[1]);
  }
}

TEST(People, AnAccountIsJudgedByItsGroupsAlone) {
  auto with_more = [](std::string more) { return policy_of(kPolicy + more); };
  Policy none = with_more("deny: {all: {who: [staff], to: [ssh]}}\n");
  Policy open = with_more("");
  std::vector<Account> accounts{account("gil", {"staff"})};
  EXPECT_EQ(people_of(people_changes(&none, open, {}, accounts)), "gains gil ssh staff line 9\n");
  EXPECT_EQ(people_of(people_changes(&open, none, {}, accounts)), "loses gil ssh staff line 9\n");
  Policy somewhere = with_more("deny: {some: {who: [staff], from: {in: [blocked]}, to: [ssh]}}\n");
  EXPECT_EQ(people_of(people_changes(&open, somewhere, {}, accounts)), "")
      << "from elsewhere it still may";
}

TEST(People, ASignedInAccountIsCountedOnce) {
  Policy before = policy_of(kPolicy);
  Policy after =
      policy_of(std::string(kPolicy).replace(kPolicy.find("who: [staff]"), 12, "who: [admins]"));
  Session session = SessionOf{.who = "gil", .source = "local", .proof = Proof::local};
  session.principal = {"local", "gil", "gil"};
  std::vector<Account> accounts{account("gil", {"staff"})};
  EXPECT_EQ(people_of(people_changes(&before, after, std::vector{session}, accounts)),
            "loses gil ssh staff line 9 +3000\n");
}

TEST(People, TwoOfOneNameAreTwo) {
  Policy before = policy_of(kPolicy), after = policy_of(with("who: [staff]", "who: [admins]"));
  Session one = SessionOf{.groups = {"admins"}},
          two = SessionOf{.from = "192.0.2.11", .groups = {"admins"}};
  two.principal.subject = "another";
  auto out = compare_people({&before, after, std::vector{one, two}, {}, kNow});
  EXPECT_EQ(out.people.size(), 2u);
  EXPECT_TRUE(figures_of(out).starts_with("gains ssh staff 0+2+0 cut 0 unlisted admins\n"));
}

TEST(People, EachFigureSaysHowItIsKnown) {
  Policy before = policy_of(kPolicy);
  Policy after =
      policy_of(with("to: [ssh], ttl: 1h}",
                     "to: [ssh], ttl: 1h}\n"
                     "  named: {users: [kim@corp, lee@corp, gone@local], to: [ssh], ttl: 1h}\n"
                     "  more: {who: [admins], to: [ssh], ttl: 1h}"));
  auto earlier = [](std::string who, Duration age, Proof proof = Proof::oidc) {
    return Session(SessionOf{.who = std::move(who),
                             .groups = {"admins"},
                             .age = age,
                             .left = Duration{0} - Duration::hours(1),
                             .proof = proof});
  };
  std::vector<Session> seen{
      earlier("kim", Duration::hours(50)), earlier("old", Duration::hours(24 * 31)),
      earlier("new", Duration::hours(24 * 29)), earlier("new", Duration::hours(30)),
      earlier("granted", Duration::hours(2), Proof::grant)};
  std::vector<Account> accounts{account("fay", {"admins"})};
  auto out = compare_people({&before, after, {}, accounts, kNow, {}, seen});
  EXPECT_EQ(people_of(out.people),
            "gains fay ssh more line 11\ngains kim ssh more line 11\ngains lee ssh named line 10\n"
            "gains new ssh more line 11\n");
  EXPECT_EQ(
      figures_of(out),
      "gains ssh more 1+2+0 cut 0 unlisted admins oldest -50h\ngains ssh named 0+0+1 cut 0\n");
  EXPECT_EQ(out.people[1].seen, kNow - Duration::hours(50));
  EXPECT_EQ(out.people[3].seen, kNow - Duration::hours(30)) << "the newest sign-in";
  EXPECT_EQ(out.people[2].key, "lee@corp");
}

/// A group is listed when only the local accounts can be in it.
TEST(People, FiguresAreCompleteWhereADirectoryTells) {
  auto complete = [](std::string from, std::vector<SignInName> sources) {
    auto group = "staff: {idp: staff" + from + "}";
    Policy before =
        policy_of(with("staff: {idp: staff}", group) + "deny: {all: {who: [staff], to: [ssh]}}\n");
    Policy after = policy_of(with("staff: {idp: staff}", group));
    std::vector<Account> accounts{account("gil", {"staff"})};
    auto out = compare_people({&before, after, {}, accounts, kNow, {}, {}, sources});
    EXPECT_EQ(out.figures.size(), 1u);
    return !out.figures.empty() && out.figures[0].complete();
  };
  SignInName local("local"), corp("corp");
  EXPECT_TRUE(complete(", from: [local]", {}));
  EXPECT_FALSE(complete(", from: [corp, local]", {}));
  EXPECT_FALSE(complete("", {})) << "which sources there are is not known";
  EXPECT_TRUE(complete("", {local}));
  EXPECT_FALSE(complete("", {corp, local}));
}

TEST(People, StrangersGainAndLoseWithTheirGroup) {
  auto figures = [](const Policy& before, const Policy& after) {
    return figures_of(compare_people({&before, after, {}, {}, kNow}));
  };
  Policy plain = policy_of(kPolicy);
  Policy wide = policy_of(with("who: [staff]", "who: [admins, staff]"));
  EXPECT_EQ(figures(plain, wide), "gains ssh staff 0+0+0 cut 0 unlisted admins\n");
  EXPECT_EQ(figures(wide, plain), "loses ssh staff 0+0+0 cut 0 unlisted admins\n");
  EXPECT_EQ(figures(plain, policy_of(with("ttl: 1h", "ttl: 2h"))), "") << "nobody gains time alone";
  EXPECT_EQ(figures(plain, policy_of(with("  staff: {who", "  renamed: {who"))), "");
  EXPECT_EQ(
      figures(plain, policy_of(with("staff: {idp: staff}", "staff: {idp: other}"))),
      "gains ssh staff 0+0+0 cut 0 unlisted staff\nloses ssh staff 0+0+0 cut 0 unlisted staff\n");
  EXPECT_EQ(figures(plain, policy_of(with("who: [staff],", "who: [staff], acr: [gold],"))),
            "loses ssh staff 0+0+0 cut 0 unlisted staff\n");
  EXPECT_EQ(figures(plain, policy_of(with("who: [staff],", "who: [staff], claims: {dep: [a]},"))),
            "loses ssh staff 0+0+0 cut 0 unlisted staff\n");
  EXPECT_EQ(figures(policy_of(with("who: [staff],", "who: [staff], claims: {dep: [a]},")),
                    policy_of(with("who: [staff],", "who: [staff], claims: {dep: [a, b]},"))),
            "gains ssh staff 0+0+0 cut 0 unlisted staff\n");
  Policy denied = policy_of(kPolicy + "deny: {all: {who: [staff], to: [ssh]}}\n");
  EXPECT_EQ(figures(plain, denied), "loses ssh staff 0+0+0 cut 0 unlisted staff\n");
  EXPECT_EQ(figures(denied, plain), "gains ssh staff 0+0+0 cut 0 unlisted staff\n");
}

TEST(People, CutsAreLiveSessionsAndSayWhy) {
  Policy before = policy_of(kPolicy);
  std::vector<Session> sessions{
      SessionOf{}, SessionOf{.who = "bob", .from = "203.0.113.1"},
      SessionOf{.who = "eve", .from = "192.0.2.12", .ended = EndCause::signed_out}};
  auto cuts = [&](const Policy& after) {
    std::string out;
    auto compared = compare_people({&before, after, sessions, {}, kNow});
    for (const SessionCut& cut : compared.cuts)
      out += fmt::format("{} {} {} {} +{} {}\n", cut.session.value, cut.service.value,
                         cut.rule.value, cut.denied_by.value, (cut.until - kNow).ms / 60'000,
                         cut.address->to_string());
    std::size_t counted = 0;
    for (const PeopleFigure& figure : compared.figures) counted += figure.sessions;
    EXPECT_EQ(counted, compared.cuts.size());
    return out;
  };
  EXPECT_EQ(
      cuts(policy_of(with("who: [staff]", "who: [admins]"))),
      "s-ana-192.0.2.10 ssh staff  +50 192.0.2.10\ns-bob-203.0.113.1 ssh staff  +50 203.0.113.1\n");
  EXPECT_EQ(cuts(policy_of(kPolicy + "deny: {out: {from: {in: [blocked]}, to: [ssh]}}\n")),
            "s-ana-192.0.2.10 ssh staff out +50 192.0.2.10\n");
  EXPECT_EQ(
      cuts(policy_of(with("ttl: 1h", "ttl: 5m"))),
      "s-ana-192.0.2.10 ssh staff  +50 192.0.2.10\ns-bob-203.0.113.1 ssh staff  +50 203.0.113.1\n");
}

/// Who is signed in too long ago for a rule gains it at the next sign-in all the same.
TEST(People, WhoIsSignedInGainsWhatTheNextSignInGives) {
  Policy before = policy_of(kPolicy);
  Policy after = policy_of(with("to: [ssh], ttl: 1h}",
                                "to: [ssh], ttl: 1h}\n"
                                "  more: {who: [admins], to: [ssh], ttl: 5m}"));
  Session session = SessionOf{.groups = {"admins"}, .age = Duration::hours(2)};
  EXPECT_EQ(people_of(compare_people({&before, after, std::vector{session}, {}, kNow}).people),
            "gains ana ssh more line 10\n");
}

}  // namespace
}  // namespace knock::test
