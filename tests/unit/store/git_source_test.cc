// SPDX-License-Identifier: Apache-2.0
#include "store/git/git_source.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "tests/unit/store/git_repository.h"

namespace knock {
namespace {

namespace fs = std::filesystem;

/// An environment variable for as long as the value lives.
class Variable {
 public:
  Variable(std::string name, const std::string& value) : name_(std::move(name)) {
    const char* old = std::getenv(name_.c_str());
    had_ = old != nullptr;
    if (had_) old_ = old;
    ::setenv(name_.c_str(), value.c_str(), 1);
  }
  ~Variable() {
    if (had_)
      ::setenv(name_.c_str(), old_.c_str(), 1);
    else
      ::unsetenv(name_.c_str());
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  std::string name_, old_;
  bool had_ = false;
};

class GitSourceTest : public testing::Test {
 protected:
  std::string state() const { return folder_.path() + "/state"; }
  std::unique_ptr<PolicySource> open(std::string ref = "main", std::string path = "") const {
    auto source = open_git_source({repository_.path(), std::move(ref), state(), std::move(path)});
    EXPECT_TRUE(source) << source.error().text();
    return source ? std::move(*source) : nullptr;
  }
  static Result<PolicyRevision> poll(PolicySource& source, Duration time = Duration::seconds(60)) {
    return source.poll(Deadline::in(time));
  }
  /// Polls the branch and reads what is there.
  Result<PolicySnapshot> snapshot() const {
    auto source = open();
    auto revision = poll(*source);
    if (!revision) return fail(revision.error());
    return source->read(*revision);
  }
  static void expect_error(const Error& error, ErrorKind kind, const std::string& part) {
    EXPECT_EQ(error.kind, kind) << error.text();
    EXPECT_NE(error.text().find(part), std::string::npos) << error.text();
  }
  static std::vector<std::string> paths(const PolicySnapshot& snapshot) {
    std::vector<std::string> out;
    for (const auto& file : snapshot.files) out.push_back(file.path);
    return out;
  }
  void write_program(const std::string& name, const std::string& script) const {
    auto path = folder_.path() + "/bin/" + name;
    test::write_file(path, "#!/bin/sh\n" + script);
    ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
  }

