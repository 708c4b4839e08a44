// SPDX-License-Identifier: Apache-2.0
// What a captured role could try, tried: every attempt runs in a child that has confined itself.
#include "net/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace knock::net {
namespace {

constexpr int kWorked = 0, kSignalled = 1000;

int errno_of(long result) { return result >= 0 ? kWorked : errno; }

/// 0 when the attempt worked, its errno, or 1000 + the signal that ended the child.
int try_in_child(Confinement kind, const std::function<int()>& attempt) {
  pid_t pid = fork();
  if (pid == 0) {
    rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    if (!confine(kind)) _exit(255);
    _exit(attempt());
  }
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status);
}

struct Attempt {
  const char* name;
  std::vector<Confinement> roles;
  int want;
  std::function<int()> act;
};

constexpr Confinement kFront = Confinement::front, kVerifier = Confinement::verifier,
                      kApply = Confinement::apply;

/// Somebody of the same user to be signalled: an `apply` beside a captured front.
class Bystander {
 public:
  Bystander() : pid_(fork()) {
    if (pid_ == 0)
      for (;;) pause();
  }
  ~Bystander() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

class Sandbox : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/knock-sandbox-XXXXXX";
    int fd = mkstemp(name);
    ASSERT_GE(fd, 0);
    ASSERT_GE(handle_, 0);
    ASSERT_EQ(write(fd, "kept", 4), 4);
    close(fd);
    file_ = name;
    fresh_ = file_ + ".new";
  }
  void TearDown() override {
    if (handle_ >= 0) close(handle_);
    unlink(file_.c_str());
    unlink(fresh_.c_str());
  }
  void run(const std::vector<Attempt>& attempts) {
    for (const auto& attempt : attempts)
      for (auto role : attempt.roles)
        EXPECT_EQ(try_in_child(role, attempt.act), attempt.want)
            << attempt.name << " as role " << int(role);
  }
  std::string file_, fresh_;
  Bystander other_;
  int handle_ = int(syscall(SYS_pidfd_open, other_.pid(), 0));
};

TEST_F(Sandbox, what_only_an_attacker_wants_ends_the_role) {
  const std::vector<Confinement> all{kFront, kVerifier, kApply};
  run({
      {"execve", all, kSignalled + SIGSYS,
       [] {
         char* const words[] = {nullptr};
         return errno_of(execve("/bin/true", words, words));
       }},
      {"ptrace", all, kSignalled + SIGSYS,
       [&] { return errno_of(ptrace(PTRACE_ATTACH, other_.pid(), nullptr, nullptr)); }},
      {"process_vm_readv", all, kSignalled + SIGSYS,
       [&] {
         char byte = 0;
         iovec here{&byte, 1}, there{&byte, 1};  // at the same place: it is our child
         return errno_of(process_vm_readv(other_.pid(), &here, 1, &there, 1, 0));
       }},
      {"process_vm_writev", all, kSignalled + SIGSYS,
       [&] {
         char byte = 0;
         iovec here{&byte, 1}, there{&byte, 1};
         return errno_of(process_vm_writev(other_.pid(), &here, 1, &there, 1, 0));
       }},
      {"setns", all, kSignalled + SIGSYS, [] { return errno_of(setns(0, CLONE_NEWNET)); }},
      {"unshare", all, kSignalled + SIGSYS, [] { return errno_of(unshare(CLONE_NEWUSER)); }},
      {"setuid", all, kSignalled + SIGSYS, [] { return errno_of(setuid(0)); }},
      {"bpf", all, kSignalled + SIGSYS, [] { return errno_of(syscall(SYS_bpf, 0, 0, 0)); }},
  });
}

