// SPDX-License-Identifier: Apache-2.0
// What a token gets over the public listener, and what it does not. Whoever calls here speaks as a
// front does, captured or not.
#include <gmock/gmock.h>

#include "server/core/review.h"
#include "tests/unit/server/remote_fixture.h"

namespace knock::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// Every path of the API against every scope: a token reaches what its scope names, and no more.
TEST_F(RemoteTest, each_scope_opens_its_paths_and_no_other) {
  struct Row {
    const char *method, *path, *scopes;
  };
  const Row rows[] = {
      {"GET", "/status", "plan:read plan:people audit:read apply"},
      {"GET", "/sessions", "session:write audit:read"},
      {"POST", "/sessions", "session:write"},
      {"POST", "/sessions/revoke", "session:write"},
      {"POST", "/plan", "plan:read plan:people audit:read"},
      {"POST", "/apply", "apply"},
      {"GET", "/why", "audit:read"},
      {"GET", "/who", "audit:read"},
      {"GET", "/records", "audit:read"},
      // Never with a token.
      {"POST", "/acknowledge", ""},
      {"POST", "/policy/look", ""},
      {"POST", "/refresh", ""},
      {"GET", "/keys", ""},
      {"POST", "/keys", ""},
      {"POST", "/keys/rotate", ""},
      {"POST", "/keys/revoke", ""},
      {"GET", "/users", ""},
      {"POST", "/users", ""},
      {"POST", "/users/remove", ""},
      {"GET", "/../metrics", ""},
      {"GET", "/nothing", ""},
  };
  for (const char* scope : {"plan:read", "plan:people", "apply", "session:write", "audit:read"}) {
    std::string name(scope);
    std::replace(name.begin(), name.end(), ':', '-');
    auto token = key(name, {scope});
    for (const auto& row : rows) {
      clock_.advance(Duration::seconds(2));  // past the limits of address and token
      auto status = call(token, row.method, row.path, row.method[0] == 'P' ? "{}" : "").status;
      bool allowed = (" " + std::string(row.scopes) + " ").find(" " + std::string(scope) + " ") !=
                     std::string::npos;
      if (*row.scopes == '\0')
        EXPECT_EQ(status, 404u) << scope << " " << row.path;
      else if (allowed)
        EXPECT_TRUE(status != 403 && status != 401) << scope << " " << row.path << " " << status;
      else
        EXPECT_EQ(status, 403u) << scope << " " << row.path;
    }
  }
}

TEST_F(RemoteTest, without_a_good_token_nothing_is_answered_and_paths_are_not_told_apart) {
  for (const char* path : {"/status", "/plan", "/keys", "/nothing"})
    for (const std::string& token : {std::string(), std::string("knock_"), std::string(4096, 'x'),
                                     std::string(make_token(random_).token.reveal())}) {
      clock_.advance(Duration::seconds(1));
      auto answer = call(token, "GET", path);
      EXPECT_EQ(answer.status, 401u) << path;
      EXPECT_EQ(member(answer, "code"), "key.unknown");
    }
}

TEST_F(RemoteTest, a_plan_is_seen_as_far_as_the_scope_goes) {
  struct Row {
    const char *scope, *view;
    unsigned status;
  };
  const Row rows[] = {
      {"plan:read", "", 200},           {"plan:read", "shape", 200}, {"plan:read", "people", 403},
      {"plan:read", "full", 403},       {"plan:people", "", 200},    {"plan:people", "people", 200},
      {"plan:people", "full", 403},     {"audit:read", "full", 200}, {"audit:read", "people", 200},
      {"plan:read", "everything", 400},
  };
  int n = 0;
  for (const auto& row : rows) {
    auto token = key("k" + std::to_string(n++), {row.scope});
    std::string view = *row.view != '\0' ? R"(,"view":")" + std::string(row.view) + "\"" : "";
    auto answer = call(token, "POST", "/plan", candidate(kOther, R"(,"format":"markdown")" + view));
    EXPECT_EQ(answer.status, row.status) << row.scope << " " << row.view << answer.body;
    if (row.status == 200)
      EXPECT_EQ(member(answer, "view"), *row.view != '\0' ? row.view : "shape");
  }
}

