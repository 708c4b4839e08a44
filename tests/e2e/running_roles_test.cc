// SPDX-License-Identifier: Apache-2.0
// What each role of a running controller holds, as the kernel tells: descriptors, environment,
// capabilities, system call filter. And what happens when one of them stops answering.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "base/text.h"
#include "net/sandbox.h"
#include "tests/e2e/world.h"

namespace knock::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNamed = "PLANTED_CLIENT_SECRET";   // knock.yaml names it
constexpr const char* kBeside = "AWS_SECRET_ACCESS_KEY";  // stands beside it
constexpr const char* kPlanted = "planted-beside-0123456789";

std::string proc(pid_t pid, const std::string& what) {
  return "/proc/" + std::to_string(pid) + "/" + what;
}

/// A line of a status file: "CapEff" → "0000000000000000".
std::string status(const std::string& file, const std::string& field) {
  auto text = read_file(file);
  for (auto line : split(text, '\n'))
    if (line.starts_with(field + ":")) return std::string(trim(line.substr(field.size() + 1)));
  return "no " + field;
}

/// Sockets of a network namespace by inode, named by what they are.
std::map<std::string, std::string> sockets(const Namespace& where) {
  std::map<std::string, std::string> out;
  where.run([&] {
    auto each_line = [](const char* table, auto&& act) {
      auto text = read_file(std::string("/proc/thread-self/net/") + table);
      for (auto line : split(text, '\n')) {
        std::istringstream words{std::string(line)};
        std::vector<std::string> row{std::istream_iterator<std::string>(words), {}};
        if (row.size() > 6) act(row);
      }
    };
    for (const char* table : {"tcp", "tcp6"})
      each_line(table, [&](auto& row) {
        if (row.size() > 9) out[row[9]] = row[3] == "0A" ? "tcp listening" : "tcp connection";
      });
    for (const char* table : {"udp", "udp6"})
      each_line(table, [&](auto& row) {
        if (row.size() > 9) out[row[9]] = "udp";
      });
    each_line("unix", [&](auto& row) {
      bool named = row.size() > 7;
      bool listens = row[3] == "00010000";
      out[row[6]] = listens ? "unix listening" : named ? "unix connection" : "unix pair";
    });
    each_line("netlink", [&](auto& row) {
      if (row.size() > 9) out[row[9]] = "netlink";
    });
  });
  return out;
}

class RunningRoles : public ::testing::Test {
 protected:
  void SetUp() override {
    KNOCK_NEED("netns", have_namespaces(), kNoNamespaces);
    KNOCK_NEED("oidc", OidcProvider::ready(), OidcProvider::why_not());
    WorldSettings settings;
    settings.git = false;
    world_ = std::make_unique<World>(settings);
    auto yaml = knock().folder() + "/knock.yaml";
    auto text = read_file(yaml);
    auto at = text.find("file:oidc.secret");
    ASSERT_NE(at, text.npos);
    write_file(yaml, text.replace(at, 16, std::string("env:") + kNamed));
    setenv(kNamed, OidcProvider::secret_of("knock").c_str(), 1);
    setenv(kBeside, kPlanted, 1);
    knock().start();
    unsetenv(kNamed);
    unsetenv(kBeside);
    ASSERT_TRUE(world_->closes(kStranger, kSsh, Duration::seconds(10)));
    ASSERT_TRUE(eventually([&] { return knock().roles().size() == 5; }, Duration::seconds(10)));
  }
  void TearDown() override {
    if (world_ && HasFailure()) std::fprintf(stderr, "%s\n", knock().log().c_str());
  }
  Installation& knock() { return *world_->knock; }

  Page sign_in(const std::string& name) {
    auto browser = world_->browser(name, kAlice);
    return browser.get(browser.callback(*world_->provider, world_->server, "corp", "alice"));
  }

