// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "base/log.h"
#include "cli/local.h"
#include "cli/log_sink.h"
#include "cli/registry.h"
#include "net/http_server.h"
#include "server/admin/admin_api.h"
#include "server/core/controller.h"
#include "server/front/front.h"
#include "sso/password.h"

namespace knock::cli {
namespace {

/// Front and core in one process.
class LocalCore final : public server::CoreChannel {
 public:
  explicit LocalCore(SignIn& sign_in) : sign_in_(sign_in) {}
  void ask(role::FromFront question, std::function<void(Result<role::ToFront>)> then) override {
    sign_in_.handle(question,
                    [then = std::move(then)](role::ToFront answer) { then(std::move(answer)); });
  }

 private:
  SignIn& sign_in_;
};

/// Passwords only, on a thread of its own.
class LocalVerifier final : public VerifierChannel {
 public:
  LocalVerifier()
      : thread_([this](std::stop_token stop) {
          std::unique_lock lock(mutex_);
          while (ready_.wait(lock, stop, [&] { return !waiting_.empty(); })) {
            auto job = std::move(waiting_.front());
            waiting_.pop_front();
            lock.unlock();
            job();
            lock.lock();
          }
        }) {}
  void ask(role::ToVerifier question, Answer answer) override {
    std::lock_guard lock(mutex_);
    waiting_.push_back([question = std::move(question), answer = std::move(answer)] {
      auto* check = std::get_if<role::CheckPassword>(&question);
      if (check == nullptr)
        return answer(fail(ErrorKind::unsupported, "only passwords are checked here"));
      answer(role::PasswordChecked{check->request,
                                   sso::check_password(check->hash, Secret(check->password))});
    });
    ready_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any ready_;
  std::deque<std::function<void()>> waiting_;
  std::jthread thread_;
};

Result<net::HttpListen> public_listener(const Config& config) {
  net::HttpListen listen;
  listen.address = config.listen.address;
  listen.port = config.listen.port;
  if (config.tls) {
    KNOCK_ASSIGN(listen.certificate_pem, read_text_file(config.tls->certificate));
    KNOCK_ASSIGN(listen.key_pem, read_text_file(config.tls->key));
  }
  return listen;
}

net::HttpListen admin_listener(const Config& config) {
  net::HttpListen listen;
  listen.unix_path = config.socket;
  listen.unix_mode = 0660;
  listen.limits.body_bytes = 80u << 20;  // a candidate policy
  return listen;
}

int serve(const Global& global, bool check_only) {
  auto config = read_config(global);
  if (!config) return kPolicyInvalid;
  if (check_only) {
    print(global.config_file + " is valid\n");
    return kDone;
  }
  start_logging(global.verbose);
  // Signals are read from a descriptor below; blocked first, so that every thread inherits it.
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  SystemRandom random;
  SystemClock machine;
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(config->store_path()).parent_path(),
                                      ignored);
  std::filesystem::create_directories(std::filesystem::path(config->socket).parent_path(), ignored);
  auto store = open_store(*config, true, random);
  if (!store) return fail_with(store.error());
  auto last = (*store)->last_time();
  if (!last) return fail_with(last.error());
  SteadyWall clock(machine, *last ? **last : Instant{});
  auto source = policy_source(config->policy, *config);
  if (!source) return fail_with(source.error());
  auto listen = public_listener(*config);
  if (!listen) return fail_with(listen.error());

  LocalVerifier verifier;
  Controller controller(
      {*config, **store, **source, verifier, clock, random, provider_factory(config->owner), {}});
  LocalCore core(controller.sign_in());
  server::Front front(core, random,
                      {public_url(*config), config->tls.has_value(), config->trusted_proxies});
  AdminApi admin(controller);
  auto portal = net::HttpServer::bind(*listen, [&](net::HttpRequest request, net::Respond respond) {
    front.handle(std::move(request), std::move(respond));
  });
  if (!portal) return fail_with(kError, portal.error().text());
  auto socket = net::HttpServer::bind(admin_listener(*config),
                                      [&](net::HttpRequest request, net::Respond respond) {
                                        admin.handle(std::move(request), std::move(respond));
                                      });
  if (!socket) return fail_with(kError, socket.error().text());
  if (auto started = controller.start(); !started) return fail_with(started.error());

  std::jthread portal_thread([&] { (*portal)->run(); });
  std::jthread admin_thread([&] { (*socket)->run(); });
  log(LogLevel::info, "controller.serving", "The controller serves.",
      {{"portal", public_url(*config)},
       {"socket", config->socket},
       {"policy", (*source)->describe()}});
  int descriptor = signalfd(-1, &signals, SFD_CLOEXEC);
  for (signalfd_siginfo info{}; read(descriptor, &info, sizeof info) == ssize_t(sizeof info);)
    if (info.ssi_signo == SIGHUP)
      (void)controller.policy_keeper().look("signal");
    else
      break;
  close(descriptor);
  log(LogLevel::info, "controller.stopping",
      "The controller stops; what is open stays open until its time.");
  (*portal)->stop();
  (*socket)->stop();
  portal_thread.join();
  admin_thread.join();
  controller.stop();
  return kDone;
}

}  // namespace

void add_serve(Commands& commands) {
  auto check = std::make_shared<bool>(false);
  auto* command = commands.add(commands.app, "serve", "The controller: portal, policy, targets",
                               "knock serve --config /etc/knock/knock.yaml");
  command->add_flag("--check", *check, "Only check the configuration");
  commands.run(command, [&commands, check] { return serve(commands.global, *check); });
}

}  // namespace knock::cli
