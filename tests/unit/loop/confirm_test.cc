// SPDX-License-Identifier: Apache-2.0
// Commit-confirm: a policy's changes are confirmed in time, or the target returns to the policy
// before, with the sessions of now.
#include <atomic>

#include "tests/unit/loop/world.h"

namespace knock::test {
namespace {

const std::string kProbe = ", probe: {tcp: \"192.0.2.1:22\"}";

std::string asking(const std::string& probe, const std::string& more = {}) {
  return policy_text(one_target("edge"),
                     "guards:\n  removals: {entries: 5, percent: 100}\n"
                     "  confirm: {targets: [edge], within: 5m" +
                         probe + "}\n" + more);
}
std::string with_static(const std::string& cidr) {
  return "static:\n  m: {cidr: [" + cidr +
         "], to: [ssh], owner: ana, reason: probe, until: 2027-06-01}\n";
}
std::string denying(const std::string& network) {
  return "networks: {bad: [" + network + "]}\ndeny:\n  d: {from: {in: [bad]}, to: [ssh]}\n";
}

class Confirmations : public World {
 protected:
  Confirmations() {
    settings_.connect = [this](const IpAddress& address, std::uint16_t port, Deadline) -> Status {
      EXPECT_EQ(address.to_string(), "192.0.2.1");
      EXPECT_EQ(port, 22);
      ++asked_;
      if (answers_) return {};
      return fail(ErrorKind::timeout, "no answer");
    };
  }
  /// Ana is in by r1; r2 opens a static entry as well.
  void begin_with(const std::string& probe) {
    start();
    adopt(asking(probe), "r1");
    sign_in(kAna);
    adopt(asking(probe, with_static("198.51.100.9/32")), "r2-0123456");
  }
  bool open(const char* entry) { return place("edge").open("ssh", entry); }
  std::optional<Confirmation> waiting() {
    auto is = status("edge").confirmation;
    return is ? std::optional(is->what) : std::nullopt;
  }
  bool returned() {
    auto is = waiting();
    return is && is->state == Confirmation::State::returned;
  }
  void run_out() {
    pass_time(Duration::minutes(5));
    ASSERT_TRUE(soon([&] { return returned(); }));
    ASSERT_TRUE(settled());
  }