/// Two halves of a network, one of which holds somebody: the plans of both are the same to who may
/// not see people.
TEST_F(RemoteTest, a_candidate_cannot_ask_where_somebody_is) {
  const std::string giving = std::string(kOneGroup) +
                             "targets: {edge: {type: nftables}}\n"
                             "services: {ssh: {ports: [tcp/22], targets: [edge]}}\n"
                             "allow: {dba: {who: [dba], to: [ssh], ttl: 1h}}\n";
  set_policy(giving);
  ASSERT_TRUE(controller_->policy_keeper().look("test"));
  GrantRequest grant{"bob", address("203.0.113.9"), Duration::hours(1), "why", {GroupName("dba")}};
  ASSERT_TRUE(controller_->grant("test", grant));
  auto asking = [&](const std::string& network) {
    return giving + "networks: {half: [" + network +
           "]}\n"
           "deny: {half: {from: {in: [half]}, to: [ssh]}}\n";
  };
  auto answers = [&](const std::string& token, const std::string& network,
                     const std::string& format, const std::string& view) {
    auto answer =
        call(token, "POST", "/plan",
             candidate(asking(network), R"(,"format":")" + format + R"(","view":")" + view + "\""));
    EXPECT_EQ(answer.status, 200u) << answer.body;
    // What names the candidate itself differs.
    auto value = boost::json::parse(answer.body);
    value.as_object().erase("review");
    auto text = boost::json::serialize(value);
    for (auto at = text.find("sha256:"); at != text.npos; at = text.find("sha256:", at + 1)) {
      auto end = text.find_first_not_of("0123456789abcdef", at + 7);
      text.erase(at + 7, end - at - 7);
    }
    return text;
  };
  auto reader = key("reader", {"plan:read"}), auditor = key("auditor", {"audit:read"});
  for (const char* format : {"text", "markdown", "html", "json"}) {
    EXPECT_EQ(answers(reader, "203.0.113.0/25", format, "shape"),
              answers(reader, "203.0.113.128/25", format, "shape"))
        << format;
    EXPECT_THAT(answers(reader, "203.0.113.0/25", format, "shape"), HasSubstr("Left out"));
  }
  EXPECT_THAT(answers(auditor, "203.0.113.0/25", "text", "full"), HasSubstr("203.0.113.9"))
      << "there is something to be found";
  EXPECT_THAT(answers(auditor, "203.0.113.128/25", "text", "full"), Not(HasSubstr("203.0.113.9")));
}

TEST_F(RemoteTest, candidates_that_are_no_policy_are_refused_with_their_problems) {
  auto token = key("reader", {"plan:read"});
  auto bad = call(token, "POST", "/plan", candidate("knock: 1\ngrups: {}\n"));
  EXPECT_EQ(bad.status, 400u);
  EXPECT_THAT(bad.body, HasSubstr("main.yaml"));
  EXPECT_THAT(bad.body, HasSubstr("groups"));
  for (const char* path :
       {"", "/etc/passwd", "../x.yaml", "a//b.yaml", "a/./b.yaml", "a\\u0000.yaml", "a\\nb.yaml"}) {
    clock_.advance(Duration::seconds(2));
    EXPECT_EQ(call(token, "POST", "/plan",
                   R"({"files":[{"path":")" + std::string(path) + R"(","content":"knock: 1\n"}]})")
                  .status,
              400u)
        << path;
  }
  EXPECT_EQ(
      call(token, "POST", "/plan", candidate("knock: 1\n# " + std::string(1 << 20, 'x') + "\n"))
          .status,
      400u);
}

