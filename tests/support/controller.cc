// SPDX-License-Identifier: Apache-2.0
#include "tests/support/controller.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <set>
#include <stdexcept>

#include "base/text.h"
#include "tests/support/failpoints.h"

namespace knock::test {
namespace {

namespace fs = std::filesystem;

std::string program(const std::string& failpoints) {
  return fs::absolute(binary_dir()) /
         (failpoints.empty() ? "cli/knock" : "tests/knock-with-failpoints");
}

/// Somebody listens there and takes connections.
bool answers(const std::string& socket_path) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof to.sun_path) throw std::runtime_error(socket_path + ": long");
  std::memcpy(to.sun_path, socket_path.c_str(), socket_path.size());
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool there = connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  close(fd);
  return there;
}

struct Process {
  pid_t pid, parent;
  std::string name;
};

/// Of the process table; nothing when the process is gone meanwhile, or only waits to be reaped.
std::optional<Process> process(const std::string& number) {
  Process out{};
  if (std::from_chars(number.data(), number.data() + number.size(), out.pid).ec != std::errc())
    return std::nullopt;
  std::string text;
  try {
    text = read_file("/proc/" + number + "/stat");
  } catch (const std::exception&) {
    return std::nullopt;
  }
  auto open = text.find('('), shut = text.rfind(')');
  if (open == text.npos || shut == text.npos || shut + 4 > text.size()) return std::nullopt;
  out.name = text.substr(open + 1, shut - open - 1);
  if (text[shut + 2] == 'Z') return std::nullopt;
  auto rest = std::string_view(text).substr(shut + 4);
  std::from_chars(rest.data(), rest.data() + rest.size(), out.parent);
  return out;
}

std::vector<Process> descendants(pid_t of) {
  std::vector<Process> all, out;
  for (const auto& each : fs::directory_iterator("/proc"))
    if (auto one = process(each.path().filename().string())) all.push_back(std::move(*one));
  std::set<pid_t> known{of};
  for (bool grown = true; grown;) {
    grown = false;
    for (const Process& one : all) {
      if (known.contains(one.pid) || !known.contains(one.parent)) continue;
      known.insert(one.pid);
      out.push_back(one);
      grown = true;
    }
  }
  return out;
}

