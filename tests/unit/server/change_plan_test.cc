// SPDX-License-Identifier: Apache-2.0
// What becomes of a pull request that the controller found: a plan, a refusal that says so by its id,
// or another try.
#include "server/core/change_plan.h"

#include <gmock/gmock.h>

#include "server/admin/remote_view.h"
#include "tests/unit/server/controller_fixture.h"

namespace knock::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kHead(40, 'c');

/// What a remote holds of pull request 7, or why it is not given.
struct Remote {
  std::string content =
      "knock: 1\ngroups: {dba: {idp: dba, from: [corp]}, web: {idp: web, from: [corp]}}\n";
  std::string refused_because;
  std::optional<Error> error;
  std::function<void()> meanwhile;
  CandidateName asked;
};

class RemoteSource final : public PolicySource {
 public:
  explicit RemoteSource(Remote& remote) : remote_(remote) {}
  Result<PolicyRevision> poll(Deadline) override { return PolicyRevision("?"); }
  Result<PolicySnapshot> read(const PolicyRevision&) override { return PolicySnapshot(); }
  void in_force(const PolicyRevision& revision) override { told_ = revision; }
  std::string describe() const override { return "remote"; }
  Result<Candidate> candidate(const CandidateName& name, Deadline) override {
    remote_.asked = name;
    if (remote_.meanwhile) remote_.meanwhile();
    if (remote_.error) return fail(*remote_.error);
    PolicySnapshot snapshot;
    snapshot.revision = PolicyRevision(kHead);
    snapshot.files = {{"main.yaml", remote_.content, ""}};
    return Candidate{std::move(snapshot), told_, remote_.refused_because};
  }

 private:
  Remote& remote_;
  PolicyRevision told_;
};

class ChangePlan : public ControllerFixture {
 protected:
  ChangePlan() {
    remote_source_ = [this] { return std::make_unique<RemoteSource>(remote_); };
    config_.notify.forge.emplace().post = true;
    config_.policy.ref = "main";
    begin_with_policy();
  }
  Result<notify::PlannedChange> plan() {
    clock_.advance(Duration::seconds(10));  // a fetch in five seconds
    return plan_of_pull(*controller_, {7, "", kHead});
  }

  Remote remote_;
};

TEST_F(ChangePlan, IsWhatWhoeverAsksForItGets) {
  auto change = plan();
  ASSERT_TRUE(change) << change.error().text();
  EXPECT_EQ(remote_.asked.pull, 7u);
  EXPECT_EQ(remote_.asked.commit, kHead) << "what was listed, and not what is there by now";
  EXPECT_EQ(change->pull, 7u);
  EXPECT_EQ(change->commit, kHead);
  EXPECT_EQ(change->state, notify::CommitState::success);
  EXPECT_EQ(change->description, "1 policy change.");
  EXPECT_THAT(change->markdown, HasSubstr("web"));
  clock_.advance(Duration::seconds(10));
  auto asked = call("POST", "/plan", R"({"pull":7,"view":"shape","format":"markdown"})");
  ASSERT_EQ(asked.status, 200) << asked.body;
  auto review = change->footer.substr(change->footer.find("knock-review: ") + 14, 64);
  EXPECT_THAT(asked.body, HasSubstr(review));
}

TEST_F(ChangePlan, OneThatNobodySignedHasAPlanAndAFailure) {
  remote_.refused_because =
      "commit.unsigned: commit cccccccccccc changes main.yaml and is not signed";
  auto change = plan();
  ASSERT_TRUE(change) << change.error().text();
  EXPECT_EQ(change->state, notify::CommitState::failure);
  EXPECT_EQ(change->description, "As it is it would not come into force: commit.unsigned.");
  EXPECT_THAT(change->markdown, HasSubstr("is not signed"));
  EXPECT_NE(change->footer, "");
}

TEST_F(ChangePlan, WhatIsRefusedForGoodSaysSoByItsIdAlone) {
  struct Row {
    const char *message, *said;
  };
  for (const auto& row :
       {Row{"git.not-descended: pull request 7 ends in x", "rebase it onto main"},
        Row{"git.transfer-too-large: 65 MiB of ana", "git.transfer-too-large"},
        Row{"git.not-a-commit: a tag", "git.not-a-commit"},
        Row{"tree.link: ana.yaml is a link", "tree.link"},
        Row{"commit.too-many: 2,000", "commit.too-many"},
        Row{"commit.change-too-large: ana wrote much", "commit.change-too-large"}}) {
    remote_.error = Error{ErrorKind::invalid, row.message, {"pull request 7 of git /srv/p"}, {}};
    auto change = plan();
    ASSERT_TRUE(change) << row.message << ": " << change.error().text();
    EXPECT_EQ(change->pull, 0u) << "nothing is written into the pull request";
    EXPECT_EQ(change->commit, kHead);
    EXPECT_EQ(change->state, notify::CommitState::failure);
    EXPECT_THAT(change->description, HasSubstr(row.said));
    EXPECT_THAT(change->description, Not(HasSubstr("ana")));
    EXPECT_LE(change->description.size(), 140u);
    EXPECT_EQ(change->footer, "");
  }
}

