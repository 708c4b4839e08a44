// SPDX-License-Identifier: Apache-2.0
// The parent process: small, single-threaded, and the only one that keeps the privileges it was
// started with. It makes roles and hands their sockets to core; it reads nothing that comes from
// outside but core's three kinds of wish.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <map>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/sha256.h"
#include "cli/log_sink.h"
#include "cli/role.h"
#include "net/fd_passing.h"
#include "net/http_server_socket.h"
#include "net/http_server_stream.h"
#include "net/sandbox.h"
#include "schemas/role/spawn.h"
#include "schemas/role/verifier_start.h"
#include "server/core/controller.h"
#include "sso/secret_source.h"

namespace knock::cli {
namespace {

tl::unexpected<Error> system_error(const char* what) {
  return fail(ErrorKind::internal, std::string(what) + ": " + std::strerror(errno));
}

struct SocketPair {
  OwnedFd ours, theirs;
};

Result<SocketPair> socket_pair(int type) {
  int ends[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) return system_error("socketpair");
  return SocketPair{OwnedFd(ends[0]), OwnedFd(ends[1])};
}

/// All that a role that faces others inherits: where certificates are, how names resolve, what
/// sanitizers and coverage are told. Secrets come as `env:NAME`, and more may stand beside them.
constexpr std::string_view kPassedOn[] = {"LANG",
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
#ifdef KNOCK_FAILPOINTS
                                          "KNOCK_FAILPOINTS_FILE",  // nobody reads it here
#endif
                                          "LLVM_PROFILE_FILE"};

struct Role {
  std::string name;
  net::Identity identity;
  bool changes_identity = true;
  std::vector<int> descriptors;  // become 3, 4, …; nothing else is inherited
  std::vector<std::string> arguments;
};

class Supervisor {
 public:
  Supervisor(const Global& global, const Config& config) : global_(global), config_(config) {}

  int run() {
    if (auto ready = prepare(); !ready) {
      log(LogLevel::error, "controller.not-started", "The controller cannot be started.",
          {{"problem", ready.error().text()}});
      return code_for(ready.error());
    }
    return watch();
  }

 private:
  Status prepare() {
    self_ = OwnedFd(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    if (self_.get() < 0) return system_error("opening our own executable");
    KNOCK_CHECK(read_secrets());
    net::HttpListen listen;
    listen.address = config_.listen.address;
    listen.port = config_.listen.port;
    auto listening = net::listen_on(listen);
    if (!listening) return fail_within("the portal's address", listening);
    listening_ = std::move(listening->fd);
    sigset_t signals;
    sigemptyset(&signals);
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&signals, signal);
    sigprocmask(SIG_BLOCK, &signals, &before_);
    signals_ = OwnedFd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    KNOCK_ASSIGN(auto pair, socket_pair(SOCK_SEQPACKET));
    wishes_ = std::move(pair.ours);
    Role core{"core", {}, false, {pair.theirs.get()}, {"--config", global_.config_file}};
    if (global_.verbose) core.arguments.push_back("--verbose");
    KNOCK_ASSIGN(auto started, start(core));
    core_ = started.pid;
    return {};
  }

  Status read_front_start() {
    role::FrontStart front;
    front.public_url = public_url(config_);
    front.secure = config_.tls.has_value() || front.public_url.starts_with("https://");
    front.trusted_proxies = config_.trusted_proxies;
    if (config_.tls) {
      KNOCK_ASSIGN(front.certificate_pem, read_text_file(config_.tls->certificate));
      KNOCK_ASSIGN(front.key_pem, read_text_file(config_.tls->key));
      // Here and not by front only, which would end at once and again for a pair that does not fit.
      if (auto fits = net::TlsSettings::make(front.certificate_pem, front.key_pem); !fits)
        return fail_within("tls: " + config_.tls->certificate + ", " + config_.tls->key, fits);
    }
    auto text = role::encode(front);
    auto digest = sha256(text);
    if (front_start_.get() >= 0 && digest == front_start_digest_) return {};
    KNOCK_ASSIGN(int front_start, net::sealed_memory("knock-front", text));
    front_start_ = OwnedFd(front_start);
    front_start_digest_ = digest;
    return {};
  }

  Status read_secrets() {
    KNOCK_CHECK(read_front_start());
    std::vector<role::VerifierSource> sources;
    for (const OidcSettings& oidc : config_.oidc) {
      role::VerifierSource source{oidc, {}};
      if (oidc.client_secret) {
        auto secret = sso::resolve(*oidc.client_secret, Deadline::in(Duration::seconds(30)));
        if (!secret) return fail_within("sign_in " + oidc.name.value + ": client_secret", secret);
        source.client_secret = std::move(*secret);
      }
      sources.push_back(std::move(source));
    }
    KNOCK_ASSIGN(int verifier_start, net::sealed_memory("knock-verifier", role::encode(sources)));
    verifier_start_ = OwnedFd(verifier_start);
    return {};
  }

