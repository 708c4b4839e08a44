// SPDX-License-Identifier: Apache-2.0
// The main job with real packets: policy in Git and a sign-in at a real OpenID provider open a real
// firewall for one address, and everything that should close it does.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>

#include "base/text.h"
#include "tests/e2e/world.h"

namespace knock::test {
namespace {

/// How late the kernel may be with a deadline, and how early a busy machine may make the last word
/// before it look.
constexpr Duration kLate{250}, kEarly{1000};

std::string without(std::string text, std::string_view part) {
  if (auto at = text.find(part); at != text.npos) text.erase(at, part.size());
  return text;
}

class MainJob : public ::testing::Test {
 protected:
  void SetUp() override {
    KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
    KNOCK_NEED("oidc", OidcProvider::ready(), OidcProvider::why_not());
    world_ = std::make_unique<World>();
    operator_ = std::make_unique<Held>(world_->outside, kOperator, kSsh);
    ASSERT_TRUE(operator_->open());
  }
  void TearDown() override {
    if (!world_) return;
    EXPECT_TRUE(operator_->answers()) << "a keep address was cut off";
    if (HasFailure())
      std::fprintf(stderr, "%s\n%s\n", world_->knock->log().c_str(), world_->records().c_str());
  }

  Installation& knock() { return *world_->knock; }

  /// Alice at her address, through the provider.
  Browser sign_in(const std::string& user, const std::string& address) {
    auto browser = world_->browser(user, address);
    auto page = browser.get(browser.callback(*world_->provider, world_->server, "corp", user));
    EXPECT_EQ(page.status, 303) << page.all;
    EXPECT_EQ(page.location, "/");
    EXPECT_FALSE(browser.cookie("__Host-knock").empty());
    return browser;
  }

  void start() {
    knock().start();
    ASSERT_TRUE(world_->closes(kStranger, kSsh, Duration::seconds(10)));
  }

  static void expect_cut_at(const Held& held, Instant deadline) {
    EXPECT_TRUE(held.falls_silent((deadline - wall_now()) + Duration::seconds(3)));
    EXPECT_LE(held.last_answer(), deadline + kLate);
    EXPECT_GE(held.last_answer(), deadline - kEarly);
  }

