// SPDX-License-Identifier: Apache-2.0
// What the admin API refuses before anything is opened or written.
#include "tests/unit/server/controller_fixture.h"

namespace knock::test {
namespace {

class AdminTest : public ControllerFixture {
 protected:
  AdminTest() { begin_with_policy(); }

  net::HttpResponse post(const std::string& path, const std::string& body) {
    return call("POST", path, body);
  }
  int grant(const std::string& user, const std::string& from, const std::string& ttl,
            const std::string& reason = "why") {
    return post("/sessions", R"({"user":")" + user + R"(","from":")" + from + R"(","ttl":")" + ttl +
                                 R"(","reason":")" + reason + R"(","groups":["dba"],"wait":false})")
        .status;
  }
  int save(const std::string& user, const std::string& hash) {
    return post("/users",
                R"({"user":")" + user + R"(","what":"add","password_hash":")" + hash + R"("})")
        .status;
  }
};

TEST_F(AdminTest, a_grant_is_for_a_host_and_a_while) {
  EXPECT_EQ(grant("bob", "203.0.113.7", "744h"), 201);
  EXPECT_EQ(grant("bob", "2001:db8::7", "1s"), 201);
  struct Row {
    const char *user, *from, *ttl;
  };
  const Row rows[] = {{"bob", "203.0.113.7", "745h"},   {"bob", "203.0.113.7", "3660d"},
                      {"bob", "203.0.113.7", "0s"},     {"bob", "203.0.113.7", "-1h"},
                      {"bob", "203.0.113.7", "1"},      {"bob", "0.0.0.0", "1h"},
                      {"bob", "203.0.113.0/24", "1h"},  {"bob", "224.0.0.1", "1h"},
                      {"bob", "255.255.255.255", "1h"}, {"bob", "::", "1h"},
                      {"bob", "ff02::1", "1h"},         {"bob", "::ffff:0.0.0.0", "1h"},
                      {"", "203.0.113.7", "1h"}};
  for (const auto& row : rows)
    EXPECT_EQ(grant(row.user, row.from, row.ttl), 400) << row.from << " " << row.ttl;
  EXPECT_EQ(grant(std::string(129, 'x'), "203.0.113.7", "1h"), 400);
  EXPECT_EQ(grant("bob", "203.0.113.7", "1h", ""), 400);
  EXPECT_EQ(grant("bob", "203.0.113.7", "1h", std::string(1001, 'x')), 400);
  EXPECT_EQ(controller_->reconciler().live_sessions().size(), 2u);
}

TEST_F(AdminTest, an_account_is_one_that_can_sign_in) {
  EXPECT_EQ(save("carla", kHash), 200);
  EXPECT_EQ(save("", kHash), 400);
  EXPECT_EQ(save(std::string(129, 'x'), kHash), 400);
  EXPECT_EQ(save("new\\nline", kHash), 400);
  EXPECT_EQ(save("dora", "plain password"), 400);
  EXPECT_EQ(save("dora", "$argon2id$" + std::string(600, 'x')), 400)
      << "a verifier takes no hash this long, and would end at each try";
  EXPECT_EQ(save("dora", ""), 404);
  auto accounts = store_->accounts().value();
  for (const auto& account : accounts) EXPECT_NE(account.user, "dora");
}

TEST_F(AdminTest, an_accounts_groups_are_those_of_its_sessions) {
  EXPECT_EQ(save("carla", kHash), 200);
  auto regroup = [&](const std::string& groups) {
    return post("/users", R"({"user":"carla","what":"groups","groups":)" + groups + "}").status;
  };
  EXPECT_EQ(regroup(R"(["dba","web"])"), 200);
  Session session;
  session.principal = {"local", "carla", "Carla"};
  session.source = SignInName("local");
  session.proof = Proof::local;
  session.groups = {"dba", "web"};
  session.address = *IpAddress::parse("203.0.113.7");
  session.expires = controller_->clock().now() + Duration::hours(1);
  auto opened = controller_->reconciler().open_session("test", session);
  ASSERT_TRUE(opened) << opened.error().text();
  EXPECT_EQ(regroup(R"(["web"])"), 200);
  auto live = controller_->reconciler().live_session(opened->id);
  ASSERT_TRUE(live);
  EXPECT_EQ(live->groups, std::vector<std::string>{"web"});
  EXPECT_TRUE(live->groups_lost);
  EXPECT_EQ(store_->live_sessions(controller_->clock().now())->at(0).groups, live->groups);
  EXPECT_EQ(regroup("[]"), 200);
  EXPECT_TRUE(controller_->reconciler().live_session(opened->id)->groups.empty());
}

TEST_F(AdminTest, what_waits_for_a_confirmation_is_named_and_by_no_token) {
  EXPECT_EQ(post("/confirm", R"({})").status, 400);
  auto nothing = post("/confirm", R"({"id":"0123456789ab"})");
  EXPECT_EQ(nothing.status, 404);
  EXPECT_NE(nothing.body.find("nothing waits for a confirmation"), std::string::npos);
  EXPECT_TRUE(AdminApi::remote_scopes("POST", "/api/v1/confirm").empty());
  auto status = call("GET", "/status").body;
  EXPECT_NE(status.find(R"("suspects":[])"), std::string::npos);
}

TEST_F(AdminTest, no_answer_shows_a_password_or_its_hash) {
  EXPECT_EQ(save("carla", kHash), 200);
  for (const char* path : {"/users", "/records", "/sessions", "/status"}) {
    auto answer = call("GET", path);
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_EQ(answer.body.find("argon2id"), std::string::npos) << path;
  }
}

TEST_F(AdminTest, ownership_is_changed_by_a_known_act_on_a_known_target_and_by_no_token) {
  for (const char* path : {"/ownership/plan", "/ownership/change"}) {
    EXPECT_EQ(post(path, R"({"target":"edge","act":"steal","plan":"0123456789ab"})").status, 400);
    EXPECT_EQ(post(path, R"({"act":"adopt","plan":"0123456789ab"})").status, 400);
    EXPECT_EQ(post(path, R"({"target":"edge","act":"adopt","plan":"0123456789ab"})").status, 404);
    EXPECT_TRUE(AdminApi::remote_scopes("POST", std::string("/api/v1") + path).empty());
  }
  EXPECT_EQ(post("/ownership/change", R"({"target":"edge","act":"adopt"})").status, 400);
}

TEST_F(AdminTest, bodies_that_are_no_request_are_refused) {
  for (const char* body :
       {"", "[]", "{", "{\"user\":1}", "{\"user\":\"a\",\"user\":\"b\"}", "null"})
    EXPECT_EQ(post("/sessions", body).status, 400) << body;
  EXPECT_EQ(post("/sessions", std::string(100'000, '[')).status, 400);
  EXPECT_EQ(post("/nothing", "{}").status, 404);
}

}  // namespace
}  // namespace knock::test