/// A policy's own tests say who is where. Whose files they are not sees as far as the scopes go.
TEST_F(RemoteTest, a_policy_that_fails_its_tests_names_nobody_to_who_may_not_see_people) {
  auto merger = key("merger", {"apply"}), auditor = key("auditor", {"audit:read"});
  auto people = key("people", {"plan:people", "apply"}), reader = key("reader", {"plan:read"});
  const std::string failing = std::string(kOneGroup) +
                              "targets: {edge: {type: nftables}}\n"
                              "services: {ssh: {ports: [tcp/22], targets: [edge]}}\n"
                              "allow: {staff: {who: [dba], to: [ssh], ttl: 1h}}\n"
                              "tests:\n"
                              "  - {as: {user: alice, groups: [dba], ip: 198.51.100.9}, "
                              "cannot: [ssh]}\n";
  set_policy(failing);
  content_ = failing;
  EXPECT_FALSE(controller_->policy_keeper().look("test"));
  auto some_hash = R"({"reviewed":")" + std::string(64, '0') + "\"}";
  struct Row {
    std::string token, method, path, body;
  };
  for (const Row& row : std::vector<Row>{{reader, "GET", "/status", ""},
                                         {merger, "GET", "/status", ""},
                                         {reader, "POST", "/plan", "{}"},
                                         {reader, "POST", "/plan", R"({"pull":7})"},
                                         {merger, "POST", "/apply", some_hash}}) {
    auto answer = call(row.token, row.method, row.path, row.body);
    EXPECT_THAT(answer.body, Not(HasSubstr("alice"))) << row.path << row.body;
    EXPECT_THAT(answer.body, Not(HasSubstr("198.51.100.9"))) << row.path << row.body;
    EXPECT_THAT(answer.body, HasSubstr("policy.test-failed")) << row.path << row.body;
    EXPECT_THAT(answer.body, HasSubstr("main.yaml")) << row.path << row.body;
  }
  for (const Row& row : std::vector<Row>{{people, "GET", "/status", ""},
                                         {people, "POST", "/plan", "{}"},
                                         {people, "POST", "/plan", R"({"pull":7})"},
                                         {people, "POST", "/apply", some_hash}}) {
    auto answer = call(row.token, row.method, row.path, row.body);
    EXPECT_THAT(answer.body, HasSubstr("alice")) << row.path << row.body;
    EXPECT_THAT(answer.body, Not(HasSubstr("198.51.100.9"))) << row.path << row.body;
  }
  EXPECT_THAT(call(auditor, "POST", "/plan", "{}").body, HasSubstr("198.51.100.9"));
  EXPECT_THAT(call(reader, "POST", "/plan", candidate(failing)).body, HasSubstr("alice"))
      << "who sent a file may read what is wrong with it";
}

TEST_F(RemoteTest, addresses_are_for_audit_read_alone) {
  GrantRequest grant{"bob", address("203.0.113.9"), Duration::hours(1), "why", {GroupName("dba")}};
  auto session = controller_->grant("test", grant);
  ASSERT_TRUE(session) << session.error().text();
  auto writer = key("writer", {"session:write"}), auditor = key("auditor", {"audit:read"});
  EXPECT_THAT(call(writer, "GET", "/sessions").body, HasSubstr(session->id.value));
  EXPECT_THAT(call(writer, "GET", "/sessions").body, Not(HasSubstr("203.0.113.9")));
  EXPECT_THAT(call(auditor, "GET", "/sessions").body, HasSubstr("203.0.113.9"));
  auto revoked = call(writer, "POST", "/sessions/revoke",
                      R"({"session":")" + session->id.value + R"(","reason":"done"})");
  EXPECT_EQ(revoked.status, 200u) << revoked.body;
  EXPECT_THAT(revoked.body, Not(HasSubstr("203.0.113.9")));
  auto last = store_->records(0, 1000).value();
  EXPECT_EQ(last.back().actor, "key writer");
}

