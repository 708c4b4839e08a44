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
  /// Also where the portal is not up yet.
  bool becomes_ready(int code) {
    return eventually([&] {
      try {
        return ready() == code;
      } catch (const std::exception&) {
        return false;
      }
    });
  }
  Page sign_in(const std::string& address) {
    auto browser = world_->browser("browser" + std::to_string(++browsers_), address);
    return browser.post("/auth/local",
                        {{"user", "lena"}, {"password", kPassword}, {"form", browser.form()}});
  }
  /// Brings the log of a full disk to the point at which it takes nothing more; then does `work`.
  template <class Work>
  net::Finished fill_log_and(Work work) {
    // What its file already has room for, strangers' grants of a moment use up.
    int granted = 0;
    while (granted < 200 &&
           knock().knock({"session", "grant", "mallory", "--from", kStranger, "--ttl", "1s",
                          "--group", "admins", "--reason", std::string(1000, 'x')})
                   .exit_code == 0)
      ++granted;
    EXPECT_LT(granted, 200);
    EXPECT_EQ(ready(), 503);
    return work();
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
  auto refusals = world_->records("policy.refused");
  EXPECT_EQ(knock::split(refusals, '\n').size(), 3u);

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
  EXPECT_EQ(revoked.exit_code, 0) << revoked.err;
  EXPECT_NE(revoked.out.find("kept beside the log"), std::string::npos) << revoked.out;
  EXPECT_TRUE(world_->closes(kBob, kSsh, (soon - wall_now()) + Duration::seconds(2)));

  // Room alone does not bring a log back whose last write failed.
  disk.make_room();
  EXPECT_NE(grant(), 0);
  EXPECT_EQ(ready(), 503);
  EXPECT_EQ(knock().stop(), 0);
  knock().start();
  EXPECT_TRUE(eventually([&] { return ready() == 200; }));
  EXPECT_NE(knock().knock({"session", "revoke", id}).exit_code, 0) << "it came back";
  EXPECT_TRUE(world_->closes(kAlice, kSsh));
  expect_works();
  EXPECT_EQ(knock().knock({"audit", "verify"}).exit_code, 0);
}

TEST_F(BadLuck, WhoWasEndedOnAFullDiskStaysOutWhateverIsRestarted) {
  SmallDisk disk;
  ASSERT_TRUE(disk.usable());
  begin(false, disk.path());
  world_->grant("alice", kAlice, "1h", "admins");
  auto listed = knock().ask({"session", "list"}, "/sessions");
  auto alices = json_at(listed, "/0/id");
  ASSERT_FALSE(alices.empty()) << listed;
  auto lena = world_->browser("lena", kBob);
  ASSERT_EQ(
      lena.post("/auth/local", {{"user", "lena"}, {"password", kPassword}, {"form", lena.form()}})
          .status,
      303);
  ASSERT_TRUE(world_->opens(kAlice, kSsh));
  ASSERT_TRUE(world_->opens(kBob, kSsh));

  disk.fill();
  auto revoked = fill_log_and([&] { return knock().knock({"session", "revoke", alices}); });
  EXPECT_EQ(revoked.exit_code, 0) << revoked.err;
  EXPECT_NE(revoked.out.find("kept beside the log"), std::string::npos) << revoked.out;
  auto page = lena.sign_out();
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.body.find("You are signed out"), std::string::npos) << page.body;
  EXPECT_NE(page.body.find("recorded later"), std::string::npos) << page.body;
  EXPECT_TRUE(status_says("/remarks", "2 sessions were ended"));
  EXPECT_TRUE(world_->closes(kAlice, kSsh));
  EXPECT_TRUE(world_->closes(kBob, kSsh));

  auto expect_out = [&] {
    auto live = knock().ask({"session", "list"}, "/sessions");
    EXPECT_EQ(live.find(kAlice), live.npos) << live;
    EXPECT_EQ(live.find(kBob), live.npos) << live;
    EXPECT_TRUE(eventually([&] { return status("/targets/0/last_full_read") != "null"; }));
    EXPECT_EQ(world_->reach(kAlice, kSsh), Reached::timeout);
    EXPECT_EQ(world_->reach(kBob, kSsh), Reached::timeout);
    EXPECT_NE(lena.get("/").body.find("/auth/local"), std::string::npos) << "signed out";
  };
  for (int restarts = 0; restarts < 2; ++restarts) {
    SCOPED_TRACE("still full");
    knock().kill_all();
    knock().start();
    EXPECT_TRUE(becomes_ready(503));
    expect_out();
    EXPECT_TRUE(status_says("/remarks", "2 sessions were ended"));
  }
  knock().kill_all();
  disk.make_room();
  knock().start();
  EXPECT_TRUE(becomes_ready(200));
  expect_out();
  EXPECT_NE(world_->records("session.ended").find(alices), std::string::npos);
  EXPECT_EQ(knock().knock({"audit", "verify"}).exit_code, 0);
  expect_works();
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

