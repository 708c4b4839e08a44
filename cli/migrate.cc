// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/text.h"
#include "cli/command.h"
#include "cli/migration.h"
#include "cli/policy_paths.h"

namespace knock::cli {
namespace {

struct Rewrite {
  std::string path, before, after;
};

int migrate(const Global& global, const std::vector<std::string>& paths) {
  for (const auto& path : paths)
    if (auto why = not_a_policy_folder(path); !why.empty()) return fail_with(kPolicyInvalid, why);
  auto files = policy_paths(paths);
  if (!files) return fail_with(files.error());
  const auto& steps = migration_steps();
  std::vector<Rewrite> rewrites;
  std::size_t refused = 0;
  for (const auto& path : *files) {
    auto content = read_policy_path(path);
    if (!content) return fail_with(content.error());
    auto migrated = migrate_policy_file(path, *content, steps);
    if (!migrated) return fail_with(migrated.error());
    fmt::print(stderr, "{}", to_text(migrated->diagnostics));
    refused += migrated->text ? 0 : 1;
    for (const auto& what : migrated->done)
      say(global, fmt::format("{}: {}", printable(path), what));
    if (migrated->text && *migrated->text != *content)
      rewrites.push_back({path, std::move(*content), std::move(*migrated->text)});
  }
  // All or none: a policy of two versions is no policy.
  if (refused > 0)
    return fail_with(kPolicyInvalid,
                     counted(refused, "file", "files") + " cannot be migrated; none was changed");
  for (const auto& [path, before, after] : rewrites)
    if (auto written = replace_policy_file(path, before, after); !written)
      return fail_with(written.error());
  auto newest = steps.size() + 1;
  print(rewrites.empty()
            ? fmt::format("{} of version {}, the newest of the language; nothing to do\n",
                          counted(files->size(), "file", "files"), newest)
            : fmt::format("{} migrated to version {}\n", counted(rewrites.size(), "file", "files"),
                          newest));
  return kDone;
}

}  // namespace

void add_migrate(Commands& commands) {
  auto paths = std::make_shared<std::vector<std::string>>(1, ".");
  auto* command = commands.add(commands.app, "migrate",
                               "Policy files of an older version of the language to the newest",
                               "knock migrate policies/");
  command->add_option("path", *paths, "Files, or folders of them")->capture_default_str();
  commands.run(command, [&commands, paths] { return migrate(commands.global, *paths); });
}

}  // namespace knock::cli