  /// What a process holds beyond its standard streams, sorted; several of one kind as "kind ×3", but
  /// for the store's files, whose number is the store's matter.
  std::string descriptors(pid_t pid) {
    auto known = sockets(world_->server);
    std::map<std::string, int> kinds;
    for (const auto& each : fs::directory_iterator(proc(pid, "fd"))) {
      if (std::stoi(each.path().filename()) < 3) continue;
      auto to = fs::read_symlink(each.path()).string();
      if (to.starts_with("socket:[")) {
        auto found = known.find(to.substr(8, to.size() - 9));
        to = found == known.end() ? "unknown " + to : found->second;
      } else if (to.starts_with(knock().state_folder())) {
        auto file = to.substr(knock().state_folder().size() + 1);
        to = file.starts_with("knock.db") ? "the store" : file;
      }
      ++kinds[to];
    }
    std::string out;
    for (const auto& [kind, count] : kinds)
      out += (out.empty() ? "" : ", ") + kind +
             (count > 1 && kind != "the store" ? " ×" + std::to_string(count) : "");
    return out;
  }

  std::unique_ptr<World> world_;
};

TEST_F(RunningRoles, HoldExactlyTheDescriptorsTheyShould) {
  // What an event loop needs for itself: no way to anybody.
  const std::string loop = "anon_inode:[eventfd], anon_inode:[eventpoll], anon_inode:[timerfd]";
  // Each pair leads to the parent or to core; core has one to each of the four others.
  EXPECT_EQ(descriptors(knock().role("verifier")), "anon_inode:[eventfd], unix pair");
  ASSERT_EQ(sign_in("once").status, 303) << "now each has worked, and opened what it opens later";
  auto opened = [&](const std::string& role) { return descriptors(knock().role(role)); };
  EXPECT_TRUE(eventually([&] { return opened("front") == loop + ", tcp listening, unix pair"; },
                         Duration::seconds(5)))
      << opened("front");
  EXPECT_EQ(opened("apply"), "netlink ×2, unix pair");
  // Connections to the provider are kept, and curl wakes its own threads through pairs.
  EXPECT_TRUE(std::regex_match(
      opened("verifier"),
      std::regex("anon_inode:\\[eventfd\\], tcp connection( ×[2-8])?, unix pair ×[3579]")))
      << opened("verifier");
  EXPECT_EQ(opened("core"),
            "anon_inode:[eventfd], anon_inode:[eventpoll], anon_inode:[signalfd], "
            "anon_inode:[timerfd], the store, unix listening, unix pair ×4");
}

TEST_F(RunningRoles, HaveNoSecretInTheirEnvironment) {
  ASSERT_EQ(sign_in("once").status, 303) << "the secret has reached whoever needs it";
  const std::set<std::string> kMay{"LANG",
                                   "TZ",
                                   "SSL_CERT_FILE",
                                   "SSL_CERT_DIR",
                                   "RES_OPTIONS",
                                   "LOCALDOMAIN",
                                   "ASAN_OPTIONS",
                                   "LSAN_OPTIONS",
                                   "TSAN_OPTIONS",
                                   "UBSAN_OPTIONS",
                                   "LD_LIBRARY_PATH",
                                   "LLVM_PROFILE_FILE"};
  for (const auto& [role, pid] : knock().roles()) {
    SCOPED_TRACE(role);
    auto all = read_file(proc(pid, "environ"));
    bool planted = all.find(kPlanted) != all.npos, named = all.find(kNamed) != all.npos;
    if (role == "parent") {
      EXPECT_TRUE(planted && named) << "else this test shows nothing";
      continue;
    }
    EXPECT_FALSE(named);
    EXPECT_EQ(all.find(OidcProvider::secret_of("knock")), all.npos);
    if (role == "core") continue;  // it runs git, which may need whatever the operator gave
    EXPECT_FALSE(planted);
    for (auto variable : split(all, '\0'))
      if (!variable.empty())
        EXPECT_TRUE(kMay.contains(std::string(variable.substr(0, variable.find('='))))) << variable;
  }
}

