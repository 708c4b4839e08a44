// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "server/core/questions.h"
#include "store/sqlite/sqlite_store.h"
#include "tests/support/requirement.h"

namespace knock {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Instant kNoon = Instant::from_seconds(1'800'000'000);
Instant after(std::int64_t minutes) { return kNoon + Duration::minutes(minutes); }

constexpr std::string_view kFirst = R"(knock: 1
groups:
  dba: {idp: dba}
  ops: {idp: operators}
services:
  ssh:  {ports: [tcp/22], targets: [edge]}
  wiki: {ports: [tcp/443], targets: [edge, lab]}
targets:
  edge: {type: nftables}
  lab:  {type: nftables, table: lab, protect: false}
allow:
  admins:
    who: [dba]
    # who watches
    to: [ssh]

    ttl: 8h
  readers: {who: [dba, ops], to: [wiki], ttl: 1h}
static:
  probe: {cidr: [198.51.100.17/32], to: [wiki], owner: sre, reason: "up, or not", until: 2030-01-01}
)";

/// What a repository knows: revisions with their files, and who wrote a line.
class History final : public PolicySource {
 public:
  std::map<PolicyRevision, std::string> revisions;
  std::map<std::uint32_t, LineOrigin> lines;
  bool tells_lines = true;
  mutable std::vector<std::uint32_t> asked;

  Result<PolicyRevision> poll(Deadline) override { return revisions.rbegin()->first; }
  Result<PolicySnapshot> read(const PolicyRevision& revision) override {
    auto at = revisions.find(revision);
    if (at == revisions.end()) return fail(ErrorKind::not_found, "no such commit");
    return PolicySnapshot{revision, "", "", {}, {{"policy.yaml", at->second, ""}}};
  }
  Result<LineOrigin> last_change(const PolicyRevision& revision, const std::string& path,
                                 std::uint32_t line, Deadline deadline) override {
    if (!tells_lines) return PolicySource::last_change(revision, path, line, deadline);
    asked.push_back(line);
    auto at = lines.find(line);
    if (at != lines.end()) return at->second;
    return LineOrigin{PolicyRevision("c-old"), "Zoe", "zoe@example.org", "begin", after(-9000)};
  }
  std::string describe() const override { return "a test's history"; }
};

class Borrowed final : public PolicySource {
 public:
  explicit Borrowed(History& real) : real_(real) {}
  Result<PolicyRevision> poll(Deadline d) override { return real_.poll(d); }
  Result<PolicySnapshot> read(const PolicyRevision& r) override { return real_.read(r); }
  Result<LineOrigin> last_change(const PolicyRevision& r, const std::string& p, std::uint32_t l,
                                 Deadline d) override {
    return real_.last_change(r, p, l, d);
  }
  std::string describe() const override { return real_.describe(); }

 private:
  History& real_;
};

class QuestionsTest : public testing::Test {
 protected:
  QuestionsTest() {
    config_.owner = OwnerId{0xfeed};
    store_ = open_sqlite(folder_.path() + "/knock.db", SqliteMode::create_or_open, random_).value();
    history_.revisions[PolicyRevision("p1")] = kFirst;
    adopt(after(-60), "p1");
  }

