// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <optional>

#include "net/sandbox.h"

namespace knock::net {
namespace {

tl::unexpected<Error> system_error(const std::string& what) {
  return fail(errno == EPERM ? ErrorKind::unauthorized : ErrorKind::internal,
              what + ": " + std::strerror(errno));
}

struct UserIds {
  uid_t user;
  gid_t group;
};

Result<UserIds> ids_of(const std::string& user) {
  unsigned number = 0;
  auto [end, bad] = std::from_chars(user.data(), user.data() + user.size(), number);
  if (bad == std::errc() && end == user.data() + user.size()) return UserIds{number, number};
  errno = 0;
  const passwd* entry = getpwnam(user.c_str());
  if (entry == nullptr)
    return fail(ErrorKind::not_found,
                "there is no user " + user + "; `front_user` in the configuration names one");
  return UserIds{entry->pw_uid, entry->pw_gid};
}

/// A descriptor for setns(), or -1 with errno. The path comes from the policy, and opening some
/// things does something (a FIFO waits for ever, a watchdog starts to count): what is no namespace
/// is never opened.
int open_namespace(const std::string& path) {
  int place = open(path.c_str(), O_PATH | O_CLOEXEC);
  if (place < 0) return -1;
  struct statfs about{};
  int fd = -1;
  if (fstatfs(place, &about) == 0) {
    errno = EINVAL;
    if (about.f_type == NSFS_MAGIC)
      fd = open(("/proc/self/fd/" + std::to_string(place)).c_str(), O_RDONLY | O_CLOEXEC);
  }
  int problem = errno;
  close(place);
  errno = problem;
  return fd;
}

Status enter(const std::string& netns) {
  if (netns.empty()) return {};
  auto path = netns.front() == '/' ? netns : "/run/netns/" + netns;
  int fd = open_namespace(path);
  if (fd < 0) return system_error("network namespace " + path);
  int entered = setns(fd, CLONE_NEWNET);
  int problem = errno;
  close(fd);
  errno = problem;
  if (entered != 0) return system_error("entering network namespace " + path);
  return {};
}

using Caps = std::unique_ptr<std::remove_pointer_t<cap_t>, int (*)(void*)>;

/// No exec can ever give more than these. It takes CAP_SETPCAP in force, which is gone once we are
/// another user; who never had it cannot be bound, and has no_new_privs to the same end.
void bound(bool net_admin) {
  for (int cap = 0; cap <= CAP_LAST_CAP; ++cap)
    if (!(net_admin && cap == CAP_NET_ADMIN)) (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

/// Exactly these capabilities from now on, across exec too.
Status keep_only(bool net_admin) {
  cap_value_t value = CAP_NET_ADMIN;
  Caps caps(cap_init(), cap_free);
  if (net_admin)
    for (auto flag : {CAP_PERMITTED, CAP_EFFECTIVE, CAP_INHERITABLE})
      cap_set_flag(caps.get(), flag, 1, &value, CAP_SET);
  if (cap_set_proc(caps.get()) != 0)
    return system_error(net_admin
                            ? "keeping CAP_NET_ADMIN (is the controller root, or does it have it?)"
                            : "dropping capabilities");
  if (net_admin && cap_set_ambient(CAP_NET_ADMIN, CAP_SET) != 0)
    return system_error("keeping CAP_NET_ADMIN across exec");
  return {};
}

}  // namespace

void forbid_dumps() {
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
}

Result<Became> become(const Identity& identity) {
  Became out;
  std::optional<UserIds> ids;
  if (!identity.user.empty() && geteuid() == 0) {
    KNOCK_ASSIGN(ids, ids_of(identity.user));
  }
  KNOCK_CHECK(enter(identity.netns));
  bound(identity.net_admin);
  if (ids) {
    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);  // what is kept of them is decided below
    // A rootless user namespace maps one id: there is nobody else to become.
    if (setgroups(0, nullptr) != 0 || setresgid(ids->group, ids->group, ids->group) != 0 ||
        setresuid(ids->user, ids->user, ids->user) != 0) {
      if (errno != EINVAL && errno != EPERM) return system_error("becoming user " + identity.user);
      out.user_kept = true;
    }
  } else if (!identity.user.empty()) {
    out.user_kept = true;
  }
  KNOCK_CHECK(keep_only(identity.net_admin));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return system_error("no_new_privs");
  return out;
}

bool can_confine() {
#ifdef KNOCK_SANITIZED
  return false;
#else
  return true;
#endif
}

namespace {

/// What every role needs to think, wait, allocate and end.
constexpr std::initializer_list<const char*> kEveryRole = {"read",
                                                           "write",
                                                           "readv",
                                                           "writev",
                                                           "close",
                                                           "poll",
                                                           "ppoll",
                                                           "futex",
                                                           "clock_gettime",
                                                           "clock_nanosleep",
                                                           "nanosleep",
                                                           "gettimeofday",
                                                           "mmap",
                                                           "munmap",
                                                           "mremap",
                                                           "mprotect",
                                                           "madvise",
                                                           "brk",
                                                           "exit",
                                                           "exit_group",
                                                           "rt_sigaction",
                                                           "rt_sigprocmask",
                                                           "rt_sigreturn",
                                                           "sigaltstack",
                                                           "getpid",
                                                           "gettid",
                                                           "getrandom",
                                                           "restart_syscall",
                                                           "recvfrom",
                                                           "recvmsg",
                                                           "sendto",
                                                           "sendmsg",
                                                           "shutdown",
                                                           "sched_yield",
                                                           "sched_getaffinity",
                                                           "rseq",
                                                           "set_robust_list",
                                                           "membarrier",
                                                           "lseek",
                                                           "getuid",
                                                           "geteuid",
                                                           "getgid",
                                                           "getegid"};

constexpr std::initializer_list<const char*> kFront = {
    "accept4",  "accept",         "epoll_create1",   "epoll_ctl",  "epoll_wait",  "epoll_pwait",
    "eventfd2", "timerfd_create", "timerfd_settime", "getsockopt", "getsockname", "getpeername"};

constexpr std::initializer_list<const char*> kVerifier = {
    "connect",    "bind",        "getsockopt", "setsockopt", "getsockname",   "getpeername",
    "fstat",      "newfstatat",  "stat",       "statx",      "access",        "readlink",
    "getdents64", "socketpair",  "pipe2",      "eventfd2",   "epoll_create1", "epoll_ctl",
    "epoll_wait", "epoll_pwait", "uname",      "sendmmsg",   "pread64",       "statfs",
    "sysinfo",    "mlock",       "munlock",    "select",     "pselect6"};

constexpr std::initializer_list<const char*> kApply = {"bind", "getsockname", "getsockopt",
                                                       "setsockopt"};

/// Nobody needs these but somebody who took the process over.
constexpr std::initializer_list<const char*> kDeadly = {
    "execve",        "execveat",    "ptrace",     "process_vm_readv", "process_vm_writev",
    "mount",         "umount2",     "pivot_root", "init_module",      "finit_module",
    "delete_module", "kexec_load",  "bpf",        "perf_event_open",  "setuid",
    "setgid",        "setns",       "unshare",    "keyctl",           "add_key",
    "request_key",   "userfaultfd", "reboot",     "swapon",           "open_by_handle_at"};

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM)), seccomp_release) {}
  void rule(std::uint32_t action, const char* name) {
    int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) return;  // this machine has no such call
    if (seccomp_rule_add(context_.get(), action, number, 0) != 0) bad_ = true;
  }
  void rules(std::uint32_t action, std::initializer_list<const char*> names) {
    for (const char* name : names) rule(action, name);
  }
  /// A call only with one of these values as one of its arguments.
  void only_with(const char* name, unsigned argument, std::initializer_list<scmp_datum_t> values) {
    for (auto value : values) allow_if(name, {argument, SCMP_CMP_EQ, value, 0});
  }
  /// Threads, never a process: a child would outlive the role, with all that the role has. With
  /// clone3 the flags are in memory, where a filter cannot look; without it glibc takes clone.
  void threads() {
    constexpr scmp_datum_t kThread = CLONE_VM | CLONE_THREAD;
    allow_if("clone", {0, SCMP_CMP_MASKED_EQ, kThread, kThread});
    rule(SCMP_ACT_ERRNO(ENOSYS), "clone3");
  }
  /// Roles may share a user id, and then a signal reaches another role: tgkill to ourselves only
  /// (abort() needs it), and of fcntl not those commands that make the kernel send signals. Of
  /// ioctl what event loops and isatty() need; pushing bytes into the operator's terminal is one
  /// too. Of prctl the names of threads and of memory, so that the end of the parent stays ours.
  void only_for_ourselves() {
    constexpr scmp_datum_t kNameMemory = 0x53564d41;  // PR_SET_VMA
    only_with("tgkill", 0, {scmp_datum_t(getpid())});
    only_with("fcntl", 1, {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC});
    only_with("ioctl", 1, {FIONBIO, FIONREAD, TCGETS});
    only_with("prctl", 0, {PR_SET_NAME, PR_GET_NAME, kNameMemory});
  }
  /// Files for reading only: neither made nor emptied on the way.
  void open_for_reading() {
    constexpr scmp_datum_t kWriting = O_ACCMODE | O_CREAT | O_TRUNC;
    for (auto [name, argument] : {std::pair("openat", 2u), std::pair("open", 1u)})
      allow_if(name, {argument, SCMP_CMP_MASKED_EQ, kWriting, O_RDONLY});
  }
  Status load() {
    // Every thread, those that libraries started included.
    if (seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_TSYNC, 1) != 0) bad_ = true;
    if (bad_ || seccomp_load(context_.get()) != 0)
      return fail(ErrorKind::internal, "the system call filter cannot be loaded");
    return {};
  }

 private:
  void allow_if(const char* name, scmp_arg_cmp condition) {
    int number = seccomp_syscall_resolve_name(name);
    if (number < 0) return;  // this machine has no such call
    if (seccomp_rule_add_array(context_.get(), SCMP_ACT_ALLOW, number, 1, &condition) != 0)
      bad_ = true;
  }

  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  bool bad_ = false;
};

}  // namespace

Status confine(Confinement kind) {
  if (!can_confine()) return {};
  Filter filter;
  filter.rules(SCMP_ACT_ALLOW, kEveryRole);
  filter.rules(SCMP_ACT_KILL_PROCESS, kDeadly);
  filter.only_for_ourselves();
  switch (kind) {
    case Confinement::front:
      filter.rules(SCMP_ACT_ALLOW, kFront);
      filter.threads();
      break;
    case Confinement::verifier:
      filter.rules(SCMP_ACT_ALLOW, kVerifier);
      filter.threads();
      // Not AF_UNIX: the admin socket is one. Netlink tells getaddrinfo() which addresses we have.
      filter.only_with("socket", 0, {AF_INET, AF_INET6, AF_NETLINK});
      filter.open_for_reading();
      break;
    case Confinement::apply:
      filter.rules(SCMP_ACT_ALLOW, kApply);
      filter.only_with("socket", 0, {AF_NETLINK});
      break;
  }
  return filter.load();
}

}  // namespace knock::net