TEST_F(ChangePlan, WhatMayPassIsAnError) {
  for (const auto& error :
       {Error{ErrorKind::unavailable, "git.transfer: the remote hung up", {}, {}},
        Error{ErrorKind::timeout, "git fetch: no answer in time", {}, {}},
        Error{ErrorKind::rate_limited, "another change is being fetched", {}, {}},
        Error{ErrorKind::not_found, "git.no-ref: the ref is not there", {}, {}},
        Error{ErrorKind::invalid, "git.head-moved: it ends in another", {}, {}},
        Error{ErrorKind::invalid, "git.bad-repository: has a password in it", {}, {}},
        Error{ErrorKind::invalid, "commit.signers-unreadable: /etc/knock/signers", {}, {}},
        Error{ErrorKind::invalid, "commit.signers-exposed: /etc/knock/signers", {}, {}},
        Error{ErrorKind::invalid, "something without an id", {}, {}},
        Error{ErrorKind::internal, "tree.link: never of this kind", {}, {}}}) {
    remote_.error = error;
    auto change = plan();
    ASSERT_FALSE(change) << error.text();
    EXPECT_EQ(change.error().kind, error.kind);
  }
}

TEST_F(ChangePlan, APolicyWithErrorsIsRefusedByItsPlaceAlone) {
  remote_.content = "knock: 1\ngroups: {dba: {idp: dba, from: [corp]}}\nana: {}\n";
  auto change = plan();
  ASSERT_TRUE(change) << change.error().text();
  EXPECT_EQ(change->state, notify::CommitState::failure);
  EXPECT_THAT(change->description, HasSubstr("This policy would be refused: "));
  EXPECT_THAT(change->description, HasSubstr("main.yaml:3:1"));
  EXPECT_THAT(change->description, Not(HasSubstr("ana")));
  EXPECT_EQ(change->footer, "");
}

TEST_F(ChangePlan, AnotherPolicyInForceMeanwhileIsNoPlan) {
  remote_.meanwhile = [this] {
    set_policy("knock: 1\ngroups: {ops: {idp: ops, from: [corp]}}\n");
    EXPECT_TRUE(controller_->policy_keeper().look("test"));
  };
  auto change = plan();
  ASSERT_FALSE(change);
  EXPECT_EQ(change.error().kind, ErrorKind::unavailable);
  EXPECT_THAT(change.error().message, HasSubstr("plan.moved"));
}

TEST_F(ChangePlan, WhatIsInForceHasAnotherMarkEachTime) {
  auto first = adoption_in_force(*store_);
  ASSERT_TRUE(first);
  EXPECT_NE(*first, "");
  EXPECT_EQ(*adoption_in_force(*store_), *first);
  EXPECT_EQ(standing(*store_)->adoption, *first);
  set_policy("knock: 1\ngroups: {ops: {idp: ops, from: [corp]}}\n");
  clock_.advance(Duration::seconds(1));
  ASSERT_TRUE(controller_->policy_keeper().look("test"));
  EXPECT_NE(*adoption_in_force(*store_), *first);
}

TEST(ChangesInStatus, ATokenSeesNoMoreThanItsView) {
  ControllerStatus status;
  auto seen = [&](View view) { return as_seen(status, {}, view).changes; };
  EXPECT_FALSE(seen(View::shape)) << "nothing is looked for";
  status.changes.emplace().open = 3;
  EXPECT_EQ(seen(View::shape)->problem, "");
  status.changes->problem = "pull request 7: git.transfer: ana at 203.0.113.9 hung up";
  EXPECT_EQ(seen(View::shape)->problem, "git.transfer; the controller's log says why");
  EXPECT_EQ(seen(View::shape)->open, 3u);
  EXPECT_THAT(seen(View::people)->problem, Not(HasSubstr("203.0.113.9")));
  EXPECT_EQ(seen(View::full)->problem, status.changes->problem);
}

}  // namespace
}  // namespace knock::test