  void write(Instant at, std::vector<Fact> facts) {
    auto written = store_->append("core", at, facts);
    ASSERT_TRUE(written) << written.error().text();
  }
  void adopt(Instant at, const std::string& revision) {
    write(at, {PolicyAdopted{PolicyRevision(revision), {}, "ana <ana@example.org>", "doors", ""}});
    auto load = load_policy({{"policy.yaml", history_.revisions[PolicyRevision(revision)], ""}},
                            PolicyRevision(revision), {});
    ASSERT_TRUE(load.policy) << to_text(load.diagnostics);
    policy_ = std::make_shared<const Policy>(std::move(*load.policy));
  }
  Session sign_in(const std::string& id, const std::string& user, const std::string& address,
                  Instant at, std::vector<std::string> groups) {
    Session session;
    session.id = SessionId(id);
    session.principal = {"https://idp.example", user, user};
    session.source = SignInName("corp");
    session.proof = Proof::oidc;
    session.groups = std::move(groups);
    session.address = *IpAddress::parse(address);
    session.created = session.authenticated = at;
    session.expires = at + Duration::hours(12);
    write(at, {SessionOpened{session}});
    return session;
  }
  static Change change(Action action, Reason reason, const Session& session,
                       const std::string& service, const std::string& rule, Instant until) {
    Change out;
    out.action = action;
    out.reason = reason;
    out.slot = service;
    out.prefix = Prefix::host(session.address);
    out.until = until;
    out.entry = entry_id(TargetName("edge"), out.prefix, service);
    out.causes = {{Attribution::Kind::session, session.id, session.principal.name,
                   ServiceName(service), RuleName(rule), until}};
    return out;
  }
  void apply(Instant at, Change change, const std::string& revision = "p1") {
    write(at, {ChangeApplied{1, TargetName("edge"), PolicyRevision(revision), std::move(change)}});
  }

  Questions ask(Instant now) {
    auto live = store_->live_sessions(now);
    return Questions({*store_, config_, now, policy_, *live, nullptr,
                      [this]() -> Result<std::unique_ptr<PolicySource>> {
                        if (!history_there_) return fail(ErrorKind::unavailable, "no repository");
                        return std::make_unique<Borrowed>(history_);
                      }});
  }
  static std::vector<std::string> kinds(const Why& row) {
    std::vector<std::string> out;
    for (const auto& link : row.explanation.chain) out.emplace_back(to_string(link.kind));
    return out;
  }
  std::string mark(const std::string& address, const std::string& service, Instant until) {
    return to_string(Marker{config_.owner, until,
                            entry_id(TargetName("edge"), *Prefix::parse(address), service)});
  }

  test::TemporaryFolder folder_;
  SystemRandom random_;
  Config config_;
  std::unique_ptr<FactStore> store_;
  History history_;
  bool history_there_ = true;
  std::shared_ptr<const Policy> policy_;
};

// ---- why ----

TEST_F(QuestionsTest, TheChainGoesFromTheEntryToTheAuthorOfTheRulesLines) {
  auto bob = sign_in("s-1", "bob", "203.0.113.7", after(0), {"dba"});
  apply(after(1), change(Action::add, Reason::sign_in, bob, "ssh", "admins", after(480)));
  history_.lines[17] = {PolicyRevision("c-new"), "Eve", "eve@example.org", "longer", after(-300)};
  auto questions = ask(after(10));
  auto answer = questions.why("bob", "ssh");
  ASSERT_TRUE(answer) << answer.error().text();
  ASSERT_EQ(answer->answers.size(), 1u);
  EXPECT_TRUE(answer->allowed());
  const Why& row = answer->answers[0];
  ASSERT_EQ(row.entries.size(), 1u);
  EXPECT_EQ(row.entries[0].entry.target, TargetName("edge"));
  EXPECT_THAT(kinds(row), ElementsAre("session", "group", "rule", "end"));
  EXPECT_THAT(row.explanation.chain[2].sentence, HasSubstr("policy.yaml:12:3@p1"));
  ASSERT_TRUE(row.author);
  EXPECT_EQ(row.author->known, RuleAuthor::Known::lines);
  EXPECT_EQ(row.author->author, "Eve <eve@example.org>");
  EXPECT_EQ(row.author->commit, PolicyRevision("c-new"));
  EXPECT_EQ(history_.asked.front(), 12u);
  EXPECT_EQ(history_.asked.back(), 17u) << "all lines of the rule and none of the next";
}

TEST_F(QuestionsTest, WithoutAHistoryTheCommitsAuthorIsNamedAsSuch) {
  history_.tells_lines = false;
  sign_in("s-1", "bob", "203.0.113.7", after(0), {"dba"});
  auto questions = ask(after(10));
  auto answer = questions.why("bob", "ssh");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->answers.at(0).author->known, RuleAuthor::Known::commit);
  EXPECT_EQ(answer->answers[0].author->author, "ana <ana@example.org>");
  EXPECT_THAT(answer->answers[0].author->problem, HasSubstr("no history"));
}