  struct Started {
    pid_t pid;
    bool user_kept;
  };

  /// Forks; the child becomes who the role is and executes this program again. What it could not
  /// become comes back through a pipe that a successful exec closes.
  Result<Started> start(const Role& role) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) return system_error("pipe");
    OwnedFd reading(report[0]), writing(report[1]);
    pid_t pid = fork();
    if (pid < 0) return system_error("fork");
    if (pid == 0) {
      auto problem = become_role(role, writing.get());
      (void)!write(writing.get(), problem.data(), problem.size());
      _exit(127);
    }
    writing.reset();
    std::string said;
    char buffer[512];
    for (ssize_t got; (got = read(reading.get(), buffer, sizeof buffer)) > 0;)
      said.append(buffer, std::size_t(got));
    if (said == "k") return Started{pid, true};
    if (!said.empty()) {
      waitpid(pid, nullptr, 0);
      return fail(ErrorKind::unavailable, "role " + role.name + ": " + said);
    }
    return Started{pid, false};
  }

  /// In the child, single-threaded. Returns only with a problem.
  std::string become_role(const Role& role, int report) {
    sigprocmask(SIG_SETMASK, &before_, nullptr);
    // Out of the way of 3, 4, … first, then into place.
    std::vector<int> high;
    for (int descriptor : role.descriptors) high.push_back(fcntl(descriptor, F_DUPFD_CLOEXEC, 100));
    int pipe_end = fcntl(report, F_DUPFD_CLOEXEC, 100);
    int program = fcntl(self_.get(), F_DUPFD_CLOEXEC, 100);
    // What whoever started us left open is no role's business.
    if (close_range(kFirstDescriptor, ~0u, CLOSE_RANGE_CLOEXEC) != 0)  // before Linux 5.11
      for (int fd = kFirstDescriptor; fd < int(sysconf(_SC_OPEN_MAX)); ++fd)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    for (std::size_t i = 0; i < high.size(); ++i) dup2(high[i], kFirstDescriptor + int(i));
    if (role.changes_identity) {
      auto became = net::become(role.identity);
      if (!became) return became.error().text();
      if (became->user_kept) (void)!write(pipe_end, "k", 1);
    }
    std::vector<std::string> words{"knock", "role", role.name};
    words.insert(words.end(), role.arguments.begin(), role.arguments.end());
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    auto variables = environment_for(role);
    fexecve(program, argv.data(), variables.data());
    return std::string("exec: ") + std::strerror(errno);
  }

  /// Core runs git and reads no secrets: it gets everything but those. The others face strangers.
  std::vector<char*> environment_for(const Role& role) const {
    auto passes = [&](std::string_view name) {
      if (role.changes_identity)
        return std::find(std::begin(kPassedOn), std::end(kPassedOn), name) != std::end(kPassedOn);
      return std::none_of(config_.oidc.begin(), config_.oidc.end(), [&](const OidcSettings& oidc) {
        return oidc.client_secret &&
               oidc.client_secret->kind == SecretReference::Kind::environment &&
               oidc.client_secret->value == name;
      });
    };
    std::vector<char*> out;
    for (char** variable = environ; *variable != nullptr; ++variable) {
      std::string_view text = *variable;
      if (passes(text.substr(0, text.find('=')))) out.push_back(*variable);
    }
    out.push_back(nullptr);
    return out;
  }

  // ---- what core wishes ----

  Result<role::Spawned> grant(const role::ToParent& wish, OwnedFd& for_core) {
    KNOCK_ASSIGN(auto pair, socket_pair(SOCK_STREAM));
    Role role;
    if (const auto* apply = std::get_if<role::SpawnApply>(&wish))
      role = {"apply", {config_.front_user, apply->netns, true}, true, {pair.theirs.get()}, {}};
    else if (std::holds_alternative<role::SpawnVerifier>(wish))
      role = {"verifier",
              {config_.front_user, "", false},
              true,
              {pair.theirs.get(), verifier_start_.get()},
              {}};
    else
      role = {"front",
              {config_.front_user, "", false},
              true,
              {pair.theirs.get(), listening_.get(), front_start_.get()},
              {}};
    auto place = role.name + (role.identity.netns.empty() ? "" : " " + role.identity.netns);
    end_former(place);
    // A front that was taken over may have shut the socket for all who hold it.
    if (role.name == "front") listen(listening_.get(), SOMAXCONN);
    KNOCK_ASSIGN(auto started, start(role));
    others_[started.pid] = place;
    for_core = std::move(pair.ours);
    return role::Spawned{true, started.user_kept, ""};
  }

