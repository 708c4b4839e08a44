// SPDX-License-Identifier: Apache-2.0
// `knock sweep` with the program itself and a real firewall, and no controller: what a controller
// left there closes by the marks alone, and nothing else is touched.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/text.h"
#include "reconciler/core/marker.h"
#include "tests/e2e/world.h"

namespace knock::test {
namespace {

constexpr const char* kStay = R"(knock: 1
groups:
  admins: {idp: admins, from: [local]}
services:
  ssh: {ports: [tcp/2222], targets: [server]}
targets:
  server: {type: nftables, table: knock, protect: true}
allow:
  admins-in: {who: [admins], to: [ssh], ttl: 8h}
)";

class Sweep : public ::testing::Test {
 protected:
  void SetUp() override {
    KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
    WorldSettings settings;
    settings.git = settings.oidc = false;
    settings.policy = kStay;
    world_ = std::make_unique<World>(settings);
    knock().start();
    ASSERT_TRUE(world_->closes(kStranger, kSsh, Duration::seconds(10)));
    world_->grant("alice", kAlice, "1h", "admins");
    world_->grant("carol", "192.0.2.9", "1h", "admins");
    ASSERT_TRUE(world_->opens(kAlice, kSsh));
    knock().kill_all();
  }

  Installation& knock() { return *world_->knock; }

  static std::string mark(std::uint64_t owner, Duration left) {
    auto until = (wall_now() + left).floor_to_second();
    return to_string(Marker{OwnerId{owner}, until, EntryId{77}});
  }
  /// An element as somebody might leave it there: with another life than its mark says, or none.
  void element(const std::string& address, const std::string& comment,
               const std::string& timeout = {}) {
    world_->server.nft(fmt::format("add element inet knock svc_ssh_h4 {{ {} {} {} }}\n", address,
                                   timeout.empty() ? "" : "timeout " + timeout,
                                   comment.empty() ? "" : "comment \"" + comment + "\""));
  }
  net::Finished sweep(std::vector<std::string> words) {
    words.insert(words.begin(), {"sweep", "--target", "nftables:knock"});
    return knock().knock(words);
  }
  bool stands(const std::string& address) {
    return world_->table().find(address + " ") != std::string::npos ||
           world_->table().find(address + ",") != std::string::npos;
  }

  static constexpr std::uint64_t kOurs = 0x00c0ffee00c0ffee, kOther = 0x00c0ffee00c0ff00;
  std::unique_ptr<World> world_;
};

TEST_F(Sweep, ClosesWhatRanOutAndTouchesNothingElse) {
  element(kStranger, mark(kOurs, Duration::hours(-1)));          // its timeout was taken away
  element("192.0.2.2", mark(kOurs, Duration::hours(-1)), "2h");  // prolonged
  element("192.0.2.3", mark(kOther, Duration::hours(-1)));
  element("192.0.2.4", "");
  element("192.0.2.5", "knock:2:00c0ffee00c0ffee:0000000001:0000000000000001");
  element("192.0.2.6", mark(kOurs, Duration::seconds(-30)));  // within the grace
  ASSERT_TRUE(world_->opens(kStranger, kSsh)) << "or nothing is shown here";
  auto before = world_->table();
  auto stamp = knock().folder() + "/stamp";
  const std::vector<std::string> ours{"--owner", "00c0ffee00c0ffee", "--stamp", stamp};

  auto dry = ours;
  dry.push_back("--dry-run");
  auto shown = sweep(dry);
  EXPECT_EQ(shown.exit_code, 2) << shown.out << shown.err;
  EXPECT_NE(shown.out.find("would close " + std::string(kStranger)), std::string::npos)
      << shown.out;
  EXPECT_NE(shown.out.find("a version of knock that this one does not know"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(stamp)) << "nothing was swept";
  EXPECT_TRUE(stands(kStranger));

  auto done = sweep(ours);
  EXPECT_EQ(done.exit_code, 0) << done.out << done.err;
  EXPECT_NE(done.out.find("2 closed, 3 with time left, 1 foreign, 1 of other owners"),
            std::string::npos)
      << done.out;
  EXPECT_TRUE(world_->closes(kStranger, kSsh));
  EXPECT_FALSE(stands("192.0.2.2"));
  for (const char* address : {kAlice, "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"})
    EXPECT_TRUE(stands(address)) << address << "\n" << before << world_->table();
  EXPECT_TRUE(world_->opens(kAlice, kSsh));
  EXPECT_TRUE(read_file(stamp).starts_with("knock sweep 1 20")) << read_file(stamp);

  auto after = world_->table();
  auto again = sweep(ours);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_NE(again.out.find("0 closed"), std::string::npos) << again.out;
  auto all = knock().knock({"--json", "sweep", "--target", "nftables:knock", "--any-owner"});
  EXPECT_EQ(all.exit_code, 0) << all.err;
  EXPECT_EQ(json_at(all.out, "/targets/0/closed/0/prefix"), "192.0.2.3/32") << all.out;
  EXPECT_TRUE(stands("192.0.2.4"));

  // The controller comes back and goes on as if nothing had been.
  knock().start();
  EXPECT_TRUE(world_->opens(kAlice, kSsh));
  EXPECT_EQ(knock().knock({"audit", "verify"}).exit_code, 0);
}

TEST_F(Sweep, RefusesWhatItCannotKnow) {
  auto unsaid = sweep({});
  EXPECT_EQ(unsaid.exit_code, 64);
  EXPECT_NE(unsaid.err.find("--any-owner"), std::string::npos) << unsaid.err;
  EXPECT_EQ(sweep({"--owner", "ours"}).exit_code, 64);
  EXPECT_EQ(sweep({"--owner", "00c0ffee00c0ffee", "--any-owner"}).exit_code, 64);
  auto nowhere = knock().knock({"sweep", "--any-owner", "--target", "iptables:filter"});
  EXPECT_EQ(nowhere.exit_code, 64) << nowhere.err;
  auto none = knock().knock({"sweep", "--any-owner", "--target", "nftables:nothing"});
  EXPECT_EQ(none.exit_code, 0) << none.err;
  EXPECT_NE(none.out.find("no such table"), std::string::npos) << none.out;
  auto partly = knock().knock({"sweep", "--any-owner", "--target", "nftables:knock", "--target",
                               "nftables:knock@/nonexistent"});
  EXPECT_EQ(partly.exit_code, 6) << partly.out << partly.err;
}

/// As a clock that jumped a year shows itself: by the kernel's count all of them have time left.
TEST_F(Sweep, DoesNotBelieveAClockThatMostEntriesContradict) {
  for (int i = 20; i < 24; ++i)
    element("192.0.2." + std::to_string(i), mark(kOurs, Duration::hours(-24)), "1h");
  auto refused = sweep({"--owner", "00c0ffee00c0ffee"});
  EXPECT_EQ(refused.exit_code, 1) << refused.out;
  EXPECT_NE(refused.err.find("4 of 6 entries"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("--trust-clock"), std::string::npos) << refused.err;
  EXPECT_TRUE(stands("192.0.2.20"));
  auto told = sweep({"--owner", "00c0ffee00c0ffee", "--trust-clock"});
  EXPECT_EQ(told.exit_code, 0) << told.err;
  EXPECT_FALSE(stands("192.0.2.20"));
  EXPECT_TRUE(stands(kAlice));
}

}  // namespace
}  // namespace knock::test
