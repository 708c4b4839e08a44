// SPDX-License-Identifier: Apache-2.0
// A saved plan is held against the world, one difference at a time: each fact that no session moves
// has its own refusal, and what sessions do has none.
#include "reconciler/core/saved_plan_check.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "base/text.h"
#include "reconciler/core/plan.h"
#include "schemas/policy/load.h"
#include "tests/support/source_ids.h"

namespace knock {
namespace {

const Instant kThen = Instant::from_seconds(1'800'000'000);
const Instant kNow = kThen + Duration::minutes(10);
const TargetName kEdge("edge");

/// `staff` may reach `to`.
Policy policy_of(const char* revision, const std::string& to) {
  auto text = R"(knock: 1
groups: {staff: {idp: staff}}
services: {web: {ports: [tcp/443], targets: [edge]}, db: {ports: [tcp/5432], targets: [edge]}}
targets: {edge: {type: nftables}}
allow: {staff: {who: [staff], to: [)" +
              to + R"(], ttl: 8h}}
)";
  auto load = load_policy({{"policy.yaml", text, ""}}, PolicyRevision(revision), {});
  EXPECT_TRUE(load.policy) << to_text(load.diagnostics);
  return *load.policy;
}

Session session(const char* id, const char* name, const char* address, Instant created) {
  Session out;
  out.id = SessionId(id);
  out.principal = {"https://idp.example", name, name};
  out.source = SignInName("corp");
  out.proof = Proof::oidc;
  out.groups = {"staff"};
  out.address = *IpAddress::parse(address);
  out.created = out.authenticated = created;
  out.expires = (created + Duration::hours(4)).floor_to_second();
  return out;
}

Change entry(Action action, const char* service, const Session& who,
             Reason reason = Reason::policy) {
  Change out;
  out.action = action;
  out.reason = reason;
  out.slot = service;
  out.ports = {*PortRange::parse(service == std::string("web") ? "tcp/443" : "tcp/5432")};
  out.prefix = Prefix::host(who.address);
  if (action != Action::remove) out.until = who.expires;
  out.causes = {{Attribution::Kind::session, who.id, who.principal.name, ServiceName(service),
                 RuleName("staff"), who.expires}};
  return out;
}

Change protect(const char* ports) {
  Change out;
  out.action = Action::protect;
  out.reason = Reason::policy;
  out.ports = {*PortRange::parse(ports)};
  return out;
}

/// Staff lose `web` and gain `db`; ana is signed in all the time, bob comes after the plan was made,
/// eve has gone since.
struct Case {
  Policy in_force = policy_of("aaaa", "web"), planned = policy_of("bbbb", "db");
  Session ana = session("s-ana", "ana", "192.0.2.1", kThen - Duration::minutes(30)),
          bob = session("s-bob", "bob", "192.0.2.2", kThen + Duration::minutes(5)),
          eve = session("s-eve", "eve", "192.0.2.5", kThen - Duration::minutes(30));
  std::vector<Session> known;
  SavedPlan saved;
  Plan now;
  PlanPlace place;
  PolicyRevision force{"aaaa"};
  Policy newest = planned;
  bool acknowledged = false, exact = false;

  Case() {
    known = {ana};
    Plan plan;
    plan.from = force;
    plan.to = newest.revision;
    plan.sequence = 40;
    plan.as_of = kThen;
    plan.edits = {{PolicyEdit::Kind::changed, "allow", "staff", {}, "{to: [web]}", "{to: [db]}"}};
    TargetPlan edge;
    edge.target = kEdge;
    edge.type = "nftables";
    edge.state = sha256("as it stands");
    edge.changes = {entry(Action::add, "db", ana), entry(Action::remove, "web", ana)};
    plan.targets = {edge};
    plan.id = plan_id(plan.to, plan.targets);
    now = plan;
    now.as_of = kNow;
    now.sequence = 50;
    saved = {std::move(plan), OwnerId{7}, kThen + Duration::hours(1), "AAECAwQFBgcICQoLDA0ODw",
             content_of(planned)};
    place = {OwnerId{7}, kNow, 50, false, std::nullopt, false};
  }

  TargetPlan& shown_edge() { return saved.plan.targets[0]; }
  TargetPlan& edge() { return now.targets[0]; }
  void seal() { saved.plan.id = plan_id(saved.plan.to, saved.plan.targets); }
  /// bob signs in: under the policy in force he has `web`, and the plan gives him `db`.
  void bob_comes() {
    known.push_back(bob);
    edge().changes.push_back(entry(Action::add, "db", bob));
    edge().changes.push_back(entry(Action::remove, "web", bob));
  }
  /// eve was there when the plan was made.
  void eve_was_there() {
    known.push_back(eve);
    for (auto* target : {&shown_edge(), &edge()}) {
      target->changes.push_back(entry(Action::add, "db", eve));
      target->changes.push_back(entry(Action::remove, "web", eve));
    }
    seal();
  }
  void eve_goes(EndCause cause = EndCause::signed_out) {
    known.back().end = SessionEnd{kThen + Duration::minutes(5), cause};
    edge().changes.resize(edge().changes.size() - 2);
    edge().changes.push_back(entry(Action::remove, "web", eve, Reason::sign_out));
  }

  CompareInput input() const {
    return {saved.plan, now, &in_force, planned, known, {}, acknowledged};
  }
  std::vector<PlanRefusal> refusals() const {
    auto out = check_file(saved, place);
    for (auto& more : check_revisions(saved, force, newest)) out.push_back(std::move(more));
    auto comparison = compare(input());
    for (const auto& more : comparison.refusals) out.push_back(more);
    if (exact)
      for (auto& more : check_exact(input(), comparison)) out.push_back(std::move(more));
    return out;
  }
};

Ed25519Public key_of(const char* seed) {
  return Ed25519Key(Secret(std::string(Ed25519Key::kSeed, *seed))).public_key();
}

struct Row {
  const char* name;
  std::function<void(Case&)> change;
  const char* want;  // the ids of its refusals; "" when it may be applied
};

const Row kRows[] = {
    {"as it was", [](Case&) {}, ""},

    // ---- the file
    {"another installation", [](Case& c) { c.place.owner = OwnerId{8}; }, "saved-plan.owner"},
    {"signed by this controller",
     [](Case& c) {
       c.saved.key = c.place.key = key_of("a");
       c.place.signed_only = true;
     },
     ""},
    {"signed by this controller, which is stopped",
     [](Case& c) { c.saved.key = c.place.key = key_of("a"); }, ""},
    {"not signed, and a controller runs", [](Case& c) { c.place.signed_only = true; },
     "saved-plan.unsigned"},
    {"signed by another controller",
     [](Case& c) {
       c.saved.key = key_of("a");
       c.place.key = key_of("b");
     },
     "saved-plan.key"},
    {"signed, and there is no key here", [](Case& c) { c.saved.key = key_of("a"); },
     "saved-plan.key"},
    {"a millisecond before its end", [](Case& c) { c.place.now = c.saved.expires - Duration{1}; },
     ""},
    {"at its end", [](Case& c) { c.place.now = c.saved.expires; }, "saved-plan.expired"},
    {"used", [](Case& c) { c.place.used = true; }, "saved-plan.used"},
    {"a log that has not got there", [](Case& c) { c.place.log_head = 39; }, "saved-plan.log"},
    {"one target alone", [](Case& c) { c.saved.plan.scope.targets = {kEdge}; }, "saved-plan.scope"},
    {"made-up sessions", [](Case& c) { c.saved.plan.scope.what_if = true; }, "saved-plan.scope"},
    {"an id of other changes", [](Case& c) { c.saved.plan.id = sha256("another"); },
     "saved-plan.id"},

    // ---- revisions
    {"another policy in force", [](Case& c) { c.force = PolicyRevision("cccc"); },
     "saved-plan.in-force"},
    {"no policy in force", [](Case& c) { c.force = PolicyRevision(); }, "saved-plan.in-force"},
    {"in force already", [](Case& c) { c.force = c.newest.revision; }, "saved-plan.in-force"},
    {"another commit at the source", [](Case& c) { c.newest.revision = PolicyRevision("dddd"); },
     "saved-plan.commit"},
    {"the first policy of all",
     [](Case& c) {
       c.force = PolicyRevision();
       c.saved.plan.from = c.saved.plan.to;
     },
     ""},

    // ---- the policy change
    {"another policy of the same name", [](Case& c) { c.newest = policy_of("bbbb", "db, web"); },
     "saved-plan.policy"},
    {"content that nobody noted", [](Case& c) { c.saved.policy.reset(); }, "saved-plan.policy"},
    {"an edit more",
     [](Case& c) { c.now.edits.push_back({PolicyEdit::Kind::added, "deny", "out", {}, "", "{}"}); },
     "saved-plan.policy"},
    {"an edit says something else", [](Case& c) { c.now.edits[0].after = "{to: [db, web]}"; },
     "saved-plan.policy"},
    {"an edit moved within its file", [](Case& c) { c.now.edits[0].origin.line = 9; }, ""},
    {"policy would open more",
     [](Case& c) { c.edge().changes.push_back(entry(Action::add, "db", c.eve)); },
     "saved-plan.policy"},
    {"policy would protect a port", [](Case& c) { c.edge().changes.push_back(protect("tcp/22")); },
     "saved-plan.policy"},
    {"policy would protect another port",
     [](Case& c) {
       c.shown_edge().changes.push_back(protect("tcp/22"));
       c.edge().changes.push_back(protect("tcp/23"));
       c.seal();
     },
     "saved-plan.policy"},
    {"policy would open it for longer",
     [](Case& c) { c.edge().changes[0].until = c.ana.expires + Duration::hours(1); },
     "saved-plan.policy"},
    {"policy would close less", [](Case& c) { c.edge().changes.pop_back(); }, "saved-plan.policy"},
    {"what was held is not wanted any more",
     [](Case& c) {
       c.shown_edge().held = {protect("tcp/22")};
       c.seal();
     },
     "saved-plan.policy"},
    {"knock.yaml keeps somebody else",
     [](Case& c) {
       Change keep;
       keep.action = Action::keep;
       keep.reason = Reason::configuration;
       keep.keep = {*Prefix::parse("198.51.100.0/24")};
       c.edge().changes.push_back(keep);
     },
     "saved-plan.policy"},

    // ---- targets
    {"another state", [](Case& c) { c.edge().state = sha256("with a foreign entry"); },
     "saved-plan.target"},
    {"another state of a target that is not touched",
     [](Case& c) {
       c.shown_edge().changes =
           c.edge().changes = {entry(Action::add, "web", c.ana, Reason::sign_in)};
       c.edge().state = sha256("with a foreign entry");
       c.seal();
     },
     ""},
    {"the state that healing gives",
     [](Case& c) {
       c.shown_edge().changes.push_back(protect("tcp/443"));
       c.shown_edge().changes.back().reason = Reason::drift;
       c.edge().state = sha256("healed");
       c.seal();
     },
     ""},
    {"cannot be read now",
     [](Case& c) {
       c.edge().readable = false;
       c.edge().changes.clear();
     },
     "saved-plan.target"},
    {"could not be read then",
     [](Case& c) {
       c.shown_edge().readable = false;
       c.shown_edge().changes.clear();
       c.seal();
     },
     "saved-plan.target"},
    {"could never be read",
     [](Case& c) {
       for (auto* target : {&c.shown_edge(), &c.edge()}) {
         target->readable = false;
         target->changes.clear();
       }
       c.seal();
     },
     ""},
    {"drift that was not there",
     [](Case& c) { c.edge().changes.push_back(entry(Action::add, "web", c.bob, Reason::drift)); },
     "saved-plan.target"},
    {"drift at an address that signed in since",
     [](Case& c) {
       c.known.push_back(c.bob);
       c.edge().changes.push_back(entry(Action::add, "db", c.bob, Reason::drift));
     },
     "saved-plan.target"},
    {"an orphan that was not there",
     [](Case& c) {
       c.edge().changes.push_back(entry(Action::remove, "web", c.bob, Reason::orphan));
     },
     "saved-plan.target"},
    {"an entry that nobody's coming explains",
     [](Case& c) { c.edge().changes.push_back(entry(Action::add, "web", c.ana, Reason::sign_in)); },
     "saved-plan.target"},
    {"drift that was healed",
     [](Case& c) {
       c.shown_edge().changes.push_back(entry(Action::add, "web", c.bob, Reason::drift));
       c.seal();
     },
     ""},
    {"a report more",
     [](Case& c) {
       c.edge().changes.push_back(entry(Action::report, "web", c.bob, Reason::foreign));
     },
     ""},

    // ---- guards
    {"held then, not now",
     [](Case& c) {
       c.shown_edge().held = {protect("tcp/22")};
       c.edge().changes.push_back(protect("tcp/22"));
       c.seal();
     },
     "saved-plan.guard"},
    {"held then, not now, and somebody said yes",
     [](Case& c) {
       c.shown_edge().held = {protect("tcp/22")};
       c.edge().changes.push_back(protect("tcp/22"));
       c.seal();
       c.acknowledged = true;
     },
     ""},
    {"held now, not then",
     [](Case& c) {
       c.edge().held = {c.edge().changes.back()};
       c.edge().changes.pop_back();
     },
     ""},

    // ---- sessions
    {"somebody signed in", [](Case& c) { c.bob_comes(); }, ""},
    {"somebody signed out",
     [](Case& c) {
       c.eve_was_there();
       c.eve_goes();
     },
     ""},
    {"somebody's session ran out",
     [](Case& c) {
       c.eve_was_there();
       c.eve_goes(EndCause::expired);
     },
     ""},
    {"signed in, and nothing is exact",
     [](Case& c) {
       c.bob_comes();
       c.exact = true;
     },
     "saved-plan.exact"},
    {"exactly as it was", [](Case& c) { c.exact = true; }, ""},
    {"exactly, but healed",
     [](Case& c) {
       c.shown_edge().changes.push_back(entry(Action::add, "web", c.bob, Reason::drift));
       c.seal();
       c.exact = true;
     },
     "saved-plan.exact"},
    {"exactly, but held now",
     [](Case& c) {
       c.edge().held = {c.edge().changes.back()};
       c.edge().changes.pop_back();
       c.exact = true;
     },
     "saved-plan.exact"},
    {"exactly, but another state of a target that is not touched",
     [](Case& c) {
       c.shown_edge().changes = c.edge().changes = {};
       c.edge().state = sha256("with a foreign entry");
       c.seal();
       c.exact = true;
     },
     "saved-plan.exact"},
};

std::string ids(const std::vector<PlanRefusal>& refusals) {
  std::vector<std::string> out;
  for (const auto& refusal : refusals) out.push_back(refusal.id);
  return join(out, " ");
}

TEST(SavedPlanCheck, EachFactHasItsRefusal) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    Case world;
    row.change(world);
    auto refusals = world.refusals();
    EXPECT_EQ(ids(refusals), row.want) << to_text(refusals);
  }
}

TEST(SavedPlanCheck, EveryRefusalHasARow) {
  std::set<std::string> named;
  for (const Row& row : kRows)
    if (*row.want != '\0') named.insert(row.want);
  const std::vector<std::string> source{"reconciler/core/saved_plan_check.cc"};
  auto all = test::ids_in(source, R"re("(saved-plan\.[a-z-]+)")re", "");
  for (auto& more : test::ids_in(source, R"re(\brefuse\(\s*"([a-z-]+)")re", "saved-plan."))
    all.insert(more);
  EXPECT_GT(all.size(), 10u) << "the ids are written in another way";
  for (const auto& id : all) EXPECT_TRUE(named.contains(id)) << id << " has no row";
}

TEST(SavedPlanCheck, ARefusalNamesBothValuesAndWhatToDo) {
  Case world;
  world.place.owner = OwnerId{8};
  world.place.now = kThen + Duration::hours(2);
  world.newest.revision = PolicyRevision("dddd");
  world.edge().state = sha256("other");
  world.edge().foreign = 3;
  auto text = to_text(world.refusals());
  for (const char* value :
       {"0000000000000007", "0000000000000008", "2027-01-15T09:00:00Z", "2027-01-15T10:00:00Z",
        "bbbb", "dddd", "0 foreign when", "3 foreign now", "edge: ", "knock plan --out"})
    EXPECT_NE(text.find(value), text.npos) << value << "\n" << text;
  for (auto line : split(text, '\n')) EXPECT_TRUE(line.starts_with("saved-plan.")) << line;
}

TEST(SavedPlanCheck, ManyDifferencesAreCounted) {
  Case world;
  for (int port = 1; port <= 9; ++port)
    world.edge().changes.push_back(protect(("tcp/" + std::to_string(port)).c_str()));
  auto refusals = world.refusals();
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_NE(refusals[0].sentence.find("and 6 more"), std::string::npos) << refusals[0].sentence;
}

TEST(SavedPlanCheck, TellsWhatSessionsDid) {
  Case world;
  world.eve_was_there();
  world.eve_goes();
  world.bob_comes();
  auto comparison = compare(world.input());
  EXPECT_EQ(comparison.sessions.signed_in, std::vector<std::string>{"bob"});
  EXPECT_EQ(comparison.sessions.signed_out, std::vector<std::string>{"eve"});
  auto text = to_text(comparison);
  for (const char* part :
       {"1 signed in (bob), 1 signed out (eve)", "also now   + add 192.0.2.2/32 tcp/5432 db",
        "also now   - remove 192.0.2.2/32 tcp/443 web", "no longer  + add 192.0.2.5/32"})
    EXPECT_NE(text.find(part), text.npos) << part << "\n" << text;
  EXPECT_EQ(to_text(comparison, View::shape),
            "Since the plan was made (2027-01-15T08:00:00Z): 1 signed in, 1 signed out\n");
  EXPECT_EQ(to_text(comparison, View::people).find("192.0.2"), std::string::npos);
  EXPECT_NE(to_text(compare(Case().input())).find("nobody signed in or out"), std::string::npos);
}

TEST(SavedPlanCheck, NamesFromOutsideAreMadePrintable) {
  Case world;
  world.bob.principal.name = "bob\n\x1b[31m";
  world.bob_comes();
  world.shown_edge().readable = false;
  world.shown_edge().unreadable_because = "no\nroute";
  auto comparison = compare(world.input());
  for (const auto& text : {to_text(comparison, View::people), to_text(comparison.refusals)}) {
    EXPECT_EQ(text.find('\x1b'), text.npos);
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 1) << text;
  }
}

// A token that may only apply learns that something differs, and not about whom.
TEST(SavedPlanRefusals, SayAsMuchAsTheViewShows) {
  for (const char* id : {"policy", "target", "guard", "exact"}) {
    std::vector<PlanRefusal> refusals{
        {std::string("saved-plan.") + id, "adds bob at 192.0.2.7/32", "look again"}};
    EXPECT_EQ(to_text(refusals),
              std::string("saved-plan.") + id + ": adds bob at 192.0.2.7/32; look again");
    auto people = to_text(refusals, View::people), shape = to_text(refusals, View::shape);
    EXPECT_NE(people.find("bob"), people.npos);
    EXPECT_EQ(people.find("192.0.2.7"), people.npos) << people;
    EXPECT_EQ(shape.find("bob"), shape.npos) << shape;
    EXPECT_EQ(shape.find("192.0.2.7"), shape.npos) << shape;
    EXPECT_TRUE(shape.starts_with(std::string("saved-plan.") + id)) << shape;
    EXPECT_TRUE(shape.ends_with("; look again")) << shape;
  }
  std::vector<PlanRefusal> used{{"saved-plan.used", "it was applied before", "make a new one"}};
  EXPECT_EQ(to_text(used, View::shape), to_text(used));
}

}  // namespace
}  // namespace knock
