// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/captured_front.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "net/fd_passing.h"
#include "schemas/role/spawn.h"
#include "schemas/role/verifier_start.h"

namespace knock::test {
namespace {

constexpr int kFirstDescriptor = 3;  // as cli/role.h says

std::array<int, 2> socket_pair(int type) {
  std::array<int, 2> ends;
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw std::runtime_error("socketpair");
  return ends;
}

std::uint32_t length_of(std::string_view bytes) {
  std::uint32_t out = 0;
  for (int i = 0; i < 4; ++i) out = out << 8 | std::uint8_t(bytes[std::size_t(i)]);
  return out;
}

}  // namespace

// ---------------------------------------------------------------- one link

FrontEnd::~FrontEnd() { close(socket_); }

bool FrontEnd::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(std::size_t(sent));
  }
  return true;
}

FrontEnd::Got FrontEnd::more(Deadline deadline) {
  pollfd wait{socket_, POLLIN, 0};
  if (poll(&wait, 1, int(deadline.left().ms)) <= 0) return Got::nothing;
  std::array<char, 16 * 1024> part;
  ssize_t got = recv(socket_, part.data(), part.size(), 0);
  if (got <= 0) return Got::end;
  input_.append(part.data(), std::size_t(got));
  while (input_.size() >= 4 && input_.size() - 4 >= length_of(input_)) {
    auto size = 4 + std::size_t(length_of(input_));
    auto answer = role::decode_to_front(std::string_view(input_).substr(4, size - 4));
    input_.erase(0, size);
    if (!answer) continue;
    if (const auto* ping = std::get_if<role::Ping>(&*answer))
      (void)send(role::encode(role::FromFront(role::Pong{ping->request})));
    else
      answers_.push_back(std::move(*answer));
  }
  return Got::something;
}

std::optional<role::ToFront> FrontEnd::ask(role::FromFront question) {
  auto number = ++last_;
  std::visit([&](auto& one) { one.request = number; }, question);
  if (!send(role::encode(question))) return std::nullopt;
  auto deadline = Deadline::in(Duration::seconds(10));
  while (true) {
    while (!answers_.empty()) {
      auto answer = std::move(answers_.front());
      answers_.pop_front();
      if (role::request_of(answer) == number) return answer;
    }
    if (more(deadline) != Got::something) return std::nullopt;
  }
}

std::string FrontEnd::refusal(role::FromFront question) {
  auto refused = ask_for<role::Refused>(std::move(question));
  return refused ? refused->code : std::string();
}

void FrontEnd::hang_up() const { shutdown(socket_, SHUT_RDWR); }

bool FrontEnd::ended(Duration patience) {
  auto deadline = Deadline::in(patience);
  while (!deadline.passed())
    if (more(deadline) == Got::end) return true;
  return false;
}

// ---------------------------------------------------------------- the parent's part

CapturedFront::CapturedFront(World& world) : world_(world) {
  std::vector<role::VerifierSource> sources;
  OidcSettings corp;
  corp.name = SignInName("corp");
  corp.issuer = world.provider->issuer();
  corp.client_id = "knock";
  corp.scopes = {"openid", "profile", "email", "groups"};
  corp.allow_networks = {Prefix::parse("127.0.0.0/8").value()};
  sources.push_back({corp, Secret(OidcProvider::secret_of("knock"))});
  verifier_start_ = net::sealed_memory("verifier", role::encode(sources)).value();
  auto ends = socket_pair(SOCK_SEQPACKET);
  wishes_ = ends[0];
  core_ = start("core", {ends[1]}, {"--config", world.knock->folder() + "/knock.yaml"});
  close(ends[1]);
  thread_ = std::thread([this] { serve_wishes(); });
  bool up = eventually([&] { return world_.knock->knock({"status"}).exit_code == 0; },
                       Duration::seconds(20));
  if (!up) throw std::runtime_error("core did not come up: " + world.knock->log());
}

CapturedFront::~CapturedFront() { end(); }

void CapturedFront::end() {
  if (core_runs()) send_signal(core_, SIGTERM);
  if (!eventually([&] { return !core_runs(); }, Duration::seconds(10))) {
    send_signal(core_, SIGKILL);
    waitpid(core_, nullptr, 0);
    core_ = -1;
  }
  if (thread_.joinable()) thread_.join();  // core's end of the socket is gone
  for (pid_t pid : others_) {
    send_signal(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  others_.clear();
  for (int socket : links_) close(socket);
  links_.clear();
  for (int* socket : {&wishes_, &verifier_start_})
    if (*socket >= 0) close(std::exchange(*socket, -1));
}

bool CapturedFront::core_runs() {
  if (core_ <= 0) return false;
  int status = 0;
  if (waitpid(core_, &status, WNOHANG) == 0) return true;
  core_ = -1;
  return false;
}

pid_t CapturedFront::start(const std::string& role, const std::vector<int>& descriptors,
                           const std::vector<std::string>& more) {
  std::vector<std::string> words{std::filesystem::absolute(binary_dir()) / "cli/knock", "role",
                                 role};
  words.insert(words.end(), more.begin(), more.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  auto net = world_.server.path(), log_file = world_.knock->folder() + "/serve.log";
  pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("fork failed");
  if (pid > 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int space = open(net.c_str(), O_RDONLY | O_CLOEXEC);
  int out = open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (space < 0 || setns(space, CLONE_NEWNET) != 0) _exit(126);
  dup2(out, 1);
  dup2(out, 2);
  std::array<int, 4> high;  // out of the way of 3, 4, … first
  for (std::size_t i = 0; i < descriptors.size(); ++i)
    high[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, 100);
  for (std::size_t i = 0; i < descriptors.size(); ++i) dup2(high[i], kFirstDescriptor + int(i));
  execv(argv[0], argv.data());
  _exit(127);
}

/// Core's end of what it wishes for.
int CapturedFront::grant(std::string_view body) {
  auto wish = role::decode_to_parent(body);
  if (!wish) return -1;
  auto ends = socket_pair(SOCK_STREAM);
  if (std::holds_alternative<role::SpawnFront>(*wish)) {
    std::lock_guard lock(mutex_);
    links_.push_back(ends[0]);
    fresh_.notify_all();
    return ends[1];
  }
  if (std::holds_alternative<role::SpawnVerifier>(*wish))
    others_.push_back(start("verifier", {ends[0], verifier_start_}, {}));
  else
    others_.push_back(start("apply", {ends[0]}, {}));
  close(ends[0]);
  return ends[1];
}

void CapturedFront::serve_wishes() {
  while (true) {
    auto wish = net::receive_with_descriptor(wishes_);
    if (!wish || wish->body.empty()) return;
    int end = grant(wish->body);
    role::Spawned answer{end >= 0, false, ""};
    (void)net::send_with_descriptor(wishes_, role::encode(answer), end);
    if (end >= 0) close(end);
  }
}

std::unique_ptr<FrontEnd> CapturedFront::link() {
  std::unique_lock lock(mutex_);
  if (!fresh_.wait_for(lock, std::chrono::seconds(5), [&] { return !links_.empty(); }))
    throw std::runtime_error("core asks for no front");
  auto out = std::make_unique<FrontEnd>(links_.front());
  links_.pop_front();
  return out;
}

}  // namespace knock::test
