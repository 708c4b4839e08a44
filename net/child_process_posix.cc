// SPDX-License-Identifier: Apache-2.0
// posix_spawn with attributes, not Boost.Process (docs/adr/0006): glibc's is a
// CLONE_VFORK|CLONE_VM, so it costs the same whatever the parent holds, and it can do all we
// promise by itself: new session, default signals, every other descriptor closed (POSIX_SPAWN_… and
// *_np, glibc 2.34).
//
// Standard input is an anonymous file rather than a pipe, so that nothing has to be fed while
// output is read: there is no deadlock to avoid and no SIGPIPE to catch. Output comes through two
// pipes and one poll loop.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/owned_fd.h"
#include "base/text.h"
#include "net/child_process.h"

namespace knock::net {
namespace {

constexpr const char* kUsualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr Duration kDeathAfterKill = Duration::seconds(5);
constexpr int kReadsAfterEnd = 64;  // 4 MiB; a pipe holds at most 1 MiB

tl::unexpected<Error> system_error(std::string_view what, int number = errno) {
  return fail(ErrorKind::internal, fmt::format("{}: {}", what, std::strerror(number)));
}

/// A parent that runs without standard streams would get 0…2 for ours, and the child's dup2 calls
/// would then overwrite one with the other.
OwnedFd above_standard(OwnedFd fd) {
  if (fd.get() > 2 || !fd.open()) return fd;
  return OwnedFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
}

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

Status check(const Command& command) {
  if (command.argv.empty() || command.argv[0].empty())
    return fail(ErrorKind::invalid, "no program was named");
  bool nul = has_nul(command.directory);
  for (const auto& argument : command.argv) nul |= has_nul(argument);
  for (const auto& [name, value] : command.environment) {
    nul |= has_nul(name) || has_nul(value);
    if (name.empty() || name.find('=') != std::string::npos)
      return fail(ErrorKind::invalid, fmt::format("'{}' cannot name a variable", name));
  }
  if (nul) return fail(ErrorKind::invalid, "an argument or variable holds a NUL byte");
  return {};
}

std::string search_path(const Command& command) {
  for (const auto& [name, value] : command.environment)
    if (name == "PATH") return value;
  const char* ours = std::getenv("PATH");
  return ours != nullptr ? ours : kUsualPath;
}

bool runnable(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

/// Relative parts of PATH are passed over: what runs must not depend on the folder we stand in.
Result<std::string> locate(const std::string& program, const std::string& path) {
  if (program.find('/') != std::string::npos) {
    if (program[0] != '/')
      return fail(ErrorKind::invalid,
                  fmt::format("program '{}': give a whole path, or a name to look up", program));
    if (runnable(program)) return program;
    return fail(ErrorKind::not_found, fmt::format("there is no program {}", program));
  }
  for (auto folder : split(path, ':')) {
    auto candidate = fmt::format("{}/{}", folder, program);
    if (folder.starts_with('/') && runnable(candidate)) return candidate;
  }
  return fail(
      ErrorKind::not_found,
      fmt::format("there is no program '{}' in PATH ({}); install it, or put its folder there",
                  program, path));
}

Result<OwnedFd> input_file(const std::string& input) {
  if (input.empty()) {
    OwnedFd null = above_standard(OwnedFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
    if (!null.open()) return system_error("open /dev/null");
    return null;
  }
  OwnedFd file = above_standard(OwnedFd(::memfd_create("input", MFD_CLOEXEC)));
  if (!file.open()) return system_error("memfd_create");
  for (std::size_t done = 0; done < input.size();) {
    auto n = ::write(file.get(), input.data() + done, input.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return system_error("write the child's input");
    done += std::size_t(n);
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return system_error("lseek");
  return file;
}

struct Pipe {
  OwnedFd read, write;
};

Result<Pipe> output_pipe() {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("pipe2");
  Pipe pipe{above_standard(OwnedFd(ends[0])), above_standard(OwnedFd(ends[1]))};
  if (!pipe.read.open() || !pipe.write.open()) return system_error("fcntl");
  if (::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) != 0) return system_error("fcntl");
  return pipe;
}

struct Actions {
  posix_spawn_file_actions_t value{};
  Actions() { posix_spawn_file_actions_init(&value); }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  ~Actions() { posix_spawn_file_actions_destroy(&value); }
};

struct Attributes {
  posix_spawnattr_t value{};
  Attributes() { posix_spawnattr_init(&value); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  ~Attributes() { posix_spawnattr_destroy(&value); }
};

/// A session of its own: its process group is what we kill, and without a terminal nothing can ask
/// a question there. Signals are as a login would have them; ours are blocked or ignored in places.
int describe_child(Attributes& attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  int problem = posix_spawnattr_setsigmask(&attributes.value, &none);
  if (problem == 0) problem = posix_spawnattr_setsigdefault(&attributes.value, &all);
  if (problem == 0)
    problem = posix_spawnattr_setflags(
        &attributes.value, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  return problem;
}

int describe_files(Actions& actions, const Command& command, int in, int out, int err) {
  auto* list = &actions.value;
  int problem = posix_spawn_file_actions_adddup2(list, in, 0);
  if (problem == 0) problem = posix_spawn_file_actions_adddup2(list, out, 1);
  if (problem == 0) problem = posix_spawn_file_actions_adddup2(list, err, 2);
  if (problem == 0) problem = posix_spawn_file_actions_addclosefrom_np(list, 3);
  if (problem == 0 && !command.directory.empty())
    problem = posix_spawn_file_actions_addchdir_np(list, command.directory.c_str());
  return problem;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// From outside, because posix_spawn cannot; what the program starts later inherits it. A child that
/// has ended by now needs no limit.
void limit(pid_t pid, decltype(RLIMIT_FSIZE) what, std::uint64_t bytes) {
  if (bytes == 0) return;
  rlimit bound{bytes, bytes};
  (void)::prlimit(pid, what, &bound, nullptr);
}

Result<pid_t> spawn(const Command& command, int in, int out, int err) {
  auto path = search_path(command);
  KNOCK_ASSIGN(auto program, locate(command.argv[0], path));
  struct stat info{};
  if (!command.directory.empty() &&
      (::stat(command.directory.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)))
    return fail(ErrorKind::not_found, fmt::format("there is no folder {}", command.directory));

  auto arguments = command.argv;
  std::vector<std::string> variables;
  bool has_path = false;
  for (const auto& [name, value] : command.environment) {
    variables.push_back(name + "=" + value);
    has_path |= name == "PATH";
  }
  if (!has_path) variables.push_back("PATH=" + path);
  auto argv = pointers(arguments), envp = pointers(variables);

  Attributes attributes;
  Actions actions;
  pid_t pid = 0;
  int problem = describe_child(attributes);
  if (problem == 0) problem = describe_files(actions, command, in, out, err);
  if (problem == 0)
    problem = posix_spawn(&pid, program.c_str(), &actions.value, &attributes.value, argv.data(),
                          envp.data());
  if (problem != 0) return system_error(fmt::format("start {}", program), problem);
  limit(pid, RLIMIT_FSIZE, command.file_bytes);
  limit(pid, RLIMIT_DATA, command.data_bytes);
  return pid;
}

/// A started child. Whatever happens, it is dead and reaped when this value dies.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid), watch_(int(::syscall(SYS_pidfd_open, pid, 0))) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) (void)end(Deadline::in(kDeathAfterKill));
  }
  /// Readable once the child has ended; -1 where the kernel cannot say (before 5.3, or behind a
  /// filter).
  int watch() const { return watch_.get(); }
  /// Ended and not yet reaped: its id, and so its group's, is still ours.
  bool ended() const {
    siginfo_t info{};
    return ::waitid(P_PID, id_t(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid == pid_;
  }
  /// Kills what is left of the group, and reaps. Nothing when the child does not even die of
  /// SIGKILL (stuck in a dead file system): it cannot be waited for without hanging too.
  std::optional<int> end(Deadline deadline) {
    ::kill(-pid_, SIGKILL);
    while (!ended() && !deadline.passed()) wait_a_little(deadline);
    int status = 0;
    pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
    pid_ = -1;
    if (reaped <= 0) return std::nullopt;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  void wait_a_little(Deadline deadline) const {
    pollfd item{watch(), POLLIN, 0};
    ::poll(&item, watch() >= 0 ? 1 : 0, watch() >= 0 ? int(deadline.left().ms) : 5);
  }
  pid_t pid_;
  OwnedFd watch_;
};

struct Stream {
  OwnedFd fd;
  std::string* into;
  std::size_t limit;
  bool truncated = false;
};

/// At most `reads` buffers of what is there now, so that one chatty stream does not keep us from
/// looking up. What exceeds the limit is read and forgotten: the child must not be blocked by it.
void drain(Stream& stream, int reads) {
  std::array<char, 65536> buffer;
  for (; stream.fd.open() && reads > 0; --reads) {
    auto n = ::read(stream.fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return stream.fd.reset();
    auto room = std::min(std::size_t(n), stream.limit - stream.into->size());
    stream.into->append(buffer.data(), room);
    stream.truncated |= room < std::size_t(n);
  }
}

/// Until the child has ended; false when time was up first. A poll timeout is an int of
/// milliseconds, hence the minute.
bool follow(const Child& child, std::array<Stream, 2>& streams, Deadline deadline) {
  while (!child.ended()) {
    if (deadline.passed()) return false;
    std::array<pollfd, 3> items{pollfd{streams[0].fd.get(), POLLIN, 0},
                                pollfd{streams[1].fd.get(), POLLIN, 0},
                                pollfd{child.watch(), POLLIN, 0}};
    auto longest = child.watch() >= 0 ? std::int64_t{60'000} : std::int64_t{5};
    ::poll(items.data(), items.size(), int(std::min(deadline.left().ms, longest)));
    for (auto& stream : streams) drain(stream, 16);
  }
  return true;
}

}  // namespace

Result<Finished> run(const Command& command, Deadline deadline) {
  KNOCK_CHECK(check(command));
  if (deadline.passed())
    return fail(ErrorKind::timeout,
                fmt::format("{}: no time was left to start it", command.argv[0]));
  KNOCK_ASSIGN(OwnedFd in, input_file(command.input));
  KNOCK_ASSIGN(Pipe out, output_pipe());
  KNOCK_ASSIGN(Pipe err, output_pipe());
  KNOCK_ASSIGN(pid_t pid, spawn(command, in.get(), out.write.get(), err.write.get()));
  Child child(pid);
  in.reset();
  out.write.reset();
  err.write.reset();

  Finished finished;
  std::array<Stream, 2> streams{Stream{std::move(out.read), &finished.out, command.output_bytes},
                                Stream{std::move(err.read), &finished.err, command.output_bytes}};
  bool in_time = follow(child, streams, deadline);
  // What the child left running dies with it; a pipe that such a process held open is empty after
  // the last drain.
  auto code = child.end(Deadline::in(kDeathAfterKill));
  if (!in_time)
    return fail(ErrorKind::timeout,
                fmt::format("{}: had not ended in time; {}", command.argv[0],
                            code ? "it was killed with everything it had started"
                                 : "it was killed but does not die, a file system may hang"));
  if (!code)
    return fail(ErrorKind::internal,
                fmt::format("{}: its exit code was taken by somebody else", command.argv[0]));
  for (auto& stream : streams) {
    drain(stream, kReadsAfterEnd);
    finished.truncated |= stream.truncated;
  }
  finished.exit_code = *code;
  return finished;
}

}  // namespace knock::net