TEST_F(QuestionsTest, WhatIsMissingNamesTheNearestRuleAndItsAuthor) {
  sign_in("s-1", "eve", "203.0.113.7", after(0), {"operators"});
  auto questions = ask(after(10));
  auto answer = questions.why("eve", "ssh");
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->allowed());
  const Explanation& said = answer->answers.at(0).explanation;
  EXPECT_THAT(said.missing, HasSubstr("none of the groups"));
  EXPECT_EQ(said.nearest, RuleName("admins"));
  EXPECT_TRUE(answer->answers[0].author);
  EXPECT_EQ(ask(after(10)).why("eve", "wiki")->allowed(), true);
}

TEST_F(QuestionsTest, ATargetStandsForItsServices) {
  sign_in("s-1", "eve", "203.0.113.7", after(0), {"operators"});
  auto answer = ask(after(10)).why("203.0.113.7", "edge");
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->answers.size(), 2u);
  EXPECT_EQ(answer->answers[0].explanation.service, ServiceName("ssh"));
  auto wrong = ask(after(10)).why("eve", "shh");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("did you mean ssh?"));
}

TEST_F(QuestionsTest, WhoeverIsNotSignedInMissesASignIn) {
  auto nobody = ask(after(10)).why("mallory", "ssh");
  ASSERT_TRUE(nobody);
  EXPECT_FALSE(nobody->allowed());
  EXPECT_THAT(nobody->missing, HasSubstr("the first missing condition is a sign-in"));
  Account dora{"dora", "Dora", Secret("x"), {"dba"}, false};
  ASSERT_TRUE(store_->save_account("test", after(0), dora, "add"));
  EXPECT_EQ(ask(after(10)).why("dora", "ssh")->smallest_change,
            "Dora signs in; then rule admins decides (policy.yaml:12:3@p1)");
  dora.groups = {"cooks"};
  ASSERT_TRUE(store_->save_account("test", after(0), dora, "groups"));
  EXPECT_EQ(ask(after(10)).why("dora", "ssh")->smallest_change,
            "Dora signs in, and is a member of a group that may reach ssh");
  auto address = ask(after(10)).why("192.0.2.1", "ssh");
  EXPECT_EQ(address->missing, "nobody is signed in from 192.0.2.1, and no static entry covers it");
}

TEST_F(QuestionsTest, AnAddressMayBeLetInByAStaticEntryOrByKeep) {
  auto answer = ask(after(10)).why("198.51.100.17", "wiki");
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->answers.size(), 1u);
  EXPECT_FALSE(answer->answers[0].session);
  EXPECT_TRUE(answer->allowed());
  EXPECT_THAT(answer->answers[0].explanation.chain[0].sentence, HasSubstr("up, or not"));
  EXPECT_TRUE(answer->answers[0].author);
  config_.keep = {{*Prefix::parse("192.0.2.0/28"), "noc", "on call", {}}};
  auto kept = ask(after(10)).why("192.0.2.1", "ssh");
  EXPECT_FALSE(kept->allowed()) << "policy gives it nothing";
  ASSERT_EQ(kept->notes.size(), 1u);
  EXPECT_THAT(kept->notes[0], HasSubstr("noc: on call"));
}

