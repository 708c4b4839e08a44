// SPDX-License-Identifier: Apache-2.0
// Plans of what is made up, and plan files, as tokens ask for them.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "schemas/plan/codec.h"
#include "tests/unit/server/remote_fixture.h"

namespace knock::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
namespace json = boost::json;

constexpr const char* kGiving = R"(knock: 1
groups: {dba: {idp: dba, from: [corp]}}
targets: {edge: {type: nftables}}
services: {ssh: {ports: [tcp/22], targets: [edge]}}
allow:
  day: {who: [dba], to: [ssh], ttl: 1h, schedule: {days: mon-fri, from: "08:00", to: "18:00", tz: UTC}}
)";
/// The clock of the fixture stands on a Friday; this is the Sunday after it.
constexpr const char* kSunday = "2027-01-17T10:00:00Z";

class RemotePlansTest : public RemoteTest {
 protected:
  RemotePlansTest() {
    controller_->sign_plans_with([this] { return Result<Ed25519Key>(key_); });
    set_policy(kGiving);
    EXPECT_TRUE(controller_->policy_keeper().look("test"));
  }

  /// Somebody who is not signed in.
  json::object made_up(const std::string& name) {
    auto now = to_string(clock_.now());
    return {{"id", "made-up-" + name},
            {"principal", {{"issuer", "https://idp.example"}, {"subject", name}, {"name", name}}},
            {"source", "corp"},
            {"proof", "oidc"},
            {"groups", {"dba"}},
            {"address", "203.0.113.99"},
            {"created", now},
            {"expires", to_string(clock_.now() + Duration::hours(8))},
            {"authenticated", now}};
  }
  static json::array files(const std::string& content) {
    return {json::object{{"path", "main.yaml"}, {"content", content}}};
  }
  role::ApiAnswer plan(const std::string& token, const json::object& body) {
    clock_.advance(Duration::seconds(2));  // past the limits of address and token
    return call(token, "POST", "/plan", json::serialize(body));
  }
  role::ApiAnswer apply(const std::string& token, const json::object& body) {
    clock_.advance(Duration::seconds(2));
    return call(token, "POST", "/apply", json::serialize(body));
  }
  void expect_refused(const role::ApiAnswer& answer, unsigned status, const std::string& code) {
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(member(answer, "code"), code) << answer.body;
  }

  Ed25519Key key_{Secret(std::string(Ed25519Key::kSeed, 'k'))};
};

TEST_F(RemotePlansTest, what_is_made_up_is_planned_for_who_may_see_people) {
  auto people = key("people", {"plan:people"});
  auto before = store_->head().value();
  json::object body{{"files", files(kOther)}, {"sessions", {made_up("erika")}}, {"format", "text"}};
  auto answer = plan(people, body);
  ASSERT_EQ(answer.status, 200u) << answer.body;
  EXPECT_EQ(member(answer, "view"), "people") << "a shape would show nothing of it";
  EXPECT_THAT(member(answer, "text"), HasSubstr("what if: sessions or the time are made up"));
  EXPECT_THAT(member(answer, "text"), HasSubstr("Live sessions that are cut\n  - erika"));
  EXPECT_THAT(answer.body, Not(HasSubstr("203.0.113.99")));
  EXPECT_THAT(answer.body, HasSubstr(R"("what_if":true)"));
  EXPECT_THAT(answer.body, Not(HasSubstr(R"("review")"))) << "nothing is to be agreed to";
  // On a Sunday there is nothing to take from her.
  body["at"] = kSunday;
  auto sunday = plan(people, body);
  ASSERT_EQ(sunday.status, 200u) << sunday.body;
  EXPECT_THAT(member(sunday, "text"), HasSubstr(kSunday));
  EXPECT_THAT(member(sunday, "text"), Not(HasSubstr("- erika")));
  EXPECT_THAT(member(plan(people, {{"at", kSunday}, {"format", "json"}}), "text"),
              HasSubstr("\"what_if\":true"));
  auto fetched = plan(people, {{"pull", 7}, {"sessions", {made_up("erika")}}, {"format", "text"}});
  EXPECT_EQ(member(fetched, "commit"), std::string(40, 'c')) << fetched.body;
  EXPECT_THAT(member(fetched, "text"), HasSubstr("- erika"));
  EXPECT_THAT(fetched.body, Not(HasSubstr(R"("review")")));
  EXPECT_TRUE(controller_->reconciler().live_sessions().empty());
  EXPECT_EQ(store_->head().value(), before) << "nothing of it is in the log";
}

TEST_F(RemotePlansTest, with_people_made_up_what_the_controller_lacks_is_a_finding) {
  const std::string lacking = std::string(kGiving) +
                              "  asked: {who: [dba], to: [ssh], ttl: 1h, "
                              "approval: {from: [dba], count: 1, ttl: 4h}}\n";
  auto people = key("people", {"plan:people"});
  expect_refused(plan(people, {{"files", files(lacking)}}), 400, "policy.unsound");
  auto answer =
      plan(people, {{"files", files(lacking)}, {"sessions", json::array()}, {"format", "text"}});
  ASSERT_EQ(answer.status, 200u) << answer.body;
  EXPECT_THAT(member(answer, "text"), HasSubstr("would be refused"));
}