  /// Core asks for a role when the one it had is gone or not trusted any more. The process may be
  /// there all the same, with the listening socket or the firewall in its hands: it ends first.
  void end_former(const std::string& place) {
    for (auto at = others_.begin(); at != others_.end();) {
      if (at->second != place) {
        ++at;
        continue;
      }
      if (waitpid(at->first, nullptr, WNOHANG) == 0) {
        log(LogLevel::warning, "role.replaced",
            "A role that core does not hear from any more was ended.", {{"role", place}});
        kill(at->first, SIGKILL);
        waitpid(at->first, nullptr, 0);
      }
      replaced_.erase(at->first);
      at = others_.erase(at);
    }
  }

  /// False when core has closed its end.
  bool serve_wish() {
    auto received = net::receive_with_descriptor(wishes_.get());
    if (!received || received->body.empty()) return false;
    if (received->descriptor >= 0) close(received->descriptor);
    auto wish = role::decode_to_parent(received->body);
    OwnedFd for_core;
    Result<role::Spawned> granted =
        wish ? grant(*wish, for_core) : Result<role::Spawned>(fail(wish.error()));
    role::Spawned answer =
        granted ? *granted : role::Spawned{false, false, granted.error().text().substr(0, 1500)};
    return net::send_with_descriptor(wishes_.get(), role::encode(answer), for_core.get())
        .has_value();
  }

  /// The certificate and its key as they are by now, for connections that come after this. Front
  /// ends, and the new one that core asks for finds the new pair; the listening socket stays here.
  void read_certificate_again() {
    if (!config_.tls) return;
    auto before = front_start_digest_;
    if (auto read = read_front_start(); !read) {
      log(LogLevel::error, "tls.refused",
          "The new certificate is not used: the portal goes on with the one it has.",
          {{"problem", read.error().text()}});
      return;
    }
    if (front_start_digest_ == before) return;
    log(LogLevel::info, "tls.replaced", "New connections get the new certificate.",
        {{"certificate", config_.tls->certificate}});
    for (const auto& [pid, name] : others_)
      if (name == "front") {
        replaced_.insert(pid);
        kill(pid, SIGTERM);
      }
  }

  // ---- watching ----

  int watch() {
    bool wishes_open = true;
    while (true) {
      pollfd wait[2] = {{signals_.get(), POLLIN, 0}, {wishes_open ? wishes_.get() : -1, POLLIN, 0}};
      if (poll(wait, 2, -1) < 0 && errno != EINTR) return kError;
      if (wait[1].revents != 0) wishes_open = serve_wish();
      signalfd_siginfo info{};
      while (read(signals_.get(), &info, sizeof info) == ssize_t(sizeof info))
        if (info.ssi_signo != SIGCHLD) {
          if (info.ssi_signo == SIGHUP) read_certificate_again();
          kill(core_, int(info.ssi_signo));
        }
      if (auto code = reap(); code >= 0) return end_all(code);
    }
  }

  /// core's exit code when it has ended, else -1. The others are made anew when core wishes.
  int reap() {
    int status = 0, code = -1;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid == core_) {
        code = WIFEXITED(status) ? WEXITSTATUS(status) : kError;
        if (WIFSIGNALED(status))
          log(LogLevel::error, "core.killed", "Core has ended; what is open closes at its time.",
              {{"signal", std::to_string(WTERMSIG(status))}});
        continue;
      }
      auto at = others_.find(pid);
      if (at == others_.end()) continue;
      bool meant = replaced_.erase(pid) > 0;
      if (!meant && (WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) != 0)))
        log(LogLevel::warning, "role.ended", "A role has ended and is made anew when it is needed.",
            {{"role", at->second},
             {"status",
              std::to_string(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status))}});
      others_.erase(at);
    }
    return code;
  }

  int end_all(int code) {
    for (const auto& [pid, name] : others_) kill(pid, SIGTERM);
    // Time to say the last answers; whoever takes more, or does not want to, is not waited for.
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    while (!others_.empty() && std::chrono::steady_clock::now() < until) {
      std::erase_if(others_,
                    [](const auto& role) { return waitpid(role.first, nullptr, WNOHANG) != 0; });
      if (!others_.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    for (const auto& [pid, name] : others_) kill(pid, SIGKILL);
    for (const auto& [pid, name] : others_) waitpid(pid, nullptr, 0);
    return code;
  }

  const Global& global_;
  const Config& config_;
  OwnedFd self_, listening_, signals_, wishes_, front_start_, verifier_start_;
  Digest front_start_digest_{};
  std::set<pid_t> replaced_;  // fronts that were ended for a new certificate
  sigset_t before_{};
  pid_t core_ = -1;
  std::map<pid_t, std::string> others_;  // role and namespace: one live process each
};

}  // namespace

int supervise(const Global& global, const Config& config) {
  return Supervisor(global, config).run();
}

}  // namespace knock::cli
