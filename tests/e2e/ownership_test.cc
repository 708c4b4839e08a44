// SPDX-License-Identifier: Apache-2.0
// One firewall and several who work on it: people by hand, a second installation, and somebody who
// takes over and lets go. Every claim is a connection.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "tests/e2e/world.h"

namespace knock::test {
namespace {

constexpr std::string_view kOwners = R"(knock: 1
groups:
  admins: {idp: admins, from: [local]}
services:
  ssh: {ports: [tcp/2222], targets: [server]}
targets:
  server: {type: nftables, table: knock, protect: true, ownership: SHARED}
allow:
  admins-ssh: {who: [admins], to: [ssh], ttl: 8h}
static:
  probe: {cidr: [198.51.100.11/32], to: [ssh], owner: sre, reason: the probe, until: 2099-01-31}
)";

std::string policy(std::string_view ownership) {
  std::string out(kOwners);
  return out.replace(out.find("SHARED"), 6, ownership);
}

class Ownership : public ::testing::Test {
 protected:
  void SetUp() override {
    KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
    WorldSettings settings;
    settings.git = false;
    settings.oidc = false;
    text_ = policy("shared");
    settings.policy = text_;
    world_ = std::make_unique<World>(settings);
    knock().start();
    ASSERT_TRUE(world_->closes(kStranger, kSsh, Duration::seconds(10)));
    ASSERT_TRUE(world_->opens(kBob, kSsh)) << "the probe";
  }
  void TearDown() override {
    if (world_ && HasFailure())
      std::fprintf(stderr, "%s\n%s\n%s\n", world_->knock->log().c_str(), world_->table().c_str(),
                   knock().knock({"status"}).out.c_str());
  }

  Installation& knock() { return *world_->knock; }
  void adopt_policy(std::string_view ownership) {
    text_ = policy(ownership);
    knock().change_policy(text_);
    auto done = knock().knock({"apply", "--auto-approve"});
    ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  }
  void by_hand(const std::string& element) {
    world_->server.nft("add element inet knock svc_ssh_h4 { " + element + " }");
  }
  static bool says(Installation& knock, std::string_view part) {
    return eventually([&] { return knock.knock({"status"}).out.find(part) != std::string::npos; },
                      Duration::seconds(10));
  }
  /// The yes that a command without a terminal asks for.
  static std::string ack_in(const std::string& text) {
    auto at = text.find("--ack ");
    return at == text.npos ? "" : std::string(trim(text.substr(at + 6, 16)));
  }