  std::atomic<bool> answers_{false};
  std::atomic<int> asked_{0};
};

TEST_F(Confirmations, AProbeThatAnswersConfirms) {
  answers_ = true;
  begin_with(kProbe);
  ASSERT_TRUE(soon([&] { return !waiting(); }));
  EXPECT_TRUE(open("198.51.100.9/32"));
  ASSERT_EQ(facts_of<ConfirmationDue>().size(), 1u);
  ASSERT_EQ(facts_of<PolicyConfirmed>().size(), 1u);
  EXPECT_EQ(facts_of<PolicyConfirmed>()[0].how, "probe");
  pass_time(Duration::hours(1) - Duration::seconds(10));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(open("198.51.100.9/32"));
  EXPECT_TRUE(facts_of<PolicyReturned>().empty());
}

TEST_F(Confirmations, ReachIsThatTheTargetIsReadAgain) {
  begin_with(", probe: controller-reach");
  ASSERT_TRUE(soon([&] { return !waiting(); }));
  EXPECT_EQ(facts_of<PolicyConfirmed>().size(), 1u);
  EXPECT_EQ(asked_, 0);
}

TEST_F(Confirmations, WithoutAnAnswerTheTargetReturns) {
  begin_with(kProbe);
  EXPECT_TRUE(open("198.51.100.9/32"));
  ASSERT_TRUE(soon([&] { return asked_ > 0; }));
  ASSERT_TRUE(soon([&] { return !status("edge").confirmation->problem.empty(); }));
  EXPECT_EQ(status("edge").confirmation->problem, "nothing answers at 192.0.2.1:22: no answer");
  ASSERT_EQ(waiting()->previous, PolicyRevision("r1"));
  run_out();
  EXPECT_FALSE(open("198.51.100.9/32"));
  EXPECT_TRUE(open("203.0.113.7/32")) << "Ana is signed in and stays in";
  ASSERT_EQ(facts_of<PolicyReturned>().size(), 1u);
  EXPECT_EQ(facts_of<PolicyReturned>()[0].policy, PolicyRevision("r2-0123456"));
  answers_ = true;
  loop_->refresh({});
  pass_time(Duration::minutes(20));
  ASSERT_TRUE(settled());
  EXPECT_FALSE(open("198.51.100.9/32")) << "and it is not tried again";
  auto ben = sign_in(kBen, Duration::hours(1), "ben");
  EXPECT_TRUE(open("203.0.113.8/32")) << "sign-ins go on by the policy before";
}

TEST_F(Confirmations, SomebodySaysYes) {
  begin_with("");
  auto one = waiting();
  ASSERT_TRUE(one);
  EXPECT_FALSE(loop_->confirm("test", "0123456789abcdef"));
  auto done = loop_->confirm("test", one->plan.substr(0, 16));
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(done->size(), 1u);
  EXPECT_FALSE(waiting());
  EXPECT_EQ(facts_of<PolicyConfirmed>().at(0).how, "operator");
  pass_time(Duration::minutes(6));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(open("198.51.100.9/32"));
  auto again = loop_->confirm("test", one->plan);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::not_found);
}

TEST_F(Confirmations, ARevisionConfirmsEverythingOfIt) {
  begin_with("");
  ASSERT_TRUE(loop_->confirm("test", "r2-0123"));
  EXPECT_FALSE(waiting());
}

TEST_F(Confirmations, ReturningReopensNothingThatEndedMeanwhile) {
  start();
  adopt(asking(""), "r1");
  sign_in(kAna);
  sign_in(kBen, Duration::minutes(2), "ben");
  auto eve = sign_in("203.0.113.9", Duration::hours(1), "eve");
  auto dan = sign_in("203.0.113.10", Duration::hours(1), "dan");
  sign_in("203.0.113.11", Duration::hours(1), "fay");
  adopt("knock: 1\ntargets:\n" + one_target("edge") +
            "services:\n  ssh: {ports: [tcp/22], targets: [edge]}\n"
            "guards: {removals: {percent: 100}, confirm: {targets: [edge], within: 5m}}\n" +
            with_static("198.51.100.9/32") + denying("203.0.113.7/32"),
        "r2");
  ASSERT_TRUE(waiting());
  ASSERT_EQ(place("edge").entries(), 1u);
  end(eve, EndCause::revoked);
  end(dan);
  run_out();
  EXPECT_TRUE(open("203.0.113.11/32")) << "fay is signed in";
  EXPECT_FALSE(open("203.0.113.8/32")) << "ran out";
  EXPECT_FALSE(open("203.0.113.9/32")) << "revoked";
  EXPECT_FALSE(open("203.0.113.10/32")) << "signed out";
  EXPECT_FALSE(open("203.0.113.7/32")) << "denied, by the policy that was taken back";
  EXPECT_EQ(place("edge").entries(), 1u);
}

TEST_F(Confirmations, ReturningIsNotHeldByGuards) {
  start();
  std::string removals =
      "guards:\n  removals: {entries: 50, percent: 100}\n"
      "  additions: {entries: 0, percent: 0}\n"
      "  confirm: {targets: [edge], within: 5m}\n";
  adopt(policy_text(one_target("edge"), removals + with_static("198.51.100.9/32")), "r1");
  ASSERT_TRUE(open("198.51.100.9/32"));
  sign_in(kAna);
  adopt(policy_text(one_target("edge"), removals), "r2");
  EXPECT_FALSE(open("198.51.100.9/32"));
  run_out();
  EXPECT_TRUE(open("198.51.100.9/32")) << "it stood there before";
  EXPECT_EQ(status("edge").held, 0u);
}

TEST_F(Confirmations, ANewRevisionAndAnApplyTryAgain) {
  begin_with("");
  run_out();
  adopt(asking("", with_static("198.51.100.9/32")), "r2-0123456");
  EXPECT_TRUE(open("198.51.100.9/32")) << "somebody applied it again";
  ASSERT_TRUE(waiting());
  EXPECT_FALSE(returned());
  run_out();
  EXPECT_FALSE(open("198.51.100.9/32"));
  adopt(asking("", with_static("198.51.100.10/32")), "r3");
  EXPECT_TRUE(open("198.51.100.10/32"));
  EXPECT_EQ(waiting()->previous, PolicyRevision("r1"));
}

TEST_F(Confirmations, ApplyingOnceMoreTriesAgain) {
  begin_with("");
  ASSERT_TRUE(store_->save_policy({PolicyRevision("r2-0123456"), clock_.now(), "", "", {}}));
  ASSERT_TRUE(loop_->apply_again("test"));
  EXPECT_EQ(facts_of<PolicyAdopted>().size(), 2u) << "nothing was taken back";
  run_out();
  EXPECT_FALSE(open("198.51.100.9/32"));
  ASSERT_TRUE(loop_->apply_again("test"));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(open("198.51.100.9/32"));
  ASSERT_TRUE(waiting()) << "and it is asked about again";
  EXPECT_FALSE(returned());
  EXPECT_EQ(facts_of<PolicyAdopted>().size(), 3u);
}

TEST_F(Confirmations, WhatWasNeverConfirmedIsNotReturnedTo) {
  begin_with("");
  adopt(asking("", with_static("198.51.100.10/32")), "r3");
  ASSERT_TRUE(waiting());
  EXPECT_EQ(waiting()->previous, PolicyRevision("r1"));
  EXPECT_EQ(waiting()->policy, PolicyRevision("r3"));
  run_out();
  EXPECT_FALSE(open("198.51.100.9/32"));
  EXPECT_FALSE(open("198.51.100.10/32"));
}

TEST_F(Confirmations, OnlyWhatPolicyCausesAsks) {
  start();
  adopt(asking(""), "r1");
  auto ana = sign_in(kAna);
  EXPECT_FALSE(waiting()) << "the first policy has nothing before it";
  end(ana);
  ASSERT_TRUE(settled());
  adopt(asking("", "x-note: nothing changes\n"), "r2");
  EXPECT_FALSE(waiting());
  EXPECT_TRUE(facts_of<ConfirmationDue>().empty());
}

TEST_F(Confirmations, ACommitThatDropsTheQuestionIsAsked) {
  begin_with("");
  ASSERT_TRUE(loop_->confirm("test", waiting()->plan));
  adopt(policy_text(one_target("edge"), with_static("198.51.100.77/32")), "r3");
  ASSERT_TRUE(waiting()) << "the one before it asks";
  adopt(policy_text(one_target("edge"), with_static("198.51.100.78/32")), "r4");
  EXPECT_EQ(waiting()->previous, PolicyRevision("r2-0123456"));
}

TEST_F(Confirmations, ARestartForgetsNothing) {
  begin_with("");
  auto before = waiting();
  restart();
  loop_->know_previous(load(asking(""), "r1"));
  loop_->resume(load(asking("", with_static("198.51.100.9/32")), "r2-0123456"));
  ASSERT_TRUE(settled());
  EXPECT_EQ(waiting(), before);
  EXPECT_TRUE(open("198.51.100.9/32"));
  stop();
  clock_.advance(Duration::minutes(7));
  restart();
  loop_->know_previous(load(asking(""), "r1"));
  loop_->resume(load(asking("", with_static("198.51.100.9/32")), "r2-0123456"));
  ASSERT_TRUE(soon([&] { return returned(); })) << "whoever comes back too late returns";
  ASSERT_TRUE(settled());
  EXPECT_FALSE(open("198.51.100.9/32"));
  restart();
  loop_->know_previous(load(asking(""), "r1"));
  loop_->resume(load(asking("", with_static("198.51.100.9/32")), "r2-0123456"));
  ASSERT_TRUE(settled());
  EXPECT_TRUE(returned());
  EXPECT_FALSE(open("198.51.100.9/32")) << "and goes on being returned";
}

TEST_F(Confirmations, WithoutARecordNothingChangesByPolicy) {
  start();
  adopt(asking(""), "r1");
  sign_in(kAna);
  ASSERT_TRUE(settled());
  store_->finish_after = 2;  // the adoption is written with its files, and nothing after it
  (void)adopt_only("knock: 1\ntargets:\n" + one_target("edge") +
                       "services:\n  ssh: {ports: [tcp/22], targets: [edge]}\n"
                       "guards: {confirm: {targets: [edge], within: 5m}}\n" +
                       with_static("198.51.100.9/32"),
                   "r2");
  ASSERT_TRUE(soon([&] { return !status("edge").ready; }));
  EXPECT_TRUE(open("203.0.113.7/32")) << "what could not be taken back is not taken away";
}

}  // namespace
}  // namespace knock::test