TEST_F(BadLuck, AHangupTakesANewCertificateAndNamesWhatNeedsARestart) {
  begin(false);
  world_->grant("alice", kAlice, "1h", "admins");
  Held ssh(world_->outside, kAlice, kSsh);
  ASSERT_TRUE(ssh.open());
  auto log_says = [&](const char* what) {
    return eventually([&] { return knock().log().find(what) != std::string::npos; });
  };
  std::size_t refused = 0;
  auto is_refused = [&] {
    send_signal(knock().pid(), SIGHUP);
    ++refused;
    return eventually([&] {
      std::size_t lines = 0;
      auto log = knock().log();
      for (auto line : knock::split(log, '\n')) lines += line.find("tls.refused") != line.npos;
      return lines == refused;
    });
  };
  auto key = knock().folder() + "/tls.key", certificate = knock().folder() + "/tls.crt";
  auto front = knock().role("front");
  auto good_key = read_file(key);
  for (const auto& broken : {std::string("no key"), std::string()}) {
    write_file(key, broken);
    EXPECT_TRUE(is_refused());
    EXPECT_EQ(ready(), 200) << "the old pair serves";
  }
  // A key that belongs to another certificate.
  auto make_pair = [&](const std::string& into_key, const std::string& into_certificate) {
    auto made =
        run_in(world_->server, {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                                "/CN=knock", "-addext", std::string("subjectAltName=IP:") + kServer,
                                "-keyout", into_key, "-out", into_certificate});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  };
  auto elsewhere = knock().folder() + "/other";
  make_pair(elsewhere + ".key", elsewhere + ".crt");
  write_file(key, read_file(elsewhere + ".key"));
  EXPECT_TRUE(is_refused());
  EXPECT_EQ(ready(), 200);
  write_file(key, good_key);
  EXPECT_EQ(knock().role("front"), front) << "nothing was replaced so far";
  EXPECT_EQ(knock().log().find("tls.replaced"), std::string::npos);

  // The browsers here trust the file's certificate and no other.
  fs::rename(elsewhere + ".crt", certificate);
  fs::rename(elsewhere + ".key", key);
  EXPECT_THROW(ready(), std::exception) << "the portal has the old one still";
  ASSERT_TRUE(send_signal(knock().pid(), SIGHUP));
  EXPECT_TRUE(becomes_ready(200));
  EXPECT_TRUE(log_says("tls.replaced"));
  EXPECT_TRUE(ssh.answers());

  auto file = knock().folder() + "/knock.yaml";
  auto settings = read_file(file);
  write_file(file, replaced(settings, "poll: 1s", "poll: 2s"));
  ASSERT_TRUE(send_signal(knock().pid(), SIGHUP));
  EXPECT_TRUE(status_says("/remarks", "needs a restart for: policy"));
  EXPECT_TRUE(log_says("config.not-followed"));
  write_file(file, settings + "unknown: 1\n");
  ASSERT_TRUE(send_signal(knock().pid(), SIGHUP));
  // The command line cannot find the socket in such a file either, so the log has to say it.
  EXPECT_TRUE(log_says("has errors, and is not followed"));
  write_file(file, settings);
  ASSERT_TRUE(send_signal(knock().pid(), SIGHUP));
  EXPECT_TRUE(
      eventually([&] { return status("/remarks").find("knock.yaml") == std::string::npos; }));
  expect_works();
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