  test::TemporaryFolder folder_;
  test::GitRepository repository_{folder_.path() + "/policy.git"};
};

TEST_F(GitSourceTest, ReadsTheFilesOfACommit) {
  auto inner = repository_.tree({repository_.file("z.yml", repository_.blob("deep\r\n\xff"))});
  auto hidden = repository_.tree({repository_.file("ci.yaml", repository_.blob("no"))});
  auto root = repository_.tree(
      {repository_.file("b.yaml", repository_.blob("knock: 1\n")),
       repository_.file("a.yaml", repository_.blob("")),
       "100755 blob " + repository_.blob("run me") + "\trun.yaml",
       repository_.file("README.md", repository_.blob("no")), repository_.folder("a", inner),
       repository_.folder(".github", hidden), repository_.file(".x.yaml", repository_.blob("no"))});
  repository_.author_name = "Ana \xe2\x80\xae\x1b[31mX";
  auto id = repository_.commit_at(root, "payroll: add\ttwo\n\nbody text");

  auto got = snapshot();
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_EQ(got->revision.value, id);
  EXPECT_EQ(got->author, "Ana \xe2\x80\xae\x1b[31mX <ana@example.org>") << "raw; callers escape";
  EXPECT_EQ(got->subject, "payroll: add\ttwo");
  EXPECT_EQ(got->committed, Instant::from_seconds(1'700'000'001));
  EXPECT_EQ(paths(*got), (std::vector<std::string>{"a.yaml", "a/z.yml", "b.yaml", "run.yaml"}));
  EXPECT_EQ(got->files[1].content, "deep\r\n\xff");
  EXPECT_EQ(got->files[2].blob_id, repository_.blob("knock: 1\n"));
}

TEST_F(GitSourceTest, FollowsTheBranchAndReadsOlderCommits) {
  auto first = repository_.commit({{"a.yaml", "1"}});
  auto source = open();
  ASSERT_EQ(poll(*source)->value, first);
  ASSERT_EQ(poll(*source)->value, first) << "nothing new";
  auto second = repository_.commit({{"a.yaml", "2"}});
  auto third = repository_.commit({{"a.yaml", "3"}});
  ASSERT_EQ(poll(*source)->value, third);
  EXPECT_EQ(source->read(PolicyRevision(first))->files[0].content, "1");
  EXPECT_EQ(source->read(PolicyRevision(second))->files[0].content, "2");
  EXPECT_EQ(source->read(PolicyRevision(third))->files[0].content, "3");

  fs::remove_all(repository_.path());
  auto restarted = open();
  EXPECT_EQ(restarted->read(PolicyRevision(second))->files[0].content, "2")
      << "after a restart and without the repository";
}

TEST_F(GitSourceTest, ALockOfAProcessThatWasKilledStopsNothing) {
  auto first = repository_.commit({{"a.yaml", "knock: 1\n"}});
  auto source = open();
  ASSERT_TRUE(poll(*source));
  // Where it was killed between taking the ref's lock and moving the ref.
  std::vector<std::string> refs;
  for (const auto& item : fs::recursive_directory_iterator(state()))
    if (item.is_regular_file() && item.path().string().find("/refs/") != std::string::npos)
      refs.push_back(item.path());
  ASSERT_FALSE(refs.empty());
  for (const auto& ref : refs) test::write_file(ref + ".lock", first);
  auto second = repository_.commit({{"a.yaml", "knock: 1\n# two\n"}});
  auto polled = poll(*open());
  ASSERT_TRUE(polled) << polled.error().text();
  EXPECT_EQ(polled->value, second);
}

TEST_F(GitSourceTest, ReadsOnlyItsOwnHistory) {
  auto mine = repository_.commit({{"a.yaml", "1"}});
  auto other = repository_.commit({{"a.yaml", "other"}}, "other", "draft");
  auto source = open();
  expect_error(source->read(PolicyRevision(mine)).error(), ErrorKind::not_found,
               "nothing was fetched");
  ASSERT_TRUE(poll(*source));
  ASSERT_TRUE(poll(*open("draft"))) << "a second source in the same folder";
  for (const auto& id : {other, std::string("main"), std::string(), mine.substr(0, 12),
                         std::string(40, '0'), mine + "0", std::string("../../../etc/passwd")})
    expect_error(source->read(PolicyRevision(id)).error(), ErrorKind::not_found,
                 "no commit of the history");
}

TEST_F(GitSourceTest, MergesAreForward) {
  auto first = repository_.commit({{"a.yaml", "1"}});
  auto source = open();
  ASSERT_TRUE(poll(*source));
  auto side = repository_.commit({{"a.yaml", "side"}}, "side", "side");
  auto tree = repository_.git({"rev-parse", side + "^{tree}"});
  auto merge = repository_.git({"commit-tree", tree, "-p", side, "-p", first, "-m", "merge"});
  repository_.point("refs/heads/main", merge);
  EXPECT_EQ(poll(*source)->value, merge);
  EXPECT_TRUE(source->read(PolicyRevision(side)));
}

TEST_F(GitSourceTest, ATagByItsWholeName) {
  auto first = repository_.commit({{"a.yaml", "1"}});
  repository_.git({"tag", "-a", "-m", "v1", "v1", first});
  repository_.commit({{"a.yaml", "2"}});
  auto source = open("refs/tags/v1");
  EXPECT_EQ(poll(*source)->value, first) << "an annotated tag leads to its commit";
  expect_error(poll(*open("v1")).error(), ErrorKind::not_found, "the ref is not there");
  repository_.point("refs/tags/blob", repository_.blob("x"));
  expect_error(poll(*open("refs/tags/blob")).error(), ErrorKind::invalid, "leads to no commit");
}

TEST_F(GitSourceTest, PolicyBelowAFolder) {
  auto prod = repository_.tree({repository_.file("p.yaml", repository_.blob("prod"))});
  auto policies = repository_.tree({repository_.folder("prod", prod)});
  repository_.commit_at(repository_.tree({repository_.folder("policies", policies),
                                          repository_.file("other.yaml", repository_.blob("other")),
                                          "120000 blob " + repository_.blob("/etc") + "\tlink"}));
  for (const char* path : {"policies/prod", "policies/prod/"}) {
    auto source = open("main", path);
    auto got = source->read(*poll(*source));
    ASSERT_TRUE(got) << got.error().text();
    EXPECT_EQ(paths(*got), std::vector<std::string>{"p.yaml"}) << "relative to the folder";
  }
  auto missing = open("main", "policies/test");
  expect_error(missing->read(*poll(*missing)).error(), ErrorKind::not_found, "policies/test");
  for (const char* path : {"other.yaml", "link"}) {
    auto file = open("main", path);
    expect_error(file->read(*poll(*file)).error(), ErrorKind::invalid, "no folder");
  }
  for (const char* path : {"..", "a/../b", "/etc", "a//b", ".", "/"})
    EXPECT_FALSE(open_git_source({repository_.path(), "main", state(), path})) << path;
}

TEST_F(GitSourceTest, GoneRefsAndEmptiedRepositoriesKeepTheLastState) {
  auto source = open();
  expect_error(poll(*source).error(), ErrorKind::not_found, "the ref is not there");
  auto first = repository_.commit({{"a.yaml", "1"}});
  ASSERT_TRUE(poll(*source));
  repository_.git({"update-ref", "-d", "refs/heads/main"});
  expect_error(poll(*source).error(), ErrorKind::not_found, "the ref is not there");
  repository_.commit({{"a.yaml", "x"}}, "not it", "main2");
  repository_.git({"tag", "main", "main2"});
  expect_error(poll(*source).error(), ErrorKind::not_found, "the ref is not there");
  fs::remove_all(repository_.path());
  test::GitRepository anew(repository_.path());
  expect_error(poll(*source).error(), ErrorKind::not_found, "the ref is not there");
  fs::remove_all(repository_.path());
  expect_error(poll(*source).error(), ErrorKind::unavailable, "policy.git");
  test::write_file(repository_.path(), "not a repository");
  EXPECT_FALSE(poll(*source));
  EXPECT_EQ(source->read(PolicyRevision(first))->files[0].content, "1");
}

TEST_F(GitSourceTest, RewrittenHistoryIsAConflictAlsoAfterARestart) {
  auto first = repository_.commit({{"a.yaml", "1"}});
  auto second = repository_.commit({{"a.yaml", "2"}});
  ASSERT_TRUE(poll(*open()));

  repository_.point("refs/heads/main", first);
  expect_error(poll(*open()).error(), ErrorKind::conflict, "went back to " + first.substr(0, 12));

  repository_.point("refs/heads/main",
                    repository_.commit_tree(
                        repository_.tree({repository_.file("a.yaml", repository_.blob("evil"))}),
                        "rewritten", first));
  expect_error(poll(*open()).error(), ErrorKind::conflict, "history was rewritten");

  auto orphan = repository_.commit_tree(
      repository_.tree({repository_.file("a.yaml", repository_.blob("new root"))}), "orphan");
  repository_.point("refs/heads/main", orphan);
  auto source = open();
  auto refused = poll(*source);
  expect_error(refused.error(), ErrorKind::conflict, second.substr(0, 12) + " stays in force");
  EXPECT_EQ(source->read(PolicyRevision(second))->files[0].content, "2");
  EXPECT_FALSE(source->read(PolicyRevision(orphan))) << "a refused history cannot be read";

  repository_.point("refs/heads/main", second);
  EXPECT_EQ(poll(*source)->value, second) << "put right again";

  repository_.point("refs/heads/main", orphan);
  fs::remove_all(state() + "/mirror.git");  // what the message says
  EXPECT_EQ(poll(*source)->value, orphan);
}

TEST_F(GitSourceTest, AnotherBranchStartsAfresh) {
  repository_.commit({{"a.yaml", "1"}});
  ASSERT_TRUE(poll(*open()));
  auto other = repository_.commit({{"a.yaml", "2"}}, "unrelated", "prod");
  EXPECT_EQ(poll(*open("prod"))->value, other);
}

TEST_F(GitSourceTest, SaysWhoLastWroteALine) {
  auto first = repository_.commit({{"a.yaml", "one\ntwo\nthree\n"}}, "begin");
  repository_.author_name = "Ben";
  auto second = repository_.commit({{"a.yaml", "one\nTWO\nthree\n"}}, "louder");
  repository_.git({"config", "blame.ignoreRevsFile", "/nowhere"});
  auto source = open();
  ASSERT_TRUE(poll(*source));
  auto ask = [&](const std::string& commit, const std::string& path, std::uint32_t line) {
    return source->last_change(PolicyRevision(commit), path, line,
                               Deadline::in(Duration::seconds(60)));
  };
  auto two = ask(second, "a.yaml", 2);
  ASSERT_TRUE(two) << two.error().text();
  EXPECT_EQ(two->revision.value, second);
  EXPECT_EQ(two->name, "Ben");
  EXPECT_EQ(two->mail, "ana@example.org");
  EXPECT_EQ(two->subject, "louder");
  EXPECT_EQ(two->at, Instant::from_seconds(1'700'000'002));
  EXPECT_EQ(ask(second, "a.yaml", 3)->revision.value, first);
  EXPECT_EQ(ask(first, "a.yaml", 2)->name, "Ana");
  expect_error(ask(second, "a.yaml", 4).error(), ErrorKind::not_found, "a.yaml:4");
  expect_error(ask(second, "a.yaml", 0).error(), ErrorKind::not_found, "from 1");
  expect_error(ask(second, "b.yaml", 1).error(), ErrorKind::not_found, "b.yaml:1");
  expect_error(ask(second, "--contents=/etc/passwd", 1).error(), ErrorKind::not_found, "passwd:1");
  auto elsewhere = repository_.commit({{"a.yaml", "x"}}, "unrelated", "prod");
  EXPECT_FALSE(ask(elsewhere, "a.yaml", 1));
}

TEST_F(GitSourceTest, SaysWhoLastWroteALineBelowAFolder) {
  auto tree = repository_.tree({repository_.folder(
      "prod", repository_.tree({repository_.file("a.yaml", repository_.blob("one\n"))}))});
  auto commit = repository_.commit_at(tree, "begin");
  auto source = open("main", "prod");
  ASSERT_TRUE(poll(*source));
  auto line =
      source->last_change(PolicyRevision(commit), "a.yaml", 1, Deadline::in(Duration::seconds(60)));
  ASSERT_TRUE(line) << line.error().text();
  EXPECT_EQ(line->subject, "begin");
}

TEST_F(GitSourceTest, MissingObjects) {
  auto first = repository_.commit({{"a.yaml", "1"}});
  auto source = open();
  ASSERT_TRUE(poll(*source));
  // The other side cannot send what it does not have.
  repository_.commit_at(repository_.tree({repository_.file("a.yaml", std::string(40, '2'))}));
  auto broken = poll(*source);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().kind, ErrorKind::unavailable) << broken.error().text();
  // And one that vanished from the mirror.
  auto blob = repository_.blob("1");
  test::GitRepository mirror(state() + "/mirror.git");
  mirror.make_loose();
  ASSERT_TRUE(fs::remove(mirror.object_file(blob)));
  auto got = source->read(PolicyRevision(first));
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().text().find("a.yaml"), std::string::npos) << got.error().text();
}

TEST_F(GitSourceTest, HooksAndConfigurationAreNeverRun) {
  write_program("evil", "touch " + folder_.path() + "/evil-ran\n");
  auto evil = folder_.path() + "/bin/evil";
  auto home = folder_.path() + "/home";
  test::write_file(home + "/.gitconfig",
                   "[core]\n\tsshCommand = " + evil + "\n\thooksPath = " + folder_.path() +
                       "/bin\n\tfsmonitor = " + evil + "\n[uploadpack]\n\tpackObjectsHook = " +
                       evil + "\n[url \"/nowhere\"]\n\tinsteadOf = " + repository_.path() + "\n");
  for (const char* hook : {"reference-transaction", "post-checkout", "pre-auto-gc", "post-merge"})
    write_program(hook, "touch " + folder_.path() + "/evil-ran\n");
  repository_.commit({{"a.yaml", "1"}});
  Variable as_home("HOME", home);
  Variable xdg("XDG_CONFIG_HOME", home);
  Variable global("GIT_CONFIG_GLOBAL", home + "/.gitconfig");
  Variable count("GIT_CONFIG_COUNT", "1");
  Variable key("GIT_CONFIG_KEY_0", "core.hooksPath");
  Variable value("GIT_CONFIG_VALUE_0", folder_.path() + "/bin");
  Variable folder("GIT_DIR", "/nowhere");
  Variable objects("GIT_OBJECT_DIRECTORY", "/nowhere");
  auto got = snapshot();
  ASSERT_TRUE(got) << got.error().text();
  for (const char* hook : {"reference-transaction", "post-checkout"})
    fs::copy_file(folder_.path() + "/bin/" + hook, state() + "/mirror.git/hooks/" + hook);
  repository_.commit({{"a.yaml", "2"}});
  ASSERT_TRUE(snapshot());
  EXPECT_FALSE(fs::exists(folder_.path() + "/evil-ran"));
}

TEST_F(GitSourceTest, WritesNothingOutsideItsFolder) {
  repository_.commit({{"a.yaml", "1"}});
  auto listing = [&](const fs::path& except) {
    std::vector<std::string> out;
    for (auto item = fs::recursive_directory_iterator(folder_.path()); item != fs::end(item);
         ++item) {
      if (item->path() == except)
        item.disable_recursion_pending();
      else
        out.push_back(item->path());
    }
    std::sort(out.begin(), out.end());
    return out;
  };
  auto before = listing(state());
  ASSERT_TRUE(snapshot());
  EXPECT_EQ(listing(state()), before);
  EXPECT_EQ(fs::status(state()).permissions(), fs::perms::owner_all);
  for (auto item : fs::recursive_directory_iterator(state() + "/mirror.git"))
    EXPECT_NE(item.path().filename(), "a.yaml") << "a checkout";
}

TEST_F(GitSourceTest, AHangingGitIsKilledAtTheDeadline) {
  auto first = repository_.commit({{"a.yaml", "1"}});
  auto source = open();
  ASSERT_TRUE(poll(*source));
  write_program("git", "echo $$ >" + folder_.path() + "/pid\nsleep 1000 & wait\n");
  repository_.commit({{"a.yaml", "2"}});
  {
    Variable path("PATH", folder_.path() + "/bin:" + std::getenv("PATH"));
    auto before = std::chrono::steady_clock::now();
    auto hung = poll(*source, {2000});
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
    expect_error(hung.error(), ErrorKind::timeout, "killed");
  }
  auto pid = std::string(trim(test::read_file(folder_.path() + "/pid")));
  EXPECT_FALSE(fs::exists("/proc/" + pid)) << "reaped";
  EXPECT_EQ(source->read(PolicyRevision(first))->files[0].content, "1");
  EXPECT_NE(poll(*source)->value, first) << "and the next poll works";
}

TEST_F(GitSourceTest, AHangingSshIsKilledAtTheDeadline) {
  write_program("ssh", "echo \"$@\" >" + folder_.path() + "/arguments\nexec sleep 1000\n");
  Variable ssh("GIT_SSH_COMMAND", folder_.path() + "/bin/ssh");
  auto source = open_git_source({"ssh://git@policy.invalid/policy.git", "main", state(), ""});
  ASSERT_TRUE(source);
  auto hung = poll(**source, {3000});
  expect_error(hung.error(), ErrorKind::timeout, "git ssh://git@policy.invalid/policy.git main");
  EXPECT_NE(test::read_file(folder_.path() + "/arguments").find("git-upload-pack"),
            std::string::npos);
}

TEST_F(GitSourceTest, SshIsToldNeverToAsk) {
  write_program("ssh", "echo \"$@\" >" + folder_.path() +
                           "/arguments\necho 'Host key verification failed.' >&2\nexit 255\n");
  ::unsetenv("GIT_SSH_COMMAND");
  Variable path("PATH", folder_.path() + "/bin:" + std::getenv("PATH"));
  auto source = open_git_source({"git@policy.invalid:policy.git", "main", state(), ""});
  ASSERT_TRUE(source);
  expect_error(poll(**source).error(), ErrorKind::unauthorized, "known_hosts");
  auto arguments = test::read_file(folder_.path() + "/arguments");
  for (const char* part : {"BatchMode=yes", "StrictHostKeyChecking=yes", "PermitLocalCommand=no"})
    EXPECT_NE(arguments.find(part), std::string::npos) << part;
}

TEST_F(GitSourceTest, UnreachableIsUnavailable) {
  // Nobody listens on port 1.
  auto source = open_git_source({"https://127.0.0.1:1/policy.git", "main", state(), ""});
  ASSERT_TRUE(source);
  auto refused = poll(**source);
  expect_error(refused.error(), ErrorKind::unavailable, "127.0.0.1");
  write_program("ssh", "echo 'ssh: connect to host x: Connection refused' >&2\nexit 255\n");
  Variable ssh("GIT_SSH_COMMAND", folder_.path() + "/bin/ssh");
  auto other = open_git_source({"ssh://policy.invalid/policy.git", "main", state(), ""});
  expect_error(poll(**other).error(), ErrorKind::unavailable,
               "Connection refused; fatal: Could not read from remote repository; it is tried");
}

TEST_F(GitSourceTest, LocksLeftByAKilledGitAreRemoved) {
  repository_.commit({{"a.yaml", "1"}});
  auto source = open();
  ASSERT_TRUE(poll(*source));
  auto mirror = state() + "/mirror.git";
  fs::path ref;
  for (auto item : fs::recursive_directory_iterator(mirror + "/refs/knock"))
    if (item.path().filename() == "fetched") ref = item.path();
  ASSERT_FALSE(ref.empty());
  test::write_file(ref.string() + ".lock", "");
  test::write_file(mirror + "/packed-refs.lock", "");
  test::write_file(mirror + "/objects/pack/tmp_pack_AbCdEf", "half");
  auto second = repository_.commit({{"a.yaml", "2"}});
  auto got = poll(*source);
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_EQ(got->value, second);
  EXPECT_FALSE(fs::exists(mirror + "/objects/pack/tmp_pack_AbCdEf"));
}

TEST_F(GitSourceTest, SourcesInOneFolderTakeTurns) {
  repository_.commit({{"a.yaml", "1"}});
  std::vector<std::jthread> threads;
  std::vector<std::unique_ptr<PolicySource>> sources;
  for (int i = 0; i < 6; ++i) sources.push_back(open());
  std::atomic<int> succeeded = 0;
  for (auto& source : sources) threads.emplace_back([&] { succeeded += poll(*source) ? 1 : 0; });
  threads.clear();
  EXPECT_EQ(succeeded, 6);
}

TEST_F(GitSourceTest, ARuinedMirrorSaysWhatToDo) {
  repository_.commit({{"a.yaml", "1"}});
  ASSERT_TRUE(snapshot());
  test::write_file(state() + "/mirror.git/config", "[core\n");
  auto ruined = snapshot();
  ASSERT_FALSE(ruined);
  EXPECT_NE(ruined.error().text().find("remove it"), std::string::npos) << ruined.error().text();
}

TEST_F(GitSourceTest, MissingGitIsSaid) {
  repository_.commit({{"a.yaml", "1"}});
  Variable path("PATH", folder_.path() + "/empty");
  expect_error(poll(*open()).error(), ErrorKind::not_found, "'git'");
}

TEST(GitSource, RefusesWhatItWouldNotFetch) {
  struct {
    const char* repository;
    const char* part;
  } rows[] = {
      {"", "no policy repository"},
      {"--upload-pack=touch x", "option"},
      {"ext::sh -c id", "programs as transport"},
      {"fd::3", "programs as transport"},
      {"http://example.org/p.git", "anybody on the way"},
      {"git://example.org/p.git", "anybody on the way"},
      {"ftp://example.org/p.git", "anybody on the way"},
      {"https://user:hunter2@example.org/p.git", "holds a password"},
      {"/srv/a\nb", "do not show"},
  };
  for (const auto& row : rows) {
    auto source = open_git_source({row.repository, "main", "/nowhere/state", ""});
    ASSERT_FALSE(source) << row.repository;
    EXPECT_EQ(source.error().kind, ErrorKind::invalid);
    EXPECT_NE(source.error().text().find(row.part), std::string::npos) << source.error().text();
    EXPECT_EQ(source.error().text().find("hunter2"), std::string::npos) << "a password was shown";
  }
  for (const char* good :
       {"https://example.org/p.git", "https://token@example.org/p", "ssh://git@[::1]/p",
        "git@example.org:p.git", "file:///srv/p.git", "/srv/p.git", "p.git"})
    EXPECT_TRUE(open_git_source({good, "main", "/nowhere/state", ""})) << good;
  for (const char* ref : {"", "a b", "a..b", "-x:y", "a:b", "*", "refs/heads/*", "a~1", "a^",
                          "a\\b", "@{u}", "x.lock", "/x", "x/"})
    EXPECT_FALSE(open_git_source({"/srv/p.git", ref, "/nowhere/state", ""})) << ref;
  EXPECT_FALSE(open_git_source({"/srv/p.git", "main", "", ""}));
}

}  // namespace
}  // namespace knock
