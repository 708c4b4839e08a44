// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/text.h"
#include "cli/command.h"
#include "reconciler/core/render.h"
#include "schemas/plan/codec.h"

namespace knock::cli {
namespace {

int show(const Global& global, const std::string& path) {
  auto content = read_text_file(path);
  if (!content) return fail_with(content.error());
  auto saved = read_saved(*content);
  if (!saved) return fail_with(kStalePlan, path + ": " + saved.error().text());
  if (global.json)
    write_json(saved->plan, print);
  else {
    print(to_text(saved->plan, {global.colored(), "", ""}));
    say(global, "Good until " + to_string(saved->expires));
  }
  return kDone;
}

}  // namespace

void add_show(Commands& commands) {
  auto path = std::make_shared<std::string>();
  auto* command = commands.add(commands.app, "show", "A saved plan", "knock show friday.plan");
  command->add_option("file", *path, "As `knock plan --out` wrote it")->required();
  commands.run(command, [&commands, path] { return show(commands.global, *path); });
}

}  // namespace knock::cli