TEST_F(RemoteTest, why_a_door_is_not_open_is_for_who_may_see_it) {
  set_policy(
      "knock: 1\ngroups: {dba: {idp: dba, from: [corp]}}\ntargets: {edge: {type: nftables}}\n"
      "services: {ssh: {ports: [tcp/22], targets: [edge]}}\n"
      "allow: {a: {who: [dba], to: [ssh], ttl: 1h}}\n");
  ASSERT_TRUE(controller_->policy_keeper().look("test"));
  auto writer = key("writer", {"session:write"}), auditor = key("auditor", {"audit:read"});
  auto granted = call(
      writer, "POST", "/sessions",
      R"({"user":"bob","from":"203.0.113.9","ttl":"1h","reason":"why","groups":["dba"],"wait":false})");
  ASSERT_EQ(granted.status, 201u) << granted.body;
  EXPECT_THAT(granted.body, Not(HasSubstr("no targets here")));
  ASSERT_TRUE(controller_->reconciler().wait_settled(Deadline::in(Duration::seconds(60))));
  EXPECT_THAT(call(auditor, "GET", "/sessions").body, HasSubstr("no targets here"));
  auto seen = call(writer, "GET", "/sessions").body;
  EXPECT_THAT(seen, Not(HasSubstr("no targets here")));
  EXPECT_THAT(seen, HasSubstr("the controller's log says why"));
}

TEST_F(RemoteTest, exactly_what_was_reviewed_is_applied) {
  auto reader = key("reader", {"plan:read"}), merger = key("merger", {"apply"});
  auto apply = [&](const std::string& hash) {
    return call(merger, "POST", "/apply", R"({"reviewed":")" + hash + "\"}");
  };
  auto review = member(call(reader, "POST", "/plan", candidate(kOther)), "review");
  ASSERT_EQ(review.size(), 64u);
  // The change is merged, and somebody else's with it.
  set_policy(std::string(kOther) + "# and more\n");
  auto other = apply(review);
  EXPECT_EQ(other.status, 409u) << other.body;
  EXPECT_EQ(controller_->reconciler().policy()->groups.size(), 1u);
  EXPECT_EQ(apply(std::string(64, '0')).status, 409u);
  // Merged as it was reviewed.
  set_policy(kOther);
  auto done = apply(review);
  EXPECT_EQ(done.status, 200u) << done.body;
  EXPECT_EQ(controller_->reconciler().policy()->groups.size(), 2u);
  // A review counts once, and back needs one of its own.
  auto second = apply(review);
  EXPECT_EQ(second.status, 409u);
  EXPECT_THAT(second.body, Not(HasSubstr("problems"))) << "no warning of the policy is its cause";
  EXPECT_THAT(second.body, HasSubstr("review.used"));
  set_policy(kOneGroup);
  auto back = member(call(reader, "POST", "/plan", "{}"), "review");
  EXPECT_EQ(apply(review).status, 409u);
  EXPECT_EQ(apply(back).status, 200u);
  EXPECT_EQ(controller_->reconciler().policy()->groups.size(), 1u);
  // The same change once more is another one: it goes on from something else, and has a hash of its
  // own, which leads on.
  set_policy(kOther);
  auto again = member(call(reader, "POST", "/plan", "{}"), "review");
  EXPECT_NE(again, review);
  EXPECT_THAT(apply(review).body, HasSubstr("review.used"));
  EXPECT_EQ(controller_->reconciler().policy()->groups.size(), 1u);
  EXPECT_EQ(apply(again).status, 200u);
  EXPECT_EQ(controller_->reconciler().policy()->groups.size(), 2u);
}

TEST_F(RemoteTest, a_change_of_nothing_is_applied_as_often_as_it_is_made) {
  auto reader = key("reader", {"plan:read"}), merger = key("merger", {"apply"});
  auto apply = [&](const std::string& hash) {
    return call(merger, "POST", "/apply", R"({"reviewed":")" + hash + "\"}");
  };
  auto nothing = member(call(reader, "POST", "/plan", candidate(kOneGroup)), "review");
  for (const char* commit : {"c1", "c2"}) {
    source_named_ = commit;
    auto done = apply(nothing);
    EXPECT_EQ(done.status, 200u) << done.body;
    EXPECT_EQ(controller_->reconciler().policy()->revision.value, commit);
    EXPECT_THAT(apply(nothing).body, HasSubstr("\"was_in_force\":true"));
  }
  // It is no word for what changes something.
  set_policy(kOther);
  source_named_ = "c3";
  EXPECT_EQ(apply(nothing).status, 409u);
  EXPECT_EQ(controller_->reconciler().policy()->revision.value, "c2");
}