TEST_F(RemotePlansTest, what_is_made_up_is_for_no_other_scope_and_is_read_as_a_file_is) {
  auto people = key("people", {"plan:people"});
  json::object one = made_up("erika"), odd = made_up("erika"), homeless = made_up("erika");
  odd["shoe_size"] = 43;
  homeless["address"] = "nowhere";
  json::array many;
  for (int i = 0; i <= 10'000; ++i) many.emplace_back(json::object());
  json::array heavy;
  for (int i = 0; i < 50; ++i) {
    one["reason"] = std::string(100'000, 'x');
    heavy.emplace_back(one);
  }
  struct Row {
    json::object body;
    unsigned status;
    const char* code;
  };
  const std::vector<Row> rows{
      {{{"sessions", json::array(many)}}, 400, "what-if.too-large"},
      {{{"sessions", json::array()}, {"approvals", json::array(many)}}, 400, "what-if.too-large"},
      {{{"sessions", json::array(heavy)}}, 400, "what-if.too-large"},
      {{{"sessions", 7}}, 400, "what-if.sessions"},
      {{{"sessions", {odd}}}, 400, "what-if.sessions"},
      {{{"sessions", {homeless}}}, 400, "what-if.sessions"},
      {{{"sessions", {json::object()}}}, 400, "what-if.sessions"},
      {{{"approvals", json::array()}}, 400, "what-if.sessions"},
      {{{"sessions", json::array()}, {"approvals", {7}}}, 400, "what-if.sessions"},
      {{{"at", "tomorrow"}}, 400, "what-if.at"},
      {{{"at", ""}}, 400, "what-if.at"},
      {{{"at", kSunday}, {"view", "shape"}}, 400, "what-if.view"},
      {{{"at", kSunday}, {"pull", 7}, {"post", true}}, 400, "what-if.posted"},
  };
  for (const Row& row : rows) expect_refused(plan(people, row.body), row.status, row.code);
  for (const char* scope : {"plan:read", "audit:read"}) {
    auto token = key(scope[0] == 'p' ? "reader" : "auditor", {scope});
    for (const auto& body :
         {json::object{{"sessions", json::array()}}, json::object{{"at", kSunday}},
          json::object{{"approvals", json::array()}}})
      expect_refused(plan(token, body), 403, "what-if.scope");
  }
  EXPECT_EQ(plan(people, {{"sessions", json::array()}, {"view", "full"}}).status, 403u);
}

/// Any time that can be written is answered, and soon.
TEST_F(RemotePlansTest, the_ends_of_time_are_times) {
  auto people = key("people", {"plan:people"});
  for (const char* at : {"0000-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
                         "2027-01-17T10:00:00+23:59"}) {
    auto answer = plan(people, {{"at", at}, {"sessions", {made_up("erika")}}, {"format", "text"}});
    EXPECT_EQ(answer.status, 200u) << at << answer.body;
  }
}

TEST_F(RemotePlansTest, a_plan_file_goes_from_who_may_see_it_to_who_may_apply_it) {
  auto auditor = key("auditor", {"audit:read"}), merger = key("merger", {"apply"});
  auto before = controller_->reconciler().policy()->revision;
  set_policy(kOther);
  auto saved = plan(auditor, {{"format", "saved"}});
  ASSERT_EQ(saved.status, 200u) << saved.body;
  auto read = read_saved(saved.body);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->key, key_.public_key());
  EXPECT_EQ(controller_->reconciler().policy()->revision, before);
  // Who may apply does what the file shows, and nothing beyond it.
  auto twin = plan(auditor, {{"format", "saved"}}).body;
  auto edited = saved.body;
  edited.replace(edited.find("\"expires\":\"20"), 13, "\"expires\":\"21");
  expect_refused(apply(merger, {{"file", edited}}), 409, "saved-plan.edited");
  expect_refused(apply(merger, {{"file", "nonsense"}}), 409, "saved-plan.foreign");
  for (const auto& more : {json::object{{"replan", true}}, json::object{{"ack", "0123456789ab"}}}) {
    json::object body = more;
    body["file"] = saved.body;
    expect_refused(apply(merger, body), 403, "apply.own-machine");
  }
  EXPECT_EQ(apply(auditor, {{"file", saved.body}}).status, 403u) << "to see is not to do";
  EXPECT_EQ(controller_->reconciler().policy()->revision, before);
  auto done = apply(merger, {{"file", saved.body}});
  ASSERT_EQ(done.status, 200u) << done.body;
  EXPECT_EQ(member(done, "outcome"), "done");
  EXPECT_THAT(member(done, "text"), HasSubstr("Policy changes"));
  EXPECT_EQ(controller_->reconciler().policy()->revision, read->plan.to);
  expect_refused(apply(merger, {{"file", saved.body}}), 409, "saved-plan.used");
  expect_refused(apply(merger, {{"file", twin}}), 409, "saved-plan.in-force");
  EXPECT_EQ(store_->records(0, 1000).value().back().actor, "key merger");
}

/// What an apply tells is no more than the key may see.
TEST_F(RemotePlansTest, who_applies_a_plan_file_sees_what_the_other_scopes_show) {
  auto auditor = key("auditor", {"audit:read"});
  auto merger = key("merger", {"apply"}), knows = key("knows", {"apply", "plan:people"});
  auto applied = [&](const std::string& token, const char* policy, const std::string& user) {
    set_policy(policy);
    auto saved = plan(auditor, {{"format", "saved"}}).body;
    clock_.advance(Duration::seconds(1));
    GrantRequest grant{user, address("203.0.113.9"), Duration::hours(1), "why", {GroupName("dba")}};
    EXPECT_TRUE(controller_->grant("test", grant));
    auto done = apply(token, {{"file", saved}});
    EXPECT_EQ(done.status, 200u) << done.body;
    EXPECT_THAT(done.body, Not(HasSubstr("203.0.113.9")));
    return done;
  };
  auto least = applied(merger, kOther, "bob");
  EXPECT_THAT(member(least, "text"), HasSubstr("groups web"));
  EXPECT_THAT(least.body, Not(HasSubstr("bob")));
  EXPECT_THAT(least.body, Not(HasSubstr("signed in")));
  EXPECT_THAT(member(applied(knows, kGiving, "carla"), "text"), HasSubstr("1 signed in (carla)"));
}

TEST_F(RemotePlansTest, what_is_not_to_be_applied_is_not_saved) {
  auto auditor = key("auditor", {"audit:read", "plan:people"});
  struct Row {
    json::object body;
    const char* code;
  };
  const std::vector<Row> rows{
      {{{"sessions", json::array()}}, "what-if.saved"},  {{{"at", kSunday}}, "what-if.saved"},
      {{{"approvals", json::array()}}, "what-if.saved"}, {{{"pull", 7}}, "plan.save-fetched"},
      {{{"branch", "topic"}}, "plan.save-fetched"},      {{{"post", true}}, "plan.save-fetched"},
  };
  for (const Row& row : rows) {
    auto body = row.body;
    body["format"] = "saved";
    expect_refused(plan(auditor, body), 400, row.code);
    // Nor on the controller's own machine.
    auto here = ControllerFixture::call("POST", "/plan", json::serialize(body));
    EXPECT_EQ(here.status, 400) << here.body;
    EXPECT_THAT(here.body, HasSubstr(row.code));
  }
  for (const char* scope : {"plan:read", "plan:people"}) {
    auto token = key(scope[5] == 'r' ? "reader" : "people", {scope});
    auto answer = plan(token, {{"format", "saved"}});
    expect_refused(answer, 403, "plan.save-scope");
    EXPECT_THAT(answer.body, HasSubstr("audit:read"));
  }
  for (const std::string& name :
       {std::string(), std::string(101, 'x'), std::string("a b"), std::string("a\nb")}) {
    auto answer =
        plan(auditor, {{"format", "saved"}, {"files", files(kOther)}, {"revision", name}});
    EXPECT_EQ(answer.status, 400u) << answer.body;
  }
}

/// A file that could not be sent back is of no use.
TEST_F(RemotePlansTest, a_plan_file_is_no_larger_than_what_is_taken_back) {
  auto auditor = key("auditor", {"audit:read"});
  json::array all{json::object{{"path", "main.yaml"}, {"content", kGiving}}};
  const std::string why(1000, 'x');
  for (int file = 0; file < 10; ++file) {
    std::string text = "knock: 1\nstatic:\n";
    for (int i = 0; i < 850; ++i)
      text += fmt::format(
          "  s{0}x{1}: {{cidr: [10.{0}.{2}.{3}/32], to: [ssh], owner: sre, until: 2027-06-01, "
          "reason: {4}}}\n",
          file, i, i / 250, i % 250, why);
    all.push_back(json::object{{"path", fmt::format("s{}.yaml", file)}, {"content", text}});
  }
  auto answer = plan(auditor, {{"format", "saved"}, {"files", std::move(all)}});
  expect_refused(answer, 400, "plan.save-too-large");
}

TEST_F(RemotePlansTest, an_unsound_policy_is_told_by_a_code) {
  auto reader = key("reader", {"plan:read"}), merger = key("merger", {"apply"});
  auto bad = [&](const char* text) { return plan(reader, {{"files", files(text)}}); };
  EXPECT_EQ(member(bad("knock: 1\ngrups: {}\n"), "code"), "policy.unsound");
  auto failing =
      std::string(kGiving) + "tests:\n  - {as: {user: a, groups: [dba]}, cannot: [ssh]}\n";
  EXPECT_EQ(member(bad(failing.c_str()), "code"), "policy.unsound");
  // A mistake of the request is none of the policy, whatever the policy's warnings.
  auto request = plan(reader, {{"targets", {"nowhere"}}, {"format", "odd"}});
  EXPECT_EQ(request.status, 400u);
  EXPECT_EQ(member(request, "code"), "");
  set_policy(failing);
  EXPECT_EQ(member(apply(merger, {{"reviewed", std::string(64, '0')}}), "code"), "policy.unsound");
}

}  // namespace
}  // namespace knock::test
