// SPDX-License-Identifier: Apache-2.0
// What breaks around a controller and within it: policy, repository, disk, processes, names.
// Nothing opens for it, what must close closes, and status says what is wrong.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>

#include "base/text.h"
#include "tests/e2e/world.h"

namespace knock::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLocalPolicy = R"(knock: 1
groups:
  admins: {idp: admins, from: [local]}
services:
  ssh: {ports: [tcp/2222], targets: [server]}
  app: {ports: [tcp/8443], targets: [server]}
targets:
  server: {type: nftables, table: knock, protect: true}
allow:
  admins-ssh: {who: [admins], to: [ssh, app], ttl: 8h}
)";
constexpr const char* kPassword = "four old words here";

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  text.replace(text.find(what), what.size(), with);
  return text;
}

class BadLuck : public ::testing::Test {
 protected:
  void SetUp() override { KNOCK_NEED("netns", have_namespaces(), kNoNamespaces); }

  void begin(bool git, const std::string& state = {}) {
    WorldSettings settings;
    settings.git = git;
    settings.oidc = false;
    settings.policy = kLocalPolicy;
    settings.state = state;
    world_ = std::make_unique<World>(settings);
    auto added = knock().knock({"user", "add", "lena", "--group", "admins", "--password-stdin"},
                               std::string(kPassword) + "\n");
    ASSERT_EQ(added.exit_code, 0) << added.err;
    knock().start();
    ASSERT_TRUE(world_->closes(kStranger, kSsh, Duration::seconds(10)));
    ASSERT_EQ(ready(), 200);
  }

  void TearDown() override {
    if (world_ && HasFailure())
      std::fprintf(stderr, "%s\n%s\n", world_->knock->log().c_str(), status("").c_str());
  }

  Installation& knock() { return *world_->knock; }
  std::string status(const std::string& pointer) { return knock().ask({"status"}, pointer); }
  bool status_says(const std::string& pointer, std::string_view part,
                   Duration patience = Duration::seconds(5)) {
    return eventually([&] { return status(pointer).find(part) != std::string::npos; }, patience);
  }
  int ready() { return world_->browser("prober", kStranger).get("/ready").status; }
  Page sign_in(const std::string& address) {
    auto browser = world_->browser("browser" + std::to_string(++browsers_), address);
    return browser.post("/auth/local",
                        {{"user", "lena"}, {"password", kPassword}, {"form", browser.form()}});
  }
  /// A fresh grant opens, and closes when it is revoked: the whole chain works.
  void expect_works() {
    std::string id;
    EXPECT_TRUE(eventually([&] {
      auto done = knock().knock({"--json", "session", "grant", "bob", "--from", kBob, "--ttl", "1h",
                                 "--group", "admins", "--reason", "it works"});
      id = json_at(done.out, "/session/id");
      return done.exit_code == 0;
    }));
    EXPECT_TRUE(world_->opens(kBob, kSsh));
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), id.npos) << id << " cannot always be typed";
    auto revoked = knock().knock({"session", "revoke", id});
    EXPECT_EQ(revoked.exit_code, 0) << id << revoked.err;
    EXPECT_TRUE(world_->closes(kBob, kSsh));
  }

  std::unique_ptr<World> world_;
  int browsers_ = 0;
};

TEST_F(BadLuck, ABrokenCommitLeavesTheLastGoodPolicyInForce) {
  begin(true);
  auto good = knock().git({"rev-parse", "HEAD"});
  world_->grant("alice", kAlice, "1h", "admins");
  Held ssh(world_->outside, kAlice, kSsh);
  ASSERT_TRUE(ssh.open());

  auto bad = knock().change_policy(replaced(kLocalPolicy, "who: [admins]", "who: [admin]"));
  EXPECT_TRUE(status_says("/policy/problem", bad));
  EXPECT_EQ(status("/policy/revision"), good);
  EXPECT_NE(status("/policy/problem").find("main.yaml:10"), std::string::npos)
      << status("/policy/problem");
  EXPECT_EQ(ready(), 200);
  EXPECT_NE(world_->records("policy.refused").find(bad), std::string::npos);

  bad = knock().change_policy("knock: 1\n\t\xff{{{ no yaml");
  EXPECT_TRUE(status_says("/policy/problem", bad));
  EXPECT_EQ(status("/policy/revision"), good);
  // Nobody is told the same thing every second.
  EXPECT_EQ(knock::split(world_->records("policy.refused"), '\n').size(), 3u);

  auto mended = knock().change_policy(replaced(kLocalPolicy, "8h", "7h"));
  EXPECT_TRUE(status_says("/policy/revision", mended));
  EXPECT_EQ(status("/policy/problem"), "");
  EXPECT_TRUE(ssh.answers());
}

