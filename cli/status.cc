// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/admin_client.h"
#include "cli/json_view.h"

namespace knock::cli {
namespace {

std::string conditions(const boost::json::value& target) {
  std::vector<std::string> words;
  for (const auto& word : list(target, "conditions")) words.emplace_back(word.as_string());
  return words.empty() ? "waiting" : join(words, " ");
}

void print_text(const boost::json::value& s) {
  const auto& policy = member(s, "policy");
  print(fmt::format("knock {}   owner {}   {}\n", text(s, "version"), text(s, "owner"),
                    truth(s, "ready") ? "ready" : "NOT READY: " + text(s, "not_ready_because")));
  print(fmt::format(
      "policy   {} {}\n         from {}, last seen {}\n",
      text(policy, "revision").empty() ? "none" : text(policy, "revision").substr(0, 15),
      text(policy, "subject"), text(policy, "source"), text(policy, "last_contact")));
  if (!text(policy, "problem").empty())
    print("         not in force: " + text(policy, "problem") + "\n");
  print(fmt::format("sessions {} live   log {} records\n\n", number(s, "live_sessions"),
                    number(s, "log_head")));
  std::vector<std::vector<std::string>> rows{
      {"TARGET", "TYPE", "CONDITIONS", "OWNED", "FOREIGN", "GENERATION", "LAST FULL READ"}};
  for (const auto& t : list(s, "targets"))
    rows.push_back(
        {text(t, "name"), text(t, "type"), conditions(t), text(t, "owned"), text(t, "foreign"),
         text(t, "observed_generation") + "/" + text(t, "generation"), text(t, "last_full_read")});
  print(table(rows));
  for (const auto& t : list(s, "targets")) {
    if (!text(t, "problem").empty())
      print(fmt::format("\n{}: {}\n", text(t, "name"), text(t, "problem")));
    for (const auto& guard : list(t, "guards"))
      print(
          fmt::format("\n{}: guard {} holds {} changes: {} ({}). See `knock plan`; `knock apply "
                      "--ack HASH` lets them go.\n",
                      text(t, "name"), text(guard, "guard"), text(guard, "held"),
                      text(guard, "figure"), text(guard, "limit")));
  }
  for (const auto& remark : list(s, "remarks"))
    print("note: " + printable(std::string_view(remark.as_string())) + "\n");
}

}  // namespace

void add_status(Commands& commands) {
  auto* command = commands.add(commands.app, "status", "How the controller and its targets are",
                               "knock status --json");
  commands.run(command, [&commands] {
    auto answer = AdminClient::of(commands.global).get("/api/v1/status");
    if (!answer) return fail_with(answer.error());
    if (commands.global.json)
      print(boost::json::serialize(*answer) + "\n");
    else
      print_text(*answer);
    return int(kDone);
  });
}

}  // namespace knock::cli