TEST_F(RemoteTest, a_review_ends_when_something_else_comes_into_force) {
  auto reader = key("reader", {"plan:read"}), merger = key("merger", {"apply"});
  auto apply = [&](const std::string& hash) {
    return call(merger, "POST", "/apply", R"({"reviewed":")" + hash + "\"}");
  };
  auto review = member(call(reader, "POST", "/plan", candidate(kOther)), "review");
  // Somebody puts it in force by hand; the job has nothing to do, and uses nothing.
  set_policy(kOther);
  ASSERT_TRUE(controller_->policy_keeper().look("ana"));
  EXPECT_THAT(apply(review).body, HasSubstr("\"was_in_force\":true"));
  EXPECT_FALSE(store_->plan_used("review:" + review).value());
  // And takes it back.
  set_policy(kOneGroup);
  ASSERT_TRUE(controller_->policy_keeper().look("ana"));
  set_policy(kOther);
  auto late = apply(review);
  EXPECT_EQ(late.status, 409u) << late.body;
  EXPECT_THAT(late.body, HasSubstr("review.other"));
  EXPECT_EQ(controller_->reconciler().policy()->groups.size(), 1u);
}

TEST_F(RemoteTest, a_review_that_could_not_be_carried_out_is_not_used) {
  auto reader = key("reader", {"plan:read"}), merger = key("merger", {"apply"});
  auto review = member(call(reader, "POST", "/plan", candidate(kOther)), "review");
  set_policy(kOther);
  controller_->reconciler().stop();  // adopts nothing from now on
  EXPECT_EQ(call(merger, "POST", "/apply", R"({"reviewed":")" + review + "\"}").status, 503u);
  EXPECT_FALSE(store_->plan_used("review:" + review).value());
}

TEST_F(RemoteTest, a_plan_of_what_was_in_force_when_it_began_is_not_given) {
  auto reader = key("reader", {"plan:read"});
  meanwhile_ = [&] {
    set_policy(kOther);
    ASSERT_TRUE(controller_->policy_keeper().look("ana"));
  };
  auto moved = call(reader, "POST", "/plan", R"({"pull":7})");
  EXPECT_EQ(moved.status, 503u);
  EXPECT_THAT(moved.body, HasSubstr("plan.moved"));
  meanwhile_ = nullptr;
  EXPECT_EQ(call(reader, "POST", "/plan", R"({"pull":7})").status, 200u);
}

TEST_F(RemoteTest, what_is_in_force_already_is_no_proof_that_it_was_reviewed) {
  auto reader = key("reader", {"plan:read"}), merger = key("merger", {"apply"});
  auto review = member(call(reader, "POST", "/plan", candidate(kOther)), "review");
  auto records = store_->records(0, 1000).value().size();
  auto early = call(merger, "POST", "/apply", R"({"reviewed":")" + review + "\"}");
  EXPECT_EQ(early.status, 409u) << "before the merge: " << early.body;
  EXPECT_THAT(early.body, HasSubstr("review.other"));
  // The first policy of all came from nothing, and is what a review of it from nothing says.
  auto first = review_hash(Standing(), std::vector<PolicyFile>{{"main.yaml", kOneGroup, ""}});
  EXPECT_THAT(call(merger, "POST", "/apply", R"({"reviewed":")" + first + "\"}").body,
              HasSubstr("\"was_in_force\":true"));
  EXPECT_EQ(store_->records(0, 1000).value().size(), records);
  for (const char* no_hash : {"0", "sha256:00", "--"})
    EXPECT_EQ(
        call(merger, "POST", "/apply", R"({"reviewed":")" + std::string(no_hash) + "\"}").status,
        400u);
}

