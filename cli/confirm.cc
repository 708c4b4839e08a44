// SPDX-License-Identifier: Apache-2.0
// Says yes to what a policy changed on targets that ask for a confirmation.
#include <fmt/format.h>

#include "cli/admin_client.h"
#include "cli/json_view.h"

namespace knock::cli {
namespace {

void print_confirmed(const boost::json::value& answer) {
  for (const auto& one : list(answer, "confirmed"))
    print(fmt::format("{}: policy {} is confirmed.\n", text(one, "target"),
                      text(one, "policy").substr(0, 12)));
}

int confirm(const Global& global, const std::string& id) {
  boost::json::object body{{"id", id}};
  auto answer = AdminClient::of(global).post("/api/v1/confirm", body);
  if (!answer) return fail_with(code_for(answer.error()), answer.error().message);
  print_answer(global, *answer, print_confirmed);
  return kDone;
}

}  // namespace

void add_confirm(Commands& commands) {
  auto id = std::make_shared<std::string>();
  auto* command =
      commands.add(commands.app, "confirm",
                   "Confirm what a policy changed on targets that ask for it, so that it stays",
                   "knock confirm 5be1f09a3c77");
  command
      ->add_option("id", *id,
                   "The id that `knock status` shows, or 12 of its first digits; or a commit, 7 "
                   "digits at least, for everything of it")
      ->required();
  commands.run(command, [&commands, id] { return confirm(commands.global, *id); });
}

}  // namespace knock::cli
