// SPDX-License-Identifier: Apache-2.0
// Policy, store, loop and the admin socket: what decides. Holds no listening socket of the public
// side, no way to the firewall but the apply roles, and no password or token: those are front's and
// the verifier's.
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/text.h"
#include "cli/apply_pool.h"
#include "cli/local.h"
#include "cli/log_sink.h"
#include "cli/registry.h"
#include "cli/role.h"
#include "net/http_server.h"
#include "net/sandbox.h"
#include "server/admin/remote_api.h"
#include "server/core/change_plan.h"
#include "server/core/config_changes.h"
#include "server/core/controller.h"
#include "server/notify/notifier.h"
#include "server/notify/pull_watch.h"
#include "server/roles/links.h"
#include "sso/secret_source.h"
#include "store/plan_key.h"
#include "store/tzdata/system_zones.h"

namespace knock::cli {
namespace {

net::HttpListen admin_listener(const Config& config) {
  net::HttpListen listen;
  listen.unix_path = config.socket;
  listen.unix_mode = 0660;
  listen.limits.body_bytes = 80u << 20;  // a candidate policy
  return listen;
}

/// Front, started through the parent, and started again when it ends: soon after a long life, later
/// and later when it ends as soon as it begins.
class FrontKeeper {
 public:
  FrontKeeper(server::Spawner& spawner, SignIn& sign_in, RemoteApi& api)
      : spawner_(spawner),
        sign_in_(sign_in),
        api_(api),
        thread_([this](std::stop_token stop) { keep(stop); }) {}
  ~FrontKeeper() {
    thread_.request_stop();
    ended_.notify_all();
  }

 private:
  void keep(std::stop_token stop) {
    constexpr std::chrono::milliseconds kFirstPause{200}, kLongestPause{10'000};
    constexpr std::chrono::seconds kLongLife{30};
    constexpr Duration kPatience = Duration::seconds(10);
    auto pause = kFirstPause;
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      gone_ = false;
      auto begun = std::chrono::steady_clock::now();
      auto socket = spawner_.spawn(role::SpawnFront{});
      if (socket) {
        server::FrontLink link(
            *socket, sign_in_,
            [this] {
              std::lock_guard inner(mutex_);
              gone_ = true;
              ended_.notify_all();
            },
            kPatience,
            [this](role::ApiCall call, RemoteApi::Answer answer) {
              api_.handle(std::move(call), std::move(answer));
            });
        ended_.wait(lock, stop, [&] { return gone_; });
        lock.unlock();  // the link's thread may still be telling us that it is gone
      } else {
        log(LogLevel::error, "front.not-started",
            "The portal cannot be started; it is tried again.",
            {{"problem", socket.error().text()}});
        lock.unlock();
      }
      lock.lock();
      if (std::chrono::steady_clock::now() - begun >= kLongLife) pause = kFirstPause;
      if (!stop.stop_requested()) ended_.wait_for(lock, stop, pause, [] { return false; });
      pause = std::min(pause * 2, kLongestPause);
    }
  }

  server::Spawner& spawner_;
  SignIn& sign_in_;
  RemoteApi& api_;
  std::mutex mutex_;
  std::condition_variable_any ended_;
  bool gone_ = false;
  std::jthread thread_;  // last
};

std::vector<std::string> remarks(const server::Spawner& spawner) {
  std::vector<std::string> out;
  if (spawner.users_shared())
    out.push_back("roles share one user id: no other could be taken on this machine");
  if (!net::can_confine())
    out.push_back("this build runs without system call filters (sanitizers)");
  return out;
}

/// For the record of the start: who runs as whom, and under a filter of system calls or not. The
/// parent and core live as long as the controller; the others are made anew when they are needed.
std::string roles(const Config& config, const server::Spawner& spawner) {
  auto user = spawner.users_shared() ? fmt::format("uid {}", geteuid()) : config.front_user;
  auto filter = net::can_confine() ? "seccomp" : "no seccomp";
  auto out = fmt::format("parent (pid {}, uid {}, no seccomp), core (pid {}, uid {}, no seccomp)",
                         getppid(), geteuid(), getpid(), geteuid());
  for (const char* role : {"front", "verifier", "apply"})
    out += fmt::format(", {} (user {}, {})", role, user, filter);
  return out;
}

/// What knock.yaml says by now and this process does not follow; looked at when somebody asks with
/// SIGHUP.
class WrittenSettings {
 public:
  WrittenSettings(const Global& global, const Config& running)
      : global_(global), running_(running) {}

  void look() {
    auto remark = compare();
    if (!remark.empty())
      log(LogLevel::warning, "config.not-followed",
          "knock.yaml was changed; what is named needs a restart.", {{"problem", remark}});
    std::lock_guard lock(mutex_);
    remark_ = std::move(remark);
  }
  std::string remark() const {
    std::lock_guard lock(mutex_);
    return remark_;
  }

 private:
  std::string compare() const {
    auto content = read_text_file(global_.config_file);
    if (!content)
      return "knock.yaml cannot be read, and is not followed: " + content.error().text();
    auto base = std::filesystem::path(global_.config_file).parent_path().string();
    auto load = load_config(global_.config_file, *content, base);
    if (!load.config)
      return "knock.yaml has errors, and is not followed; `knock serve --check` shows them";
    auto changed = changed_settings(running_, *load.config);
    if (changed.empty()) return "";
    return "knock.yaml was changed and needs a restart for: " + join(changed, ", ");
  }

