// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/admin_client.h"
#include "cli/json_view.h"
#include "net/http_client.h"

namespace knock::cli {
namespace {

void print_answer(const boost::json::value& row) {
  const auto& session = member(row, "session");
  auto who = text(member(session, "principal"), "name");
  if (!truth(row, "allowed")) {
    print(fmt::format("{} cannot reach {} from {}: {}\n", who, text(row, "service"),
                      text(session, "address"), text(row, "missing")));
    print(fmt::format("  smallest change: {}\n", text(row, "smallest_change")));
    return;
  }
  print(fmt::format("{} can reach {} from {} until {}\n", who, text(row, "service"),
                    text(session, "address"), text(row, "until")));
  for (const auto& step : list(row, "chain"))
    print(fmt::format("  ← {}\n", printable(std::string_view(step.as_string()))));
  for (const auto& entry : list(row, "entries"))
    print(fmt::format("  → {} holds {} in {} since {} until {}, policy {}\n", text(entry, "target"),
                      text(entry, "prefix"), text(entry, "slot"), text(entry, "since"),
                      text(entry, "until"), text(entry, "policy").substr(0, 15)));
  if (list(row, "entries").empty()) print("  → no target has confirmed it yet\n");
}

int why(const Global& global, const std::string& who, const std::string& what) {
  auto query = net::encode_form({{"who", who}, {"what", what}});
  auto answer = AdminClient::of(global).get("/api/v1/why?" + query);
  if (!answer) return fail_with(answer.error());
  bool allowed = false;
  for (const auto& row : list(*answer, "answers")) allowed = allowed || truth(row, "allowed");
  if (global.json)
    print(boost::json::serialize(*answer) + "\n");
  else if (list(*answer, "answers").empty())
    print(
        fmt::format("{} has no session, now or lately: the first missing condition is a sign-in.\n",
                    printable(who)));
  else
    for (const auto& row : list(*answer, "answers")) print_answer(row);
  return allowed ? kDone : kDenied;
}

}  // namespace

void add_why(Commands& commands) {
  auto who = std::make_shared<std::string>(), what = std::make_shared<std::string>();
  auto* command =
      commands.add(commands.app, "why", "Why somebody can reach something, or what is missing",
                   "knock why ana ssh");
  command->add_option("who", *who, "A user or an address")->required();
  command->add_option("what", *what, "A service or a target")->required();
  commands.run(command, [&commands, who, what] { return why(commands.global, *who, *what); });
}

}  // namespace knock::cli
