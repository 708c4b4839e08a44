// SPDX-License-Identifier: Apache-2.0
// Plans saved and applied through a controller, as requests and answers: no socket, and no target.
#include <boost/json.hpp>

#include "server/core/apply_saved.h"
#include "server/core/saved_plans.h"
#include "tests/unit/server/controller_fixture.h"

namespace knock::test {
namespace {

namespace json = boost::json;

constexpr const char* kOne = "knock: 1\ngroups: {dba: {idp: dba, from: [corp]}}\n";
constexpr const char* kTwo = "knock: 1\ngroups: {dba: {idp: others, from: [corp]}}\n";

class SavedPlansTest : public ControllerFixture {
 protected:
  SavedPlansTest() {
    set_policy(kOne);
    make_controller();
    controller_->sign_plans_with([this] { return Result<Ed25519Key>(key_); });
    EXPECT_TRUE(controller_->reconciler().start());
    EXPECT_TRUE(controller_->policy_keeper().look("test"));
  }

  std::string revision() { return controller_->reconciler().policy()->revision.value; }

  net::HttpResponse post(const std::string& path, json::object body) {
    return call("POST", path, json::serialize(body));
  }
  /// The text of a plan file.
  std::string save(json::object more = {}) {
    more["format"] = "saved";
    auto answer = post("/plan", std::move(more));
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.body;
  }
  /// "done", or the id of the first refusal.
  std::string apply(const std::string& file, json::object more = {}) {
    more["file"] = file;
    auto answer = post("/apply", std::move(more));
    auto value = json::parse(answer.body);
    if (answer.status == 200) return std::string(value.at("outcome").as_string());
    EXPECT_EQ(answer.status, 409) << answer.body;
    EXPECT_EQ(value.at("kind"), "conflict");
    std::string detail(value.at("detail").as_string());
    return detail.substr(0, detail.find(':'));
  }

  Ed25519Key key_{Secret(std::string(Ed25519Key::kSeed, 'k'))};
};

TEST_F(SavedPlansTest, a_plan_is_signed_applied_and_used_up) {
  auto before = revision();
  set_policy(kTwo);
  auto file = save();
  auto saved = read_saved(file);
  ASSERT_TRUE(saved) << saved.error().text();
  EXPECT_EQ(saved->key, key_.public_key());
  EXPECT_EQ(saved->plan.from.value, before);
  EXPECT_EQ(revision(), before) << "a plan put something in force";
  EXPECT_EQ(apply(file), "done");
  EXPECT_EQ(revision(), saved->plan.to.value);
  EXPECT_EQ(controller_->policy_keeper().status().revision.value, saved->plan.to.value);
  EXPECT_EQ(apply(file), "saved-plan.used");
  EXPECT_EQ(apply(file, {{"replan", true}}), "saved-plan.used");
}

TEST_F(SavedPlansTest, what_was_not_planned_is_not_put_in_force) {
  auto before = revision();
  set_policy(kTwo);
  auto file = save();
  set_policy("knock: 1\ngroups: {dba: {idp: third, from: [corp]}}\n");
  EXPECT_EQ(apply(file), "saved-plan.commit");
  EXPECT_EQ(revision(), before);
  // A candidate that claims to be what the source will hold.
  set_policy(kTwo);
  auto second = read_saved(save())->plan.to.value;
  auto forged =
      save({{"files", json::array{json::object{{"path", "main.yaml"}, {"content", kOne}}}},
            {"revision", second}});
  EXPECT_EQ(apply(forged), "saved-plan.policy");
  EXPECT_EQ(revision(), before);
  EXPECT_EQ(apply(forged, {{"replan", true}}), "done");
  EXPECT_EQ(revision(), second);
}

TEST_F(SavedPlansTest, a_policy_that_somebody_holds_stays_and_the_plan_is_not_used_up) {
  auto before = revision();
  std::vector<Fact> held{
      PolicyAdvanced{PolicyRevision(before), PolicyRevision(before), true, "hold", "wait"}};
  ASSERT_TRUE(store_->append("ana", clock_.now(), held));
  ASSERT_TRUE(controller_->policy_keeper().restore());
  set_policy(kTwo);
  auto file = save();
  EXPECT_EQ(apply(file), "saved-plan.held");
  EXPECT_EQ(revision(), before);
  EXPECT_FALSE(*store_->plan_used(read_saved(file)->nonce));
}

/// Two at the same moment both find it unused; the log takes one.
TEST_F(SavedPlansTest, of_two_at_once_the_log_takes_one) {
  set_policy(kTwo);
  auto saved = *read_saved(save());
  EXPECT_TRUE(use_plan(*store_, "ana", clock_.now(), saved));
  auto second = use_plan(*store_, "bob", clock_.now(), saved);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::conflict);
  EXPECT_TRUE(second.error().message.starts_with("saved-plan.used: ")) << second.error().text();
}

TEST_F(SavedPlansTest, a_plan_runs_out) {
  set_policy(kTwo);
  auto file = save({{"good_for", "2h"}});
  clock_.advance(Duration::hours(2));
  EXPECT_EQ(apply(file), "saved-plan.expired");
  EXPECT_EQ(post("/plan", {{"format", "saved"}, {"good_for", "8d"}}).status, 400);
  EXPECT_EQ(post("/plan", {{"format", "saved"}, {"good_for", "0s"}}).status, 400);
  EXPECT_EQ(post("/plan", {{"format", "saved"}, {"good_for", "long"}}).status, 400);
}

TEST_F(SavedPlansTest, a_file_of_somebody_else_is_refused) {
  auto file = save();
  EXPECT_EQ(apply("nonsense"), "saved-plan.foreign");
  EXPECT_EQ(apply(file, {{"ack", "0123456789abcdef"}}), "saved-plan.ack");
  SavedPlan unsigned_one = *read_saved(file);
  std::string text;
  write_saved(unsigned_one, [&](std::string_view piece) { text += piece; });
  EXPECT_EQ(apply(text), "saved-plan.unsigned");
  key_ = Ed25519Key(Secret(std::string(Ed25519Key::kSeed, 'x')));
  EXPECT_EQ(apply(file), "saved-plan.key");
}

TEST_F(SavedPlansTest, an_unsound_policy_is_neither_planned_nor_applied) {
  auto file = save();
  set_policy("knock: 1\ngroups: {dba: {}}\n");
  for (auto answer : {post("/plan", {{"format", "saved"}}), post("/apply", {{"file", file}})}) {
    EXPECT_EQ(answer.status, 400) << answer.body;
    EXPECT_NE(answer.body.find("problems"), std::string::npos) << answer.body;
  }
}

TEST_F(SavedPlansTest, without_a_key_nothing_is_saved) {
  controller_->sign_plans_with({});
  EXPECT_GE(post("/plan", {{"format", "saved"}}).status, 400);
  EXPECT_GE(post("/apply", {{"file", "x"}}).status, 400);
}

}  // namespace
}  // namespace knock::test
