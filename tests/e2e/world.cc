// SPDX-License-Identifier: Apache-2.0
#include "tests/e2e/world.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <stdexcept>

#include "base/text.h"

namespace knock::test {

const char* const kPolicy = R"(knock: 1
groups:
  admins: {idp: knock-admins, from: [corp]}
  engineers: {idp: eng, from: [corp]}
services:
  ssh: {ports: [tcp/2222], targets: [server]}
  app: {ports: [tcp/8443], targets: [server]}
targets:
  server: {type: nftables, table: knock, protect: true}
allow:
  admins-ssh: {who: [admins], to: [ssh], ttl: 8h}
  engineers-app: {who: [engineers], to: [app], ttl: 8s}
)";

Instant wall_now() { return SystemClock().now(); }

// ---------------------------------------------------------------- a connection that talks

Held::Held(const Namespace& where, const std::string& from, int port) {
  eventually([&] { return (connection_ = dial(where, from, kServer, port).connection) != nullptr; },
             Duration::seconds(2));
  if (!connection_) return;
  last_ = wall_now().ms;
  thread_ = std::thread([this] {
    // TCP brings again what was dropped, so that an interruption is a gap and a cut is silence.
    while (!stop_) {
      if (connection_->echoes(Duration{200})) {
        last_ = wall_now().ms;
        ++count_;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
}

Held::~Held() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

bool Held::answers(Duration patience) const {
  auto before = count_.load();
  return eventually([&] { return count_ > before; }, patience);
}

bool Held::falls_silent(Duration patience, Duration silence) const {
  return eventually([&] { return wall_now() - last_answer() >= silence; }, patience);
}

// ---------------------------------------------------------------- a watch on the firewall

NftWatch::NftWatch(const Namespace& where) : where_(where) {
  auto net = where.path(), file = folder_.path() + "/events";
  write_file(file, "");
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int out = open(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    int space = open(net.c_str(), O_RDONLY | O_CLOEXEC);
    if (out < 0 || setns(space, CLONE_NEWNET) != 0) _exit(126);
    dup2(out, 1);
    execlp("nft", "nft", "monitor", nullptr);
    _exit(127);
  }
  until_mark();
}

NftWatch::~NftWatch() {
  send_signal(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

/// nft does not say when it has begun to listen, nor when it is idle: a table of ours does.
std::string NftWatch::until_mark() {
  std::string name, text;
  bool marked = eventually([&] {
    name = "mark" + std::to_string(++marks_);
    where_.nft("add table inet " + name + "\ndelete table inet " + name + "\n");
    return eventually(
        [&] {
          text = read_file(folder_.path() + "/events");
          return text.find("delete table inet " + name) != text.npos;
        },
        Duration{200});
  });
  if (!marked) throw std::runtime_error("nft monitor says nothing");
  return text;
}

std::string NftWatch::seen() {
  std::string out, text = until_mark();  // lines are views into it
  for (auto line : split(text, '\n'))
    if (line.find(" inet knock") != line.npos) out += std::string(line) + "\n";
  return out;
}

// ---------------------------------------------------------------- the world

World::World(const WorldSettings& settings) {
  join(server, "eth0", outside, "eth0");
  add_address(server, "eth0", std::string(kServer) + "/24");
  add_address(server, "eth0", std::string(kServer6) + "/64");
  for (const char* address : {kAlice, kBob, kOperator, kStranger})
    add_address(outside, "eth0", std::string(address) + "/24");
  add_address(outside, "eth0", std::string(kStranger6) + "/64");
  for (int port : {kSsh, kApp}) echo_.push_back(std::make_unique<EchoServer>(server, port));
  if (settings.oidc)
    server.run([&] {
      provider = std::make_unique<OidcProvider>(OidcProvider::Options{portal(), settings.provider});
    });
  configure(settings);
}

void World::configure(const WorldSettings& settings) {
  std::string yaml = fmt::format(
      "listen: \"{0}:{1}\"\n"
      "public_url: {2}\n"
      "tls: {{cert: tls.crt, key: tls.key}}\n"
      "keep:\n"
      "  - {{prefix: {3}/32, owner: ops, reason: console}}\n"
      "sign_in:\n"
      "  local: {{type: local, max_session: 8h}}\n",
      kServer, kPortal, portal(), kOperator);
  if (settings.oidc)
    yaml += fmt::format(
        "  corp:\n"
        "    type: oidc\n"
        "    issuer: {}\n"
        "    client_id: knock\n"
        "    client_secret: file:oidc.secret\n"
        "    scopes: [openid, profile, email, groups]\n"
        "    allow_networks: [127.0.0.0/8]\n",
        provider->issuer());
  InstallationSettings installation{settings.git, yaml, settings.state, settings.failpoints};
  knock = std::make_unique<Installation>(server, installation, settings.policy);
  const auto& folder = knock->folder();
  write_file(folder + "/oidc.secret", OidcProvider::secret_of("knock"));
  std::filesystem::permissions(folder + "/oidc.secret", std::filesystem::perms::owner_read);
  auto made = run_in(server, {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                              "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                              "/CN=knock", "-addext", std::string("subjectAltName=IP:") + kServer,
                              "-keyout", folder + "/tls.key", "-out", folder + "/tls.crt"});
  if (made.exit_code != 0) throw std::runtime_error("openssl: " + made.err);
}

Browser World::browser(const std::string& name, const std::string& address) const {
  return {outside, address, portal(), knock->folder() + "/tls.crt",
          knock->folder() + "/" + name + ".cookies"};
}

Reached World::reach(const std::string& from, int port) const {
  bool v6 = from.find(':') != from.npos;
  return test::reach(outside, from, v6 ? kServer6 : kServer, port);
}

bool World::opens(const std::string& from, int port, Duration within) const {
  return eventually([&] { return reach(from, port) == Reached::open; }, within);
}

bool World::closes(const std::string& from, int port, Duration within) const {
  return eventually([&] { return reach(from, port) == Reached::timeout; }, within);
}

Instant World::grant(const std::string& user, const std::string& from, const std::string& ttl,
                     const std::string& group) {
  auto done = knock->knock({"--json", "session", "grant", user, "--from", from, "--ttl", ttl,
                            "--group", group, "--reason", "a test"});
  auto until = parse_instant(json_at(done.out, "/where/0/until"));
  if (done.exit_code != 0 || !until) throw std::runtime_error("grant: " + done.out + done.err);
  return *until;
}

std::string World::records(const std::string& kind) const {
  auto text = knock->knock({"--json", "audit", "tail", "-n", "1000"}).out;
  if (kind.empty()) return text;
  std::string out;
  for (auto line : split(text, '\n'))
    if (line.find("\"kind\":\"" + kind + "\"") != line.npos) out += std::string(line) + "\n";
  return out;
}

}  // namespace knock::test