TEST_F(RunningRoles, AreConfinedInEachOfTheirThreads) {
  const std::string none(16, '0'), net_admin = "0000000000001000";
  int threads = 0;
  for (const auto& [role, pid] : knock().roles()) {
    if (role == "parent") continue;
    for (const auto& task : fs::directory_iterator(proc(pid, "task"))) {
      ++threads;
      auto file = task.path().string() + "/status";
      SCOPED_TRACE(role + " " + file);
      for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
        EXPECT_EQ(status(file, set), role == "apply" ? net_admin : none) << set;
      EXPECT_EQ(status(file, "NoNewPrivs"), "1");
      // core runs git and opens files of many kinds; it faces no network.
      EXPECT_EQ(status(file, "Seccomp"), role != "core" && net::can_confine() ? "2" : "0");
    }
    // No core files, and files below /proc that others of the same user cannot open: those of a
    // process that may not be dumped are root's.
    EXPECT_NE(
        read_file(proc(pid, "limits")).find("Max core file size        0                    0"),
        std::string::npos);
    struct stat about{};
    ASSERT_EQ(stat(proc(pid, "environ").c_str(), &about), 0);
    EXPECT_EQ(about.st_uid, 0u);
  }
  EXPECT_GT(threads, 8);
}

/// Stopped, it neither closes its socket nor ends; only a question that it must answer tells.
TEST_F(RunningRoles, AreReplacedWhenTheyHang) {
  ASSERT_EQ(sign_in("before").status, 303);
  Held ssh(world_->outside, kAlice, kSsh);
  ASSERT_TRUE(ssh.open());
  auto front = knock().role("front"), verifier = knock().role("verifier");
  ASSERT_GT(front, 0);
  ASSERT_GT(verifier, 0);
  ASSERT_TRUE(send_signal(front, SIGSTOP));
  ASSERT_TRUE(send_signal(verifier, SIGSTOP));
  EXPECT_TRUE(eventually(
      [&] {
        auto now = knock().role("front");
        return now > 0 && now != front;
      },
      Duration::seconds(20)));
  EXPECT_FALSE(process_exists(front)) << "it still has the listening socket";
  EXPECT_TRUE(
      eventually([&] { return world_->browser("after", kBob).get("/health").status == 200; },
                 Duration::seconds(10)));
  EXPECT_TRUE(eventually([&] { return knock().log().find("verifier.hangs") != std::string::npos; },
                         Duration::seconds(45)));
  EXPECT_EQ(sign_in("again").status, 303) << "the first question goes to a fresh one";
  EXPECT_FALSE(process_exists(verifier));
  for (const char* id : {"front.hangs", "role.replaced"})
    EXPECT_NE(knock().log().find(id), std::string::npos) << id;
  EXPECT_TRUE(ssh.answers()) << "an open door is nobody's but the firewall's";
}

TEST_F(RunningRoles, AreNotStartedAsAUserWhoMustNotBe) {
  auto yaml = knock().folder() + "/knock.yaml";
  auto text = read_file(yaml);
  auto line = std::to_string(1 + std::count(text.begin(), text.end(), '\n'));
  for (const char* user : {"root", "knock-no-such-user"}) {
    write_file(yaml, text + "front_user: " + user + "\n");
    if (getuid() != 0 && std::string(user) != "root") continue;  // nobody can be become anyway
    auto done = knock().knock({"serve", "--check"});
    EXPECT_EQ(done.exit_code, 3) << user;
    EXPECT_NE(done.err.find("knock.yaml:" + line + ":13: error: "), std::string::npos) << done.err;
    EXPECT_NE(done.err.find("config.bad-user"), std::string::npos) << done.err;
  }
  write_file(yaml, text);
  EXPECT_EQ(knock().knock({"serve", "--check"}).exit_code, 0);
}

}  // namespace
}  // namespace knock::test