TEST_F(QuestionsTest, ThePastIsAnsweredWithThePolicyAndTheSessionsOfThen) {
  auto bob = sign_in("s-1", "bob", "203.0.113.7", after(0), {"dba"});
  apply(after(1), change(Action::add, Reason::sign_in, bob, "ssh", "admins", after(480)));
  write(after(20), {SessionEnded{bob.id, {after(20), EndCause::signed_out}, ""}});
  apply(after(20), change(Action::remove, Reason::sign_out, bob, "ssh", "admins", after(480)));
  auto later = std::string(kFirst);
  later.replace(later.find("to: [ssh]"), 9, "to: [wiki]");
  later.replace(later.find("readers: {who: [dba, ops], to: [wiki]"), 37,
                "readers: {who: [ops], to: [ssh, wiki]");
  history_.revisions[PolicyRevision("p2")] = later;
  adopt(after(30), "p2");

  auto now = ask(after(60)).why("bob", "ssh");
  ASSERT_TRUE(now);
  EXPECT_FALSE(now->allowed());
  EXPECT_THAT(now->answers.at(0).explanation.missing, HasSubstr("the session ended"));
  auto then = ask(after(60)).why("bob", "ssh", after(10));
  ASSERT_TRUE(then) << then.error().text();
  EXPECT_TRUE(then->allowed());
  EXPECT_EQ(then->answers.at(0).policy, PolicyRevision("p1"));
  EXPECT_EQ(then->answers[0].entries.size(), 1u);
  EXPECT_FALSE(ask(after(60)).why("bob", "ssh", after(25))->allowed()) << "signed out by then";
  EXPECT_FALSE(ask(after(60)).why("bob", "ssh", after(-1))->allowed()) << "not signed in yet";
}

TEST_F(QuestionsTest, WithoutThePolicyOfThenTheLogAloneSpeaks) {
  auto bob = sign_in("s-1", "bob", "203.0.113.7", after(0), {"dba"});
  apply(after(1), change(Action::add, Reason::sign_in, bob, "ssh", "admins", after(480)));
  history_.revisions[PolicyRevision("p2")] = kFirst;
  adopt(after(30), "p2");
  history_there_ = false;
  auto then = ask(after(60)).why("bob", "ssh", after(10));
  ASSERT_TRUE(then) << then.error().text();
  EXPECT_TRUE(then->allowed());
  EXPECT_EQ(then->answers.at(0).explanation.rule, RuleName("admins"));
  EXPECT_THAT(then->notes.at(0), HasSubstr("policy p1 was in force then and is not at hand"));
  auto wiki = ask(after(60)).why("bob", "wiki", after(10));
  EXPECT_FALSE(wiki->allowed());
}

TEST_F(QuestionsTest, BeforeTheLogAndInTheFutureNothingIsSaid) {
  auto before = ask(after(60)).why("bob", "ssh", after(-61));
  ASSERT_FALSE(before);
  EXPECT_THAT(before.error().message, HasSubstr("the log begins at"));
  auto ahead = ask(after(60)).why("bob", "ssh", after(61));
  ASSERT_FALSE(ahead);
  EXPECT_THAT(ahead.error().message, HasSubstr("has not come yet"));
}

// ---- marks ----

TEST_F(QuestionsTest, AMarkLeadsBackToPersonRuleAndAuthor) {
  auto bob = sign_in("s-1", "bob", "203.0.113.7", after(0), {"dba"});
  apply(after(1), change(Action::add, Reason::sign_in, bob, "ssh", "admins", after(480)));
  auto text = mark("203.0.113.7", "ssh", after(480));
  for (const auto& written : {text, "\"" + text + "\"", "comment \"" + text + "\"", " " + text}) {
    EXPECT_TRUE(Questions::is_mark(written));
    auto answer = ask(after(10)).mark(written);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->kind, MarkAnswer::Kind::stands) << written;
    EXPECT_THAT(answer->sentence, HasSubstr("edge holds 203.0.113.7/32 in ssh"));
    ASSERT_EQ(answer->causes.size(), 1u);
    EXPECT_EQ(answer->causes[0].session->principal.subject, "bob");
    EXPECT_EQ(answer->causes[0].origin.line, 12u);
    EXPECT_EQ(answer->causes[0].author->author, "Zoe <zoe@example.org>");
  }
  auto older = ask(after(10)).mark(mark("203.0.113.7", "ssh", after(240)));
  EXPECT_THAT(older->sentence, HasSubstr("(the mark says until"));
}