TEST_F(BadLuck, ARepositoryThatGoesAwayIsEmptiedOrForcedBackChangesNothing) {
  begin(true);
  auto first = knock().git({"rev-parse", "HEAD"});
  auto good = knock().change_policy(replaced(kLocalPolicy, "8h", "7h"), "shorter");
  ASSERT_TRUE(status_says("/policy/revision", good));
  world_->grant("alice", kAlice, "1h", "admins");
  Held ssh(world_->outside, kAlice, kSsh);
  ASSERT_TRUE(ssh.open());

  auto away = knock().folder() + "/away";
  fs::rename(knock().policy_folder(), away);
  EXPECT_TRUE(eventually([&] { return !status("/policy/problem").empty(); }));
  EXPECT_EQ(status("/policy/revision"), good);
  EXPECT_EQ(ready(), 200);
  // Back from the store, without the repository.
  EXPECT_EQ(knock().stop(), 0);
  knock().start();
  EXPECT_TRUE(status_says("/targets/0/conditions", "Synced"));
  EXPECT_EQ(status("/policy/revision"), good);
  EXPECT_FALSE(status("/policy/problem").empty());
  EXPECT_TRUE(ssh.answers());
  fs::rename(away, knock().policy_folder());
  EXPECT_TRUE(eventually([&] { return status("/policy/problem").empty(); }));

  knock().git({"rm", "-q", "-r", "."});
  knock().git({"commit", "-q", "-m", "all gone"});
  EXPECT_TRUE(status_says("/policy/problem", knock().git({"rev-parse", "HEAD"}).substr(0, 12)));
  EXPECT_EQ(status("/policy/revision"), good);

  knock().git({"reset", "-q", "--hard", first});
  EXPECT_TRUE(status_says("/policy/problem", "went back"));
  EXPECT_EQ(status("/policy/revision"), good);

  knock().git({"update-ref", "-d", "refs/heads/main"});
  EXPECT_TRUE(status_says("/policy/problem", "main"));
  EXPECT_EQ(status("/policy/revision"), good);
  EXPECT_TRUE(ssh.answers());
  EXPECT_EQ(ready(), 200);
}