TEST_F(Sandbox, other_processes_of_the_same_user_are_out_of_reach) {
  const std::vector<Confinement> all{kFront, kVerifier, kApply};
  run({
      {"kill", all, EPERM, [&] { return errno_of(kill(other_.pid(), SIGSTOP)); }},
      {"tgkill", all, EPERM,
       [&] { return errno_of(syscall(SYS_tgkill, other_.pid(), other_.pid(), SIGSTOP)); }},
      {"tkill", all, EPERM, [&] { return errno_of(syscall(SYS_tkill, other_.pid(), SIGSTOP)); }},
      {"a queued signal", all, EPERM,
       [&] {
         siginfo_t about{};
         about.si_code = SI_QUEUE;
         return errno_of(syscall(SYS_rt_sigqueueinfo, other_.pid(), SIGSTOP, &about));
       }},
      {"a queued signal for a thread", all, EPERM,
       [&] {
         siginfo_t about{};
         about.si_code = SI_QUEUE;
         return errno_of(
             syscall(SYS_rt_tgsigqueueinfo, other_.pid(), other_.pid(), SIGSTOP, &about));
       }},
      {"a signal through a descriptor", all, EPERM,
       [&] { return errno_of(syscall(SYS_pidfd_send_signal, handle_, SIGSTOP, nullptr, 0)); }},
      {"a handle on it", all, EPERM,
       [&] { return errno_of(syscall(SYS_pidfd_open, other_.pid(), 0)); }},
      {"its descriptors", all, EPERM,
       [&] { return errno_of(syscall(SYS_pidfd_getfd, handle_, 0, 0)); }},
      {"its memory as a file", all, EPERM,
       [&] {
         auto name = "/proc/" + std::to_string(other_.pid()) + "/mem";
         return errno_of(open(name.c_str(), O_RDWR));
       }},
      {"its priority", all, EPERM,
       [&] { return errno_of(setpriority(PRIO_PROCESS, id_t(other_.pid()), 19)); }},
      {"comparing it with us", all, EPERM,
       [&] { return errno_of(syscall(SYS_kcmp, getpid(), other_.pid(), 0, 0, 0)); }},
      {"F_SETOWN", all, EPERM, [&] { return errno_of(fcntl(0, F_SETOWN, other_.pid())); }},
      {"F_SETSIG", all, EPERM, [] { return errno_of(fcntl(0, F_SETSIG, SIGKILL)); }},
      {"prlimit", all, EPERM,
       [&] { return errno_of(syscall(SYS_prlimit64, other_.pid(), RLIMIT_NOFILE, 0, 0)); }},
      {"abort", all, kSignalled + SIGABRT, []() -> int { abort(); }},
  });
  EXPECT_EQ(waitpid(other_.pid(), nullptr, WNOHANG | WUNTRACED), 0) << "it was stopped";
}

TEST_F(Sandbox, a_role_makes_threads_and_no_processes) {
  auto fork_plainly = [] {
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    return errno_of(pid);
  };
  run({
      {"fork", {kFront, kVerifier, kApply}, EPERM, fork_plainly},
      {"clone into a new user namespace",
       {kFront, kVerifier, kApply},
       EPERM,
       [] { return errno_of(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)); }},
      {"a thread",
       {kFront, kVerifier},
       kWorked,
       [] {
         int seen = 1;
         std::thread([&] { seen = 0; }).join();
         return seen;
       }},
      {"a thread is confined too",
       {kFront, kVerifier},
       EPERM,
       [] {
         int seen = 0;
         std::thread([&] { seen = errno_of(listen(0, 1)); }).join();
         return seen;
       }},
  });
}

TEST_F(Sandbox, files_cannot_be_made_changed_or_emptied) {
  const std::vector<Confinement> all{kFront, kVerifier, kApply};
  auto opening = [](const std::string& path, int flags) {
    return [path, flags] { return errno_of(open(path.c_str(), flags, 0600)); };
  };
  run({
      {"write", all, EPERM, opening(file_, O_WRONLY)},
      {"read and write", all, EPERM, opening(file_, O_RDWR)},
      {"make", all, EPERM, opening(fresh_, O_RDONLY | O_CREAT)},
      {"empty", all, EPERM, opening(file_, O_RDONLY | O_TRUNC)},
      {"nameless", all, EPERM, opening("/tmp", O_TMPFILE | O_RDWR)},
      {"read", {kVerifier}, kWorked, opening(file_, O_RDONLY | O_CLOEXEC)},
      {"read", {kFront, kApply}, EPERM, opening(file_, O_RDONLY)},
      {"unlink", all, EPERM, [&] { return errno_of(unlink(file_.c_str())); }},
      {"chmod", all, EPERM, [&] { return errno_of(chmod(file_.c_str(), 0777)); }},
  });
  struct stat about{};
  ASSERT_EQ(stat(file_.c_str(), &about), 0);
  EXPECT_EQ(about.st_size, 4);
  EXPECT_NE(access(fresh_.c_str(), F_OK), 0);
}