TEST_F(QuestionsTest, AnEntryThatIsGoneIsKnownFromTheLog) {
  auto bob = sign_in("s-1", "bob", "203.0.113.7", after(0), {"dba"});
  apply(after(1), change(Action::add, Reason::sign_in, bob, "ssh", "admins", after(30)));
  apply(after(5), change(Action::remove, Reason::revoked, bob, "ssh", "admins", after(30)));
  apply(after(6), change(Action::add, Reason::sign_in, bob, "ssh", "admins", after(30)));
  history_there_ = false;
  auto running = ask(after(10)).mark(mark("203.0.113.7", "ssh", after(30)));
  EXPECT_EQ(running->kind, MarkAnswer::Kind::stands);
  EXPECT_EQ(running->times.size(), 2u);
  auto over = ask(after(31)).mark(mark("203.0.113.7", "ssh", after(30)));
  EXPECT_EQ(over->kind, MarkAnswer::Kind::gone);
  EXPECT_THAT(over->sentence, HasSubstr("then it ran out"));
  EXPECT_EQ(over->times[0].reason, Reason::revoked);
  EXPECT_EQ(over->causes.at(0).session->id, bob.id);
}

TEST_F(QuestionsTest, WhatIsNotOursIsSaidPlainly) {
  auto good = mark("203.0.113.7", "ssh", after(30));
  EXPECT_EQ(ask(after(1)).mark(good)->kind, MarkAnswer::Kind::orphan);
  EXPECT_THAT(ask(after(1)).mark(good)->sentence, HasSubstr("the log knows of no entry"));
  auto foreign = to_string(Marker{OwnerId{0xbad}, after(30), EntryId{1}});
  auto answer = ask(after(1)).mark(foreign);
  EXPECT_EQ(answer->kind, MarkAnswer::Kind::foreign);
  EXPECT_THAT(answer->sentence, HasSubstr("another installation, owner 0000000000000bad; this one "
                                          "is 000000000000feed"));
  struct Row {
    std::string text;
    const char* says;
  };
  for (const Row& row :
       {Row{"knock:2:anything", "a version that knock"},
        Row{good.substr(0, 51), "is 51 characters"}, Row{"knock:1:", "is damaged"}}) {
    EXPECT_TRUE(Questions::is_mark(row.text));
    auto unknown = ask(after(1)).mark(row.text);
    EXPECT_EQ(unknown->kind, MarkAnswer::Kind::unknown);
    EXPECT_THAT(unknown->sentence, HasSubstr(row.says));
  }
  for (const char* person : {"ana", "knock", "203.0.113.7", "knock:ana"})
    EXPECT_FALSE(Questions::is_mark(person)) << person;
}

// ---- who ----

TEST_F(QuestionsTest, IntendedAndAppliedAreTwoThings) {
  auto bob = sign_in("s-1", "bob", "203.0.113.7", after(0), {"dba"});
  auto eve = sign_in("s-2", "eve", "203.0.113.8", after(0), {"operators"});
  apply(after(1), change(Action::add, Reason::sign_in, bob, "ssh", "admins", after(480)));
  auto cyd = sign_in("s-3", "cyd", "203.0.113.9", after(2), {"dba"});
  apply(after(3), change(Action::add, Reason::sign_in, eve, "ssh", "admins", after(480)));
  write(after(4),
        {ChangeIntended{9, TargetName("edge"), PolicyRevision("p1"),
                        change(Action::add, Reason::sign_in, cyd, "ssh", "admins", after(480))}});
  auto answer = ask(after(10)).who(ServiceName("ssh"));
  ASSERT_TRUE(answer) << answer.error().text();
  ASSERT_EQ(answer->rows.size(), 3u);
  const WhoRow &first = answer->rows[0], &second = answer->rows[1], &third = answer->rows[2];
  EXPECT_EQ(first.cause.who, "bob");
  EXPECT_EQ(first.key, "bob@https://idp.example");
  EXPECT_EQ(first.intended, true);
  EXPECT_EQ(first.applied, true);
  EXPECT_EQ(first.origin.line, 12u);
  EXPECT_EQ(second.cause.who, "cyd");
  EXPECT_EQ(second.intended, true);
  EXPECT_EQ(second.applied, std::nullopt) << "sent, and not answered";
  EXPECT_EQ(third.cause.who, "eve");
  EXPECT_EQ(third.intended, false) << "stands, and should not";
  EXPECT_EQ(third.applied, true);
  EXPECT_THAT(answer->notes, testing::Contains(HasSubstr("seen: this version")));
}

