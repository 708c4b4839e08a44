// SPDX-License-Identifier: Apache-2.0
#include "net/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "base/text.h"
#include "tests/support/requirement.h"

namespace knock::net {
namespace {

constexpr Duration kLong = Duration::seconds(60);

Command shell(std::string script) { return {{"sh", "-c", std::move(script)}, "", {}, "", 1 << 20}; }

Finished finished(const Command& command) {
  auto result = run(command, Deadline::in(kLong));
  EXPECT_TRUE(result) << result.error().text();
  return result ? *result : Finished{-1, "", "", false};
}

ErrorKind kind_of(const Command& command) {
  auto result = run(command, Deadline::in(kLong));
  EXPECT_FALSE(result) << "exit code " << (result ? result->exit_code : 0);
  return result ? ErrorKind::internal : result.error().kind;
}

/// Gone, or a zombie that nobody collects (a container's first process may not).
bool dead(const std::string& pid) {
  std::string stat;
  try {
    stat = test::read_file("/proc/" + pid + "/stat");
  } catch (const std::exception&) {
    return true;
  }
  auto state = stat.rfind(") ");
  return state == std::string::npos || stat[state + 2] == 'Z' || stat[state + 2] == 'X';
}

bool dies(const std::string& pid) {
  auto deadline = Deadline::in(Duration::seconds(10));
  while (!dead(pid)) {
    if (deadline.passed()) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(ChildProcess, ExitCodesAndSignals) {
  struct {
    const char* script;
    int code;
  } rows[] = {{"exit 0", 0},
              {"exit 7", 7},
              {"exit 255", 255},
              {"kill -9 $$", 128 + 9},
              {"kill -15 $$", 128 + 15},
              {"kill -6 $$", 128 + 6}};
  for (const auto& row : rows)
    EXPECT_EQ(finished(shell(row.script)).exit_code, row.code) << row.script;
}

TEST(ChildProcess, KeepsTheStreamsApart) {
  auto result = finished(shell("echo out; echo err >&2; printf more"));
  EXPECT_EQ(result.out, "out\nmore");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_FALSE(result.truncated);
}

TEST(ChildProcess, ArgumentsReachTheProgramUntouched) {
  auto result =
      finished({{"printf", "%s|", "a b", "$(id)", "'\"", "", "\n;"}, "", {}, "", 1 << 20});
  EXPECT_EQ(result.out, "a b|$(id)|'\"||\n;|");
}

TEST(ChildProcess, RefusesWhatCannotBeStarted) {
  test::TemporaryFolder folder;
  test::write_file(folder.path() + "/plain", "not a program");
  EXPECT_EQ(kind_of({{"no-such-program-of-ours"}, "", {}, "", 1}), ErrorKind::not_found);
  EXPECT_EQ(kind_of({{"/no/such/program"}, "", {}, "", 1}), ErrorKind::not_found);
  EXPECT_EQ(kind_of({{folder.path() + "/plain"}, "", {}, "", 1}), ErrorKind::not_found);
  EXPECT_EQ(kind_of({{folder.path()}, "", {}, "", 1}), ErrorKind::not_found);
  EXPECT_EQ(kind_of({{"./sh"}, "/bin", {}, "", 1}), ErrorKind::invalid);
  EXPECT_EQ(kind_of({{}, "", {}, "", 1}), ErrorKind::invalid);
  EXPECT_EQ(kind_of({{""}, "", {}, "", 1}), ErrorKind::invalid);
  EXPECT_EQ(kind_of({{"sh", std::string("a\0b", 3)}, "", {}, "", 1}), ErrorKind::invalid);
  EXPECT_EQ(kind_of({{"sh"}, "", {{"A=B", "c"}}, "", 1}), ErrorKind::invalid);
  EXPECT_EQ(kind_of({{"sh", "-c", "true"}, "/no/such/folder", {}, "", 1}), ErrorKind::not_found);
}

TEST(ChildProcess, EnvironmentIsExactlyWhatWasGiven) {
  ASSERT_EQ(::setenv("KNOCK_TEST_SECRET", "leaks", 1), 0);
  auto result = finished({{"/usr/bin/env"}, "", {{"PATH", "/usr/bin"}, {"A", "b c"}}, "", 1 << 20});
  EXPECT_EQ(result.out, "PATH=/usr/bin\nA=b c\n");
  auto added = finished({{"/usr/bin/env"}, "", {{"A", "1"}}, "", 1 << 20});
  EXPECT_EQ(added.out, "A=1\nPATH=" + std::string(::getenv("PATH")) + "\n");
  ASSERT_EQ(::unsetenv("KNOCK_TEST_SECRET"), 0);
}

TEST(ChildProcess, LooksProgramsUpInThePathItWasGiven) {
  test::TemporaryFolder folder;
  auto program = folder.path() + "/only-here";
  test::write_file(program, "#!/bin/sh\necho found\n");
  ASSERT_EQ(::chmod(program.c_str(), 0755), 0);
  EXPECT_EQ(finished({{"only-here"}, "", {{"PATH", "relative::" + folder.path()}}, "", 100}).out,
            "found\n");
  EXPECT_EQ(kind_of({{"only-here"}, folder.path(), {{"PATH", ".::relative"}}, "", 100}),
            ErrorKind::not_found);
}

TEST(ChildProcess, RunsInTheFolderItWasGiven) {
  test::TemporaryFolder folder;
  EXPECT_EQ(finished({{"sh", "-c", "pwd -P"}, folder.path(), {}, "", 1 << 20}).out,
            folder.path() + "\n");
}

TEST(ChildProcess, InheritsNoDescriptor) {
  int plain = ::open("/dev/null", O_RDONLY);  // on purpose without O_CLOEXEC
  int low = ::fcntl(plain, F_DUPFD, 7), high = ::fcntl(plain, F_DUPFD, 900);
  ASSERT_GE(low, 7);
  ASSERT_GE(high, 900);
  auto result = finished(shell("for fd in /proc/$$/fd/*; do echo \"${fd##*/}\"; done"));
  for (int fd : {plain, low, high}) ::close(fd);
  EXPECT_EQ(result.out, "0\n1\n2\n3\n") << "3 is the shell's own, open while it lists";
}

TEST(ChildProcess, HasASessionOfItsOwnAndDefaultSignals) {
  ::signal(SIGPIPE, SIG_IGN);
  auto result =
      finished(shell("cut -d' ' -f5,6 /proc/$$/stat; echo $$; kill -PIPE $$; echo survived"));
  ::signal(SIGPIPE, SIG_DFL);
  auto lines = split(result.out, '\n');
  ASSERT_GE(lines.size(), 2u);
  EXPECT_EQ(lines[0], std::string(lines[1]) + " " + std::string(lines[1]));
  EXPECT_EQ(result.exit_code, 128 + SIGPIPE) << "an ignored signal was inherited";
}

TEST(ChildProcess, FeedsInputWithoutDeadlock) {
  std::string megabytes(8 << 20, 'x');
  Command echo{{"cat"}, "", {}, megabytes, 16 << 20};
  auto result = finished(echo);
  EXPECT_EQ(result.out.size(), megabytes.size());
  EXPECT_TRUE(result.out == megabytes);
  Command deaf{{"true"}, "", {}, megabytes, 10};
  EXPECT_EQ(finished(deaf).exit_code, 0);
  EXPECT_EQ(finished({{"cat"}, "", {}, "", 10}).out, "");
}

TEST(ChildProcess, OutputIsBounded) {
  Command loud = shell("head -c 10485760 /dev/zero; head -c 10485760 /dev/zero >&2; exit 3");
  loud.output_bytes = 1000;
  auto result = finished(loud);
  EXPECT_EQ(result.exit_code, 3) << "a full stream must not block or kill the child";
  EXPECT_EQ(result.out.size(), 1000u);
  EXPECT_EQ(result.err.size(), 1000u);
  EXPECT_TRUE(result.truncated);
  Command fits = shell("head -c 1000 /dev/zero");
  fits.output_bytes = 1000;
  EXPECT_FALSE(finished(fits).truncated);
}

TEST(ChildProcess, TimeIsUpForTheWholeFamily) {
  test::TemporaryFolder folder;
  auto script = shell(
      "sleep 1000 & echo $! >>pids; (trap '' TERM INT HUP; sleep 1000 & echo $! >>pids; wait) & "
      "echo $! >>pids; mv pids all; wait");
  script.directory = folder.path();
  auto before = std::chrono::steady_clock::now();
  auto result = run(script, Deadline::in({700}));
  auto took = std::chrono::steady_clock::now() - before;
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::timeout);
  EXPECT_GE(took, std::chrono::milliseconds(650));
  EXPECT_LT(took, std::chrono::seconds(10));
  auto pids = test::read_file(folder.path() + "/all");
  auto lines = split(trim(pids), '\n');
  ASSERT_GE(lines.size(), 2u);
  for (auto pid : lines) EXPECT_TRUE(dies(std::string(pid))) << pid;
}

TEST(ChildProcess, EndlessOutputEndsAtTheDeadline) {
  Command endless{{"yes"}, "", {}, "", 100};
  auto result = run(endless, Deadline::in({300}));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::timeout);
}

TEST(ChildProcess, StoppedChildrenAreKilledToo) {
  auto result = run(shell("kill -STOP $$"), Deadline::in({200}));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::timeout);
}

TEST(ChildProcess, WhatAChildLeavesBehindIsKilledAndNotWaitedFor) {
  auto before = std::chrono::steady_clock::now();
  auto result = finished(shell("sleep 1000 & echo $!"));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(20));
  EXPECT_TRUE(dies(std::string(trim(result.out)))) << result.out;
}