  std::unique_ptr<World> world_;
  std::unique_ptr<Held> operator_;
};

TEST_F(MainJob, OpensForOneAddressAndClosesAtExpiryAndSignOut) {
  auto& w = *world_;
  ASSERT_EQ(w.reach(kStranger, kSsh), Reached::open) << "nothing listens";
  EXPECT_EQ(knock().knock({"plan", "--detailed-exitcode"}).exit_code, 2);
  EXPECT_EQ(w.reach(kStranger, kSsh), Reached::open) << "a plan has written";

  start();
  for (const char* address : {kAlice, kBob, kStranger, kStranger6})
    for (int port : {kSsh, kApp})
      EXPECT_EQ(w.reach(address, port), Reached::timeout) << address << " " << port;
  EXPECT_EQ(w.reach(kOperator, kApp), Reached::open);
  ASSERT_TRUE(operator_->answers()) << "the first apply cut a keep address";

  auto alice = sign_in("alice", kAlice);
  Held ssh(w.outside, kAlice, kSsh), app(w.outside, kAlice, kApp);
  ASSERT_TRUE(ssh.open() && app.open());
  auto until = parse_instant(knock().ask({"why", "alice", "app"}, "/answers/0/until"));
  ASSERT_TRUE(until);
  for (const char* address : {kBob, kStranger, kStranger6})
    EXPECT_EQ(w.reach(address, kSsh), Reached::timeout) << address;
  auto me = alice.get("/");
  EXPECT_NE(me.body.find("Sign out"), me.body.npos);
  EXPECT_NE(me.body.find("alice"), me.body.npos);
  EXPECT_NE(me.body.find(kAlice), me.body.npos);

  // bob is an engineer and no admin.
  auto bob = sign_in("bob", kBob);
  EXPECT_TRUE(w.opens(kBob, kApp));
  EXPECT_EQ(w.reach(kBob, kSsh), Reached::timeout);
  EXPECT_EQ(knock().knock({"why", "alice", "ssh"}).exit_code, 0);
  EXPECT_EQ(knock().knock({"why", "bob", "ssh"}).exit_code, 9);

  expect_cut_at(app, *until);
  EXPECT_EQ(w.reach(kAlice, kApp), Reached::timeout);
  EXPECT_TRUE(ssh.answers()) << "expiry of one service cut another";

  auto bye = alice.sign_out();
  auto signed_out = wall_now();
  EXPECT_EQ(bye.status, 303) << bye.all;
  EXPECT_TRUE(ssh.falls_silent(Duration::seconds(3)));
  EXPECT_EQ(w.reach(kAlice, kSsh), Reached::timeout);
  EXPECT_LE(ssh.last_answer(), signed_out + kLate);
  EXPECT_EQ(alice.get("/").body.find("Sign out"), std::string::npos);
  EXPECT_NE(alice.get("/").body.find("/auth/start/corp"), std::string::npos);
  EXPECT_EQ(knock().knock({"audit", "verify"}).exit_code, 0);
  EXPECT_EQ(knock().stop(), 0);
}

TEST_F(MainJob, ClosesOnTimeWhenEveryRoleIsKilledAndComesBackWithoutAFlap) {
  auto& w = *world_;
  start();
  auto alice = sign_in("alice", kAlice);
  Held ssh(w.outside, kAlice, kSsh);
  ASSERT_TRUE(ssh.open());
  auto until = w.grant("bob", kBob, "8s", "engineers");
  Held app(w.outside, kBob, kApp);
  ASSERT_TRUE(app.open());
  EXPECT_EQ(knock().roles().size(), 5u);
  auto all = knock().roles();
  knock().kill_all();
  for (const auto& [name, pid] : all)
    EXPECT_TRUE(eventually([&, process = pid] { return !process_exists(process); })) << name;
  ASSERT_LT(wall_now(), until) << "the machine is too slow for this test";
  EXPECT_TRUE(app.answers()) << "the end of the controller cut an entry that has time left";
  expect_cut_at(app, until);
  EXPECT_EQ(w.reach(kBob, kApp), Reached::timeout);
  EXPECT_TRUE(ssh.answers());
  EXPECT_EQ(w.reach(kStranger, kSsh), Reached::timeout);

  auto before = w.server.command({"nft", "-s", "list", "table", "inet", "knock"});
  NftWatch watch(w.server);
  knock().start();
  ASSERT_TRUE(eventually([&] {
    return knock().ask({"status"}, "/targets/0/conditions").find("Synced") != std::string::npos;
  }));
  EXPECT_EQ(knock().knock({"plan", "--detailed-exitcode"}).exit_code, 0);
  EXPECT_EQ(watch.seen(), "") << "a restart with nothing to do wrote to the firewall";
  EXPECT_EQ(w.server.command({"nft", "-s", "list", "table", "inet", "knock"}), before);
  EXPECT_TRUE(ssh.answers());
  EXPECT_EQ(w.reach(kAlice, kSsh), Reached::open);
  EXPECT_NE(alice.get("/").body.find(kAlice), std::string::npos) << "the portal has forgotten her";
  EXPECT_EQ(knock().knock({"audit", "verify"}).exit_code, 0);
}

TEST_F(MainJob, ClosesWhenACommitRemovesTheGroup) {
  auto& w = *world_;
  start();
  auto alice = sign_in("alice", kAlice);
  Held ssh(w.outside, kAlice, kSsh);
  ASSERT_TRUE(ssh.open());
  auto commit = knock().change_policy(
      without(kPolicy, "  admins-ssh: {who: [admins], to: [ssh], ttl: 8h}\n"), "no more ssh");
  auto committed = wall_now();
  EXPECT_TRUE(w.closes(kAlice, kSsh, Duration::seconds(5)));
  EXPECT_TRUE(ssh.falls_silent(Duration::seconds(5)));
  EXPECT_LE(ssh.last_answer(), committed + Duration::seconds(4));
  EXPECT_EQ(knock().ask({"status"}, "/policy/revision"), commit);
  EXPECT_EQ(knock().ask({"status"}, "/policy/subject"), "no more ssh");
  EXPECT_NE(alice.get("/").body.find(kAlice), std::string::npos);
  // Back, without a new sign-in.
  knock().git({"revert", "--no-edit", "HEAD"});
  EXPECT_TRUE(w.opens(kAlice, kSsh, Duration::seconds(5)));
  EXPECT_EQ(knock().knock({"plan", "--detailed-exitcode"}).exit_code, 0);
}

TEST_F(MainJob, HealsHandEditsOnceAndLeavesForeignElementsAlone) {
  auto& w = *world_;
  start();
  w.grant("alice", kAlice, "1h", "admins");
  ASSERT_EQ(w.reach(kAlice, kSsh), Reached::open);
  auto delete_element = [&] {
    w.server.nft(fmt::format("delete element inet knock svc_ssh_h4 {{ {} }}\n", kAlice));
  };
  auto stands = [&](const char* address) { return w.table().find(address) != std::string::npos; };

  w.server.nft(fmt::format("add element inet knock svc_ssh_h4 {{ {} timeout 1h }}\n", kStranger));
  EXPECT_TRUE(eventually([&] { return knock().ask({"status"}, "/targets/0/foreign") == "1"; }));
  EXPECT_EQ(w.reach(kStranger, kSsh), Reached::open) << "the element is not what this test thinks";

  delete_element();
  EXPECT_TRUE(eventually([&] { return stands(kAlice); }, Duration::seconds(1)))
      << "not healed within a second";
  EXPECT_TRUE(eventually([&] { return !w.records("drift.found").empty(); }));
  EXPECT_EQ(w.reach(kAlice, kSsh), Reached::open);

  delete_element();
  EXPECT_TRUE(eventually([&] {
    return knock().ask({"status"}, "/targets/0/conditions").find("Drifted") != std::string::npos;
  })) << "a second removal by hand is not reported";
  EXPECT_EQ(knock().knock({"plan"}).exit_code, 0);
  EXPECT_FALSE(stands(kAlice)) << "a second removal by hand means no";
  EXPECT_EQ(w.reach(kAlice, kSsh), Reached::timeout);

  EXPECT_TRUE(stands(kStranger));
  EXPECT_EQ(knock().ask({"status"}, "/targets/0/foreign"), "1");
  auto plan = knock().knock({"plan"});
  EXPECT_NE(plan.out.find("1 foreign"), std::string::npos) << plan.out;

  // A new sign-in of hers is a new word; what somebody else made stays.
  sign_in("alice", kAlice);
  EXPECT_TRUE(w.opens(kAlice, kSsh));
  EXPECT_TRUE(stands(kStranger));
}

}  // namespace
}  // namespace knock::test
