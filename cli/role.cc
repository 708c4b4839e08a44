// SPDX-License-Identifier: Apache-2.0
#include "cli/role.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <mutex>

#include "agents/host/privileged.h"
#include "base/log.h"
#include "cli/log_sink.h"
#include "net/fd_passing.h"
#include "net/sandbox.h"
#include "schemas/role/spawn.h"
#include "schemas/role/verifier_start.h"
#include "server/front/api_gate.h"
#include "server/front/front.h"
#include "server/roles/links.h"
#include "sso/verifier/run.h"

namespace knock::cli {
namespace {

int role_failed(const char* role, const Error& error) {
  log(LogLevel::error, "role.failed", "A role of the controller cannot work.",
      {{"role", role}, {"problem", error.text()}});
  return kError;
}

void begin_role(const char* role) {
  net::forbid_dumps();
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // no parent, no role; nothing here needs an orderly end
  // From a terminal they reach every role; the parent and core decide what they mean.
  for (int ignored : {SIGINT, SIGHUP}) std::signal(ignored, SIG_IGN);
  prctl(PR_SET_NAME, role);
  start_logging(false);
}

/// Each browser costs a descriptor, and the usual 1,024 would be the first limit that strangers
/// reach.
void take_all_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 65'536);
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int run_front_role() {
  begin_role("knock-front");
  auto blob = net::read_descriptor(kFirstDescriptor + 2);
  if (!blob) return role_failed("front", blob.error());
  auto start = role::decode_front_start(*blob);
  if (!start) return role_failed("front", start.error());
  close(kFirstDescriptor + 2);

  take_all_descriptors();
  std::mutex mutex;
  bool core_gone = false;
  std::unique_ptr<net::HttpServer> server;
  SystemRandom random;
  server::SocketCore core(
      kFirstDescriptor,
      [&] {
        std::lock_guard lock(mutex);
        core_gone = true;
        if (server) server->stop();
      },
      [&](std::function<void()> pong) {
        std::lock_guard lock(mutex);
        if (!server) return pong();
        server->post(std::move(pong));  // the thread that serves people says that it does
      });
  server::ApiBodies bodies(start->trusted_proxies, net::HttpLimits{});
  server::Front front(core, random, {start->public_url, start->secure, start->trusted_proxies});
  net::HttpListen listen;
  listen.address = IpAddress();
  listen.listening = kFirstDescriptor + 1;
  listen.certificate_pem = start->certificate_pem;
  listen.key_pem = start->key_pem;
  listen.limits.not_counted = start->trusted_proxies;
  listen.limits.allowance = [&](const net::HttpRequest& head) { return bodies.allowance(head); };
  auto bound = net::HttpServer::bind(listen, [&](net::HttpRequest request, net::Respond respond) {
    front.handle(std::move(request), std::move(respond));
  });
  if (!bound) return role_failed("front", bound.error());
  {
    std::lock_guard lock(mutex);
    server = std::move(*bound);
    if (core_gone) return kDone;
  }
  (void)random.next_u64();  // the generator opens what it needs before that is forbidden
  if (auto confined = net::confine(net::Confinement::front); !confined)
    return role_failed("front", confined.error());
  server->run();
  return kDone;
}

int run_verifier_role() {
  begin_role("knock-verifier");
  auto blob = net::read_descriptor(kFirstDescriptor + 1);
  if (!blob) return role_failed("verifier", blob.error());
  auto start = role::decode_verifier_start(*blob);
  if (!start) return role_failed("verifier", start.error());
  close(kFirstDescriptor + 1);
  std::vector<sso::OidcSource> sources;
  for (auto& source : *start) {
    std::optional<Secret> secret;
    if (!source.client_secret.empty()) secret = std::move(source.client_secret);
    sources.push_back({std::move(source.settings), std::move(secret)});
  }
  SystemClock clock;
  auto verifier = sso::Verifier::make(std::move(sources), clock);
  if (!verifier) return role_failed("verifier", verifier.error());
  if (auto confined = net::confine(net::Confinement::verifier); !confined)
    return role_failed("verifier", confined.error());
  return sso::run_verifier(kFirstDescriptor, **verifier);
}

int run_apply_role() {
  begin_role("knock-apply");
  if (auto confined = net::confine(net::Confinement::apply); !confined)
    return role_failed("apply", confined.error());
  auto done = host::run_privileged(kFirstDescriptor);
  return done ? kDone : role_failed("apply", done.error());
}

void add_role(Commands& commands) {
  auto name = std::make_shared<std::string>();
  auto* command =
      commands.app.add_subcommand("role", "A part of the controller; `knock serve` starts these");
  command->group("");  // not in --help
  command->fallthrough();
  command->add_option("name", *name)
      ->required()
      ->check(CLI::IsMember({"front", "core", "verifier", "apply"}));
  commands.run(command, [&commands, name] {
    if (*name == "front") return run_front_role();
    if (*name == "verifier") return run_verifier_role();
    if (*name == "apply") return run_apply_role();
    return run_core_role(commands.global);
  });
}

}  // namespace knock::cli
