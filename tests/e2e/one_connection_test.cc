// SPDX-License-Identifier: Apache-2.0
// `connections: 1` and `until: disconnect` through the whole controller, its processes killed and
// started again in between.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/e2e/world.h"

namespace knock::test {
namespace {

constexpr const char* kByConnection = R"(knock: 1
groups:
  admins: {idp: admins, from: [local]}
services:
  ssh: {ports: [tcp/2222], targets: [server]}
  app: {ports: [tcp/8443], targets: [server]}
targets:
  server: {type: nftables, table: knock, protect: true}
allow:
  jump: {who: [admins], to: [ssh], ttl: 1h, connections: 1}
  stay: {who: [admins], to: [app], ttl: 4s, until: disconnect}
)";

class OneConnection : public ::testing::Test {
 protected:
  void SetUp() override {
    KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
    WorldSettings settings;
    settings.git = false;
    settings.oidc = false;
    settings.policy = kByConnection;
    world_ = std::make_unique<World>(settings);
    knock().start();
    ASSERT_TRUE(world_->closes(kStranger, kSsh, Duration::seconds(10)));
  }
  void TearDown() override {
    if (world_ && HasFailure()) std::fprintf(stderr, "%s\n", knock().log().c_str());
  }

  Installation& knock() { return *world_->knock; }
  /// A sign-in; its session. Waits until all of it is open.
  std::string grant(const std::string& from) {
    auto done = knock().knock({"--json", "session", "grant", "alice", "--from", from, "--ttl", "1h",
                               "--group", "admins", "--reason", "test"});
    EXPECT_EQ(done.exit_code, 0) << done.out << done.err;
    return json_at(done.out, "/session/id");
  }
  bool closed(const std::string& from, int port) {
    return world_->reach(from, port) == Reached::timeout;
  }

  std::unique_ptr<World> world_;
};

TEST_F(OneConnection, IsOneThroughEveryRestart) {
  grant(kAlice);
  Held first(world_->outside, kAlice, kSsh);
  ASSERT_TRUE(first.open());
  EXPECT_TRUE(closed(kAlice, kSsh));
  EXPECT_TRUE(closed(kStranger, kSsh));

  knock().kill_all();
  EXPECT_TRUE(first.answers()) << "the kernel needs no controller";
  EXPECT_TRUE(closed(kAlice, kSsh));
  knock().start();
  EXPECT_TRUE(first.answers());
  EXPECT_TRUE(closed(kAlice, kSsh));
  EXPECT_EQ(knock().stop(), 0);
  knock().start();
  EXPECT_TRUE(first.answers());
  EXPECT_TRUE(closed(kAlice, kSsh));
}

TEST_F(OneConnection, IsSaidInPlainWords) {
  auto granted = knock().knock({"session", "grant", "alice", "--from", kAlice, "--ttl", "1h",
                                "--group", "admins", "--reason", "test"});
  EXPECT_NE(granted.out.find("one connection, to be made by 20"), std::string::npos) << granted.out;
  EXPECT_NE(granted.out.find("until it disconnects, at the latest 20"), std::string::npos)
      << granted.out;
  auto listed = knock().knock({"session", "list"});
  EXPECT_NE(listed.out.find("ssh on server: one connection, to be made by 20"), std::string::npos)
      << listed.out;
  auto why = knock().knock({"why", "alice", "ssh"});
  EXPECT_NE(why.out.find("for one connection, until "), std::string::npos) << why.out;
  auto applied = world_->records("change.applied");
  EXPECT_NE(applied.find("\"ticket\":true"), std::string::npos) << applied;
}

TEST_F(OneConnection, EndsWithItsSessionAndANewSignInIsANewOne) {
  auto session = grant(kAlice);
  Held first(world_->outside, kAlice, kSsh);
  ASSERT_TRUE(first.open());
  EXPECT_EQ(knock().knock({"session", "revoke", session}).exit_code, 0);
  EXPECT_TRUE(first.falls_silent(Duration::seconds(4)));
  EXPECT_TRUE(closed(kAlice, kSsh));
  grant(kAlice);
  EXPECT_TRUE(world_->opens(kAlice, kSsh)) << "one more, and that was it";
  EXPECT_FALSE(first.answers(Duration{700})) << "the old one does not come back with it";
  EXPECT_TRUE(closed(kAlice, kSsh));
}

TEST_F(OneConnection, TakenAwayByHandIsNotGivenAgain) {
  grant(kAlice);
  world_->server.nft("flush set inet knock svc_ssh_s4\nflush map inet knock svc_ssh_o4\n");
  EXPECT_TRUE(eventually([&] {
    return world_->records("drift.found").find("removed by somebody else") != std::string::npos;
  }));
  EXPECT_TRUE(closed(kAlice, kSsh));
  knock().kill_all();
  knock().start();
  EXPECT_TRUE(closed(kAlice, kSsh));
  grant(kAlice);
  EXPECT_TRUE(world_->opens(kAlice, kSsh));
}

TEST_F(OneConnection, WhatStaysGoesWhenItsSessionEnds) {
  auto session = grant(kAlice);
  Held one(world_->outside, kAlice, kApp);
  ASSERT_TRUE(one.open());
  EXPECT_TRUE(world_->closes(kAlice, kApp, Duration::seconds(10))) << "nobody comes after its time";
  EXPECT_TRUE(one.answers()) << "but who is there stays";
  knock().kill_all();
  knock().start();
  EXPECT_TRUE(one.answers());
  EXPECT_TRUE(closed(kAlice, kApp));
  EXPECT_EQ(knock().knock({"session", "revoke", session}).exit_code, 0);
  EXPECT_TRUE(one.falls_silent(Duration::seconds(4)));
}

}  // namespace
}  // namespace knock::test
