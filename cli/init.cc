// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/random.h"
#include "cli/command.h"
#include "cli/embedded.h"

namespace knock::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPolicy =
    R"(# yaml-language-server: $schema=policy.v1.schema.json
# Policy of knock: who may reach what, from where, for how long. Changed by pull request.
# `knock validate policies/` says what is wrong; `knock plan` says what a change would do. The language: docs/policy.md.
knock: 1

# People, as the sign-in source names their groups. "local" are the accounts of `knock user add`.
groups:
  admins: {idp: admins, from: [local]}

# What is protected.
services:
  ssh: {ports: [tcp/22], targets: [this-host]}

# Where it is protected: this machine's firewall. With `protect: true` the services' ports are closed to everybody who
# has no entry. The first time, `knock serve` asks for an acknowledgement unless `keep:` in knock.yaml names a prefix
# that stays open for operators: nobody should lock himself out by a file.
targets:
  this-host: {type: nftables, table: knock, protect: true}

allow:
  admins-ssh: {who: [admins], to: [ssh], ttl: 8h}
)";

constexpr std::string_view kConfig =
    R"(# yaml-language-server: $schema=config.v1.schema.json
# The controller's own configuration. It names secrets by reference and stays out of the policy repository.
owner: {owner}  # this installation's mark on every entry; random, never copy it to another one

listen: 127.0.0.1:8400  # the portal; another address needs `tls:` below
# tls: {{cert: /etc/knock/tls.crt, key: /etc/knock/tls.key}}
# public_url: https://knock.example.org

policy: {{dir: {policies}}}
# policy: {{repo: https://git.example.org/ops/knock-policy.git, ref: main, poll: 30s}}

store: sqlite://{state}/knock.db
socket: {state}/admin.sock

sign_in:
  local: {{type: local, max_session: 12h}}
  # corp: {{type: oidc, issuer: https://idp.example.org, client_id: knock, client_secret: "file:/etc/knock/oidc.secret"}}

# Prefixes that knock never closes, whatever policy says: the way back in for operators. Each with an owner and a reason.
keep: []
# keep:
#   - {{prefix: 192.0.2.10/32, owner: ops, reason: console server}}
)";

constexpr std::string_view kJob =
    R"(# Checks every pull request. Needs the knock executable on the runner.
name: policy
on: [pull_request]
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: knock fmt --check --diff policies/
      - run: knock validate policies/
)";

/// Never overwrites: what is there may be in force.
Result<bool> write_new(const fs::path& path, std::string_view content, mode_t mode) {
  if (fs::exists(path)) return false;
  std::error_code problem;
  fs::create_directories(path.parent_path(), problem);
  std::ofstream out(path, std::ios::binary);
  out << content;
  if (!out.flush()) return fail(ErrorKind::unavailable, "cannot write " + path.string());
  chmod(path.c_str(), mode);
  return true;
}

int init(const std::string& directory) {
  fs::path root = fs::absolute(directory).lexically_normal();
  SystemRandom random;
  std::string config =
      fmt::format(fmt::runtime(kConfig), fmt::arg("owner", hex64(random.next_u64())),
                  fmt::arg("policies", (root / "policies").string()),
                  fmt::arg("state", (root / "state").string()));
  struct File {
    fs::path path;
    std::string_view content;
    mode_t mode;
  };
  std::error_code problem;
  fs::create_directories(root / "state", problem);
  for (const File& file :
       {File{root / "policies" / "main.yaml", kPolicy, 0644},
        // For the first line of the files above: editors complete and check without a network.
        File{root / "policies" / "policy.v1.schema.json", kPolicySchema, 0644},
        File{root / "config.v1.schema.json", kConfigSchema, 0644},
        File{root / "policies" / ".github" / "workflows" / "policy.yml", kJob, 0644},
        File{root / "knock.yaml", config, 0600}}) {
    auto written = write_new(file.path, file.content, file.mode);
    if (!written) return fail_with(written.error());
    print(fmt::format("{} {}\n", *written ? "wrote" : "kept ", file.path.string()));
  }
  print(
      fmt::format("\nNext:\n  knock --config {0}/knock.yaml user add YOU --group admins\n  knock "
                  "--config {0}/knock.yaml plan\n  "
                  "knock --config {0}/knock.yaml serve\n",
                  root.string()));
  return kDone;
}

}  // namespace

void add_init(Commands& commands) {
  auto directory = std::make_shared<std::string>(".");
  auto* command =
      commands.add(commands.app, "init", "A starter policy and this installation's configuration",
                   "knock init /etc/knock");
  command->add_option("directory", *directory, "Where")->capture_default_str();
  commands.run(command, [directory] { return init(*directory); });
}

}  // namespace knock::cli