int exit_code(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

bool send_signal(pid_t pid, int signal) {
  if (pid <= 1 || pid == getpid())
    throw std::logic_error("signal " + std::to_string(signal) + " for process " +
                           std::to_string(pid));
  return ::kill(pid, signal) == 0;
}

bool process_exists(pid_t pid) { return process(std::to_string(pid)).has_value(); }

net::Finished run_in(const Namespace& where, const std::vector<std::string>& argv,
                     const std::string& input, Duration patience,
                     const std::vector<std::pair<std::string, std::string>>& environment) {
  net::Command command;
  command.argv = argv;
  command.environment = {
      {"HOME", "/nonexistent"}, {"GIT_CONFIG_GLOBAL", "/dev/null"}, {"LC_ALL", "C.UTF-8"}};
  command.environment.insert(command.environment.end(), environment.begin(), environment.end());
  command.input = input;
  command.output_bytes = 16u << 20;
  net::Finished out;
  where.run([&] {
    auto done = net::run(command, Deadline::in(patience));
    if (!done) throw std::runtime_error(knock::join(argv, " ") + ": " + done.error().text());
    out = std::move(*done);
  });
  return out;
}

std::string json_at(std::string_view json, const std::string& pointer) {
  boost::system::error_code problem;
  auto value = boost::json::parse(json, problem);
  if (problem) return {};
  const auto* at = value.find_pointer(pointer, problem);
  if (at == nullptr) return {};
  return at->is_string() ? std::string(at->as_string()) : boost::json::serialize(*at);
}

Installation::Installation(const Namespace& where, const InstallationSettings& settings,
                           std::string_view policy)
    : where_(where),
      state_(settings.state.empty() ? folder_.path() + "/state" : settings.state),
      failpoints_(settings.failpoints),
      git_(settings.git) {
  fs::create_directories(policy_folder());
  fs::create_directories(state_);
  auto location = git_ ? fmt::format("{{repo: {}, ref: main, poll: 1s}}", policy_folder())
                       : fmt::format("{{dir: {}, poll: 1s}}", policy_folder());
  write_file(folder() + "/knock.yaml",
             fmt::format("owner: \"00c0ffee00c0ffee\"\n"
                         "policy: {}\n"
                         "store: sqlite://{}/knock.db\n"
                         "socket: {}/admin.sock\n{}",
                         location, state_, folder(), settings.knock_yaml));
  if (git_) git({"init", "-q", "-b", "main"});
  change_policy(policy, "begin");
}

Installation::~Installation() { kill_all(); }

std::string Installation::git(std::vector<std::string> words) const {
  words.insert(words.begin(), {"git", "-C", policy_folder(), "-c", "user.name=Olga Operator", "-c",
                               "user.email=olga@example.org", "-c", "commit.gpgsign=false"});
  auto done = run_in(where_, words);
  if (done.exit_code != 0) throw std::runtime_error(knock::join(words, " ") + ": " + done.err);
  return std::string(trim(done.out));
}

std::string Installation::change_policy(std::string_view policy, const std::string& subject) {
  // Beside and renamed: the controller may be reading.
  write_file(folder() + "/next.yaml", policy);
  fs::rename(folder() + "/next.yaml", policy_folder() + "/main.yaml");
  if (!git_) return {};
  git({"add", "-A"});
  git({"commit", "-q", "-m", subject});
  return git({"rev-parse", "HEAD"});
}

net::Finished Installation::knock(std::vector<std::string> words, const std::string& input) const {
  words.insert(words.begin(), {program(failpoints_), "--config", folder() + "/knock.yaml"});
  std::vector<std::pair<std::string, std::string>> environment;
  if (!failpoints_.empty()) environment.emplace_back(kFailpointsVariable, failpoints_);
  return run_in(where_, words, input, Duration::seconds(20), environment);
}

std::string Installation::ask(std::vector<std::string> words, const std::string& pointer) const {
  words.insert(words.begin(), "--json");
  return json_at(knock(std::move(words)).out, pointer);
}

void Installation::start() {
  if (pid_ > 0) throw std::logic_error("the controller runs already");
  std::vector<std::string> words{program(failpoints_), "--config", folder() + "/knock.yaml",
                                 "serve"};
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  auto net = where_.path(), log_file = folder() + "/serve.log";
  pid_t test = getpid();
  // From this thread, not from one inside the namespace: the controller ends with its maker.
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int space = open(net.c_str(), O_RDONLY | O_CLOEXEC);
    if (getppid() != test || in < 0 || out < 0 || setns(space, CLONE_NEWNET) != 0) _exit(126);
    if (!failpoints_.empty()) setenv(kFailpointsVariable, failpoints_.c_str(), 1);
    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    execv(argv[0], argv.data());
    _exit(127);
  }
  bool up = eventually([&] { return answers(folder() + "/admin.sock") || wait_for_end({0}) >= 0; },
                       Duration::seconds(20));
  if (!up || pid_ < 0) {
    kill_all();
    throw std::runtime_error("the controller did not start:\n" + log());
  }
}

int Installation::wait_for_end(Duration patience) {
  int status = 0, code = -1;
  if (pid_ <= 0) return -1;
  eventually(
      [&] {
        pid_t got = waitpid(pid_, &status, WNOHANG);
        if (got == 0) return false;
        code = got == pid_ ? exit_code(status) : 255;
        return true;
      },
      patience);
  if (code >= 0) pid_ = -1;
  return code;
}

int Installation::stop() {
  if (pid_ <= 0) return -1;
  send_signal(pid_, SIGTERM);
  int code = wait_for_end(Duration::seconds(10));
  if (code < 0) kill_all();
  return code;
}

void Installation::kill_all() {
  if (pid_ <= 0) return;
  auto all = descendants(pid_);
  send_signal(pid_, SIGSTOP);
  for (const Process& one : all) send_signal(one.pid, SIGSTOP);
  for (const Process& one : all) send_signal(one.pid, SIGKILL);
  send_signal(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
  pid_ = -1;
}

std::multimap<std::string, pid_t> Installation::roles() const {
  std::multimap<std::string, pid_t> out;
  if (pid_ <= 0) return out;
  out.emplace("parent", pid_);
  for (const Process& one : descendants(pid_))
    if (one.name.starts_with("knock-")) out.emplace(one.name.substr(6), one.pid);
  return out;
}

pid_t Installation::role(const std::string& name) const {
  auto all = roles();
  return all.count(name) == 1 ? all.find(name)->second : -1;
}

std::string Installation::log() const {
  return fs::exists(folder() + "/serve.log") ? read_file(folder() + "/serve.log") : std::string();
}

}  // namespace knock::test