  std::unique_ptr<World> world_;
  std::string text_;
};

TEST_F(Ownership, HandsAreWelcomeUntilTheTableIsAdoptedAsAWhole) {
  by_hand(std::string(kStranger) + " comment \"the old VPN\"");
  EXPECT_TRUE(world_->opens(kStranger, kSsh));
  auto imported = knock().knock({"import", "server"});
  EXPECT_EQ(imported.exit_code, 0) << imported.err;
  EXPECT_NE(imported.out.find("198.51.100.13/32"), std::string::npos) << imported.out;
  EXPECT_NE(imported.out.find("the old VPN"), std::string::npos) << imported.out;
  auto file = knock().folder() + "/policy/imported.yaml";
  ASSERT_EQ(knock().knock({"import", "server", "--out", file}).exit_code, 0);
  auto sound = knock().knock({"validate", knock().policy_folder()});
  EXPECT_EQ(sound.exit_code, 0) << sound.out << sound.err;
  std::remove(file.c_str());

  adopt_policy("exclusive");
  EXPECT_TRUE(says(knock(), "knock adopt --exclusive server"));
  EXPECT_EQ(world_->reach(kStranger, kSsh), Reached::open) << "policy alone takes nothing away";
  auto asked = knock().knock({"adopt", "server", "--exclusive"});
  EXPECT_EQ(asked.exit_code, 4) << asked.out << asked.err;
  EXPECT_NE(asked.out.find("198.51.100.13/32"), std::string::npos) << asked.out;
  EXPECT_EQ(world_->reach(kStranger, kSsh), Reached::open);
  auto ack = ack_in(asked.err);
  ASSERT_EQ(ack.size(), 16u) << asked.err;

  // Somebody adds one more in between: that was not shown.
  by_hand("198.51.100.77");
  auto other = knock().knock({"adopt", "server", "--exclusive", "--ack", ack});
  EXPECT_EQ(other.exit_code, 4) << other.out << other.err;
  ack = ack_in(knock().knock({"adopt", "server", "--exclusive"}).err);
  auto done = knock().knock({"adopt", "server", "--exclusive", "--ack", ack});
  EXPECT_EQ(done.exit_code, 0) << done.out << done.err;
  EXPECT_TRUE(world_->closes(kStranger, kSsh));
  EXPECT_EQ(world_->reach(kBob, kSsh), Reached::open);

  by_hand(kStranger);
  EXPECT_TRUE(world_->closes(kStranger, kSsh, Duration::seconds(10))) << "added out of band";
  EXPECT_NE(world_->records("target.ownership").find("exclusive"), std::string::npos);
}

TEST_F(Ownership, ASecondInstallationWritesNothingUntilItTakesOver) {
  (void)world_->grant("alice", kAlice, "1h", "admins");
  EXPECT_TRUE(world_->opens(kAlice, kSsh));
  InstallationSettings settings;
  settings.knock_yaml =
      "listen: \"127.0.0.1:8411\"\nsign_in:\n  local: {type: local, max_session: 8h}\n"
      "keep:\n  - {prefix: 198.51.100.12/32, owner: ops, reason: console}\n";
  Installation second(world_->server, settings, text_);
  auto yaml = read_file(second.folder() + "/knock.yaml");
  auto at = yaml.find("00c0ffee00c0ffee");
  ASSERT_NE(at, yaml.npos);
  write_file(second.folder() + "/knock.yaml", yaml.replace(at, 16, "feedfacefeedface"));
  auto before = world_->table();
  second.start();
  EXPECT_TRUE(says(second, "00c0ffee00c0ffee")) << second.log();
  (void)second.knock({"session", "grant", "mallory", "--from", kStranger, "--ttl", "1h", "--group",
                      "admins", "--reason", "by the other one"});
  EXPECT_NE(world_->reach(kStranger, kSsh), Reached::open);
  EXPECT_EQ(world_->table().substr(0, 200), before.substr(0, 200));
  EXPECT_NE(second.log().find("target.other-owner"), std::string::npos);
  EXPECT_NE(second.knock({"adopt", "server"}).exit_code, 0);

  EXPECT_EQ(knock().stop(), 0);
  auto asked = second.knock({"adopt", "server", "--take-over"});
  EXPECT_EQ(asked.exit_code, 4) << asked.out << asked.err;
  EXPECT_NE(asked.out.find("00c0ffee00c0ffee"), std::string::npos) << asked.out;
  auto done = second.knock({"adopt", "server", "--take-over", "--ack", ack_in(asked.err)});
  EXPECT_EQ(done.exit_code, 0) << done.out << done.err << second.log();
  EXPECT_TRUE(world_->opens(kStranger, kSsh)) << "its own session";
  EXPECT_TRUE(world_->opens(kBob, kSsh)) << "what both want";
  EXPECT_TRUE(world_->closes(kAlice, kSsh)) << "what nobody here wants";
  EXPECT_NE(world_->table().find("feedfacefeedface"), std::string::npos);

  knock().start();
  EXPECT_TRUE(says(knock(), "feedfacefeedface"));
  EXPECT_EQ(world_->reach(kStranger, kSsh), Reached::open) << "the former owner writes nothing";
}

TEST_F(Ownership, ATargetIsReleasedAndAdoptedAgain) {
  (void)world_->grant("alice", kAlice, "1h", "admins");
  EXPECT_TRUE(world_->opens(kAlice, kSsh));
  auto asked = knock().knock({"release", "server"});
  EXPECT_EQ(asked.exit_code, 4) << asked.out << asked.err;
  EXPECT_NE(asked.out.find("sre"), std::string::npos) << asked.out;
  EXPECT_EQ(world_->reach(kAlice, kSsh), Reached::open);
  auto done = knock().knock({"release", "server", "--yes"});
  EXPECT_EQ(done.exit_code, 0) << done.out << done.err;
  EXPECT_TRUE(world_->closes(kAlice, kSsh)) << "no session becomes eternal";
  EXPECT_EQ(world_->reach(kBob, kSsh), Reached::open);
  auto table = world_->table();
  auto sets = table.substr(0, table.find("chain "));
  EXPECT_EQ(sets.find("knock:1:00c0ffee00c0ffee:"), std::string::npos) << sets;
  EXPECT_TRUE(says(knock(), "released"));
  asked = knock().knock({"adopt", "server"});
  EXPECT_EQ(asked.exit_code, 4) << asked.out << asked.err;
  done = knock().knock({"adopt", "server", "--ack", ack_in(asked.err)});
  EXPECT_EQ(done.exit_code, 0) << done.out << done.err;
  EXPECT_TRUE(world_->opens(kAlice, kSsh)) << "she is still signed in";
  EXPECT_EQ(world_->reach(kBob, kSsh), Reached::open);
}

TEST_F(Ownership, WhatIsOnlyObservedStaysAsItIs) {
  EXPECT_EQ(knock().stop(), 0);
  world_->server.nft("flush ruleset");
  text_ = policy("observe");
  knock().change_policy(text_);
  knock().start();
  EXPECT_TRUE(says(knock(), "observed only"));
  auto granted = knock().knock({"session", "grant", "alice", "--from", kAlice, "--ttl", "1h",
                                "--group", "admins", "--reason", "looking"});
  EXPECT_NE((granted.out + granted.err).find("observed only"), std::string::npos)
      << granted.out << granted.err;
  EXPECT_EQ(world_->reach(kStranger, kSsh), Reached::open) << "nothing is closed there either";
  EXPECT_EQ(world_->server.command({"nft", "list", "ruleset"}).find("knock"), std::string::npos);
  auto plan = knock().knock({"plan"});
  EXPECT_NE(plan.out.find("would be added"), std::string::npos) << plan.out;
}

}  // namespace
}  // namespace knock::test