TEST_F(RemoteTest, a_pull_request_is_fetched_planned_and_has_a_review) {
  auto reader = key("reader", {"plan:read"});
  auto sent = member(call(reader, "POST", "/plan", candidate(kOther)), "review");
  for (const char* body : {R"({"pull":7,"format":"text"})", R"({"pull":"7","format":"text"})",
                           R"({"branch":"topic","format":"text"})"}) {
    auto answer = call(reader, "POST", "/plan", body);
    ASSERT_EQ(answer.status, 200u) << answer.body;
    EXPECT_EQ(member(answer, "commit"), std::string(40, 'c'));
    EXPECT_EQ(member(answer, "review"), sent) << "of the contents, however they came";
    EXPECT_EQ(member(answer, "refused_because"), "");
  }
  EXPECT_EQ(call(reader, "POST", "/plan", R"({"pull":8})").status, 404u);
  for (const char* bad :
       {R"({"pull":0})", R"({"pull":-1})", R"({"pull":1.5})", R"({"pull":"x"})", R"({"pull":[7]})",
        R"({"pull":99999999999})", R"({"branch":""})", R"({"pull":7,"branch":"topic"})",
        R"({"pull":7,"files":[]})", R"({"pull":7,"commit":"abc"})",
        R"({"commit":"cccccccccccccccccccccccccccccccccccccccc"})"}) {
    clock_.advance(Duration::seconds(10));
    EXPECT_EQ(call(reader, "POST", "/plan", bad).status, 400u) << bad;
  }
  auto writer = key("writer", {"session:write"});
  EXPECT_EQ(call(writer, "POST", "/plan", R"({"pull":7})").status, 403u);
}

TEST_F(RemoteTest, a_plan_says_why_what_it_shows_would_not_come_into_force) {
  refused_ = "commit.unsigned: commit cccccccccccc changes main.yaml and is not signed";
  auto reader = key("reader", {"plan:read"});
  for (const char* format : {"text", "markdown", "html", "json"}) {
    auto answer =
        call(reader, "POST", "/plan", R"({"pull":7,"format":")" + std::string(format) + "\"}");
    EXPECT_THAT(member(answer, "text"), HasSubstr("would not come into force")) << format;
    EXPECT_THAT(member(answer, "text"), HasSubstr("unsigned")) << format;
    EXPECT_EQ(member(answer, "refused_because"), refused_);
  }
}

TEST_F(RemoteTest, the_forge_is_told_of_what_was_fetched_and_of_nobody) {
  std::vector<notify::PlannedChange> told;
  controller_->tell_planned([&](const notify::PlannedChange& change) { told.push_back(change); });
  GrantRequest grant{"bob", address("203.0.113.9"), Duration::hours(1), "why", {GroupName("dba")}};
  ASSERT_TRUE(controller_->grant("test", grant));
  auto auditor = key("auditor", {"audit:read"});
  auto post = [&](const std::string& what) {
    return call(auditor, "POST", "/plan", "{" + what + R"(,"post":true})");
  };
  EXPECT_EQ(post(R"("pull":7)").status, 501u) << "no forge is configured";
  config_.notify.forge.emplace().post = true;
  call(auditor, "POST", "/plan", R"({"pull":7})");
  EXPECT_TRUE(told.empty()) << "nobody asked for it";
  EXPECT_EQ(call(auditor, "POST", "/plan", candidate(kOther, R"(,"post":true)")).status, 400u)
      << "what was sent is nobody's commit";
  EXPECT_EQ(post(R"("pull":7,"targets":["edge"])").status, 400u) << "a part is not the plan";
  ASSERT_TRUE(told.empty());
  auto answer = post(R"("pull":7,"view":"full","format":"text")");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].pull, 7u);
  EXPECT_EQ(told[0].commit, std::string(40, 'c'));
  EXPECT_EQ(told[0].state, notify::CommitState::success);
  EXPECT_THAT(told[0].footer, HasSubstr("<!-- knock-review: " + member(answer, "review") + " -->"));
  EXPECT_THAT(told[0].markdown, HasSubstr("web"));
  EXPECT_THAT(told[0].markdown, Not(HasSubstr("bob")));
  EXPECT_THAT(told[0].markdown, Not(HasSubstr("203.0.113.9")));
  refused_ = "commit.unsigned: commit cccccccccccc changes main.yaml and is not signed";
  post(R"("branch":"topic")");
  ASSERT_EQ(told.size(), 2u);
  EXPECT_THAT(told[1].description, HasSubstr("commit.unsigned."));
  EXPECT_EQ(told[1].markdown, "") << "nobody would post it";
  EXPECT_EQ(told[1].pull, 0u);
  EXPECT_EQ(told[1].state, notify::CommitState::failure);
  content_ = "knock: 1\ngrups: {}\n";
  EXPECT_EQ(post(R"("pull":7)").status, 400u);
  ASSERT_EQ(told.size(), 3u);
  EXPECT_EQ(told[2].state, notify::CommitState::failure);
  EXPECT_THAT(told[2].description,
              HasSubstr("would be refused: 1 problem; first: main.yaml:2:1 ["));
  controller_->tell_planned(nullptr);
}