TEST_F(QuestionsTest, AnAuditorsRangeNamesEveryStretchAndHowItEnded) {
  auto bob = sign_in("s-1", "bob", "203.0.113.7", after(0), {"dba"});
  apply(after(1), change(Action::add, Reason::sign_in, bob, "ssh", "admins", after(480)));
  apply(after(20), change(Action::remove, Reason::sign_out, bob, "ssh", "admins", after(480)));
  auto questions = ask(after(60));
  auto range = questions.who_between(ServiceName("ssh"), after(19), after(40));
  ASSERT_TRUE(range);
  ASSERT_EQ(range->rows.size(), 1u);
  EXPECT_EQ(range->rows[0].from, after(1));
  EXPECT_EQ(range->rows[0].till, after(20));
  EXPECT_EQ(range->rows[0].reason, Reason::sign_out);
  EXPECT_EQ(range->rows[0].policy, PolicyRevision("p1"));
  EXPECT_TRUE(range->complete);
  EXPECT_THAT(questions.who_between(ServiceName("ssh"), after(20), after(40))->rows, IsEmpty());
  auto early = questions.who_between(ServiceName("ssh"), after(-600), after(40));
  EXPECT_FALSE(early->complete);
  EXPECT_THAT(early->notes, testing::Contains(HasSubstr("the log begins at")));
  EXPECT_FALSE(questions.who_between(ServiceName("ssh"), after(40), after(40)));
}

TEST_F(QuestionsTest, WhoAtATimeUsesThePolicyOfThenAndSaysWhenItCannot) {
  auto bob = sign_in("s-1", "bob", "203.0.113.7", after(0), {"dba"});
  apply(after(1), change(Action::add, Reason::sign_in, bob, "ssh", "admins", after(480)));
  history_.revisions[PolicyRevision("p2")] = kFirst;
  adopt(after(30), "p2");
  auto then = ask(after(60)).who(ServiceName("ssh"), after(10));
  ASSERT_TRUE(then);
  EXPECT_EQ(then->rows.at(0).intended, true);
  EXPECT_EQ(then->policy->revision, PolicyRevision("p1"));
  history_there_ = false;
  auto blind = ask(after(60)).who(ServiceName("ssh"), after(10));
  EXPECT_EQ(blind->rows.at(0).intended, std::nullopt);
  EXPECT_EQ(blind->rows[0].applied, true);
  EXPECT_THAT(blind->notes, testing::Contains(HasSubstr("intended is not known: policy p1")));
}

TEST_F(QuestionsTest, WhoeverNeedsNoEntryIsNamedToo) {
  config_.keep = {{*Prefix::parse("192.0.2.0/28"), "noc", "on call", {}}};
  auto answer = ask(after(10)).who(ServiceName("wiki"));
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->notes, testing::Contains(HasSubstr("192.0.2.0/28 (noc: on call)")));
  EXPECT_THAT(answer->notes, testing::Contains(HasSubstr("lab does not close its ports")));
  auto wrong = ask(after(10)).who(ServiceName("wikki"));
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("did you mean wiki?"));
}

TEST(LinesOf, AnElementEndsWhereTheIndentationDoes) {
  struct Row {
    const char* text;
    std::uint32_t line, last;
  };
  for (auto [text, line, last] :
       {Row{"a:\n  b: 1\n  c: 2\nd: 3\n", 1, 3}, Row{"a:\n  b: 1\n  c: 2\nd: 3\n", 2, 2},
        Row{"  b: {x,\n    y}\n\n# end\n  c: 1\n", 1, 2}, Row{"a:\n\n  # why\n  b: 1\n", 1, 4},
        Row{"a: 1", 1, 1}, Row{"a: 1", 9, 9}, Row{"", 1, 1}}) {
    auto lines = lines_of(text, line);
    EXPECT_EQ(lines.first, line) << text;
    EXPECT_EQ(lines.last, last) << text;
  }
}

}  // namespace
}  // namespace knock
