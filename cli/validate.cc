// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <boost/json.hpp>
#include <filesystem>

#include "base/text.h"
#include "cli/local.h"
#include "cli/policy_paths.h"
#include "server/admin/json.h"
#include "store/tzdata/system_zones.h"

namespace knock::cli {
namespace {

/// With a configuration at hand, what only the controller has is checked too.
PolicyContext context_of(const Global& global) {
  PolicyContext alone;
  alone.zones = system_zones();
  std::error_code ignored;
  if (!std::filesystem::exists(global.config_file, ignored)) return alone;
  auto content = read_text_file(global.config_file);
  auto base = std::filesystem::absolute(global.config_file).parent_path().string();
  if (content)
    if (auto load = load_config(global.config_file, *content, base); load.config)
      return policy_context(*load.config, system_zones());
  return alone;
}

int validate(const Global& global, const std::string& directory) {
  if (auto why = not_a_policy_folder(directory); !why.empty())
    return fail_with(kPolicyInvalid, why);
  auto source = directory_source(directory);
  if (!source) return fail_with(source.error());
  auto revision = (*source)->poll(Deadline::in(Duration::seconds(60)));
  if (!revision) return fail_with(revision.error());
  auto snapshot = (*source)->read(*revision);
  if (!snapshot) return fail_with(snapshot.error());
  auto context = context_of(global);
  context.now = SystemClock().now();
  auto load = load_policy(snapshot->files, *revision, context);
  if (global.json) {
    print(diagnostics_json(load.diagnostics));
    return load.policy ? kDone : kPolicyInvalid;
  }
  fmt::print(stderr, "{}", to_text(load.diagnostics));
  if (!load.policy) {
    std::size_t errors = 0;
    for (const auto& d : load.diagnostics) errors += d.severity == Diagnostic::Severity::error;
    return fail_with(kPolicyInvalid, counted(errors, "problem", "problems") + " in " + directory);
  }
  const Policy& p = *load.policy;
  print(fmt::format("{} is valid: {}, {}, {}, {}\n", directory,
                    counted(p.services.size(), "service", "services"),
                    counted(p.targets.size(), "target", "targets"),
                    counted(p.allow.size(), "allow rule", "allow rules"),
                    counted(p.groups.size(), "group", "groups")));
  return kDone;
}

}  // namespace

void add_validate(Commands& commands) {
  auto directory = std::make_shared<std::string>(".");
  auto* command =
      commands.add(commands.app, "validate", "All problems of a policy, each with its place",
                   "knock validate policies/");
  command->add_option("directory,--policy", *directory, "Where the policy files are")
      ->capture_default_str();
  commands.run(command, [&commands, directory] { return validate(commands.global, *directory); });
}

}  // namespace knock::cli