TEST_F(Sandbox, each_role_has_its_own_sockets) {
  auto making = [](int family) {
    return [family] { return errno_of(socket(family, SOCK_DGRAM, 0)); };
  };
  run({
      {"inet", {kFront, kApply}, EPERM, making(AF_INET)},
      {"inet", {kVerifier}, kWorked, making(AF_INET)},
      {"inet6", {kVerifier}, kWorked, making(AF_INET6)},
      {"netlink", {kFront}, EPERM, making(AF_NETLINK)},
      {"unix", {kFront, kVerifier, kApply}, EPERM, making(AF_UNIX)},
      {"packet", {kFront, kVerifier, kApply}, EPERM, making(AF_PACKET)},
  });
  EXPECT_EQ(try_in_child(kApply, [] { return errno_of(socket(AF_NETLINK, SOCK_RAW, 0)); }), 0);
}

TEST_F(Sandbox, the_terminal_and_the_parents_end_stay_the_operators) {
  const std::vector<Confinement> all{kFront, kVerifier, kApply};
  int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  run({
      {"typing", all, EPERM, [&] { return errno_of(ioctl(terminal, TIOCSTI, "x")); }},
      {"outliving the parent", all, EPERM,
       [] { return errno_of(prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0)); }},
      {"being dumped", all, EPERM, [] { return errno_of(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }},
      {"filters on the listening socket",
       {kFront},
       EPERM,
       [] { return errno_of(setsockopt(0, SOL_SOCKET, SO_KEEPALIVE, "", 1)); }},
  });
  close(terminal);
}

/// Reading another's memory takes more than its user id once it has said so. This is what keeps the
/// verifier, which may read files, from the secrets of a role of the same user.
TEST_F(Sandbox, who_may_not_be_dumped_cannot_be_read) {
  int ready[2], done[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(done), 0);
  pid_t pid = fork();
  char byte = 0;
  if (pid == 0) {
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) _exit(2);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // as exec leaves it
    forbid_dumps();
    if (write(ready[1], "x", 1) != 1 || read(done[0], &byte, 1) < 0) _exit(1);
    _exit(0);
  }
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  for (const char* file : {"mem", "environ", "fd", "maps", "auxv"}) {
    auto name = "/proc/" + std::to_string(pid) + "/" + file;
    struct stat about{};
    ASSERT_EQ(stat(name.c_str(), &about), 0) << name;
    EXPECT_EQ(about.st_uid, 0u) << name << " belongs to the process's user";
    // As the user that roles have; root reads everything.
    pid_t reader = fork();
    if (reader == 0) {
      if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) _exit(2);
      _exit(open(name.c_str(), O_RDONLY) < 0 && errno == EACCES ? 0 : 1);
    }
    int status = 0;
    waitpid(reader, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0) << name;
  }
  ASSERT_EQ(write(done[1], "x", 1), 1);
  waitpid(pid, nullptr, 0);
  for (int end : {ready[0], ready[1], done[0], done[1]}) close(end);
}

/// A namespace's path comes from the policy. In a child, so that a hang is a failure and no more.
TEST_F(Sandbox, what_is_no_namespace_is_never_opened) {
  ASSERT_EQ(mkfifo(fresh_.c_str(), 0600), 0);
  for (const std::string& path : {fresh_, file_, std::string("/dev/null")}) {
    pid_t pid = fork();
    if (pid == 0) {
      alarm(10);
      _exit(become({"", path, false}) ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    ASSERT_TRUE(WIFEXITED(status)) << path << " was opened";
    EXPECT_EQ(WEXITSTATUS(status), 1) << path;
  }
}

}  // namespace
}  // namespace knock::net