/// A file system of its own for the store, seen by this process and its children only.
class SmallDisk {
 public:
  SmallDisk() {
    usable_ = unshare(CLONE_NEWNS) == 0 &&
              mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
              mount("knock-test", path().c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=2m") == 0;
  }
  ~SmallDisk() {
    if (usable_) umount2(path().c_str(), MNT_DETACH);
  }
  bool usable() const { return usable_; }
  const std::string& path() const { return folder_.path(); }
  void fill() {
    int fd = open((path() + "/filler").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const std::string piece(4096, 'x');
    while (write(fd, piece.data(), piece.size()) > 0) continue;
    close(fd);
  }
  void make_room() { fs::remove(path() + "/filler"); }

 private:
  TemporaryFolder folder_;
  bool usable_ = false;
};

TEST_F(BadLuck, AFullDiskOpensNothingAndStillCloses) {
  SmallDisk disk;
  ASSERT_TRUE(disk.usable());
  begin(false, disk.path());
  auto soon = world_->grant("bob", kBob, "5s", "admins");
  world_->grant("alice", kAlice, "1h", "admins");
  Held ssh(world_->outside, kAlice, kSsh);
  ASSERT_TRUE(ssh.open());
  auto listed = knock().ask({"session", "list"}, "/sessions");
  auto alices = json_at(listed, "/0/address") == kAlice ? "/0/id" : "/1/id";
  auto id = json_at(listed, alices);
  ASSERT_FALSE(id.empty()) << listed;

  disk.fill();
  // The log's file may have room for a few more records; then there is none.
  int granted = 0;
  auto grant = [&] {
    return knock()
        .knock({"session", "grant", "mallory", "--from", kStranger, "--ttl", "1s", "--group",
                "admins", "--reason", std::string(1000, 'x')})
        .exit_code;
  };
  while (granted < 200 && grant() == 0) ++granted;
  ASSERT_LT(granted, 200);
  EXPECT_EQ(ready(), 503);
  EXPECT_NE(status("/not_ready_because").find("log"), std::string::npos);
  EXPECT_TRUE(world_->closes(kStranger, kSsh));
  EXPECT_EQ(sign_in(kStranger).status, 403);
  EXPECT_NE(grant(), 0);
  EXPECT_EQ(world_->reach(kStranger, kSsh), Reached::timeout);
  EXPECT_TRUE(ssh.answers()) << "what is open stays open";

  // Closing goes on, by time and by hand.
  auto revoked = knock().knock({"session", "revoke", id, "--reason", "while the disk is full"});
  EXPECT_TRUE(ssh.falls_silent(Duration::seconds(3)));
  EXPECT_EQ(world_->reach(kAlice, kSsh), Reached::timeout);
  EXPECT_NE(revoked.exit_code, 0) << "it could not be recorded, and nobody is told";
  EXPECT_NE(revoked.err.find("revoke it once more"), std::string::npos) << revoked.err;
  EXPECT_TRUE(world_->closes(kBob, kSsh, (soon - wall_now()) + Duration::seconds(2)));

  // Room alone does not bring a log back whose last write failed.
  disk.make_room();
  EXPECT_NE(grant(), 0);
  EXPECT_EQ(ready(), 503);
  EXPECT_EQ(knock().stop(), 0);
  knock().start();
  EXPECT_TRUE(eventually([&] { return ready() == 200; }));
  EXPECT_EQ(knock().knock({"session", "revoke", id}).exit_code, 0);
  EXPECT_TRUE(world_->closes(kAlice, kSsh));
  expect_works();
  EXPECT_EQ(knock().knock({"audit", "verify"}).exit_code, 0);
}

TEST(SendSignal, ReachesOneProcessOrNone) {
  for (pid_t many : {-1, 0, 1, -int(getpid())})
    EXPECT_THROW(send_signal(many, 0), std::logic_error) << many;
}

TEST_F(BadLuck, EachRoleMayBeKilledByItself) {
  begin(false);
  world_->grant("alice", kAlice, "1h", "admins");
  Held ssh(world_->outside, kAlice, kSsh);
  ASSERT_TRUE(ssh.open());
  for (const char* name : {"apply", "verifier", "front"}) {
    SCOPED_TRACE(name);
    auto pid = knock().role(name);
    ASSERT_GT(pid, 0);
    ASSERT_TRUE(send_signal(pid, SIGKILL));
    ASSERT_TRUE(eventually([&] { return knock().role(name) != pid; }));
    // The portal may be away for a moment; a sign-in that fails is tried again as people do.
    EXPECT_TRUE(eventually([&] {
      try {
        return sign_in(kStranger).status == 303;
      } catch (const std::exception&) {
        return false;
      }
    }));
    EXPECT_TRUE(world_->opens(kStranger, kSsh));
    expect_works();
    EXPECT_GT(knock().role(name), 0);
    EXPECT_TRUE(ssh.answers());
  }
  EXPECT_NE(knock().log().find("role.ended"), std::string::npos);

  // Without core nobody decides: the parent ends, and everybody with it.
  auto all = knock().roles();
  ASSERT_EQ(all.size(), 5u);
  ASSERT_TRUE(send_signal(knock().role("core"), SIGKILL));
  EXPECT_GT(knock().wait_for_end(Duration::seconds(5)), 0);
  for (const auto& [name, pid] : all)
    EXPECT_TRUE(eventually([&, process = pid] { return !process_exists(process); })) << name;
  EXPECT_NE(knock().log().find("core.killed"), std::string::npos);
  EXPECT_TRUE(ssh.answers());
  knock().start();
  EXPECT_TRUE(eventually([&] { return ready() == 200; }));
  expect_works();
  EXPECT_TRUE(ssh.answers());

  // Nor does anybody stay when the parent is killed.
  all = knock().roles();
  ASSERT_TRUE(send_signal(knock().pid(), SIGKILL));
  EXPECT_EQ(knock().wait_for_end(Duration::seconds(5)), 128 + SIGKILL);
  for (const auto& [name, pid] : all)
    EXPECT_TRUE(eventually([&, process = pid] { return !process_exists(process); })) << name;
  EXPECT_TRUE(ssh.answers());
}

TEST_F(BadLuck, NamesAreNeverInterpreted) {
  begin(false);
  world_->server.nft("add table inet canary\n");
  const std::string evil =
      "x\"; flush ruleset; $(touch pwned) `id`\n\x1b[31mred\xe2\x80\xae'<script>alert(1)</script>";
  auto granted = knock().knock({"session", "grant", evil, "--from", kAlice, "--ttl", "1h",
                                "--group", "admins", "--reason", evil});
  auto shown = [&](const net::Finished& done) {
    auto all = done.out + done.err;
    EXPECT_EQ(all.find('\x1b'), all.npos) << all;
    EXPECT_EQ(all.find("\xe2\x80\xae"), all.npos) << all;
    return all;
  };
  shown(granted);
  EXPECT_EQ(granted.exit_code, 0) << granted.err;
  EXPECT_TRUE(world_->opens(kAlice, kSsh));
  shown(knock().knock({"session", "list"}));
  shown(knock().knock({"audit", "tail"}));
  shown(knock().knock({"why", kAlice, "ssh"}));
  shown(knock().knock({"who", "--service", "ssh"}));
  shown(knock().knock({"plan"}));
  shown(knock().knock({"session", "revoke", evil}));
  shown(knock().knock({"session", "grant", "bob", "--from", evil, "--ttl", "1h", "--reason", "r"}));
  shown(knock().knock({"why", evil, evil}));
  EXPECT_EQ(knock().log().find('\x1b'), std::string::npos);
  auto browser = world_->browser("evil", kStranger);
  auto page =
      browser.post("/auth/local", {{"user", evil}, {"password", "x"}, {"form", browser.form()}});
  EXPECT_EQ(page.status, 403);
  EXPECT_EQ(page.body.find("<script>alert"), page.body.npos);
  EXPECT_EQ(world_->reach(kStranger, kSsh), Reached::timeout);
  EXPECT_NE(world_->server.command({"nft", "list", "tables"}).find("canary"), std::string::npos);
  EXPECT_EQ(knock().knock({"audit", "verify"}).exit_code, 0);
}

}  // namespace
}  // namespace knock::test
