// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "base/random.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/embedded.h"
#include "cli/imported_policy.h"
#include "net/child_process.h"
#include "schemas/policy/format.h"
#include "schemas/policy/load.h"

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
# Changed by pull request: a job plans each change, and puts in force what was reviewed (docs/reviewing-a-policy-change.md).
# policy: {{repo: https://git.example.org/ops/knock-policy.git, ref: main, advance: manual, pulls: github}}

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

/// Of the forge that --ci names, and where it looks for it in the policy's repository.
struct JobFile {
  std::string_view forge, path, content;
};

std::vector<JobFile> job_files() {
  return {{"github", ".github/workflows/policy.yml", kGithubJob},
          {"gitlab", ".gitlab-ci.yml", kGitlabJob}};
}

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

// ---- import ----

/// The starter's targets, but for the packets that imported rules are about: this machine's own
/// ports, and those behind it in a table of their own.
std::string starter_for(const ImportedPolicy& imported) {
  std::string text(kPolicy);
  constexpr std::string_view target =
      "  this-host: {type: nftables, table: knock, protect: true}\n";
  auto at = text.find(target);
  text.replace(at, target.size(),
               "  this-host: {type: nftables, table: knock, hooks: [input], protect: true}\n");
  if (imported.through)
    text.insert(text.find("\nallow:"),
                "  behind-this-host: {type: nftables, table: knock_forward, hooks: [forward], "
                "protect: true}\n");
  return text;
}

Result<OwnRules> rules_of_this_machine() {
  net::Command command;
  command.argv = {"nft", "-j", "list", "ruleset"};
  command.output_bytes = std::size_t{64} << 20;
  auto listed = net::run(command, Deadline::in(Duration::seconds(30)));
  if (!listed && listed.error().kind == ErrorKind::not_found)
    return fail(ErrorKind::not_found, "there is no program `nft` here; install nftables");
  if (!listed) return fail_within("nft -j list ruleset", listed);
  if (listed->exit_code != 0)
    return fail(ErrorKind::unauthorized,
                "`nft -j list ruleset` says: " + printable(listed->err.substr(0, 300)) +
                    "; only root may read the rules");
  if (listed->truncated) return fail(ErrorKind::invalid, "the rules are longer than 64 MiB");
  return read_own_rules(listed->out);
}

/// Both files as they will stand must load: an import that `knock validate` refuses helps nobody.
Status loads(const std::string& starter, std::string& imported) {
  auto formatted = format_policy_file("imported.yaml", imported);
  if (formatted.text) imported = *formatted.text;
  PolicyContext context;
  auto loaded = load_policy({{"imported.yaml", imported, ""}, {"main.yaml", starter, ""}},
                            PolicyRevision("import"), context);
  if (loaded.policy) return {};
  return fail(ErrorKind::internal,
              "the imported policy does not load:\n" + to_text(loaded.diagnostics));
}

struct Starter {
  std::string main{kPolicy};
  std::optional<ImportedPolicy> imported;
};

Result<Starter> starter(const std::string& from, const fs::path& policies) {
  Starter out;
  if (from.empty()) return out;
  if (from != "nftables")
    return fail(ErrorKind::unsupported,
                "cannot import from " + printable(from) +
                    "; what can be imported is `nftables`, this machine's own rules");
  if (fs::exists(policies))
    return fail(ErrorKind::conflict,
                policies.string() +
                    " exists; import into another directory, and take from there what you want");
  KNOCK_ASSIGN(auto rules, rules_of_this_machine());
  out.imported = imported_policy(rules, SystemClock().now());
  out.main = starter_for(*out.imported);
  // The starter's own example of a service would stand beside the imported one of the same ports.
  KNOCK_CHECK(loads(out.main, out.imported->text));
  return out;
}

void say_imported(const ImportedPolicy& imported) {
  if (imported.entries + imported.open_to_everybody + imported.left_out == 0)
    return print(
        "\nThis machine has no nftables rules of its own that let anybody in: nothing to "
        "import.\n");
  print(
      fmt::format("\nImported {} for {} of this machine's own nftables rules, each for 90 days.\n",
                  counted(imported.entries, "static entry", "static entries"),
                  counted(imported.services, "service", "services")));
  if (imported.open_to_everybody > 0)
    print(fmt::format("{} to everybody; listed in the file, and not imported.\n",
                      counted(imported.open_to_everybody, "rule opens ports", "rules open ports")));
  if (imported.left_out > 0)
    print(fmt::format("{} left out; each is listed in the file with its reason.\n",
                      counted(imported.left_out, "rule is", "rules are")));
}

int init(const std::string& directory, const std::string& from, const std::string& forge) {
  fs::path root = fs::absolute(directory).lexically_normal();
  auto begin = starter(from, root / "policies");
  if (!begin) return fail_with(begin.error());
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
  std::vector<File> files;
  if (begin->imported)
    files.push_back({root / "policies" / "imported.yaml", begin->imported->text, 0644});
  for (const File& file :
       {File{root / "policies" / "main.yaml", begin->main, 0644},
        // For the first line of the files above: editors complete and check without a network.
        File{root / "policies" / "policy.v1.schema.json", kPolicySchema, 0644},
        File{root / "config.v1.schema.json", kConfigSchema, 0644},
        File{root / "knock.yaml", config, 0600}})
    files.push_back(file);
  for (const JobFile& job : job_files())
    if (job.forge == forge) files.push_back({root / "policies" / job.path, job.content, 0644});
  for (const File& file : files) {
    auto written = write_new(file.path, file.content, file.mode);
    if (!written) return fail_with(written.error());
    print(fmt::format("{} {}\n", *written ? "wrote" : "kept ", file.path.string()));
  }
  if (begin->imported) say_imported(*begin->imported);
  print(
      fmt::format("\nNext:\n  knock --config {0} user add YOU --group admins\n  knock "
                  "--config {0} plan\n  "
                  "knock --config {0} serve\n",
                  (root / "knock.yaml").string()));
  return kDone;
}

}  // namespace

void add_init(Commands& commands) {
  auto directory = std::make_shared<std::string>(".");
  auto* command =
      commands.add(commands.app, "init", "A starter policy and this installation's configuration",
                   "knock init /etc/knock");
  command->add_option("directory", *directory, "Where")->capture_default_str();
  auto from = std::make_shared<std::string>();
  command->add_option("--from", *from,
                      "Import what stands there today: `nftables`, this machine's own rules");
  auto forge = std::make_shared<std::string>("github");
  command
      ->add_option("--ci", *forge,
                   "The job file that plans each change and applies what was reviewed")
      ->check(CLI::IsMember({"github", "gitlab", "none"}))
      ->capture_default_str();
  commands.run(command, [directory, from, forge] { return init(*directory, *from, *forge); });
}

}  // namespace knock::cli