TEST_F(RemoteTest, fetching_is_limited_for_all_together) {
  auto one = key("one", {"plan:read"}), two = key("two", {"plan:read"});
  int taken = 0;
  for (int i = 0; i < 30; ++i)
    taken += call(i % 2 == 0 ? one : two, "POST", "/plan", R"({"pull":7})").status == 200u;
  EXPECT_EQ(taken, int(Candidates::kBurst));
  EXPECT_EQ(call(one, "POST", "/plan", R"({"pull":7})").status, 429u);
  EXPECT_EQ(call(one, "POST", "/plan", candidate(kOther)).status, 200u) << "what is sent is not";
  clock_.advance(Duration::seconds(5));
  EXPECT_EQ(call(two, "POST", "/plan", R"({"pull":7})").status, 200u);
}

TEST_F(RemoteTest, more_than_can_wait_are_told_to_come_again) {
  auto token = key("reader", {"plan:read"});
  std::atomic<int> busy = 0, answered = 0;
  constexpr int kAll = 50;
  std::promise<void> all;
  for (int i = 0; i < kAll; ++i)
    remote_->handle(
        {1, "POST", "/api/v1/plan", "", token, address("203.0.113.7"), candidate(kOther)},
        [&](role::ToFront answer) {
          if (std::get<role::ApiAnswer>(answer).status == 503) ++busy;
          if (++answered == kAll) all.set_value();
        });
  all.get_future().wait();
  EXPECT_GT(busy, 0);
  EXPECT_LT(busy, kAll);
}

TEST(ReviewHash, tells_contents_apart_and_nothing_else) {
  std::vector<PolicyFile> a{{"a.yaml", "1", ""}, {"b.yaml", "2", ""}},
      turned{{"b.yaml", "2", "x"}, {"a.yaml", "1", "y"}},
      moved{{"a.yaml", "12", ""}, {"b.yaml", "", ""}},
      joined{{"a.yaml1", "", ""}, {"b.yaml", "2", ""}};
  EXPECT_EQ(content_revision(a), content_revision(turned));
  EXPECT_NE(content_revision(a), content_revision(moved));
  EXPECT_NE(content_revision(a), content_revision(joined));
  Standing nothing, one{"1", content_revision(a)}, two{"2", content_revision(a)};
  EXPECT_NE(review_hash(nothing, a), review_hash(one, a));
  EXPECT_NE(review_hash(one, moved), review_hash(two, moved)) << "it came into force anew";
  EXPECT_EQ(review_hash(one, a), review_hash(two, turned)) << "nothing changes";
  EXPECT_NE(review_hash(one, moved), review_hash(one, joined));
}

}  // namespace
}  // namespace knock::test
