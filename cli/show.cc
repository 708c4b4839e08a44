// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/random.h"
#include "base/text.h"
#include "cli/plan_view.h"
#include "schemas/plan/codec.h"

namespace knock::cli {
namespace {

/// The signature fits the key that the file names; whose key that is, `knock apply` finds out.
std::string signer_of(const SavedPlan& saved) {
  if (!saved.key) return "made without a controller, so not signed";
  auto key = base64url({reinterpret_cast<const char*>(saved.key->data()), saved.key->size()});
  return fmt::format("signed by the controller that has key {}", key.substr(0, 12));
}

int show(const Global& global, const std::string& path, const ViewFlags& flags) {
  auto format = format_of(global, flags);
  if (!format) return fail_with(kUsage, "--json is --format json; leave one of them out");
  auto content = read_text_file(path);
  if (!content) return fail_with(content.error());
  auto saved = read_saved(*content);
  if (!saved) return fail_with(kStalePlan, path + ": " + saved.error().text());
  print_plan(saved->plan, *format, {global.colored(), "", "", View::full}, flags);
  if (*format == "text")
    say(global, fmt::format("Good until {}; {}", to_string(saved->expires), signer_of(*saved)));
  return kDone;
}

}  // namespace

void add_show(Commands& commands) {
  auto path = std::make_shared<std::string>();
  auto flags = std::make_shared<ViewFlags>();
  auto* command = commands.add(commands.app, "show", "A saved plan", "knock show friday.plan");
  command->add_option("file", *path, "As `knock plan --out` wrote it")->required();
  flags->add_to(*command);
  commands.run(command, [&commands, path, flags] { return show(commands.global, *path, *flags); });
}

}  // namespace knock::cli