TEST(ChildProcess, AHolderOfThePipeThatLeftTheSessionIsNotWaitedFor) {
  test::TemporaryFolder folder;
  auto script = shell(
      "setsid sh -c 'echo $$; : >ready; exec sleep 1000' & "
      "while [ ! -e ready ]; do :; done; echo done");
  script.directory = folder.path();
  auto before = std::chrono::steady_clock::now();
  auto result = finished(script);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(20));
  auto lines = split(result.out, '\n');
  int pid = std::atoi(std::string(lines[0]).c_str());
  ASSERT_GT(pid, 1) << result.out;
  ::kill(pid, SIGKILL);  // started here, so ended here
  EXPECT_EQ(lines[1], "done");
}

TEST(ChildProcess, LeavesNoZombies) {
  for (int i = 0; i < 20; ++i) (void)finished(shell("true"));
  (void)run(shell("sleep 1000"), Deadline::in({50}));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child was left";
}

TEST(ChildProcess, AnExpiredDeadlineStartsNothing) {
  test::TemporaryFolder folder;
  auto script = shell("touch started");
  script.directory = folder.path();
  auto result = run(script, Deadline::in({0}));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::timeout);
  EXPECT_NE(::access((folder.path() + "/started").c_str(), F_OK), 0);
}

TEST(ChildProcess, ManyThreadsAtOnce) {
  std::vector<std::jthread> threads;
  std::vector<int> codes(16, -1);
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([i, &codes] {
      auto result = run(shell("exit " + std::to_string(i)), Deadline::in(kLong));
      codes[std::size_t(i)] = result ? result->exit_code : -2;
    });
  threads.clear();
  for (int i = 0; i < 16; ++i) EXPECT_EQ(codes[std::size_t(i)], i);
}

}  // namespace
}  // namespace knock::net