  const Global& global_;
  const Config& running_;
  mutable std::mutex mutex_;
  std::string remark_;
};

Result<Secret> resolved(const SecretReference& reference) {
  return sso::resolve(reference, Deadline::in(Duration::seconds(5)));
}

/// Nothing unless knock.yaml asks for it. All that is given outlives the watch.
std::unique_ptr<notify::PullWatch> pull_watch(const Config& config, Controller& controller,
                                              notify::Notifier& notifier, const Clock& clock,
                                              Random& random, notify::Outbox::Done done) {
  if (!config.notify.forge || !config.notify.forge->watch) return nullptr;
  const ForgeSettings& forge = *config.notify.forge;
  auto list = std::make_unique<notify::PullList>(forge, followed_branch(config.policy),
                                                 net::make_http_client({forge.allow_networks}),
                                                 [&forge] { return resolved(forge.token); });
  return std::make_unique<notify::PullWatch>(notify::PullWatchParts{
      std::move(list), clock, random, notifier.forge_name(),
      [&controller] { return adoption_in_force(controller.store()); },
      [&controller](const CandidateName& name) { return plan_of_pull(controller, name); },
      [&notifier](const notify::PlannedChange& change, std::function<void(bool)> then) {
        notifier.planned(change, std::move(then));
      },
      std::move(done)});
}

int core_failed(const Error& error) {
  log(LogLevel::error, "core.failed", "The controller cannot work.", {{"problem", error.text()}});
  return code_for(error);
}

}  // namespace

int run_core_role(const Global& global) {
  net::forbid_dumps();
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  prctl(PR_SET_NAME, "knock-core");
  start_logging(global.verbose);
  auto config = read_config(global);
  if (!config) return kPolicyInvalid;
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
  if (!store) return core_failed(store.error());
  auto last = (*store)->last_time();
  if (!last) return core_failed(last.error());
  SteadyWall clock(machine, *last ? **last : Instant{});
  auto source = policy_source(config->policy, *config);
  if (!source) return core_failed(source.error());

  std::atomic<AdminApi*> admin{nullptr};
  auto socket = net::HttpServer::bind(
      admin_listener(*config), [&](net::HttpRequest request, net::Respond respond) {
        admin.load()->handle(std::move(request), std::move(respond));
      });
  if (!socket) return core_failed(socket.error());
  // Everything that needs a privilege is open. No thread runs yet, so this binds all of them.
  if (auto became = net::become({}); !became) return core_failed(became.error());

  server::Spawner spawner(kFirstDescriptor);
  server::SocketVerifier verifier(spawner);
  ApplyPool pool(spawner);
  if (auto started = verifier.start(); !started) return core_failed(started.error());
  Metrics metrics;
  WrittenSettings written(global, *config);
  auto all_remarks = [&] {
    auto out = remarks(spawner);
    if (auto remark = written.remark(); !remark.empty()) out.push_back(std::move(remark));
    return out;
  };
  Controller controller(
      {*config, **store, **source, verifier, clock, random,
       provider_factory(config->owner, [&](const std::string& netns) { return pool.open(netns); }),
       &metrics, all_remarks, [&] { return roles(*config, spawner); }, system_zones(),
       [&] { return policy_source(config->policy, *config); }});
  controller.sign_plans_with(
      [&, folder = std::filesystem::path(config->store_path()).parent_path()] {
        return plan_key(folder.string(), random);
      });
  auto done = [&](const std::string& name, bool arrived) { metrics.notified(name, arrived); };
  // Stopped before the notifier ends, and there until it has: its thread asks for the status.
  std::unique_ptr<notify::PullWatch> watch;
  notify::Notifier notifier({config->notify, config->owner, public_url(*config), **store, random,
                             [&] { return controller.status(); }, resolved, done});
  controller.tell_planned([&](const notify::PlannedChange& change) { notifier.planned(change); });
  watch = pull_watch(*config, controller, notifier, clock, random, done);
  if (watch) controller.ask_of_changes([&watch] { return watch->status(); });
  AdminApi api(controller, metrics);
  RemoteApi remote(api, controller.keys());
  admin = &api;
  if (auto started = controller.start(); !started) return core_failed(started.error());
  if (!config->notify.empty()) notifier.start();
  if (watch) watch->start();
  std::jthread admin_thread([&] { (*socket)->run(); });
  {
    FrontKeeper front(spawner, controller.sign_in(), remote);
    log(LogLevel::info, "controller.serving", "The controller serves.",
        {{"portal", public_url(*config)},
         {"socket", config->socket},
         {"policy", (*source)->describe()}});
    int descriptor = signalfd(-1, &signals, SFD_CLOEXEC);
    for (signalfd_siginfo info{}; read(descriptor, &info, sizeof info) == ssize_t(sizeof info);)
      if (info.ssi_signo == SIGHUP) {
        written.look();
        (void)controller.policy_keeper().look("signal");
      } else {
        break;
      }
    close(descriptor);
    log(LogLevel::info, "controller.stopping",
        "The controller stops; what is open stays open until its time.");
  }
  (*socket)->stop();
  admin_thread.join();
  if (watch) watch->stop();
  controller.stop();
  return kDone;
}

}  // namespace knock::cli
